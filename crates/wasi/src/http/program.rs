//! A guest ready to answer requests: decides by which version of `wasi:http` it is asked, and makes instances of it.

use sandbox::{Code, Engine};
use wasmtime_wasi_http::{p2, p3};

use crate::component::{self, Joined};
use crate::cpu;
use crate::exit::{self, RunError};
use crate::guest::{GuestSpec, Start};
use crate::http::instance::{Guest, HttpInstance};
use crate::imports::Line;
use crate::linkers::LinkError;
use crate::state::ComponentState;
use crate::store::Stores;

/// A guest that answers requests, joined with its interfaces. Any number of instances may be made of one program.
pub struct HttpProgram {
    stores: Stores,
    kind: Kind,
}

/// What there is to ask.
enum Kind {
    Wasi02(p2::bindings::ProxyPre<ComponentState>),
    Wasi03(p3::bindings::ServicePre<ComponentState>),
}

impl HttpProgram {
    /// Joins `code` with its interfaces.
    ///
    /// # Errors
    ///
    /// The guest answers no requests, or imports what is not provided; all such imports are named.
    pub fn new(engine: &Engine, code: &Code) -> Result<HttpProgram, LinkError> {
        let Code::Component(component) = code else { return Err(LinkError::IsModule) };
        let Joined { pre, line } = component::join_handler(engine, component)?;
        let kind = match line {
            Line::V0_2 => p2::bindings::ProxyPre::new(pre).map(Kind::Wasi02),
            Line::V0_3 => p3::bindings::ServicePre::new(pre).map(Kind::Wasi03),
        };
        let kind = kind.map_err(|error| LinkError::unfit(&error))?;
        Ok(HttpProgram { stores: Stores::new(engine), kind })
    }

    /// From now on instances that compute give way to each other, and to whatever else their thread has to do.
    ///
    /// # Errors
    ///
    /// [`RunError::Ticker`].
    pub fn take_turns(&self) -> Result<(), RunError> {
        self.stores.take_turns()
    }

    /// Makes an instance. Must be called inside a tokio runtime with time and I/O. Time limits are the caller's: the
    /// deadline of `spec` is not heeded.
    ///
    /// # Errors
    ///
    /// The instance could not be made; [`RunError::NoRoom`] if only not now.
    pub async fn start(&self, spec: &GuestSpec, start: Start) -> Result<HttpInstance, RunError> {
        if !(spec.listeners.is_empty() && start.connections.is_empty()) {
            return Err(RunError::NoDescriptors);
        }
        let mut store = self.stores.component(ComponentState::new(spec, start)?);
        let made = async {
            match &self.kind {
                Kind::Wasi02(pre) => pre.instantiate_async(&mut store).await.map(Guest::Wasi02),
                Kind::Wasi03(pre) => pre.instantiate_async(&mut store).await.map(Guest::Wasi03),
            }
        };
        match cpu::within(spec.cpus.as_ref(), made).await {
            Ok(guest) => Ok(HttpInstance::new(store, guest, spec.cpus.clone())),
            Err(error) => {
                let limiter = &store.data().limiter;
                let known = RunError::of(&error, limiter);
                Err(known.unwrap_or_else(|| RunError::Failed(exit::trap(&error, limiter))))
            }
        }
    }
}

impl std::fmt::Debug for HttpProgram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.kind {
            Kind::Wasi02(_) => "HttpProgram(WASI 0.2)",
            Kind::Wasi03(_) => "HttpProgram(WASI 0.3)",
        })
    }
}
