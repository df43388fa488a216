//! The kernel as a witness: in a network namespace of the test's own, counters on every forbidden range see each packet
//! that leaves. The server runs there with its guard as it is shipped, nothing allowed beyond the public internet.
//!
//! The test calls itself again inside the namespace. What plays the public internet there are addresses on the
//! namespace's loopback device that are public in truth; no packet can leave the namespace.

mod kernel;
mod names;
mod redirector;

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Server, until};
use kernel::Counters;
use names::{NameServer, name_of};
use redirector::Redirector;

const RECEIVER: Ipv4Addr = Ipv4Addr::new(11, 0, 0, 9);
const NAME_SERVER: Ipv4Addr = Ipv4Addr::new(11, 0, 0, 53);
const LISTEN: &str = "11.0.0.2:8080";
/// Every name in the namespace ends so.
const ZONE: &str = "hooks.example.com";
/// What the system would append to names.
const SEARCHED: &str = "inner.example.net";
const INSIDE: &str = "witness::inside_the_namespace";
/// How many URLs are registered with one key; the contract limits how fast that may go.
const URLS_FOR_EACH_KEY: usize = 100;

#[test]
fn no_packet_leaves_for_a_forbidden_range() {
    let Some(rights) = rights() else {
        println!(
            "SKIPPED: the kernel as a witness: it needs `unshare` with the right to make namespaces, `ip`, `mount` and `nft`"
        );
        assert!(!is_ci(), "nothing may be skipped under CI");
        return;
    };
    let own = std::env::current_exe().unwrap();
    let mut command = Command::new("unshare");
    command.args(rights).arg("--").arg(own).args([INSIDE, "--exact", "--ignored", "--nocapture"]);
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && told.contains("1 passed"), "{told}\n{errors}");
    for line in told.lines().filter(|line| line.contains("counted |")) {
        println!("{line}");
    }
}

/// How a network namespace can be had here, if that and the counters can be had at all.
fn rights() -> Option<&'static [&'static str]> {
    /// All that is done there, once.
    const TRIAL: &str = "nft list ruleset && ip link set lo up && mount --bind /etc/hosts /etc/hosts";
    let works = |rights: &&&[&str]| {
        let tried = Command::new("unshare").args(**rights).args(["--", "sh", "-c", TRIAL]).output();
        tried.is_ok_and(|output| output.status.success())
    };
    let ways: [&[&str]; 2] = [&["--net", "--mount"], &["--net", "--mount", "--map-root-user"]];
    ways.iter().find(works).copied()
}

#[expect(clippy::disallowed_methods, reason = "the one thing that a test may have to know of where it runs")]
fn is_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true")
}

/// What a customer may try with one name or one answer.
struct Trick {
    what: &'static str,
    url: String,
}

#[tokio::test]
#[ignore = "runs inside a network namespace; no_packet_leaves_for_a_forbidden_range starts it there"]
async fn inside_the_namespace() {
    kernel::furnish(&[RECEIVER, NAME_SERVER, Ipv4Addr::new(11, 0, 0, 2)]);
    let counters = Counters::install();
    let names = NameServer::start((NAME_SERVER, 53).into(), ZONE).await;
    let receiver = Redirector::start((RECEIVER, 443).into(), &format!("*.{ZONE}")).await;
    let folder = tempfile::tempdir().unwrap();
    let authority = folder.path().join("authority.pem");
    std::fs::write(&authority, &receiver.authority_pem).unwrap();
    mislead_the_system(folder.path());
    let server = Server::start_at(LISTEN, folder.path(), &["--ca-file", authority.to_str().unwrap()]).await;

    let refused = refuse_the_table(&server).await;
    let tricks = tricks();
    let webhooks = register(&server, &tricks).await;
    names.turn();
    let event = json!({"type": "invoice.paid", "data": {}, "broadcast": true});
    server.admin.post("/events", &event).await.unwrap();
    let recorded = attempts(&server, &tricks, &webhooks).await;

    let seen = counters.read();
    let forbidden: Vec<_> = seen.iter().filter(|(_, packets)| *packets > 0).collect();
    assert!(forbidden.is_empty(), "packets to forbidden ranges: {forbidden:?}");
    assert!(receiver.requests() > 0, "redirects were met");
    assert!(names.asked().iter().all(|name| !name.ends_with(SEARCHED)), "names are absolute");
    // The namespace's own addresses take a moment before they may be sent from.
    until("the witness to see every range", async || {
        kernel::knock_everywhere();
        counters.read().iter().all(|(_, packets)| *packets > 0).then_some(())
    })
    .await;

    println!("counted | guard | ranges watched by the kernel | {}", seen.len());
    println!("counted | guard | URLs refused under the kernel's eyes | {refused}");
    println!("counted | guard | attempts under the kernel's eyes | {recorded}");
    let packets: u64 = seen.iter().map(|(_, packets)| packets).sum();
    println!("counted | guard | SYNs and other packets to forbidden ranges | {packets}");
}

/// The system's settings name the name server, and much that must not count: a domain to search, and a file of hosts
/// that knows the receiver's name by an inner address.
fn mislead_the_system(folder: &Path) {
    let here = IpAddr::V4(RECEIVER);
    let steady = name_of(&[here], &[here]);
    let resolver = format!("nameserver {NAME_SERVER}\nsearch {SEARCHED}\noptions ndots:9\n");
    let hosts = format!("10.0.0.1 {steady}.{ZONE}\n10.0.0.1 example.com\n");
    for (name, content) in [("resolv.conf", resolver), ("hosts", hosts)] {
        let own = folder.join(name);
        std::fs::write(&own, content).unwrap();
        kernel::replace(&format!("/etc/{name}"), &own);
    }
}

/// All URLs of the table that must be refused, through the public API.
async fn refuse_the_table(server: &Server) -> usize {
    let mut rows = Vec::new();
    for line in include_str!("../../../net/tests/fixtures/url-guard.tsv").lines().skip(1) {
        let cells: Vec<&str> = line.split('\t').collect();
        let [id, escaped, "reject", _] = cells[..] else { continue };
        rows.push((id, format!("{{\"url\":\"{escaped}\"}}")));
    }
    for (number, some) in rows.chunks(URLS_FOR_EACH_KEY).enumerate() {
        let key = key(server, &format!("table-{number}")).await;
        for (id, body) in some {
            let (status, answer) = post(server, &key, body.clone()).await;
            assert_eq!(status, 422, "{id} {body}: {answer}");
        }
    }
    rows.len()
}

/// For each address that must never be reached: a name that changes, names with one good and one bad address, in both
/// orders, and redirects to it.
fn tricks() -> Vec<Trick> {
    let good = IpAddr::V4(RECEIVER);
    let mut tricks = Vec::new();
    for bad in kernel::addresses() {
        let mut name = |what, first: &[IpAddr], then: &[IpAddr]| {
            tricks.push(Trick { what, url: format!("https://{}.{ZONE}/", name_of(first, then)) });
        };
        name("a name that changes", &[good], &[bad]);
        name("a bad address behind a good one", &[good], &[good, bad]);
        name("a bad address before a good one", &[good], &[bad, good]);
        let to = if bad.is_ipv6() { format!("[{bad}]") } else { bad.to_string() };
        let steady = name_of(&[good], &[good]);
        tricks.push(Trick { what: "a redirect", url: format!("https://{steady}.{ZONE}/to/{to}") });
    }
    tricks
}

async fn register(server: &Server, tricks: &[Trick]) -> Vec<(String, String)> {
    let mut webhooks = Vec::new();
    for (number, some) in tricks.chunks(URLS_FOR_EACH_KEY).enumerate() {
        let account = format!("tricks-{number}");
        let key = key(server, &account).await;
        for Trick { url, .. } in some {
            let (status, answer) = post(server, &key, json!({"url": url}).to_string()).await;
            assert_eq!(status, 201, "{url}: {answer}");
            webhooks.push((account.clone(), answer["id"].as_str().unwrap().to_owned()));
        }
    }
    webhooks
}

/// Waits until each trick had its attempt, and says what was recorded of it.
async fn attempts(server: &Server, tricks: &[Trick], webhooks: &[(String, String)]) -> usize {
    let mut recorded = 0;
    for (Trick { what, url }, (account, webhook)) in tricks.iter().zip(webhooks) {
        let path = format!("/accounts/{account}/webhooks/{webhook}/deliveries");
        let attempt: Value = until(url, async || {
            let found = server.admin.get(&path).await.unwrap();
            found["data"][0]["attempts"].as_array()?.first().cloned()
        })
        .await;
        let told = (attempt["status_code"].as_u64(), attempt["error"].as_str());
        match *what {
            "a redirect" => assert_eq!(told.0, Some(302), "{url}: {attempt}"),
            _ => assert!(told.1.is_some_and(|it| it.starts_with("target_forbidden")), "{url}: {attempt}"),
        }
        recorded += 1;
    }
    recorded
}

async fn key(server: &Server, account: &str) -> String {
    server.admin.post("/accounts", &json!({"id": account})).await.unwrap();
    let key = server.admin.post(&format!("/accounts/{account}/keys"), &json!({})).await.unwrap();
    key["key"].as_str().unwrap().to_owned()
}

async fn post(server: &Server, key: &str, body: String) -> (u16, Value) {
    let request = http::Request::post(format!("{}/v1/webhooks", server.base))
        .header("authorization", format!("Bearer {key}"))
        .header("content-type", "application/json")
        .body(body.into())
        .unwrap();
    let answer = tokio::time::timeout(Duration::from_secs(30), posthaste::http_client::send(request));
    let answer = answer.await.expect("an answer in time").unwrap();
    (answer.status().as_u16(), serde_json::from_slice(answer.body()).unwrap())
}
