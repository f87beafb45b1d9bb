//! What a guest is called, and the labels of everything it serves.

use capability::{LabelError, Labels, keys};
use std::path::Path;

/// The service of a guest: its file's name without the ending.
pub(crate) fn of_guest(guest: &Path) -> String {
    let stem = guest.file_stem().unwrap_or_default().to_string_lossy();
    let service: String = stem.chars().filter(|c| *c != '\0').take(capability::MAX_VALUE_BYTES / 4).collect();
    // That network is the world's, not a guest's.
    if service == keys::OUTSIDE { format!("{service}-guest") } else { service }
}

/// The labels of everything that a guest serves: it is an application of its own, and a service of it that is called by
/// the same name where that is a host name.
///
/// # Errors
/// If `service` is no value of a label.
pub fn labels(service: &str) -> Result<Labels, LabelError> {
    let mut labels = Labels::try_from_pairs([(keys::NETWORK, service)])?;
    if keys::check_value(keys::SERVER_HOSTNAME, service).is_ok() {
        labels.insert(keys::SERVER_HOSTNAME, service)?;
    }
    Ok(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_called_by_its_file() {
        for (file, service, expected) in [
            ("app.wasm", "app", "network=app server_hostname=app"),
            ("dir/My_App.wasm", "My_App", "network=My_App"),
            ("outside.wasm", "outside-guest", "network=outside-guest server_hostname=outside-guest"),
            ("v1.2.wasm", "v1.2", "network=v1.2 server_hostname=v1.2"),
        ] {
            assert_eq!(of_guest(Path::new(file)), service);
            assert_eq!(labels(service).unwrap().to_string(), expected);
        }
    }
}
