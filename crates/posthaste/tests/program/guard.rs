//! The address guard as the running program keeps it.

mod names;
mod shopper;

use posthaste_contract::{Contract, builtin};
use posthaste_net::{Guard, GuardPolicy};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::{HOST, Server, customer, run, sentence, until};
use names::Names;
use shopper::Shopper;

/// One case: its number, the URL, and the rule that refuses it.
struct Row {
    id: &'static str,
    url: String,
    refused_by: Option<&'static str>,
    /// Is it refused only for what the name leads to?
    by_lookup: bool,
}

fn rows() -> Vec<Row> {
    let lines = include_str!("../../../net/tests/fixtures/url-guard.tsv").lines().skip(1);
    let row = |line: &'static str| {
        let cells: Vec<&str> = line.split('\t').collect();
        let by_lookup = cells[3].starts_with("rule 10");
        let rule = if by_lookup { "ip_forbidden" } else { cells[3] };
        Row {
            id: cells[0],
            url: serde_json::from_str(&format!("\"{}\"", cells[1])).unwrap(),
            refused_by: (cells[2] == "reject").then_some(rule),
            by_lookup,
        }
    };
    lines.map(row).collect()
}

/// The words of the contract's own check of the field, which comes before the guard and finds part of what it would.
fn found_by_field(rule: &str, answer: &Value) -> bool {
    let words = match rule {
        "scheme" => &["must start with https://"][..],
        _ => &[],
    };
    let text = answer.to_string();
    words.iter().any(|word| text.contains(word))
}

/// Does the answer say that this rule refuses the URL? Contracts that list faults name it; the others have its sentence.
fn names_rule(answer: &Value, row: &Row, rule: &str) -> bool {
    let guard = Guard::new(GuardPolicy::default());
    let detail = guard.check_url(&row.url).err().map_or("not public", |refusal| refusal.detail);
    let text = answer.to_string();
    if found_by_field(rule, answer) {
        return true;
    }
    match answer["errors"].as_array() {
        Some(errors) => errors.len() == 1 && errors[0]["rule"] == rule && text.contains(detail),
        None => text.contains(detail),
    }
}

async fn server_asking(folder: &std::path::Path, names: &Names, contract: &str) -> Server {
    let name_server = names.address.to_string();
    Server::start(folder, &["--contract", contract, "--name-server", &name_server]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_case_gets_its_verdict_from_every_contract() {
    let names = Names::saying(&["8.8.8.8"]).await;
    let (mut asked, mut refused, mut wrong) = (0, 0, Vec::new());
    for name in builtin::names() {
        let contract = Contract::builtin(name).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let server = server_asking(folder.path(), &names, name).await;
        let mut shopper = Shopper::new(&server, &contract).await;
        let mut expected = vec![Vec::new()];
        for row in rows() {
            if probes(&contract) && (row.refused_by.is_none() || row.by_lookup) {
                continue;
            }
            let (status, answer) = shopper.offer(&row.url, None).await;
            expected.resize(shopper.accounts.len(), Vec::new());
            asked += 1;
            let is_right = match row.refused_by {
                Some(rule) => (400..=422).contains(&status) && names_rule(&answer, &row, rule),
                None => status == 201 || status == 200,
            };
            if !is_right {
                wrong.push(format!("{name} {} {:?}: {status} {answer}", row.id, row.url));
            }
            match row.refused_by {
                Some(_) => refused += 1,
                None => {
                    expected.last_mut().unwrap().push(row.url);
                    shopper.renew().await;
                    expected.push(Vec::new());
                }
            }
        }
        for (account, expected) in shopper.accounts.iter().zip(expected) {
            assert_eq!(shopper.registered(account).await, expected, "{name}");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("counted | guard | url rows against the running server, on create | {asked}");
    println!("counted | guard | of these refused, with a sentence about the fault | {refused}");
}

/// Does the contract ask whether a receiver is there? Then nothing is accepted from within a closed house.
fn probes(contract: &Contract) -> bool {
    use posthaste_contract::model::FieldRule;
    let fields = contract.inputs.iter().flat_map(|input| &input.fields);
    fields.into_iter().any(|field| matches!(&field.rule, FieldRule::Url { probes, .. } if !probes.is_empty()))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_case_gets_its_verdict_on_update() {
    let names = Names::saying(&["8.8.8.8"]).await;
    let (mut asked, mut wrong) = (0, Vec::new());
    let contract = Contract::builtin("standard").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let server = server_asking(folder.path(), &names, "standard").await;
    let mut shopper = Shopper::new(&server, &contract).await;
    let (_, webhook) = shopper.offer(&format!("https://{HOST}/first"), None).await;
    let id = webhook["id"].as_str().unwrap().to_owned();
    let mut current = format!("https://{HOST}/first");
    for row in rows() {
        let (status, answer) = shopper.offer(&row.url, Some(&id)).await;
        asked += 1;
        let is_right = match row.refused_by {
            Some(rule) => status == 422 && names_rule(&answer, &row, rule),
            None => status == 200 && answer["url"] == row.url,
        };
        if !is_right {
            wrong.push(format!("{} {:?}: {status} {answer}", row.id, row.url));
        }
        if row.refused_by.is_none() {
            current = row.url;
        }
        assert_eq!(shopper.registered(&shopper.accounts[0]).await, [current.as_str()], "{}", row.id);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("counted | guard | url rows against the running server, on update | {asked}");
}

#[test]
fn networks_that_cannot_be_allowed_keep_it_from_starting() {
    let folder = tempfile::tempdir().unwrap();
    let mut rows = 0;
    for (nets, expected) in [
        (&["300.1.1.1/8"][..], "allow_net is `300.1.1.1/8`"),
        (&["10.0.0.0/33"], "allow_net is `10.0.0.0/33`"),
        (&["::/129"], "allow_net is `::/129`"),
        (&["10.0.0.0"], "allow_net is `10.0.0.0`"),
        (&[" 10.0.0.0/8"], "allow_net is ` 10.0.0.0/8`"),
        (&["010.0.0.0/8"], "allow_net is `010.0.0.0/8`, which is plainly written 10.0.0.0/8"),
        (&["10.0.0.0/08"], "allow_net is `10.0.0.0/08`"),
        (&["localhost"], "allow_net is `localhost`"),
        (&["10.0.0.0/8,192.168.0.0/16"], "allow_net is `10.0.0.0/8,192.168.0.0/16`"),
        (&["10.0.0.1/8"], "the network is 10.0.0.0/8"),
        (&["::ffff:10.0.0.0/104"], "write it as an IPv4 network"),
        (&["0.0.0.0/0"], "--allow-any-net"),
        (&["::/0"], "--allow-any-net"),
        (&["10.0.0.0/8", "0.0.0.0/0"], "--allow-any-net"),
        (&["0.0.0.0/1", "128.0.0.0/1"], "0.0.0.0/0 is every address there is"),
        (&["::/1", "8000::/1"], "::/0 is every address there is"),
    ] {
        let mut arguments = vec!["serve", "--data", "data", "--listen", "127.0.0.1:0"];
        arguments.extend(nets.iter().flat_map(|net| ["--allow-net", net]));
        let said = sentence(&run(folder.path(), &arguments), 2);
        assert!(said.contains(expected), "{nets:?}: {said}");
        assert!(!folder.path().join("data").exists(), "{nets:?}: nothing is written");
        rows += 1;
    }
    println!("counted | guard | networks refused at the start | {rows}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_opens_the_server_up_is_logged_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let authority = folder.path().join("authority.pem");
    std::fs::write(&authority, posthaste::certificate::Identity::for_names(&[HOST]).unwrap().authority_pem)
        .unwrap();
    let flags = [
        ["--allow-net", "127.0.0.0/8"],
        ["--connect-to", "hooks.example.com:443:127.0.0.1:8443"],
        ["--ca-file", authority.to_str().unwrap()],
        ["--name-server", "127.0.0.1:5353"],
        ["--trusted-proxy", "127.0.0.0/8"],
        ["--proxy", "http://127.0.0.1:3128"],
        ["--failed-logins", "0"],
    ];
    let server = Server::start(folder.path(), &[flags.concat(), vec!["--allow-http"]].concat()).await;
    let log = server.log();
    for flag in flags.iter().map(|[flag, _]| *flag).chain(["--allow-http"]) {
        assert!(log.contains(&format!("({flag}")), "{flag}: {log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_net_is_allowed_only_by_its_own_flag_and_loudly() {
    let folder = tempfile::tempdir().unwrap();
    let flags = ["--allow-any-net", "--allow-net", "::/0", "--allow-net", "0.0.0.0/0"];
    let server = Server::start(folder.path(), &flags).await;
    assert!(server.log().contains("THE ADDRESS GUARD IS OFF"), "{}", server.log());
    let contract = Contract::builtin("standard").unwrap();
    let mut shopper = Shopper::new(&server, &contract).await;
    assert_eq!(shopper.offer("https://127.0.0.1:9/", None).await.0, 201);
    let own = server.base.strip_prefix("http://").unwrap().to_owned();
    let (_, port) = own.split_once(':').unwrap();
    let mut rows = 0;
    for host in ["127.0.0.1", "0.0.0.0", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "localhost", "[::]"] {
        let (status, answer) = shopper.offer(&format!("https://{host}:{port}/"), None).await;
        let expected = if host == "localhost" { 201 } else { 422 };
        // By its other family the name is not ours.
        assert_eq!(status, expected, "{host}: {answer}");
        rows += 1;
    }
    println!("counted | guard | ways to our own listener | {rows}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forbidden_target_is_told_without_address_port_or_time() {
    let folder = tempfile::tempdir().unwrap();
    let (names, trap) = (Names::saying(&["8.8.8.8"]).await, Trap::set().await);
    let (name_server, way_out) = (names.address.to_string(), format!("http://{}", trap.address));
    let server = Server::start(folder.path(), &["--name-server", &name_server, "--proxy", &way_out]).await;
    customer(&server, "acme").await;
    let mut rows = 0;
    for (alias, addresses) in [
        (None, &["127.0.0.1"][..]),
        (None, &["8.8.8.8", "10.11.12.13"]),
        (None, &["10.11.12.13", "8.8.8.8"]),
        (None, &["8.8.8.8", "fd00:1234::7"]),
        (None, &["169.254.169.254"]),
        (None, &["64:ff9b::7f00:1"]),
        (Some("lb.corp"), &["8.8.8.8"]),
        (Some("vault"), &["8.8.8.8"]),
    ] {
        names.say_of(alias, addresses);
        let told = refused_delivery(&server, "acme").await;
        assert!(addresses.iter().chain(&alias).all(|word| !told.contains(word)), "{told}");
        let record = last_refusal(&server);
        for address in addresses {
            assert_eq!(record.contains(address), *address != "8.8.8.8", "{address}: {record}");
        }
        assert!(record.contains(alias.unwrap_or_default()) && record.contains(HOST), "{record}");
        rows += 1;
    }
    assert_eq!(trap.heads().len(), 0);
    println!("counted | guard | answers of name servers refused, told to no customer | {rows}");
}

/// A new event, and its delivery once the target was refused, as the operator sees it.
async fn refused_delivery(server: &Server, account: &str) -> String {
    let event = json!({"type": "invoice.paid", "account": account, "data": {"n": 1}});
    let event = server.admin.post("/events", &event).await.unwrap();
    let delivery = until("an attempt", async || {
        let list = server.admin.get(&format!("/accounts/{account}/webhooks")).await.unwrap();
        let webhook = list["data"][0]["id"].as_str().unwrap();
        let path = format!("/accounts/{account}/webhooks/{webhook}/deliveries");
        let list = server.admin.get(&path).await.unwrap();
        let all = list["data"].as_array().unwrap().clone();
        all.into_iter().find(|it| it["event_id"] == event["id"] && it.to_string().contains("forbidden"))
    })
    .await;
    let delivery = server.admin.get(&format!("/deliveries/{}", delivery["id"].as_str().unwrap())).await;
    let told = delivery.unwrap().to_string();
    assert!(told.contains("target_forbidden") && told.contains("\"duration_ms\":0"), "{told}");
    assert!(told.contains("The target is not one that deliveries may go to."), "{told}");
    told
}

fn last_refusal(server: &Server) -> String {
    let log = server.log();
    log.lines().rev().find(|line| line.contains("target refused")).unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_in_a_url_is_refused_once_its_network_is_no_longer_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path(), &["--allow-net", "127.8.0.0/16"]).await;
    let contract = Contract::builtin("standard").unwrap();
    let mut shopper = Shopper::new(&server, &contract).await;
    assert_eq!(shopper.offer("https://127.8.0.1:9/", None).await.0, 201);
    let account = shopper.accounts[0].clone();
    server.terminate();
    server.wait().await;
    let server = Server::start(folder.path(), &[]).await;
    let told = refused_delivery(&server, &account).await;
    assert!(!told.contains("ip_forbidden"), "{told}");
    let record = last_refusal(&server);
    assert!(record.contains("127.8.0.1") && record.contains("ip_forbidden"), "{record}");
}

#[tokio::test(flavor = "multi_thread")]
async fn proxies_of_the_environment_are_ignored_and_the_one_of_the_settings_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let (trap, proxy) = (Trap::set().await, Trap::set().await);
    let names = Names::saying(&["8.8.8.8"]).await;
    let name_server = names.address.to_string();
    let of_environment = format!("http://{}", trap.address);
    let environment = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"];
    let mut environment: Vec<(&str, &str)> = environment.map(|name| (name, of_environment.as_str())).to_vec();
    environment.extend([("NO_PROXY", "*"), ("no_proxy", HOST)]);
    let ours = format!("http://user:open-sesame@{}", proxy.address);
    environment.push(("POSTHASTE_PROXY", &ours));
    let flags = ["--name-server", &name_server, "--log", "trace"];
    let server = Server::start_in(folder.path(), &flags, &environment).await;
    customer(&server, "acme").await;
    for address in ["8.8.8.8", "10.0.0.1"] {
        names.say(&[address]);
        let event = json!({"type": "invoice.paid", "account": "acme", "data": {"n": 1}});
        server.admin.post("/events", &event).await.unwrap();
        let expected = if address == "8.8.8.8" { "connect_failed" } else { "target_forbidden" };
        until(expected, async || {
            let list = server.admin.get("/accounts/acme/webhooks").await.unwrap();
            let path =
                format!("/accounts/acme/webhooks/{}/deliveries", list["data"][0]["id"].as_str().unwrap());
            server.admin.get(&path).await.unwrap().to_string().contains(expected).then_some(())
        })
        .await;
    }
    assert_eq!(trap.heads().len(), 0);
    let asked = proxy.heads();
    assert!(
        !asked.is_empty() && asked.iter().all(|head| head.starts_with("CONNECT 8.8.8.8:443 HTTP/1.1\r\n")),
        "{asked:?}"
    );
    let log = server.log();
    assert!(log.contains(&format!("http://{}", proxy.address)) && log.contains("--proxy"), "{log}");
    assert!(!log.contains("open-sesame") && !log.contains("dXNlcjpvcGVuLXNlc2FtZQ"));
}

/// A proxy that refuses, and remembers what it was asked.
struct Trap {
    address: std::net::SocketAddr,
    heads: std::sync::Arc<std::sync::Mutex<Vec<String>>>,
}

impl Trap {
    async fn set() -> Self {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heads = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let noted = heads.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let Ok(byte) = stream.read_u8().await else { break };
                    head.push(byte);
                }
                noted.lock().unwrap().push(String::from_utf8_lossy(&head).into_owned());
                let _ = stream.write_all(b"HTTP/1.1 403 Forbidden\r\n\r\n").await;
            }
        });
        Self { address, heads }
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}
