//! Decides how code is compiled and run: the only place that builds a [`wasmtime::Config`].
//!
//! Compiler and runner are two programs. Code passes between them only if both configure the engine alike, so both
//! call [`Settings::config`], and the settings travel between them as text. That text is also part of the cache key
//! and is stamped on the code itself, where the engine compares it.

use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;

use wasmtime::{Config, ModuleVersionStrategy};

use crate::pool::PoolSize;
use crate::trap::MAX_CALLS;

/// The engine's exact version. A test holds it against the workspace's `Cargo.toml`.
pub const ENGINE_VERSION: &str = "48.0.8";

/// Raised when something changes how code is compiled that neither the engine's version nor a setting below tells.
const CODE_REVISION: u32 = 2;

/// Host stack that guest code may use. Twice the engine's default, because interpreters compiled to WebAssembly nest deep.
const GUEST_STACK_BYTES: usize = 1024 * 1024;

/// The stack guest and host functions share; what the guest leaves is for host functions.
pub(crate) const WHOLE_STACK_BYTES: usize = 2 * 1024 * 1024;

/// Everything that decides how code is compiled and how the engine that runs it is set up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Settings {
    /// Whether several tasks may be under way inside one instance.
    pub concurrency: Concurrency,
    /// Where instances get their memory. Has no influence on compiled code.
    pub allocator: Allocator,
}

/// Whether several tasks may be under way inside one instance, as WASI 0.3 needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Concurrency {
    /// WASI 0.3 guests run. Costs every instance 1.5 to 2 us.
    #[default]
    On,
    /// Only guests up to WASI 0.2 run.
    Off,
}

/// Where instances get their memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Allocator {
    /// Mapped for each instance. Right for one guest in one process.
    #[default]
    OnDemand,
    /// Kept in a pool of this size. Right for many short-lived instances.
    Pool(PoolSize),
}

impl Settings {
    /// Builds the engine's configuration.
    ///
    /// # Errors
    ///
    /// The engine does not take the settings, which is a fault of this crate.
    pub fn config(&self) -> wasmtime::Result<Config> {
        let mut config = Config::new();
        config.module_version(ModuleVersionStrategy::Custom(self.code_key()))?;
        // Epochs, not fuel: what a deadline costs a guest is a few percent instead of a third.
        config.epoch_interruption(true);
        config.wasm_component_model(true);
        match self.concurrency {
            Concurrency::On => config.concurrency_support(true).wasm_component_model_async(true),
            Concurrency::Off => config.concurrency_support(false),
        };
        config.max_wasm_stack(GUEST_STACK_BYTES);
        config.async_stack_size(WHOLE_STACK_BYTES);
        config.wasm_backtrace_max_frames(NonZeroUsize::new(MAX_CALLS));
        if let Allocator::Pool(size) = &self.allocator {
            config.allocation_strategy(size.config(self.concurrency));
        }
        Ok(config)
    }

    /// Names everything that compiled code depends on besides the guest itself: equal keys, interchangeable code.
    ///
    /// Not in the key are the processor's features: the engine compares those when it loads code, and code for another
    /// processor is refused and compiled anew.
    #[must_use]
    pub fn code_key(&self) -> String {
        let concurrency = self.concurrency;
        format!("wasmtime-{ENGINE_VERSION}.{CODE_REVISION}-{}-concurrency-{concurrency}", std::env::consts::ARCH)
    }
}

impl fmt::Display for Concurrency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Concurrency::On => "on",
            Concurrency::Off => "off",
        })
    }
}

impl fmt::Display for Allocator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Allocator::OnDemand => f.write_str("on-demand"),
            Allocator::Pool(size) => write!(f, "pool:{size}"),
        }
    }
}

/// `concurrency=on,allocator=on-demand`: the form in which settings reach the compiler's command line.
impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "concurrency={},allocator={}", self.concurrency, self.allocator)
    }
}

/// Text that is no [`Settings`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{part}` is no engine setting")]
pub struct ParseSettingsError {
    /// The part that was not understood.
    pub part: String,
}

impl FromStr for Settings {
    type Err = ParseSettingsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut settings = Settings::default();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            match part.split_once('=') {
                Some(("concurrency", "on")) => settings.concurrency = Concurrency::On,
                Some(("concurrency", "off")) => settings.concurrency = Concurrency::Off,
                Some(("allocator", value)) => {
                    settings.allocator = parse_allocator(value).ok_or_else(|| unknown(part))?;
                }
                _ => return Err(unknown(part)),
            }
        }
        Ok(settings)
    }
}

fn unknown(part: &str) -> ParseSettingsError {
    ParseSettingsError { part: part.to_owned() }
}

fn parse_allocator(value: &str) -> Option<Allocator> {
    if value == "on-demand" {
        return Some(Allocator::OnDemand);
    }
    value.strip_prefix("pool:")?.parse().ok().map(Allocator::Pool)
}

#[cfg(test)]
mod tests {
    use super::*;

    const POOL: Allocator =
        Allocator::Pool(PoolSize { instances: 7, memories_per_instance: 1, tables_per_instance: 2, table_entries: 3 });

    #[test]
    fn text_comes_back_as_it_was() {
        for concurrency in [Concurrency::On, Concurrency::Off] {
            for allocator in [Allocator::OnDemand, POOL] {
                let settings = Settings { concurrency, allocator };
                assert_eq!(settings.to_string().parse(), Ok(settings));
            }
        }
    }

    #[test]
    fn unknown_text_is_named() {
        for bad in ["concurrency=maybe", "speed=9", "allocator=pool:0/1/1/1", "allocator=pool:", "on"] {
            let refused = format!("concurrency=on,{bad}").parse::<Settings>().unwrap_err();
            assert_eq!(refused.part, bad);
        }
    }

    #[test]
    fn the_code_key_follows_what_code_depends_on() {
        let default = Settings::default();
        let pooled = Settings { allocator: POOL, ..Settings::default() };
        let plain = Settings { concurrency: Concurrency::Off, ..Settings::default() };
        assert_eq!(default.code_key(), pooled.code_key());
        assert_ne!(default.code_key(), plain.code_key());
    }

    #[test]
    fn the_version_is_the_one_that_is_pinned() {
        let manifest = include_str!("../../../Cargo.toml");
        assert!(manifest.contains(&format!("wasmtime = {{ version = \"={ENGINE_VERSION}\"")));
    }
}
