//! Every interface that guests may import, linked once for an engine.
//!
//! wasmtime-wasi's interfaces are linked one by one, so that none of its sockets ever is.

use std::sync::OnceLock;

use sandbox::Engine;
use wasmtime::component::Linker as ComponentLinker;
use wasmtime::{Caller, Linker as ModuleLinker};
use wasmtime_wasi::cli::{WasiCli, WasiCliView};
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView};
use wasmtime_wasi::p2::bindings::{cli, clocks, filesystem, random};
use wasmtime_wasi::random::{WasiRandom, WasiRandomView};
use wasmtime_wasi::{I32Exit, p0, p3};
use wasmtime_wasi_http::p2::bindings::{LinkOptions, http};
use wasmtime_wasi_http::{WasiHttp, WasiHttpView};

use crate::state::{ComponentState, ModuleState};
use crate::{p1, sockets};

/// The names under which modules import WASI.
pub(crate) const MODULE_NAMES: [&str; 2] = ["wasi_unstable", p1::MODULE];

/// All interfaces, for one engine. Building them costs more than an instance does, so each kind is built once, when the
/// first guest needs it.
pub struct Linkers {
    engine: Engine,
    module: OnceLock<ModuleLinker<ModuleState>>,
    wasi_0_2: OnceLock<ComponentLinker<ComponentState>>,
    wasi_0_3: OnceLock<ComponentLinker<ComponentState>>,
}

/// Why a guest cannot be joined with the interfaces it imports, or is nothing to be run.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// Nobody provides these imports.
    #[error("the guest imports what is not provided here: {}", names.join(", "))]
    Missing {
        /// All of them, in the guest's order.
        names: Vec<String>,
    },
    /// A module that is a library: nothing in it can be started.
    #[error("the module exports no function `_start`, so there is nothing to run")]
    NoStart,
    /// A component that is not a command.
    #[error("the component does not export `wasi:cli/run`, so there is nothing to run")]
    NoRun,
    /// A component that answers requests, where a command was expected.
    #[error("the component answers HTTP requests and is no command: serve it with `cord serve`")]
    IsHandler,
    /// A component that answers no requests.
    #[error(
        "the component exports neither `wasi:http/incoming-handler` of WASI 0.2 nor `wasi:http/handler` of WASI 0.3, \
         so it cannot answer requests"
    )]
    NoHandler,
    /// A command, where a component that answers requests was expected.
    #[error("the component is a command and answers no HTTP requests: run it with `cord run`")]
    IsCommand,
    /// A module, where a component that answers requests was expected.
    #[error(
        "a module cannot answer HTTP requests: only a component has the interface for it (run a module with `cord run`)"
    )]
    IsModule,
    /// The engine was set up without what WASI 0.3 needs.
    #[error("the component is for WASI 0.3, which this engine was set up without")]
    NoConcurrency,
    /// An import or export has another type than WASI's.
    #[error("the guest does not fit its interfaces: {reason}")]
    Unfit {
        /// What the engine said.
        reason: String,
    },
}

impl LinkError {
    pub(crate) fn unfit(error: &wasmtime::Error) -> LinkError {
        LinkError::Unfit { reason: format!("{error:#}").replace('\n', " ") }
    }
}

impl Linkers {
    /// Prepares the interfaces for `engine`.
    #[must_use]
    pub fn new(engine: &Engine) -> Linkers {
        Linkers {
            engine: engine.clone(),
            module: OnceLock::new(),
            wasi_0_2: OnceLock::new(),
            wasi_0_3: OnceLock::new(),
        }
    }

    /// The engine they are for.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(crate) fn module(&self) -> Result<&ModuleLinker<ModuleState>, LinkError> {
        get_or_build(&self.module, || module_linker(&self.engine))
    }

    pub(crate) fn wasi_0_2(&self) -> Result<&ComponentLinker<ComponentState>, LinkError> {
        get_or_build(&self.wasi_0_2, || {
            let mut linker = ComponentLinker::new(self.engine.wasmtime());
            add_0_2(&mut linker)?;
            Ok(linker)
        })
    }

    /// The interfaces of 0.3 and also those of 0.2, because components mix them.
    pub(crate) fn wasi_0_3(&self) -> Result<&ComponentLinker<ComponentState>, LinkError> {
        get_or_build(&self.wasi_0_3, || {
            let mut linker = ComponentLinker::new(self.engine.wasmtime());
            add_0_2(&mut linker)?;
            add_0_3(&mut linker)?;
            Ok(linker)
        })
    }
}

fn get_or_build<L>(cell: &OnceLock<L>, build: impl FnOnce() -> wasmtime::Result<L>) -> Result<&L, LinkError> {
    if let Some(linker) = cell.get() {
        return Ok(linker);
    }
    let built = build().map_err(|error| LinkError::unfit(&error))?;
    Ok(cell.get_or_init(|| built))
}

fn module_linker(engine: &Engine) -> wasmtime::Result<ModuleLinker<ModuleState>> {
    let mut linker = ModuleLinker::new(engine.wasmtime());
    p0::add_to_linker_async(&mut linker, |state: &mut ModuleState| state.preview1.preview0())?;
    p1::link(&mut linker)?;
    // wasmtime-wasi traps for codes from 126 on, which a Unix program may well exit with.
    linker.allow_shadowing(true);
    for name in MODULE_NAMES {
        linker.func_wrap(name, "proc_exit", |_: Caller<'_, ModuleState>, code: i32| -> wasmtime::Result<()> {
            Err(I32Exit(code).into())
        })?;
    }
    Ok(linker)
}

fn add_0_2(linker: &mut ComponentLinker<ComponentState>) -> wasmtime::Result<()> {
    type State = ComponentState;
    wasmtime_wasi_io::add_to_linker_async(linker)?;
    clocks::wall_clock::add_to_linker::<State, WasiClocks>(linker, State::clocks)?;
    clocks::monotonic_clock::add_to_linker::<State, WasiClocks>(linker, State::clocks)?;
    filesystem::types::add_to_linker::<State, WasiFilesystem>(linker, State::filesystem)?;
    filesystem::preopens::add_to_linker::<State, WasiFilesystem>(linker, State::filesystem)?;
    random::random::add_to_linker::<State, WasiRandom>(linker, WasiRandomView::random)?;
    random::insecure::add_to_linker::<State, WasiRandom>(linker, WasiRandomView::random)?;
    random::insecure_seed::add_to_linker::<State, WasiRandom>(linker, WasiRandomView::random)?;
    cli::exit::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    cli::environment::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    cli::stdin::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    cli::stdout::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    cli::stderr::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    cli::terminal_input::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    cli::terminal_output::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    cli::terminal_stdin::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    cli::terminal_stdout::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    cli::terminal_stderr::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    http::outgoing_handler::add_to_linker::<State, WasiHttp>(linker, State::http)?;
    http::types::add_to_linker::<State, WasiHttp>(linker, &LinkOptions::default().into(), State::http)?;
    crate::http::add_error_codes(linker)?;
    over(linker, crate::http::add_0_2)?;
    over(linker, crate::files::add_0_2)?;
    sockets::add_0_2(linker)
}

fn add_0_3(linker: &mut ComponentLinker<ComponentState>) -> wasmtime::Result<()> {
    p3::cli::add_to_linker(linker)?;
    p3::clocks::add_to_linker(linker)?;
    p3::filesystem::add_to_linker(linker)?;
    p3::random::add_to_linker(linker)?;
    wasmtime_wasi_http::p3::add_to_linker(linker)?;
    over(linker, crate::http::add_0_3)?;
    over(linker, crate::files::add_0_3)?;
    sockets::add_0_3(linker)
}

/// Links calls of ours over those that are linked already.
fn over(
    linker: &mut ComponentLinker<ComponentState>,
    add: fn(&mut ComponentLinker<ComponentState>) -> wasmtime::Result<()>,
) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let added = add(linker);
    linker.allow_shadowing(false);
    added
}

impl std::fmt::Debug for Linkers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Linkers").field("engine", &self.engine).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use wasmtime::component::ResourceType;

    use super::*;
    use crate::imports;

    /// Whether a linker has an interface: only then it takes nothing else of that name.
    fn has(linker: &ComponentLinker<ComponentState>, name: &str) -> bool {
        linker.clone().root().resource(name, ResourceType::host::<()>(), |_, _| Ok(())).is_err()
    }

    #[test]
    fn what_is_called_provided_is() {
        let linkers = Linkers::new(&Engine::new(&sandbox::Settings::default()).unwrap());
        let (old, new) = (linkers.wasi_0_2().unwrap(), linkers.wasi_0_3().unwrap());
        for interface in imports::WASI_0_2 {
            let name = format!("{interface}@0.2.12");
            assert!(has(old, &name) && has(new, &name), "{name}");
        }
        for interface in imports::WASI_0_3 {
            let name = format!("{interface}@0.3.0");
            assert!(!has(old, &name) && has(new, &name), "{name}");
        }
        assert!(!has(new, "wasi:tls/types@0.2.12"));
    }
}
