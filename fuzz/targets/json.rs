//! The JSON reader: whatever it takes, another reader takes too, and it never panics.

#![no_main]

use libfuzzer_sys::fuzz_target;
use posthaste_contract::json;

fuzz_target!(|bytes: &[u8]| {
    if json::parse(bytes).is_ok() {
        let other: Result<serde_json::Value, _> = serde_json::from_slice(bytes);
        // Numbers beyond what floating point holds are the other reader's limit, not a fault of the text.
        assert!(other.is_ok() || other.is_err_and(|error| error.to_string().contains("out of range")));
    }
});
