//! A server of one contract at the highest level of logging, everybody who talks to it, and all that they are told.

use std::path::PathBuf;

use http::StatusCode;
use posthaste::data_folder::DataFolder;
use posthaste::outside::SystemClock;
use posthaste_contract::model::{AccessKind, FieldRule, Route, Scheme, Segment};
use posthaste_contract::signing::SignedRequest;
use posthaste_contract::{Contract, Op};
use posthaste_core::{Clock as _, Secret};
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::search::Canaries;
use crate::support::{HOST, Inbox, Server, run};

/// An API key as its holder knows it.
pub struct Holder {
    pub key: String,
    pub signing_secret: Option<String>,
}

pub struct Tour {
    pub folder: TempDir,
    pub contract: Contract,
    pub server: Server,
    pub inbox: Inbox,
    pub canaries: Canaries,
    /// What somebody was told, and where.
    pub seen: Vec<(String, Vec<u8>)>,
    token: String,
    flags: Vec<String>,
}

impl Tour {
    pub async fn of(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let inbox = Inbox::start().await;
        let mut flags = inbox.flags.clone();
        let more = ["--contract", name, "--log", "trace"];
        flags.extend(more.map(str::to_owned));
        let server =
            Server::start(folder.path(), &flags.iter().map(String::as_str).collect::<Vec<_>>()).await;
        let data = DataFolder::at(folder.path().join("data"));
        let token = data.token().unwrap().unwrap().expose_text().to_owned();
        let mut canaries = Canaries::default();
        canaries.add("the operator's token", &token);
        let contract = Contract::builtin(name).unwrap();
        let mut tour = Self { folder, contract, server, inbox, canaries, seen: Vec::new(), token, flags };
        tour.add_master_key("the first master key");
        tour
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The key in the file and what is derived from it.
    pub fn add_master_key(&mut self, name: &str) {
        let text = std::fs::read_to_string(self.data().join("master.key")).unwrap();
        let text = text.trim();
        self.canaries.add(name, text);
        let bytes: Vec<u8> =
            (0..64).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect();
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &bytes);
        for purpose in ["posthaste seal v1", "posthaste key hash v1"] {
            let derived = aws_lc_rs::hmac::sign(&key, purpose.as_bytes());
            self.canaries.add_bytes(&format!("{purpose} of {name}"), derived.as_ref());
        }
    }

    /// Ends the server as a crash does and starts it again.
    pub async fn crash(&mut self) {
        self.server.kill();
        let flags: Vec<&str> = self.flags.iter().map(String::as_str).collect();
        self.server = Server::start(self.folder.path(), &flags).await;
    }

    /// Sends bytes and keeps what comes back.
    pub async fn raw(&mut self, what: &str, bytes: &[u8]) -> String {
        let address = self.server.base.trim_start_matches("http://").to_owned();
        let mut stream = TcpStream::connect(address).await.unwrap();
        let mut answer = Vec::new();
        // Some are refused before all is sent.
        let _ = stream.write_all(bytes).await;
        let _ = stream.read_to_end(&mut answer).await;
        self.seen.push((format!("the answer to {what}"), answer.clone()));
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// A request with these headers; the status and the body of the answer.
    pub async fn ask(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(String, String)],
        body: Option<&str>,
    ) -> (u16, Value) {
        let mut head =
            format!("{method} {target} HTTP/1.1\r\nhost: api.example.com\r\nconnection: close\r\n");
        headers.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
        if let Some(body) = body {
            head.push_str(&format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len()));
        }
        let request = format!("{head}\r\n{}", body.unwrap_or_default());
        let answer = self.raw(&format!("{method} {target}"), request.as_bytes()).await;
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        let shown = serde_json::from_str(body).unwrap_or(Value::Null);
        self.note_shown(&shown);
        (status, shown)
    }

    /// What an answer shows once is a secret from then on; the rest of that answer is looked at like any other.
    fn note_shown(&mut self, answer: &Value) {
        for member in ["key", "signing_secret", "secret", "token"] {
            for text in texts_at(answer, member) {
                let count = self.canaries.len();
                self.canaries.add(&format!("{member} no. {count}"), &text);
                if let Some((_, last)) = self.seen.last_mut() {
                    *last = String::from_utf8_lossy(last).replace(&text, "").into_bytes();
                }
            }
        }
    }

    /// A call of the operator.
    pub async fn admin(&mut self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let headers = [("authorization".to_owned(), format!("Bearer {}", self.token))];
        let body = body.map(|body| body.to_string());
        self.ask(method, &format!("/admin/v1{path}"), &headers, body.as_deref()).await
    }

    /// A key that may do everything.
    pub async fn holder(&mut self, account: &str) -> Holder {
        let mut body = json!({});
        match &self.contract.access.kind {
            AccessKind::None => {}
            AccessKind::Tier(words) => body["tier"] = json!(words.last()),
            AccessKind::Role(words) => body["roles"] = json!([words.last()]),
            AccessKind::Scope(words) => body["scopes"] = json!(words),
        }
        let (status, key) = self.admin("POST", &format!("/accounts/{account}/keys"), Some(body)).await;
        assert_eq!(status, 201, "{key}");
        let text = |member: &str| key[member].as_str().map(str::to_owned);
        Holder { key: text("key").unwrap(), signing_secret: text("signing_secret") }
    }

    /// The headers by which a customer is known.
    pub fn credentials(
        &self,
        holder: &Holder,
        method: &str,
        target: &str,
        body: &str,
    ) -> Vec<(String, String)> {
        let pair = |name: &str, value: String| (name.to_owned(), value);
        match &self.contract.auth[0].scheme {
            Scheme::ApiKey { header } => vec![pair(header, holder.key.clone())],
            Scheme::Bearer => vec![pair("authorization", format!("Bearer {}", holder.key))],
            Scheme::Basic => panic!("no built-in contract uses basic credentials"),
            Scheme::HmacRequest(rule) => {
                let timestamp = SystemClock.now().0.to_string();
                let request = SignedRequest {
                    timestamp: &timestamp,
                    signature: "",
                    method,
                    target,
                    body: body.as_bytes(),
                };
                let secret = Secret::from(holder.signing_secret.clone().unwrap());
                let signature = rule.sign(&request, &secret);
                vec![
                    pair(&rule.key_header, holder.key.clone()),
                    pair(&rule.timestamp_header, timestamp.clone()),
                    pair(&rule.signature_header, signature),
                ]
            }
        }
    }

    /// A customer's request to a route of the contract.
    pub async fn call(
        &mut self,
        holder: &Holder,
        route: &Route,
        ids: (&str, &str),
        body: Option<&Value>,
    ) -> (u16, Value) {
        let mut target = String::new();
        for segment in &route.segments {
            target.push('/');
            target.push_str(match segment {
                Segment::Literal(text) => text,
                Segment::Webhook => ids.0,
                Segment::Delivery => ids.1,
            });
        }
        let method = route.method.word();
        let body = body.map(Value::to_string);
        let headers = self.credentials(holder, method, &target, body.as_deref().unwrap_or_default());
        self.ask(method, &target, &headers, body.as_deref()).await
    }

    pub fn routes(&self, wanted: impl Fn(Op) -> bool) -> Vec<Route> {
        self.contract.routes.iter().filter(|route| wanted(route.op)).cloned().collect()
    }

    /// A body such as the route takes, with a secret of the customer's own where it takes one.
    pub fn body(&mut self, route: &Route, path: &str, webhook: &str) -> Option<Value> {
        let fields = &self.contract.inputs[route.input?].fields;
        let mut body = Map::new();
        let mut brought = None;
        for field in fields {
            let value = match &field.rule {
                FieldRule::Url { .. } => json!(format!("https://{HOST}/{path}")),
                FieldRule::Events { .. } => json!([event_type(&self.contract)]),
                FieldRule::Secret { .. } => {
                    let count = self.canaries.len();
                    let own = format!("whsec_{}", base64_of(&format!("own{count:04}{}", digits(count))));
                    json!(brought.insert(own))
                }
                FieldRule::Id => json!(webhook),
                _ => continue,
            };
            body.insert(field.at.join("."), value);
        }
        if let Some(own) = brought {
            let count = self.canaries.len();
            self.canaries.add(&format!("own secret no. {count}"), &own);
        }
        Some(Value::Object(body))
    }

    /// A secret that a customer brings.
    pub fn own_secret(&mut self) -> String {
        let count = self.canaries.len();
        let own = format!("whsec_{}", base64_of(&format!("own{count:04}{}", digits(count))));
        self.canaries.add(&format!("own secret no. {count}"), &own);
        own
    }

    /// Runs a command to its end and keeps what it says. What it shows once, it shows to its caller alone.
    pub fn command(&mut self, arguments: &[&str], may_show: bool) {
        let output = run(self.folder.path(), &[arguments, &["--data-dir", "data"]].concat());
        let said = [output.stdout, output.stderr].concat();
        self.seen.push((format!("what `{}` says", arguments.join(" ")), said.clone()));
        assert!(output.status.success(), "`{}`: {}", arguments.join(" "), String::from_utf8_lossy(&said));
        if may_show {
            let shown = serde_json::from_slice(&said).unwrap_or(Value::Null);
            self.note_shown(&shown);
        }
    }

    /// The same of a command that must fail.
    pub fn command_refused(&mut self, arguments: &[&str]) {
        let output = run(self.folder.path(), &[arguments, &["--data-dir", "data"]].concat());
        assert!(!output.status.success(), "`{}`", arguments.join(" "));
        let said = [output.stdout, output.stderr].concat();
        self.seen.push((format!("what `{}` says", arguments.join(" ")), said));
    }

    /// A start that fails over a flag, and what it says.
    pub fn serve_refused(&mut self, flags: &[&str]) {
        let output = run(
            self.folder.path(),
            &[&["serve", "--data", "elsewhere", "--contract", "absent.toml"], flags].concat(),
        );
        assert!(!output.status.success(), "{flags:?}");
        self.seen.push((format!("what `serve {}` says", flags[0]), [output.stdout, output.stderr].concat()));
    }

    pub fn answer_with(&self, status: StatusCode) {
        self.inbox.answer_with(status);
    }
}

pub fn event_type(contract: &Contract) -> String {
    let known = contract.events.types.iter().find(|known| !known.internal);
    known.map_or("invoice.paid".to_owned(), |known| known.name.clone())
}

/// The texts of members of this name, however deep.
fn texts_at(value: &Value, member: &str) -> Vec<String> {
    match value {
        Value::Object(members) => members
            .iter()
            .flat_map(|(name, inner)| match inner.as_str() {
                Some(text) if name == member => vec![text.to_owned()],
                _ => texts_at(inner, member),
            })
            .collect(),
        Value::Array(items) => items.iter().flat_map(|item| texts_at(item, member)).collect(),
        _ => Vec::new(),
    }
}

fn base64_of(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

/// Digits that look like chance and differ from count to count.
pub fn digits(count: usize) -> String {
    use aws_lc_rs::digest::{SHA256, digest};
    let hashed = digest(&SHA256, format!("canary {count}").as_bytes());
    hashed.as_ref()[..12].iter().map(|byte| format!("{byte:02x}")).collect()
}
