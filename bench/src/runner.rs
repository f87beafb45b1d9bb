//! Runs guests in this process: with all that `cord` gives them, and on the bare engine.

use crate::setting::Setting;
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use client::Handle;
use cord_bench::event_loop;
use http_client::Trust;
use sandbox::{Allocator, Code, Concurrency, Demand, Engine, Limits, PoolSize, Settings};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::runtime::Runtime;
use wasi::{
    Denial, DenialReport, Descriptors, Exit, GuestLog, GuestSpec, HostLimits, HttpProgram, OutgoingHttp, Program,
    Start, Stdio,
};
use wasmtime::Store;
use wasmtime::component::{InstancePre, Linker, ResourceTable};
use wasmtime_wasi::p2::bindings::CommandPre;
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView};

/// Instances that a pool has room for: more than ever live at once here.
const PLACES: u32 = 100;

/// Where instances get their memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Memory {
    /// From a pool with `cord`'s settings.
    Pool,
    /// Mapped for each.
    OnDemand,
}

/// An engine as `cord` has it for many instances of one guest of WASI 0.2.
pub(crate) fn engine(setting: &Setting, guest: &str, memory: Memory) -> Result<(Engine, Code)> {
    let concurrency = Concurrency::Off;
    let on_demand = Engine::new(&Settings { concurrency, allocator: Allocator::OnDemand })?;
    let code = setting.load(guest, &on_demand)?;
    if memory == Memory::OnDemand {
        return Ok((on_demand, code));
    }
    let demand: Demand = code.demand();
    let allocator = Allocator::Pool(PoolSize::for_guest(demand, PLACES)?);
    let engine = Engine::new(&Settings { concurrency, allocator })?;
    let code = setting.load(guest, &engine)?;
    Ok((engine, code))
}

/// A guest with everything that `cord` gives to one.
pub(crate) struct Runner {
    pub(crate) runtime: Runtime,
    program: Program,
    spec: GuestSpec,
    heard: Arc<Heard>,
}

impl Runner {
    /// A runner of this guest, with these arguments and this handle.
    pub(crate) fn new(setting: &Setting, guest: &str, args: &[&str], handle: Option<OwnedFd>) -> Result<Self> {
        let (engine, code) = engine(setting, guest, Memory::Pool)?;
        Self::on(&engine, &code, guest, args, handle)
    }

    /// The same on an engine that others use, too, as the workers of `cord` do.
    pub(crate) fn on(
        engine: &Engine,
        code: &Code,
        guest: &str,
        args: &[&str],
        handle: Option<OwnedFd>,
    ) -> Result<Self> {
        let runtime = event_loop();
        let network = match handle {
            Some(handle) => Some(runtime.block_on(async { Handle::new(handle) })?),
            None => None,
        };
        let args = std::iter::once(guest).chain(args.iter().copied()).map(str::to_owned).collect();
        let program = Program::new(engine, code)?;
        Ok(Self { runtime, program, spec: spec(args, network), heard: Arc::default() })
    }

    /// A fresh instance, from its store to its end. It must end well.
    pub(crate) fn run(&self) -> Result<()> {
        self.end_of(Stdio::Null)
    }

    /// The same, and what it printed.
    pub(crate) fn hear(&self) -> Result<String> {
        self.end_of(Stdio::Log(Arc::clone(&self.heard) as Arc<dyn GuestLog>))?;
        Ok(std::mem::take(&mut *self.heard.0.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    fn end_of(&self, stdio: Stdio) -> Result<()> {
        let exit = self.runtime.block_on(self.program.run(&self.spec, Start::with(stdio)))?;
        ensure!(matches!(exit, Exit::Code(0)), "the guest ended badly: {exit:?}");
        Ok(())
    }
}

/// A guest that answers requests, with everything that `cord` gives to one.
pub(crate) struct HttpRunner {
    runtime: Runtime,
    program: HttpProgram,
    spec: GuestSpec,
}

impl HttpRunner {
    pub(crate) fn new(setting: &Setting, guest: &str, handle: OwnedFd) -> Result<Self> {
        let (engine, code) = engine(setting, guest, Memory::Pool)?;
        let runtime = event_loop();
        let network = Some(runtime.block_on(async { Handle::new(handle) })?);
        Ok(Self { runtime, program: HttpProgram::new(&engine, &code)?, spec: spec(vec![guest.to_owned()], network) })
    }

    /// A fresh instance that is not asked anything.
    pub(crate) fn start(&self) -> Result<()> {
        self.runtime.block_on(async {
            self.program.start(&self.spec, Start::with(Stdio::Null)).await?.finish().await;
            Ok(())
        })
    }
}

fn spec(args: Vec<String>, network: Option<Handle>) -> GuestSpec {
    let report = Arc::new(Unheard);
    let http = OutgoingHttp::new(network.clone(), None, Arc::clone(&report) as Arc<dyn DenialReport>, Trust::nothing());
    GuestSpec {
        args,
        env: Vec::new(),
        volumes: Vec::new(),
        workdir: None,
        limits: Limits { memory_bytes: Some(64 << 20), ..Limits::default() },
        host_limits: HostLimits::default(),
        cpus: None,
        descriptors: Descriptors::new(10_000),
        deadline: None,
        network,
        http: Some(Arc::new(http)),
        application: None,
        listeners: Vec::new(),
        report,
    }
}

/// What the bare engine's guests have: `wasmtime-wasi`, and all of the network.
pub(crate) struct Bare {
    runtime: Runtime,
    engine: wasmtime::Engine,
    pre: CommandPre<BareState>,
    args: Vec<String>,
}

struct BareState {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    requests: NoRequests,
    table: ResourceTable,
}

impl WasiView for BareState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for BareState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.requests, table: &mut self.table, ctx: &mut self.http }
    }
}

/// The handlers of requests that are measured here ask for nothing themselves.
struct NoRequests;

impl WasiHttpHooks for NoRequests {
    fn send_request(
        &mut self,
        _: hyper::Request<WasiBody>,
        _: Option<RequestOptions>,
        _: Processing,
    ) -> Box<dyn Future<Output = Result<(hyper::Response<WasiBody>, Processing), wasmtime_wasi_http::Error>> + Send>
    {
        Box::new(async { Err(wasmtime_wasi_http::Error::ConnectionRefused) })
    }
}

type Processing = Box<dyn Future<Output = Result<(), wasmtime_wasi_http::Error>> + Send>;

impl Bare {
    /// The same engine and code that `cord` would use, with `wasmtime-wasi` alone.
    pub(crate) fn new(setting: &Setting, guest: &str, args: &[&str], memory: Memory) -> Result<Self> {
        let (engine, code) = engine(setting, guest, memory)?;
        Self::on(&engine, &code, guest, args)
    }

    /// The same on an engine that others use, too.
    pub(crate) fn on(engine: &Engine, code: &Code, guest: &str, args: &[&str]) -> Result<Self> {
        let args = std::iter::once(guest).chain(args.iter().copied()).map(str::to_owned).collect();
        Ok(Self { runtime: event_loop(), pre: join(engine, code)?, engine: engine.wasmtime().clone(), args })
    }

    /// A fresh instance, from its store to its end.
    pub(crate) fn run(&self) -> Result<()> {
        self.runtime.block_on(run(&self.engine, &self.pre, context(&self.args)))
    }
}

/// A handler of requests on the bare engine, of which nothing is called.
pub(crate) struct BareUnrun {
    runtime: Runtime,
    engine: wasmtime::Engine,
    pre: InstancePre<BareState>,
    args: Vec<String>,
}

impl BareUnrun {
    /// The same engine and code that `cord` would use, with `wasmtime-wasi` and `wasmtime-wasi-http` alone.
    pub(crate) fn new(setting: &Setting, guest: &str, memory: Memory) -> Result<Self> {
        let (engine, code) = engine(setting, guest, memory)?;
        let Code::Component(component) = &code else { bail!("no component") };
        let mut linker: Linker<BareState> = Linker::new(engine.wasmtime());
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).map_err(engines)?;
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker).map_err(engines)?;
        let pre = linker.instantiate_pre(component).map_err(engines)?;
        Ok(Self { runtime: event_loop(), pre, engine: engine.wasmtime().clone(), args: vec![guest.to_owned()] })
    }

    /// A fresh instance, which is not run.
    pub(crate) fn start(&self) -> Result<()> {
        let started = self.runtime.block_on(async {
            let mut store = store(&self.engine, context(&self.args));
            self.pre.instantiate_async(&mut store).await.map(drop)
        });
        started.map_err(engines)
    }
}

fn context(args: &[String]) -> WasiCtx {
    WasiCtxBuilder::new()
        .args(args)
        .inherit_stderr()
        .inherit_network()
        .allow_ip_name_lookup(true)
        .allow_tcp(true)
        .allow_blocking_current_thread(true)
        .build()
}

fn join(engine: &Engine, code: &Code) -> Result<CommandPre<BareState>> {
    let Code::Component(component) = code else { bail!("no component") };
    let mut linker: Linker<BareState> = Linker::new(engine.wasmtime());
    wasmtime_wasi::p2::add_to_linker_async(&mut linker).map_err(engines)?;
    CommandPre::new(linker.instantiate_pre(component).map_err(engines)?).map_err(engines)
}

fn store(engine: &wasmtime::Engine, wasi: WasiCtx) -> Store<BareState> {
    let (http, table) = (WasiHttpCtx::new(), ResourceTable::new());
    let mut store = Store::new(engine, BareState { wasi, http, requests: NoRequests, table });
    // Nobody moves the epoch.
    store.set_epoch_deadline(1);
    store
}

async fn run(engine: &wasmtime::Engine, pre: &CommandPre<BareState>, wasi: WasiCtx) -> Result<()> {
    let mut store = store(engine, wasi);
    let command = pre.instantiate_async(&mut store).await.map_err(engines)?;
    let ended = command.wasi_cli_run().call_run(&mut store).await.map_err(engines)?;
    ended.ok().context("the guest ended badly")
}

/// The engine's errors are of its own kind.
fn engines(error: wasmtime::Error) -> anyhow::Error {
    anyhow!("{error:?}")
}

/// A process that does nothing but run a guest on the bare engine: the floor of a start.
pub(crate) fn play(arguments: &[String]) -> Result<()> {
    let file = arguments.first().context("the file of compiled code")?;
    let engine = Engine::new(&Settings { concurrency: Concurrency::Off, allocator: Allocator::OnDemand })?;
    let pre = join(&engine, &crate::setting::load(file.as_ref(), &engine)?)?;
    let mut context = WasiCtxBuilder::new();
    event_loop().block_on(run(engine.wasmtime(), &pre, context.inherit_stdio().build()))
}

/// What a guest prints.
#[derive(Debug, Default)]
struct Heard(Mutex<String>);

impl GuestLog for Heard {
    fn line(&self, line: &[u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_str(&String::from_utf8_lossy(line));
    }
}

/// Nothing is refused here; what is, fails the guest.
#[derive(Debug)]
struct Unheard;

impl DenialReport for Unheard {
    fn denied(&self, denial: Denial) {
        eprintln!("cord-bench: {denial}");
    }
}
