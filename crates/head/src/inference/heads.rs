//! Heads as both sides need them: which a plan has room for, their weights in the order of the columns, class names in
//! documents.

use super::InferencePlan;
use crate::{Classes, Head, HeadError, Result};

/// u of a class: its bias, then its weights.
pub(super) fn weight(head: &Head, class: usize, column: usize) -> f64 {
    match column.checked_sub(1) {
        Some(feature) => head.weight()[(class, feature)],
        None => head.bias()[class],
    }
}

/// Refuses a head that a plan has no room for.
pub(super) fn check_head(plan: &InferencePlan, head: &Head) -> Result<()> {
    let (found, expected) = ((head.features(), head.classes().len()), (plan.features(), plan.classes()));
    if found != expected {
        return Err(HeadError::Mismatch(format!(
            "the head reads {} features and knows {} classes, the keys were made for {} and {}: make keys for this head with keygen --for-inference",
            found.0, found.1, expected.0, expected.1
        )));
    }
    let largest = head.weight().iter().chain(head.bias()).fold(0.0f64, |largest, w| largest.max(w.abs()));
    if largest <= plan.most() {
        return Ok(());
    }
    Err(HeadError::Mismatch(format!(
        "the head has a weight or bias of size {largest:.3e}, at most {} can be computed with: train it on features multiplied by a constant",
        plan.most()
    )))
}

pub(super) fn names_to_json(classes: &Classes) -> String {
    serde_json::to_string(classes.names()).expect("a list of strings is JSON")
}

pub(super) fn names_from_json(text: &str) -> Result<Classes> {
    let names: Vec<String> = serde_json::from_str(text)
        .map_err(|e| HeadError::InvalidArtefact(format!("the classes are no list of names: {e}")))?;
    Classes::from_names(names)
}
