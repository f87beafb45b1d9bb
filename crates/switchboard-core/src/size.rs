//! How many bytes of a message something takes at most, so that what is sent fits into one packet.
//!
//! An estimate from above, from the field numbers and types of `proto/cordboard.proto`: a field is its tag (1 byte), its
//! length (1 byte up to 127, 2 up to 16,383) and its bytes.

use capability::{AddressScope, Labels};
use protocol::message::TargetInfo;

/// What labels, targets and address ranges may take of a packet, which has 81,920 bytes. The rest is for numbers and
/// the wrappers around them.
pub(crate) const ROOM_BYTES: usize = 64_000;

/// Tag and length of a label, of its key and of its value, of which only the last can exceed 127 bytes beside the first.
const LABEL_BYTES: usize = 3 + 2 + 3;
/// Tag and length of a target, and its kind and replicas.
const TARGET_BYTES: usize = 3 + 2 + 6;
/// Tag and length of a range, of its address with 16 bytes, and its prefix length.
const RANGE_BYTES: usize = 2 + 2 + 16 + 3;
/// Tag and length of a layer.
const LAYER_BYTES: usize = 4;

pub(crate) fn of_labels(labels: &Labels) -> usize {
    let of_label = |(key, value): (&capability::LabelKey, &capability::LabelValue)| {
        LABEL_BYTES + key.as_str().len() + value.as_str().len()
    };
    labels.iter().map(of_label).sum()
}

pub(crate) fn of_target(target: &TargetInfo) -> usize {
    TARGET_BYTES + of_labels(&target.in_labels)
}

pub(crate) fn of_scope(scope: &AddressScope) -> usize {
    let of_layer = |layer: &alloc::vec::Vec<_>| LAYER_BYTES + RANGE_BYTES * layer.len();
    scope.layers().iter().map(of_layer).sum()
}
