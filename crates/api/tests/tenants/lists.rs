//! Lists, totals and places in lists: each tenant's own, and nobody else's.

use std::collections::BTreeSet;
use std::time::Duration;

use posthaste_contract::model::{Beyond, FilterOn, Op, PageSize, Paging, Route};
use posthaste_contract::{Condition, Contract, PublicIds};
use posthaste_core::{DeliveryKey, DeliveryState};
use posthaste_store::Store;
use serde_json::Value;

use crate::answers::bytes;
use crate::asking::{About, request};
use crate::callers::far_along;
use crate::holdings::{delete, register};
use crate::rig::{CONTRACTS, Holder, Reply, Rig};

const WEBHOOKS: usize = 4;
const EVENTS: usize = 5;
const BREATH: Duration = Duration::from_mins(2);

/// A customer with webhooks and deliveries, and every text that must show up nowhere else.
struct Tenant {
    holder: Holder,
    webhooks: Vec<posthaste_core::Webhook>,
    deliveries: Vec<String>,
    marks: BTreeSet<String>,
}

async fn tenant(rig: &Rig, name: &str) -> Tenant {
    let holder = rig.key_of(&rig.other_account(name).await).await;
    let mut tenant = Tenant { holder, webhooks: vec![], deliveries: vec![], marks: BTreeSet::new() };
    for number in 0..WEBHOOKS {
        let url = format!("https://hooks.example.com/{name}/{number}");
        tenant.webhooks.push(register(rig, &tenant.holder, &url).await);
        rig.clock.advance(BREATH);
    }
    tenant.marks.insert(format!("/{name}/"));
    tenant.marks.extend(tenant.webhooks.iter().map(|webhook| webhook.id.clone()));
    tenant
}

/// Five deliveries in every state to one of its webhooks.
async fn fill(rig: &Rig, tenant: &mut Tenant, number: usize, name: &str) {
    let webhook = tenant.webhooks[number].clone();
    let ids = PublicIds::new(&rig.contract, rig.store.id_key());
    for event in 0..EVENTS {
        let key = rig.publish(&webhook, &rig.event_type(), &format!("{{\"of\":\"/{name}/\"}}")).await;
        match event {
            0 => rig.hold(key).await,
            1 => rig.attempt(key, 1, Some(500), DeliveryState::Failed).await,
            2 => rig.attempt(key, 1, None, DeliveryState::Pending).await,
            _ => rig.attempt(key, 1, Some(204), DeliveryState::Delivered).await,
        }
        let id = rig.delivery_id(key).await;
        tenant.marks.insert(id.clone());
        tenant.deliveries.push(id);
        tenant.marks.insert(event_id(rig, &ids, key).await);
        rig.clock.advance(Duration::from_secs(1));
    }
}

async fn event_id(rig: &Rig, ids: &PublicIds, key: DeliveryKey) -> String {
    ids.event(&rig.store.event(key.event).await.unwrap().unwrap())
}

async fn two_tenants(rig: &Rig) -> [Tenant; 2] {
    let [mut red, mut blue] = [tenant(rig, "red").await, tenant(rig, "blue").await];
    for number in 0..WEBHOOKS {
        fill(rig, &mut red, number, "red").await;
        fill(rig, &mut blue, number, "blue").await;
    }
    [red, blue]
}

/// The list routes, with every filter they know.
fn lists(contract: &Contract) -> Vec<(Route, String)> {
    let mut lists = Vec::new();
    for route in contract.routes.iter().filter(|route| matches!(route.op, Op::WebhookList | Op::DeliveryList))
    {
        lists.push((route.clone(), String::new()));
        for filter in &route.filters {
            for value in filter_values(contract, &filter.on) {
                lists.push((route.clone(), format!("&{}={value}", filter.param)));
            }
        }
    }
    lists
}

fn filter_values(contract: &Contract, on: &FilterOn) -> Vec<String> {
    match on {
        FilterOn::WebhookState(words) | FilterOn::DeliveryState(words) => {
            words.iter().map(|(_, theirs)| theirs.clone()).collect()
        }
        FilterOn::WebhookCovers | FilterOn::WebhookNames | FilterOn::EventType => {
            let known = contract.events.types.iter().filter(|known| !known.internal);
            known.map(|known| known.name.clone()).take(2).collect()
        }
    }
}

fn size_of(paging: &Paging) -> Option<&PageSize> {
    match paging {
        Paging::All | Paging::Latest { .. } => None,
        Paging::Page { size, .. }
        | Paging::Offset { size, .. }
        | Paging::Cursor { size, .. }
        | Paging::StartingAfter { size, .. } => Some(size),
    }
}

async fn part(rig: &Rig, holder: &Holder, route: &Route, webhook: &str, query: &str) -> Reply {
    rig.clock.advance(BREATH);
    let mut ask = request(rig, holder, route, "GET", &About::new("", webhook, ""));
    ask.headers.clear();
    ask.target += query;
    rig.send(&rig.signed_by(holder, ask)).await
}

/// The text of the next page's cursor, wherever the contract has it.
fn cursor(json: &Value) -> Option<String> {
    let members = json.as_object()?;
    members.iter().find_map(|(name, value)| match value {
        Value::String(text) if name.contains("next") => Some(text.clone()),
        Value::Object(_) => cursor(value),
        _ => None,
    })
}

/// Every page of a list, by whatever style it is cut.
async fn pages(rig: &Rig, holder: &Holder, route: &Route, webhook: &str, filter: &str) -> Vec<Reply> {
    let limit = size_of(&route.paging).map_or(String::new(), |size| format!("{}=2", size.param));
    let mut pages = Vec::new();
    let mut place = String::new();
    for number in 0..64 {
        let reply = part(rig, holder, route, webhook, &format!("?{limit}{filter}{place}")).await;
        assert_eq!(reply.status, 200, "{} {} {filter} {place}: {reply:?}", rig.contract.name, route.name);
        let next = cursor(&reply.json());
        pages.push(reply);
        place = match (&route.paging, next) {
            (Paging::Cursor { cursor, .. }, Some(text)) => format!("&{cursor}={text}"),
            (Paging::Page { number: param, .. }, _) if number < 12 => format!("&{param}={}", number + 2),
            (Paging::Offset { offset, .. }, _) if number < 12 => format!("&{offset}={}", (number + 1) * 2),
            _ => return pages,
        };
    }
    panic!("{}: the list does not end", route.name);
}

fn assert_nothing_of(tenant: &Tenant, what: &str, reply: &Reply) {
    for mark in &tenant.marks {
        assert!(!reply.body.contains(mark.as_str()), "{what}: {mark} in {reply:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_and_totals_are_the_callers_alone() {
    let (mut walked, mut shown, mut totals) = (0, 0, 0);
    for contract in CONTRACTS {
        let rig = Rig::start(contract).await;
        let [red, blue] = two_tenants(&rig).await;
        for (route, filter) in lists(&rig.contract) {
            for (own, other) in [(&red, &blue), (&blue, &red)] {
                let what = format!("{contract} {} {filter}", route.name);
                let pages = pages(&rig, &own.holder, &route, &own.webhooks[1].id, &filter).await;
                for page in &pages {
                    assert_nothing_of(other, &what, page);
                    walked += 1;
                    let total = total(&page.json());
                    totals += usize::from(total.is_some());
                    assert!(total.is_none_or(|total| total <= EVENTS as u64), "{what}: {page:?}");
                }
                let own_marks =
                    |page: &&Reply| own.marks.iter().any(|mark| page.body.contains(mark.as_str()));
                let seen = pages.iter().filter(own_marks).count();
                assert!(seen > 0 || !filter.is_empty(), "{what}: its own are shown");
                shown += seen;
            }
        }
        rig.stop().await;
    }
    assert!(shown > 0 && totals > 0);
    println!("counted | tenants | pages of lists searched for other tenants' marks | {walked}");
    println!("counted | tenants | totals that count the caller's own alone | {totals}");
}

/// How many there are in all, where the answer says so.
fn total(json: &Value) -> Option<u64> {
    let members = json.as_object()?;
    members.iter().find_map(|(name, value)| match value {
        Value::Number(number) if name == "total" || name == "count" => number.as_u64(),
        Value::Object(_) => total(value),
        _ => None,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_opens_only_the_list_it_came_from() {
    let (mut refused, mut taken) = (0, 0);
    for contract in CONTRACTS {
        let rig = Rig::start(contract).await;
        let [red, blue] = two_tenants(&rig).await;
        let mut cursors = Vec::new();
        for (route, filter) in lists(&rig.contract) {
            let Paging::Cursor { size, .. } = &route.paging else { continue };
            let first =
                part(&rig, &red.holder, &route, &red.webhooks[1].id, &format!("?{}=1{filter}", size.param))
                    .await;
            cursors.extend(cursor(&first.json()).map(|text| (route.name.clone(), filter.clone(), text)));
        }
        for (route, filter) in lists(&rig.contract) {
            let Paging::Cursor { cursor: param, size } = &route.paging else { continue };
            let ask = async |tenant: &Tenant, webhook: usize, text: &str| {
                let query = format!("?{}=1{filter}&{param}={text}", size.param);
                part(&rig, &tenant.holder, &route, &tenant.webhooks[webhook].id, &query).await
            };
            for (from, from_filter, text) in &cursors {
                let what = format!("{contract} {} {filter}, cursor of {from} {from_filter}", route.name);
                let own = (from, from_filter) == (&route.name, &filter);
                let mine = ask(&red, 1, text).await;
                assert_eq!(mine.status == 200, own, "{what}: {mine:?}");
                taken += usize::from(own);
                refused += usize::from(!own);
                let foreign = ask(&blue, 1, text).await;
                rig.assert_is(&what, &foreign, Condition::Invalid);
                let nonsense = ask(&blue, 1, &"A".repeat(text.len())).await;
                assert_eq!(bytes(&foreign), bytes(&nonsense), "{what}: foreign and invented");
                refused += 2;
                if route.op == Op::DeliveryList {
                    rig.assert_is(&what, &ask(&red, 2, text).await, Condition::Invalid);
                    refused += 1;
                }
            }
            for text in altered(cursors.first().map_or("", |(_, _, text)| text)) {
                rig.assert_is(&text, &ask(&red, 1, &text).await, Condition::Invalid);
                refused += 1;
            }
        }
        rig.stop().await;
    }
    assert!(taken > 0);
    println!("counted | tenants | cursors refused elsewhere or changed | {refused}");
}

/// The text with each character changed, longer, shorter, and much longer.
fn altered(text: &str) -> Vec<String> {
    let mut altered: Vec<String> = (0..text.len())
        .map(|at| {
            let mut bytes = text.as_bytes().to_vec();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            String::from_utf8(bytes).unwrap()
        })
        .filter(|changed| changed != text)
        .collect();
    altered.extend([format!("{text}A"), format!("{text}="), "A".repeat(7_000), "%00".into(), "-1".into()]);
    altered.extend(text.get(1..).map(str::to_owned));
    altered
}

/// The same contract with its lists cut in another style.
fn cut_by(contract: &str, style: impl Fn(PageSize) -> Paging) -> Contract {
    let mut contract = Contract::builtin(contract).unwrap();
    let size = PageSize { param: "limit".into(), default: 2, min: 1, max: 10, beyond: Beyond::Error };
    for route in &mut contract.routes {
        if matches!(route.op, Op::WebhookList | Op::DeliveryList) {
            route.paging = style(size.clone());
        }
    }
    contract
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_to_go_on_after_is_the_callers_own_or_unknown() {
    let mut compared = 0;
    for contract in CONTRACTS {
        let rig =
            Rig::of(cut_by(contract, |size| Paging::StartingAfter { after: "after".into(), size })).await;
        let [red, blue] = two_tenants(&rig).await;
        let gone = register(&rig, &rig.holder, "https://hooks.example.com/gone").await;
        delete(&rig, &rig.holder, &gone).await;
        let dice = far_along();
        for (route, filter) in lists(&rig.contract) {
            let (kind, foreign, own) = match route.op {
                Op::WebhookList => (&rig.contract.ids.webhook, &blue.webhooks[1].id, &red.webhooks[1].id),
                _ => (&rig.contract.ids.delivery, &blue.deliveries[7], &red.deliveries[7]),
            };
            let ask = async |id: &str| {
                part(&rig, &red.holder, &route, &red.webhooks[1].id, &format!("?after={id}{filter}")).await
            };
            let own = ask(own).await;
            assert_eq!(own.status, 200, "{contract} {} {filter}: {own:?}", route.name);
            let first = ask(foreign).await;
            rig.assert_is("foreign", &first, Condition::Invalid);
            for id in [gone.id.clone(), kind.random(rig.clock.time(), &dice), "nonsense".into(), "0".into()] {
                assert_eq!(bytes(&ask(&id).await), bytes(&first), "{contract} {} {id}", route.name);
                compared += 1;
            }
        }
        rig.stop().await;
    }
    println!("counted | tenants | ids to go on after, compared byte by byte | {compared}");
}

#[tokio::test(flavor = "multi_thread")]
async fn numbered_pages_never_reach_into_another_tenants_list() {
    let mut walked = 0;
    for contract in CONTRACTS {
        for by_number in [true, false] {
            let rig = Rig::of(cut_by(contract, |size| match by_number {
                true => Paging::Page { number: "page".into(), size },
                false => Paging::Offset { offset: "offset".into(), size },
            }))
            .await;
            let [red, blue] = two_tenants(&rig).await;
            for (route, filter) in lists(&rig.contract) {
                // In turns, so that each finds what the other's first page left behind.
                for (own, other) in [(&red, &blue), (&blue, &red), (&red, &blue)] {
                    for page in pages(&rig, &own.holder, &route, &own.webhooks[1].id, &filter).await {
                        assert_nothing_of(other, &format!("{contract} {} {filter}", route.name), &page);
                        walked += 1;
                    }
                }
            }
            rig.stop().await;
        }
    }
    println!("counted | tenants | numbered pages searched for other tenants' marks | {walked}");
}
