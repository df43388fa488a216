//! Whether a URL may be registered.

use std::time::Duration;

use posthaste_contract::Condition;
use posthaste_contract::model::{self, FieldRule, Target as Field};
use posthaste_net::{Probe, Refusal, Scheme, Target};

use super::call::Call;
use super::refusal::Refused;

/// The longest a probe may take, and what every failure takes.
const PROBE_LIMIT: Duration = Duration::from_secs(5);
/// The longest a probe waits for its turn. A probe that had one gets all of its own time, so that a good URL is never
/// called unreachable because others were in the way.
const TURN_LIMIT: Duration = Duration::from_secs(5);

/// Judges a URL by the guard, and probes it where the contract asks for that. Then what the name leads to is part of
/// what a probe finds out, and told no more of than that: a forbidden place looks like a closed one.
pub(super) async fn admit(call: &Call<'_>, url: &str) -> Result<Target, Refused> {
    let field = call.url_field();
    let said = |refusal: Refusal| Refused::field(&field, refusal.rule.word(), refusal.detail);
    let target = call.dialler().guard().check_url(url).map_err(said)?;
    let probes = probes_of(call, &target);
    if probes.is_empty() {
        return call.dialler().admit(url).await.map_err(said);
    }
    let busy = || Refused { retry_in: Some(TURN_LIMIT), ..Condition::Unavailable.into() };
    let place = call.api.probes.wait(call.key.account, TURN_LIMIT).await.ok_or_else(busy)?;
    let verdict = call.dialler().probe(&target, &probes, PROBE_LIMIT, place).await;
    verdict.map_err(|unreachable| Refused::field(&field, "unreachable", &unreachable.to_string()))?;
    Ok(target)
}

/// The probes of the route's URL field. A plain `http` URL has no certificate to show; only operators let it come
/// this far.
fn probes_of(call: &Call<'_>, target: &Target) -> Vec<Probe> {
    let input = call.route.input.and_then(|input| call.contract().inputs.get(input));
    let fields = input.map(|input| input.fields.as_slice()).unwrap_or_default();
    let probes = fields.iter().find(|field| field.to == Field::Url).map(|field| match &field.rule {
        FieldRule::Url { probes, .. } => probes.as_slice(),
        _ => &[],
    });
    let wanted = probes.unwrap_or_default().iter().map(|probe| match probe {
        model::Probe::Public => Probe::Public,
        model::Probe::Tls => Probe::Tls,
    });
    wanted.filter(|probe| *probe != Probe::Tls || target.scheme() == Scheme::Https).collect()
}
