//! How long a decision takes among 1, 1,000 and 100,000 targets: `cargo xtask bench`.
//!
//! Each figure is the judgement of the capability and the choice of the directory together, for a request by a handle
//! with labels of its own and a layer of grants, as a guest has.

use capability::{Capability, Constraint, Grant, Labels, Pattern, Right, Rights, right};
use core::hint::black_box;
use core::time::Duration;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use switchboard_core::Directory;

const SIZES: [u32; 3] = [1, 1_000, 100_000];

fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::try_from_pairs(pairs.iter().copied()).expect("labels of the benchmark")
}

/// A guest of the application `shop`, which may connect to every service of it.
fn guest() -> Capability {
    let grant = Grant::new(Right::ClientConnect)
        .with("network", Pattern::exact("shop").expect("a value"))
        .and_then(|grant| grant.with("server_hostname", Pattern::Any));
    let constraint = Constraint {
        rights: Rights::only(Right::ClientConnect),
        in_labels: labels(&[("network", "shop")]),
        out_labels: labels(&[("client_service", "web"), ("client_instance", "7")]),
        grants: Some(vec![grant.expect("a grant")]),
    };
    Capability::root().constrain(&constraint).expect("a weaker capability")
}

/// A directory with the wanted service and `others`, whose labels `other` makes.
fn directory(wanted: &Labels, others: u32, other: impl Fn(u32) -> Labels) -> Directory {
    let mut directory = Directory::new();
    let mut register = |labels: &Labels| {
        let permit = Capability::root().permit::<right::ServerStart>(labels);
        directory.register(&permit.expect("the root may register"));
    };
    register(wanted);
    (1..others).for_each(|number| register(&other(number)));
    directory
}

fn decide(criterion: &mut Criterion) {
    let service = |name: &str| labels(&[("network", "shop"), ("server_hostname", name)]);
    let with_color = |name: &str, number: u32| {
        let number = number.to_string();
        labels(&[("network", "shop"), ("server_hostname", name), ("color", &number), ("rack", "1")])
    };
    let wanted = service("wanted");
    // Every target has the keys of the request, and other values.
    let exact = |size| directory(&wanted, size, |number| service(&format!("s{number}")));
    // The request lacks two keys that the targets have.
    let lacking = |size| {
        let others = |number| with_color(&format!("s{number}"), number);
        directory(&with_color("wanted", 0), size, others)
    };
    // No other target can match: each is of another network and has a reserved label that the request lacks.
    let unreachable = |size| {
        let other = |number: u32| {
            let (network, port) = (format!("n{number}"), (number % 65_535 + 1).to_string());
            labels(&[("network", &network), ("server_hostname", "wanted"), ("server_port", &port)])
        };
        directory(&wanted, size, other)
    };
    // All are replicas of the wanted one.
    let replicas = |size| directory(&wanted, size, |_| wanted.clone());
    // A hundred different sets of keys.
    let key_sets = |size| {
        let other = |number: u32| {
            let (key, name) = (format!("key{}", number % 100), format!("s{number}"));
            labels(&[("network", "shop"), ("server_hostname", &name), (&key, "1")])
        };
        directory(&wanted, size, other)
    };
    let shapes: [(&str, &dyn Fn(u32) -> Directory); 5] = [
        ("exact", &exact),
        ("lacking two keys", &lacking),
        ("cannot match", &unreachable),
        ("replicas", &replicas),
        ("100 key sets", &key_sets),
    ];
    let (guest, request) = (guest(), service("wanted"));
    let mut group = criterion.benchmark_group("decide");
    for (shape, make) in shapes {
        for size in SIZES {
            let mut directory = make(size);
            group.bench_function(BenchmarkId::new(shape, size), |bencher| {
                bencher.iter(|| {
                    let permit = guest.permit::<right::ClientConnect>(black_box(&request));
                    let permit = permit.expect("the grant covers it");
                    directory.connect(&permit, Duration::ZERO).expect("the wanted one is there")
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, decide);
criterion_main!(benches);
