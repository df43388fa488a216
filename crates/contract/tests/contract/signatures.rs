//! Signatures, against published vectors and the contracts' own promises.

use posthaste_contract::model::{
    Algorithm, Encoding, Layout, Many, Scheme, SignaturePart, SignatureRule, TimeSpelling,
};
use posthaste_contract::{Contract, RequestFault, SignedRequest, SigningFacts, VerifyFault};
use posthaste_core::{Secret, UnixMs};

use crate::support::{Loaded, at};

fn secret(text: &str) -> Secret {
    Secret::from(text.to_owned())
}

fn facts(body: &[u8]) -> SigningFacts<'_> {
    SigningFacts {
        webhook_id: "wh_1",
        url: "https://example.com/hook",
        event_id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
        event_type: "invoice.paid",
        account_id: "acme",
        delivery_id: "dlv_1",
        attempt_number: 2,
        at: UnixMs(1_614_265_330_000),
        body,
    }
}

fn value(contract: &Contract, facts: &SigningFacts<'_>, secrets: &[&Secret], name: &str) -> Option<String> {
    let headers = contract.delivery_headers(facts, &contract.signature_values(facts, secrets));
    headers.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

#[test]
fn the_vector_of_standard_webhooks() {
    let contract = Contract::builtin("standard").unwrap();
    let secret = secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    let facts = facts(br#"{"test": 2432232314}"#);
    let expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    assert_eq!(value(&contract, &facts, &[&secret], "webhook-signature").as_deref(), Some(expected));
    assert_eq!(value(&contract, &facts, &[&secret], "webhook-timestamp").as_deref(), Some("1614265330"));
    assert_eq!(value(&contract, &facts, &[&secret], "webhook-id").as_deref(), Some(facts.event_id));
}

#[test]
fn the_vector_of_github() {
    let mut contract = Contract::builtin("aioka").unwrap();
    contract.signatures[0].header = "X-Hub-Signature-256".into();
    let expected = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let secret = secret("It's a Secret to Everybody");
    let signed = value(&contract, &facts(b"Hello, World!"), &[&secret], "x-hub-signature-256");
    assert_eq!(signed.as_deref(), Some(expected));
}

#[test]
fn pairs_with_a_timestamp() {
    let mut contract = Contract::builtin("aira").unwrap();
    contract.rotation.keys = 2;
    contract.signatures = vec![SignatureRule {
        header: "Stripe-Signature".into(),
        algorithm: Algorithm::HmacSha256,
        key: None,
        signed: vec![SignaturePart::Timestamp, SignaturePart::Body],
        join: ".".into(),
        timestamp: TimeSpelling::Unix,
        encoding: Encoding::Hex,
        layout: Layout::Pairs { timestamp: Some("t".into()), signature: "v1".into(), by: ",".into() },
        many: Many::Repeat,
    }];
    let (newer, older) = (secret("whsec_new"), secret("whsec_old"));
    let facts = facts(b"{}");
    let values = contract.signature_values(&facts, &[&newer, &older]);
    let [value] = &values[..] else { panic!("one header") };
    let parts: Vec<&str> = value.split(',').collect();
    assert_eq!(parts[0], "t=1614265330");
    assert!(parts.len() == 3 && parts[1].starts_with("v1=") && parts[1] != parts[2], "{value}");
    for secret in [&newer, &older] {
        let headers = [("stripe-signature", value.as_str())];
        assert_eq!(contract.verify_delivery(&headers, facts.url, b"{}", secret, facts.at), Ok(()));
    }
}

#[test]
fn while_two_secrets_sign() {
    for (name, header, previous) in [
        ("aioka", "X-AIOKA-Signature", Some("X-AIOKA-Signature-Previous")),
        ("aira", "X-Aira-Signature", Some("X-Aira-Signature-Previous")),
        ("pipai", "X-PipAI-Signature", Some("X-PipAI-Signature-Previous")),
        ("elydora", "X-Elydora-Signature", None),
        ("standard", "webhook-signature", None),
    ] {
        let contract = Contract::builtin(name).unwrap();
        let (newer, older) =
            (contract.new_secret(&Loaded::default()), secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));
        let facts = facts(b"{\"a\":1}");
        let values = contract.signature_values(&facts, &[&newer, &older]);
        let headers = contract.delivery_headers(&facts, &values);
        let alone = contract.delivery_headers(&facts, &contract.signature_values(&facts, &[&newer]));
        let find =
            |name: &str| headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        assert_eq!(previous.is_some(), previous.and_then(find).is_some(), "{name}");
        assert!(find(header).is_some(), "{name}");
        assert_eq!(headers.len() - alone.len(), usize::from(previous.is_some()), "{name}");
        let received: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let verify = |secret| contract.verify_delivery(&received, facts.url, facts.body, secret, facts.at);
        assert_eq!(verify(&newer), Ok(()), "{name}");
        assert_eq!(verify(&older).is_ok(), name != "elydora", "{name}: the former secret still verifies");
        let changed = contract.verify_delivery(&received, facts.url, b"{}", &newer, facts.at);
        assert!(changed.is_err(), "{name}");
    }
}

#[test]
fn receivers_are_told_why() {
    let contract = Contract::builtin("pipai").unwrap();
    let (key, facts) = (secret("k"), facts(b"{}"));
    let headers = contract.delivery_headers(&facts, &contract.signature_values(&facts, &[&key]));
    let check = |without: &str, secret: &Secret, now: UnixMs| {
        let kept: Vec<(&str, &str)> = headers
            .iter()
            .filter(|(name, _)| name != without)
            .map(|(n, v)| (n.as_str(), v.as_str()))
            .collect();
        contract.verify_delivery(&kept, facts.url, facts.body, secret, now)
    };
    let missing = |name: &str| Err(VerifyFault::MissingHeader(name.to_owned()));
    assert_eq!(check("", &key, facts.at), Ok(()));
    assert_eq!(check("X-PipAI-Signature", &key, facts.at), missing("X-PipAI-Signature"));
    assert_eq!(check("X-PipAI-Timestamp", &key, facts.at), missing("X-PipAI-Timestamp"));
    assert_eq!(check("", &secret("other"), facts.at), Err(VerifyFault::Mismatch("X-PipAI-Signature".into())));
    assert_eq!(check("", &key, UnixMs(facts.at.0 + 301_000)), Err(VerifyFault::TooFar(301)));
    let bare = [("X-AIOKA-Signature", "abc")];
    let aioka = Contract::builtin("aioka").unwrap();
    let fault = aioka.verify_delivery(&bare, facts.url, b"", &key, facts.at).unwrap_err();
    assert_eq!(
        fault.to_string(),
        "the header X-AIOKA-Signature is malformed: it does not begin with sha256="
    );
}

#[test]
fn generated_secrets_and_keys_have_their_forms() {
    let dice = Loaded::default();
    for (name, prefix, length) in
        [("aioka", "", 64), ("aira", "whsec_", 70), ("pipai", "", 40), ("standard", "whsec_", 50)]
    {
        let text = Contract::builtin(name).unwrap().new_secret(&dice).expose_text().to_owned();
        assert!(text.starts_with(prefix) && text.len() == length, "{name}: {text}");
    }
    for (name, level, start, length, signs) in [
        ("aioka", Some("basic"), "aik_basic_", 30, false),
        ("aira", None, "aira_live_", 54, false),
        ("elydora", None, "ely_", 44, false),
        ("pipai", None, "", 32, true),
        ("standard", None, "ph_", 43, false),
    ] {
        let made = Contract::builtin(name).unwrap().new_key(level, &dice);
        let text = made.key.expose_text();
        assert!(text.starts_with(start) && text.len() == length, "{name}: {text}");
        assert_eq!(made.signing_secret.is_some(), signs, "{name}");
    }
}

#[test]
fn signed_requests_are_checked() {
    let contract = Contract::builtin("pipai").unwrap();
    let Scheme::HmacRequest(signed) = &contract.auth[0].scheme else { panic!("signed requests") };
    let (key, now) = (secret("signing secret"), at("2026-04-29T12:00:00Z"));
    let made = |timestamp: &str, target: &str| {
        let request = SignedRequest { timestamp, signature: "", method: "POST", target, body: b"{}" };
        signed.sign(&request, &key)
    };
    let check = |timestamp: &str, signature: &str, method: &str, target: &str, body: &[u8]| {
        signed.verify(&SignedRequest { timestamp, signature, method, target, body }, &key, now)
    };
    let (ms, path) = (now.0.to_string(), "/v1/webhooks");
    let good = made(&ms, path);
    assert_eq!(check(&ms, &good, "POST", path, b"{}"), Ok(UnixMs(now.0 + 300_001)));
    for (method, target, body) in
        [("PUT", path, &b"{}"[..]), ("POST", "/v1/other", b"{}"), ("POST", path, b"{ }")]
    {
        assert_eq!(check(&ms, &good, method, target, body), Err(RequestFault::Signature));
    }
    for signature in ["", &good[..1], &good[..62], &good[..63], &format!("{good}0"), &good.to_uppercase()] {
        assert_eq!(check(&ms, signature, "POST", path, b"{}"), Err(RequestFault::Signature), "{signature}");
    }
    // The query may be signed or left out.
    let query = "/v1/webhooks?b=1&a=2";
    assert!(check(&ms, &made(&ms, query), "POST", query, b"{}").is_ok());
    let (method, body) = ("POST", &b"{}"[..]);
    let with_query = SignedRequest { timestamp: &ms, signature: "", method, target: query, body };
    let mut whole_target = signed.clone();
    whole_target.forms.reverse();
    assert!(check(&ms, &whole_target.sign(&with_query, &key), "POST", query, b"{}").is_ok());
    for (offset_ms, expected) in
        [(300_001, false), (-300_001, false), (299_000, true), (-299_000, true), (300_000, true)]
    {
        let stamp = (now.0 + offset_ms).to_string();
        assert_eq!(check(&stamp, &made(&stamp, path), "POST", path, b"{}").is_ok(), expected, "{offset_ms}");
    }
    for (stamp, expected) in [
        (now.seconds().to_string(), true),
        (format!("{}000", now.0), false),
        (String::new(), false),
        ("-1".into(), false),
        ("soon".into(), false),
        (format!(" {}", now.0), false),
        ("9".repeat(40), false),
    ] {
        assert_eq!(check(&stamp, &made(&stamp, path), "POST", path, b"{}").is_ok(), expected, "{stamp}");
    }
}
