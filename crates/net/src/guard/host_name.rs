//! Which host names may be delivered to.

use super::rule::{Refusal, Rule};

/// Names that mean something only inside a network, with everything below them.
const FORBIDDEN_NAMES: [&str; 14] = [
    "localhost",
    "local",
    "internal",
    "localdomain",
    "intranet",
    "lan",
    "home",
    "corp",
    "private",
    "arpa",
    "onion",
    "invalid",
    "test",
    "metadata.goog",
];

const LABEL_MAX_BYTES: usize = 63;
const NAME_MAX_BYTES: usize = 253;

/// Is it a well-formed name? The name is in lower-case ASCII, as the URL parser leaves it.
pub(super) fn check_form(name: &str) -> Result<(), Refusal> {
    let is_well_formed = name.len() <= NAME_MAX_BYTES && name.split('.').all(is_label);
    if is_well_formed { Ok(()) } else { Err(Rule::NameForm.refused()) }
}

/// Is it a name that everybody resolves to the same place?
pub(super) fn check_place(name: &str) -> Result<(), Refusal> {
    if FORBIDDEN_NAMES.iter().any(|forbidden| is_at_or_below(name, forbidden)) {
        return Err(Rule::NameForbidden.refused());
    }
    if name.contains('.') { Ok(()) } else { Err(Rule::SingleLabel.refused()) }
}

/// Is it `localhost` or below? Such names mean this host, whatever a name server says (RFC 6761 section 6.3).
pub(crate) fn is_localhost(name: &str) -> bool {
    is_at_or_below(name, "localhost")
}

fn is_label(label: &str) -> bool {
    (1..=LABEL_MAX_BYTES).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

fn is_at_or_below(name: &str, parent: &str) -> bool {
    name.strip_suffix(parent).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}
