//! Decides whether a file of compiled code is a module or a component, and loads it.

use wasmtime::component::Component;
use wasmtime::{Module, Precompiled};

use crate::engine::Engine;
use crate::pool::Demand;
use crate::trusted::{self, OwnFile};

/// A guest's compiled code. Cloning shares it.
#[derive(Clone)]
pub enum Code {
    /// A core module: `wasi_unstable` or `wasi_snapshot_preview1`.
    Module(Module),
    /// A component: WASI 0.2 or 0.3.
    Component(Component),
}

/// Why compiled code was not loaded. Either way the cure is to compile anew.
#[derive(Debug, thiserror::Error)]
pub enum LoadCodeError {
    /// The file holds something else.
    #[error("the file holds no compiled code")]
    NotCode,
    /// The code was made by another engine, with other settings, or for another processor.
    #[error("the compiled code does not fit this engine: {reason}")]
    Unfit {
        /// What the engine said, causes included.
        reason: String,
    },
}

impl Code {
    /// Maps compiled code from `file`.
    ///
    /// # Errors
    ///
    /// The file is no code of this engine. Code that the engine accepts but that was tampered with is not found out
    /// here: that is what [`OwnFile`] and the cache's checksum are for.
    pub fn load(engine: &Engine, file: &OwnFile) -> Result<Code, LoadCodeError> {
        let unfit = |error: wasmtime::Error| LoadCodeError::Unfit { reason: format!("{error:#}") };
        match wasmtime::Engine::detect_precompiled_file(file.path()) {
            Ok(Some(Precompiled::Module)) => trusted::load_module(engine, file).map(Code::Module).map_err(unfit),
            Ok(Some(Precompiled::Component)) => {
                trusted::load_component(engine, file).map(Code::Component).map_err(unfit)
            }
            Ok(None) | Err(_) => Err(LoadCodeError::NotCode),
        }
    }

    /// Whether it imports an interface of `package`, such as `wasi:http`, other than its types.
    #[must_use]
    pub fn imports_from(&self, package: &str) -> bool {
        let Code::Component(component) = self else { return false };
        let ty = component.component_type();
        let mut names = ty.imports(component.engine()).map(|(name, _)| name.to_owned());
        names.any(|name| {
            let rest = name.strip_prefix(package).and_then(|rest| rest.strip_prefix('/'));
            rest.is_some_and(|interface| !interface.starts_with("types"))
        })
    }

    /// What one instance takes from a pool. Nothing for a component that wants core modules from its host: no interface
    /// of WASI has any, so it cannot be run.
    #[must_use]
    pub fn demand(&self) -> Demand {
        let required = match self {
            Code::Module(module) => Some(module.resources_required()),
            Code::Component(component) => component.resources_required(),
        };
        required.map_or(Demand::default(), |required| Demand {
            memories: required.num_memories,
            tables: required.num_tables,
            table_entries: required.max_initial_table_size.unwrap_or(0),
        })
    }
}

impl std::fmt::Debug for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Code::Module(_) => "Code::Module",
            Code::Component(_) => "Code::Component",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{File, Permissions};
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::settings::Settings;

    fn load(bytes: &[u8]) -> Result<Code, LoadCodeError> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        let own = OwnFile::check(File::open(file.path()).unwrap()).unwrap();
        Code::load(&Engine::new(&Settings::default()).unwrap(), &own)
    }

    #[test]
    fn what_is_no_code_is_not_loaded() {
        for bytes in [&b""[..], b"\0asm\x01\0\0\0", b"\x7fELF", &[0x7f; 4096]] {
            assert!(matches!(load(bytes), Err(LoadCodeError::NotCode)));
        }
    }

    #[test]
    fn a_file_that_others_could_write_is_foreign() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::set_permissions(file.path(), Permissions::from_mode(0o620)).unwrap();
        assert!(OwnFile::check(File::open(file.path()).unwrap()).is_err());
        std::fs::set_permissions(file.path(), Permissions::from_mode(0o600)).unwrap();
        assert!(OwnFile::check(File::open(file.path()).unwrap()).is_ok());
        assert!(OwnFile::check(File::open("/").unwrap()).is_err());
    }
}
