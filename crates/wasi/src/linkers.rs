//! Every interface that guests may import. A guest is linked with the packages that it imports from, as linking all of
//! them takes longer than a small guest runs.
//!
//! wasmtime-wasi's interfaces are linked one by one, so that none of its sockets ever is.

use std::collections::BTreeSet;

use sandbox::Engine;
use wasmtime::component::{Component, Linker as ComponentLinker};
use wasmtime::{Caller, Linker as ModuleLinker, Module};
use wasmtime_wasi::cli::{WasiCli, WasiCliView};
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView};
use wasmtime_wasi::p2::bindings::{cli, clocks, filesystem, random};
use wasmtime_wasi::random::{WasiRandom, WasiRandomView};
use wasmtime_wasi::{I32Exit, p0, p3};
use wasmtime_wasi_http::p2::bindings::{LinkOptions, http};
use wasmtime_wasi_http::{WasiHttp, WasiHttpView};

use crate::imports::{self, Line};
use crate::state::{ComponentState, ModuleState};
use crate::{files, http as our_http, p1, sockets};

/// The names under which modules import WASI.
pub(crate) const MODULE_NAMES: [&str; 2] = ["wasi_unstable", p1::MODULE];

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

/// What a module may import.
pub(crate) fn module(engine: &Engine, module: &Module) -> wasmtime::Result<ModuleLinker<ModuleState>> {
    let mut linker = ModuleLinker::new(engine.wasmtime());
    for name in MODULE_NAMES {
        if module.imports().all(|import| import.module() != name) {
            continue;
        }
        match name {
            p1::MODULE => p1::link(&mut linker)?,
            _ => p0::add_to_linker_async(&mut linker, |state: &mut ModuleState| state.preview1.preview0())?,
        }
        // wasmtime-wasi traps for codes from 126 on, which a Unix program may well exit with.
        linker.allow_shadowing(true);
        linker.func_wrap(name, "proc_exit", |_: Caller<'_, ModuleState>, code: i32| -> wasmtime::Result<()> {
            Err(I32Exit(code).into())
        })?;
    }
    Ok(linker)
}

/// What a component may import.
pub(crate) fn component(engine: &Engine, component: &Component) -> wasmtime::Result<ComponentLinker<ComponentState>> {
    let ty = component.component_type();
    with_interfaces(engine, ty.imports(engine.wasmtime()).map(|(name, _)| name))
}

fn with_interfaces<'a>(
    engine: &Engine,
    names: impl Iterator<Item = &'a str>,
) -> wasmtime::Result<ComponentLinker<ComponentState>> {
    let interfaces = names.filter_map(imports::interface);
    let packages: BTreeSet<_> =
        interfaces.filter_map(|(interface, line)| Some((line, interface.split_once('/')?.0))).collect();
    let mut linker = ComponentLinker::new(engine.wasmtime());
    for (line, package) in packages {
        match line {
            Line::V0_2 => add_0_2(&mut linker, package)?,
            Line::V0_3 => add_0_3(&mut linker, package)?,
        }
    }
    Ok(linker)
}

fn add_0_2(linker: &mut ComponentLinker<ComponentState>, package: &str) -> wasmtime::Result<()> {
    type State = ComponentState;
    match package {
        "wasi:io" => wasmtime_wasi_io::add_to_linker_async(linker),
        "wasi:clocks" => {
            clocks::wall_clock::add_to_linker::<State, WasiClocks>(linker, State::clocks)?;
            clocks::monotonic_clock::add_to_linker::<State, WasiClocks>(linker, State::clocks)
        }
        "wasi:filesystem" => {
            filesystem::types::add_to_linker::<State, WasiFilesystem>(linker, State::filesystem)?;
            filesystem::preopens::add_to_linker::<State, WasiFilesystem>(linker, State::filesystem)?;
            over(linker, files::add_0_2)
        }
        "wasi:random" => {
            random::random::add_to_linker::<State, WasiRandom>(linker, WasiRandomView::random)?;
            random::insecure::add_to_linker::<State, WasiRandom>(linker, WasiRandomView::random)?;
            random::insecure_seed::add_to_linker::<State, WasiRandom>(linker, WasiRandomView::random)
        }
        "wasi:cli" => {
            cli::exit::add_to_linker::<State, WasiCli>(linker, State::cli)?;
            cli::environment::add_to_linker::<State, WasiCli>(linker, State::cli)?;
            cli::stdin::add_to_linker::<State, WasiCli>(linker, State::cli)?;
            cli::stdout::add_to_linker::<State, WasiCli>(linker, State::cli)?;
            cli::stderr::add_to_linker::<State, WasiCli>(linker, State::cli)?;
            cli::terminal_input::add_to_linker::<State, WasiCli>(linker, State::cli)?;
            cli::terminal_output::add_to_linker::<State, WasiCli>(linker, State::cli)?;
            cli::terminal_stdin::add_to_linker::<State, WasiCli>(linker, State::cli)?;
            cli::terminal_stdout::add_to_linker::<State, WasiCli>(linker, State::cli)?;
            cli::terminal_stderr::add_to_linker::<State, WasiCli>(linker, State::cli)
        }
        "wasi:http" => {
            http::outgoing_handler::add_to_linker::<State, WasiHttp>(linker, State::http)?;
            http::types::add_to_linker::<State, WasiHttp>(linker, &LinkOptions::default().into(), State::http)?;
            our_http::add_error_codes(linker)?;
            over(linker, our_http::add_0_2)
        }
        "wasi:sockets" => sockets::add_0_2(linker),
        // Types alone, or nothing that is provided.
        _ => Ok(()),
    }
}

fn add_0_3(linker: &mut ComponentLinker<ComponentState>, package: &str) -> wasmtime::Result<()> {
    match package {
        "wasi:cli" => p3::cli::add_to_linker(linker),
        "wasi:clocks" => p3::clocks::add_to_linker(linker),
        "wasi:filesystem" => {
            p3::filesystem::add_to_linker(linker)?;
            over(linker, files::add_0_3)
        }
        "wasi:random" => p3::random::add_to_linker(linker),
        "wasi:http" => {
            wasmtime_wasi_http::p3::add_to_linker(linker)?;
            over(linker, our_http::add_0_3)
        }
        "wasi:sockets" => sockets::add_0_3(linker),
        _ => Ok(()),
    }
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

#[cfg(test)]
mod tests {
    use wasmtime::component::ResourceType;

    use super::*;

    /// Whether a linker has an interface: only then it takes nothing else of that name.
    fn has(linker: &ComponentLinker<ComponentState>, name: &str) -> bool {
        linker.clone().root().resource(name, ResourceType::host::<()>(), |_, _| Ok(())).is_err()
    }

    #[test]
    fn what_is_called_provided_is() {
        let engine = Engine::new(&sandbox::Settings::default()).unwrap();
        let linked = |name: &str, wanted: &str| has(&with_interfaces(&engine, [name].into_iter()).unwrap(), wanted);
        let lines = [(imports::WASI_0_2, "0.2.12", "0.3.0"), (imports::WASI_0_3, "0.3.0", "0.2.12")];
        for (interfaces, version, other) in lines {
            for interface in interfaces {
                let name = format!("{interface}@{version}");
                assert!(linked(&name, &name), "{name}");
                // Neither another line's nor another package's.
                assert!(!linked(&name, &format!("{interface}@{other}")), "{name}");
                let elsewhere =
                    if interface.starts_with("wasi:random/") { "wasi:cli/exit" } else { "wasi:random/random" };
                assert!(!linked(&name, &format!("{elsewhere}@{version}")), "{name}");
            }
        }
        assert!(!linked("wasi:tls/types@0.2.12", "wasi:tls/types@0.2.12"));
    }
}
