//! Holds one configured engine together with the settings it was made from.

use crate::settings::Settings;

/// The engine of one process. Cloning shares it.
#[derive(Clone)]
pub struct Engine {
    inner: wasmtime::Engine,
    settings: Settings,
}

/// The engine could not be set up on this machine.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up the WebAssembly engine: {reason}")]
pub struct BuildEngineError {
    /// What the engine said, causes included.
    pub reason: String,
}

impl Engine {
    /// Sets up an engine.
    ///
    /// # Errors
    ///
    /// The machine lacks what the settings ask for, such as address space for the pool.
    pub fn new(settings: &Settings) -> Result<Engine, BuildEngineError> {
        let build = || wasmtime::Engine::new(&settings.config()?);
        let inner = build().map_err(|error| BuildEngineError { reason: format!("{error:#}") })?;
        Ok(Engine { inner, settings: settings.clone() })
    }

    /// The engine itself, for the crates that make linkers and stores.
    #[must_use]
    pub fn wasmtime(&self) -> &wasmtime::Engine {
        &self.inner
    }

    /// What the engine was made from.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("settings", &self.settings).finish_non_exhaustive()
    }
}
