//! `--connect-fd NAME=TARGET`: what was typed, and the one connection it means.

use crate::target::{ConnectTarget, ParseTargetError};
use capability::{Grant, LabelError, Labels};
use std::str::FromStr;

/// systemd admits no longer ones.
const MAX_NAME_BYTES: usize = 255;

/// One `--connect-fd`: a connection that the guest finds open, and what it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectFd {
    /// What `LISTEN_FDNAMES` calls it.
    pub name: String,
    target: ConnectTarget,
}

/// Why a text is no [`ConnectFd`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseConnectFdError {
    /// No `NAME=` at the beginning.
    #[error("a name is missing; write NAME=TARGET, as in db={0}")]
    NoName(String),
    /// A name that a list with colons cannot hold.
    #[error("{0:?} is no name; use letters, digits, `-`, `_` and `.`, at most {MAX_NAME_BYTES} of them")]
    Name(String),
    /// A target that is none.
    #[error(transparent)]
    Target(#[from] ParseTargetError),
    /// A target that is many.
    #[error("{0} can be many places; a connection needs one address or name and one port, as in db=127.0.0.1:5432")]
    Many(ConnectTarget),
    /// Datagrams have no connection to be open.
    #[error("{0} is for datagrams; only streams can be open before a guest starts")]
    Datagrams(ConnectTarget),
}

impl FromStr for ConnectFd {
    type Err = ParseConnectFdError;

    fn from_str(typed: &str) -> Result<Self, ParseConnectFdError> {
        let Some((name, target)) = typed.split_once('=') else {
            return Err(ParseConnectFdError::NoName(typed.to_owned()));
        };
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.bytes().all(is_plain) {
            return Err(ParseConnectFdError::Name(name.to_owned()));
        }
        let target: ConnectTarget = target.parse()?;
        if !target.is_stream() {
            return Err(ParseConnectFdError::Datagrams(target));
        }
        if target.request().is_none() {
            return Err(ParseConnectFdError::Many(target));
        }
        Ok(Self { name: name.to_owned(), target })
    }
}

impl ConnectFd {
    /// The labels of the request for the connection.
    ///
    /// # Errors
    /// None that a parsed target can cause.
    pub fn request(&self) -> Result<Labels, LabelError> {
        self.target.request().unwrap_or_else(|| Ok(Labels::new()))
    }

    /// What that request, and nothing else, needs.
    ///
    /// # Errors
    /// As [`ConnectTarget::grants`].
    pub fn grants(&self) -> Result<Vec<Grant>, LabelError> {
        self.target.grants()
    }

    /// Where it leads, as it was typed.
    #[must_use]
    pub fn target(&self) -> &ConnectTarget {
        &self.target
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use capability::Right;

    #[test]
    fn a_connection_is_asked_for_by_what_was_typed() {
        for (typed, name, request) in [
            ("db=127.0.0.1:5432", "db", "network=outside server_address=127.0.0.1 server_port=5432 transport=tcp"),
            ("a.b-c_1=[::1]:22", "a.b-c_1", "network=outside server_address=::1 server_port=22 transport=tcp"),
            ("web=Example.com:80", "web", "network=outside server_hostname=example.com server_port=80 transport=tcp"),
            ("me=localhost:80", "me", "network=outside server_hostname=localhost server_port=80 transport=tcp"),
        ] {
            let parsed: ConnectFd = typed.parse().unwrap();
            assert_eq!((&*parsed.name, parsed.request().unwrap().to_string()), (name, request.to_owned()), "{typed}");
            assert!(
                parsed
                    .grants()
                    .unwrap()
                    .iter()
                    .any(|grant| grant.covers(Right::ClientConnect, &parsed.request().unwrap())),
                "{typed}"
            );
        }
    }

    #[test]
    fn what_is_no_connection_is_told_so() {
        let many = "can be many places; a connection needs one address or name and one port, as in db=127.0.0.1:5432";
        let name = "is no name; use letters, digits, `-`, `_` and `.`, at most 255 of them";
        for (typed, told) in [
            ("127.0.0.1:22", "a name is missing; write NAME=TARGET, as in db=127.0.0.1:22".to_owned()),
            ("=127.0.0.1:22", format!("\"\" {name}")),
            ("a:b=127.0.0.1:22", format!("\"a:b\" {name}")),
            ("a=10.0.0.0/8:22", format!("10.0.0.0/8:22 {many}")),
            ("a=127.0.0.1:22-23", format!("127.0.0.1:22-23 {many}")),
            ("a=127.0.0.1:*", format!("127.0.0.1:* {many}")),
            ("a=*:22", format!("*:22 {many}")),
            ("a=*.example.com:22", format!("*.example.com:22 {many}")),
            (
                "a=udp://127.0.0.1:53",
                "udp://127.0.0.1:53 is for datagrams; only streams can be open before a guest starts".to_owned(),
            ),
            (
                "a=127.0.0.1",
                "a port is missing; write HOST:PORT, as in 127.0.0.1:443, or 127.0.0.1:* for every port".to_owned(),
            ),
        ] {
            assert_eq!(typed.parse::<ConnectFd>().unwrap_err().to_string(), told, "{typed}");
        }
    }
}
