//! Tests of the security model: [`labels`], [`constrain`], [`grants`] and [`addresses`] are tables in which refusals are
//! asserted to the letter; [`properties`] says what holds for all capabilities.

#[cfg(test)]
mod addresses;
#[cfg(test)]
mod constrain;
#[cfg(test)]
mod grants;
#[cfg(test)]
mod labels;
#[cfg(test)]
mod properties;

use capability::{Grant, LabelKey, Labels, Pattern, Refusal, Right};

/// `a=1 b=2` as a set.
fn labels(text: &str) -> Labels {
    let pairs = text.split_whitespace().map(|pair| pair.split_once('=').expect("key=value"));
    Labels::try_from_pairs(pairs).expect("labels of a test")
}

fn keys(names: &[&str]) -> Vec<LabelKey> {
    let key = |name: &&str| LabelKey::new(name).expect("a key of a test");
    names.iter().map(key).collect()
}

fn label_refusal(names: &[&str]) -> Refusal {
    Refusal::Label { keys: keys(names) }
}

/// The pattern that `text` looks like: `*`, `*.suffix`, an address range, a port range, or else the exact value.
fn pattern(text: &str) -> Pattern {
    if text == "*" {
        Pattern::Any
    } else if let Ok(suffix) = text.parse() {
        Pattern::Suffix(suffix)
    } else if let Ok(range) = text.parse() {
        Pattern::Cidr(range)
    } else if let Ok(ports) = text.parse() {
        Pattern::Ports(ports)
    } else {
        Pattern::exact(text).expect("a value of a test")
    }
}

/// `a=* b=10.0.0.0/8` as a grant.
fn grant(right: Right, text: &str) -> Grant {
    let pairs = text.split_whitespace().map(|pair| pair.split_once('=').expect("key=pattern"));
    pairs.fold(Grant::new(right), |grant, (key, value)| grant.with(key, pattern(value)).expect("a grant of a test"))
}
