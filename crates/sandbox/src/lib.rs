//! What a guest runs in: the engine's settings, compiled code, limits, deadlines, and how a trap is told.
//!
//! One path leads through this crate. [`Settings`] say how code is compiled; both the compiler and the runner build
//! their engine from the same value, so that one accepts what the other made. [`Engine`] is that engine. [`OwnFile`]
//! is a file of compiled code that nobody but this user could have written, and [`Code::load`] maps it. [`Limits`]
//! bound one guest, [`Ticker`] lets its host look at the clock, [`CpuShare`] says when a guest that computes must rest, and
//! [`TrapReport`] tells why it died.
//!
//! Never here: the network, WASI, the compile cache. The compiler uses this crate too.
//!
//! ```
//! use sandbox::{Engine, Settings};
//!
//! let settings = Settings::default();
//! // What a command line carries from the runner to the compiler comes back as it was.
//! assert_eq!(settings.to_string().parse::<Settings>()?, settings);
//! let engine = Engine::new(&settings)?;
//! assert_eq!(engine.settings(), &settings);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod code;
mod cpu;
mod engine;
mod limits;
mod machine;
mod pool;
mod settings;
mod ticker;
mod trap;
mod trusted;

pub use code::{Code, LoadCodeError};
pub use cpu::{Cores, CpuShare};
pub use engine::{BuildEngineError, Engine};
pub use limits::{GuestLimiter, Limits, MemoryRefusal};
pub use machine::default_instances;
pub use pool::{Demand, ParsePoolSizeError, PoolSize, PoolTooLargeError};
pub use settings::{Allocator, Concurrency, ENGINE_VERSION, ParseSettingsError, Settings};
pub use ticker::{TICK, Ticker};
pub use trap::TrapReport;
pub use trusted::{ForeignFileError, OwnFile};
