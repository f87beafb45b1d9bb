//! `--connect TARGET`: what was typed, and the grants it means.

use capability::{
    Cidr, Grant, LabelError, Labels, ParseCidrError, ParsePortRangeError, Pattern, PortRange, Right, Suffix, keys,
};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// One `--connect`: where a guest may connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectTarget {
    transport: &'static str,
    host: Host,
    ports: PortRange,
    private: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    /// `*`: every address and every name.
    Anything,
    /// `localhost`: the loopback addresses (RFC 6761).
    Localhost,
    Addresses(Cidr),
    Name(String),
    NamesBelow(Suffix),
}

/// Why a text is no [`ConnectTarget`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseTargetError {
    /// No `:PORT` at the end.
    #[error("a port is missing; write HOST:PORT, as in {0}:443, or {0}:* for every port")]
    NoPort(String),
    /// The port is none.
    #[error("bad port: {0}")]
    Port(#[source] ParsePortRangeError),
    /// The address range is none.
    #[error("bad address range: {0}")]
    Cidr(#[source] ParseCidrError),
    /// An IPv6 address outside of brackets.
    #[error("write an IPv6 address in brackets, as in [::1]:22")]
    Brackets,
    /// Neither address nor name.
    #[error("{0:?} is no address and no host name")]
    Host(String),
    /// A name without a dot is a service of an application, and here is none.
    #[error(
        "{0:?} has no dot: that is how services of one application call each other; write {0:?} with a dot at the end for a name in DNS"
    )]
    Service(String),
    /// Another scheme than `tcp://` or `udp://`.
    #[error("{0:?} is no transport; use tcp:// (or nothing) or udp://")]
    Transport(String),
    /// A word behind the comma other than `private`, or on something that is no name.
    #[error("{0:?} cannot stand behind a comma here; only `private` can, behind a host name")]
    Mark(String),
}

impl FromStr for ConnectTarget {
    type Err = ParseTargetError;

    fn from_str(typed: &str) -> Result<Self, ParseTargetError> {
        let (transport, rest) = match typed.split_once("://") {
            None | Some(("tcp", _)) => ("tcp", typed.strip_prefix("tcp://").unwrap_or(typed)),
            Some(("udp", rest)) => ("udp", rest),
            Some((other, _)) => return Err(ParseTargetError::Transport(other.to_owned())),
        };
        let (rest, mark) = match rest.split_once(',') {
            Some((rest, mark)) => (rest, Some(mark)),
            None => (rest, None),
        };
        let (host, ports) = split_port(rest)?;
        let ports = match ports {
            "*" => PortRange::ALL,
            digits => digits.parse().map_err(ParseTargetError::Port)?,
        };
        let host = parse_host(host)?;
        let private = match (mark, &host) {
            (None, _) => false,
            (Some("private"), Host::Name(_) | Host::NamesBelow(_)) => true,
            (Some(other), _) => return Err(ParseTargetError::Mark(other.to_owned())),
        };
        Ok(Self { transport, host, ports, private })
    }
}

/// The host and the port around the last colon that is not inside brackets.
fn split_port(text: &str) -> Result<(&str, &str), ParseTargetError> {
    let missing = || ParseTargetError::NoPort(text.to_owned());
    let behind_bracket = text.rfind(']').map_or(0, |at| at + 1);
    let colon = text[behind_bracket..].rfind(':').map(|at| at + behind_bracket).ok_or_else(missing)?;
    let (host, port) = (&text[..colon], &text[colon + 1..]);
    if behind_bracket == 0 && host.contains(':') {
        return Err(ParseTargetError::Brackets);
    }
    if port.is_empty() { Err(ParseTargetError::NoPort(host.to_owned())) } else { Ok((host, port)) }
}

fn parse_host(host: &str) -> Result<Host, ParseTargetError> {
    if host == "*" {
        return Ok(Host::Anything);
    }
    if host.starts_with("*.") {
        let suffix = host.trim_end_matches('.').to_ascii_lowercase().parse();
        return suffix.map(Host::NamesBelow).map_err(|_no_suffix| ParseTargetError::Host(host.to_owned()));
    }
    // [::1], [2001:db8::/32] and [2001:db8::]/32 are all in use.
    let bare = host.replace(['[', ']'], "");
    let bracketed = bare.len() + 2 == host.len() && host.starts_with('[');
    if bracketed || host.contains('/') || bare.parse::<Ipv4Addr>().is_ok() {
        return bare.parse().map(Host::Addresses).map_err(ParseTargetError::Cidr);
    }
    let name = host.to_ascii_lowercase();
    let absolute = name.strip_suffix('.');
    let name = absolute.unwrap_or(&name);
    let looks_like_an_address = name.rsplit('.').next().is_some_and(|part| part.bytes().all(|b| b.is_ascii_digit()));
    if keys::check_value(keys::SERVER_HOSTNAME, name).is_err() || looks_like_an_address {
        return Err(ParseTargetError::Host(host.to_owned()));
    }
    match name {
        "localhost" => Ok(Host::Localhost),
        _ if absolute.is_none() && !name.contains('.') => Err(ParseTargetError::Service(name.to_owned())),
        _ => Ok(Host::Name(name.to_owned())),
    }
}

impl ConnectTarget {
    /// The grants this means. `localhost` means the loopback addresses, by name and by address; `*` means every name
    /// and every address.
    ///
    /// # Errors
    /// None that a parsed target can cause; the signature keeps the check of labels in one place.
    pub fn grants(&self) -> Result<Vec<Grant>, LabelError> {
        let by_name = |pattern| self.grant(keys::SERVER_HOSTNAME, pattern);
        let by_address = |pattern| self.grant(keys::SERVER_ADDRESS, pattern);
        let one = |address: IpAddr| by_address(Pattern::Cidr(Cidr::of(address)));
        match &self.host {
            Host::Anything => Ok(vec![by_address(Pattern::Any)?, by_name(Pattern::Any)?]),
            Host::Addresses(range) => Ok(vec![by_address(Pattern::Cidr(*range))?]),
            Host::Name(name) => Ok(vec![self.marked(by_name(Pattern::exact(name)?)?)]),
            Host::NamesBelow(suffix) => Ok(vec![self.marked(by_name(Pattern::Suffix(suffix.clone()))?)]),
            Host::Localhost => Ok(vec![
                one(Ipv4Addr::LOCALHOST.into())?,
                one(Ipv6Addr::LOCALHOST.into())?,
                by_name(Pattern::exact("localhost")?)?.marked_private(),
            ]),
        }
    }

    /// Whether it is for streams.
    pub(crate) fn is_stream(&self) -> bool {
        self.transport == "tcp"
    }

    /// The labels of a request for it. `None`: it can be more than one place.
    pub(crate) fn request(&self) -> Option<Result<Labels, LabelError>> {
        let (key, value) = match &self.host {
            Host::Addresses(range) if *range == Cidr::of(range.network()) => {
                (keys::SERVER_ADDRESS, range.network().to_string())
            }
            Host::Localhost => (keys::SERVER_HOSTNAME, "localhost".to_owned()),
            Host::Name(name) => (keys::SERVER_HOSTNAME, name.clone()),
            Host::Addresses(_) | Host::Anything | Host::NamesBelow(_) => return None,
        };
        let port = (self.ports.first() == self.ports.last()).then(|| self.ports.first().to_string())?;
        Some(Labels::try_from_pairs([
            (keys::NETWORK, keys::OUTSIDE),
            (keys::TRANSPORT, self.transport),
            (keys::SERVER_PORT, &port),
            (key, &value),
        ]))
    }

    fn grant(&self, key: &str, pattern: Pattern) -> Result<Grant, LabelError> {
        Grant::new(Right::ClientConnect)
            .with(keys::NETWORK, Pattern::exact(keys::OUTSIDE)?)?
            .with(keys::TRANSPORT, Pattern::exact(self.transport)?)?
            .with(keys::SERVER_PORT, Pattern::Ports(self.ports))?
            .with(key, pattern)
    }

    fn marked(&self, grant: Grant) -> Grant {
        if self.private { grant.marked_private() } else { grant }
    }
}

impl fmt::Display for ConnectTarget {
    /// As it would be typed again.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.transport != "tcp" {
            write!(f, "{}://", self.transport)?;
        }
        match &self.host {
            Host::Anything => f.write_str("*")?,
            Host::Localhost => f.write_str("localhost")?,
            Host::Addresses(range) if range.network().is_ipv6() => write!(f, "[{range}]")?,
            Host::Addresses(range) => range.fmt(f)?,
            Host::Name(name) if name.contains('.') => f.write_str(name)?,
            Host::Name(name) => write!(f, "{name}.")?,
            Host::NamesBelow(suffix) => suffix.fmt(f)?,
        }
        if self.ports == PortRange::ALL {
            f.write_str(":*")?
        } else {
            write!(f, ":{}", self.ports)?
        }
        if self.private { f.write_str(",private") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(typed: &str) -> String {
        let target: ConnectTarget = typed.parse().unwrap();
        assert_eq!(target.to_string().parse::<ConnectTarget>().unwrap(), target, "{typed} does not survive printing");
        let texts: Vec<_> = target.grants().unwrap().iter().map(ToString::to_string).collect();
        texts.join("; ").replace("client-connect network=outside ", "")
    }

    #[test]
    fn a_target_means_these_grants() {
        for (typed, meant) in [
            ("127.0.0.1:22", "server_address=127.0.0.1 server_port=22 transport=tcp"),
            ("tcp://127.0.0.1:22", "server_address=127.0.0.1 server_port=22 transport=tcp"),
            ("[::1]:22", "server_address=::1 server_port=22 transport=tcp"),
            ("10.0.0.0/8:5432-5433", "server_address=10.0.0.0/8 server_port=5432-5433 transport=tcp"),
            ("[2001:db8::]/32:80", "server_address=2001:db8::/32 server_port=80 transport=tcp"),
            ("[2001:db8::/32]:80", "server_address=2001:db8::/32 server_port=80 transport=tcp"),
            ("udp://9.9.9.9:53", "server_address=9.9.9.9 server_port=53 transport=udp"),
            ("DB.Example.com.:5432", "server_hostname=db.example.com server_port=5432 transport=tcp"),
            ("*.example.com:443", "server_hostname=*.example.com server_port=443 transport=tcp"),
            ("db.:5432", "server_hostname=db server_port=5432 transport=tcp"),
            ("db.corp.example:1,private", "server_hostname=db.corp.example server_port=1 transport=tcp private"),
            (
                "*:443",
                "server_address=* server_port=443 transport=tcp; server_hostname=* server_port=443 transport=tcp",
            ),
            ("127.0.0.1:*", "server_address=127.0.0.1 server_port=1-65535 transport=tcp"),
            (
                "localhost:22",
                "server_address=127.0.0.1 server_port=22 transport=tcp; server_address=::1 server_port=22 \
                 transport=tcp; server_hostname=localhost server_port=22 transport=tcp private",
            ),
        ] {
            assert_eq!(grants(typed), meant, "{typed}");
        }
    }

    #[test]
    fn what_is_no_target_is_told_so() {
        for (typed, told) in [
            ("127.0.0.1", "a port is missing; write HOST:PORT, as in 127.0.0.1:443, or 127.0.0.1:* for every port"),
            ("127.0.0.1:", "a port is missing; write HOST:PORT, as in 127.0.0.1:443, or 127.0.0.1:* for every port"),
            ("127.0.0.1:0", "bad port: a port is a number from 1 to 65535, a range two of them with a hyphen between"),
            ("a.b:ssh", "bad port: a port is a number from 1 to 65535, a range two of them with a hyphen between"),
            ("a.b:9-3", "bad port: the range ends before it begins; did you mean 3-9?"),
            ("10.0.0.0/33:1", "bad address range: the prefix length must be a number from 0 to 32"),
            ("10.0.0.1/8:1", "bad address range: the address has bits set behind the prefix; did you mean 10.0.0.0/8?"),
            ("[::ffff:1.2.3.4]:1", "bad address range: write an IPv4 address as IPv4, not inside IPv6"),
            ("::1:22", "write an IPv6 address in brackets, as in [::1]:22"),
            ("[::1:22", "write an IPv6 address in brackets, as in [::1]:22"),
            ("1.2.3:80", "\"1.2.3\" is no address and no host name"),
            ("300.1.1.1:80", "\"300.1.1.1\" is no address and no host name"),
            ("a b.c:80", "\"a b.c\" is no address and no host name"),
            (":80", "\"\" is no address and no host name"),
            ("*.:80", "\"*.\" is no address and no host name"),
            ("sctp://a.b:1", "\"sctp\" is no transport; use tcp:// (or nothing) or udp://"),
            (
                "1.2.3.4:1,private",
                "\"private\" cannot stand behind a comma here; only `private` can, behind a host name",
            ),
            ("a.b:1,public", "\"public\" cannot stand behind a comma here; only `private` can, behind a host name"),
        ] {
            assert_eq!(typed.parse::<ConnectTarget>().unwrap_err().to_string(), told, "{typed}");
        }
        assert!(matches!("db:5432".parse::<ConnectTarget>(), Err(ParseTargetError::Service(name)) if name == "db"));
    }
}
