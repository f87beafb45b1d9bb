//! Dials by address and by name, over a real channel and to real listeners on loopback.

use super::*;
use crate::testing::{
    BlackHole, FarEnd, alone, alone_on_paused_clock, ip, ips, listen, listen_at, next_reply, saw_nobody, target_channel,
};
use capability::{Cidr, LimitKind};
use protocol::message::{CallId, ReplyBody};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::time::Instant;

/// The answers of the fake name servers; anything else does not exist.
fn names(answers: &'static [(&str, &[&str])]) -> Names {
    Names::answered_by(move |name| async move {
        let known = answers.iter().find(|(known, _)| *known == name);
        Ok(known.map_or_else(Vec::new, |(_, addresses)| ips(addresses)))
    })
}

/// Name servers that must not be asked.
fn nobody() -> Names {
    Names::answered_by(|name| async move { panic!("{name} was asked for") })
}

/// Runs an egress beside `test`, which has the switchboard's end; it must end well when the test drops that.
async fn during(names: Names, limits: EgressLimits, test: impl AsyncFnOnce(&FarEnd)) {
    let (target, far) = target_channel();
    let testing = async move {
        test(&far).await;
        drop(far);
    };
    let (served, ()) = tokio::join!(run_with(target, names, limits), testing);
    assert!(matches!(served, Ok(())), "{served:?}");
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::try_from_pairs(pairs.iter().copied()).expect("they are labels")
}

fn address_labels(address: SocketAddr) -> Labels {
    labels_of(address).expect("an address has labels")
}

fn by_address(id: u64, address: SocketAddr) -> Call {
    let transport = labels(&[(keys::TRANSPORT, "tcp")]);
    Call::Dial {
        id: CallId(id),
        labels: transport.merge(&address_labels(address)).expect("they differ"),
        scope: AddressScope::default(),
    }
}

fn by_name(id: u64, name: &str, port: u16, scope: AddressScope) -> Call {
    let port = port.to_string();
    Call::Dial {
        id: CallId(id),
        labels: labels(&[
            (keys::TRANSPORT, "tcp"),
            (keys::NETWORK, keys::OUTSIDE),
            (keys::SERVER_HOSTNAME, name),
            (keys::SERVER_PORT, &port),
        ]),
        scope,
    }
}

/// One layer that grants these ranges.
fn only(ranges: &[&str]) -> AddressScope {
    let parse = |text: &&str| text.parse::<Cidr>().expect("a range");
    AddressScope::new(vec![ranges.iter().map(parse).collect()])
}

async fn ask(far: &FarEnd, call: &Call) {
    far.send(call, None).await.expect("the egress reads");
}

/// Asks for a dial that succeeds: where the socket leads, and the socket.
async fn dialled(far: &FarEnd, call: &Call) -> (Labels, TcpStream) {
    ask(far, call).await;
    match next_reply(far).await {
        (_, ReplyBody::Dialled(labels), Some(socket)) => (labels, socket.into()),
        other => panic!("not dialled: {other:?}"),
    }
}

/// Asks for a dial that does not: why.
async fn refused(far: &FarEnd, call: &Call) -> Refusal {
    ask(far, call).await;
    match next_reply(far).await {
        (_, ReplyBody::Failed(Failure::Refused(refusal)), None) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

fn unreachable(cause: UnreachableCause) -> Refusal {
    Refusal::Unreachable { cause }
}

fn assert_joined(mut here: TcpStream, listener: &TcpListener) {
    let (mut there, _) = listener.accept().expect("somebody connected");
    there.write_all(b"hello").expect("the stream takes bytes");
    here.set_nonblocking(false).expect("the mode can be set");
    let mut heard = [0; 5];
    here.read_exact(&mut heard).expect("the bytes arrive");
    assert_eq!(&heard, b"hello");
}

#[test]
fn an_address_of_either_family_is_dialled() {
    alone(async {
        during(nobody(), EgressLimits::default(), async |far| {
            for loopback in ["127.0.0.1", "::1"] {
                let (listener, address) = listen(loopback);
                let (labels, socket) = dialled(far, &by_address(1, address)).await;
                assert_eq!(labels, address_labels(address));
                assert_joined(socket, &listener);
            }
        })
        .await;
    });
}

#[test]
fn a_reply_carries_the_number_of_its_call() {
    alone(async {
        let (_listener, address) = listen("127.0.0.1");
        during(nobody(), EgressLimits::default(), async |far| {
            for id in [7, u64::MAX] {
                ask(far, &by_address(id, address)).await;
                assert_eq!(next_reply(far).await.0, CallId(id));
            }
        })
        .await;
    });
}

#[test]
fn a_name_goes_before_an_address() {
    alone(async {
        let (listener, address) = listen("127.0.0.1");
        let (decoy, _) = listen_at(SocketAddr::new(ip("127.0.0.2"), address.port()));
        during(names(&[("a.example", &["127.0.0.1"])]), EgressLimits::default(), async |far| {
            let Call::Dial { id, labels: named, scope } =
                by_name(1, "a.example", address.port(), AddressScope::default())
            else {
                panic!("a dial");
            };
            let labels = named.merge(&labels(&[(keys::SERVER_ADDRESS, "127.0.0.2")])).expect("they differ");
            let (leads_to, socket) = dialled(far, &Call::Dial { id, labels, scope }).await;
            assert_eq!(leads_to, address_labels(address));
            assert_joined(socket, &listener);
            assert!(saw_nobody(&decoy));
        })
        .await;
    });
}

#[test]
fn a_name_that_leads_to_loopback_is_refused_unless_that_is_granted() {
    alone(async {
        let (listener, address) = listen("127.0.0.1");
        let answers = names(&[("rebound.example", &["127.0.0.1"])]);
        during(answers, EgressLimits::default(), async |far| {
            let call = |scope| by_name(1, "rebound.example", address.port(), scope);
            let refusal = Refusal::PrivateName { address: ip("127.0.0.1") };
            for scope in [only(&[]), only(&["10.0.0.0/8", "::1"])] {
                assert_eq!(refused(far, &call(scope)).await, refusal);
            }
            assert!(saw_nobody(&listener));
            listener.set_nonblocking(false).expect("the mode can be set");
            let (_, socket) = dialled(far, &call(only(&["127.0.0.0/8"]))).await;
            assert_joined(socket, &listener);
        })
        .await;
    });
}

#[test]
fn of_a_mixed_answer_only_what_is_granted_is_dialled() {
    alone(async {
        let (listener, address) = listen("127.0.0.1");
        let (decoy, _) = listen_at(SocketAddr::new(ip("127.0.0.2"), address.port()));
        let answers = names(&[("mixed.example", &["127.0.0.2", "::ffff:127.0.0.2", "127.0.0.1"])]);
        during(answers, EgressLimits::default(), async |far| {
            let call = by_name(1, "mixed.example", address.port(), only(&["127.0.0.1"]));
            let (labels, socket) = dialled(far, &call).await;
            assert_eq!(labels, address_labels(address));
            assert_joined(socket, &listener);
            assert!(saw_nobody(&decoy));
        })
        .await;
    });
}

/// A second lookup could answer something else than the first, which was judged.
#[test]
fn a_name_is_looked_up_once() {
    alone(async {
        let (listener, address) = listen("127.0.0.1");
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let names = Names::answered_by(move |_| {
            let time = count.fetch_add(1, Ordering::Relaxed);
            async move { Ok(ips(if time == 0 { &["127.0.0.1"] } else { &["127.0.0.2"] })) }
        });
        during(names, EgressLimits::default(), async |far| {
            let call = by_name(1, "a.example", address.port(), only(&["127.0.0.1"]));
            let (_, socket) = dialled(far, &call).await;
            assert_joined(socket, &listener);
            assert_eq!(asked.load(Ordering::Relaxed), 1);
        })
        .await;
    });
}

#[test]
fn localhost_is_dialled_without_asking() {
    alone(async {
        let (listener, address) = listen("127.0.0.1");
        during(nobody(), EgressLimits::default(), async |far| {
            let call = by_name(1, "localhost", address.port(), AddressScope::default());
            let (labels, socket) = dialled(far, &call).await;
            assert_eq!(labels, address_labels(address));
            assert_joined(socket, &listener);
        })
        .await;
    });
}

#[test]
fn a_name_without_an_address_is_not_found() {
    alone(async {
        during(names(&[]), EgressLimits::default(), async |far| {
            for name in ["gone.example", "db", "127.1"] {
                assert_eq!(
                    refused(far, &by_name(1, name, 80, AddressScope::default())).await,
                    unreachable(UnreachableCause::NameNotFound),
                    "{name}"
                );
            }
        })
        .await;
    });
}

#[test]
fn a_call_that_an_egress_cannot_do_is_refused_and_the_label_named() {
    let (tcp, port) = ((keys::TRANSPORT, "tcp"), (keys::SERVER_PORT, "22"));
    let address = (keys::SERVER_ADDRESS, "127.0.0.1");
    for (pairs, key) in [
        (vec![port, address], keys::TRANSPORT),
        (vec![(keys::TRANSPORT, "udp"), port], keys::SERVER_ADDRESS),
        (vec![tcp, port, address, (keys::NETWORK, "shop")], keys::NETWORK),
        (vec![tcp, address], keys::SERVER_PORT),
        (vec![tcp, port], keys::SERVER_ADDRESS),
    ] {
        let keys = vec![LabelKey::new(key).expect("a key")];
        assert_eq!(Destination::of(&labels(&pairs)), Err(Refusal::Label { keys }), "{pairs:?}");
    }
}

/// The same call, for datagrams.
fn for_datagrams(call: Call) -> Call {
    let Call::Dial { id, labels, scope } = call else { panic!("{call:?} is no dial") };
    let mut labels = labels.without(keys::TRANSPORT);
    labels.insert(keys::TRANSPORT, "udp").expect("a label");
    Call::Dial { id, labels, scope }
}

/// A socket that nobody is connected to, and where it is.
fn hear(address: &str) -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind((address, 0)).expect("loopback has room");
    let address = socket.local_addr().expect("it is bound");
    (socket, address)
}

fn assert_leads_to(dialled: TcpStream, listening: &UdpSocket) {
    let here = UdpSocket::from(OwnedFd::from(dialled));
    here.send(b"hello").expect("loopback carries it");
    let mut heard = [0; 9];
    let (length, from) = listening.recv_from(&mut heard).expect("it arrives");
    assert_eq!((&heard[..length], Some(from)), (b"hello".as_slice(), here.local_addr().ok()));
}

#[test]
fn datagrams_go_to_an_address_of_either_family() {
    alone(async {
        during(nobody(), EgressLimits::default(), async |far| {
            for loopback in ["127.0.0.1", "::1"] {
                let (listening, address) = hear(loopback);
                let (labels, socket) = dialled(far, &for_datagrams(by_address(1, address))).await;
                assert_eq!(labels, address_labels(address));
                assert_leads_to(socket, &listening);
            }
        })
        .await;
    });
}

#[test]
fn datagrams_go_by_name_to_the_first_address_with_a_route() {
    alone(async {
        let (listening, address) = hear("127.0.0.1");
        let answers = names(&[("a.example", &["224.0.0.1", "127.0.0.1"]), ("b.example", &["127.0.0.1"])]);
        during(answers, EgressLimits::default(), async |far| {
            let call = |name, scope| for_datagrams(by_name(1, name, address.port(), scope));
            let granted = only(&["224.0.0.0/4", "127.0.0.0/8"]);
            let (labels, socket) = dialled(far, &call("a.example", granted)).await;
            assert_eq!(labels, address_labels(address));
            assert_leads_to(socket, &listening);
            // A name may lead no further by datagrams than by streams.
            let refusal = refused(far, &call("b.example", only(&[]))).await;
            assert_eq!(refusal, Refusal::PrivateName { address: ip("127.0.0.1") });
            let refusal = refused(far, &call("gone.example", AddressScope::default())).await;
            assert_eq!(refusal, unreachable(UnreachableCause::NameNotFound));
        })
        .await;
    });
}

#[test]
fn datagrams_do_not_go_where_no_one_host_is() {
    alone(async {
        during(nobody(), EgressLimits::default(), async |far| {
            for address in ["0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255"] {
                let call = for_datagrams(by_address(1, SocketAddr::new(ip(address), 53)));
                let refusal = refused(far, &call).await;
                assert_eq!(refusal, unreachable(UnreachableCause::AddressNotAvailable), "{address}");
            }
        })
        .await;
    });
}

#[test]
fn a_refusal_of_the_kernel_is_passed_on() {
    alone(async {
        let (listener, address) = listen("127.0.0.1");
        drop(listener);
        during(nobody(), EgressLimits::default(), async |far| {
            assert_eq!(refused(far, &by_address(1, address)).await, unreachable(UnreachableCause::ConnectionRefused));
        })
        .await;
    });
}

/// The real clock, as the handshake with the second address is the kernel's. The exact times are those of [`race`].
#[test]
fn a_silent_address_does_not_hold_up_the_next() {
    alone(async {
        let hole = BlackHole::at("127.0.0.1");
        let (listener, address) = listen_at(SocketAddr::new(ip("127.0.0.2"), hole.address.port()));
        let answers = names(&[("a.example", &["127.0.0.1", "127.0.0.2"])]);
        let limits = EgressLimits { attempt_delay: Duration::from_millis(10), ..EgressLimits::default() };
        during(answers, limits, async |far| {
            let call = by_name(1, "a.example", address.port(), AddressScope::default());
            let (labels, socket) = dialled(far, &call).await;
            assert_eq!(labels, address_labels(address));
            assert_joined(socket, &listener);
        })
        .await;
    });
}

#[test]
fn a_dial_has_a_time_limit_and_so_has_its_lookup() {
    alone_on_paused_clock(async {
        let hole = BlackHole::at("127.0.0.1");
        let silent = Names::answered_by(|_| std::future::pending());
        during(silent, EgressLimits::default(), async |far| {
            for call in [by_address(1, hole.address), by_name(2, "a.example", 80, AddressScope::default())] {
                let start = Instant::now();
                assert_eq!(refused(far, &call).await, unreachable(UnreachableCause::TimedOut));
                assert!(start.elapsed() >= EgressLimits::default().dial_time);
            }
        })
        .await;
    });
}

#[test]
fn one_dial_too_many_is_refused_and_a_cancelled_one_makes_room() {
    alone(async {
        let hole = BlackHole::at("127.0.0.1");
        let (_listener, address) = listen("127.0.0.1");
        let limits = EgressLimits { dials: 2, ..EgressLimits::default() };
        during(nobody(), limits, async |far| {
            ask(far, &by_address(1, hole.address)).await;
            ask(far, &by_address(2, hole.address)).await;
            let limit = LimitKind::Dials;
            assert_eq!(refused(far, &by_address(3, address)).await, Refusal::Limit { limit });
            ask(far, &Call::Cancel { id: CallId(1) }).await;
            ask(far, &by_address(4, address)).await;
            assert!(matches!(next_reply(far).await, (CallId(4), ReplyBody::Dialled(_), Some(_))));
        })
        .await;
    });
}

#[test]
fn many_dials_at_once_all_succeed() {
    alone(async {
        let (listener, address) = listen("127.0.0.1");
        rustix::net::listen(&listener, 1024).expect("the queue can be made longer");
        during(nobody(), EgressLimits::default(), async |far| {
            let mut sockets = Vec::new();
            let asking = async {
                for id in 0..200 {
                    ask(far, &by_address(id, address)).await;
                }
            };
            let hearing = async {
                while sockets.len() < 200 {
                    match next_reply(far).await {
                        (id, ReplyBody::Dialled(_), Some(socket)) => sockets.push((id, socket)),
                        other => panic!("not dialled: {other:?}"),
                    }
                }
            };
            tokio::join!(asking, hearing);
            sockets.sort_by_key(|(id, _)| *id);
            sockets.dedup_by_key(|(id, _)| *id);
            assert_eq!(sockets.len(), 200);
        })
        .await;
    });
}

#[test]
fn calls_for_other_targets_end_the_egress() {
    alone(async {
        for call in [
            Call::Connection { labels: Labels::new(), datagrams: Vec::new() },
            Call::Lookup { id: CallId(1), labels: Labels::new() },
        ] {
            let (target, far) = target_channel();
            let gift = matches!(call, Call::Connection { .. }).then(|| far.as_fd());
            far.send(&call, gift).await.expect("there is room");
            let served = run_with(target, nobody(), EgressLimits::default()).await;
            assert!(matches!(served, Err(ServeError::Misdirected)), "{served:?}");
        }
    });
}

#[test]
fn what_is_no_call_ends_the_egress() {
    alone(async {
        let (target, far) = target_channel();
        fdpass::send(far.as_fd(), b"\xff\xff\xff", &[]).expect("there is room");
        let served = run_with(target, nobody(), EgressLimits::default()).await;
        assert!(matches!(served, Err(ServeError::Receive(_))), "{served:?}");
    });
}
