//! Bodies that are no JSON objects, and kinds of bodies that are not read.

use std::time::Duration;

use posthaste_contract::{Condition, Op};
use tokio::time::Instant;

use crate::rig::{Ask, CONTRACTS, Rig};

fn with_body(rig: &Rig, body: impl Into<Vec<u8>>) -> Ask {
    let path = rig.route(Op::WebhookCreate).path.clone();
    rig.signed_by(&rig.holder, Ask::new("POST", &path).header("Content-Type", "application/json").body(body))
}

/// A sound body with something more in it, before its end.
fn sound_and(rig: &Rig, more: &str) -> String {
    let body = rig.new_webhook("https://hooks.example.com/a").to_string();
    format!("{},{more}}}", &body[..body.len() - 1])
}

#[tokio::test]
async fn what_is_no_json_object_is_refused() {
    for contract in CONTRACTS {
        let rig = Rig::start(contract).await;
        let sound = rig.new_webhook("https://hooks.example.com/a").to_string();
        let utf16: Vec<u8> = sound.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let in_string = |bytes: &[u8]| {
            let mut body = sound.clone().into_bytes();
            let at = body.len() - 1;
            body.splice(at..at, [b",\"x\":\"".as_slice(), bytes, b"\""].concat());
            body
        };
        let deep =
            |depth: usize| sound_and(&rig, &format!("\"x\":{}{}", "[".repeat(depth), "]".repeat(depth)));
        let url = rig.url_field();
        let escaped = format!("\\u00{:02x}{}", url.as_bytes()[0], &url[1..]);
        let mut rows: Vec<(&str, Vec<u8>)> = vec![
            ("B1", Vec::new()),
            ("B2", "{".into()),
            ("B2", "{}}".into()),
            ("B2", "{} {}".into()),
            ("B2", "{},".into()),
            ("B4", "null".into()),
            ("B4", "true".into()),
            ("B4", "1".into()),
            ("B4", "\"x\"".into()),
            ("B4", "[]".into()),
            ("B5", format!("[\"https://ok.example.com/x\",[\"{}\"]]", rig.event_type()).into()),
            ("B7", utf16),
            ("B8", in_string(&[0xff])),
            ("B8", in_string(&[0xc0, 0xaf])),
            ("B8", in_string(&[0xed, 0xa0, 0x80])),
            ("B10", in_string(&[0x01])),
            ("B10", in_string(b"\n")),
            ("B13", sound_and(&rig, &format!("\"{escaped}\":\"https://hooks.example.com/b\"")).into()),
            ("B14", sound_and(&rig, "\"x\":{\"a\":1,\"a\":2}").into()),
            ("B16", deep(100_000).into()),
            ("B16 levels", deep(65).into()),
            ("B28", format!("{sound}\0\0").into()),
            ("comment", sound_and(&rig, "/* */\"x\":1").into()),
            ("comma", sound.replace('}', ",}").into()),
            ("BOM", format!("\u{feff}{sound}").into()),
            ("lone surrogate", in_string(br"\ud800")),
        ];
        for number in ["NaN", "Infinity", "-Infinity", "01", "+1", ".5", "1."] {
            rows.push(("B17", sound_and(&rig, &format!("\"x\":{number}")).into()));
        }
        for (row, body) in rows {
            let began = Instant::now();
            rig.assert_refused(row, &with_body(&rig, body), Condition::BadBody).await;
            assert!(began.elapsed() < Duration::from_secs(2), "{row}");
        }
    }
}

#[tokio::test]
async fn other_kinds_of_bodies_are_refused() {
    for contract in CONTRACTS {
        let rig = Rig::start(contract).await;
        let url = "https://hooks.example.com/a";
        let sound = rig.create(&rig.holder, &rig.new_webhook(url)).without("Content-Type");
        for kind in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/xml",
            "application/json; charset=utf-16",
            "",
        ] {
            rig.assert_refused("B22", &sound.clone().header("Content-Type", kind), Condition::Media).await;
        }
        let twice =
            sound.clone().header("Content-Type", "application/json").header("Content-Type", "text/plain");
        rig.assert_refused("B26", &twice, Condition::Media).await;
        for (place, kind) in
            ["application/json; charset=utf-8", "APPLICATION/JSON", "application/json;charset=\"utf-8\""]
                .iter()
                .enumerate()
        {
            let url = format!("{url}/{place}");
            let ask = rig.create(&rig.holder, &rig.new_webhook(&url)).without("Content-Type");
            rig.assert_taken("B23", &ask.header("Content-Type", kind)).await;
        }
        let none = rig.create(&rig.holder, &rig.new_webhook(&format!("{url}/none"))).without("Content-Type");
        rig.assert_taken("B25", &none).await;
    }
}

#[tokio::test]
async fn unknown_members_are_ignored_however_many() {
    for contract in CONTRACTS {
        let rig = Rig::start(contract).await;
        let many: Vec<String> = (0..10_000).map(|n| format!("\"x{n}\":{n}")).collect();
        let began = Instant::now();
        rig.assert_taken("B20", &with_body(&rig, sound_and(&rig, &many.join(",")))).await;
        assert!(began.elapsed() < Duration::from_secs(2), "B20");
        let names = ["__proto__", "constructor", "$ne", "' OR 1=1 --", "%s%n", "toString"];
        let odd: Vec<String> = names.iter().map(|name| format!("\"{name}\":\"{name}\"")).collect();
        let body = sound_and(&rig, &odd.join(",")).replace("example.com/a", "example.com/b");
        rig.assert_taken("B62", &with_body(&rig, body)).await;
    }
}

#[tokio::test]
async fn bodies_are_ignored_where_none_is_read() {
    for contract in CONTRACTS {
        let rig = Rig::start(contract).await;
        let created =
            rig.send(&rig.create(&rig.holder, &rig.new_webhook("https://hooks.example.com/a"))).await;
        let id = crate::registration::id_of(&created);
        let route = rig.route(Op::WebhookDelete).path.replace("{endpoint}", &id);
        let ask = Ask::new("DELETE", &format!("{route}?x=1"))
            .header("Content-Type", "text/plain")
            .body("{not json");
        rig.assert_taken("D4", &rig.signed_by(&rig.holder, ask)).await;
        assert_eq!(rig.webhooks().await, 0);
    }
}
