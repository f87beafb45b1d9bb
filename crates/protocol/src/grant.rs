//! Rights and grants to the wire and back. What is no grant is refused: it never becomes a wider one.

use crate::wire::pattern::Pattern as WirePattern;
use crate::{address, labels, wire};
use capability::{Cidr, Constraint, Grant, LabelKey, Pattern, PortRange, Refusal, Right};

/// The number of a right in the schema.
pub(crate) fn right_to_wire(right: Right) -> i32 {
    let right = match right {
        Right::ClientConnect => wire::Right::ClientConnect,
        Right::ServerStart => wire::Right::ServerStart,
        Right::IngressConnect => wire::Right::IngressConnect,
        Right::EgressStart => wire::Right::EgressStart,
        Right::ResolverStart => wire::Right::ResolverStart,
        Right::List => wire::Right::List,
        Right::Watch => wire::Right::Watch,
    };
    right.into()
}

/// The right of a number, if this side knows it.
pub(crate) fn right_from_wire(right: i32) -> Option<Right> {
    match wire::Right::try_from(right).ok()? {
        wire::Right::Unspecified => None,
        wire::Right::ClientConnect => Some(Right::ClientConnect),
        wire::Right::ServerStart => Some(Right::ServerStart),
        wire::Right::IngressConnect => Some(Right::IngressConnect),
        wire::Right::EgressStart => Some(Right::EgressStart),
        wire::Right::ResolverStart => Some(Right::ResolverStart),
        wire::Right::List => Some(Right::List),
        wire::Right::Watch => Some(Right::Watch),
    }
}

/// The constraint as the wire has it.
pub(crate) fn constraint_to_wire(constraint: &Constraint) -> wire::Constrain {
    wire::Constrain {
        rights: constraint.rights.iter().map(right_to_wire).collect(),
        in_labels: labels::to_wire(&constraint.in_labels),
        out_labels: labels::to_wire(&constraint.out_labels),
        grants: constraint
            .grants
            .as_ref()
            .map(|grants| wire::GrantLayer { grants: grants.iter().map(to_wire).collect() }),
    }
}

/// The constraint of a request.
///
/// A right that this side does not know is one that nobody can have granted: [`Refusal::Grant`].
pub(crate) fn constraint_from_wire(constrain: &wire::Constrain) -> Result<Constraint, Refusal> {
    let rights = constrain.rights.iter().map(|right| right_from_wire(*right));
    let layer = |layer: &wire::GrantLayer| layer.grants.iter().map(from_wire).collect();
    Ok(Constraint {
        rights: rights.collect::<Option<_>>().ok_or(Refusal::Grant)?,
        in_labels: labels::from_request(&constrain.in_labels)?,
        out_labels: labels::from_request(&constrain.out_labels)?,
        grants: constrain.grants.as_ref().map(layer).transpose()?,
    })
}

fn to_wire(grant: &Grant) -> wire::Grant {
    let pattern = |(key, pattern): (&LabelKey, &Pattern)| wire::Pattern {
        key: key.as_str().to_owned(),
        pattern: Some(pattern_to_wire(pattern)),
    };
    wire::Grant {
        right: right_to_wire(grant.right()),
        patterns: grant.patterns().map(pattern).collect(),
        private: grant.is_private(),
    }
}

fn from_wire(grant: &wire::Grant) -> Result<Grant, Refusal> {
    let mut made = Grant::new(right_from_wire(grant.right).ok_or(Refusal::Grant)?);
    for part in &grant.patterns {
        let pattern = part.pattern.as_ref().and_then(pattern_from_wire);
        let pattern = pattern.ok_or_else(|| labels::refused_key(&part.key))?;
        made = made.with(&part.key, pattern).map_err(|error| labels::refusal(&error, &part.key))?;
    }
    Ok(if grant.private { made.marked_private() } else { made })
}

fn pattern_to_wire(pattern: &Pattern) -> WirePattern {
    match pattern {
        Pattern::Any => WirePattern::Any(true),
        Pattern::Exact(value) => WirePattern::Exact(value.as_str().to_owned()),
        Pattern::Suffix(suffix) => WirePattern::Suffix(suffix.to_string()),
        Pattern::Cidr(range) => WirePattern::Cidr(address::range_to_wire(*range)),
        Pattern::Ports(range) => {
            WirePattern::Ports(wire::PortRange { first: range.first().into(), last: range.last().into() })
        }
    }
}

fn pattern_from_wire(pattern: &WirePattern) -> Option<Pattern> {
    match pattern {
        WirePattern::Any(any) => any.then_some(Pattern::Any),
        WirePattern::Exact(value) => Pattern::exact(value).ok(),
        WirePattern::Suffix(suffix) => suffix.parse().ok().map(Pattern::Suffix),
        WirePattern::Cidr(range) => cidr(range).map(Pattern::Cidr),
        WirePattern::Ports(range) => ports(range).map(Pattern::Ports),
    }
}

fn cidr(range: &wire::Cidr) -> Option<Cidr> {
    address::range_from_wire(range).ok()
}

fn ports(range: &wire::PortRange) -> Option<PortRange> {
    PortRange::new(range.first.try_into().ok()?, range.last.try_into().ok()?).ok()
}
