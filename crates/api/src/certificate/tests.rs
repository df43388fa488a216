//! Pairs of files as operators have them.

use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};

use super::*;

fn pair(algorithm: &'static rcgen::SignatureAlgorithm) -> (String, String) {
    let key = KeyPair::generate_for(algorithm).unwrap();
    let certificate = params().self_signed(&key).unwrap();
    (certificate.pem(), key.serialize_pem())
}

fn params() -> CertificateParams {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2025, 3, 1);
    params.not_after = rcgen::date_time_ymd(2051, 4, 2);
    params
}

#[test]
fn pairs_are_taken_or_the_fault_is_named() {
    let (chain, key) = pair(&PKCS_ECDSA_P256_SHA256);
    let (other_chain, other_key) = pair(&PKCS_ECDSA_P384_SHA384);
    let (edwards_chain, edwards_key) = pair(&PKCS_ED25519);
    let fine = None;
    let cut = &chain[..chain.len() / 2];
    let garbled = chain.replacen("MII", "!!!", 1);
    let not_der = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let not_key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let mut rows = 0;
    for (row, chain, key, expected) in [
        ("P-256", chain.clone(), key.clone(), fine),
        ("P-384", other_chain.clone(), other_key.clone(), fine),
        ("Ed25519", edwards_chain, edwards_key, fine),
        ("chain of two", format!("{chain}{other_chain}"), key.clone(), fine),
        ("both in one file", format!("{key}{chain}"), format!("{chain}{key}"), fine),
        ("text around it", format!("subject=x\n{chain}\nthe end"), format!("\r\n{key}"), fine),
        ("empty", String::new(), key.clone(), Some("holds no certificate")),
        ("a key alone", key.clone(), key.clone(), Some("holds no certificate")),
        ("cut off", cut.to_owned(), key.clone(), Some("breaks off")),
        ("garbled", garbled, key.clone(), Some("base64")),
        ("no DER inside", not_der.to_owned(), key.clone(), Some("is broken")),
        ("empty key", chain.clone(), String::new(), Some("holds no private key")),
        ("certificate as key", chain.clone(), chain.clone(), Some("holds no private key")),
        ("no DER in the key", chain.clone(), not_key.to_owned(), Some("no kind that TLS knows")),
        ("encrypted key", chain.clone(), encrypted.to_owned(), Some("is encrypted")),
        ("foreign key", chain.clone(), other_key.clone(), Some("does not belong")),
        ("chain the wrong way round", format!("{other_chain}{chain}"), key.clone(), Some("does not belong")),
    ] {
        let read = Certificate::read(chain.as_bytes(), key.as_bytes());
        match (read.map_err(|fault| fault.to_string()), expected) {
            (Ok(_), None) => {}
            (Err(sentence), Some(part)) => {
                assert!(sentence.contains(part), "{row}: {sentence}");
                assert!(key.is_empty() || !sentence.contains(key.lines().nth(1).unwrap()), "{row}");
            }
            (other, _) => panic!("{row}: {:?}", other.err()),
        }
        rows += 1;
    }
    println!("counted | admin | pairs of certificate and key | {rows}");
}

#[test]
fn clients_will_complain_of_what_is_over_or_not_begun() {
    let (chain, key) = pair(&PKCS_ECDSA_P256_SHA256);
    let certificate = Certificate::read(chain.as_bytes(), key.as_bytes()).unwrap();
    for (now, expected) in [
        ("2025-02-28T23:59:59Z", Some("the certificate is not valid yet")),
        ("2025-03-01T00:00:00Z", None),
        // Beyond 2049 certificates write years with four digits.
        ("2051-04-02T00:00:00Z", None),
        ("2051-04-02T00:00:01Z", Some("the certificate has expired")),
    ] {
        assert_eq!(certificate.complaint(UnixMs::parse_rfc3339(now).unwrap()), expected, "{now}");
    }
}

#[test]
fn no_bytes_bring_the_reader_down() {
    let der = {
        let key = KeyPair::generate().unwrap();
        params().self_signed(&key).unwrap().der().to_vec()
    };
    assert!(validity::of(&der).is_some());
    for cut in 0..der.len().min(300) {
        validity::of(&der[..cut]);
        let mut changed = der.clone();
        for byte in [0x00, 0x7f, 0x84, 0xff] {
            changed[cut] = byte;
            validity::of(&changed);
        }
    }
}
