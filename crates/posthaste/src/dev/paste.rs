//! Lines to paste into a shell.

use posthaste_contract::Contract;
use posthaste_contract::model::{
    Algorithm, Encoding, HmacRequest, Op, RequestPart, Route, Scheme, TimeSpelling,
};
use posthaste_core::Secret;
use serde_json::Value;

use super::RECEIVER_HOST;
use super::customer::{Customer, OWN_SECRET, Registered};
use super::example::Facts;

/// The routes shown, in this order, with what they do.
const SHOWN: [(Op, &str); 5] = [
    (Op::WebhookCreate, "register another webhook"),
    (Op::WebhookList, "list webhooks"),
    (Op::WebhookGet, "look at the webhook"),
    (Op::WebhookTest, "send it a test event"),
    (Op::DeliveryList, "look at its deliveries"),
];

/// Everything that a newcomer may want to try next.
pub(super) fn lines(
    contract: &Contract,
    customer: &Customer,
    webhook: &Registered,
    event: &Value,
    admin_base: &str,
    token: &Secret,
) -> String {
    let mut text = format!("As a customer, by the contract {}:\n\n", contract.name);
    let url = format!("https://{RECEIVER_HOST}/hooks/second");
    let facts =
        Facts { url: &url, event_type: &webhook.event_type, secret: OWN_SECRET, webhook_id: &webhook.id };
    for (op, what) in SHOWN {
        let Some(route) = customer.route(op) else { continue };
        let Some(path) = customer.path(route, &webhook.id) else { continue };
        let call = line(customer, route, &path, customer.body(route, &facts).as_deref());
        text.push_str(&format!("# {what}\n{call}\n\n"));
    }
    let (token, account) = (token.expose_text(), &customer.account);
    let program = std::env::args().next().unwrap_or_else(|| "posthaste".to_owned());
    text.push_str("As the product, through the admin API:\n\n");
    text.push_str(&format!(
        "# publish an event\ncurl -X POST {admin_base}/admin/v1/events -H 'Authorization: Bearer {token}' \
         -H 'Content-Type: application/json' -d {}\n\n",
        quoted(&event.to_string())
    ));
    text.push_str(&format!(
        "# the same from the command line, in another terminal\n\
         export POSTHASTE_SERVER={admin_base} POSTHASTE_ADMIN_TOKEN={token}\n\
         {program} event send {} --account {account} --data {}\n\
         {program} deliveries --account {account}\n\n",
        webhook.event_type,
        quoted(&event["data"].to_string())
    ));
    let base = &customer.base;
    text.push_str(&format!(
        "API      {base}\nDocs     {base}/docs\nOpenAPI  {base}/openapi.json\n\nCtrl-C ends it.\n"
    ));
    text
}

/// One request as a shell line.
fn line(customer: &Customer, route: &Route, path: &str, body: Option<&str>) -> String {
    let mut words = vec![format!("curl -X {} {}{path}", route.method.word(), customer.base)];
    let mut before = String::new();
    let scheme = customer.contract.auth.get(route.auth).map(|auth| &auth.scheme);
    match scheme {
        Some(Scheme::ApiKey { header }) => {
            words.push(format!("-H {}", quoted(&format!("{header}: {}", customer.key))))
        }
        Some(Scheme::Bearer) => {
            words.push(format!("-H {}", quoted(&format!("Authorization: Bearer {}", customer.key))))
        }
        Some(Scheme::Basic) => words.push(format!("-u {}", quoted(&format!("{}:", customer.key)))),
        Some(Scheme::HmacRequest(rule)) => {
            before = signing(rule, route, path, body, customer.signing_secret.as_ref());
            words.push(format!("-H {}", quoted(&format!("{}: {}", rule.key_header, customer.key))));
            words.push(format!(
                "-H \"{}: $TS\" -H \"{}: $SIG\"",
                rule.timestamp_header, rule.signature_header
            ));
        }
        None => {}
    }
    if let Some(body) = body {
        words.push("-H 'Content-Type: application/json'".to_owned());
        let is_signed = !before.is_empty();
        words.push(if is_signed { "-d \"$BODY\"".to_owned() } else { format!("-d {}", quoted(body)) });
    }
    format!("{before}{}", words.join(" "))
}

/// The lines that sign a request: they leave `$TS`, `$BODY` and `$SIG`.
fn signing(
    rule: &HmacRequest,
    route: &Route,
    path: &str,
    body: Option<&str>,
    secret: Option<&Secret>,
) -> String {
    let part = |part: &RequestPart| match part {
        RequestPart::Timestamp => "$TS".to_owned(),
        RequestPart::Method => route.method.word().to_owned(),
        RequestPart::Path | RequestPart::Target => path.to_owned(),
        RequestPart::Body => "$BODY".to_owned(),
        RequestPart::Text(text) => in_double_quotes(text),
    };
    let parts = rule.forms.first().map(|form| form.iter().map(part).collect::<Vec<_>>()).unwrap_or_default();
    // Braces keep a variable's name from running on into the part after it.
    let signed =
        parts.join(&in_double_quotes(&rule.join)).replace("$TS", "${TS}").replace("$BODY", "${BODY}");
    let digest = match rule.algorithm {
        Algorithm::HmacSha256 => "sha256",
        Algorithm::HmacSha1 => "sha1",
        Algorithm::HmacSha512 => "sha512",
    };
    let spell = match rule.encoding {
        Encoding::Hex => "-r | cut -d' ' -f1",
        Encoding::Base64 => "-binary | base64 -w0",
    };
    let time = match rule.timestamps.first() {
        Some(TimeSpelling::UnixMs) => "date +%s000",
        Some(TimeSpelling::Rfc3339) => "date -u +%Y-%m-%dT%H:%M:%SZ",
        Some(TimeSpelling::Rfc3339Ms) => "date -u +%Y-%m-%dT%H:%M:%S.000Z",
        Some(TimeSpelling::Unix) | None => "date +%s",
    };
    format!(
        "TS=$({time}); BODY={}\nSIG=$(printf '%s' \"{signed}\" | openssl dgst -{digest} -hmac {} {spell})\n",
        quoted(body.unwrap_or_default()),
        quoted(secret.map_or("", Secret::expose_text)),
    )
}

/// As one word of the shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn in_double_quotes(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        if matches!(letter, '"' | '$' | '`' | '\\') {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_the_shell() {
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(in_double_quotes(r#"a"$b`\"#), r#"a\"\$b\`\\"#);
    }
}
