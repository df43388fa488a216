//! Writing views.

use std::fmt::Write as _;
use std::time::Duration;

use posthaste_core::{Outcome, Subscription, UnixMs};

use crate::facts::{ErrorFacts, Scope, Subject};
use crate::json::{string, write_string};
use crate::model::view::{Format, Hide, Kind, Member, MemberValue, Source, ViewRoot};
use crate::model::{Catalogue, Contract, Index};

impl Contract {
    /// The JSON text of a view, members in the contract's order. `view` is an index such as
    /// [`crate::model::Route`] holds.
    #[must_use]
    pub fn render(&self, view: Index, scope: &Scope<'_>) -> String {
        self.render_with(view, scope, None)
    }

    /// The JSON text of the error view.
    pub(crate) fn render_with(
        &self,
        view: Index,
        scope: &Scope<'_>,
        error: Option<&ErrorFacts<'_>>,
    ) -> String {
        let mut writer = Writer { contract: self, scope: *scope, error, out: String::with_capacity(512) };
        writer.view(view, &scope.subject);
        writer.out
    }
}

struct Writer<'a> {
    contract: &'a Contract,
    scope: Scope<'a>,
    error: Option<&'a ErrorFacts<'a>>,
    out: String,
}

/// A value of ours, before it is spelled.
enum Value<'a> {
    Null,
    Text(&'a str),
    Word(&'static str),
    Time(UnixMs),
    Span(Duration),
    Number(u64),
    Flag(bool),
    /// JSON text.
    Json(String),
}

impl<'a> Writer<'a> {
    fn view(&mut self, view: Index, subject: &Subject<'a>) {
        let contract = self.contract;
        match contract.views.get(view).map(|view| &view.root) {
            Some(ViewRoot::Object(members)) => self.object(members, subject),
            Some(ViewRoot::Items(each)) => self.items(*each),
            None => self.out.push_str("null"),
        }
    }

    fn items(&mut self, each: Index) {
        self.out.push('[');
        let items = self.scope.page.map_or(&[][..], |page| page.items);
        for (n, item) in items.iter().enumerate() {
            if n > 0 {
                self.out.push(',');
            }
            self.view(each, item);
        }
        self.out.push(']');
    }

    fn object(&mut self, members: &'a [Member], subject: &Subject<'a>) {
        self.out.push('{');
        let mut is_first = true;
        for member in members {
            let is_shown = member.shown_by.is_empty() || member.shown_by.contains(&self.scope.op);
            if !is_shown && member.hide == Hide::Omit {
                continue;
            }
            if !std::mem::take(&mut is_first) {
                self.out.push(',');
            }
            write_string(&mut self.out, &member.name);
            self.out.push(':');
            match (is_shown, member.hide) {
                (true, _) => self.member_value(&member.value, subject),
                (false, Hide::Mask) => self.out.push_str("\"********\""),
                (false, _) => self.out.push_str("null"),
            }
        }
        self.out.push('}');
    }

    fn member_value(&mut self, value: &'a MemberValue, subject: &Subject<'a>) {
        match value {
            MemberValue::Const(text) => self.out.push_str(text),
            MemberValue::Object(inner) => self.object(inner, subject),
            MemberValue::View(view) => self.view(*view, subject),
            MemberValue::Items(each) => self.items(*each),
            MemberValue::From(source, format) => {
                let value = self.value(source, subject);
                self.spell(&value, format);
            }
        }
    }

    fn spell(&mut self, value: &Value<'_>, format: &Format) {
        match value {
            Value::Null => self.out.push_str("null"),
            Value::Text(text) => write_string(&mut self.out, text),
            Value::Json(text) => self.out.push_str(text),
            Value::Flag(flag) => self.out.push_str(if *flag { "true" } else { "false" }),
            Value::Word(word) => self.out.push_str(&spell_word(word, format)),
            Value::Time(at) => self.out.push_str(&spell_time(*at, format)),
            Value::Span(span) => self.number(span.as_millis()),
            Value::Number(number) if *format == Format::Text => {
                let _ = write!(self.out, "\"{number}\"");
            }
            Value::Number(number) => self.number(number),
        }
    }

    fn number(&mut self, number: impl std::fmt::Display) {
        let _ = write!(self.out, "{number}");
    }

    fn value(&self, source: &Source, subject: &Subject<'a>) -> Value<'a> {
        match source.word().split_once('.').map_or("", |(group, _)| group) {
            "endpoint" => self.webhook_value(source, subject),
            "event" => event_value(source, subject),
            "delivery" => delivery_value(source, subject),
            "attempt" => self.attempt_value(source, subject),
            "page" => self.page_value(source),
            "test" => self.test_value(source),
            "error" => self.error_value(source),
            _ => Value::Text(self.scope.request_id),
        }
    }

    fn webhook_value(&self, source: &Source, subject: &Subject<'a>) -> Value<'a> {
        let Some(webhook) = subject.webhook else { return Value::Null };
        match source {
            Source::WebhookId => Value::Text(&webhook.id),
            Source::WebhookAccount => Value::Text(&webhook.account_id),
            Source::WebhookUrl => Value::Text(&webhook.url),
            Source::WebhookEvents => Value::Json(self.contract.events.listed(&webhook.subscription)),
            Source::WebhookState => Value::Word(webhook.state.word()),
            Source::WebhookDescription => optional(webhook.description.as_deref(), Value::Text),
            Source::WebhookSecret => Value::Text(webhook.secrets.current.expose_text()),
            Source::WebhookPreviousSecretUntil => {
                optional(webhook.secrets.previous.first(), |(_, until)| Value::Time(*until))
            }
            Source::WebhookFailures => Value::Number(u64::from(webhook.health.consecutive_failures)),
            Source::WebhookLastAttemptAt => optional(webhook.health.last_attempt_at, Value::Time),
            Source::WebhookLastSuccessAt => optional(webhook.health.last_success_at, Value::Time),
            Source::WebhookCreatedAt => Value::Time(webhook.created_at),
            Source::WebhookUpdatedAt => Value::Time(webhook.updated_at),
            Source::WebhookExtension(name) => {
                optional(webhook.extension.get(name), |text| Value::Text(text.as_str()))
            }
            _ => Value::Null,
        }
    }

    fn attempt_value(&self, source: &Source, subject: &Subject<'a>) -> Value<'a> {
        let Some(attempt) = subject.attempt else { return Value::Null };
        match source {
            Source::AttemptNumber => Value::Number(u64::from(attempt.number)),
            Source::AttemptTimestamp | Source::AttemptStartedAt => Value::Time(attempt.started_at),
            Source::AttemptFinishedAt => Value::Time(attempt.finished_at()),
            Source::AttemptDuration => Value::Span(attempt.duration),
            Source::AttemptStatus => {
                optional(attempt.outcome.status(), |code| Value::Number(u64::from(code)))
            }
            Source::AttemptOk => {
                let success = &self.contract.policy.success;
                Value::Flag(attempt.outcome.status().is_some_and(|status| success.contains(status)))
            }
            Source::AttemptError => match &attempt.outcome {
                Outcome::Failed(fault) => Value::Word(fault.kind.word()),
                Outcome::Answered(_) => Value::Null,
            },
            Source::AttemptResponseBody => match &attempt.outcome {
                Outcome::Answered(response) => Value::Json(string(&String::from_utf8_lossy(&response.body))),
                Outcome::Failed(_) => Value::Null,
            },
            _ => Value::Null,
        }
    }

    fn page_value(&self, source: &Source) -> Value<'a> {
        let Some(page) = self.scope.page else { return Value::Null };
        match source {
            Source::PageNumber => Value::Number(page.number),
            Source::PageSize => Value::Number(u64::from(page.size)),
            Source::PageOffset => Value::Number(page.offset),
            Source::PageCount => Value::Number(page.items.len() as u64),
            Source::PageTotal => Value::Number(page.total),
            Source::PageMore => Value::Flag(page.more),
            Source::PageNext => optional(page.next, Value::Text),
            _ => Value::Null,
        }
    }

    fn test_value(&self, source: &Source) -> Value<'a> {
        let Some(test) = self.scope.test else { return Value::Null };
        match source {
            Source::TestOk => Value::Flag(test.ok),
            Source::TestStatus => optional(test.status, |code| Value::Number(u64::from(code))),
            Source::TestDuration => optional(test.duration, Value::Span),
            Source::TestMessage => Value::Text(test.message),
            Source::TestError => optional(test.error, Value::Text),
            _ => Value::Null,
        }
    }

    fn error_value(&self, source: &Source) -> Value<'a> {
        let Some(error) = self.error else { return Value::Null };
        match source {
            Source::ErrorCode => Value::Text(error.code),
            Source::ErrorMessage => Value::Text(error.message),
            Source::ErrorStatus => Value::Number(u64::from(error.status)),
            Source::ErrorTitle => Value::Text(error.title),
            Source::ErrorDetails => Value::Json(error.details_json()),
            Source::ErrorFields => Value::Json(error.fields_json()),
            _ => Value::Null,
        }
    }
}

fn optional<'a, T>(value: Option<T>, make: impl FnOnce(T) -> Value<'a>) -> Value<'a> {
    value.map_or(Value::Null, make)
}

fn event_value<'a>(source: &Source, subject: &Subject<'a>) -> Value<'a> {
    let Some(event) = subject.event else { return Value::Null };
    match source {
        Source::EventId => Value::Text(event.id),
        Source::EventType => Value::Text(event.event_type),
        Source::EventAccount => {
            let owner = subject.webhook.map(|webhook| webhook.account_id.as_str());
            optional(event.account_id.or(owner), Value::Text)
        }
        Source::EventOccurredAt => Value::Time(event.occurred_at),
        Source::EventData => Value::Json(event.data.to_owned()),
        _ => Value::Null,
    }
}

fn delivery_value<'a>(source: &Source, subject: &Subject<'a>) -> Value<'a> {
    let Some(facts) = subject.delivery else { return Value::Null };
    let delivery = facts.delivery;
    match source {
        Source::DeliveryId => Value::Text(facts.id),
        Source::DeliveryState => Value::Word(delivery.state.word()),
        Source::DeliveryReason => optional(delivery.reason.as_deref(), Value::Text),
        Source::DeliveryAttempts => Value::Number(u64::from(delivery.attempts)),
        Source::DeliveryNextAttemptAt => optional(delivery.next_attempt_at, Value::Time),
        Source::DeliveryDeliveredAt => optional(delivery.delivered_at, Value::Time),
        Source::DeliveryLastStatus => optional(delivery.last_status, |code| Value::Number(u64::from(code))),
        Source::DeliveryLastAttemptAt => optional(delivery.last_attempt_at, Value::Time),
        Source::DeliveryCreatedAt => Value::Time(facts.created_at),
        _ => Value::Null,
    }
}

/// A word of ours as JSON text. A canceled delivery is shown as failed where the contract has no word for it.
fn spell_word(word: &str, format: &Format) -> String {
    match format {
        Format::Bool(trues) => trues.iter().any(|known| known == word).to_string(),
        Format::Enum(map) => {
            let theirs =
                |word: &str| map.iter().find(|(ours, _)| ours == word).map(|(_, theirs)| theirs.as_str());
            let fallback = if word == Kind::CANCELED { theirs("failed") } else { None };
            string(theirs(word).or(fallback).unwrap_or(word))
        }
        _ => string(word),
    }
}

/// A time as JSON text.
pub(crate) fn spell_time(at: UnixMs, format: &Format) -> String {
    match format {
        Format::Unix => at.seconds().to_string(),
        Format::UnixMs => at.0.to_string(),
        Format::Rfc3339Ms => string(&at.rfc3339_ms()),
        _ => string(&at.rfc3339()),
    }
}

impl Catalogue {
    /// A subscription as a JSON array: "all" as the types of the day, or as `*` where the catalogue is open.
    #[must_use]
    pub fn listed(&self, subscription: &Subscription) -> String {
        let names: Vec<String> = match subscription {
            Subscription::Patterns(patterns) => patterns.iter().map(|pattern| string(pattern)).collect(),
            Subscription::All if self.open => vec!["\"*\"".to_owned()],
            Subscription::All => {
                self.types.iter().filter(|known| !known.internal).map(|known| string(&known.name)).collect()
            }
        };
        format!("[{}]", names.join(","))
    }
}
