//! Which requests are answered.

use super::access::Need;
use super::{Basis, Index};

/// One request that is answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// Its name in the contract.
    pub name: String,
    /// What it does.
    pub op: Op,
    /// The method.
    pub method: Method,
    /// The path as the contract spells it.
    pub path: String,
    /// The path in parts.
    pub segments: Vec<Segment>,
    /// The way callers say who they are; an index into [`super::Contract::auth`].
    pub auth: Index,
    /// What the caller's key needs.
    pub needs: Option<Need>,
    /// What the request costs where rates count weights.
    pub weight: u32,
    /// The rates that apply; indices into [`super::Contract::rates`].
    pub rates: Vec<Index>,
    /// The body it reads; an index into [`super::Contract::inputs`].
    pub input: Option<Index>,
    /// The status of success.
    pub status: u16,
    /// The body of success; an index into [`super::Contract::views`]. `None` for an empty body.
    pub view: Option<Index>,
    /// What one row of a delivery log is.
    pub rows: Rows,
    /// How a list is cut.
    pub paging: Paging,
    /// What a list can be narrowed by.
    pub filters: Vec<Filter>,
    /// The type of a test event where the request names none.
    pub test_event_type: Option<String>,
    /// A sentence for people.
    pub doc: String,
    /// Where this comes from.
    pub basis: Basis,
}

macro_rules! words {
    ($(#[doc = $about:literal])* $name:ident { $($(#[doc = $doc:literal])* $variant:ident = $word:literal),* $(,)? }) => {
        $(#[doc = $about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[doc = $doc])* $variant),* }

        impl $name {
            /// Every one with the word contracts use.
            pub const WORDS: &[(Self, &str)] = &[$((Self::$variant, $word)),*];

            /// The word contracts use.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }
    };
}
pub(crate) use words;

words! {
    /// What a route does.
    Op {
        /// Registers a webhook.
        WebhookCreate = "endpoint.create",
        /// Lists webhooks.
        WebhookList = "endpoint.list",
        /// Shows a webhook.
        WebhookGet = "endpoint.get",
        /// Changes a webhook.
        WebhookUpdate = "endpoint.update",
        /// Deletes a webhook.
        WebhookDelete = "endpoint.delete",
        /// Changes a webhook's signing secret.
        WebhookRotate = "endpoint.rotate",
        /// Sends a test event and waits for the answer.
        WebhookTest = "endpoint.test",
        /// Holds deliveries.
        WebhookPause = "endpoint.pause",
        /// Sends held deliveries, and switches a disabled webhook on again.
        WebhookResume = "endpoint.resume",
        /// Lists deliveries or attempts.
        DeliveryList = "delivery.list",
        /// Shows a delivery.
        DeliveryGet = "delivery.get",
        /// Sends a delivery again.
        DeliveryResend = "delivery.resend",
    }
}

words! {
    /// Methods of HTTP that contracts use.
    Method {
        /// Reads.
        Get = "GET",
        /// Creates or does.
        Post = "POST",
        /// Replaces or changes.
        Put = "PUT",
        /// Changes.
        Patch = "PATCH",
        /// Deletes.
        Delete = "DELETE",
    }
}

/// A part of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    /// Fixed text.
    Literal(String),
    /// A webhook's id.
    Webhook,
    /// A delivery's id.
    Delivery,
}

/// What one row of a delivery log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    /// One attempt.
    Attempt,
    /// One event on its way to the webhook, with its latest attempt.
    Delivery,
}

/// How a list is cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Paging {
    /// Not at all.
    All,
    /// Only the newest.
    Latest {
        /// How many.
        max: u32,
    },
    /// By page number from 1.
    Page {
        /// The parameter with the number.
        number: String,
        /// The page's size.
        size: PageSize,
    },
    /// By how many to skip.
    Offset {
        /// The parameter with how many to skip.
        offset: String,
        /// The page's size.
        size: PageSize,
    },
    /// By an opaque place.
    Cursor {
        /// The parameter with the place.
        cursor: String,
        /// The page's size.
        size: PageSize,
    },
    /// By the id of the last item seen.
    StartingAfter {
        /// The parameter with the id.
        after: String,
        /// The page's size.
        size: PageSize,
    },
}

/// How many items a page has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageSize {
    /// The parameter that sets it.
    pub param: String,
    /// Without the parameter.
    pub default: u32,
    /// The least.
    pub min: u32,
    /// The most.
    pub max: u32,
    /// What happens to numbers outside.
    pub beyond: Beyond,
}

/// What happens to paging parameters outside their range or not numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beyond {
    /// The nearest allowed number, or the default, is taken.
    Clamp,
    /// They are refused.
    Error,
}

/// A parameter that narrows a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// The parameter.
    pub param: String,
    /// What it looks at.
    pub on: FilterOn,
}

/// What a filter looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FilterOn {
    /// The webhook's state: our words and the contract's.
    WebhookState(Vec<(String, String)>),
    /// Webhooks whose subscription covers the type.
    WebhookCovers,
    /// Webhooks whose subscription names exactly this.
    WebhookNames,
    /// The delivery's state: our words and the contract's.
    DeliveryState(Vec<(String, String)>),
    /// The event's type.
    EventType,
}

impl PageSize {
    /// The largest page a contract may allow.
    pub const MOST: u32 = 1000;
}
