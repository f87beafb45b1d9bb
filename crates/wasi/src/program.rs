//! A guest ready to be run: decides what kind it is, and runs an instance of it.

use std::io::Write;
use std::time::Duration;

use sandbox::{Code, Engine, GuestLimiter, Limits};
use wasmtime::component::Component;
use wasmtime::{ExternType, Module, Store};
use wasmtime_wasi::{p2, p3};

use crate::component::{self, Joined};
use crate::cpu;
use crate::exit::{Exit, RunError};
use crate::guest::{GuestSpec, Start};
use crate::imports::Line;
use crate::linkers::{self, LinkError, MODULE_NAMES};
use crate::p1::{self, Preview1};
use crate::state::{ComponentState, ModuleState};
use crate::store::Stores;

/// The function of a command module.
const START: &str = "_start";

/// The name under which modules import preview 0, whose descriptors are files only.
const PREVIEW_0: &str = MODULE_NAMES[0];

/// A guest joined with its interfaces. Running it makes an instance; any number may run from one program.
pub struct Program {
    stores: Stores,
    kind: Kind,
}

/// What there is to call.
enum Kind {
    Module(wasmtime::InstancePre<ModuleState>),
    Wasi02(p2::bindings::CommandPre<ComponentState>),
    Wasi03(p3::bindings::CommandPre<ComponentState>),
}

impl Program {
    /// Joins `code` with its interfaces.
    ///
    /// # Errors
    ///
    /// The guest is no command, or imports what is not provided; all such imports are named.
    pub fn new(engine: &Engine, code: &Code) -> Result<Program, LinkError> {
        let kind = match code {
            Code::Module(module) => join_module(engine, module)?,
            Code::Component(component) => join_component(engine, component)?,
        };
        Ok(Program { stores: Stores::new(engine), kind })
    }

    /// Whether a guest can find sockets open when it starts: a module of preview 1 can.
    #[must_use]
    pub fn takes_descriptors(&self) -> bool {
        match &self.kind {
            Kind::Module(pre) => !pre.module().imports().any(|import| import.module() == PREVIEW_0),
            Kind::Wasi02(_) | Kind::Wasi03(_) => false,
        }
    }

    /// From now on instances that compute give way to each other, and to whatever else their thread has to do.
    ///
    /// # Errors
    ///
    /// [`RunError::Ticker`].
    pub fn take_turns(&self) -> Result<(), RunError> {
        self.stores.take_turns()
    }

    /// Runs one instance until it ends or its deadline comes. Must be called inside a tokio runtime with time and I/O.
    /// Dropping the future ends the guest.
    ///
    /// # Errors
    ///
    /// The instance could not be started; whatever the guest does afterwards is an [`Exit`].
    pub async fn run(&self, spec: &GuestSpec, start: Start) -> Result<Exit, RunError> {
        if spec.deadline.is_some() || spec.cpus.is_some() {
            // While the guest computes, the clocks below need a turn.
            self.stores.take_turns()?;
        }
        // In a place of its own: each future around it would have room for it twice, before and after it is moved there.
        let run = cpu::within(spec.cpus.as_ref(), Box::pin(self.run_to_end(spec, start)));
        match spec.deadline {
            Some(deadline) => within(deadline, run).await,
            None => run.await,
        }
    }

    async fn run_to_end(&self, spec: &GuestSpec, start: Start) -> Result<Exit, RunError> {
        let finds_open = !(spec.listeners.is_empty() && start.connections.is_empty());
        if finds_open && !self.takes_descriptors() {
            return Err(RunError::NoDescriptors);
        }
        let exit = match &self.kind {
            Kind::Module(pre) => self.run_module(pre, spec, start).await,
            Kind::Wasi02(pre) => self.run_0_2(pre, spec, start).await,
            Kind::Wasi03(pre) => self.run_0_3(pre, spec, start).await,
        };
        // If standard output is gone there is nobody to tell.
        let _ = std::io::stdout().flush();
        exit
    }

    async fn run_module(
        &self,
        pre: &wasmtime::InstancePre<ModuleState>,
        spec: &GuestSpec,
        start: Start,
    ) -> Result<Exit, RunError> {
        let limiter = GuestLimiter::new(Limits { resources: p1::max_resources(spec), ..spec.limits });
        let state = ModuleState { limiter, preview1: Preview1::start(spec, start).await? };
        let mut store = self.stores.store(state, |state| &mut state.limiter);
        let run = async {
            let instance = pre.instantiate_async(&mut store).await?;
            let start = instance.get_typed_func::<(), ()>(&mut store, START)?;
            start.call_async(&mut store, ()).await
        };
        let exit = match run.await {
            Ok(()) => Ok(Exit::Code(0)),
            Err(error) => ended(&error, &store.data().limiter),
        };
        store.into_data().preview1.finish().await;
        exit
    }

    async fn run_0_2(
        &self,
        pre: &p2::bindings::CommandPre<ComponentState>,
        spec: &GuestSpec,
        start: Start,
    ) -> Result<Exit, RunError> {
        let mut store = self.stores.component(ComponentState::new(spec, start)?);
        let run = async {
            let command = pre.instantiate_async(&mut store).await?;
            command.wasi_cli_run().call_run(&mut store).await
        };
        finish(run.await, store).await
    }

    async fn run_0_3(
        &self,
        pre: &p3::bindings::CommandPre<ComponentState>,
        spec: &GuestSpec,
        start: Start,
    ) -> Result<Exit, RunError> {
        let mut store = self.stores.component(ComponentState::new(spec, start)?);
        let run = async {
            let command = pre.instantiate_async(&mut store).await?;
            store.run_concurrent(async |store| command.wasi_cli_run().call_run(store).await).await?
        };
        finish(run.await, store).await
    }
}

/// Lets what the guest has written go out, then says how it ended.
async fn finish(returned: wasmtime::Result<Result<(), ()>>, store: Store<ComponentState>) -> Result<Exit, RunError> {
    let exit = match returned {
        Ok(Ok(())) => Ok(Exit::Code(0)),
        Ok(Err(())) => Ok(Exit::Code(1)),
        Err(error) => ended(&error, &store.data().limiter),
    };
    let ComponentState { network, table, .. } = store.into_data();
    drop(table);
    network.finish().await;
    exit
}

fn ended(error: &wasmtime::Error, limiter: &GuestLimiter) -> Result<Exit, RunError> {
    RunError::of(error, limiter).map_or_else(|| Ok(Exit::of(error, limiter)), Err)
}

async fn within(deadline: Duration, run: impl Future<Output = Result<Exit, RunError>>) -> Result<Exit, RunError> {
    tokio::time::timeout(deadline, run).await.unwrap_or(Ok(Exit::TimedOut))
}

fn join_module(engine: &Engine, module: &Module) -> Result<Kind, LinkError> {
    let linker = linkers::module(engine, module).map_err(|error| LinkError::unfit(&error))?;
    let other = p1::linker_for(&linker, module).map_err(|error| LinkError::unfit(&error))?;
    let linker = other.as_ref().unwrap_or(&linker);
    let pre = linker.instantiate_pre(module).map_err(|error| {
        let names = missing_module_imports(engine, linker, module);
        if names.is_empty() { LinkError::unfit(&error) } else { LinkError::Missing { names } }
    })?;
    match module.get_export(START) {
        Some(ExternType::Func(start)) if start.params().len() == 0 && start.results().len() == 0 => {}
        _ => return Err(LinkError::NoStart),
    }
    Ok(Kind::Module(pre))
}

/// A module's linker only answers together with a store, so this is for the error path.
fn missing_module_imports(engine: &Engine, linker: &wasmtime::Linker<ModuleState>, module: &Module) -> Vec<String> {
    let limiter = GuestLimiter::new(Limits::default());
    let state = ModuleState { limiter, preview1: Preview1::nothing() };
    let mut store = Store::new(engine.wasmtime(), state);
    module
        .imports()
        .filter(|import| linker.get_by_import(&mut store, import).is_none())
        .map(|import| format!("{}::{}", import.module(), import.name()))
        .collect()
}

fn join_component(engine: &Engine, component: &Component) -> Result<Kind, LinkError> {
    let Joined { pre, line } = component::join_command(engine, component)?;
    match line {
        Line::V0_2 => p2::bindings::CommandPre::new(pre).map(Kind::Wasi02),
        Line::V0_3 => p3::bindings::CommandPre::new(pre).map(Kind::Wasi03),
    }
    .map_err(|error| LinkError::unfit(&error))
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.kind {
            Kind::Module(_) => "Program(module)",
            Kind::Wasi02(_) => "Program(WASI 0.2)",
            Kind::Wasi03(_) => "Program(WASI 0.3)",
        })
    }
}
