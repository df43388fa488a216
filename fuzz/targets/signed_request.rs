//! Signed requests: no headers pass without the secret, and the signature by it does while its time is read.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use posthaste_contract::model::{HmacRequest, Scheme};
use posthaste_contract::{Contract, RequestFault, SignedRequest, builtin};
use posthaste_core::{Secret, UnixMs};

static SCHEMES: LazyLock<Vec<HmacRequest>> = LazyLock::new(|| {
    let contracts = builtin::names().into_iter().filter_map(Contract::builtin);
    let schemes = contracts.flat_map(|contract| contract.auth).map(|auth| auth.scheme);
    schemes
        .filter_map(|scheme| if let Scheme::HmacRequest(signed) = scheme { Some(*signed) } else { None })
        .collect()
});

const NOW: UnixMs = UnixMs(1_790_000_000_000);

fuzz_target!(|input: (&str, &str, &str, &[u8])| {
    let (timestamp, signature, target, body) = input;
    let secret = Secret::from("a secret that no input holds".to_owned());
    assert!(!SCHEMES.is_empty());
    for scheme in SCHEMES.iter() {
        let forged = SignedRequest { timestamp, signature, method: "POST", target, body };
        assert!(scheme.verify(&forged, &secret, NOW).is_err());
        let signature = scheme.sign(&forged, &secret);
        let honest = SignedRequest { signature: &signature, ..forged };
        assert_ne!(scheme.verify(&honest, &secret, NOW), Err(RequestFault::Signature));
    }
});
