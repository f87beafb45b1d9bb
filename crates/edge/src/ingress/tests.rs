//! Accepted sockets reach the switchboard with true labels, and what is refused is closed.

use super::*;
use crate::testing::{NoDescriptors, alone, alone_on_paused_clock, connect, ip, listen, saw_nobody};
use capability::{LimitKind, Refusal, UnreachableCause, keys};
use channel::Channel;
use protocol::message::{Failure, Request, RequestBody, RequestId, Response, ResponseBody};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream as StdStream};
use tokio::time::error::Elapsed;
use tokio::time::timeout;

/// The fake switchboard's end of a handle.
type FarEnd = Channel<Request, Response>;

const LIMITS: IngressLimits =
    IngressLimits { pushes: 2, push_time: Duration::from_secs(8), start_time: Duration::from_secs(3) };

fn handle() -> (Handle, FarEnd) {
    let (near, far) = fdpass::pair().expect("a pair of sockets can be made");
    let handle = Handle::new(near).expect("it is a seqpacket socket");
    (handle, Channel::new(far).expect("it is a seqpacket socket"))
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::try_from_pairs(pairs.iter().copied()).expect("they are labels")
}

/// Runs an ingress on `listener` beside `test`, which has the switchboard's end.
async fn during(listener: std::net::TcpListener, own: &[(&str, &str)], test: impl AsyncFnOnce(&FarEnd)) {
    let (handle, far) = handle();
    tokio::select! {
        ended = run(listener, handle, labels(own), LIMITS, watch::channel(false).1) => panic!("the ingress ended: {ended:?}"),
        () = test(&far) => {}
    }
}

/// The next push: its number, its labels, its socket.
async fn next_push(far: &FarEnd) -> (RequestId, Labels, OwnedFd) {
    match far.receive().await.expect("it is a request").expect("the ingress is there") {
        (Request { id, body: RequestBody::IngressConnect { labels, .. } }, Some(socket)) => (id, labels, socket),
        other => panic!("no push: {other:?}"),
    }
}

/// On a paused clock: none comes, however long one waits short of a push's time limit.
async fn no_push(far: &FarEnd) -> bool {
    let waited: Result<_, Elapsed> = timeout(LIMITS.push_time / 4, far.receive()).await;
    waited.is_err()
}

async fn respond(far: &FarEnd, id: RequestId, body: ResponseBody) {
    far.send(&Response { id, body }, None).await.expect("the ingress reads");
}

async fn deliver(far: &FarEnd, id: RequestId) {
    respond(far, id, ResponseBody::Delivered(Labels::new())).await;
}

/// The labels that the socket of this client must have.
fn expected(client: &StdStream, own: &[(&str, &str)]) -> Labels {
    let (here, there) = (client.local_addr(), client.peer_addr());
    let (here, there) = (here.expect("connected"), there.expect("connected"));
    let mut all = labels(own);
    for (key, value) in [
        ("transport", "tcp".to_owned()),
        ("client_address", here.ip().to_string()),
        ("client_port", here.port().to_string()),
        ("server_address", there.ip().to_string()),
        ("server_port", there.port().to_string()),
    ] {
        all.insert(key, &value).expect("a label");
    }
    all
}

/// Both sockets are ends of one connection.
fn assert_joined(client: &mut StdStream, pushed: OwnedFd) {
    let mut server = StdStream::from(pushed);
    server.write_all(b"hello").expect("the stream takes bytes");
    let mut heard = [0; 5];
    client.read_exact(&mut heard).expect("the bytes arrive");
    assert_eq!(&heard, b"hello");
}

/// The ingress has let go of the connection of this client, or is about to: nothing is said, and no more will be.
async fn assert_closed(client: StdStream) {
    let end = end_of(client).await;
    assert!(matches!(end, Ok(0)), "{end:?}");
}

/// The ingress has refused the connection of this client, or is about to, and the client can tell.
async fn assert_reset(client: StdStream) {
    let end = end_of(client).await.map_err(|error| error.kind());
    assert_eq!(end, Err(io::ErrorKind::ConnectionReset));
}

/// What a client of which nothing is read sees in the end.
async fn end_of(client: StdStream) -> io::Result<usize> {
    client.set_nonblocking(true).expect("the mode can be set");
    let client = TcpStream::from_std(client).expect("it is a socket");
    loop {
        client.readable().await.expect("it is open on this side");
        match client.try_read(&mut [0]) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            end => break end,
        }
    }
}

#[test]
fn a_connection_is_pushed_with_the_labels_of_both_ends() {
    alone(async {
        for loopback in ["127.0.0.1", "::1"] {
            let listener = bind(SocketAddr::new(ip(loopback), 0)).expect("loopback can be listened on");
            let address = listener.local_addr().expect("it has an address");
            let own = [("service", "web"), ("network", "shop")];
            during(listener, &own, async |far| {
                let mut client = connect(address);
                let (id, labels, socket) = next_push(far).await;
                assert_eq!(labels, expected(&client, &own));
                assert_joined(&mut client, socket);
                deliver(far, id).await;
            })
            .await;
        }
    });
}

#[test]
fn an_ipv4_client_of_an_ipv6_listener_has_an_ipv4_address() {
    alone(async {
        let (listener, mapped) = listen("::ffff:127.0.0.1");
        let address = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), mapped.port());
        during(listener, &[], async |far| {
            let client = connect(address);
            let (_, labels, _) = next_push(far).await;
            assert_eq!(labels, expected(&client, &[]));
        })
        .await;
    });
}

#[test]
fn a_refused_push_resets_the_connection_and_the_next_is_taken() {
    alone(async {
        let (listener, address) = listen("127.0.0.1");
        during(listener, &[], async |far| {
            for failure in [Failure::Refused(Refusal::Grant), Failure::Fault] {
                let refused = connect(address);
                let (id, _, socket) = next_push(far).await;
                drop(socket);
                respond(far, id, ResponseBody::Failed(failure)).await;
                let mut client = connect(address);
                let (id, _, socket) = next_push(far).await;
                assert_reset(refused).await;
                assert_joined(&mut client, socket);
                deliver(far, id).await;
            }
        })
        .await;
    });
}

#[test]
fn a_delivered_connection_outlives_the_ingress() {
    alone(async {
        let (listener, address) = listen("127.0.0.1");
        let mut kept = None;
        during(listener, &[], async |far| {
            let client = connect(address);
            let (id, _, socket) = next_push(far).await;
            deliver(far, id).await;
            kept = Some((client, socket));
        })
        .await;
        let (mut client, socket) = kept.expect("one was pushed");
        assert_joined(&mut client, socket);
    });
}

#[test]
fn no_more_than_the_limit_are_on_their_way_and_none_is_lost() {
    alone_on_paused_clock(async {
        let (listener, address) = listen("127.0.0.1");
        during(listener, &[], async |far| {
            let mut clients: Vec<StdStream> = (0..5).map(|_| connect(address)).collect();
            let first = next_push(far).await;
            let second = next_push(far).await;
            assert!(no_push(far).await);
            let mut pushed = vec![first, second];
            while pushed.len() < clients.len() {
                deliver(far, pushed[pushed.len() - 2].0).await;
                pushed.push(next_push(far).await);
                assert!(no_push(far).await);
            }
            for (client, (_, labels, socket)) in clients.iter_mut().zip(pushed) {
                assert_eq!(labels, expected(client, &[]));
                assert_joined(client, socket);
            }
        })
        .await;
    });
}

#[test]
fn a_push_that_is_not_answered_for_is_given_up() {
    alone_on_paused_clock(async {
        let (listener, address) = listen("127.0.0.1");
        during(listener, &[], async |far| {
            let mut clients: Vec<StdStream> = (0..3).map(|_| connect(address)).collect();
            for _ in 0..LIMITS.pushes {
                drop(next_push(far).await);
            }
            let start = Instant::now();
            let (_, labels, _socket) = next_push(far).await;
            assert!(start.elapsed() >= LIMITS.push_time / 2, "{:?}", start.elapsed());
            assert_eq!(labels, expected(&clients[2], &[]));
            for given_up in clients.drain(..LIMITS.pushes) {
                assert_closed(given_up).await;
            }
        })
        .await;
    });
}

#[test]
fn a_connection_that_contradicts_the_labels_of_the_ingress_is_closed() {
    alone_on_paused_clock(async {
        let (listener, address) = listen("127.0.0.1");
        during(listener, &[("client_address", "192.0.2.1")], async |far| {
            let client = connect(address);
            assert!(no_push(far).await);
            assert_reset(client).await;
        })
        .await;
    });
}

#[test]
fn the_labels_of_the_ingress_name_the_server_inside() {
    alone(async {
        let (listener, address) = listen("127.0.0.1");
        let own = [("network", "web"), ("server_port", "80")];
        during(listener, &own, async |far| {
            let client = connect(address);
            let (_, labels, _) = next_push(far).await;
            let outside = expected(&client, &[]).without(keys::SERVER_PORT);
            let inside = Labels::try_from_pairs(own).expect("labels");
            assert_eq!(labels, outside.merge(&inside).expect("they agree"));
        })
        .await;
    });
}

/// What makes a connection wait for its turn.
const NO_ROOM: [Refusal; 4] = [
    Refusal::Limit { limit: LimitKind::Backlog },
    Refusal::Limit { limit: LimitKind::Descriptors },
    Refusal::Limit { limit: LimitKind::Requests },
    Refusal::Unreachable { cause: UnreachableCause::TargetGone },
];

async fn refuse(far: &FarEnd, id: RequestId, refusal: Refusal) {
    respond(far, id, ResponseBody::Failed(Failure::Refused(refusal))).await;
}

#[test]
fn a_full_server_is_asked_again_until_it_takes_the_connection() {
    alone_on_paused_clock(async {
        let (listener, address) = listen("127.0.0.1");
        during(listener, &[], async |far| {
            let mut client = connect(address);
            // Far longer than a push may take, or a server may take to start.
            let start = Instant::now();
            let mut times = 0_usize;
            while start.elapsed() < 4 * LIMITS.push_time {
                let (id, _, _) = next_push(far).await;
                refuse(far, id, NO_ROOM[times % NO_ROOM.len()].clone()).await;
                times += 1;
            }
            assert!((300..400).contains(&times), "asked {times} times");
            let (id, labels, socket) = next_push(far).await;
            assert_eq!(labels, expected(&client, &[]));
            assert_joined(&mut client, socket);
            deliver(far, id).await;
        })
        .await;
    });
}

#[test]
fn one_asks_for_all_that_wait_and_they_keep_their_order() {
    alone_on_paused_clock(async {
        let (listener, address) = listen("127.0.0.1");
        let watched = listener.try_clone().expect("there are descriptors");
        during(listener, &[], async |far| {
            let mut clients: Vec<StdStream> = (0..5).map(|_| connect(address)).collect();
            let (first, second) = (next_push(far).await, next_push(far).await);
            for (id, _, socket) in [second, first] {
                drop(socket);
                refuse(far, id, NO_ROOM[0].clone()).await;
            }
            // The first alone asks, again and again, and nobody else is accepted.
            for _ in 0..20 {
                let (id, labels, _) = next_push(far).await;
                assert_eq!(labels, expected(&clients[0], &[]));
                refuse(far, id, NO_ROOM[0].clone()).await;
            }
            for client in &mut clients {
                let (id, labels, socket) = next_push(far).await;
                assert_eq!(labels, expected(client, &[]));
                assert_joined(client, socket);
                deliver(far, id).await;
            }
        })
        .await;
        assert!(saw_nobody(&watched), "all were taken by the ingress");
    });
}

#[test]
fn a_client_that_breaks_off_waits_no_longer() {
    alone_on_paused_clock(async {
        let (listener, address) = listen("127.0.0.1");
        during(listener, &[], async |far| {
            let (impatient, mut patient) = (connect(address), connect(address));
            for _ in 0..2 {
                let (id, _, _) = next_push(far).await;
                refuse(far, id, NO_ROOM[0].clone()).await;
            }
            // One closes what it has not read, which is an end with a reset; one has said all it will say.
            rustix::net::sockopt::set_socket_linger(&impatient, Some(Duration::ZERO)).expect("an option of TCP");
            drop(impatient);
            patient.shutdown(std::net::Shutdown::Write).expect("it is connected");
            let (id, labels, socket) = next_push(far).await;
            assert_eq!(labels, expected(&patient, &[]));
            assert_joined(&mut patient, socket);
            deliver(far, id).await;
        })
        .await;
    });
}

#[test]
fn a_connection_waits_for_a_server_that_starts() {
    alone_on_paused_clock(async {
        let (listener, address) = listen("127.0.0.1");
        during(listener, &[], async |far| {
            let mut client = connect(address);
            let start = Instant::now();
            while start.elapsed() < LIMITS.start_time / 2 {
                let (id, _, _) = next_push(far).await;
                refuse(far, id, Refusal::NotFound).await;
            }
            let (id, _, socket) = next_push(far).await;
            assert_joined(&mut client, socket);
            deliver(far, id).await;
            // A server was there: that none is any more is told at once.
            let late = connect(address);
            let (id, _, socket) = next_push(far).await;
            drop(socket);
            refuse(far, id, Refusal::NotFound).await;
            assert!(no_push(far).await);
            assert_reset(late).await;
        })
        .await;
    });
}

#[test]
fn a_connection_to_a_server_that_never_starts_is_reset() {
    alone_on_paused_clock(async {
        let (listener, address) = listen("127.0.0.1");
        during(listener, &[], async |far| {
            let (client, start) = (connect(address), Instant::now());
            let asked = timeout(4 * LIMITS.start_time, async {
                loop {
                    let (id, _, _) = next_push(far).await;
                    refuse(far, id, Refusal::NotFound).await;
                    if start.elapsed() >= LIMITS.start_time {
                        break;
                    }
                }
            });
            asked.await.expect("it is asked until the time is over");
            assert!(no_push(far).await);
            assert_reset(client).await;
        })
        .await;
    });
}

#[test]
fn an_ingress_ends_when_its_switchboard_is_gone() {
    alone(async {
        let (listener, address) = listen("127.0.0.1");
        let (handle, far) = handle();
        drop(far);
        let client = connect(address);
        let ended = run(listener, handle, Labels::new(), LIMITS, watch::channel(false).1).await;
        assert!(matches!(ended, Err(IngressError::Switchboard(RequestError::Gone))), "{ended:?}");
        assert_closed(client).await;
    });
}

#[test]
fn an_ingress_that_is_stopped_turns_nobody_away_who_got_through() {
    alone(async {
        let (listener, address) = listen("127.0.0.1");
        let (handle, far) = handle();
        let (stop, stopping) = watch::channel(false);
        // More than are pushed at a time.
        let mut clients: Vec<StdStream> = (0..5).map(|_| connect(address)).collect();
        stop.send_replace(true);
        let serving = async {
            for client in &mut clients {
                let (id, labels, socket) = next_push(&far).await;
                assert_eq!(labels, expected(client, &[]));
                assert_joined(client, socket);
                deliver(&far, id).await;
            }
        };
        let (ended, ()) = tokio::join!(run(listener, handle, Labels::new(), LIMITS, stopping), serving);
        assert!(matches!(ended, Ok(())), "{ended:?}");
        let late = StdStream::connect_timeout(&address, Duration::from_secs(1)).map(drop);
        assert_eq!(late.map_err(|error| error.kind()), Err(io::ErrorKind::ConnectionRefused));
    });
}

#[test]
fn an_ingress_that_is_stopped_waits_for_a_busy_server() {
    alone_on_paused_clock(async {
        let (listener, address) = listen("127.0.0.1");
        let (handle, far) = handle();
        let (stop, stopping) = watch::channel(false);
        let mut client = connect(address);
        let serving = async {
            let (id, ..) = next_push(&far).await;
            stop.send_replace(true);
            refuse(&far, id, Refusal::Limit { limit: LimitKind::Backlog }).await;
            let (id, _, socket) = next_push(&far).await;
            assert_joined(&mut client, socket);
            deliver(&far, id).await;
        };
        let (ended, ()) = tokio::join!(run(listener, handle, Labels::new(), LIMITS, stopping), serving);
        assert!(matches!(ended, Ok(())), "{ended:?}");
    });
}

#[test]
fn an_ingress_without_descriptors_waits_until_there_are_some() {
    alone_on_paused_clock(async {
        let (listener, address) = listen("127.0.0.1");
        let watched = listener.try_clone().expect("there are descriptors yet");
        let mut client = connect(address);
        during(listener, &[], async |far| {
            let no_descriptors = NoDescriptors::left();
            assert!(no_push(far).await);
            drop(no_descriptors);
            let (id, labels, socket) = next_push(far).await;
            assert_eq!(labels, expected(&client, &[]));
            assert_joined(&mut client, socket);
            deliver(far, id).await;
        })
        .await;
        assert!(saw_nobody(&watched), "the one connection was taken by the ingress");
    });
}

#[test]
fn a_flood_waits_in_the_kernel() {
    alone(async {
        let listener = bind(SocketAddr::new(ip("127.0.0.1"), 0)).expect("loopback can be listened on");
        let address = listener.local_addr().expect("it has an address");
        // Beyond the backlog a connect that does not wait would not be through at once.
        let flood = (0..300).map(|_| StdStream::connect_timeout(&address, Duration::from_millis(900)));
        let flood: Result<Vec<StdStream>, io::Error> = flood.collect();
        assert_eq!(flood.expect("the backlog holds them").len(), 300);
    });
}

#[test]
fn an_address_that_is_taken_cannot_be_listened_on() {
    alone(async {
        let (_listener, address) = listen("127.0.0.1");
        let taken = bind(address).map(drop);
        assert_eq!(taken.map_err(|error| error.kind()), Err(io::ErrorKind::AddrInUse));
    });
}

#[test]
fn a_failed_accept_is_about_the_connection_the_machine_or_the_listener() {
    for (errno, trouble) in [
        (Errno::CONNABORTED, AcceptTrouble::Connection),
        (Errno::PERM, AcceptTrouble::Connection),
        (Errno::PROTO, AcceptTrouble::Connection),
        (Errno::HOSTUNREACH, AcceptTrouble::Connection),
        (Errno::MFILE, AcceptTrouble::Scarcity),
        (Errno::NFILE, AcceptTrouble::Scarcity),
        (Errno::NOBUFS, AcceptTrouble::Scarcity),
        (Errno::NOMEM, AcceptTrouble::Scarcity),
        (Errno::INVAL, AcceptTrouble::Listener),
        (Errno::BADF, AcceptTrouble::Listener),
        (Errno::NOTSOCK, AcceptTrouble::Listener),
    ] {
        assert_eq!(AcceptTrouble::of(&errno.into()), trouble, "{errno}");
    }
}
