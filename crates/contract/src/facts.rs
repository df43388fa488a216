//! The values that views, payloads and headers are made of.

use std::time::Duration;

use posthaste_core::{Attempt, Delivery, UnixMs, Webhook};

use crate::fault::FieldFault;
use crate::json::string;
use crate::model::Op;

/// Everything a view may draw from. What is absent is written as null.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// What the request does; decides which secrets are shown.
    pub op: Op,
    /// The request's id.
    pub request_id: &'a str,
    /// What the answer is about.
    pub subject: Subject<'a>,
    /// Where in a list it stands, for lists.
    pub page: Option<&'a PageFacts<'a>>,
    /// What became of a test, for tests.
    pub test: Option<&'a TestFacts<'a>>,
}

/// What an answer, or one item of a list, is about.
#[derive(Clone, Copy, Default)]
pub struct Subject<'a> {
    /// The webhook.
    pub webhook: Option<&'a Webhook>,
    /// The event.
    pub event: Option<EventFacts<'a>>,
    /// The delivery.
    pub delivery: Option<DeliveryFacts<'a>>,
    /// The attempt.
    pub attempt: Option<&'a Attempt>,
}

/// An event as views see it.
#[derive(Clone, Copy)]
pub struct EventFacts<'a> {
    /// Its public id.
    pub id: &'a str,
    /// Its type.
    pub event_type: &'a str,
    /// When it was accepted.
    pub occurred_at: UnixMs,
    /// The account's id, if it was for one.
    pub account_id: Option<&'a str>,
    /// The publisher's data object as JSON text.
    pub data: &'a str,
}

/// A delivery as views see it.
#[derive(Clone, Copy)]
pub struct DeliveryFacts<'a> {
    /// Its public id.
    pub id: &'a str,
    /// The delivery.
    pub delivery: &'a Delivery,
    /// When its event was accepted.
    pub created_at: UnixMs,
}

/// A part of a list.
#[derive(Clone, Copy, Default)]
pub struct PageFacts<'a> {
    /// The items.
    pub items: &'a [Subject<'a>],
    /// Which page, from 1.
    pub number: u64,
    /// The most items on a page.
    pub size: u32,
    /// Items before this page.
    pub offset: u64,
    /// Items on all pages.
    pub total: u64,
    /// Are there more?
    pub more: bool,
    /// What asks for the next page.
    pub next: Option<&'a str>,
}

/// What became of a test event.
#[derive(Clone, Copy)]
pub struct TestFacts<'a> {
    /// Did the receiver take it?
    pub ok: bool,
    /// The receiver's status code.
    pub status: Option<u16>,
    /// How long it took.
    pub duration: Option<Duration>,
    /// A sentence for people.
    pub message: &'a str,
    /// The kind of fault, if it failed.
    pub error: Option<&'a str>,
}

/// What a refusal says.
#[derive(Clone, Copy)]
pub struct ErrorFacts<'a> {
    /// The HTTP status.
    pub status: u16,
    /// The contract's code.
    pub code: &'a str,
    /// The status code's standard phrase.
    pub title: &'a str,
    /// A sentence for people.
    pub message: &'a str,
    /// The rejected fields.
    pub fields: &'a [FieldFault],
}

impl ErrorFacts<'_> {
    /// `{}`, or `{"fields":{"url":"…"}}` with the first fault of each field.
    #[must_use]
    pub fn details_json(&self) -> String {
        if self.fields.is_empty() {
            return "{}".to_owned();
        }
        let is_first = |n: usize, fault: &FieldFault| self.fields[..n].iter().all(|f| f.field != fault.field);
        let firsts = self.fields.iter().enumerate().filter(|(n, fault)| is_first(*n, fault));
        let members: Vec<String> =
            firsts.map(|(_, fault)| format!("{}:{}", string(&fault.field), string(&fault.message))).collect();
        format!("{{\"fields\":{{{}}}}}", members.join(","))
    }

    /// An array with `field`, `rule` and `message` of each fault.
    #[must_use]
    pub fn fields_json(&self) -> String {
        let one = |fault: &FieldFault| {
            let (field, rule, message) = (string(&fault.field), string(fault.rule), string(&fault.message));
            format!("{{\"field\":{field},\"rule\":{rule},\"message\":{message}}}")
        };
        format!("[{}]", self.fields.iter().map(one).collect::<Vec<_>>().join(","))
    }
}
