//! No text makes anything here panic.

use posthaste_contract::{Contract, Op, builtin, json};
use proptest::prelude::*;

use crate::support::input_of;

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_contracts(at in 0usize..20_000, cut in 0usize..60, put in "[ -~\n]{0,12}", which in 0usize..5) {
        let text = builtin::text(builtin::names()[which]).unwrap();
        let start = text.floor_char_boundary(at % text.len());
        let end = text.ceil_char_boundary((start + cut).min(text.len()));
        let damaged = format!("{}{put}{}", &text[..start], &text[end..]);
        if let Err(found) = Contract::read("damaged.toml", &damaged) {
            prop_assert!(!found.is_empty());
        }
    }

    #[test]
    fn any_bytes_as_a_body(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let contract = Contract::builtin("pipai").unwrap();
        let _ = contract.read_input(input_of(&contract, Op::WebhookCreate), &bytes, None);
        let _ = contract.check_data(&bytes);
    }

    #[test]
    fn json_like_text(text in r#"[\[\]{}:,"\\u0-9dD8 .eE+\-truefalsn]{0,60}"#) {
        let ours = json::parse(text.as_bytes()).is_ok();
        let theirs = serde_json::from_str::<serde_json::Value>(&text).is_ok();
        // We are stricter, never laxer; numbers beyond floating point are the exception we want.
        prop_assert!(!ours || theirs || text.contains(['e', 'E']), "{}", text);
    }

    #[test]
    fn any_query_and_path(text in "\\PC{0,40}") {
        let contract = Contract::builtin("aira").unwrap();
        for route in &contract.routes {
            let _ = route.read_query(&text);
        }
        let _ = contract.find_route("GET", &text);
    }
}
