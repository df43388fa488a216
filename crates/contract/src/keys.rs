//! Making API keys and signing secrets, and what keys may do.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD, URL_SAFE_NO_PAD};
use posthaste_core::public_id::random_text;
use posthaste_core::{ApiKey, Dice, Secret};

use crate::model::{
    AccessKind, Algorithm, Auth, Contract, Encoding, KeyFormat, Need, Scheme, SecretEncoding, SecretKey,
    SecretRule,
};

/// A new API key's texts.
pub struct NewApiKey {
    /// The key.
    pub key: Secret,
    /// For contracts with signed requests: what signs them.
    pub signing_secret: Option<Secret>,
}

const ALNUM: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

impl Contract {
    /// Draws a new API key for the contract's first way to call. `level` is the tier or role that becomes part of
    /// the text where the contract says so.
    #[must_use]
    pub fn new_key(&self, level: Option<&str>, dice: &dyn Dice) -> NewApiKey {
        let Some(auth) = self.auth.first() else {
            return NewApiKey { key: Secret::from(random_text(ALNUM, 40, dice)), signing_secret: None };
        };
        let signing_secret = match &auth.scheme {
            Scheme::HmacRequest(signed) => Some(Secret::from(signed.secret.draw(None, dice))),
            _ => None,
        };
        NewApiKey { key: Secret::from(auth.key.draw(level, dice)), signing_secret }
    }

    /// Draws a new signing secret for a webhook.
    #[must_use]
    pub fn new_secret(&self, dice: &dyn Dice) -> Secret {
        let rule = &self.secret;
        let mut bytes = vec![0; rule.bytes];
        dice.fill(&mut bytes);
        let text = match rule.encoding {
            SecretEncoding::Hex => hex(&bytes),
            SecretEncoding::Base64 => STANDARD.encode(&bytes),
            SecretEncoding::Base64Url => URL_SAFE_NO_PAD.encode(&bytes),
            SecretEncoding::Alnum => random_text(ALNUM, (rule.bytes * 4).div_ceil(3), dice),
        };
        Secret::from(format!("{}{text}", rule.prefix))
    }

    /// Does a text have the form of a signing secret, so that a key can be made from it?
    #[must_use]
    pub fn is_secret(&self, text: &str) -> bool {
        !text.trim().is_empty() && signing_key(&self.secret, self.secret.key, text).is_some()
    }

    /// May this key do what the route needs?
    #[must_use]
    pub fn allows(&self, key: &ApiKey, need: Option<Need>) -> bool {
        let Some(Need(needed)) = need else { return true };
        let reaches = |order: &[String], level: &str| {
            order.iter().position(|l| l == level).is_some_and(|at| at >= needed)
        };
        match &self.access.kind {
            AccessKind::None => true,
            AccessKind::Tier(order) => key.tier.as_deref().is_some_and(|tier| reaches(order, tier)),
            AccessKind::Role(order) => key.roles.iter().any(|role| reaches(order, role)),
            AccessKind::Scope(scopes) => scopes.get(needed).is_some_and(|scope| key.scopes.contains(scope)),
        }
    }

    /// Does the contract know these rights? The reason if not.
    ///
    /// # Errors
    /// A sentence for people that names the kind of right and the known words.
    pub fn check_rights(
        &self,
        tier: Option<&str>,
        roles: &[String],
        scopes: &[String],
    ) -> Result<(), String> {
        let none: &[String] = &[];
        let (mut tiers, mut known_roles, mut known_scopes) = (none, none, none);
        match &self.access.kind {
            AccessKind::None => {}
            AccessKind::Tier(words) => tiers = words,
            AccessKind::Role(words) => known_roles = words,
            AccessKind::Scope(words) => known_scopes = words,
        }
        check_words("tier", tier.into_iter(), tiers)?;
        check_words("role", roles.iter().map(String::as_str), known_roles)?;
        check_words("scope", scopes.iter().map(String::as_str), known_scopes)
    }
}

fn check_words<'a>(
    what: &str,
    mut given: impl Iterator<Item = &'a str>,
    known: &[String],
) -> Result<(), String> {
    match given.find(|word| !known.iter().any(|known| known == word)) {
        None => Ok(()),
        Some(_) if known.is_empty() => Err(format!("this contract has no {what}s")),
        Some(_) => Err(format!("unknown {what}; known are {}", known.join(", "))),
    }
}

impl KeyFormat {
    /// Draws a text of this form.
    #[must_use]
    pub fn draw(&self, level: Option<&str>, dice: &dyn Dice) -> String {
        let mut text = self.prefix.clone();
        if let (Some(separator), Some(level)) = (&self.level_separator, level) {
            text.push_str(level);
            text.push_str(separator);
        }
        text + &random_text(self.digits.as_bytes(), self.length, dice)
    }
}

impl Auth {
    /// The value of `WWW-Authenticate` on a 401.
    #[must_use]
    pub fn challenge(&self) -> String {
        match &self.scheme {
            Scheme::Bearer => "Bearer".to_owned(),
            Scheme::Basic => "Basic realm=\"webhooks\", charset=\"UTF-8\"".to_owned(),
            Scheme::ApiKey { header } => format!("ApiKey header=\"{header}\""),
            Scheme::HmacRequest(signed) => format!("HMAC header=\"{}\"", signed.signature_header),
        }
    }
}

/// The bytes that sign, made from a secret's text by one rule; `None` if the text is not of the form that needs.
pub(crate) fn signing_key(rule: &SecretRule, made: SecretKey, text: &str) -> Option<Vec<u8>> {
    const FORGIVING: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    const PLAIN: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, FORGIVING);
    const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, FORGIVING);
    let inner = text.strip_prefix(rule.prefix.as_str()).unwrap_or(text);
    let key = match made {
        SecretKey::Utf8 => return Some(text.as_bytes().to_vec()),
        SecretKey::Base64 => PLAIN.decode(inner).or_else(|_| URL_SAFE.decode(inner)).ok()?,
        SecretKey::Hex => unhex(inner)?,
    };
    (!key.is_empty()).then_some(key)
}

/// The bytes that sign, set up for an algorithm.
pub(crate) fn hmac_key(algorithm: Algorithm, key: &[u8]) -> hmac::Key {
    let algorithm = match algorithm {
        Algorithm::HmacSha256 => hmac::HMAC_SHA256,
        Algorithm::HmacSha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        Algorithm::HmacSha512 => hmac::HMAC_SHA512,
    };
    hmac::Key::new(algorithm, key)
}

/// The signature of a text in parts.
pub(crate) fn sign<'a>(key: &hmac::Key, parts: impl IntoIterator<Item = &'a [u8]>) -> hmac::Tag {
    let mut context = hmac::Context::with_key(key);
    parts.into_iter().for_each(|part| context.update(part));
    context.sign()
}

/// Bytes as a contract spells signatures.
pub(crate) fn spell(encoding: Encoding, bytes: &[u8], onto: &mut String) {
    match encoding {
        Encoding::Hex => write_hex(bytes, onto),
        Encoding::Base64 => STANDARD.encode_string(bytes, onto),
    }
}

/// Are two texts equal? Takes as long for texts that differ early as late.
pub(crate) fn equal_in_constant_time(a: &str, b: &str) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(a.as_bytes(), b.as_bytes()).is_ok()
}

fn hex(bytes: &[u8]) -> String {
    let mut digits = String::with_capacity(bytes.len() * 2);
    write_hex(bytes, &mut digits);
    digits
}

fn write_hex(bytes: &[u8], onto: &mut String) {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    onto.extend(bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]));
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u32> = text.chars().map(|c| c.to_digit(16)).collect::<Option<_>>()?;
    let pairs = digits.chunks(2);
    pairs.map(|pair| if let [high, low] = pair { u8::try_from(high * 16 + low).ok() } else { None }).collect()
}
