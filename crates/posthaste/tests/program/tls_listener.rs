//! The listeners over TLS, from the flag to the client commands.

use std::path::Path;

use bytes::Bytes;
use http::Request;
use posthaste::http_client::{NoAnswer, send, send_trusting};
use posthaste::trust::Trust;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::json;

use crate::support::{Server, json_lines, program, run, sentence, until};

/// Writes a certificate of an authority of its own, with its key and the authority's certificate.
fn write_pair(folder: &Path, name: &str) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate().unwrap();
    let authority = params.self_signed(&authority_key).unwrap();
    let issuer = Issuer::new(params, authority_key);
    let key = KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let own = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
    for (end, text) in
        [("cert", own.pem() + &authority.pem()), ("key", key.serialize_pem()), ("ca", authority.pem())]
    {
        std::fs::write(folder.join(format!("{name}.{end}")), text).unwrap();
    }
}

/// Puts another pair in the place of one, as whoever renews certificates does.
fn replace(folder: &Path, name: &str, by: &str) {
    for end in ["cert", "key"] {
        std::fs::copy(folder.join(format!("{by}.{end}")), folder.join("copied")).unwrap();
        std::fs::rename(folder.join("copied"), folder.join(format!("{name}.{end}"))).unwrap();
    }
}

fn trusting(folder: &Path, name: &str) -> Trust {
    Trust::roots(&[folder.join(format!("{name}.ca"))]).unwrap()
}

fn health(base: &str) -> Request<Bytes> {
    Request::get(format!("{base}/healthz")).body(Bytes::new()).unwrap()
}

const TLS: [&str; 4] = ["--tls-cert", "own.cert", "--tls-key", "own.key"];

#[tokio::test(flavor = "multi_thread")]
async fn one_pair_serves_both_apis_and_local_commands_find_it() {
    let folder = tempfile::tempdir().unwrap();
    write_pair(folder.path(), "own");
    let server = Server::start(folder.path(), &TLS).await;
    assert!(server.base.starts_with("https://127.0.0.1:"), "{}", server.base);
    server.admin.post("/accounts", &json!({"id": "acme"})).await.unwrap();
    let docs = server.get("/docs").await;
    assert!(String::from_utf8_lossy(docs.body()).contains(&server.base), "the pages show where to call");

    let token = std::fs::read_to_string(folder.path().join("data/admin.token")).unwrap();
    let by_name = server.base.replace("127.0.0.1", "localhost");
    let mut commands = 0;
    for (row, flags) in [
        ("found in the data folder", vec!["--data-dir", "data"]),
        ("by its own address", vec!["--data-dir", "data", "--server", &server.base]),
        ("by an authority", vec!["--server", &by_name, "--ca-file", "own.ca", "--token", token.trim()]),
    ] {
        let output = run(folder.path(), &[&["account", "list", "--json"], &flags[..]].concat());
        assert_eq!(json_lines(&output)[0]["id"], "acme", "{row}: {output:?}");
        commands += 1;
    }
    let stranger = run(folder.path(), &["account", "list", "--server", &by_name, "--token", token.trim()]);
    assert!(sentence(&stranger, 3).contains("--ca-file"), "{stranger:?}");
    commands += 1;

    let plain = send(health(&server.base.replace("https", "http"))).await.unwrap();
    assert_eq!(plain.status(), 400);
    assert!(matches!(send(health(&server.base)).await, Err(NoAnswer::Tls(..))));
    let metrics = server.get("/metrics").await;
    let metrics = String::from_utf8_lossy(metrics.body()).into_owned();
    for line in [r#"posthaste_tls_handshakes_total{result="done"}"#, r#"{result="plain"} 1"#] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    println!("counted | admin | commands that look for a server over TLS | {commands}");
}

#[tokio::test(flavor = "multi_thread")]
async fn new_files_are_taken_and_bad_ones_are_told_of_once() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["own", "next", "third"] {
        write_pair(folder.path(), name);
    }
    std::fs::copy(folder.path().join("own.ca"), folder.path().join("first.ca")).unwrap();
    let server = Server::start(folder.path(), &TLS).await;
    let shows = async |name: &str| {
        let sent = send_trusting(Some(&trusting(folder.path(), name)), health(&server.base)).await;
        sent.is_ok_and(|answer| answer.status() == 200)
    };
    assert!(shows("first").await);
    let mut changes = 0;

    replace(folder.path(), "own", "next");
    until("the next certificate", async || shows("next").await.then_some(())).await;
    assert!(!shows("first").await);
    until("commands to know of it", async || {
        run(folder.path(), &["account", "list", "--data-dir", "data"]).status.success().then_some(())
    })
    .await;
    changes += 1;

    let complaints = || server.log().matches("stays").count();
    std::fs::write(folder.path().join("own.cert"), "no certificate at all").unwrap();
    until("a complaint", async || (complaints() == 1).then_some(())).await;
    assert!(server.log().contains("own.cert"), "{}", server.log());
    changes += 1;
    std::fs::copy(folder.path().join("third.cert"), folder.path().join("own.cert")).unwrap();
    until("another complaint", async || (complaints() == 2).then_some(())).await;
    assert!(server.log().contains("does not belong"), "{}", server.log());
    changes += 1;
    std::fs::remove_file(folder.path().join("own.key")).unwrap();
    until("a third complaint", async || (complaints() == 3).then_some(())).await;
    changes += 1;
    assert!(shows("next").await, "the former stays all the time");

    replace(folder.path(), "own", "third");
    server.signal("-HUP");
    until("the third certificate", async || shows("third").await.then_some(())).await;
    changes += 1;
    assert_eq!(complaints(), 3, "once each: {}", server.log());
    assert_eq!(server.log().matches("a new certificate is in force").count(), 2);
    println!("counted | admin | changes of certificate files | {changes}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_listener_has_its_own_certificate_or_the_same() {
    let folder = tempfile::tempdir().unwrap();
    write_pair(folder.path(), "own");
    write_pair(folder.path(), "admin");
    let own = ["--admin-tls-cert", "admin.cert", "--admin-tls-key", "admin.key"];
    for (flags, shown) in [(&[][..], "own"), (&own[..], "admin")] {
        let all = [&TLS[..], &["--admin-listen", "127.0.0.1:0"], flags].concat();
        let server = Server::start(folder.path(), &all).await;
        assert_ne!(server.base, server.admin_base);
        for (base, name) in [(&server.base, "own"), (&server.admin_base, shown)] {
            for known in ["own", "admin"] {
                let sent = send_trusting(Some(&trusting(folder.path(), known)), health(base)).await;
                assert_eq!(sent.is_ok(), known == name, "{base} {known}");
            }
        }
        assert!(run(folder.path(), &["account", "list", "--data-dir", "data"]).status.success());
    }
    // The admin listener alone may speak TLS.
    let all = [&["--admin-listen", "127.0.0.1:0"], &own[..]].concat();
    let server = Server::start(folder.path(), &all).await;
    assert!(server.base.starts_with("http://") && server.admin_base.starts_with("https://"));
    assert!(run(folder.path(), &["account", "list", "--data-dir", "data"]).status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_listener_answers_only_what_is_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &["--admin-listen", "127.0.0.1:0"]).await;
    let mut paths = 0;
    for (path, at_public, at_admin) in [
        ("/admin/v1/accounts", 404, 401),
        ("/admin/v1/events", 404, 405),
        ("/admin", 404, 404),
        ("/console", 404, 404),
        ("/metrics", 404, 200),
        ("/v1/webhooks", 401, 404),
        ("/docs", 200, 404),
        ("/openapi.json", 200, 404),
        ("/healthz", 200, 200),
        ("/readyz", 200, 200),
    ] {
        for (base, expected) in [(&server.base, at_public), (&server.admin_base, at_admin)] {
            let request = Request::get(format!("{base}{path}")).body(Bytes::new()).unwrap();
            assert_eq!(send(request).await.unwrap().status(), expected, "{base}{path}");
            paths += 1;
        }
    }
    println!("counted | admin | paths at separate listeners | {paths}");
}

#[test]
fn files_that_cannot_be_used_are_found_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    write_pair(folder.path(), "own");
    write_pair(folder.path(), "other");
    std::fs::write(folder.path().join("empty"), "").unwrap();
    std::fs::write(folder.path().join("long"), vec![b'x'; 2 << 20]).unwrap();
    std::fs::write(folder.path().join("half.toml"), "tls_cert = \"own.cert\"\n").unwrap();
    let mut rows = 0;
    for (flags, exit, expected) in [
        (&["--tls-cert", "own.cert"][..], 2, "--tls-key is missing"),
        (&["--tls-key", "own.key"], 2, "--tls-cert is missing"),
        (&["--config", "half.toml"], 2, "from half.toml:1"),
        (&["--admin-tls-cert", "own.cert", "--admin-tls-key", "own.key"], 2, "no --admin-listen"),
        (&["--admin-listen", "127.0.0.1:0", "--admin-tls-cert", "own.cert"], 2, "--admin-tls-key is missing"),
        (&["--tls-cert", "absent", "--tls-key", "own.key"], 1, "the certificate absent cannot be read"),
        (&["--tls-cert", "own.cert", "--tls-key", "absent"], 1, "key absent cannot be read"),
        (&["--tls-cert", "own.cert", "--tls-key", "."], 1, "key . cannot be read"),
        (
            &["--tls-cert", "empty", "--tls-key", "own.key"],
            1,
            "empty cannot be used: it holds no certificate",
        ),
        (
            &["--tls-cert", "own.cert", "--tls-key", "empty"],
            1,
            "empty cannot be used: it holds no private key",
        ),
        (&["--tls-cert", "long", "--tls-key", "own.key"], 1, "long is longer than 1024 KiB"),
        (
            &["--tls-cert", "own.key", "--tls-key", "own.cert"],
            1,
            "own.key cannot be used: it holds no certificate",
        ),
        (&["--tls-cert", "own.cert", "--tls-key", "other.key"], 1, "other.key cannot be used with"),
        (&["--failed-logins=-1"], 2, "from the flag --failed-logins"),
        (&["--failed-logins", "1001"], 2, "from 0 to 1000"),
        (&["--trusted-proxy", "10.0.0.1/99"], 2, "from the flag --trusted-proxy"),
    ] {
        let output = run(folder.path(), &[&["serve", "--listen", "127.0.0.1:0"], flags].concat());
        assert!(sentence(&output, exit).contains(expected), "{flags:?}: {output:?}");
        assert!(!folder.path().join("posthaste-data").exists(), "{flags:?}");
        rows += 1;
    }
    let empty = program(folder.path(), &["serve", "--tls-cert=", "--tls-key=own.key"]).output().unwrap();
    assert_eq!(empty.status.code(), Some(2), "{empty:?}");
    println!("counted | admin | certificate settings refused at the start | {}", rows + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_over_or_readable_by_everybody_is_warned_of() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2001, 1, 1);
    params.not_after = rcgen::date_time_ymd(2002, 1, 1);
    std::fs::write(folder.path().join("own.cert"), params.self_signed(&key).unwrap().pem()).unwrap();
    let key_file = folder.path().join("own.key");
    std::fs::write(&key_file, key.serialize_pem()).unwrap();
    std::fs::set_permissions(&key_file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let server = Server::start(folder.path(), &TLS).await;
    for part in ["the certificate has expired", "own.cert", "everybody on this machine can read", "own.key"] {
        assert!(server.log().contains(part), "{part}: {}", server.log());
    }
    assert!(!server.log().contains("without TLS"), "{}", server.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn clear_text_beyond_this_machine_is_warned_of_once() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_at("0.0.0.0:0", folder.path(), &[]).await;
    assert_eq!(server.log().matches("without TLS").count(), 1, "{}", server.log());
    drop(server);
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]).await;
    assert!(!server.log().contains("without TLS"), "{}", server.log());
}
