//! The reader of contract files: any text gives a contract or findings, and a contract can be described.

#![no_main]

use libfuzzer_sys::fuzz_target;
use posthaste_contract::Contract;

fuzz_target!(|text: &str| {
    match Contract::read("contract.toml", text) {
        Ok((contract, _)) => assert!(!contract.name.is_empty()),
        Err(findings) => assert!(!findings.is_empty(), "a refusal says why"),
    }
});
