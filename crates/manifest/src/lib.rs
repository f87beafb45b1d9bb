//! What was typed, then what it means: the flags of `cord`, and the plans they become.
//!
//! Stage one ([`flags`]) is a pure parse; it works on a broken machine. Stage two ([`plan`]) gives it meaning: grants,
//! volumes, an environment. Neither opens anything: whatever must be read (an `--env-file`, a variable of the host's
//! environment) is asked of the caller.
#![forbid(unsafe_code)]

pub mod connect_fd;
pub mod flags;
pub mod guest;
pub mod plan;
pub mod publish;
mod quantity;
pub mod service;
pub mod target;

pub use connect_fd::{ConnectFd, ParseConnectFdError};
pub use flags::{Command, Typed};
pub use guest::{GuestPlan, Outside, User, Volume};
pub use plan::{Crowd, PlanError, RunPlan, ServePlan};
pub use publish::{ParsePublishError, Publish, Transport};
pub use target::{ConnectTarget, ParseTargetError};
