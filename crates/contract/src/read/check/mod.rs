//! Contradictions: what is wrong although every part by itself is well-formed.

mod delivery;
mod limits;
mod reachable;
mod routes;
mod secrets;
mod views;

use posthaste_core::{IdCodec, IdKind, Seq};
use toml::Spanned;
use toml::de::DeTable;

use super::report::{Report, locate};
use crate::model::Contract;

/// A contract with the file it came from.
struct Whole<'a> {
    contract: &'a Contract,
    root: &'a Spanned<DeTable<'a>>,
    report: &'a Report<'a>,
}

impl Whole<'_> {
    fn error(&self, path: &[&str], message: impl Into<String>) {
        self.report.error(&locate(self.root, path), &path.join("."), message);
    }

    fn warning(&self, path: &[&str], message: impl Into<String>) {
        self.report.warning(&locate(self.root, path), &path.join("."), message);
    }
}

/// Looks at the whole contract, less what depends on parts that are wrong already: one mistake should not be told
/// twice in other words.
pub fn whole<'a>(contract: &'a Contract, root: &'a Spanned<DeTable<'a>>, report: &'a Report<'a>) {
    let whole = Whole { contract, root, report };
    let requests_are_sound = report.are_sound(&["views", "inputs", "routes", "auth", "access", "events"]);
    if report.are_sound(&["ids"]) {
        ids(&whole);
    }
    if requests_are_sound && report.are_sound(&["secret"]) {
        secrets::check(&whole);
    }
    if requests_are_sound {
        limits::check(&whole);
    }
    // What follows walks from view to view, which must come to an end.
    if report.are_sound(&["views"]) && views::check_cycles(&whole) {
        views::check(&whole);
        if requests_are_sound {
            routes::check(&whole);
        }
    }
    if report.are_sound(&["payload", "signatures", "delivery"]) && !contract.payload.members.is_empty() {
        delivery::check(&whole);
    }
    if !contract.errors.stated.is_empty() {
        reachable::check(&whole);
    }
}

/// How many webhooks the odds of a collision are told for.
const WEBHOOKS_CONSIDERED: f64 = 10_000.0;
const ODDS_WORTH_TELLING: f64 = 0.01;

fn ids(whole: &Whole<'_>) {
    let ids = &whole.contract.ids;
    let (bits, least) = (ids.event.alphabet.free_bits(), Seq::BITS);
    if bits < least {
        let text = format!("{bits} free bits are too few; event ids need at least {least}");
        whole.error(&["ids", "event"], text);
    }
    let (bits, least) = (ids.delivery.alphabet.free_bits(), IdCodec::DELIVERY_BITS);
    if bits < least {
        let text = format!(
            "{bits} free bits are too few; delivery ids need {least} and are made as long as that takes"
        );
        whole.warning(&["ids", "delivery"], text);
    }
    let bits = ids.webhook.alphabet.free_bits();
    let odds = 1.0 - (-(WEBHOOKS_CONSIDERED * WEBHOOKS_CONSIDERED) / 2.0 / f64::from(bits).exp2()).exp();
    if odds > ODDS_WORTH_TELLING {
        let percent = odds * 100.0;
        whole.warning(
            &["ids", "endpoint"],
            format!(
                "{bits} free bits are few: among {WEBHOOKS_CONSIDERED:.0} webhooks the odds that two would draw the same id are {percent:.1} %"
            ),
        );
    }
    for (key, kind) in [("endpoint", &ids.webhook), ("event", &ids.event), ("delivery", &ids.delivery)] {
        check_prefix(whole, key, kind);
    }
}

fn check_prefix(whole: &Whole<'_>, key: &str, kind: &IdKind) {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if !kind.prefix.bytes().all(is_plain) {
        whole.error(&["ids", key, "prefix"], "a prefix is made of letters, digits, `-` and `_`");
    }
}
