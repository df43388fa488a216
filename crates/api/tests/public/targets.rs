//! Request targets and methods that are not the contract's.

use posthaste_contract::{Condition, Op};

use crate::rig::{Ask, CONTRACTS, Rig};

#[tokio::test]
async fn odd_targets_lead_nowhere() {
    for contract in CONTRACTS {
        let rig = Rig::start(contract).await;
        let path = rig.route(Op::WebhookList).path.clone();
        let tail = path.rsplit_once('/').unwrap().1.to_owned();
        let root = path.trim_end_matches(&tail).to_owned();
        for target in [
            format!("{path}/"),
            format!("{path}//"),
            format!("/{path}"),
            format!("//{path}"),
            format!("{root}/{tail}"),
            format!("{root}./{tail}"),
            format!("{root}x/../{tail}"),
            format!("{root}%2e/{tail}"),
            format!("{root}x/%2e%2e/{tail}"),
            format!("{root}x/%2E%2E/{tail}"),
            format!("{root}x/..%2f{tail}"),
            format!("{root}..;/{tail}"),
            format!("{root}%77{}", &tail[1..]),
            format!("{root}{tail}%00"),
            format!("{root}{tail}%20"),
            format!("{root}{tail}%0d%0aX:%201"),
            format!("{root}{tail};x=1"),
            format!("{root}{tail}%3fx=1"),
            format!("{root}{tail}%23"),
            format!("{root}{tail}.json"),
            format!("{}\\{tail}", root.trim_end_matches('/')),
            path.to_uppercase(),
            path.replacen('v', "V", 1),
            format!("{path}%2f"),
            format!("{path}/%2e%2e/%2e%2e/etc/passwd"),
            format!("{path}/../../../../etc/passwd"),
            "/debug".into(),
            "/debug/pprof".into(),
            "/metrics".into(),
            "/metrics/".into(),
            "/.env".into(),
            "/.git/config".into(),
            "/openapi.json~".into(),
            "/openapi.yaml".into(),
            "/healthz/".into(),
            "/Healthz".into(),
            "/readyz%00".into(),
            "/admin".into(),
            "/admin/v1/accounts".into(),
            "/admin/v1/events".into(),
            "/console".into(),
            "/%61dmin/v1/accounts".into(),
            "/admin/../metrics".into(),
            "/server-status".into(),
            "/".into(),
            "/?".into(),
            "/*".into(),
            "/%".into(),
            "/%zz".into(),
            "/ä".into(),
        ] {
            let ask = rig.signed_by(&rig.holder, Ask::new("GET", &target));
            rig.assert_refused(&format!("A37 A59 A61 {target}"), &ask, Condition::NotFound).await;
        }
        rig.tell("A37 A59 A61 targets");
    }
}

#[tokio::test]
async fn targets_name_this_server_or_none() {
    for contract in CONTRACTS {
        let rig = Rig::start(contract).await;
        let path = rig.route(Op::WebhookList).path.clone();
        for target in [
            format!("http://evil.example{path}"),
            format!("https://evil.example{path}"),
            format!("http://api.example.com@evil.example{path}"),
            format!("http://user@api.example.com{path}"),
            format!("http://api.example.com:81{path}"),
            format!("ftp://evil.example{path}"),
            "evil.example:443".into(),
            "api.example.com".into(),
            "*".into(),
            path.trim_start_matches('/').into(),
            format!("{path}#fragment"),
        ] {
            let reply =
                rig.assert_harmless(&format!("A59 {target}"), &Ask::new("GET", &target).bytes()).await;
            assert_eq!(reply.status, 400, "A59 {target}: {reply:?}");
        }
        rig.tell("A59 targets of others");

        // What proxies send, and every server has to take.
        let list = rig.ask(&rig.holder, Op::WebhookList, &[], "", None);
        let absolute = format!("http://api.example.com{}", list.target);
        rig.assert_taken("A59 absolute", &Ask { target: absolute, ..list }).await;
    }
}

#[tokio::test]
async fn methods_are_taken_literally() {
    for contract in CONTRACTS {
        let rig = Rig::start(contract).await;
        let path = rig.route(Op::WebhookList).path.clone();
        for method in [
            "PUT",
            "PATCH",
            "DELETE",
            "OPTIONS",
            "FOO",
            "TRACE",
            "PROPFIND",
            "CONNECT",
            "get",
            "Post",
            "PURGE",
            "M-SEARCH",
            "!#$%&'*+-.^_`|~",
        ] {
            let ask = Ask::new(method, &path)
                .header("X-Secret", "do-not-echo")
                .header("Origin", "https://evil.example");
            let reply = rig.assert_refused(&format!("A49 A62 {method}"), &ask, Condition::Method).await;
            assert_eq!(reply.header("allow"), Some("GET, HEAD, POST"), "{method}");
            assert!(!reply.body.contains("do-not-echo"), "{reply:?}");
            assert!(reply.headers.iter().all(|(name, _)| !name.starts_with("access-control")), "{reply:?}");
        }
        for ask in [
            Ask::new("CONNECT", "x:443"),
            Ask::new("CONNECT", "127.0.0.1:22"),
            Ask::new("TRACE", "/"),
            Ask::new("FOO", "/"),
            Ask::new("FOO", "/nothing"),
        ] {
            let row = format!("A49 {} {}", ask.method, ask.target);
            rig.assert_refused(&row, &ask, Condition::Method).await;
        }
        rig.tell("A49 A62 methods");
    }
}

/// Wishes that a request may have beside its own.
#[tokio::test]
async fn wishes_for_another_protocol_are_ignored() {
    for contract in CONTRACTS {
        let rig = Rig::start(contract).await;
        for (name, value) in [
            ("Upgrade", "h2c"),
            ("Upgrade", "websocket"),
            ("HTTP2-Settings", "AAMAAABkAAQCAAAAAAIAAAAA"),
            ("TE", "trailers"),
            ("Expect", "200-ok"),
            ("X-HTTP-Method-Override", "DELETE"),
            ("X-Original-URL", "/admin/v1/accounts"),
            ("X-Rewrite-URL", "/admin/v1/accounts"),
            ("X-Forwarded-Host", "evil.example"),
            ("X-Forwarded-For", "127.0.0.1"),
            ("Forwarded", "for=127.0.0.1;host=evil.example"),
            ("Range", "bytes=0-0"),
            ("If-None-Match", "*"),
            ("Accept", "text/html"),
        ] {
            let plain = rig.ask(&rig.holder, Op::WebhookList, &[], "", None);
            let expected = rig.send(&plain).await;
            rig.clock.advance(std::time::Duration::from_secs(2));
            let ask = rig.ask(&rig.holder, Op::WebhookList, &[], "", None).header(name, value);
            let reply = rig.assert_taken(&format!("{name}: {value}"), &ask).await;
            assert_eq!(rig.told(&reply), rig.told(&expected), "{contract} {name}: {value}");
            assert_eq!((reply.status, reply.header("upgrade")), (200, None), "{contract} {name}: {value}");
        }
        rig.tell("A60 wishes");
    }
}
