//! The rules by name.

use std::fmt;

/// A rule of the guard, in the order in which they are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rule {
    /// White space, a control character or a backslash in the text.
    RawCharacter,
    /// Not a URL.
    Unparsable,
    /// A scheme other than those allowed.
    Scheme,
    /// Not `scheme://host[:port]` in plain form.
    AuthorityForm,
    /// A user name or password before the host.
    Userinfo,
    /// A fragment.
    Fragment,
    /// A `%` that is not followed by two hex digits.
    BadPercent,
    /// A host that different readers would read differently.
    AmbiguousHost,
    /// An address that is not a public one.
    IpForbidden,
    /// A name that is not a well-formed host name.
    NameForm,
    /// A name that only means something inside a network.
    NameForbidden,
    /// A name without a dot.
    SingleLabel,
    /// A port that belongs to another kind of service.
    PortForbidden,
    /// More characters than a URL may have.
    TooLong,
}

impl Rule {
    /// The word under which documents and the API know the rule.
    #[must_use]
    pub fn word(self) -> &'static str {
        self.spelled().0
    }

    /// The refusal that says this rule failed.
    pub(crate) fn refused(self) -> Refusal {
        Refusal { rule: self, detail: self.spelled().1 }
    }

    fn spelled(self) -> (&'static str, &'static str) {
        match self {
            Self::RawCharacter => {
                ("raw_character", "The URL must not contain white space, control characters or backslashes.")
            }
            Self::Unparsable => ("unparsable", "The URL cannot be read."),
            Self::Scheme => ("scheme", "The URL must begin with https://."),
            Self::AuthorityForm => {
                ("authority_form", "The URL must have the form https://host/path or https://host:port/path.")
            }
            Self::Userinfo => ("userinfo", "The URL must not carry a user name or password."),
            Self::Fragment => ("fragment", "The URL must not have a fragment (#)."),
            Self::BadPercent => ("bad_percent", "Every % in the URL must be followed by two hex digits."),
            Self::AmbiguousHost => ("ambiguous_host", "The host must be written in its plain form."),
            Self::IpForbidden => ("ip_forbidden", "The URL points to an address that is not public."),
            Self::NameForm => ("name_form", "The host is not a well-formed name."),
            Self::NameForbidden => ("name_forbidden", "The host name is reserved for inner use."),
            Self::SingleLabel => ("single_label", "The host name must be a full domain name."),
            Self::PortForbidden => ("port_forbidden", "Deliveries to this port are not allowed."),
            Self::TooLong => ("too_long", "The URL must not be longer than 2048 characters."),
        }
    }
}

/// Why a URL or an address is refused. It names no address a name resolved to, so customers may see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// The rule that failed.
    pub rule: Rule,
    /// A sentence for people.
    pub detail: &'static str,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.detail)
    }
}

impl std::error::Error for Refusal {}
