//! What a compromised runner holds: a real broker, started as `cord run` does it, and the handle that its guest gets.

use crate::board::labels;
use crate::cord::Cord;
use crate::process::Running;
use capability::{Constraint, keys};
use client::Handle;
use manifest::{Command, GuestPlan, Outside, RunPlan, Typed, service};
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;

/// The service that every guest of these tests is.
pub const SERVICE: &str = "cart";

/// What `cord run FLAGS cart.wasm` means.
#[must_use]
pub fn plan(flags: &[&str]) -> GuestPlan {
    let file = format!("{SERVICE}.wasm");
    let words = ["cord", "run"].iter().chain(flags).map(OsString::from).chain([file.into()]);
    match Typed::parse_line(words).unwrap_or_else(|_| panic!("no flags: {flags:?}")).command {
        Command::Run(flags) => RunPlan::new(flags, &Nothing).unwrap().guest,
        other => panic!("{other:?}"),
    }
}

/// A plan that names no file of variables and passes none on.
struct Nothing;

impl Outside for Nothing {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn read(&self, _: &Path) -> io::Result<String> {
        Err(io::ErrorKind::NotFound.into())
    }
}

/// How `cord run` weakens the strongest handle for the guest of this plan (`Broker::guest_handle` in `cli`).
#[must_use]
pub fn constraint(plan: &GuestPlan) -> Constraint {
    Constraint {
        rights: plan.rights(),
        in_labels: service::labels(&plan.service).unwrap(),
        out_labels: labels([(keys::CLIENT_SERVICE, plan.service.as_str())]),
        grants: Some(plan.grants.clone()),
    }
}

/// A running broker. Must be made inside a tokio runtime.
#[derive(Debug)]
pub struct Brokered {
    process: Running,
    /// As long as it is open, the broker takes connections from outside.
    _doors: UnixStream,
    plan: GuestPlan,
    strong: Handle,
}

impl Brokered {
    /// The broker of `cord run FLAGS cart.wasm`.
    #[must_use]
    pub fn start(flags: &[&str]) -> Self {
        Self::start_in(Vec::new(), flags)
    }

    /// The same, in another network for example.
    #[must_use]
    pub fn start_in(wrapper: Vec<OsString>, flags: &[&str]) -> Self {
        let plan = plan(flags);
        let (ours, theirs) = fdpass::pair().unwrap();
        let service = format!("--service={}", plan.service);
        let publish = plan.publish.iter().map(|publish| format!("--publish={publish}"));
        let (doors, theirs_of_doors) = UnixStream::pair().unwrap();
        let broker = Cord::new(["broker", &service]).arguments(publish).wrapped(wrapper).stdin(theirs);
        let process = broker.stdout_to(OwnedFd::from(theirs_of_doors)).watched().start();
        Self { process, _doors: doors, plan, strong: Handle::new(ours).unwrap() }
    }

    /// Its process.
    #[must_use]
    pub fn process(&self) -> &Running {
        &self.process
    }

    /// The strongest handle, which a runner lets go before it loads a guest.
    #[must_use]
    pub fn strong(&self) -> &Handle {
        &self.strong
    }

    /// What was typed for the guest.
    #[must_use]
    pub fn plan(&self) -> &GuestPlan {
        &self.plan
    }

    /// A handle as the guest's runner gets it.
    pub async fn guest(&self) -> OwnedFd {
        self.strong.constrain(&constraint(&self.plan)).await.unwrap()
    }
}
