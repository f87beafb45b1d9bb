//! A whole process that says hello, from its start to its end, everything it needs being warm.

use crate::contest::{Contestant, Row};
use crate::results::{Bound, Role, RowResult, Target, Unit};
use crate::runner::{Memory, engine};
use crate::setting::{Setting, output, succeed, words};
use anyhow::{Result, ensure};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const OURS: &str = "cord run hello.wasm";

const ROW: Row = Row {
    id: "process",
    title: "a whole process that says hello, compiled before",
    unit: Unit::MILLISECONDS,
    targets: &[
        Target { says: "under 1.6 ms with the jail on", ours: OURS, bound: Bound::Number(1.6) },
        Target {
            says: "under 2.7 times a native static program: 1.6 ms where that takes 0.6",
            ours: OURS,
            bound: Bound::TimesAtMost(2.7, NATIVE),
        },
    ],
};
const NATIVE: &str = "a native static program";

pub(super) fn measure(setting: &Setting) -> Result<RowResult> {
    let (native, hello) = (setting.beside("native"), setting.guest("hello.wasm"));
    let mut left_out = Vec::new();
    let mut commands: Vec<(Role, &str, Command)> = Vec::new();
    let mut add = |role, name, program: &Path, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(arguments);
        commands.push((role, name, command));
    };
    let hello = hello.to_string_lossy();
    add(Role::Ours, OURS, &setting.cord, &["run", &hello]);
    add(Role::Ours, "the same, --jail off", &setting.cord, &["run", "--jail", "off", &hello]);
    add(Role::Ours, "the same, with a grant, so with a broker", &setting.cord, &["run", "-c", "127.0.0.1:22", &hello]);
    add(Role::Floor, NATIVE, &native, &["hello"]);
    let (on_demand, _) = engine(setting, "hello.wasm", Memory::OnDemand)?;
    let code = setting.compile("hello.wasm", on_demand.settings())?;
    let mut bare = setting.role("bare-run");
    bare.arg(code);
    commands.push((Role::Floor, "the bare engine, static, no jail, no switchboard", bare));

    match container(setting, &native) {
        Ok(root) => {
            let root_text = root.to_string_lossy().into_owned();
            for peer in peers(&native, &hello, &root_text) {
                match setting.installed(peer.program).and_then(|program| works(setting, &program, &peer)) {
                    Ok(command) => commands.push((Role::Peer, peer.name, command)),
                    Err(why) => left_out.push(why),
                }
            }
        }
        Err(error) => left_out.push(format!("all peers: {error:#}")),
    }
    for (_, name, command) in &mut commands {
        let said = output(command)?;
        ensure!(said == "hello\n", "{name} says {said:?}");
    }
    let contestants = commands.into_iter().map(|(role, name, mut command)| {
        let how = words(&command);
        Contestant::timed(role, name, how, 1, move || succeed(&mut command))
    });
    ROW.run(setting.rounds(200), contestants.collect(), left_out)
}

/// A program that starts something like a guest.
struct Peer {
    program: &'static str,
    name: &'static str,
    arguments: Vec<String>,
}

fn peers(native: &Path, hello: &str, bundle: &str) -> Vec<Peer> {
    let native = native.to_string_lossy();
    let peer = |program, name, arguments: &[&str]| {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        Peer { program, name, arguments }
    };
    let rootfs = format!("{bundle}/rootfs");
    vec![
        peer("wasmtime", "wasmtime run hello.wasm", &["run", hello]),
        peer("wasmer", "wasmer run hello.wasm", &["run", hello]),
        peer(
            "bwrap",
            "bwrap, native",
            &["--ro-bind", "/", "/", "--unshare-all", "--die-with-parent", &native, "hello"],
        ),
        peer("crun", "crun, native", &["run", "--bundle", bundle, "cord-bench-crun"]),
        peer("runc", "runc, native", &["run", "--bundle", bundle, "cord-bench-runc"]),
        peer("podman", "podman, native", &["run", "--rm", "--network=none", "--rootfs", &rootfs, "/native", "hello"]),
    ]
}

/// The command, if it does what it should here.
fn works(setting: &Setting, program: &Path, peer: &Peer) -> Result<Command, String> {
    let command = || {
        let mut command = setting.peer(program);
        command.args(&peer.arguments);
        command
    };
    // The second time its caches are warm.
    for _ in 0..2 {
        output(&mut command()).map_err(|error| format!("{}: does not run here ({error:#})", peer.program))?;
    }
    Ok(command())
}

/// A folder with the native program as a container that the runtimes of the Open Container Initiative start.
fn container(setting: &Setting, native: &Path) -> Result<PathBuf> {
    let bundle = setting.scratch().join("bundle");
    let root = bundle.join("rootfs");
    for folder in ["proc", "dev", "sys"] {
        fs::create_dir_all(root.join(folder))?;
    }
    fs::copy(native, root.join("native"))?;
    let namespaces = ["pid", "network", "ipc", "uts", "mount"].map(|kind| json!({ "type": kind }));
    let config = json!({
        "ociVersion": "1.0.2",
        "process": {
            "user": { "uid": 0, "gid": 0 },
            "args": ["/native", "hello"],
            "env": ["PATH=/"],
            "cwd": "/",
            "noNewPrivileges": true,
            "capabilities": { "bounding": [], "effective": [], "permitted": [] },
        },
        "root": { "path": "rootfs", "readonly": true },
        "hostname": "bench",
        "mounts": [{ "destination": "/proc", "type": "proc", "source": "proc" }],
        "linux": { "namespaces": namespaces },
    });
    fs::write(bundle.join("config.json"), serde_json::to_vec_pretty(&config)?)?;
    Ok(bundle)
}
