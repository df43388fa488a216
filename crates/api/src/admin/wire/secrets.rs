//! How secrets are sealed.

use posthaste_store::Seals;
use serde::Serialize;

use super::maybe;

/// Which master key seals what. Keys are named, never shown.
#[derive(Serialize)]
pub(crate) struct SealsShown {
    state: &'static str,
    key: KeyShown,
    former_key: Option<KeyShown>,
    /// When the rotation under way began.
    rotating_since: Option<String>,
    /// How many secrets do not open with the keys at hand.
    unopened: u64,
    /// What the rotation waits for, if somebody should see to it.
    held_up_by: Option<String>,
    key_from: &'static str,
}

#[derive(Serialize)]
struct KeyShown {
    id: String,
    since: Option<String>,
    secrets: u64,
}

impl From<Seals> for SealsShown {
    fn from(seals: Seals) -> Self {
        let rotating_since = seals.rotation.as_ref().and_then(|rotation| maybe(rotation.since));
        let former = |rotation: posthaste_store::SealRotation| KeyShown {
            id: rotation.former_key_id,
            since: None,
            secrets: rotation.sealed_under_former,
        };
        Self {
            state: match &seals.rotation {
                Some(_) => "rotating",
                None if seals.unopened > 0 => "incomplete",
                None => "settled",
            },
            unopened: seals.unopened,
            held_up_by: seals.held_up_by,
            key: KeyShown { id: seals.key_id, since: maybe(seals.key_since), secrets: seals.sealed },
            former_key: seals.rotation.map(former),
            rotating_since,
            key_from: if seals.is_key_given { "environment" } else { "file" },
        }
    }
}
