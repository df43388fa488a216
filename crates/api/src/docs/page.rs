//! The page a customer reads.

mod request;

use posthaste_contract::model::delivery::HeaderValue;
use posthaste_contract::model::{AccessKind, Route, Source};
use posthaste_contract::{Condition, Contract};

use super::html::Html;
use super::snippets::{Language, check};

const STYLE: &str = "<style>\
    body{font:16px/1.5 system-ui,sans-serif;max-width:56rem;margin:2rem auto;padding:0 1rem;color:#1b1f24;background:#fff}\
    pre{background:#f5f6f8;padding:.75rem;overflow:auto}code{font:14px/1.5 ui-monospace,monospace}\
    table{border-collapse:collapse}th,td{text-align:left;padding:.25rem .75rem;border-bottom:1px solid #d8dde3}\
    @media(prefers-color-scheme:dark){body{color:#e6e8eb;background:#14171a}pre{background:#20252b}\
    th,td{border-color:#39414a}a{color:#8ab4f8}}</style>";

/// Writes the page. `server` is the address in examples where the contract names none.
pub(super) fn write(contract: &Contract, server: &str) -> String {
    let server = contract.servers.first().map_or(server, String::as_str);
    let mut html = Html::default();
    html.raw("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">");
    html.raw("<meta name=\"viewport\" content=\"width=device-width\">").element("title", &contract.title);
    html.raw(STYLE).raw("</head><body>\n").element("h1", &contract.title);
    html.raw("<p>Version ").element("code", &contract.version).raw(", at ").element("code", server);
    html.raw(". The same as <a href=\"/openapi.json\">OpenAPI 3.1</a>.</p>\n");
    html.raw("<h2>Requests</h2>\n");
    for route in &contract.routes {
        write_route(&mut html, contract, route, server);
    }
    write_events(&mut html, contract);
    write_delivery(&mut html, contract);
    write_checks(&mut html, contract);
    write_errors(&mut html, contract);
    html.raw("</body></html>\n");
    html.finish()
}

fn write_route(html: &mut Html, contract: &Contract, route: &Route, server: &str) {
    html.element("h3", &format!("{} {}", route.method.word(), route.path));
    html.element("p", &route.doc);
    if let Some(need) = need(contract, route) {
        html.raw("<p>Needs ").element("code", need).raw(".</p>\n");
    }
    html.code(&request::curl(contract, route, server));
    let input = route.input.and_then(|input| contract.inputs.get(input));
    let fields = input.map(|input| input.fields.as_slice()).unwrap_or_default();
    if !fields.is_empty() {
        let rows: Vec<[String; 3]> = fields
            .iter()
            .map(|field| {
                let required = if field.required { "yes" } else { "no" };
                [field.at.join("."), required.to_owned(), field.doc.clone()]
            })
            .collect();
        html.table(["Field", "Required", "About"], &rows);
    }
    html.raw("<p>Answers ").element("code", &route.status.to_string()).raw(".</p>\n");
}

fn need<'c>(contract: &'c Contract, route: &Route) -> Option<&'c str> {
    let known = match &contract.access.kind {
        AccessKind::None => return None,
        AccessKind::Tier(words) | AccessKind::Role(words) | AccessKind::Scope(words) => words,
    };
    known.get(route.needs?.0).map(String::as_str)
}

fn write_events(html: &mut Html, contract: &Contract) {
    html.raw("<h2>Events</h2>\n");
    let types = contract.events.types.iter().filter(|known| !known.internal);
    let rows: Vec<[String; 2]> = types.map(|known| [known.name.clone(), known.doc.clone()]).collect();
    if !rows.is_empty() {
        html.table(["Type", "Sent when"], &rows);
    }
    if contract.events.open {
        html.raw("<p>Further types may come: dotted lower-case words.</p>\n");
    }
    if !contract.events.wildcards.is_empty() {
        html.raw("<p>Wildcards: ").element("code", &contract.events.wildcards.join(" ")).raw("</p>\n");
    }
}

fn write_delivery(html: &mut Html, contract: &Contract) {
    html.raw("<h2>Deliveries</h2>\n");
    let content_type = ["Content-Type".to_owned(), contract.delivery.content_type.clone()];
    let others = contract.delivery.headers.iter().map(|header| {
        let about = match &header.value {
            HeaderValue::Const(text) => text.clone(),
            HeaderValue::From(source, _) => about(source),
        };
        [header.name.clone(), about]
    });
    let signatures = contract.signatures.iter().map(|rule| [rule.header.clone(), "the signature".to_owned()]);
    let rows: Vec<[String; 2]> = std::iter::once(content_type).chain(others).chain(signatures).collect();
    html.table(["Header", "Value"], &rows);
    html.code(&request::example_body(contract));
    let seconds = contract.policy.timeout.as_secs();
    html.raw("<p>Answer with a 2xx status within ").text(&seconds.to_string()).raw(" seconds. ");
    html.raw("Other answers are failures, redirects among them. The same delivery may come more than once.");
    if let Some(rate) = &contract.policy.rate {
        let (units, seconds) = (rate.attempts.to_string(), rate.window.as_secs_f64().to_string());
        html.raw(" At most ").text(&units).raw(" deliveries begin in ").text(&seconds).raw(" seconds.");
    }
    html.raw("</p>\n");
}

fn about(source: &Source) -> String {
    let word = Source::WORDS.iter().find(|(known, _)| known == source).map(|(_, word)| *word);
    let plain = word.unwrap_or_default().replace("endpoint", "webhook").replace("tenant", "account");
    plain.replace(['.', '_'], " ")
}

fn write_checks(html: &mut Html, contract: &Contract) {
    let checks = [("Python", Language::Python), ("Node", Language::Node)];
    let checks: Vec<(&str, String)> =
        checks.into_iter().filter_map(|(name, language)| Some((name, check(contract, language)?))).collect();
    if checks.is_empty() {
        return;
    }
    html.raw("<h2>Checking signatures</h2>\n<p>Check the bytes as they came, before parsing them.</p>\n");
    for (name, code) in checks {
        html.element("h3", name).code(&code);
    }
}

fn write_errors(html: &mut Html, contract: &Contract) {
    html.raw("<h2>Errors</h2>\n");
    let rules = Condition::WORDS.iter().zip(&contract.errors.rules);
    let rows: Vec<[String; 3]> = rules
        .map(|((_, word), rule)| [rule.code.clone(), rule.status.to_string(), word.replace(['_', '.'], " ")])
        .collect();
    html.table(["Code", "Status", "When"], &rows);
}
