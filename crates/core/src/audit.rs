//! Who changed what: a row for each change, written together with it.

use std::net::IpAddr;
use std::sync::Arc;

use crate::time::UnixMs;
use crate::token::Scope;

/// Who asks for a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// Posthaste itself.
    System,
    /// Whoever holds the operator's token.
    Operator,
    /// Whoever holds a named token.
    Token {
        /// Its id (`tok_…`).
        id: Arc<str>,
        /// The name it has.
        name: Arc<str>,
    },
    /// A customer's API key.
    ApiKey {
        /// Its id (`key_…`).
        id: Arc<str>,
    },
}

impl Actor {
    /// Every kind, as a word.
    pub const KINDS: &[&'static str] = &["system", "operator", "token", "api_key"];

    /// The kind, as a word.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Operator => "operator",
            Self::Token { .. } => "token",
            Self::ApiKey { .. } => "api_key",
        }
    }

    /// The id, where there is more than one of the kind.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::System | Self::Operator => None,
            Self::Token { id, .. } | Self::ApiKey { id } => Some(id),
        }
    }

    /// The name, where there is one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Token { name, .. } => Some(name),
            _ => None,
        }
    }

    /// Puts together what the three parts say; `None` if they say nothing sensible.
    #[must_use]
    pub fn from_parts(kind: &str, id: Option<String>, name: Option<String>) -> Option<Self> {
        match (kind, id, name) {
            ("system", None, None) => Some(Self::System),
            ("operator", None, None) => Some(Self::Operator),
            ("token", Some(id), Some(name)) => Some(Self::Token { id: id.into(), name: name.into() }),
            ("api_key", Some(id), None) => Some(Self::ApiKey { id: id.into() }),
            _ => None,
        }
    }
}

/// By whom and when something is changed, handed to whatever changes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct By {
    /// When.
    pub at: UnixMs,
    /// Who.
    pub actor: Actor,
    /// The id of the request that asked for it.
    pub request_id: Option<Arc<str>>,
    /// Where the request came from, as the listener saw it.
    pub address: Option<IpAddr>,
    /// The public id of what is changed, where the store knows none: that of a delivery.
    pub object: Option<Arc<str>>,
}

impl By {
    /// The same, about a thing with this public id.
    #[must_use]
    pub fn about(self, id: &str) -> Self {
        Self { object: Some(id.into()), ..self }
    }
}

/// Posthaste itself, at this time.
impl From<UnixMs> for By {
    fn from(at: UnixMs) -> Self {
        Self { at, actor: Actor::System, request_id: None, address: None, object: None }
    }
}

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident = $word:literal of $object:literal,)*) => {
        /// What was done.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Action {
            $($(#[$doc])* $name,)*
        }

        impl Action {
            /// Every action there is.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The action as a word.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// The kind of thing it is done to.
            #[must_use]
            pub fn object_kind(self) -> &'static str {
                match self { $(Self::$name => $object,)* }
            }
        }
    };
}

actions! {
    /// An account was created.
    AccountCreated = "account.created" of "account",
    /// An account was changed.
    AccountUpdated = "account.updated" of "account",
    /// An account was deleted, with its keys and webhooks.
    AccountDeleted = "account.deleted" of "account",
    /// An API key was created.
    KeyCreated = "key.created" of "key",
    /// An API key was revoked.
    KeyRevoked = "key.revoked" of "key",
    /// A named token was created.
    TokenCreated = "token.created" of "token",
    /// A named token was revoked.
    TokenRevoked = "token.revoked" of "token",
    /// A webhook was registered.
    WebhookCreated = "webhook.created" of "webhook",
    /// A webhook's fields were changed.
    WebhookUpdated = "webhook.updated" of "webhook",
    /// A webhook was deleted.
    WebhookDeleted = "webhook.deleted" of "webhook",
    /// A webhook's deliveries are held.
    WebhookPaused = "webhook.paused" of "webhook",
    /// A webhook's deliveries go out again.
    WebhookResumed = "webhook.resumed" of "webhook",
    /// A webhook was switched off.
    WebhookDisabled = "webhook.disabled" of "webhook",
    /// A webhook got a new signing secret.
    WebhookSecretRotated = "webhook.secret_rotated" of "webhook",
    /// A test event was sent to a webhook.
    WebhookTested = "webhook.tested" of "webhook",
    /// A webhook's failed deliveries were made again.
    WebhookRecovered = "webhook.recovered" of "webhook",
    /// One delivery was made again.
    DeliveryRetried = "delivery.retried" of "delivery",
    /// All secrets were sealed anew with another master key.
    SecretsRotated = "secrets.rotated" of "store",
    /// A store that was put back from an old copy was let send again.
    SendingReleased = "sending.released" of "store",
}

impl Action {
    /// The action with this word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|action| action.word() == word)
    }
}

/// What else is told of a change. Never a value that could be secret or a customer's own: names of fields, numbers,
/// and words of ours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Details {
    /// The names of the fields that changed.
    pub fields: Vec<String>,
    /// How many things were changed.
    pub count: Option<u64>,
    /// Why, as a word.
    pub reason: Option<String>,
    /// The name of a token.
    pub name: Option<String>,
    /// What a token may do.
    pub scope: Option<Scope>,
}

/// A row of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its place; later changes have higher ones.
    pub no: i64,
    /// By whom and when; `object` is the id of what was changed.
    pub by: By,
    /// What was done.
    pub action: Action,
    /// The public id of the account it concerns, if it concerns one.
    pub account: Option<String>,
    /// What else is told.
    pub details: Details,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_comes_back_as_what_it_was() {
        for action in Action::ALL {
            assert_eq!(Action::from_word(action.word()), Some(*action));
        }
        assert_eq!(Action::from_word("webhook.unknown"), None);
        let (id, name): (Arc<str>, Arc<str>) = ("x_1".into(), "n".into());
        for actor in
            [Actor::System, Actor::Operator, Actor::Token { id: id.clone(), name }, Actor::ApiKey { id }]
        {
            let parts = (actor.id().map(str::to_owned), actor.name().map(str::to_owned));
            assert!(Actor::KINDS.contains(&actor.kind()));
            assert_eq!(Actor::from_parts(actor.kind(), parts.0, parts.1), Some(actor));
        }
        assert_eq!(Actor::from_parts("token", None, None), None);
    }
}
