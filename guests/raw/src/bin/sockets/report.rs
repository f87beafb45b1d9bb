//! Prints one line for each check and remembers whether any failed.

use std::fmt::Debug;
use wasip2::sockets::network::ErrorCode;

/// The checks so far.
#[derive(Default)]
pub struct Report {
    failures: usize,
    granted: bool,
}

impl Report {
    /// Where everything is granted, what only holds without a grant is left out.
    pub fn with_grants() -> Self {
        Self { failures: 0, granted: true }
    }

    /// Whether nothing is granted.
    pub fn is_ungranted(&self) -> bool {
        !self.granted
    }

    /// Whether any check failed.
    pub fn failed(&self) -> bool {
        self.failures > 0
    }

    /// `got` must be `want`.
    pub fn equal<T: PartialEq + Debug>(&mut self, name: &str, got: T, want: T) {
        self.line(name, got == want, &format!("{got:?}"), &format!("{want:?}"));
    }

    /// The call must succeed.
    pub fn ok<T>(&mut self, name: &str, got: Result<T, ErrorCode>) {
        self.error(name, got, "ok");
    }

    /// The call must fail with the error code `want`, as it is spelled in the interface.
    pub fn error<T>(&mut self, name: &str, got: Result<T, ErrorCode>, want: &str) {
        self.one_of(name, got, &[want]);
    }

    /// The call must answer one of `want` (error codes, or `ok`), where the interface leaves the choice.
    pub fn one_of<T>(&mut self, name: &str, got: Result<T, ErrorCode>, want: &[&str]) {
        let got = answer(&got);
        self.line(name, want.contains(&got), got, &want.join(" or "));
    }

    fn line(&mut self, name: &str, passed: bool, got: &str, want: &str) {
        if passed {
            println!("ok {name}");
        } else {
            self.failures += 1;
            println!("FAIL {name}: got {got} want {want}");
        }
    }
}

fn answer<T>(result: &Result<T, ErrorCode>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(code) => code.name(),
    }
}
