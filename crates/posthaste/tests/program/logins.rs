//! Failed logins at the real program: what is counted, logged and set.

use bytes::Bytes;
use http::Request;
use posthaste::http_client::send;

use crate::support::Server;

/// The status of a request with a credential, and how long it says to wait.
async fn status(base: &str, path: &str, token: &str, forwarded: Option<&str>) -> (u16, Option<u64>) {
    let mut request =
        Request::get(format!("{base}{path}")).header("authorization", format!("Bearer {token}"));
    if let Some(list) = forwarded {
        request = request.header("x-forwarded-for", list);
    }
    let answer = send(request.body(Bytes::new()).unwrap()).await.unwrap();
    let wait = answer.headers().get("retry-after").map(|value| value.to_str().unwrap().parse().unwrap());
    (answer.status().as_u16(), wait)
}

const ADMIN: &str = "/admin/v1/accounts";
const PUBLIC: &str = "/v1/webhooks";

async fn metric(server: &Server, name: &str) -> u64 {
    let answer = server.get("/metrics").await;
    let text = String::from_utf8_lossy(answer.body()).into_owned();
    let line = text.lines().find(|line| line.split(' ').next() == Some(name));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn guesses_at_both_apis_count_together_and_are_told_of_once() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]).await;
    let token = std::fs::read_to_string(folder.path().join("data/admin.token")).unwrap();
    let token = token.trim();
    assert_eq!(status(&server.base, ADMIN, token, None).await.0, 200);
    let mut guesses: u64 = 0;
    for number in 0..60 {
        let path = if number % 2 == 0 { ADMIN } else { PUBLIC };
        let guess = format!("canary-guess-{number}");
        let (status, wait) = status(&server.base, path, &guess, None).await;
        assert_eq!(status, if number <= 40 { 401 } else { 429 }, "{number}");
        assert!(wait.is_none_or(|seconds| (1..=60).contains(&seconds)), "{number}: {wait:?}");
        assert_eq!(wait.is_some(), number > 40, "{number}");
        guesses += 1;
    }
    assert_eq!(status(&server.base, ADMIN, token, None).await.0, 200, "the product goes on");
    assert_eq!(metric(&server, "posthaste_failed_logins_total").await, guesses);
    assert_eq!(metric(&server, "posthaste_failed_logins_blocks_total").await, 1);
    assert_eq!(metric(&server, "posthaste_failed_logins_refused_total").await, 19);
    let log = server.log();
    assert_eq!(log.matches("wrong credentials from this address").count(), 1, "{log}");
    assert!(log.contains("127.0.0.1") && !log.contains("canary"), "{log}");
    println!("counted | admin | guesses at the program | {guesses}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_can_be_set_and_switched_off() {
    for (limit, expected) in [("0", 401), ("3", 429)] {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(folder.path(), &["--failed-logins", limit]).await;
        for number in 0..4 {
            assert_eq!(status(&server.base, ADMIN, &number.to_string(), None).await.0, 401, "{limit}");
        }
        for number in 4..60 {
            assert_eq!(status(&server.base, ADMIN, &number.to_string(), None).await.0, expected, "{limit}");
        }
        assert_eq!(server.log().contains("without a limit"), limit == "0", "{}", server.log());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_trusted_proxy_each_client_is_counted_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let proxied = ["--failed-logins", "2", "--trusted-proxy", "127.0.0.0/8"];
    let server = Server::start(folder.path(), &proxied).await;
    for number in 0..3 {
        let guess = number.to_string();
        let from = Some("192.0.2.77, 198.51.100.1");
        assert_eq!(status(&server.base, ADMIN, &guess, from).await.0, 401);
    }
    let mut clients = 0;
    for (from, expected) in [
        ("198.51.100.1", 429),
        ("203.0.113.5, 198.51.100.1", 429),
        ("198.51.100.2", 401),
        ("198.51.100.1, 198.51.100.2", 401),
    ] {
        assert_eq!(status(&server.base, ADMIN, "another", Some(from)).await.0, expected, "{from}");
        clients += 1;
    }
    drop(server);
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &["--failed-logins", "2"]).await;
    for number in 0..3 {
        let from = format!("198.51.100.{number}");
        assert_eq!(status(&server.base, ADMIN, &number.to_string(), Some(&from)).await.0, 401);
    }
    assert_eq!(
        status(&server.base, ADMIN, "another", Some("198.51.100.9")).await.0,
        429,
        "nobody is believed"
    );
    println!("counted | admin | clients behind a proxy of the program | {}", clients + 4);
}
