//! The page is sound, and its snippets judge real deliveries rightly.

use std::io::Write;
use std::process::{Command, Stdio};

use posthaste_contract::{Contract, SigningFacts, builtin};
use posthaste_core::{Dice, Secret, UnixMs};
use serde_json::json;

use super::page;
use super::snippets::{Language, check};

const BODY: &[u8] = b"{\"type\":\"invoice.paid\",\"data\":{\"n\":1}}";

struct Sevens;

impl Dice for Sevens {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}

#[test]
fn the_page_tells_of_every_route_and_event() {
    for name in builtin::names() {
        let contract = Contract::builtin(name).unwrap();
        let html = page::write(&contract, "http://localhost:8080");
        assert!(html.starts_with("<!doctype html>") && html.ends_with("</html>\n"));
        for route in &contract.routes {
            assert!(html.contains(&format!("<h3>{} {}</h3>", route.method.word(), route.path)), "{name}");
        }
        for known in contract.events.types.iter().filter(|known| !known.internal) {
            assert!(html.contains(&known.name), "{name}: {}", known.name);
        }
        assert!(!html.contains("<script"), "{name}");
        let opened = html.matches("<pre>").count();
        assert_eq!(opened, html.matches("</pre>").count());
        assert!(opened > contract.routes.len());
    }
}

/// A delivery as its receiver gets it: headers as a JSON object.
fn delivery(contract: &Contract, secret: &Secret, body: &[u8]) -> serde_json::Value {
    let facts = SigningFacts {
        webhook_id: "wh_1",
        url: "https://hooks.example.com/a",
        event_id: "evt_1",
        event_type: "invoice.paid",
        account_id: "acme",
        delivery_id: "dlv_1",
        attempt_number: 1,
        at: UnixMs(1_776_506_400_000),
        body,
    };
    let values = contract.signature_values(&facts, &[secret]);
    let headers = contract.delivery_headers(&facts, &values);
    headers.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), json!(value))).collect()
}

/// Runs a program that reads a case from standard input and says `true` or `false`.
fn run(program: &str, arguments: &[&str], case: &serde_json::Value) -> String {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    child.stdin.take().unwrap().write_all(case.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_lowercase()
}

fn verdict(snippet: &str, language: Language, case: &serde_json::Value) -> String {
    match language {
        Language::Python => {
            let call = "import json, sys\ncase = json.load(sys.stdin)\n\
                 print(verify(case['secret'], case['headers'], case['body'].encode(), case['url']))\n";
            run("python3", &["-c", &format!("{snippet}\n{call}")], case)
        }
        Language::Node => {
            let call = "const c = JSON.parse(require('node:fs').readFileSync(0, 'utf8'));\n\
                 console.log(verify(c.secret, c.headers, Buffer.from(c.body), c.url));\n";
            run("node", &["-e", &format!("{snippet}\n{call}")], case)
        }
    }
}

fn is_installed(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

#[test]
fn the_snippets_take_real_deliveries_and_refuse_others() {
    for (language, program) in [(Language::Python, "python3"), (Language::Node, "node")] {
        if !is_installed(program) {
            continue;
        }
        for name in builtin::names() {
            let contract = Contract::builtin(name).unwrap();
            let secret = contract.new_secret(&Sevens);
            let headers = delivery(&contract, &secret, BODY);
            let other = delivery(&contract, &secret, b"{}");
            let snippet = check(&contract, language).unwrap();
            for (headers, expected) in [(&headers, "true"), (&other, "false")] {
                let case = json!({
                    "secret": secret.expose_text(), "headers": headers, "url": "https://hooks.example.com/a",
                    "body": String::from_utf8_lossy(BODY),
                });
                assert_eq!(verdict(&snippet, language, &case), expected, "{name} {program}:\n{snippet}");
            }
        }
    }
}
