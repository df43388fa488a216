//! Limits that watched values are measured by.

use super::Whole;
use crate::model::input::{FieldRule, InputField, Target};

/// A limit that is no number would never be crossed, without a word.
pub fn check(whole: &Whole<'_>) {
    let fields: Vec<&InputField> = whole.contract.inputs.iter().flat_map(|input| &input.fields).collect();
    for known in &whole.contract.events.types {
        let Some(trigger) = &known.when else { continue };
        let is_read = fields.iter().any(|field| {
            matches!(&field.to, Target::Extension(name) if *name == trigger.extension)
                && matches!(field.rule, FieldRule::Decimal { .. })
        });
        if !is_read {
            let message =
                format!("no input reads `{}` as a decimal, so nothing can cross it", trigger.extension);
            whole.error(&["events", "types", &known.name, "when", "limit"], message);
        }
    }
}
