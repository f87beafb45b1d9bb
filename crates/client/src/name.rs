//! What labels ask for a host name as somebody types it.

use capability::{LabelKey, Labels, Refusal, keys};

/// The labels of a lookup of `host`.
///
/// # Errors
/// The refusal that the switchboard would give, if `host` is no host name.
pub(crate) fn labels(host: &str) -> Result<Labels, Refusal> {
    let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let mut labels = Labels::new();
    let is_host_name = labels.insert(keys::SERVER_HOSTNAME, &name).is_ok();
    let is_in_its_network = !host.contains('.') || labels.insert(keys::NETWORK, keys::OUTSIDE).is_ok();
    if is_host_name && is_in_its_network {
        Ok(labels)
    } else {
        let keys = LabelKey::new(keys::SERVER_HOSTNAME).into_iter().collect();
        Err(Refusal::Label { keys })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(host: &str, expected: &[(&str, &str)]) {
        let expected = Labels::try_from_pairs(expected.iter().copied()).unwrap();
        assert_eq!(labels(host), Ok(expected), "{host}");
    }

    #[test]
    fn a_name_is_asked_for_in_its_one_spelling_and_its_own_network() {
        check("db", &[("server_hostname", "db")]);
        check("LocalHost", &[("server_hostname", "localhost")]);
        check("db.", &[("server_hostname", "db"), ("network", "outside")]);
        for host in ["www.example.com", "WWW.Example.COM", "www.example.com."] {
            check(host, &[("server_hostname", "www.example.com"), ("network", "outside")]);
        }
    }

    #[test]
    fn what_is_no_host_name_is_refused_here_already() {
        let keys = vec![LabelKey::new("server_hostname").unwrap()];
        for host in ["", ".", "a..b", "a b", "a..", "a:22", "bücher.example"] {
            assert_eq!(labels(host), Err(Refusal::Label { keys: keys.clone() }), "{host}");
        }
    }
}
