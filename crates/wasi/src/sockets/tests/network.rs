//! Which questions a guest's network asks, in which order, and what is told of the answers.

use capability::{LimitKind, Refusal, UnreachableCause};
use protocol::message::{Failure, ResponseBody};

use super::{Answer, World, addresses, any_pair, at, refused, unreachable};
use crate::sockets::fault::Fault;
use crate::sockets::network::{Lookup, Network};
use crate::sockets::ports::Transport;

const BY_ADDRESS: &str = "connect network=outside server_address=10.0.0.1 server_port=22 transport=tcp";
const BY_NAME: &str = "connect network=outside server_hostname=a.example.com server_port=22 transport=tcp";
const LOOKUP: &str = "resolve network=outside server_hostname=a.example.com";

async fn connect(network: &Network, address: &str) -> Result<(), Fault> {
    network.connect(Transport::Tcp, at(address)).await.map(drop)
}

async fn lookup(network: &Network, name: &str) -> Result<Vec<String>, Fault> {
    let addresses = match network.lookup(name)? {
        Lookup::Known(addresses) => addresses,
        Lookup::Asked(mut pending) => {
            std::future::poll_fn(|cx| pending.poll_ready(cx)).await;
            pending.take().unwrap()?
        }
    };
    Ok(addresses.iter().map(ToString::to_string).collect())
}

/// Knows `a.example.com`; what it says to a connection by name and to one by address is the test's.
fn world(by_name: fn() -> Answer, by_address: fn() -> Answer) -> World {
    World::new(move |request| match request {
        LOOKUP => addresses(&["10.0.0.1", "2001:db8::1"]),
        BY_NAME => by_name(),
        BY_ADDRESS => by_address(),
        other => panic!("asked to {other}"),
    })
}

fn no_grant() -> Answer {
    refused(Refusal::Grant)
}

#[tokio::test]
async fn an_address_is_asked_for_as_such() {
    let world = World::new(|_| any_pair());
    connect(&world.network, "10.0.0.1:22").await.unwrap();
    connect(&world.network, "[2001:db8::1]:443").await.unwrap();
    let ipv6 = "connect network=outside server_address=2001:db8::1 server_port=443 transport=tcp";
    assert_eq!(world.asked(), [BY_ADDRESS, ipv6]);
    assert_eq!(world.denials(), [""; 0]);
}

#[tokio::test]
async fn an_address_that_was_looked_up_is_asked_for_by_name() {
    let world = world(any_pair, no_grant);
    assert_eq!(lookup(&world.network, "A.example.com.").await.unwrap(), ["10.0.0.1", "2001:db8::1"]);
    connect(&world.network, "10.0.0.1:22").await.unwrap();
    assert_eq!(world.asked(), [LOOKUP, BY_NAME]);
}

#[tokio::test]
async fn without_a_grant_for_the_name_the_address_is_tried() {
    let world = world(no_grant, any_pair);
    lookup(&world.network, "a.example.com").await.unwrap();
    connect(&world.network, "10.0.0.1:22").await.unwrap();
    assert_eq!(world.asked(), [LOOKUP, BY_NAME, BY_ADDRESS]);
    assert_eq!(world.denials(), [""; 0]);
}

#[tokio::test]
async fn of_two_refusals_the_first_is_told() {
    let world = world(no_grant, no_grant);
    lookup(&world.network, "a.example.com").await.unwrap();
    assert_eq!(connect(&world.network, "10.0.0.1:22").await, Err(Fault::AccessDenied));
    assert_eq!(world.asked(), [LOOKUP, BY_NAME, BY_ADDRESS]);
    assert_eq!(world.denials(), ["connect to a.example.com:22 denied: no grant covers it"]);
}

#[tokio::test]
async fn a_granted_name_that_fails_is_not_tried_by_address() {
    let world = world(|| unreachable(UnreachableCause::ConnectionRefused), any_pair);
    lookup(&world.network, "a.example.com").await.unwrap();
    assert_eq!(connect(&world.network, "10.0.0.1:22").await, Err(Fault::ConnectionRefused));
    assert_eq!(world.asked(), [LOOKUP, BY_NAME]);
    assert_eq!(world.denials(), [""; 0], "a peer that is down is not the sandbox's doing");
}

#[tokio::test]
async fn a_private_name_is_told_with_its_address() {
    let refuse = || refused(Refusal::PrivateName { address: "10.0.0.1".parse().unwrap() });
    let world = world(refuse, any_pair);
    lookup(&world.network, "a.example.com").await.unwrap();
    assert_eq!(connect(&world.network, "10.0.0.1:22").await, Err(Fault::AccessDenied));
    let [denial] = &world.denials()[..] else { panic!("{:?}", world.denials()) };
    assert!(denial.starts_with("connect to a.example.com:22 denied: the name leads to 10.0.0.1"), "{denial}");
}

#[tokio::test]
async fn a_service_is_reached_by_its_name() {
    let world = World::new(|request| match request {
        "resolve network=shop server_hostname=db" => addresses(&[]),
        "resolve network=shop server_hostname=gone" => refused(Refusal::NotFound),
        "connect network=shop server_hostname=db server_port=5432 transport=tcp" => any_pair(),
        other => panic!("asked to {other}"),
    });
    let found = lookup(&world.network, "db").await.unwrap();
    assert_eq!(found, ["198.18.0.1", "fdc0:7264:b0a2::1"]);
    connect(&world.network, "198.18.0.1:5432").await.unwrap();
    connect(&world.network, "[fdc0:7264:b0a2::1]:5432").await.unwrap();
    assert_eq!(lookup(&world.network, "gone").await, Err(Fault::NameUnresolvable));
    assert_eq!(world.denials(), [""; 0]);
}

#[tokio::test]
async fn localhost_is_known_and_asked_for_by_address() {
    let world = World::new(|_| any_pair());
    for name in ["localhost", "LOCALHOST.", "www.localhost"] {
        assert_eq!(lookup(&world.network, name).await.unwrap(), ["127.0.0.1", "::1"]);
    }
    assert_eq!(lookup(&world.network, "192.0.2.7").await.unwrap(), ["192.0.2.7"]);
    connect(&world.network, "127.0.0.1:22").await.unwrap();
    let expected = "connect network=outside server_address=127.0.0.1 server_port=22 transport=tcp";
    assert_eq!(world.asked(), [expected]);
}

#[tokio::test]
async fn a_lookup_fails_as_it_was_refused() {
    let check = async |refusal: Refusal, fault: Fault, denial: Option<&str>| {
        let world = World::new(move |_| refused(refusal.clone()));
        assert_eq!(lookup(&world.network, "a.example.com").await, Err(fault));
        assert_eq!(world.denials(), denial.into_iter().collect::<Vec<_>>());
    };
    check(Refusal::Grant, Fault::AccessDenied, Some("lookup of a.example.com denied: no grant covers it")).await;
    check(Refusal::NotFound, Fault::NameUnresolvable, None).await;
    let cause = UnreachableCause::NameTemporary;
    check(Refusal::Unreachable { cause }, Fault::TemporaryResolverFailure, None).await;
    let limit = LimitKind::Dials;
    let denial = "lookup of a.example.com denied: too many dials or lookups are under way";
    check(Refusal::Limit { limit }, Fault::NewSocketLimit, Some(denial)).await;
}

#[tokio::test]
async fn no_name_is_nobody_asked() {
    let world = World::new(|_| any_pair());
    for name in ["", "a b", "127.1", "a..b"] {
        assert_eq!(lookup(&world.network, name).await, Err(Fault::InvalidArgument), "{name:?}");
    }
    assert_eq!(world.asked(), [""; 0]);
}

#[tokio::test]
async fn without_a_network_nothing_is_reached_and_all_is_told() {
    let world = World::without_network();
    assert_eq!(connect(&world.network, "127.0.0.1:22").await, Err(Fault::AccessDenied));
    assert_eq!(connect(&world.network, "[::1]:22").await, Err(Fault::AccessDenied));
    assert_eq!(lookup(&world.network, "example.com").await, Err(Fault::AccessDenied));
    assert_eq!(
        world.denials(),
        [
            "connect to 127.0.0.1:22 denied: it has no access to the network",
            "connect to [::1]:22 denied: it has no access to the network",
            "lookup of example.com denied: it has no access to the network",
        ]
    );
}

#[tokio::test]
async fn a_switchboard_that_is_gone_is_told() {
    let mut world = World::new(|_| any_pair());
    world.end().await;
    assert_eq!(connect(&world.network, "127.0.0.1:22").await, Err(Fault::RemoteUnreachable));
    assert_eq!(world.denials(), ["connect to 127.0.0.1:22 denied: the switchboard is gone"]);
}

#[tokio::test]
async fn a_switchboard_that_failed_is_told() {
    let world = World::new(|_| (ResponseBody::Failed(Failure::Fault), None));
    assert_eq!(connect(&world.network, "127.0.0.1:22").await, Err(Fault::RemoteUnreachable));
    assert_eq!(world.denials().len(), 1);
}
