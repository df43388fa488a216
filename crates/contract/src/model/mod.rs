//! The compiled contract: plain data, with names resolved to indices and words to enums.
//!
//! Contract files say `endpoint` and `tenant` where the rest of Posthaste says webhook and account; the words are
//! translated when a file is read and appear nowhere after that.

pub mod access;
pub mod delivery;
pub mod errors;
pub mod events;
pub mod input;
pub mod route;
pub mod view;

pub use access::{
    Access, AccessKind, Auth, HmacRequest, KeyFormat, Limits, Need, Owner, Rate, RateHeaders, RateUnit,
    RequestPart, Scheme, SecretEncoding, SecretKey, SecretOrigin, SecretRule, SecretShown,
};
pub use delivery::{
    Algorithm, DeliveryHeader, DeliveryRules, Encoding, Layout, Many, Payload, PayloadMember, PayloadValue,
    RotationRule, SignaturePart, SignatureRule, TimeSpelling,
};
pub use errors::{Condition, ErrorRule, Errors};
pub use events::{Catalogue, DataField, DataPath, EventType, Omitted, Trigger};
pub use input::{FieldRule, Input, InputField, Probe, Target, Unknown};
pub use route::{Beyond, Filter, FilterOn, Method, Op, PageSize, Paging, Route, Rows, Segment};
pub use view::{Format, Hide, Kind, Member, MemberValue, Source, View, ViewRoot};

use posthaste_core::{DeliveryPolicy, IdKind};

/// Where the statements of a part come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Basis {
    /// The API's own reference.
    #[default]
    Seed,
    /// Another page of the same vendor.
    Vendor,
    /// Stated nowhere; decided by whoever wrote the contract.
    Chosen,
}

/// The place of a part in its list in [`Contract`].
pub type Index = usize;

/// One product's public webhook API and delivery promise.
#[derive(Debug, Clone)]
pub struct Contract {
    /// A short name, such as `standard`.
    pub name: String,
    /// A name for people.
    pub title: String,
    /// The API's own version.
    pub version: String,
    /// Where the API is served in production; for documentation.
    pub servers: Vec<String>,
    /// Ways for a caller to say who they are.
    pub auth: Vec<Auth>,
    /// What callers may do.
    pub access: Access,
    /// The forms of ids.
    pub ids: Ids,
    /// How signing secrets are made and shown.
    pub secret: SecretRule,
    /// What can happen.
    pub events: Catalogue,
    /// Webhook fields only this contract has, by name.
    pub extensions: Vec<String>,
    /// What is written.
    pub views: Vec<View>,
    /// What is read.
    pub inputs: Vec<Input>,
    /// Which requests are answered.
    pub routes: Vec<Route>,
    /// How many webhooks one owner may have.
    pub limits: Limits,
    /// How many requests a caller may make.
    pub rates: Vec<Rate>,
    /// The body of deliveries.
    pub payload: Payload,
    /// The signature headers of deliveries.
    pub signatures: Vec<SignatureRule>,
    /// The other headers of deliveries.
    pub delivery: DeliveryRules,
    /// Everything the engine needs to know.
    pub policy: DeliveryPolicy,
    /// What happens when a signing secret is changed.
    pub rotation: RotationRule,
    /// How refusals look.
    pub errors: Errors,
}

/// The forms of ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ids {
    /// Of webhooks.
    pub webhook: IdKind,
    /// Of events.
    pub event: IdKind,
    /// Of test events; the same unless the contract marks them by a prefix of their own.
    pub test_event: IdKind,
    /// Of deliveries.
    pub delivery: IdKind,
    /// Of requests.
    pub request: IdKind,
}
