//! Bad bodies, each to every route that reads one.

use serde_json::json;

use crate::refusals::Bad;
use crate::rig::Rig;

/// The routes that read a JSON object; whether an empty body will do.
const READERS: [(&str, &str, bool); 8] = [
    ("POST", "/events", false),
    ("POST", "/accounts", false),
    ("POST", "/tokens", false),
    ("PATCH", "/accounts/acme", false),
    ("POST", "/accounts/acme/keys", true),
    ("POST", "/accounts/acme/webhooks/wh_1/rotate-secret", true),
    ("POST", "/accounts/acme/webhooks/wh_1/test", true),
    ("POST", "/accounts/acme/webhooks/wh_1/recover", false),
];

async fn rig() -> Rig {
    let rig = Rig::with_account("pipai").await;
    rig.webhook("acme", "wh_1", &["*"]).await;
    rig
}

/// Bodies that are no sound JSON object, whatever the route.
fn unsound() -> Vec<Vec<u8>> {
    let mut bodies: Vec<Vec<u8>> = [
        "{",
        "{}}",
        "{} {}",
        "{},",
        "null",
        "true",
        "1",
        "\"x\"",
        "[]",
        "[{}]",
        r#"["type","data"]"#,
        "\u{feff}{}",
        "{\"a\":\"\n\"}",
        "{\"a\":\"\t\"}",
        r#"{"a":1,"a":2}"#,
        r#"{"url":1,"\u0075rl":2}"#,
        r#"{"x":{"a":1,"\u0061":2}}"#,
        r#"{"a":NaN}"#,
        r#"{"a":Infinity}"#,
        r#"{"a":-Infinity}"#,
        r#"{"a":01}"#,
        r#"{"a":+1}"#,
        r#"{"a":.5}"#,
        r#"{"a":1.}"#,
        r#"{"a":1e}"#,
        r#"{"a":0x1}"#,
        r#"{"a":'b'}"#,
        "{a:1}",
        r#"{"a":1,}"#,
        r#"{"a" 1}"#,
        r#"{"a":}"#,
        r#"{"a":"\ud800"}"#,
        r#"{"\udc00":1}"#,
        r#"{"a":"\x41"}"#,
        r#"{"a":"\u12"}"#,
        r#"{"a":tru}"#,
        "{} // end",
        "{\"a\":1}\0",
        "\0{}",
        "\u{c}{}",
        "a=b&c=d",
        "<xml/>",
        "--x\r\n\r\n{}\r\n--x--",
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .collect();
    bodies.extend([
        b"{\"a\":\"\xff\"}".to_vec(),
        b"{\"a\":\"\xc0\xaf\"}".to_vec(),
        b"{\"a\":\"\xed\xa0\x80\"}".to_vec(),
        b"{\"\xf8\":1}".to_vec(),
        b"\xff\xfe{\0}\0".to_vec(),
        b"\xfe\xff\0{\0}".to_vec(),
        b"\x1f\x8b\x08\0\0".to_vec(),
        b" \r\n\t ".to_vec(),
        "[".repeat(100_000).into_bytes(),
        r#"{"a":"#.repeat(30_000).into_bytes(),
        format!(r#"{{"a":{}1{}}}"#, "[".repeat(50_000), "]".repeat(50_000)).into_bytes(),
    ]);
    bodies
}

#[tokio::test]
async fn no_route_reads_what_is_no_sound_object() {
    let rig = rig().await;
    let mut rows = 0;
    for (method, path, may_be_empty) in READERS {
        for body in unsound() {
            rig.assert_refused("unsound", &Bad::new(method, path, body), "400 bad_body").await;
            rows += 1;
        }
        if !may_be_empty {
            rig.assert_refused("empty", &Bad::new(method, path, ""), "400 bad_body").await;
            rows += 1;
        }
    }
    println!("counted | requests | unsound bodies to admin routes | {rows}");
}

#[tokio::test]
async fn no_route_reads_other_media_or_too_much() {
    let rig = rig().await;
    let mut rows = 0;
    let paths =
        READERS.map(|(method, path, _)| (method, path)).into_iter().chain([("POST", "/events/batch")]);
    for (method, path) in paths {
        for kind in [
            &b"text/plain"[..],
            b"application/x-www-form-urlencoded",
            b"multipart/form-data; boundary=x",
            b"application/xml",
            b"application/jsonp",
            b"application/json2",
            b"json",
            b"",
            b"\xff",
            b"application/json, text/plain",
        ] {
            let bad = Bad::new(method, path, "{}").header("content-type", kind);
            rig.assert_refused("B22", &bad, "415 unsupported_media_type").await;
            rows += 1;
        }
        let twice = Bad::new(method, path, "{}")
            .header("content-type", "application/json")
            .header("content-type", "application/json");
        rig.assert_refused("B26", &twice, "415 unsupported_media_type").await;
        for coding in ["gzip", "br", "deflate", "identity, gzip", "x"] {
            let bad = Bad::new(method, path, "{}").header("content-encoding", coding);
            rig.assert_refused("A55", &bad, "415 unsupported_media_type").await;
        }
        let limit = if path.ends_with("batch") { 8 * 1024 * 1024 } else { 256 * 1024 };
        rig.assert_refused("B19", &Bad::new(method, path, vec![b' '; limit + 1]), "413 too_large").await;
        rows += 7;
    }
    println!("counted | requests | media types, codings and lengths refused by admin routes | {rows}");
}

#[tokio::test]
async fn members_of_every_body_keep_their_rules() {
    let rig = rig().await;
    let long = "x".repeat(10_000);
    let keys = "/accounts/acme/keys";
    let rotate = "/accounts/acme/webhooks/wh_1/rotate-secret";
    let test = "/accounts/acme/webhooks/wh_1/test";
    let recover = "/accounts/acme/webhooks/wh_1/recover";
    let since = "2026-09-21T14:00:00Z";
    let mut rows = 0;
    for (method, path, body, pointer) in [
        ("POST", "/accounts", json!({"id": long}), "/id"),
        ("POST", "/accounts", json!({"id": "a", "name": long}), "/name"),
        ("POST", "/accounts", json!({"id": "a", "name": ["x"]}), "/name"),
        ("POST", "/accounts", json!({"id": {"$ne": null}}), "/id"),
        ("POST", "/accounts", json!({"id": "' OR 1=1 --"}), "/id"),
        ("POST", "/accounts", json!({"id": "a\r\nb"}), "/id"),
        ("POST", "/accounts", json!({"id": "%2e%2e"}), "/id"),
        ("POST", "/accounts", json!({"id": "a", "__proto__": {}}), "/__proto__"),
        ("POST", "/accounts", json!({"id": "a", "no": 7}), "/no"),
        ("PATCH", "/accounts/acme", json!({"name": 1}), "/name"),
        ("PATCH", "/accounts/acme", json!({"name": long}), "/name"),
        ("PATCH", "/accounts/acme", json!({"id": "other"}), "/id"),
        ("PATCH", "/accounts/acme", json!({"created_at": since}), "/created_at"),
        ("POST", keys, json!({"scopes": {"0": "webhooks:read"}}), "/scopes"),
        ("POST", keys, json!({"scopes": vec!["webhooks:read"; 101]}), "/scopes"),
        ("POST", keys, json!({"scopes": [long]}), "/scopes"),
        ("POST", keys, json!({"roles": true}), "/roles"),
        ("POST", keys, json!({"tier": []}), "/tier"),
        ("POST", keys, json!({"description": 1}), "/description"),
        ("POST", keys, json!({"expires_at": 1_900_000_000}), "/expires_at"),
        ("POST", keys, json!({"expires_at": "2026-13-01T00:00:00Z"}), "/expires_at"),
        ("POST", keys, json!({"key": "mine"}), "/key"),
        ("POST", keys, json!({"signing_secret": "mine"}), "/signing_secret"),
        ("POST", rotate, json!({"overlap_seconds": -1}), "/overlap_seconds"),
        ("POST", rotate, json!({"overlap_seconds": 604_801}), "/overlap_seconds"),
        ("POST", rotate, json!({"overlap_seconds": 18_446_744_073_709_551_615_u64}), "/overlap_seconds"),
        ("POST", rotate, json!({"overlap_seconds": "7d"}), "/overlap_seconds"),
        ("POST", rotate, json!({"overlap_seconds": true}), "/overlap_seconds"),
        ("POST", rotate, json!({"secret": long}), "/secret"),
        ("POST", rotate, json!({"secret": 1}), "/secret"),
        ("POST", rotate, json!({"overlap": 1}), "/overlap"),
        ("POST", test, json!({"event_type": "nothing.known"}), "/event_type"),
        ("POST", test, json!({"event_type": "*"}), "/event_type"),
        ("POST", test, json!({"event_type": 1}), "/event_type"),
        ("POST", test, json!({"event_type": long}), "/event_type"),
        ("POST", test, json!({"type": "webhook.test"}), "/type"),
        ("POST", recover, json!({"since": 1}), "/since"),
        ("POST", recover, json!({"since": "0000-00-00T00:00:00Z"}), "/since"),
        ("POST", recover, json!({"since": since, "until": "soon"}), "/until"),
        ("POST", recover, json!({"since": since, "until": since}), "/since"),
        ("POST", recover, json!({"since": since, "dry_run": "true"}), "/dry_run"),
        ("POST", recover, json!({"since": since, "limit": 1}), "/limit"),
    ] {
        let answer =
            rig.assert_refused("members", &Bad::new(method, path, body.to_string()), "422 invalid").await;
        assert_eq!(answer.pointers(), [pointer], "{path} {:.80}", body.to_string());
        rows += 1;
    }
    // Names that nobody knows are shown in part only, and not all of them.
    let many: serde_json::Map<_, _> =
        (0..9_000).map(|n| (format!("{n}{}", "y".repeat(20)), json!(1))).collect();
    for (method, path, _) in READERS.into_iter().skip(1) {
        for body in [json!(many), json!({ (long.as_str()): 1 })] {
            rig.assert_refused("B20", &Bad::new(method, path, body.to_string()), "422 invalid").await;
            rows += 1;
        }
    }
    println!("counted | requests | members of admin bodies against the rules | {rows}");
}
