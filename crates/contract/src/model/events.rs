//! What can happen.

use super::Basis;

/// The event types of a contract.
#[derive(Debug, Clone, PartialEq)]
pub struct Catalogue {
    /// The types in the contract's order.
    pub types: Vec<EventType>,
    /// May any dotted lower-case type be published and subscribed to?
    pub open: bool,
    /// The wildcards that may be subscribed to; in an open catalogue `group.*` stands for every group.
    pub wildcards: Vec<String>,
    /// What leaving out the list of types means.
    pub omitted: Omitted,
}

/// What leaving out the list of types means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Omitted {
    /// It is an error.
    Error,
    /// Every type, those of the future too.
    All,
}

/// One event type.
#[derive(Debug, Clone, PartialEq)]
pub struct EventType {
    /// Its dotted name.
    pub name: String,
    /// A sentence for people.
    pub doc: String,
    /// What its data holds, as far as documented.
    pub data: Vec<DataField>,
    /// An example of its data as a JSON object, if the contract gives one.
    pub example: Option<String>,
    /// Made only by the test route; it can be neither subscribed to nor published.
    pub internal: bool,
    /// Where this comes from.
    pub basis: Basis,
}

/// A documented member of an event's data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataField {
    /// Its name.
    pub at: String,
    /// Its JSON Schema type.
    pub json_type: &'static str,
    /// A sentence for people.
    pub doc: String,
}
