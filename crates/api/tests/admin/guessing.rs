//! Limits by address in front of failed logins.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use posthaste_api::client_address::ClientAddress;

use crate::rig::{Answer, Rig, TOKEN};

const LIMIT: usize = 20;

async fn ask(rig: &Rig, from: &str, token: Option<&str>) -> Answer {
    let mut request = Request::builder().uri("/admin/v1/accounts");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let client = ClientAddress::new(from.parse().unwrap());
    rig.send_from(request.body(Body::empty()).unwrap(), client).await
}

/// The same for the route that publishes, which has a door of its own.
async fn publish(rig: &Rig, from: &str, token: &str) -> Answer {
    let request = Request::post("/admin/v1/events")
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json")
        .body(Body::from(r#"{"type":"invoice.paid","account":"acme","data":{}}"#))
        .unwrap();
    rig.send_from(request, ClientAddress::new(from.parse().unwrap())).await
}

const OPERATOR: &str = "192.0.2.1";
const STRANGER: &str = "198.51.100.7";

#[tokio::test]
async fn an_address_that_guesses_has_to_wait_and_the_product_goes_on() {
    let rig = Rig::with_account("standard").await;
    // The product publishes from behind the same address as whoever guesses.
    assert_eq!(publish(&rig, STRANGER, TOKEN).await.status, 202);
    let mut steps = 0;
    for number in 0..=LIMIT {
        let told = match number % 2 {
            0 => ask(&rig, STRANGER, Some(&format!("guess-{number}"))).await,
            _ => publish(&rig, STRANGER, &format!("guess-{number}")).await,
        };
        assert_eq!(told.told(), "401 unauthorized");
        steps += 1;
    }
    for (what, answer, expected) in [
        ("another guess", ask(&rig, STRANGER, Some("guess-100")).await, "429 too_many_failed_logins"),
        ("a guess at events", publish(&rig, STRANGER, "guess-100").await, "429 too_many_failed_logins"),
        ("a guess made before", ask(&rig, STRANGER, Some("guess-1")).await, "429 too_many_failed_logins"),
        ("no token", ask(&rig, STRANGER, None).await, "429 too_many_failed_logins"),
    ] {
        assert_eq!(answer.told(), expected, "{what}");
        assert_eq!(answer.headers["retry-after"], "60", "{what}");
        assert!(!answer.headers.contains_key("www-authenticate"), "{what}");
        steps += 1;
    }
    for (answer, expected, what) in [
        (publish(&rig, STRANGER, TOKEN).await, 202, "the product goes on"),
        (ask(&rig, STRANGER, Some(TOKEN)).await, 200, "by every route"),
        (ask(&rig, OPERATOR, Some(TOKEN)).await, 200, "others never noticed"),
        (ask(&rig, OPERATOR, Some("guess-1")).await, 401, "and have guesses of their own"),
    ] {
        assert_eq!(answer.status, expected, "{what}");
        steps += 1;
    }
    for (wait_ms, told, retry_after) in
        [(59_500, "429 too_many_failed_logins", Some("1")), (500, "401 unauthorized", None)]
    {
        rig.clock.advance(Duration::from_millis(wait_ms));
        let answer = ask(&rig, STRANGER, Some("guess-100")).await;
        assert_eq!(answer.told(), told);
        assert_eq!(answer.headers.get("retry-after").map(|value| value.to_str().unwrap()), retry_after);
        steps += 1;
    }
    println!("counted | admin | guesses at the admin API | {steps}");
}

#[tokio::test]
async fn a_right_token_from_a_blocked_address_waits_if_it_was_never_seen_there() {
    let rig = Rig::with_account("standard").await;
    assert_eq!(ask(&rig, OPERATOR, Some(TOKEN)).await.status, 200);
    for number in 0..=LIMIT {
        assert_eq!(ask(&rig, STRANGER, Some(&number.to_string())).await.status, 401);
    }
    assert_eq!(ask(&rig, STRANGER, Some(TOKEN)).await.status, 429);
    rig.clock.advance(Duration::from_secs(60));
    assert_eq!(ask(&rig, STRANGER, Some(TOKEN)).await.status, 200);
}

#[tokio::test]
async fn missing_and_repeated_tokens_and_customers_keys_are_no_guesses() {
    let rig = Rig::with_account("standard").await;
    let key = rig.post("/accounts/acme/keys", "{}").await.ok(201)["key"].as_str().unwrap().to_owned();
    for _ in 0..3 * LIMIT {
        assert_eq!(ask(&rig, STRANGER, None).await.status, 401);
        assert_eq!(ask(&rig, STRANGER, Some("the same wrong one")).await.status, 401);
        assert_eq!(ask(&rig, STRANGER, Some(&key)).await.status, 404);
    }
    assert_eq!(ask(&rig, STRANGER, Some(TOKEN)).await.status, 200);
}

#[tokio::test]
async fn an_ipv6_network_is_one_address() {
    let rig = Rig::new("standard");
    for number in 0..=LIMIT {
        let from = format!("2001:db8:1:2::{number:x}");
        assert_eq!(ask(&rig, &from, Some(&number.to_string())).await.status, 401);
    }
    assert_eq!(ask(&rig, "2001:db8:1:2:ffff::1", Some("x")).await.status, 429);
    assert_eq!(ask(&rig, "2001:db8:1:3::1", Some("x")).await.status, 401);
}
