//! `cord-compile SETTINGS < GUEST > CODE`: compiles one guest, and is the only program that links the compiler.
//!
//! It opens nothing: the guest (a module or component, binary or text) is standard input, the compiled code goes to
//! standard output, and SETTINGS are the runner's, as [`sandbox::Settings`] prints them. What is wrong is one line on
//! standard error, and the exit code says whose fault it is: 126 the guest's, 125 ours.
//!
//! A guest that turns the compiler against its user finds itself in a jail without files and sockets, as far as the machine
//! has one; `cord` says what is missing.

mod guest;

use std::io::{self, Read, Write};
use std::process::ExitCode;

use guest::{BadGuest, Kind};
use jail::{Plan, Role, User};
use sandbox::{Engine, Settings};

/// The guest cannot be run, as container tools say it.
const GUEST_AT_FAULT: u8 = 126;

/// Something on our side failed, as container tools say it.
const WE_AT_FAULT: u8 = 125;

/// Why there is no compiled code.
#[derive(Debug, thiserror::Error)]
enum CompileError {
    #[error("usage: cord-compile SETTINGS < GUEST > CODE")]
    Usage,
    #[error(transparent)]
    Settings(#[from] sandbox::ParseSettingsError),
    #[error(transparent)]
    Engine(#[from] sandbox::BuildEngineError),
    #[error("cannot read the guest: {0}")]
    Read(io::Error),
    #[error("cannot write the compiled code: {0}")]
    Write(io::Error),
    #[error(transparent)]
    Guest(#[from] BadGuest),
}

fn main() -> ExitCode {
    match compile(std::env::args().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell if standard error is gone; the exit code still says it.
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::from(match error {
                CompileError::Guest(_) => GUEST_AT_FAULT,
                _ => WE_AT_FAULT,
            })
        }
    }
}

fn compile(mut args: impl Iterator<Item = String>) -> Result<(), CompileError> {
    let (Some(settings), None) = (args.next(), args.next()) else {
        return Err(CompileError::Usage);
    };
    let engine = Engine::new(&settings.parse::<Settings>()?)?;
    let plan = Plan { user: User::Nobody, ..Plan::new(Role::Compiler) };
    let _what_is_missing_is_told_by_cord = jail::enter(&plan);
    let mut source = Vec::new();
    io::stdin().lock().read_to_end(&mut source).map_err(CompileError::Read)?;
    let code = compiled(&engine, &source)?;
    let mut out = io::stdout().lock();
    out.write_all(&code).and_then(|()| out.flush()).map_err(CompileError::Write)
}

fn compiled(engine: &Engine, source: &[u8]) -> Result<Vec<u8>, BadGuest> {
    let binary = guest::binary(source)?;
    let code = match guest::kind(&binary)? {
        Kind::Module => engine.wasmtime().precompile_module(&binary),
        Kind::Component => engine.wasmtime().precompile_component(&binary),
    };
    code.map_err(|error| BadGuest::invalid(&error, binary.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(source: &[u8], expected: &str) {
        let engine = Engine::new(&Settings::default()).unwrap();
        let error = compiled(&engine, source).expect_err("no guest");
        let text = error.to_string();
        assert!(text.starts_with(expected), "{text}");
        assert!(!text.contains('\n'), "{text}");
    }

    #[test]
    fn a_bad_guest_is_told_in_one_line() {
        let module = wat::parse_str("(module (func (export \"_start\") (drop (i32.const 1))))").unwrap();
        check(b"", "not WebAssembly: the file is empty");
        check(b"#!/bin/sh\n", "not WebAssembly: it begins with \"#!/bin/s\"");
        check(b"\x7fELF\x02\x01\x01\0\0", "not WebAssembly: it begins with \"\\x7fELF");
        check(b"\0asm", "cut short at byte 4");
        check(&module[..module.len() - 3], "cut short at byte");
        check(b"\0asm\x02\0\0\0", "WebAssembly of an unknown version");
        check(b"(module (func (export \"_start\") (frob)))", "line 1, column 34: ");
        check(b"(module (func (result i32)))", "invalid WebAssembly: ");
        let mut flipped = module;
        flipped[8] = 0x7e;
        check(&flipped, "invalid WebAssembly: ");
    }

    #[test]
    fn wherever_a_binary_is_cut_it_is_told_so() {
        let module = wat::parse_str("(module (memory 1) (func (export \"_start\") (drop (i32.const 1))))").unwrap();
        let component = wat::parse_str("(component (core module (func (export \"a\"))))").unwrap();
        let engine = Engine::new(&Settings::default()).unwrap();
        for binary in [module, component] {
            // After the magic number; before it there is nothing to know a binary by.
            for end in 4..binary.len() {
                let told = compiled(&engine, &binary[..end]).err().map(|error| error.to_string());
                // Cut between two sections it is shorter and may be whole, or lack what it announced.
                let whole = told.as_ref().is_none_or(|text| text.starts_with("invalid WebAssembly: function section"));
                let cut = told.as_ref().is_some_and(|text| text.starts_with(&format!("cut short at byte {end}:")));
                assert!(whole || cut, "{end} of {}: {told:?}", binary.len());
            }
        }
    }

    #[test]
    fn text_and_binary_give_the_same_code() {
        let text = "(component (core module (func (export \"a\"))))";
        let engine = Engine::new(&Settings::default()).unwrap();
        let from_text = compiled(&engine, text.as_bytes()).unwrap();
        assert_eq!(from_text, compiled(&engine, &wat::parse_str(text).unwrap()).unwrap());
    }
}
