//! UDP sockets, which are refused: another issue brings them.

use crate::report::Report;
use wasip2::sockets::network::IpAddressFamily;
use wasip2::sockets::udp_create_socket::create_udp_socket;

/// Every check of this file.
pub fn check(report: &mut Report) {
    report.error("udp-create-v4", create_udp_socket(IpAddressFamily::Ipv4), "access-denied");
    report.error("udp-create-v6", create_udp_socket(IpAddressFamily::Ipv6), "access-denied");
}
