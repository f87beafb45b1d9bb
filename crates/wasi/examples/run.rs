//! Runs a compiled guest without a cache and without a network: `run GUEST.code [ARGS]...`.
//!
//! `cord-compile "$(run)" < guest.wasm > guest.code` makes the file: without arguments this prints the settings to
//! compile with. The file must be readable by its owner alone (`umask 077`).
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the example's own output")]

use std::fs::File;
use std::process::ExitCode;
use std::sync::Arc;

use sandbox::{Code, Engine, Limits, OwnFile, Settings};
use wasi::{Access, Denial, DenialReport, Descriptors, Exit, GuestSpec, HostLimits, Program, Start, Stdio, Volume};

#[derive(Debug)]
struct ToStderr;

impl DenialReport for ToStderr {
    fn denied(&self, denial: Denial) {
        eprintln!("run: {denial}");
    }
}

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let settings = Settings::default();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some(path) = args.first() else {
        println!("{settings}");
        return Ok(ExitCode::SUCCESS);
    };
    let engine = Engine::new(&settings)?;
    let code = Code::load(&engine, &OwnFile::check(File::open(path)?)?)?;
    let program = Program::new(&engine, &code)?;
    let here = Volume { dir: File::open(".")?.into(), guest_path: "/here".to_owned(), access: Access::ReadOnly };
    let spec = GuestSpec {
        args,
        env: vec![("GREETING".to_owned(), "hello".to_owned())],
        volumes: vec![here],
        workdir: Some("/here".to_owned()),
        http: None,
        limits: Limits { memory_bytes: Some(64 << 20), ..Limits::default() },
        host_limits: HostLimits::default(),
        cpus: None,
        descriptors: Descriptors::new(10_000),
        deadline: Some(std::time::Duration::from_secs(5)),
        network: None,
        application: None,
        listeners: Vec::new(),
        report: Arc::new(ToStderr),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(match runtime.block_on(program.run(&spec, Start::with(Stdio::Inherit)))? {
        Exit::Code(code) => ExitCode::from(u8::try_from(code & 0xff)?),
        Exit::Trap(report) => {
            eprintln!("run: {report}");
            ExitCode::from(134)
        }
        Exit::TimedOut => {
            eprintln!("run: timed out");
            ExitCode::from(124)
        }
    })
}
