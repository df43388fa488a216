//! What is read.

/// One shape of input.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    /// Its name in the contract.
    pub name: String,
    /// What becomes of members the contract does not name.
    pub unknown: Unknown,
    /// May the body be left out altogether?
    pub body_optional: bool,
    /// The fields, in the order they are checked.
    pub fields: Vec<InputField>,
}

/// What becomes of members the contract does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// They are ignored.
    Ignore,
    /// They are refused.
    Reject,
}

/// One member that is read.
#[derive(Debug, Clone, PartialEq)]
pub struct InputField {
    /// Where it stands, from the outside in.
    pub at: Vec<String>,
    /// What it sets.
    pub to: Target,
    /// What it has to be.
    pub rule: FieldRule,
    /// Must it be there?
    pub required: bool,
    /// May it be null?
    pub nullable: bool,
    /// Must it be there when the webhook names this event type?
    pub required_with: Option<String>,
    /// Is it looked at only when the webhook covers this event type?
    pub only_with: Option<String>,
    /// Taken when it is left out.
    pub default: Option<String>,
    /// A sentence for people.
    pub doc: String,
}

/// What a field sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The webhook's URL.
    Url,
    /// Its subscription.
    Events,
    /// Its label.
    Description,
    /// Its signing secret.
    Secret,
    /// Whether it is delivered to.
    State,
    /// A field only this contract has.
    Extension(String),
    /// Which webhook the request is about, where the path does not say.
    WebhookId,
    /// Which delivery the request is about, where the path does not say.
    DeliveryId,
    /// The type of a test event.
    EventType,
    /// Nothing: it is checked and forgotten.
    Nothing,
}

/// What a field has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldRule {
    /// A URL. Only the text is judged here: its length, scheme and that it is no blank.
    Url {
        /// Allowed schemes.
        schemes: Vec<String>,
        /// The most characters.
        max: usize,
        /// What is tried at registration.
        probes: Vec<Probe>,
    },
    /// A list of event types or wildcards.
    Events {
        /// The least entries.
        min: usize,
        /// The most entries.
        max: usize,
        /// Are equal entries refused, rather than dropped?
        rejects_duplicates: bool,
    },
    /// Text.
    String {
        /// The least characters.
        min: usize,
        /// The most characters.
        max: usize,
    },
    /// A signing secret: text that is not only spaces, and from which a key can be made.
    Secret {
        /// The least characters.
        min: usize,
        /// The most characters.
        max: usize,
    },
    /// A decimal number as text.
    Decimal {
        /// Must it be above zero?
        positive: bool,
    },
    /// The id of a webhook or delivery; whether there is one is looked up later.
    Id,
    /// One event type.
    Event,
    /// True or false; for a state, the words they stand for.
    Bool {
        /// The state that true means.
        when_true: Option<String>,
        /// The state that false means.
        when_false: Option<String>,
    },
    /// A whole number.
    Int {
        /// The least.
        min: i64,
        /// The most.
        max: i64,
    },
    /// One of these words: ours and the contract's.
    Enum(Vec<(String, String)>),
    /// An object of strings.
    Map {
        /// The most members.
        max: usize,
    },
    /// Exactly this JSON string.
    Const(String),
}

/// What is tried when a webhook is registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// The host resolves to public addresses.
    Public,
    /// It shows a valid certificate.
    Tls,
}
