//! The program that started it all, unmodified in three languages, prints the banner of a real sshd, and only where it
//! was granted.

use cord_tests::cord::Cord;
use cord_tests::namespace::SshNetwork;
use cord_tests::process::Running;
use cord_tests::programs;

/// Grants, the host as the guest is told it, and what the guest may say it has reached.
const WAYS: &[(&[&str], &str, &[&str])] = &[
    (&["-c", "127.0.0.1:22"], "127.0.0.1", &["127.0.0.1:22"]),
    (&["-c", "localhost:22"], "localhost", &["127.0.0.1:22", "[::1]:22"]),
    (&["-c", "127.0.0.0/8:22"], "127.0.0.1", &["127.0.0.1:22"]),
    (&["-c", "[::1]:22"], "::1", &["[::1]:22"]),
    (&["-c", "*:22"], "127.0.0.1", &["127.0.0.1:22"]),
    (&["-c", "10.0.0.0/8:1-1024", "-c", "[::1]:20-30"], "::1", &["[::1]:22"]),
];

/// Reaches the server in every way that is granted.
fn reaches_the_server(guest: &str) {
    programs::warm(guest);
    let network = SshNetwork::start();
    let start = |(flags, host, _): &(&[&str], &str, _)| banner(&network, flags, guest, host);
    let running: Vec<Running> = WAYS.iter().map(start).collect();
    for (process, (flags, host, reached)) in running.into_iter().zip(WAYS) {
        let outcome = process.wait();
        outcome.expect_silent_success();
        let text = outcome.text();
        let mut lines = text.lines();
        let connected = lines.next().and_then(|line| line.strip_prefix("Connected to "));
        assert!(connected.is_some_and(|at| reached.contains(&at)), "{flags:?} {host}: {text}");
        assert!(lines.next().is_some_and(|banner| banner.starts_with("SSH-2.0-OpenSSH_")), "{flags:?} {host}: {text}");
    }
}

fn banner(network: &SshNetwork, flags: &[&str], guest: &str, host: &str) -> Running {
    Cord::run_guest(flags, guest, &[host]).wrapped(network.wrapper()).start()
}

/// Without a grant: the guest's own exit code, one line that says which flag would help, and not one packet.
fn is_refused(guest: &str, exit_code: i32) {
    const HINT: &str = "connect to 127.0.0.1:22 denied: no grant covers it (allow with --connect 127.0.0.1:22)";
    programs::warm(guest);
    let network = SshNetwork::start();
    let before = network.packets();
    // No grant at all is one process, a grant for something else is two: they must not differ in what they say.
    for flags in [&[][..], &["-c", "127.0.0.1:23", "-c", "127.0.0.2:22", "-c", "localhost:80"]] {
        let outcome = banner(&network, flags, guest, "127.0.0.1").wait();
        outcome.expect_code(exit_code).expect_stdout("");
        let hints: Vec<_> = outcome.complaints().into_iter().filter(|line| line.contains("denied")).collect();
        assert_eq!(hints, [HINT], "{flags:?}: {outcome:#?}");
        assert!(outcome.stderr.contains("Failed to connect: "), "{flags:?}: {outcome:#?}");
    }
    assert_eq!(network.packets(), before, "something was sent");
    // The counter counts: a granted connection shows.
    banner(&network, &["-c", "127.0.0.1:22"], guest, "127.0.0.1").wait().expect_code(0);
    assert!(network.packets() > before);
}

#[test]
fn rust_reaches_the_server() {
    reaches_the_server("banner.wasm");
}

#[test]
fn c_reaches_the_server() {
    reaches_the_server("banner-c.wasm");
}

#[test]
fn python_reaches_the_server() {
    reaches_the_server("banner-python.wasm");
}

#[test]
fn rust_is_refused_without_a_grant() {
    // A panic is a trap: 128 + SIGABRT.
    is_refused("banner.wasm", 134);
}

#[test]
fn c_is_refused_without_a_grant() {
    is_refused("banner-c.wasm", 1);
}

#[test]
fn python_is_refused_without_a_grant() {
    is_refused("banner-python.wasm", 1);
}

#[test]
fn a_granted_host_that_does_not_listen_is_the_guests_affair() {
    let network = SshNetwork::start();
    let dial = Cord::run_guest(&["-c", "127.0.0.1:23"], "dial.wasm", &["127.0.0.1", "23"]).wrapped(network.wrapper());
    let outcome = dial.run();
    outcome.expect_code(1);
    // Nothing of ours on standard error: the guest tells it apart from a refusal by itself.
    assert_eq!(outcome.complaints(), [""; 0], "{outcome:#?}");
    assert!(outcome.stderr.starts_with("dial: ConnectionRefused: "), "{outcome:#?}");
}
