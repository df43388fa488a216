//! What is wrong with a request, field by field.

/// A field that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldFault {
    /// The field as the contract's callers know it, such as `endpoint_url`.
    pub field: String,
    /// The rule, as one word: `required`, `type`, `max`, …
    pub rule: &'static str,
    /// A sentence for people that begins with the field's name. It does not echo what was sent.
    pub message: String,
}
