//! x
use crate::flower::rights;
use capability::Right;
use cord_tests::board::Board;
use cord_tests::process::Running;
use cord_tests::wait;
use rustix::process::Signal;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

fn rival(handle: OwnedFd, words: &[&str]) -> Running {
    Running::start(
        Command::new(env!("CARGO_BIN_EXE_rival")).args(words).stdin(Stdio::from(handle)).stderr(Stdio::inherit()),
    )
}

fn median(board: &Board) -> f64 {
    let out = rival(board.connect(), &["measure", "300", "service=db"]).wait();
    out.expect_code(0);
    let mut all: Vec<f64> = out.text().lines().map(|l| l.parse::<f64>().unwrap() / 1000.0).collect();
    all.sort_by(f64::total_cmp);
    println!(
        "   p10 {:.1} p50 {:.1} p90 {:.1} p99 {:.1}",
        all[all.len() / 10],
        all[all.len() / 2],
        all[all.len() * 9 / 10],
        all[all.len() * 99 / 100]
    );
    all[all.len() / 2]
}

#[test]
fn probe() {
    for kind in ["one", "many", "deaf", "large"] {
        let board = Board::start();
        let guest = wait::run(async {
            let root = board.handle();
            let c = capability::Constraint {
                rights: rights([Right::ClientConnect]),
                grants: Some(vec![]),
                ..Default::default()
            };
            root.constrain(&c).await.unwrap()
        });
        let flooder = rival(guest, &["flood", kind, "service=none"]);
        std::thread::sleep(std::time::Duration::from_millis(500));
        for _ in 0..3 {
            flooder.signal(Signal::STOP);
            std::thread::sleep(std::time::Duration::from_millis(100));
            let quiet = median(&board);
            flooder.signal(Signal::CONT);
            std::thread::sleep(std::time::Duration::from_millis(100));
            let flood = median(&board);
            println!("{kind}: quiet {quiet:.1} flood {flood:.1} ratio {:.2}", flood / quiet);
        }
    }
}
