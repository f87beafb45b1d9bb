//! Lookups as the system answers them: several addresses, both families, and each way to fail.

use cord_tests::cord::Cord;
use cord_tests::namespace::{Network, with_hosts, with_resolver};
use cord_tests::process::Running;
use cord_tests::programs;
use std::ffi::OsString;

const HOSTS: &str = "\
127.0.0.1 localhost
192.0.2.1 one.example.test
192.0.2.1 several.example.test
192.0.2.2 several.example.test
2001:db8::3 several.example.test six.example.test
127.0.0.1 near.example.test
";

fn lookup(wrapper: Vec<OsString>, flags: &[&str], name: &str) -> String {
    let outcome = Cord::run_guest(flags, "sockets.wasm", &["lookup", name]).wrapped(wrapper).run();
    outcome.expect_code(0);
    let text = outcome.text();
    let answer = text.trim_end().strip_prefix(&format!("{name}: ")).unwrap_or_else(|| panic!("{outcome:#?}"));
    answer.to_owned()
}

/// Looks a name up on a machine whose only names are those of [`HOSTS`].
fn lookup_in_hosts(flags: &[&str], name: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    lookup(with_hosts(folder.path(), HOSTS), flags, name)
}

#[test]
fn a_name_has_all_its_addresses_of_both_families() {
    let flags = ["-c", "*.example.test:80"];
    assert_eq!(lookup_in_hosts(&flags, "one.example.test"), "192.0.2.1");
    assert_eq!(lookup_in_hosts(&flags, "six.example.test"), "8193:3512:0:0:0:0:0:3");
    let answer = lookup_in_hosts(&flags, "several.example.test");
    let mut addresses: Vec<&str> = answer.split(' ').collect();
    addresses.sort_unstable();
    assert_eq!(addresses, ["192.0.2.1", "192.0.2.2", "8193:3512:0:0:0:0:0:3"]);
}

#[test]
fn a_grant_for_datagrams_is_one_for_the_lookup_too() {
    assert_eq!(lookup_in_hosts(&["-c", "udp://one.example.test:53"], "one.example.test"), "192.0.2.1");
}

#[test]
fn an_unknown_name_is_unresolvable() {
    assert_eq!(lookup_in_hosts(&["-c", "gone.example.test:80"], "gone.example.test"), "name-unresolvable");
}

#[test]
fn nobody_to_ask_is_a_temporary_failure() {
    let (network, folder) = (Network::start(), tempfile::tempdir().unwrap());
    let mut words = network.wrapper();
    words.extend(with_resolver(folder.path()));
    assert_eq!(lookup(words, &["-c", "www.example.test:80"], "www.example.test"), "temporary-resolver-failure");
}

/// A server of names that answers every question with one code, and A questions with 192.0.2.5 if that is no failure.
const NAME_SERVER: &str = "\
import socket, sys
code = int(sys.argv[1])
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(('127.0.0.1', 53))
print('ready', flush=True)
while True:
    query, peer = sock.recvfrom(512)
    end = query.index(0, 12) + 5
    question, is_a = query[12:end], query[end - 4:end - 2] == b'\\x00\\x01'
    record = b'\\xc0\\x0c\\x00\\x01\\x00\\x01\\x00\\x00\\x00\\x3c\\x00\\x04\\xc0\\x00\\x02\\x05' if code == 0 and is_a else b''
    count = b'\\x00\\x01' if record else b'\\x00\\x00'
    head = query[:2] + bytes([0x81, 0x80 | code]) + b'\\x00\\x01' + count + b'\\x00\\x00\\x00\\x00'
    sock.sendto(head + question + record, peer)
";

#[test]
fn each_answer_of_a_name_server_has_its_code() {
    let cases = [
        ("0", "192.0.2.5"),
        // The server failed; there is no such name; it refuses.
        ("2", "temporary-resolver-failure"),
        ("3", "name-unresolvable"),
        ("5", "temporary-resolver-failure or permanent-resolver-failure"),
    ];
    for (code, want) in cases {
        let (network, folder) = (Network::start(), tempfile::tempdir().unwrap());
        let mut python = network.command(&programs::python());
        let server = Running::start(python.args(["-c", NAME_SERVER, code]));
        server.wait_for_stdout("ready\n");
        let mut words = network.wrapper();
        words.extend(with_resolver(folder.path()));
        let answer = lookup(words, &["-c", "www.example.test:80"], "www.example.test");
        assert!(want.split(" or ").any(|want| want == answer), "code {code}: {answer}, not {want}");
    }
}
