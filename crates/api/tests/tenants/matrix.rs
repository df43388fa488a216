//! Each route with an id in it × {foreign, deleted, random, malformed} × every kind of key: one answer, and nothing
//! changes.

use std::collections::BTreeSet;
use std::time::Duration;

use posthaste_contract::Condition;
use posthaste_contract::model::{Method, Route};
use posthaste_core::{DeliveryKey, Seq};

use crate::answers::{bytes, status_and_body};
use crate::asking::{About, names_delivery, names_webhook, request};
use crate::callers::{Caller, far_along, strangers};
use crate::holdings::{Holdings, delete, register};
use crate::rig::{CONTRACTS, Reply, Rig};

/// Long enough for every rate to be whole again, so that the answers' rate headers are equal.
const BREATH: Duration = Duration::from_mins(2);

/// How much was looked at.
#[derive(Default)]
struct Counts {
    routes: usize,
    callers: usize,
    refusals: usize,
    compared: usize,
    by_condition: BTreeSet<String>,
}

/// The ids that nobody but the owner may get anything but a refusal for.
struct Ids {
    /// Of the right form.
    formed: Vec<About>,
    /// Of other forms.
    malformed: Vec<About>,
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_deleted_random_and_malformed_ids_are_answered_alike() {
    let mut counts = Counts::default();
    for contract in CONTRACTS {
        matrix_of(contract, &mut counts).await;
    }
    assert!(counts.by_condition.len() >= 4, "{:?}", counts.by_condition);
    println!("counted | tenants | routes with ids, over all contracts | {}", counts.routes);
    println!("counted | tenants | kinds of keys, over all contracts | {}", counts.callers);
    println!("counted | tenants | refusals of ids | {}", counts.refusals);
    println!("counted | tenants | answers compared byte by byte | {}", counts.compared);
}

async fn matrix_of(contract: &str, counts: &mut Counts) {
    let rig = Rig::start(contract).await;
    let owner = Holdings::of(&rig, &rig.holder, "https://hooks.example.com/owner").await;
    let stranger_account = rig.other_account("umbrella").await;
    let ids = ids(&rig, &owner).await;
    let callers = strangers(&rig, &rig.account, &stranger_account).await;
    let before = owner.kept(&rig).await;
    let routes: Vec<Route> =
        rig.contract.routes.iter().filter(|route| names_webhook(&rig, route)).cloned().collect();
    counts.routes += routes.len();
    counts.callers += callers.len();
    for route in &routes {
        for caller in &callers {
            row(&rig, route, caller, &ids, counts).await;
            assert!(owner.kept(&rig).await == before, "{contract} {} {}", route.name, caller.what);
        }
    }
    own_and_foreign_mixed(&rig, &owner, &stranger_account, &routes, counts).await;
    assert!(owner.kept(&rig).await == before, "{contract}");
    owner.assert_alive(&rig).await;
    rig.stop().await;
}

async fn ids(rig: &Rig, owner: &Holdings) -> Ids {
    let gone = Holdings::of(rig, &rig.holder, "https://hooks.example.com/gone").await;
    delete(rig, &rig.holder, &gone.webhook).await;
    let dice = far_along();
    let random = || rig.contract.ids.webhook.random(rig.clock.time(), &dice);
    let dlv = || rig.contract.ids.delivery.random(rig.clock.time(), &dice);
    let (webhook, delivery) = (owner.webhook.id.as_str(), owner.failed_id.as_str());
    // An event that never was, for the owner's very webhook.
    let future = DeliveryKey { event: Seq(1 << 30), webhook: owner.webhook.no };
    let codec =
        posthaste_contract::PublicIds::new(&rig.contract, posthaste_store::Store::id_key(&*rig.store));
    let future = codec.delivery(future, rig.clock.time());
    let formed = vec![
        About::new("foreign", webhook, delivery),
        About::new("foreign, random delivery", webhook, &dlv()),
        About::new("foreign, delivery to come", webhook, &future),
        About::new("foreign, of a deleted webhook", webhook, &gone.failed_id),
        About::new("deleted", &gone.webhook.id, &gone.failed_id),
        About::new("deleted, foreign delivery", &gone.webhook.id, delivery),
        About::new("random", &random(), &dlv()),
        About::new("random, foreign delivery", &random(), delivery),
        About::new("random again", &random(), &dlv()),
    ];
    let flipped = flip_case(webhook);
    let longer = format!("{webhook}0");
    let malformed = [
        flipped.as_str(),
        &longer,
        &webhook[..webhook.len() - 1],
        "0",
        "null",
        "-1",
        "wh_",
        "*",
        "%00",
        "%2e%2e",
        "..",
        "'%20OR%201=1--",
        &"a".repeat(1000),
        delivery,
    ];
    let malformed = malformed.map(|id| About::new(&format!("malformed {id:.20}"), id, id));
    Ids { formed, malformed: malformed.to_vec() }
}

fn flip_case(text: &str) -> String {
    let flip = |c: char| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
    text.chars().map(flip).collect()
}

async fn row(rig: &Rig, route: &Route, caller: &Caller, ids: &Ids, counts: &mut Counts) {
    let condition = caller.refusal(&rig.contract, route);
    counts.by_condition.insert(format!("{condition:?}"));
    let methods = if route.method == Method::Get { &["GET", "HEAD"][..] } else { &[route.method.word()] };
    for method in methods {
        let mut first: Option<Reply> = None;
        for about in &ids.formed {
            let what = format!("{} {} {method} {} {}", rig.contract.name, route.name, caller.what, about.row);
            let reply = ask(rig, route, caller, method, about).await;
            assert_refused(rig, &what, method, &reply, condition);
            counts.refusals += 1;
            if let Some(first) = &first {
                assert_eq!(bytes(&reply), bytes(first), "{what}");
                counts.compared += 1;
            }
            first.get_or_insert(reply);
        }
        let first = first.unwrap();
        for about in &ids.malformed {
            let what = format!("{} {} {method} {} {}", rig.contract.name, route.name, caller.what, about.row);
            let reply = ask(rig, route, caller, method, about).await;
            let target = request(rig, &caller.holder, route, method, about).target;
            counts.refusals += 1;
            // Some are no path of this route; another may stand there, which says the same of an unknown id.
            if leads_to(rig, route, method, &target) {
                assert_eq!(bytes(&reply), bytes(&first), "{what}");
            } else {
                assert!(reply.status >= 400, "{what}: {reply:?}");
                assert!(!reply.body.contains("taken-over"), "{what}: {}", status_and_body(&reply));
                continue;
            }
            counts.compared += 1;
        }
    }
}

fn leads_to(rig: &Rig, route: &Route, method: &str, target: &str) -> bool {
    let method = if method == "HEAD" { "GET" } else { method };
    match rig.contract.find_route(method, target) {
        posthaste_contract::RouteMatch::Found { route: found, .. } => {
            rig.contract.routes[found].name == route.name
        }
        _ => false,
    }
}

async fn ask(rig: &Rig, route: &Route, caller: &Caller, method: &str, about: &About) -> Reply {
    rig.clock.advance(BREATH);
    rig.send(&request(rig, &caller.holder, route, method, about)).await
}

fn assert_refused(rig: &Rig, what: &str, method: &str, reply: &Reply, condition: Condition) {
    if method == "HEAD" {
        let rule = rig.contract.error_rule(condition).unwrap();
        assert_eq!((reply.status, reply.body.as_str()), (rule.status, ""), "{what}: {reply:?}");
    } else {
        rig.assert_is(what, reply, condition);
    }
}

/// Ids of the caller's own beside foreign ones.
async fn own_and_foreign_mixed(
    rig: &Rig,
    owner: &Holdings,
    stranger: &posthaste_core::Account,
    routes: &[Route],
    counts: &mut Counts,
) {
    let holder = rig.key_of(stranger).await;
    let own = Holdings::of(rig, &holder, "https://hooks.example.com/stranger").await;
    let other = register(rig, &holder, "https://hooks.example.com/stranger-2").await;
    let gone = Holdings::of(rig, &holder, "https://hooks.example.com/stranger-gone").await;
    delete(rig, &holder, &gone.webhook).await;
    let dlv = rig.contract.ids.delivery.random(rig.clock.time(), &far_along());
    let caller = Caller { what: "mixed".into(), holder, standing: crate::callers::Standing::Good };
    let before = own.kept(rig).await;
    for route in routes.iter().filter(|route| names_delivery(rig, route)) {
        let mut first: Option<Reply> = None;
        for about in [
            About::new("own webhook, foreign delivery", &own.webhook.id, &owner.failed_id),
            About::new("foreign webhook, own delivery", &owner.webhook.id, &own.failed_id),
            About::new("own webhook, own delivery of another", &other.id, &own.failed_id),
            About::new("own webhook, own delivery of a deleted one", &own.webhook.id, &gone.failed_id),
            About::new("own deleted", &gone.webhook.id, &gone.failed_id),
            About::new("own webhook, random delivery", &own.webhook.id, &dlv),
            About::new("own webhook, no id", &own.webhook.id, &own.webhook.id),
        ] {
            let what = format!("{} {} {}", rig.contract.name, route.name, about.row);
            let reply = ask(rig, route, &caller, route.method.word(), &about).await;
            rig.assert_is(&what, &reply, Condition::NotFound);
            counts.refusals += 1;
            if let Some(first) = &first {
                assert_eq!(bytes(&reply), bytes(first), "{what}");
                counts.compared += 1;
            }
            first.get_or_insert(reply);
        }
    }
    assert!(own.kept(rig).await == before);
}
