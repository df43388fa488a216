//! What receivers get.

use std::time::Duration;

use super::access::SecretKey;
use super::route::words;
use super::view::{Format, Source};

/// The body of deliveries: an object.
#[derive(Debug, Clone, PartialEq)]
pub struct Payload {
    /// Its members.
    pub members: Vec<PayloadMember>,
}

impl Payload {
    /// The names of the members beside the spread data; `None` if the data is not spread.
    #[must_use]
    pub fn siblings_of_spread(&self) -> Option<Vec<&str>> {
        siblings_of_spread(&self.members)
    }
}

fn siblings_of_spread(members: &[PayloadMember]) -> Option<Vec<&str>> {
    let is_here = members.contains(&PayloadMember::SpreadData);
    if is_here {
        let mut names = Vec::new();
        for member in members {
            if let PayloadMember::Named(name, _) = member {
                names.push(name.as_str());
            }
        }
        return Some(names);
    }
    members.iter().find_map(|member| match member {
        PayloadMember::Named(_, PayloadValue::Object(inner)) => siblings_of_spread(inner),
        _ => None,
    })
}

/// A part of an object of the body.
#[derive(Debug, Clone, PartialEq)]
pub enum PayloadMember {
    /// A member.
    Named(String, PayloadValue),
    /// The members of the publisher's data object.
    SpreadData,
}

/// What a member of the body holds.
#[derive(Debug, Clone, PartialEq)]
pub enum PayloadValue {
    /// A value of ours.
    From(Source, Format),
    /// Always this JSON text.
    Const(String),
    /// The publisher's data object.
    Data,
    /// An object of its own.
    Object(Vec<PayloadMember>),
}

/// One signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureRule {
    /// The header it stands in.
    pub header: String,
    /// How it is computed.
    pub algorithm: Algorithm,
    /// How its key is made from a secret's text, where that is not the contract's way.
    pub key: Option<SecretKey>,
    /// The text that is signed.
    pub signed: Vec<SignaturePart>,
    /// What stands between its parts.
    pub join: String,
    /// How the attempt's time is spelled in it.
    pub timestamp: TimeSpelling,
    /// How it is spelled.
    pub encoding: Encoding,
    /// What stands around it.
    pub layout: Layout,
    /// What happens while more than one secret signs.
    pub many: Many,
}

/// A part of the text that is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignaturePart {
    /// The body as sent.
    Body,
    /// When the attempt began.
    Timestamp,
    /// The event's id.
    EventId,
    /// The delivery's id.
    DeliveryId,
    /// The webhook's id.
    WebhookId,
    /// The webhook's URL as supplied.
    Url,
    /// Fixed text.
    Text(String),
}

words! {
    /// How a signature is computed.
    Algorithm {
        /// HMAC with SHA-256.
        HmacSha256 = "hmac-sha256",
        /// HMAC with SHA-1, for old receivers.
        HmacSha1 = "hmac-sha1",
        /// HMAC with SHA-512.
        HmacSha512 = "hmac-sha512",
    }
}

words! {
    /// How a signature is spelled.
    Encoding {
        /// Lower-case hexadecimal.
        Hex = "hex",
        /// Base 64 with padding.
        Base64 = "base64",
    }
}

words! {
    /// How a time is spelled where it is text.
    TimeSpelling {
        /// Seconds since 1970.
        Unix = "unix",
        /// Milliseconds since 1970.
        UnixMs = "unix-ms",
        /// `2026-04-18T10:00:00Z`.
        Rfc3339 = "rfc3339",
        /// `2026-04-18T10:00:00.000Z`.
        Rfc3339Ms = "rfc3339-ms",
    }
}

/// What stands around a signature in its header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layout {
    /// Nothing.
    Bare,
    /// This text in front.
    Prefix(String),
    /// `t=TIME,v1=SIGNATURE`.
    Pairs {
        /// The name of the time, if it is there.
        timestamp: Option<String>,
        /// The name of the signature.
        signature: String,
        /// What stands between the pairs.
        by: String,
    },
}

/// What happens while more than one secret signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Many {
    /// All in one header, newest first, with this between.
    Join(String),
    /// The newest in the main header, the one before in this header.
    Header(String),
    /// Headers with `-1`, `-2` … after the name, newest first.
    Numbered,
    /// Only the newest signs.
    Newest,
    /// The signature's pair is repeated.
    Repeat,
}

/// The headers of deliveries beside signatures.
#[derive(Debug, Clone, PartialEq)]
pub struct DeliveryRules {
    /// The media type of the body.
    pub content_type: String,
    /// Further headers, in order.
    pub headers: Vec<DeliveryHeader>,
}

/// A header of deliveries.
#[derive(Debug, Clone, PartialEq)]
pub struct DeliveryHeader {
    /// Its name.
    pub name: String,
    /// A value of ours and its format, or fixed text.
    pub value: HeaderValue,
}

/// What a header of deliveries holds.
#[derive(Debug, Clone, PartialEq)]
pub enum HeaderValue {
    /// A value of ours.
    From(Source, Format),
    /// Fixed text.
    Const(String),
}

/// What happens when a signing secret is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RotationRule {
    /// How long the former one signs beside the new one, unless the caller says otherwise.
    pub overlap: Duration,
    /// How many may sign at one time.
    pub keys: usize,
}
