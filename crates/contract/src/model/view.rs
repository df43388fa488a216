//! What is written.

use super::Index;
use super::route::Op;

/// One shape of output.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// Its name in the contract.
    pub name: String,
    /// What stands outermost.
    pub root: ViewRoot,
}

/// What stands outermost.
#[derive(Debug, Clone, PartialEq)]
pub enum ViewRoot {
    /// An object.
    Object(Vec<Member>),
    /// The page's items in a bare array, each in this view.
    Items(Index),
}

/// A member of an object.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: MemberValue,
    /// May the value be null?
    pub nullable: bool,
    /// The operations that show it; empty for all.
    pub shown_by: Vec<Op>,
    /// What stands there in the others.
    pub hide: Hide,
    /// A sentence for people.
    pub doc: String,
}

/// What a member holds.
#[derive(Debug, Clone, PartialEq)]
pub enum MemberValue {
    /// A value of ours, in a format.
    From(Source, Format),
    /// Always this JSON text.
    Const(String),
    /// An object of its own.
    Object(Vec<Member>),
    /// The same things in another view.
    View(Index),
    /// The page's items, each in another view.
    Items(Index),
}

/// What stands in place of a hidden value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hide {
    /// The member is left out.
    Omit,
    /// `null`.
    Null,
    /// Asterisks.
    Mask,
}

/// How a value is spelled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    /// As its kind is spelled in JSON: text as string, numbers as numbers, lists as arrays.
    Plain,
    /// `2026-04-18T10:00:00Z`.
    Rfc3339,
    /// `2026-04-18T10:00:00.000Z`.
    Rfc3339Ms,
    /// Seconds since 1970.
    Unix,
    /// Milliseconds since 1970.
    UnixMs,
    /// A whole number.
    Int,
    /// Whole milliseconds of a duration.
    Ms,
    /// A number or id as a JSON string.
    Text,
    /// True or false; for words, true if it is one of these.
    Bool(Vec<String>),
    /// Our word to the contract's word.
    Enum(Vec<(String, String)>),
}

macro_rules! sources {
    ($($(#[doc = $doc:literal])* $variant:ident = $word:literal),* $(,)?) => {
        /// A value of ours that views, payloads and headers can hold.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Source {
            $($(#[doc = $doc])* $variant,)*
            /// `endpoint.ext.NAME`: a field only this contract has.
            WebhookExtension(String),
        }

        impl Source {
            /// Every source but the extensions, with the word contracts use.
            pub const WORDS: &[(Self, &str)] = &[$((Self::$variant, $word)),*];
        }
    };
}

sources! {
    /// The webhook's id.
    WebhookId = "endpoint.id",
    /// The account's id.
    WebhookAccount = "endpoint.tenant",
    /// The URL as supplied.
    WebhookUrl = "endpoint.url",
    /// What it subscribed to; "all" is shown as the types of the day, or `["*"]` in an open catalogue.
    WebhookEvents = "endpoint.events",
    /// `active`, `paused` or `disabled`.
    WebhookState = "endpoint.state",
    /// The label.
    WebhookDescription = "endpoint.description",
    /// The current signing secret.
    WebhookSecret = "endpoint.secret",
    /// Until when the previous secret signs beside it; null if it does not.
    WebhookPreviousSecretUntil = "endpoint.previous_secret_until",
    /// Failures since the last success.
    WebhookFailures = "endpoint.consecutive_failures",
    /// When the latest attempt ended.
    WebhookLastAttemptAt = "endpoint.last_attempt_at",
    /// When the latest successful attempt ended.
    WebhookLastSuccessAt = "endpoint.last_success_at",
    /// When it was created.
    WebhookCreatedAt = "endpoint.created_at",
    /// When it was last changed.
    WebhookUpdatedAt = "endpoint.updated_at",
    /// The event's id.
    EventId = "event.id",
    /// The event's type.
    EventType = "event.type",
    /// The account's id.
    EventAccount = "event.tenant",
    /// When it was accepted.
    EventOccurredAt = "event.occurred_at",
    /// The publisher's data object.
    EventData = "event.data",
    /// The delivery's id.
    DeliveryId = "delivery.id",
    /// `pending`, `delivered`, `failed` or `canceled`.
    DeliveryState = "delivery.state",
    /// Why it ended as it did, or what it waits for.
    DeliveryReason = "delivery.reason",
    /// Attempts made so far.
    DeliveryAttempts = "delivery.attempts",
    /// When the next attempt may start.
    DeliveryNextAttemptAt = "delivery.next_attempt_at",
    /// When the receiver took it.
    DeliveryDeliveredAt = "delivery.delivered_at",
    /// The latest attempt's status code.
    DeliveryLastStatus = "delivery.last_status",
    /// When the latest attempt ended.
    DeliveryLastAttemptAt = "delivery.last_attempt_at",
    /// When its event was accepted.
    DeliveryCreatedAt = "delivery.created_at",
    /// 1 for the first try.
    AttemptNumber = "attempt.number",
    /// The time the signature carries: when the attempt began.
    AttemptTimestamp = "attempt.timestamp",
    /// When it began.
    AttemptStartedAt = "attempt.started_at",
    /// When it ended.
    AttemptFinishedAt = "attempt.finished_at",
    /// How long it took.
    AttemptDuration = "attempt.duration",
    /// The status code, if there was an answer.
    AttemptStatus = "attempt.status",
    /// Did the receiver take it?
    AttemptOk = "attempt.ok",
    /// The kind of fault, if there was no answer.
    AttemptError = "attempt.error",
    /// The beginning of the answer's body as text.
    AttemptResponseBody = "attempt.response_body",
    /// The items of the page.
    PageItems = "page.items",
    /// Which page, from 1.
    PageNumber = "page.number",
    /// The most items on a page.
    PageSize = "page.size",
    /// Items before this page.
    PageOffset = "page.offset",
    /// Items on this page.
    PageCount = "page.count",
    /// Items on all pages.
    PageTotal = "page.total",
    /// Are there more?
    PageMore = "page.more",
    /// What asks for the next page.
    PageNext = "page.next",
    /// Did the receiver take the test?
    TestOk = "test.ok",
    /// The receiver's status code.
    TestStatus = "test.status",
    /// How long it took.
    TestDuration = "test.duration",
    /// What became of it, for people.
    TestMessage = "test.message",
    /// The kind of fault, or that the answer was no success.
    TestError = "test.error",
    /// The contract's code.
    ErrorCode = "error.code",
    /// A sentence for people.
    ErrorMessage = "error.message",
    /// An object: empty, or `fields` with a sentence for each rejected field.
    ErrorDetails = "error.details",
    /// An array with `field`, `rule` and `message` of each rejected field.
    ErrorFields = "error.fields",
    /// The HTTP status code.
    ErrorStatus = "error.status",
    /// The status code's standard phrase.
    ErrorTitle = "error.title",
    /// The id of this request.
    RequestId = "request.id",
}

/// What kind of value a source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// A point in time.
    Time,
    /// A span of time.
    Duration,
    /// A whole number.
    Number,
    /// True or false.
    Flag,
    /// One of these words.
    Words(&'static [&'static str]),
    /// A list or an object.
    Json,
}

impl Kind {
    /// The word of deliveries that were given up for a reason of ours. Contracts without a word for it show these as
    /// failed.
    pub const CANCELED: &str = "canceled";
    /// The words of a webhook's state.
    pub const WEBHOOK_STATES: &[&str] = &["active", "paused", "disabled"];
    /// The words of a delivery's state.
    pub const DELIVERY_STATES: &[&str] = &["pending", "delivered", "failed", Self::CANCELED];

    /// The kind's name for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Time => "a time",
            Self::Duration => "a duration",
            Self::Number => "a number",
            Self::Flag => "true or false",
            Self::Words(_) => "a word",
            Self::Json => "a list or object",
        }
    }

    /// The formats it can be spelled in.
    #[must_use]
    pub fn formats(self) -> &'static str {
        match self {
            Self::Text | Self::Json => "no `as`",
            Self::Time => "rfc3339, rfc3339-ms, unix or unix-ms",
            Self::Duration => "ms",
            Self::Number => "int or text",
            Self::Flag => "bool",
            Self::Words(_) => "enum or bool",
        }
    }
}

impl Source {
    /// The word contracts use, without the name of an extension.
    #[must_use]
    pub fn word(&self) -> &'static str {
        Self::WORDS.iter().find(|(source, _)| source == self).map_or("endpoint.ext", |(_, word)| word)
    }

    /// What kind of value it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::WebhookState => Kind::Words(Kind::WEBHOOK_STATES),
            Self::DeliveryState => Kind::Words(Kind::DELIVERY_STATES),
            Self::WebhookPreviousSecretUntil
            | Self::WebhookLastAttemptAt
            | Self::WebhookLastSuccessAt
            | Self::WebhookCreatedAt
            | Self::WebhookUpdatedAt
            | Self::EventOccurredAt
            | Self::DeliveryNextAttemptAt
            | Self::DeliveryDeliveredAt
            | Self::DeliveryLastAttemptAt
            | Self::DeliveryCreatedAt
            | Self::AttemptTimestamp
            | Self::AttemptStartedAt
            | Self::AttemptFinishedAt => Kind::Time,
            Self::AttemptDuration | Self::TestDuration => Kind::Duration,
            Self::WebhookFailures
            | Self::DeliveryAttempts
            | Self::DeliveryLastStatus
            | Self::AttemptNumber
            | Self::AttemptStatus
            | Self::PageNumber
            | Self::PageSize
            | Self::PageOffset
            | Self::PageCount
            | Self::PageTotal
            | Self::TestStatus
            | Self::ErrorStatus => Kind::Number,
            Self::AttemptOk | Self::PageMore | Self::TestOk => Kind::Flag,
            Self::WebhookEvents
            | Self::EventData
            | Self::PageItems
            | Self::ErrorDetails
            | Self::ErrorFields => Kind::Json,
            _ => Kind::Text,
        }
    }

    /// Can it be absent where it belongs?
    #[must_use]
    pub fn may_be_null(&self) -> bool {
        matches!(
            self,
            Self::WebhookDescription
                | Self::WebhookExtension(_)
                | Self::WebhookPreviousSecretUntil
                | Self::WebhookLastAttemptAt
                | Self::WebhookLastSuccessAt
                | Self::DeliveryReason
                | Self::DeliveryNextAttemptAt
                | Self::DeliveryDeliveredAt
                | Self::DeliveryLastStatus
                | Self::DeliveryLastAttemptAt
                | Self::AttemptStatus
                | Self::AttemptError
                | Self::AttemptResponseBody
                | Self::PageNext
                | Self::TestStatus
                | Self::TestDuration
                | Self::TestError
        )
    }
}
