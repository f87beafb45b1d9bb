//! How long a decision takes among 1, 1,000 and 100,000 targets of several kinds: `cargo xtask bench --parts`.

use cord_bench::decision::{Decision, Others};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

const SIZES: [u32; 3] = [1, 1_000, 100_000];

fn decide(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decide");
    for others in Others::ALL {
        for size in SIZES {
            let mut decision = Decision::among(others, size);
            group.bench_function(BenchmarkId::new(others.name(), size), |bencher| bencher.iter(|| decision.decide()));
        }
    }
    group.finish();
}

criterion_group!(benches, decide);
criterion_main!(benches);
