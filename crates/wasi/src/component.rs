//! Decides how a component is joined with the interfaces it imports, and by which of its exports it is called.

use sandbox::{Code, Concurrency, Engine};
use wasmtime::component::types;
use wasmtime::component::{Component, InstancePre};

use crate::imports::{self, Line};
use crate::linkers::{self, LinkError};
use crate::state::ComponentState;

/// The interface of a command, in every version.
const RUN: &str = "wasi:cli/run";

/// The interface by which a component of WASI 0.2 is asked.
const INCOMING_HANDLER: &str = "wasi:http/incoming-handler";

/// The interface by which a component of WASI 0.3 is asked.
const HANDLER: &str = "wasi:http/handler";

/// A component joined with its interfaces.
pub(crate) struct Joined {
    pub(crate) pre: InstancePre<ComponentState>,
    /// The line of WASI whose export is to be called.
    pub(crate) line: Line,
}

/// What a component can be used for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Uses {
    command: Option<Line>,
    handler: Option<Line>,
}

impl Uses {
    fn of<'a>(exports: impl Iterator<Item = &'a str>) -> Uses {
        let mut uses = Uses::default();
        for (interface, line) in exports.filter_map(imports::interface) {
            match (interface, line) {
                (RUN, line) => uses.command = uses.command.or(Some(line)),
                (INCOMING_HANDLER, Line::V0_2) | (HANDLER, Line::V0_3) => uses.handler = uses.handler.or(Some(line)),
                _ => {}
            }
        }
        uses
    }

    fn command(self) -> Result<Line, LinkError> {
        match self {
            Uses { command: Some(line), .. } => Ok(line),
            Uses { handler: Some(_), .. } => Err(LinkError::IsHandler),
            _ => Err(LinkError::NoRun),
        }
    }

    fn handler(self) -> Result<Line, LinkError> {
        match self {
            Uses { handler: Some(line), .. } => Ok(line),
            Uses { command: Some(_), .. } => Err(LinkError::IsCommand),
            _ => Err(LinkError::NoHandler),
        }
    }
}

/// Joins a component that is to be run.
///
/// # Errors
///
/// It is no command, or imports what is not provided.
pub(crate) fn join_command(engine: &Engine, component: &Component) -> Result<Joined, LinkError> {
    join(engine, component, Uses::command)
}

/// Joins a component that is to answer requests.
///
/// # Errors
///
/// It answers none, or imports what is not provided.
pub(crate) fn join_handler(engine: &Engine, component: &Component) -> Result<Joined, LinkError> {
    join(engine, component, Uses::handler)
}

fn join(
    engine: &Engine,
    component: &Component,
    wanted: fn(Uses) -> Result<Line, LinkError>,
) -> Result<Joined, LinkError> {
    let ty = component.component_type();
    let missing: Vec<String> = ty
        .imports(engine.wasmtime())
        .map(|(name, _)| name)
        .filter(|name| !imports::is_provided(name))
        .map(str::to_owned)
        .collect();
    if !missing.is_empty() {
        return Err(LinkError::Missing { names: missing });
    }
    let line = wanted(Uses::of(ty.exports(engine.wasmtime()).map(|(name, _)| name)))?;
    if engine.settings().concurrency == Concurrency::Off && names_0_3(&ty, engine.wasmtime()) {
        return Err(LinkError::NoConcurrency);
    }
    let linker = linkers::component(engine, component).map_err(|error| LinkError::unfit(&error))?;
    let pre = linker.instantiate_pre(component).map_err(|error| LinkError::unfit(&error))?;
    Ok(Joined { pre, line })
}

/// Whether a guest that was compiled with [`Concurrency::Off`] must be compiled with [`Concurrency::On`] instead, because
/// an interface of WASI 0.3 is among its imports or exports. What else needs concurrency does not compile without.
#[must_use]
pub fn needs_concurrency(code: &Code) -> bool {
    match code {
        Code::Module(_) => false,
        Code::Component(component) => names_0_3(&component.component_type(), component.engine()),
    }
}

fn names_0_3(ty: &types::Component, engine: &wasmtime::Engine) -> bool {
    let mut names = ty.imports(engine).chain(ty.exports(engine)).map(|(name, _)| name);
    names.any(|name| matches!(imports::interface(name), Some((_, Line::V0_3))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(exports: &[&str], command: Option<Line>, handler: Option<Line>) {
        assert_eq!(Uses::of(exports.iter().copied()), Uses { command, handler }, "{exports:?}");
    }

    #[test]
    fn an_export_tells_what_a_component_is_for() {
        check(&["wasi:cli/run@0.2.3"], Some(Line::V0_2), None);
        check(&["wasi:cli/run@0.3.0"], Some(Line::V0_3), None);
        check(&["wasi:http/incoming-handler@0.2.0"], None, Some(Line::V0_2));
        check(&["a:b/c@0.2.0", "wasi:http/handler@0.3.0-rc-2026-03-15"], None, Some(Line::V0_3));
        check(&["wasi:http/handler@0.2.0", "wasi:http/incoming-handler@0.3.0", "wasi:http/handler"], None, None);
        check(&["wasi:http/incoming-handler@0.2.1", "wasi:cli/run@0.2.1"], Some(Line::V0_2), Some(Line::V0_2));
    }

    #[test]
    fn who_takes_the_wrong_way_is_told_the_right_one() {
        let command = Uses { command: Some(Line::V0_2), handler: None };
        let handler = Uses { command: None, handler: Some(Line::V0_3) };
        assert!(matches!(command.handler(), Err(LinkError::IsCommand)));
        assert!(matches!(handler.command(), Err(LinkError::IsHandler)));
        assert!(matches!(Uses::default().command(), Err(LinkError::NoRun)));
        assert!(matches!(Uses::default().handler(), Err(LinkError::NoHandler)));
    }
}
