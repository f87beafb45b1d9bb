//! `--publish`: what was typed, and what it means: an address outside that leads to a port of the guest.

use capability::{Grant, LabelError, Labels, Pattern, PortRange, Right, keys};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU16;
use std::str::FromStr;

/// One `--publish`: what reaches `outside` reaches the port `guest_port` of the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publish {
    /// Where it is reached from outside. Port 0: one that the system picks.
    pub outside: SocketAddr,
    /// The guest's own port. None: each connection is served by a fresh instance, which listens nowhere.
    pub guest_port: Option<NonZeroU16>,
    /// For what.
    pub transport: Transport,
}

/// Streams or datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Streams.
    Tcp,
    /// Datagrams.
    Udp,
}

impl Transport {
    /// The value of the label `transport`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// Why a text is no [`Publish`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParsePublishError {
    /// Only one port.
    #[error(
        "the guest's port is missing; write PORT:GUESTPORT, as in {0}:{0} (port 0 outside lets the system pick one)"
    )]
    OnePort(String),
    /// A port outside that is none.
    #[error("{0:?} is no port; write a number from 1 to 65535, or 0 to let the system pick one")]
    Port(String),
    /// A port inside that is none.
    #[error("{0:?} is no port of a guest; write a number from 1 to 65535, or 0 with --per-connection")]
    GuestPort(String),
    /// An address that is none.
    #[error(
        "{0:?} is no address of this machine; write one, as in 127.0.0.1:8080:80, 0.0.0.0:8080:80 (all of them) or [::1]:8080:80"
    )]
    Address(String),
    /// An IPv6 address outside of brackets.
    #[error("write an IPv6 address in brackets, as in [::1]:8080:80")]
    Brackets,
    /// An IPv4 address inside an IPv6 address.
    #[error("write an IPv4 address as IPv4: {0}")]
    Mapped(IpAddr),
    /// Neither `/tcp` nor `/udp`.
    #[error("{0:?} is no transport; end with /udp, or with /tcp or nothing")]
    Transport(String),
}

impl FromStr for Publish {
    type Err = ParsePublishError;

    fn from_str(typed: &str) -> Result<Self, ParsePublishError> {
        let (rest, transport) = match typed.split_once('/') {
            None => (typed, Transport::Tcp),
            Some((rest, "tcp")) => (rest, Transport::Tcp),
            Some((rest, "udp")) => (rest, Transport::Udp),
            Some((_, other)) => return Err(ParsePublishError::Transport(other.to_owned())),
        };
        let Some((rest, guest_port)) = rest.rsplit_once(':') else {
            // The guest's port is what people leave out; what cannot be a port is told first.
            return Err(port(rest).map_or_else(|error| error, |_| ParsePublishError::OnePort(rest.to_owned())));
        };
        let guest_port = number(guest_port).map(NonZeroU16::new);
        let guest_port = guest_port.ok_or_else(|| ParsePublishError::GuestPort(guest_of(typed).to_owned()));
        let (address, outside_port) = match rest.rsplit_once(':') {
            None => (Ipv4Addr::LOCALHOST.into(), port(rest)?),
            Some((host, port_text)) => (address(host)?, port(port_text)?),
        };
        Ok(Self { outside: SocketAddr::new(address, outside_port), guest_port: guest_port?, transport })
    }
}

/// What stands where the guest's port belongs.
fn guest_of(typed: &str) -> &str {
    let ports = typed.split('/').next().unwrap_or_default();
    ports.rsplit(':').next().unwrap_or_default()
}

/// A number without sign and without leading zeros that would only look like one.
fn number(digits: &str) -> Option<u16> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

fn port(digits: &str) -> Result<u16, ParsePublishError> {
    number(digits).ok_or_else(|| ParsePublishError::Port(digits.to_owned()))
}

fn address(host: &str) -> Result<IpAddr, ParsePublishError> {
    let unknown = || ParsePublishError::Address(host.to_owned());
    let Some(bracketed) = host.strip_prefix('[') else {
        if host.contains(':') {
            return Err(ParsePublishError::Brackets);
        }
        return host.parse::<Ipv4Addr>().map(IpAddr::V4).map_err(|_no_address| unknown());
    };
    let address = bracketed.strip_suffix(']').ok_or(ParsePublishError::Brackets)?;
    let address = IpAddr::V6(address.parse::<Ipv6Addr>().map_err(|_no_address| unknown())?);
    match address.to_canonical() {
        canonical if canonical == address => Ok(address),
        canonical => Err(ParsePublishError::Mapped(canonical)),
    }
}

impl Publish {
    /// Whether both ask for the same address and port of this machine. Two ports that the system picks are two.
    #[must_use]
    pub fn is_at_the_same_place(&self, other: &Self) -> bool {
        self.outside.port() != 0 && (self.outside, self.transport) == (other.outside, other.transport)
    }

    /// What every connection from there carries besides the labels of its socket: those of the guest's `service`, and
    /// the guest's port if it has one.
    ///
    /// # Errors
    /// None that a parsed `--publish` and the labels of a service can cause; the signature keeps the check of labels in
    /// one place.
    pub fn labels(&self, service: &Labels) -> Result<Labels, LabelError> {
        let mut labels = service.clone();
        labels.insert(keys::TRANSPORT, self.transport.name())?;
        if let Some(port) = self.guest_port {
            labels.insert(keys::SERVER_PORT, &port.to_string())?;
        }
        Ok(labels)
    }

    /// The grant this means: the guest of this `service` may serve that port. None if it has no port.
    ///
    /// # Errors
    /// As [`Publish::labels`].
    pub fn grant(&self, service: &Labels) -> Result<Option<Grant>, LabelError> {
        let Some(port) = self.guest_port.map(NonZeroU16::get) else { return Ok(None) };
        let ports = PortRange::new(port, port).map_err(|_no_range| LabelError::Value)?;
        let grant = Grant::new(Right::ServerStart)
            .with(keys::TRANSPORT, Pattern::exact(self.transport.name())?)?
            .with(keys::SERVER_PORT, Pattern::Ports(ports))?;
        let with_label = |grant: Grant, (key, value): (&capability::LabelKey, &capability::LabelValue)| {
            grant.with(key.as_str(), Pattern::exact(value.as_str())?)
        };
        service.iter().try_fold(grant, with_label).map(Some)
    }
}

impl fmt::Display for Publish {
    /// As it would be typed again, with all that was left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let guest_port = self.guest_port.map_or(0, NonZeroU16::get);
        write!(f, "{}:{guest_port}/{}", self.outside, self.transport.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_published() {
        for (typed, meant) in [
            ("8080:80", "127.0.0.1:8080:80/tcp"),
            ("8080:80/tcp", "127.0.0.1:8080:80/tcp"),
            ("5353:53/udp", "127.0.0.1:5353:53/udp"),
            ("0:8080", "127.0.0.1:0:8080/tcp"),
            ("8080:0", "127.0.0.1:8080:0/tcp"),
            ("0.0.0.0:80:8080", "0.0.0.0:80:8080/tcp"),
            ("192.0.2.1:65535:65535", "192.0.2.1:65535:65535/tcp"),
            ("[::1]:8080:80", "[::1]:8080:80/tcp"),
            ("[::]:0:53/udp", "[::]:0:53/udp"),
        ] {
            let publish: Publish = typed.parse().unwrap();
            assert_eq!(publish.to_string(), meant, "{typed}");
            assert_eq!(meant.parse(), Ok(publish), "{typed} does not survive printing");
        }
    }

    #[test]
    fn what_cannot_be_published_is_told_so() {
        let no_port = |text: &str| {
            format!("{text:?} is no port; write a number from 1 to 65535, or 0 to let the system pick one")
        };
        let no_guest_port = |text: &str| {
            format!("{text:?} is no port of a guest; write a number from 1 to 65535, or 0 with --per-connection")
        };
        let no_address = |text: &str| {
            format!(
                "{text:?} is no address of this machine; write one, as in 127.0.0.1:8080:80, 0.0.0.0:8080:80 (all of \
                 them) or [::1]:8080:80"
            )
        };
        let brackets = || "write an IPv6 address in brackets, as in [::1]:8080:80".to_owned();
        for (typed, told) in [
            (
                "8080",
                "the guest's port is missing; write PORT:GUESTPORT, as in 8080:8080 (port 0 outside lets the system \
                 pick one)"
                    .to_owned(),
            ),
            ("", no_port("")),
            ("http", no_port("http")),
            ("http:80", no_port("http")),
            (":80", no_port("")),
            ("65536:80", no_port("65536")),
            ("-1:80", no_port("-1")),
            ("+1:80", no_port("+1")),
            ("8000-8001:80", no_port("8000-8001")),
            ("8080:", no_guest_port("")),
            ("8080:http", no_guest_port("http")),
            ("8080:65536/udp", no_guest_port("65536")),
            (":8080:80", no_address("")),
            ("localhost:8080:80", no_address("localhost")),
            ("127.1:8080:80", no_address("127.1")),
            ("[::1%lo]:8080:80", no_address("[::1%lo]")),
            ("[127.0.0.1]:8080:80", no_address("[127.0.0.1]")),
            ("::1:8080:80", brackets()),
            ("[::1:8080:80", brackets()),
            ("[::ffff:127.0.0.1]:8080:80", "write an IPv4 address as IPv4: 127.0.0.1".to_owned()),
            ("8080:80/sctp", "\"sctp\" is no transport; end with /udp, or with /tcp or nothing".to_owned()),
            ("8080:80/", "\"\" is no transport; end with /udp, or with /tcp or nothing".to_owned()),
        ] {
            assert_eq!(typed.parse::<Publish>().unwrap_err().to_string(), told, "{typed}");
        }
    }

    #[test]
    fn a_place_is_an_address_a_port_and_a_transport() {
        let same = |one: &str, other: &str| -> bool {
            one.parse::<Publish>().unwrap().is_at_the_same_place(&other.parse().unwrap())
        };
        assert!(same("8080:80", "127.0.0.1:8080:81/tcp"));
        assert!(!same("8080:80", "8080:80/udp"));
        assert!(!same("8080:80", "0.0.0.0:8080:80"));
        assert!(!same("8080:80", "8081:80"));
        assert!(!same("0:80", "0:80"));
    }

    #[test]
    fn it_means_a_grant_to_serve_and_the_labels_of_what_comes() {
        let service = Labels::try_from_pairs([("network", "dns"), ("server_hostname", "dns")]).unwrap();
        let publish: Publish = "0.0.0.0:5353:53/udp".parse().unwrap();
        assert_eq!(
            publish.grant(&service).unwrap().unwrap().to_string(),
            "server-start network=dns server_hostname=dns server_port=53 transport=udp"
        );
        assert_eq!(
            publish.labels(&service).unwrap().to_string(),
            "network=dns server_hostname=dns server_port=53 transport=udp"
        );
        let each: Publish = "8080:0".parse().unwrap();
        assert!(each.grant(&service).unwrap().is_none());
        assert_eq!(each.labels(&service).unwrap().to_string(), "network=dns server_hostname=dns transport=tcp");
    }
}
