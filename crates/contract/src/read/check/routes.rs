//! Routes: each has what its operation needs.

use super::Whole;
use crate::model::access::SecretOrigin;
use crate::model::events::Omitted;
use crate::model::input::{Input, Target};
use crate::model::route::{Paging, Route, Rows, Segment};
use crate::model::view::{Member, MemberValue, Source, ViewRoot};
use crate::model::{Index, Op};

pub fn check(whole: &Whole<'_>) {
    let contract = whole.contract;
    if !contract.routes.iter().any(|route| route.op == Op::WebhookCreate) {
        whole.warning(&["routes"], "no route creates webhooks (endpoint.create)");
    }
    for route in &contract.routes {
        let input = route.input.and_then(|index| contract.inputs.get(index));
        check_target(whole, route, input);
        check_input(whole, route, input);
        check_answer(whole, route);
    }
    for (index, input) in contract.inputs.iter().enumerate() {
        if !contract.routes.iter().any(|route| route.input == Some(index)) {
            whole.warning(&["inputs", &input.name], "no route reads this input");
        }
    }
}

/// Does the request say which webhook and delivery it is about?
fn check_target(whole: &Whole<'_>, route: &Route, input: Option<&Input>) {
    let path = ["routes", route.name.as_str(), "on"];
    let says = |segment: &Segment, target: &Target| {
        let in_body = input.is_some_and(|input| input.fields.iter().any(|f| f.to == *target && f.required));
        route.segments.contains(segment) || in_body
    };
    let is_about_none = matches!(route.op, Op::WebhookCreate | Op::WebhookList);
    let is_about_delivery = matches!(route.op, Op::DeliveryGet | Op::DeliveryResend);
    if is_about_none && route.segments.iter().any(|segment| !matches!(segment, Segment::Literal(_))) {
        whole.error(&path, format!("{} is about no single webhook; the path has an id", route.op.word()));
    }
    if is_about_delivery && !says(&Segment::Delivery, &Target::DeliveryId) {
        whole.error(&path, format!("{} needs `{{delivery}}` in the path", route.op.word()));
    }
    if !is_about_none && !is_about_delivery && !says(&Segment::Webhook, &Target::WebhookId) {
        let message = "needs `{endpoint}` in the path, or a required field that sets target.endpoint_id";
        whole.error(&path, format!("{} {message}", route.op.word()));
    }
}

fn check_input(whole: &Whole<'_>, route: &Route, input: Option<&Input>) {
    let path = ["routes", route.name.as_str()];
    let needs_input = matches!(route.op, Op::WebhookCreate | Op::WebhookUpdate)
        || (route.op == Op::WebhookRotate && whole.contract.secret.origin == SecretOrigin::Caller);
    let Some(input) = input else {
        if needs_input {
            whole.error(&path, format!("{} needs an `input`", route.op.word()));
        }
        return;
    };
    if matches!(route.op, Op::WebhookList | Op::WebhookGet | Op::DeliveryList | Op::DeliveryGet) {
        whole.error(&path, format!("{} reads no body", route.op.word()));
    }
    if route.op == Op::WebhookCreate {
        check_create(whole, input);
    }
}

fn check_create(whole: &Whole<'_>, input: &Input) {
    let path = ["inputs", input.name.as_str(), "fields"];
    let field = |target: &Target| input.fields.iter().find(|field| field.to == *target);
    match field(&Target::Url) {
        Some(field) if field.required => {}
        _ => whole.error(&path, "creating needs a required field that sets endpoint.url"),
    }
    let events = field(&Target::Events);
    let is_required = events.is_some_and(|field| field.required);
    match whole.contract.events.omitted {
        Omitted::Error if !is_required => {
            whole.error(
                &path,
                "[events] says `omitted = \"error\"`, but no required field sets endpoint.events",
            );
        }
        Omitted::All if is_required => {
            whole.warning(&path, "[events] says what omission means, but the field is required");
        }
        _ => {}
    }
}

fn check_answer(whole: &Whole<'_>, route: &Route) {
    let path = ["routes", route.name.as_str()];
    if route.status == 204 && route.view.is_some() {
        whole.error(&path, "a 204 has no body, but there is a `view`");
    }
    if route.status != 204 && route.view.is_none() {
        whole.warning(&path, format!("a {} without a `view` has an empty body", route.status));
    }
    let Some(view) = route.view else { return };
    let mut sources = Vec::new();
    gather(whole, view, &mut sources);
    let is_list = matches!(route.op, Op::WebhookList | Op::DeliveryList);
    let group = |source: &Source, group: &str| source.word().split('.').next() == Some(group);
    if is_list && !sources.contains(&Source::PageItems) {
        whole.error(&path, "the view of a list has to hold page.items");
    }
    for source in &sources {
        let word = source.word();
        if group(source, "page") && !is_list {
            whole.error(&path, format!("`{word}` belongs to lists"));
        }
        if group(source, "test") && route.op != Op::WebhookTest {
            whole.error(&path, format!("`{word}` belongs to endpoint.test"));
        }
        if group(source, "error") {
            whole.error(&path, format!("`{word}` belongs to the error view"));
        }
        let has_delivery =
            matches!(route.op, Op::DeliveryList | Op::DeliveryGet | Op::DeliveryResend | Op::WebhookTest);
        if ["event", "delivery", "attempt"].iter().any(|g| group(source, g)) && !has_delivery {
            whole.error(&path, format!("`{word}` means nothing to {}", route.op.word()));
        }
    }
    if route.op == Op::DeliveryList && route.rows == Rows::Attempt && sources.contains(&Source::DeliveryState)
    {
        whole.warning(&path, "rows are attempts, but the view shows the state of the whole delivery");
    }
    let is_unpaged = matches!(route.paging, Paging::All | Paging::Latest { .. });
    if is_list && is_unpaged && sources.contains(&Source::PageNext) {
        whole.warning(&path, "the view holds page.next, but the list is not cut by cursors");
    }
}

/// Every source a view draws from, those of inner views too.
fn gather(whole: &Whole<'_>, view: Index, found: &mut Vec<Source>) {
    fn members(whole: &Whole<'_>, list: &[Member], found: &mut Vec<Source>) {
        for member in list {
            match &member.value {
                MemberValue::From(source, _) => found.push(source.clone()),
                MemberValue::Object(inner) => members(whole, inner, found),
                MemberValue::View(index) => gather(whole, *index, found),
                MemberValue::Items(index) => {
                    found.push(Source::PageItems);
                    gather(whole, *index, found);
                }
                MemberValue::Const(_) => {}
            }
        }
    }
    match whole.contract.views.get(view).map(|view| &view.root) {
        Some(ViewRoot::Object(list)) => members(whole, list, found),
        Some(ViewRoot::Items(index)) => {
            found.push(Source::PageItems);
            gather(whole, *index, found);
        }
        None => {}
    }
}
