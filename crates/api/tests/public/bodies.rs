//! Bodies that are no JSON objects, and kinds of bodies that are not read: on every route that reads one.

use std::time::Duration;

use posthaste_contract::{Condition, Op};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::registration::id_of;
use crate::rig::{Ask, CONTRACTS, Rig};

/// What any one body may take, on a busy machine; alone it takes a hundredth of that.
const PATIENCE: Duration = Duration::from_secs(2);

/// A route that reads a body, and a body that it takes.
struct Place {
    op: Op,
    ids: Vec<String>,
    sound: Value,
    may_be_empty: bool,
}

impl Place {
    /// A request to the place with this body.
    fn ask(&self, rig: &Rig, body: impl Into<Vec<u8>>) -> Ask {
        let ids: Vec<&str> = self.ids.iter().map(String::as_str).collect();
        let ask = rig.ask(&rig.holder, self.op, &ids, "", None);
        let ask = Ask::new(&ask.method, &ask.target).header("Content-Type", "application/json").body(body);
        rig.signed_by(&rig.holder, ask)
    }

    /// A sound body with something more in it, before its end.
    fn sound_and(&self, more: &[u8]) -> Vec<u8> {
        let body = self.sound.to_string().into_bytes();
        [&body[..body.len() - 1], b",", more, b"}"].concat()
    }
}

/// All routes of a contract that read a body, and a webhook for those that are about one.
async fn places(rig: &Rig) -> Vec<Place> {
    let create = rig.create(&rig.holder, &rig.new_webhook("https://hooks.example.com/0"));
    let id = id_of(&rig.assert_taken("create", &create).await);
    let routes =
        rig.contract.routes.iter().filter_map(|route| Some((route, &rig.contract.inputs[route.input?])));
    let routes = routes.map(|(route, input)| {
        let names_one = route.path.contains('{');
        let sound = match route.op {
            Op::WebhookCreate => rig.new_webhook("https://hooks.example.com/a"),
            Op::WebhookTest if !names_one => json!({ "webhook_id": id }),
            _ => json!({ "not_known": 1 }),
        };
        let ids = if names_one { vec![id.clone()] } else { Vec::new() };
        Place { op: route.op, ids, sound, may_be_empty: input.body_optional }
    });
    routes.collect()
}

/// What stands in place of a whole body.
fn no_objects(rig: &Rig, place: &Place) -> Vec<(&'static str, Vec<u8>)> {
    let sound = place.sound.to_string();
    let utf16 = |to_bytes: fn(u16) -> [u8; 2]| sound.encode_utf16().flat_map(to_bytes).collect::<Vec<u8>>();
    let mut rows: Vec<(&str, Vec<u8>)> = vec![
        ("B4", "null".into()),
        ("B4", "true".into()),
        ("B4", "1".into()),
        ("B4", "\"x\"".into()),
        ("B4", "[]".into()),
        ("B5", format!("[\"https://ok.example.com/x\",[\"{}\"]]", rig.event_type()).into()),
        ("B5", format!("[{sound}]").into()),
        ("B7 little end first", utf16(u16::to_le_bytes)),
        ("B7 big end first", utf16(u16::to_be_bytes)),
        ("B7 with its mark", [vec![0xff, 0xfe], utf16(u16::to_le_bytes)].concat()),
        ("B16 arrays", "[".repeat(100_000).into()),
        ("B16 objects", "{\"\":".repeat(50_000).into()),
        ("B28", format!("{sound}\0\0").into()),
        ("B28 before", format!("\0{sound}").into()),
        ("BOM", format!("\u{feff}{sound}").into()),
        ("comma", sound.replace('}', ",}").into()),
        ("single quotes", sound.replace('"', "'").into()),
        ("form", "url=https%3A%2F%2Fhooks.example.com%2Fa".into()),
        ("only a string", format!("\"{}\"", sound.replace('"', "\\\"")).into()),
        ("two lines", format!("{sound}\n{sound}").into()),
    ];
    if !place.may_be_empty {
        rows.push(("B1", Vec::new()));
    }
    for text in [
        "{", "{}}", "{} {}", "{},", "}", " ", "\r\n", "{\"a\"}", "{a:1}", "{\"a\":}", "{,}", "tru", "\"",
        "{\"a\":1",
    ] {
        rows.push(("B2", text.into()));
    }
    rows
}

/// What makes a body unsound that is sound without it.
fn unsound_members(place: &Place) -> Vec<(&'static str, Vec<u8>)> {
    let in_string = |bytes: &[u8]| [b"\"x\":\"".as_slice(), bytes, b"\""].concat();
    let deep = |depth: usize| format!("\"x\":{}{}", "[".repeat(depth), "]".repeat(depth)).into_bytes();
    let members: Vec<String> = (0..10_000).map(|n| format!("\"x{n}\":0")).collect();
    let known = place.sound.as_object().unwrap().keys().next().unwrap();
    let escaped = format!("\"\\u00{:02x}{}\":\"x\"", known.as_bytes()[0], &known[1..]);
    let mut rows: Vec<(&str, Vec<u8>)> = vec![
        ("B8", in_string(&[0xff])),
        ("B8", in_string(&[0xc0, 0xaf])),
        ("B8", in_string(&[0xed, 0xa0, 0x80])),
        ("B8", in_string(&[0xf4, 0x90, 0x80, 0x80])),
        ("B8", in_string(&[0xe2, 0x82])),
        ("B8 in a key", [b"\"\xff\":1".as_slice()].concat()),
        ("B10", in_string(&[0x01])),
        ("B10", in_string(&[0x00])),
        ("B10", in_string(&[0x1f])),
        ("B10", in_string(b"\n")),
        ("B10 outside", b"\x0c\"x\":1".to_vec()),
        ("B13", escaped.into()),
        ("B13 plain", format!("\"{known}\":1").into()),
        ("B14", b"\"x\":{\"a\":1,\"a\":2}".to_vec()),
        ("B14 escaped", b"\"x\":{\"a\":1,\"\\u0061\":2}".to_vec()),
        ("B14 deeper", b"\"x\":[{\"y\":{\"a\":1,\"a\":1}}]".to_vec()),
        ("B14 far apart", format!("{},\"x0\":1", members.join(",")).into()),
        ("B16", deep(100_000)),
        ("B16", deep(64)),
        ("lone surrogate", in_string(br"\ud800")),
        ("lone surrogate", in_string(br"\udc00")),
        ("lone surrogate", in_string(br"\ud800\u0041")),
        ("lone surrogate in a key", br#""\ud800":1"#.to_vec()),
        ("escape", in_string(br"\x41")),
        ("escape", in_string(br"\u12")),
        ("escape", in_string(br"\u+123")),
        ("comment", b"/* */\"x\":1".to_vec()),
        ("comment", b"\"x\":1 // x".to_vec()),
    ];
    for number in [
        "NaN",
        "Infinity",
        "-Infinity",
        "01",
        "+1",
        ".5",
        "1.",
        "-",
        "1e",
        "0x10",
        "1_000",
        "--1",
        "1e+",
        "00",
        "True",
        "None",
        "undefined",
    ] {
        rows.push(("B17", format!("\"x\":{number}").into()));
    }
    rows
}

#[tokio::test]
async fn what_is_no_json_object_is_refused() {
    for contract in CONTRACTS {
        let rig = Rig::start(contract).await;
        for place in places(&rig).await {
            let members = unsound_members(&place).into_iter();
            let members = members.map(|(row, more)| (row, place.sound_and(&more)));
            for (row, body) in no_objects(&rig, &place).into_iter().chain(members) {
                let row = format!("{row} {:?}", place.op);
                let began = Instant::now();
                rig.assert_refused(&row, &place.ask(&rig, body), Condition::BadBody).await;
                assert!(began.elapsed() < PATIENCE, "{row}: {:?}", began.elapsed());
            }
        }
        rig.tell("B1-B28 bodies");
    }
}

#[tokio::test]
async fn other_kinds_of_bodies_are_refused() {
    for contract in CONTRACTS {
        let rig = Rig::start(contract).await;
        for place in places(&rig).await {
            let sound = place.ask(&rig, place.sound.to_string()).without("Content-Type");
            for kind in [
                "text/plain",
                "text/json",
                "application/x-www-form-urlencoded",
                "multipart/form-data",
                "multipart/form-data; boundary=x",
                "application/xml",
                "application/jsonp",
                "application/json-patch+json",
                "application/json, text/plain",
                "application/json; charset=utf-16",
                "application/json; charset=latin1",
                "application/ json",
                "json",
                "*/*",
                "",
                "é",
            ] {
                let row = format!("B22 {kind:?} {:?}", place.op);
                rig.assert_refused(&row, &sound.clone().header("Content-Type", kind), Condition::Media).await;
            }
            for second in ["text/plain", "application/json"] {
                let twice =
                    sound.clone().header("Content-Type", "application/json").header("Content-Type", second);
                rig.assert_refused(&format!("B26 {:?}", place.op), &twice, Condition::Media).await;
            }
            for coding in ["gzip", "br", "identity, gzip", "deflate", "x", "", "gzip, gzip"] {
                let packed = sound.clone().header("Content-Encoding", coding);
                rig.assert_refused(&format!("A55 {coding:?} {:?}", place.op), &packed, Condition::Media)
                    .await;
            }
        }
        rig.tell("A55 B22 B26 kinds of bodies");
    }
}

#[tokio::test]
async fn json_by_any_of_its_names_is_read() {
    for contract in CONTRACTS {
        let rig = Rig::start(contract).await;
        let names = [
            Some("application/json"),
            Some("application/json; charset=utf-8"),
            Some("APPLICATION/JSON"),
            Some("application/json;charset=\"utf-8\""),
            None,
        ];
        for (place, name) in names.into_iter().enumerate() {
            let url = format!("https://hooks.example.com/{place}");
            let ask = rig.create(&rig.holder, &rig.new_webhook(&url)).without("Content-Type");
            let ask = match name {
                Some(name) => ask.header("Content-Type", name),
                None => ask,
            };
            rig.assert_taken(&format!("B23 B25 {name:?}"), &ask).await;
        }
        rig.tell("B23 B25 names of JSON");
    }
}

/// Names whose hashes are all equal where a hash is `31 * hash + byte`, as it is in many languages.
fn colliding_names() -> Vec<String> {
    (0..4096).map(|n| (0..12).map(|bit| if n >> bit & 1 == 0 { "Aa" } else { "BB" }).collect()).collect()
}

#[tokio::test]
async fn unknown_members_are_ignored_however_many() {
    for contract in CONTRACTS {
        let rig = Rig::start(contract).await;
        let odd = [
            "__proto__",
            "constructor",
            "$ne",
            "' OR 1=1 --",
            "%s%n",
            "toString",
            "",
            " ",
            "\u{202e}",
            "a.b",
            "id",
        ];
        let tables = [
            ("B20", (0..10_000).map(|n| format!("x{n}")).collect()),
            ("B29", colliding_names()),
            ("B62", odd.iter().map(|name| (*name).to_owned()).collect::<Vec<String>>()),
        ];
        for (number, (row, names)) in tables.into_iter().enumerate() {
            let mut body = rig.new_webhook(&format!("https://hooks.example.com/{number}"));
            for name in names {
                body.as_object_mut().unwrap().insert(name.clone(), json!(name));
            }
            rig.clock.advance(Duration::from_secs(2));
            let began = Instant::now();
            let reply = rig.assert_taken(row, &rig.create(&rig.holder, &body)).await;
            assert!(began.elapsed() < PATIENCE, "{row}");
            assert!(!reply.body.contains("__proto__") && !reply.body.contains("OR 1=1"), "{row}: {reply:?}");
        }
        rig.tell("B20 B29 B62 unknown members");
    }
}

#[tokio::test]
async fn bodies_are_ignored_where_none_is_read() {
    for contract in CONTRACTS {
        let rig = Rig::start(contract).await;
        for (number, body) in
            [b"{not json".to_vec(), vec![b' '; 100_000], vec![0xff; 10]].into_iter().enumerate()
        {
            let url = format!("https://hooks.example.com/{number}");
            let created = rig.assert_taken("create", &rig.create(&rig.holder, &rig.new_webhook(&url))).await;
            let route = rig.route(Op::WebhookDelete).path.replace("{endpoint}", &id_of(&created));
            let ask = Ask::new("DELETE", &format!("{route}?x=1&id=other"))
                .header("Content-Type", "text/plain")
                .body(body);
            rig.assert_taken("D4", &rig.signed_by(&rig.holder, ask)).await;
            assert_eq!(rig.webhooks().await, 0);
            rig.clock.advance(Duration::from_secs(2));
        }
        rig.tell("D4 ignored bodies");
    }
}
