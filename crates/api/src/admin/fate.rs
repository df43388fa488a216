//! What became of an event at a webhook.

use posthaste_core::delivery::reasons;
use posthaste_core::{Audience, Delivery, DeliveryState, Event, Seq, UnixMs, Webhook, WebhookState};

/// What became of an event at a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fate {
    pub status: Status,
    pub reason: Option<String>,
    pub next_attempt_at: Option<UnixMs>,
}

/// Where it stands, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// As its delivery says.
    Delivery(DeliveryState),
    /// It waits until the webhook is resumed.
    Held,
    /// It is not for this webhook.
    NotSent,
}

impl Status {
    pub fn word(self) -> &'static str {
        match self {
            Self::Delivery(state) => state.word(),
            Self::Held => "held",
            Self::NotSent => "not_sent",
        }
    }
}

/// Tells what became of an event at a webhook: from the delivery's row if it has one, else from what made it have none.
///
/// Up to the `checkpoint` every delivery owed has a row; beyond it a missing row means that the event is on its way.
pub(crate) fn of(event: &Event, webhook: &Webhook, row: Option<&Delivery>, checkpoint: Seq) -> Fate {
    if let Some(row) = row {
        return of_row(webhook, row);
    }
    if event.seq > checkpoint && will_be_canceled(event, webhook) {
        let reason = Some(reasons::WEBHOOK_DISABLED.to_owned());
        return Fate { status: Status::Delivery(DeliveryState::Canceled), reason, next_attempt_at: None };
    }
    if let Some(reason) = why_not(event, webhook) {
        return not_sent(reason);
    }
    if event.seq <= checkpoint {
        return not_sent(reasons::CHANGED_LATER);
    }
    pending(webhook, None, Some(event.due_at()))
}

fn of_row(webhook: &Webhook, row: &Delivery) -> Fate {
    let reason = row.reason.as_deref();
    match row.state {
        DeliveryState::Pending => pending(webhook, reason, row.next_attempt_at),
        state => {
            Fate { status: Status::Delivery(state), reason: reason.map(str::to_owned), next_attempt_at: None }
        }
    }
}

fn pending(webhook: &Webhook, reason: Option<&str>, due_at: Option<UnixMs>) -> Fate {
    if webhook.state == WebhookState::Paused {
        let reason = Some(reasons::WEBHOOK_PAUSED.to_owned());
        return Fate { status: Status::Held, reason, next_attempt_at: None };
    }
    let status = Status::Delivery(DeliveryState::Pending);
    Fate { status, reason: reason.map(str::to_owned), next_attempt_at: due_at }
}

/// Was the webhook owed the event until it was switched off? Then fan-out, when it comes to it, writes the delivery as canceled.
fn will_be_canceled(event: &Event, webhook: &Webhook) -> bool {
    !event.is_test()
        && webhook.was_owed(&event.event_type, event.seq)
        && webhook.is_concerned(event.watched.as_deref())
}

/// Why the webhook, as it is now, would not get the event.
fn why_not(event: &Event, webhook: &Webhook) -> Option<&'static str> {
    let is_test = matches!(event.audience, Audience::Webhook(no) if no == webhook.no);
    if event.seq <= webhook.created_after {
        Some(reasons::CREATED_LATER)
    } else if webhook.deleted.is_some_and(|(_, last)| event.seq > last) {
        Some(reasons::WEBHOOK_DELETED)
    } else if !is_test && !webhook.subscription.covers(&event.event_type) {
        Some(reasons::NOT_SUBSCRIBED)
    } else if webhook.state == WebhookState::Disabled {
        Some(reasons::WEBHOOK_DISABLED)
    } else if !webhook.is_concerned(event.watched.as_deref()) {
        Some(reasons::NOT_CROSSED)
    } else {
        None
    }
}

fn not_sent(reason: &str) -> Fate {
    Fate { status: Status::NotSent, reason: Some(reason.to_owned()), next_attempt_at: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use posthaste_core::{
        AccountNo, DeliveryKey, EventBody, Health, Secret, SigningSecrets, Subscription, WebhookNo,
    };

    fn webhook() -> Webhook {
        Webhook {
            no: WebhookNo(1),
            id: "wh_1".into(),
            account: AccountNo(1),
            account_id: "acme".into(),
            key: None,
            url: "https://acme.example/".into(),
            canonical_url: "https://acme.example/".into(),
            subscription: Subscription::Patterns(vec!["order.*".into()]),
            state: WebhookState::Active,
            description: None,
            extension: Default::default(),
            secrets: SigningSecrets { current: Secret::from("s".to_owned()), previous: vec![] },
            created_after: Seq(10),
            health: Health::default(),
            created_at: UnixMs(0),
            updated_at: UnixMs(0),
            off_after: None,
            deleted: None,
            is_account_deleted: false,
        }
    }

    fn event(seq: i64, event_type: &str) -> Event {
        Event {
            seq: Seq(seq),
            audience: Audience::Account(AccountNo(1)),
            event_type: event_type.into(),
            created_at: UnixMs(1_000),
            send_at: Some(UnixMs(5_000)),
            body: EventBody { bytes: Default::default(), data: 0..0, account_at: None },
            watched: None,
            ordering_key: None,
        }
    }

    fn row(state: DeliveryState, next: Option<i64>, reason: Option<&str>) -> Delivery {
        Delivery {
            key: DeliveryKey { event: Seq(20), webhook: WebhookNo(1) },
            state,
            reason: reason.map(str::to_owned),
            attempts: 1,
            next_attempt_at: next.map(UnixMs),
            delivered_at: None,
            last_status: None,
            last_attempt_at: None,
        }
    }

    fn told(event: &Event, webhook: &Webhook, row: Option<&Delivery>) -> String {
        let fate = of(event, webhook, row, Seq(20));
        let next = fate.next_attempt_at.map(|at| at.0);
        format!("{} {} {next:?}", fate.status.word(), fate.reason.unwrap_or_default())
    }

    #[test]
    fn without_a_row_the_webhook_says_why() {
        type Change = fn(&mut Webhook);
        let cases: [(i64, &str, Change, &str); 10] = [
            (10, "order.paid", |_| {}, "not_sent created_later None"),
            (11, "user.made", |_| {}, "not_sent not_subscribed None"),
            (11, "order.paid", |_| {}, "not_sent changed_later None"),
            (21, "order.paid", |_| {}, "pending  Some(5000)"),
            (21, "order.paid", |webhook| webhook.state = WebhookState::Paused, "held webhook_paused None"),
            (11, "order.paid", |webhook| webhook.state = WebhookState::Paused, "not_sent changed_later None"),
            (21, "user.made", |webhook| webhook.state = WebhookState::Paused, "not_sent not_subscribed None"),
            (
                21,
                "order.paid",
                |webhook| webhook.state = WebhookState::Disabled,
                "not_sent webhook_disabled None",
            ),
            (
                21,
                "order.paid",
                |webhook| webhook.deleted = Some((UnixMs(9), Seq(20))),
                "not_sent webhook_deleted None",
            ),
            (21, "order.paid", |webhook| webhook.deleted = Some((UnixMs(9), Seq(21))), "pending  Some(5000)"),
        ];
        for (seq, event_type, change, expected) in cases {
            let mut webhook = webhook();
            change(&mut webhook);
            assert_eq!(told(&event(seq, event_type), &webhook, None), expected, "{seq} {event_type}");
        }
    }

    #[test]
    fn what_was_owed_until_it_was_switched_off_is_canceled() {
        let mut webhook = webhook();
        (webhook.state, webhook.off_after) = (WebhookState::Disabled, Some(Seq(22)));
        let not_sent = "not_sent webhook_disabled None";
        let cases = [
            (22, "order.paid", "canceled webhook_disabled None"),
            (23, "order.paid", not_sent),
            (20, "order.paid", not_sent),
            (22, "user.made", "not_sent not_subscribed None"),
        ];
        for (seq, event_type, expected) in cases {
            assert_eq!(told(&event(seq, event_type), &webhook, None), expected, "{seq} {event_type}");
        }
        let mut test = event(22, "order.paid");
        test.audience = Audience::Webhook(WebhookNo(1));
        assert_eq!(told(&test, &webhook, None), not_sent);
    }

    #[test]
    fn a_row_speaks_for_itself_but_for_the_pause() {
        let event = event(20, "order.paid");
        let mut webhook = webhook();
        let waiting = row(DeliveryState::Pending, Some(9), None);
        assert_eq!(told(&event, &webhook, Some(&waiting)), "pending  Some(9)");
        let failed = row(DeliveryState::Failed, None, Some(reasons::ATTEMPTS_EXHAUSTED));
        assert_eq!(told(&event, &webhook, Some(&failed)), "failed attempts_exhausted None");
        webhook.state = WebhookState::Paused;
        assert_eq!(told(&event, &webhook, Some(&waiting)), "held webhook_paused None");
        let delivered = row(DeliveryState::Delivered, None, None);
        assert_eq!(told(&event, &webhook, Some(&delivered)), "delivered  None");
    }

    #[test]
    fn a_test_needs_no_subscription() {
        let mut event = event(21, "webhook.test");
        event.audience = Audience::Webhook(WebhookNo(1));
        assert_eq!(told(&event, &webhook(), None), "pending  Some(5000)");
    }
}
