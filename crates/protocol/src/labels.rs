//! Label sets to the wire and back.

use crate::codec::MalformedMessage;
use crate::wire;
use capability::{LabelError, LabelKey, Labels, LimitKind, Refusal};

/// The labels as the wire has them, in the order of their keys.
pub(crate) fn to_wire(labels: &Labels) -> Vec<wire::Label> {
    let label = |(key, value): (&LabelKey, &capability::LabelValue)| wire::Label {
        key: key.as_str().to_owned(),
        value: value.as_str().to_owned(),
    };
    labels.iter().map(label).collect()
}

/// The labels of a message that a peer of ours made: if they cannot be, it is no message.
pub(crate) fn from_wire(labels: &[wire::Label]) -> Result<Labels, MalformedMessage> {
    let pairs = labels.iter().map(|label| (label.key.as_str(), label.value.as_str()));
    Ok(Labels::try_from_pairs(pairs)?)
}

/// The labels of a request: if they cannot be, it is refused.
pub(crate) fn from_request(labels: &[wire::Label]) -> Result<Labels, Refusal> {
    let mut set = Labels::new();
    for label in labels {
        set.insert(&label.key, &label.value).map_err(|error| refusal(&error, &label.key))?;
    }
    Ok(set)
}

/// The refusal of a label with this key. It names the key unless that is no key.
pub(crate) fn refusal(error: &LabelError, key: &str) -> Refusal {
    match error {
        LabelError::TooMany => Refusal::Limit { limit: LimitKind::Labels },
        LabelError::Key { .. } | LabelError::Value | LabelError::NotCanonical { .. } | LabelError::Repeated { .. } => {
            refused_key(key)
        }
    }
}

/// The refusal that names this key, or none if it is no key.
pub(crate) fn refused_key(key: &str) -> Refusal {
    Refusal::Label { keys: LabelKey::new(key).into_iter().collect() }
}

/// The keys as the wire has them.
pub(crate) fn keys_to_wire(keys: &[LabelKey]) -> Vec<String> {
    keys.iter().map(|key| key.as_str().to_owned()).collect()
}

/// The keys of a message that a peer of ours made.
pub(crate) fn keys_from_wire(keys: &[String]) -> Result<Vec<LabelKey>, MalformedMessage> {
    let keys: Result<_, LabelError> = keys.iter().map(|key| LabelKey::new(key)).collect();
    Ok(keys?)
}
