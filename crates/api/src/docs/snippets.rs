//! How a receiver checks a signature, as code to copy.

use posthaste_contract::Contract;
use posthaste_contract::model::delivery::HeaderValue;
use posthaste_contract::model::{
    Algorithm, Encoding, Layout, Many, SecretKey, SignaturePart, SignatureRule, Source,
};

/// A language that snippets are written in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    /// Python 3.
    Python,
    /// JavaScript on Node.
    Node,
}

/// The check of the contract's first signature; `None` if it signs nothing.
pub(super) fn check(contract: &Contract, language: Language) -> Option<String> {
    let rule = contract.signatures.first()?;
    let snippet = Snippet { contract, rule, language };
    Some(match language {
        Language::Python => snippet.python(),
        Language::Node => snippet.node(),
    })
}

struct Snippet<'c> {
    contract: &'c Contract,
    rule: &'c SignatureRule,
    language: Language,
}

impl Snippet<'_> {
    fn python(&self) -> String {
        let digest = match self.rule.encoding {
            Encoding::Hex => "mac.hexdigest()",
            Encoding::Base64 => "base64.b64encode(mac.digest()).decode()",
        };
        let hash = self.hash();
        let (key, signed, received) = (self.key(), self.signed(), self.received());
        format!(
            "import base64, hashlib, hmac\n\n\
             def verify(secret: str, headers: dict, body: bytes, url: str = \"\") -> bool:\n    \
             headers = {{name.lower(): value for name, value in headers.items()}}\n    \
             key = {key}\n\
             {received}    \
             mac = hmac.new(key, {signed}, hashlib.{hash})\n    \
             expected = {digest}\n    \
             return any(hmac.compare_digest(expected.encode(), one.encode()) for one in received)\n"
        )
    }

    fn node(&self) -> String {
        let encoding = match self.rule.encoding {
            Encoding::Hex => "hex",
            Encoding::Base64 => "base64",
        };
        let hash = self.hash();
        let (key, signed, received) = (self.key(), self.signed(), self.received());
        format!(
            "const crypto = require(\"node:crypto\");\n\n\
             // `headers` are those of node:http: lower-case names. `body` is a Buffer with the bytes as they came.\n\
             function verify(secret, headers, body, url = \"\") {{\n  \
             const key = {key};\n\
             {received}  \
             const mac = crypto.createHmac(\"{hash}\", key);\n\
             {signed}  \
             const expected = Buffer.from(mac.digest(\"{encoding}\"));\n  \
             return received.map((one) => Buffer.from(one)).some(\n    \
             (one) => one.length === expected.length && crypto.timingSafeEqual(one, expected));\n}}\n"
        )
    }

    fn hash(&self) -> &'static str {
        match self.rule.algorithm {
            Algorithm::HmacSha256 => "sha256",
            Algorithm::HmacSha1 => "sha1",
            Algorithm::HmacSha512 => "sha512",
        }
    }

    fn key(&self) -> String {
        let prefix = self.contract.secret.prefix.len();
        match (self.contract.secret.key, self.language) {
            (SecretKey::Utf8, Language::Python) => "secret.encode()".to_owned(),
            (SecretKey::Base64, Language::Python) => format!("base64.b64decode(secret[{prefix}:])"),
            (SecretKey::Hex, Language::Python) => format!("bytes.fromhex(secret[{prefix}:])"),
            (SecretKey::Utf8, Language::Node) => "Buffer.from(secret)".to_owned(),
            (SecretKey::Base64, Language::Node) => format!("Buffer.from(secret.slice({prefix}), \"base64\")"),
            (SecretKey::Hex, Language::Node) => format!("Buffer.from(secret.slice({prefix}), \"hex\")"),
        }
    }

    /// Statements that make `received`: the signatures in the header, bare.
    fn received(&self) -> String {
        let header = quoted(&self.rule.header.to_ascii_lowercase());
        match (&self.rule.layout, self.language) {
            (Layout::Pairs { signature, by, .. }, Language::Python) => format!(
                "    pairs = [pair.split(\"=\", 1) for pair in headers[{header}].split({})]\n    \
                 received = [value for name, value in pairs if name == {}]\n",
                quoted(by),
                quoted(signature)
            ),
            (Layout::Pairs { signature, by, .. }, Language::Node) => format!(
                "  const pairs = headers[{header}].split({}).map((pair) => pair.split(/=(.*)/s));\n  \
                 const received = pairs.filter(([name]) => name === {}).map(([, value]) => value);\n",
                quoted(by),
                quoted(signature)
            ),
            (layout, Language::Python) => format!(
                "    received = [one[{}:] for one in {} if one.startswith({})]\n",
                prefix(layout).len(),
                self.values(&header),
                quoted(prefix(layout))
            ),
            (layout, Language::Node) => format!(
                "  const received = {}.filter((one) => one.startsWith({})).map((one) => one.slice({}));\n",
                self.values(&header),
                quoted(prefix(layout)),
                prefix(layout).len()
            ),
        }
    }

    fn values(&self, header: &str) -> String {
        match &self.rule.many {
            Many::Join(by) => format!("headers[{header}].split({})", quoted(by)),
            _ => format!("[headers[{header}]]"),
        }
    }

    /// What is signed: an expression in Python, statements that feed `mac` in Node.
    fn signed(&self) -> String {
        let parts: Vec<String> = self.rule.signed.iter().map(|part| self.part(part)).collect();
        let join = quoted(&self.rule.join);
        match self.language {
            Language::Python => format!("{join}.encode().join([{}])", parts.join(", ")),
            Language::Node => {
                let joined = parts.join(&format!(", {join}, ")).replace(", \"\"", "");
                format!("  for (const part of [{joined}]) mac.update(part);\n")
            }
        }
    }

    fn part(&self, part: &SignaturePart) -> String {
        let text = match part {
            SignaturePart::Body => return "body".to_owned(),
            SignaturePart::Url => "url".to_owned(),
            SignaturePart::Text(text) => quoted(text),
            SignaturePart::Timestamp => self.timestamp(),
            SignaturePart::EventId => self.header_of(&Source::EventId),
            SignaturePart::DeliveryId => self.header_of(&Source::DeliveryId),
            SignaturePart::WebhookId => self.header_of(&Source::WebhookId),
        };
        if self.language == Language::Python { format!("{text}.encode()") } else { text }
    }

    fn timestamp(&self) -> String {
        match (&self.rule.layout, self.language) {
            (Layout::Pairs { timestamp: Some(name), .. }, Language::Python) => {
                format!("dict(pairs)[{}]", quoted(name))
            }
            (Layout::Pairs { timestamp: Some(name), .. }, Language::Node) => {
                format!("pairs.find(([name]) => name === {})[1]", quoted(name))
            }
            _ => self.header_of(&Source::AttemptTimestamp),
        }
    }

    /// The header of deliveries that carries a value.
    fn header_of(&self, wanted: &Source) -> String {
        let carries = |value: &HeaderValue| matches!(value, HeaderValue::From(source, _) if source == wanted);
        let found = self.contract.delivery.headers.iter().find(|header| carries(&header.value));
        found.map_or_else(
            || "\"\"".to_owned(),
            |header| format!("headers[{}]", quoted(&header.name.to_ascii_lowercase())),
        )
    }
}

fn prefix(layout: &Layout) -> &str {
    match layout {
        Layout::Prefix(prefix) => prefix,
        Layout::Bare | Layout::Pairs { .. } => "",
    }
}

/// A string literal that both languages read alike.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
