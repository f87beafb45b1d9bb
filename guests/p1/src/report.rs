//! Says `ok NAME` or `FAIL NAME: got X want Y` for each check.

use std::fmt::Debug;

use crate::errno::Outcome;

/// What was checked so far.
#[derive(Debug, Default)]
pub struct Report {
    failed: bool,
}

impl Report {
    /// Whether any check failed.
    pub fn failed(&self) -> bool {
        self.failed
    }

    /// Two values that must be the same.
    pub fn same<T: Debug + PartialEq>(&mut self, name: &str, got: T, want: T) {
        self.told(name, &format!("{got:?}"), &format!("{want:?}"));
    }

    /// A call that must succeed; its result.
    pub fn ok<T: Debug>(&mut self, name: &str, outcome: Outcome<T>) -> Option<T> {
        match outcome {
            Ok(value) => {
                println!("ok {name}");
                Some(value)
            }
            Err(error) => {
                self.told(name, &format!("{error:?}"), "success");
                None
            }
        }
    }

    /// A call that must fail so.
    pub fn fails<T: Debug>(&mut self, name: &str, outcome: Outcome<T>, want: &str) {
        match outcome {
            Ok(value) => self.told(name, &format!("success, {value:?}"), want),
            Err(error) => self.told(name, &format!("{error:?}"), want),
        }
    }

    fn told(&mut self, name: &str, got: &str, want: &str) {
        if got == want {
            println!("ok {name}");
        } else {
            self.failed = true;
            println!("FAIL {name}: got {got} want {want}");
        }
    }
}
