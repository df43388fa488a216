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
    /// The webhook's own limit that a value in it has to cross.
    pub when: Option<Trigger>,
    /// Where this comes from.
    pub basis: Basis,
}

/// An event that is meant for a webhook only when a value in it crosses the webhook's own limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    /// The path of the value in the data.
    pub value: DataPath,
    /// Does it fire when the value falls below the limit, rather than rises above it?
    pub falls_below: bool,
    /// The webhook's field with the limit.
    pub extension: String,
    /// The path of what the value belongs to; each is watched on its own.
    pub per: Option<DataPath>,
}

/// Where a member stands in an event's data: the names of the objects' members on the way, at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataPath(Vec<String>);

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

impl Catalogue {
    /// The wildcard that, in an open catalogue, stands for the wildcard of every group.
    pub const ANY_GROUP: &str = "group.*";
}

impl DataPath {
    /// What every path begins with.
    const ROOT: &str = "data.";

    /// The path of `data.asset.code` and the like; the names are letters, digits, `_` and `-`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_name = |name: &str| {
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
        };
        let names: Vec<String> = text.strip_prefix(Self::ROOT)?.split('.').map(str::to_owned).collect();
        (text.len() <= EventType::NAME_MAX_BYTES && names.iter().all(|name| is_name(name)))
            .then_some(Self(names))
    }

    /// The names on the way, from the outermost object on.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// As a JSON pointer (RFC 6901) into an event as it is published.
    #[must_use]
    pub fn pointer(&self) -> String {
        format!("/data/{}", self.0.join("/"))
    }
}

impl std::fmt::Display for DataPath {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}{}", Self::ROOT, self.0.join("."))
    }
}

impl EventType {
    /// The longest name.
    pub const NAME_MAX_BYTES: usize = 128;
}
