//! The labels that say which socket was accepted.

use capability::{LabelError, Labels, MergeError, keys};
use std::net::SocketAddr;

/// What the caller of an ingress may say instead of the socket: where outside and inside differ, as a published port
/// does from the guest's own, the server is found by what it is called inside.
const REPLACED: [&str; 2] = [keys::SERVER_ADDRESS, keys::SERVER_PORT];

/// Why a socket has no labels.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SocketLabelsError {
    #[error(transparent)]
    Label(#[from] LabelError),
    #[error(transparent)]
    Merge(#[from] MergeError),
}

/// The labels of a socket from `client` to `server`, and those of the caller. An IPv4 address that came through an IPv6
/// listener is written as the IPv4 address it is.
///
/// # Errors
/// If the caller's labels say something else about the client or the transport: those are the socket's alone to tell.
pub(crate) fn socket_labels(
    transport: &str,
    client: SocketAddr,
    server: SocketAddr,
    callers: &Labels,
) -> Result<Labels, SocketLabelsError> {
    let address = |end: SocketAddr| end.ip().to_canonical().to_string();
    let port = |end: SocketAddr| end.port().to_string();
    let sockets = [
        (keys::TRANSPORT, transport),
        (keys::CLIENT_ADDRESS, &address(client)),
        (keys::CLIENT_PORT, &port(client)),
        (keys::SERVER_ADDRESS, &address(server)),
        (keys::SERVER_PORT, &port(server)),
    ];
    let is_replaced = |key: &str| REPLACED.contains(&key) && callers.get(key).is_some();
    let kept = sockets.into_iter().filter(|(key, _)| !is_replaced(key));
    Ok(callers.merge(&Labels::try_from_pairs(kept)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(client: &str, server: &str, callers: &[(&str, &str)], expected: Option<&str>) {
        let callers = Labels::try_from_pairs(callers.iter().copied()).expect("they are labels");
        let at = |text: &str| text.parse().expect("an address");
        let labels = socket_labels("tcp", at(client), at(server), &callers).ok().map(|labels| labels.to_string());
        assert_eq!(labels.as_deref(), expected, "{callers}");
    }

    #[test]
    fn the_caller_names_the_server_and_the_socket_the_client() {
        let (client, server) = ("192.0.2.1:40000", "127.0.0.1:8080");
        let ends = "client_address=192.0.2.1 client_port=40000";
        check(client, server, &[], Some(&format!("{ends} server_address=127.0.0.1 server_port=8080 transport=tcp")));
        check(
            client,
            server,
            &[("server_port", "80"), ("network", "web")],
            Some(&format!("{ends} network=web server_address=127.0.0.1 server_port=80 transport=tcp")),
        );
        check(
            client,
            server,
            &[("server_address", "10.0.0.1"), ("transport", "tcp")],
            Some(&format!("{ends} server_address=10.0.0.1 server_port=8080 transport=tcp")),
        );
        for lie in [("client_address", "192.0.2.2"), ("client_port", "1"), ("transport", "udp")] {
            check(client, server, &[lie], None);
        }
    }

    #[test]
    fn an_ipv4_address_inside_ipv6_is_an_ipv4_address() {
        let expected = "client_address=192.0.2.1 client_port=9 server_address=127.0.0.1 server_port=80 transport=tcp";
        check("[::ffff:192.0.2.1]:9", "[::ffff:127.0.0.1]:80", &[], Some(expected));
    }
}
