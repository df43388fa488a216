//! Where a webhook may point.
//!
//! The text of a URL is judged once, when it is registered, by nine rules in a fixed order; the first that fails
//! names the reason. A name may resolve to something else tomorrow, so the address is judged again at every
//! connect, by [`Guard::check_answer`], and that judgement is the one that protects.

mod address;
mod host_name;
mod policy;
mod port;
mod rule;
mod target;
mod text;

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};

use url::Url;

pub(crate) use host_name::is_localhost;
pub use policy::{GuardPolicy, UnfitNet};
pub use rule::{Refusal, Rule};
pub use target::{Host, Scheme, Target};

/// Where an address came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// It stands in the URL itself.
    Literal,
    /// A name server gave it.
    Dns,
    /// The operator named it for this host, which is an allowance for exactly this address.
    Operator,
}

/// Judges URLs and addresses by a policy that can be replaced while running.
pub struct Guard {
    policy: RwLock<Arc<GuardPolicy>>,
}

/// The longest URL, in characters, as written and with everything encoded.
const URL_MAX_CHARS: usize = 2048;
/// Addresses named in one refusal's record.
const ADDRESSES_LOGGED: usize = 8;

impl Guard {
    /// A guard with this policy.
    #[must_use]
    pub fn new(policy: GuardPolicy) -> Self {
        Self { policy: RwLock::new(Arc::new(policy)) }
    }

    /// The policy in force.
    #[must_use]
    pub fn policy(&self) -> Arc<GuardPolicy> {
        self.policy.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts another policy in force, for pooled connections too.
    pub fn replace(&self, policy: GuardPolicy) {
        *self.policy.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(policy);
    }

    /// Judges the text of a URL, without any lookup.
    ///
    /// # Errors
    /// The first rule that fails.
    pub fn check_url(&self, text: &str) -> Result<Target, Refusal> {
        let policy = self.policy();
        let parsed = text::parse(text, policy.allows_http())?;
        let mut unless_allowed = None;
        match &parsed.host {
            Host::Ip(ip) => {
                policy.check_address(SocketAddr::new(*ip, parsed.port), Origin::Literal)?;
                if !policy.covers(*ip, Origin::Literal) {
                    port::check(parsed.scheme, parsed.port)?;
                }
            }
            Host::Name(name) => {
                host_name::check_form(name)?;
                let verdict =
                    host_name::check_place(name).and_then(|()| port::check(parsed.scheme, parsed.port));
                match verdict {
                    Err(refusal) if !policy.allows_nets() => return Err(refusal),
                    verdict => unless_allowed = verdict.err(),
                }
            }
        }
        // Characters as given: the canonical form, whose escapes may be twelve times as long, is not counted.
        if text.chars().count() > URL_MAX_CHARS {
            return Err(Rule::TooLong.refused());
        }
        Target::new(parsed, unless_allowed)
    }

    /// Judges the text of a URL that was registered once, before it is sent to. A refusal is logged.
    ///
    /// # Errors
    /// The first rule that fails.
    pub fn check_registered(&self, text: &str) -> Result<Target, Refusal> {
        self.check_url(text).inspect_err(|refusal| {
            let url = Url::parse(text).ok();
            let host = url.as_ref().and_then(Url::host_str).unwrap_or_default();
            let port = url.as_ref().and_then(Url::port_or_known_default);
            tracing::warn!(host, port, rule = refusal.rule.word(), "target refused");
        })
    }

    /// Judges a target that only an allowed network would make acceptable, without any lookup. A refusal is logged.
    ///
    /// # Errors
    /// The rule that would have to be lifted, if there is no allowed network.
    pub(crate) fn check_lifted(&self, target: &Target) -> Result<(), Refusal> {
        let Some(refusal) = target.unless_allowed().filter(|_| !self.policy().allows_nets()) else {
            return Ok(());
        };
        let (host, port, rule) = (target.host(), target.port(), refusal.rule.word());
        tracing::warn!(%host, port, rule, "target refused");
        Err(refusal)
    }

    /// Judges one socket address about to be dialled.
    ///
    /// # Errors
    /// [`Rule::IpForbidden`].
    pub fn check_address(&self, address: SocketAddr, origin: Origin) -> Result<(), Refusal> {
        self.policy().check_address(address, origin)
    }

    /// Judges all addresses a target stands for right now. One forbidden address refuses the whole answer: whoever
    /// mixes an inner address among public ones means no good. Allowed networks count only for answers that lie in
    /// them altogether, and only then lift the rules about names and ports.
    ///
    /// Which addresses were at fault is logged, and told to nobody else.
    ///
    /// # Errors
    /// [`Rule::IpForbidden`], or the rule about names or ports that only an allowed network would have lifted.
    pub fn check_answer(
        &self,
        target: &Target,
        addresses: &[SocketAddr],
        origin: Origin,
    ) -> Result<(), Refusal> {
        let policy = self.policy();
        let is_inside = addresses.iter().all(|address| policy.covers(address.ip(), origin));
        let unless_allowed = target.unless_allowed().filter(|_| !is_inside);
        let is_at_fault = |address: &&SocketAddr| match origin {
            Origin::Operator => policy.is_own(**address, origin),
            _ if is_inside => policy.is_own(**address, origin),
            _ => !policy.is_public(**address, origin),
        };
        let at_fault: Vec<SocketAddr> = addresses.iter().filter(is_at_fault).copied().collect();
        let refusal = match (at_fault.is_empty(), unless_allowed) {
            (true, None) => return Ok(()),
            (true, Some(refusal)) => refusal,
            (false, _) => Rule::IpForbidden.refused(),
        };
        let named = if at_fault.is_empty() { addresses } else { &at_fault };
        let named = named.iter().take(ADDRESSES_LOGGED).map(|address| address.ip().to_string());
        let named = named.collect::<Vec<_>>().join(" ");
        let (host, port, rule) = (target.host(), target.port(), refusal.rule.word());
        tracing::warn!(%host, port, addresses = named, rule, "target refused");
        Err(refusal)
    }

    /// Judges the names that a target turned out to be an alias of. A forbidden name stays one however it is reached,
    /// unless all of the answer lies in allowed networks. The name is logged, and told to nobody else.
    ///
    /// # Errors
    /// [`Rule::NameForbidden`] or [`Rule::SingleLabel`].
    pub fn check_aliases(
        &self,
        target: &Target,
        aliases: &[String],
        addresses: &[SocketAddr],
        origin: Origin,
    ) -> Result<(), Refusal> {
        let policy = self.policy();
        let is_lifted = || {
            origin == Origin::Operator || addresses.iter().all(|address| policy.covers(address.ip(), origin))
        };
        let judged = aliases.iter().map(|alias| (alias, host_name::check_place(alias)));
        let at_fault = judged.filter_map(|(alias, verdict)| Some((alias, verdict.err()?))).next();
        let Some((alias, refusal)) = at_fault.filter(|_| !is_lifted()) else { return Ok(()) };
        let (host, port, rule) = (target.host(), target.port(), refusal.rule.word());
        tracing::warn!(%host, port, alias, rule, "target refused");
        Err(refusal)
    }
}
