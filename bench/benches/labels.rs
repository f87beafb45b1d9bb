//! What every request does besides the decision: its labels are merged with those of the handle, and its bytes are made and
//! read: `cargo xtask bench --parts labels`.

use capability::{Labels, keys};
use criterion::{Criterion, criterion_group, criterion_main};
use protocol::Message;
use protocol::message::{Request, RequestBody, RequestId};
use std::hint::black_box;

/// As a guest's `connect` has them.
const WANTED: [(&str, &str); 4] = [
    (keys::SERVER_ADDRESS, "10.9.8.7"),
    (keys::NETWORK, keys::OUTSIDE),
    (keys::TRANSPORT, "tcp"),
    (keys::SERVER_PORT, "5432"),
];

fn labels(criterion: &mut Criterion) {
    let wanted = Labels::try_from_pairs(WANTED).expect("they are labels");
    let own = Labels::try_from_pairs([(keys::CLIENT_SERVICE, "shop")]).expect("it is a label");
    let other = Labels::try_from_pairs([(keys::TRANSPORT, "udp")]).expect("it is a label");
    let mut group = criterion.benchmark_group("labels");
    group.bench_function("made", |bencher| bencher.iter(|| Labels::try_from_pairs(black_box(WANTED))));
    group.bench_function("merged", |bencher| bencher.iter(|| own.merge(black_box(&wanted))));
    group.bench_function("contradict", |bencher| bencher.iter(|| other.merge(black_box(&wanted))));
    group.finish();

    let request = Request { id: RequestId(7), body: RequestBody::ClientConnect(wanted) };
    let bytes = request.encode().expect("it fits");
    let mut group = criterion.benchmark_group("request");
    group.bench_function("encoded", |bencher| bencher.iter(|| black_box(&request).encode()));
    group.bench_function("decoded", |bencher| bencher.iter(|| Request::decode(black_box(&bytes))));
    group.finish();
}

criterion_group!(benches, labels);
criterion_main!(benches);
