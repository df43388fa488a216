//! Queries of lists, the places in them among it: any text gives an ask within bounds, or faults.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use posthaste_contract::query::UNPAGED_MAX;
use posthaste_contract::{Contract, builtin};

static CONTRACTS: LazyLock<Vec<Contract>> =
    LazyLock::new(|| builtin::names().into_iter().filter_map(Contract::builtin).collect());

fuzz_target!(|text: &str| {
    for route in CONTRACTS.iter().flat_map(|contract| &contract.routes) {
        match route.read_query(text) {
            Ok(ask) => assert!(ask.size <= UNPAGED_MAX),
            Err(faults) => assert!(!faults.is_empty(), "a refusal says why"),
        }
    }
});
