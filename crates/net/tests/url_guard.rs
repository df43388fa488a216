//! The guard's rules about text, case by case.

use posthaste_net::{Guard, GuardPolicy};
use proptest::prelude::*;

/// Rows whose verdict needs a name server: the text alone is fine.
const DECIDED_BY_LOOKUP: &str = "rule 10";

fn verdict(guard: &Guard, url: &str) -> String {
    match guard.check_url(url) {
        Ok(_) => "accept ".to_owned(),
        Err(refusal) => format!("reject {}", refusal.rule.word()),
    }
}

#[test]
fn every_case_gets_its_verdict_and_its_rule() {
    let guard = Guard::new(GuardPolicy::default());
    let mut wrong = Vec::new();
    let mut rows = 0;
    for line in include_str!("fixtures/url-guard.tsv").lines().skip(1) {
        let cells: Vec<&str> = line.split('\t').collect();
        let [id, escaped, expected, rule] = cells[..] else { panic!("four cells: {line}") };
        let url: String = serde_json::from_str(&format!("\"{escaped}\"")).expect(id);
        let expected = match rule.starts_with(DECIDED_BY_LOOKUP) {
            true => "accept ".to_owned(),
            false => format!("{expected} {rule}"),
        };
        let got = verdict(&guard, &url);
        if got != expected {
            wrong.push(format!("{id} {escaped}: expected {expected}, got {got}"));
        }
        rows += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(rows, 140, "every row was read");
    println!("counted | guard | url rows against the rules | {rows}");
}

#[test]
fn an_accepted_url_is_accepted_again_in_its_canonical_form() {
    let guard = Guard::new(GuardPolicy::default());
    for (url, canonical) in [
        ("https://hooks.example.com", "https://hooks.example.com/"),
        ("HTTPS://HOOKS.Example.COM:443/A", "https://hooks.example.com/A"),
        ("https://bücher.example/ü?ü", "https://xn--bcher-kva.example/%C3%BC?%C3%BC"),
        ("https://hooks.example.com/a/../b|c", "https://hooks.example.com/b|c"),
        ("https://[2001:4860:4860:0::8888]/", "https://[2001:4860:4860::8888]/"),
    ] {
        let target = guard.check_url(url).expect(url);
        assert_eq!(target.canonical(), canonical);
        assert_eq!(guard.check_url(canonical).expect(canonical).canonical(), canonical);
    }
}

#[test]
fn http_is_a_scheme_only_where_it_is_allowed() {
    let guard = Guard::new(GuardPolicy::default().allowing_http(true));
    for (url, expected) in [
        ("http://hooks.example.com/", "accept "),
        ("http://hooks.example.com:8080/", "accept "),
        ("https://hooks.example.com:80/", "reject port_forbidden"),
        ("http://10.0.0.1/", "reject ip_forbidden"),
        ("ftp://hooks.example.com/", "reject scheme"),
    ] {
        assert_eq!(verdict(&guard, url), expected, "{url}");
    }
}

#[test]
fn allowed_networks_lift_what_they_cover() {
    let nets = vec!["127.0.0.0/8".parse().expect("a network")];
    let guard = Guard::new(GuardPolicy::new(nets).expect("a small network"));
    for (url, expected) in [
        ("https://127.0.0.1:25/", "accept "),
        ("https://10.0.0.1/", "reject ip_forbidden"),
        ("https://8.8.8.8:25/", "reject port_forbidden"),
        ("https://127.1/", "reject ambiguous_host"),
        ("https://localhost:9443/", "accept "),
        ("https://receiver/", "accept "),
        ("https://localhost./", "reject name_form"),
    ] {
        assert_eq!(verdict(&guard, url), expected, "{url}");
    }
    let deferred = |url: &str| guard.check_url(url).expect(url).unless_allowed().map(|r| r.rule.word());
    assert_eq!(deferred("https://localhost:9443/"), Some("name_forbidden"));
    assert_eq!(deferred("https://hooks.example.com:25/"), Some("port_forbidden"));
    assert_eq!(deferred("https://hooks.example.com/"), None);
}

#[test]
fn long_urls_and_labels_are_refused() {
    let guard = Guard::new(GuardPolicy::default());
    let of_length = |chars: usize, filler: &str| {
        let base = "https://hooks.example.com/";
        format!("{base}{}", filler.repeat(chars - base.len()))
    };
    assert_eq!(verdict(&guard, &of_length(2048, "x")), "accept ");
    assert_eq!(verdict(&guard, &of_length(2049, "x")), "reject too_long");
    assert_eq!(verdict(&guard, &of_length(2048, "ü")), "accept ");
    assert_eq!(verdict(&guard, &of_length(2049, "ü")), "reject too_long");
    assert_eq!(verdict(&guard, &of_length(2048, "😀")), "accept ");
    assert_eq!(verdict(&guard, &format!("https://{}.example/", "a".repeat(64))), "reject name_form");
    assert_eq!(verdict(&guard, &format!("https://{}example/", "aaa.".repeat(64))), "reject name_form");
    assert_eq!(verdict(&guard, "https://a!b.example/"), "reject name_form");
}

/// Text that is nearly a URL, made of the pieces that readers of URLs disagree about.
fn nearly_a_url() -> impl Strategy<Value = String> {
    let pieces = [
        "https://",
        "http://",
        "https:",
        "//",
        "/",
        "@",
        ":",
        ":443",
        ":8443",
        "#",
        "?",
        "%",
        "%2f",
        "%31",
        "\\",
        "\t",
        "127.0.0.1",
        "127.1",
        "0x7f",
        "0177",
        "[::1]",
        "[",
        "]",
        "::ffff:",
        "2001:4860::1",
        "8.8.8.8",
        ".",
        "..",
        "-",
        "localhost",
        "example.com",
        "hooks",
        "com",
        "internal",
        "xn--",
        "ü",
        "ß",
        "。",
        "①",
        "ⓛ",
        "\u{202e}",
        "a",
        "_",
        "&",
        "=",
        "|",
        "\"",
        "`",
        "{",
        "é",
    ];
    let piece =
        prop_oneof![9 => proptest::sample::select(pieces.to_vec()).prop_map(str::to_owned), 1 => ".{0,3}"];
    let some = |most| proptest::collection::vec(piece.clone(), 0..most).prop_map(|pieces| pieces.concat());
    let begin = proptest::sample::select(vec!["https://", "https://", "HTTP://", "https:", ""]);
    let middle =
        proptest::sample::select(vec!["example.com", ".example.com:8443/", "8.8.8.8", "b\u{fc}.de?", ""]);
    (begin, some(2), middle, some(5))
        .prop_map(|(begin, host, middle, rest)| format!("{begin}{host}{middle}{rest}"))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(4096) })]

    #[test]
    fn what_is_accepted_has_one_reading(text in nearly_a_url()) {
        let guard = Guard::new(GuardPolicy::default().allowing_http(true));
        if let Ok(target) = guard.check_url(&text) {
            let again = guard.check_url(target.canonical()).expect("the canonical form is accepted");
            prop_assert_eq!(again.canonical(), target.canonical());
            let other: http::Uri = target.canonical().parse().expect("another parser reads it");
            prop_assert_eq!(other.host().map(str::to_owned), Some(target.host().to_string()));
            prop_assert_eq!(other.path_and_query().map(|it| it.as_str()), Some(target.path_and_query()));
        }
    }
}
