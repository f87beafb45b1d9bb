//! Prints one line for each check and remembers whether any failed.

use crate::Code;
use std::fmt::Debug;

/// The checks so far.
#[derive(Debug, Default)]
pub struct Report {
    failures: usize,
}

impl Report {
    /// Whether any check failed.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.failures > 0
    }

    /// `got` must be `want`.
    pub fn equal<T: PartialEq + Debug>(&mut self, name: &str, got: T, want: T) {
        self.line(name, got == want, &format!("{got:?}"), &format!("{want:?}"));
    }

    /// The call must have succeeded with `want`.
    pub fn value<T: PartialEq + Debug, E: Code>(&mut self, name: &str, got: Result<T, E>, want: T) {
        self.equal(name, got.map_err(|code| code.name()), Ok(want));
    }

    /// The call must have succeeded.
    pub fn ok<T, E: Code>(&mut self, name: &str, got: Result<T, E>) {
        self.code(name, got, "ok");
    }

    /// The call must have failed with the error code `want`, as it is spelled in the interface.
    pub fn code<T, E: Code>(&mut self, name: &str, got: Result<T, E>, want: &str) {
        self.one_of(name, got, &[want]);
    }

    /// The call must have answered one of `want` (error codes, or `ok`), where the interface leaves the choice.
    pub fn one_of<T, E: Code>(&mut self, name: &str, got: Result<T, E>, want: &[&str]) {
        let got = match got {
            Ok(_) => "ok",
            Err(code) => code.name(),
        };
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
