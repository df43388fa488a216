//! Events and their bodies.

use std::ops::Range;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};

use crate::ids::{AccountNo, Seq, WebhookNo};
use crate::ordering::{Chain, OrderingKey};
use crate::time::UnixMs;
use crate::watched::Watched;

/// Whom an event is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// The webhooks of one account.
    Account(AccountNo),
    /// The webhooks of every account.
    Broadcast,
    /// One webhook alone, whatever it subscribed to: a test event.
    Webhook(WebhookNo),
}

/// Something that happened, as accepted. It never changes afterwards.
#[derive(Debug, Clone)]
pub struct Event {
    /// Its place in the order of acceptance; the public id is made from it.
    pub seq: Seq,
    /// Whom it is for.
    pub audience: Audience,
    /// The dotted type.
    pub event_type: Arc<str>,
    /// When it was accepted.
    pub created_at: UnixMs,
    /// Not to be sent before this time.
    pub send_at: Option<UnixMs>,
    /// The bytes every attempt sends.
    pub body: EventBody,
    /// The value that its type watches, if it does.
    pub watched: Option<Box<Watched>>,
    /// Events with the same key reach each webhook in the order of their acceptance.
    pub ordering_key: Option<OrderingKey>,
}

impl Event {
    /// Is it from the test route? Test events are tried once and do not touch the webhook's health.
    #[must_use]
    pub fn is_test(&self) -> bool {
        matches!(self.audience, Audience::Webhook(_))
    }

    /// What its deliveries wait for their turn in, if they do.
    #[must_use]
    pub fn chain(&self) -> Option<Chain> {
        self.ordering_key.as_ref().map(OrderingKey::chain)
    }

    /// The earliest time at which a first attempt may be made.
    #[must_use]
    pub fn due_at(&self) -> UnixMs {
        self.send_at.unwrap_or(self.created_at)
    }
}

/// When an event is due in steady time that is to be sent at a time of the wall clock, which is `ahead_ms` ahead now.
///
/// The wait was settled when the event was accepted, and a clock that is set wrong since does not move it. Of what the
/// clock shows now and what it showed then, that counts which is nearer to steady time. Of then the second is known: where
/// it counts, or where it is not clear which is nearer, the event may be due late by as much, and never early.
#[must_use]
pub fn due_in_steady_time(seq: Seq, created_at: UnixMs, send_at: UnixMs, ahead_ms: i64) -> UnixMs {
    const SECOND_MS: i64 = 1_000;
    // It was ahead by this, or by up to a second more.
    let then_ms = created_at.0.saturating_sub(seq.end_of_second().0);
    let is_as_then = (0..=SECOND_MS).contains(&ahead_ms.saturating_sub(then_ms));
    let further_ms = ahead_ms.saturating_abs().saturating_sub(then_ms.saturating_abs());
    let counts_ms = if is_as_then || further_ms < -SECOND_MS {
        ahead_ms
    } else if further_ms > SECOND_MS {
        then_ms
    } else {
        ahead_ms.min(then_ms)
    };
    UnixMs(send_at.0.saturating_sub(counts_ms))
}

/// The body to send, built once when the event was accepted.
///
/// The publisher's data lies inside it as the bytes that came; `data` says where the members of the data object
/// are, without their braces. A broadcast body that names the account has a gap at `account_at`, filled for each
/// webhook with the account's id as a JSON string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventBody {
    /// The bytes, less the account's id where there is a gap.
    pub bytes: Bytes,
    /// Where the members of the data object stand in `bytes`.
    pub data: Range<u32>,
    /// Where the account's id belongs, if it is left out.
    pub account_at: Option<u32>,
}

impl EventBody {
    /// The bytes to send to a webhook of the account. Shares them unless there is a gap to fill.
    ///
    /// `account_json` is the account's id as a JSON string with its quotes.
    #[must_use]
    pub fn for_account(&self, account_json: &str) -> Bytes {
        let Some(gap) = self.account_at else { return self.bytes.clone() };
        let gap = (gap as usize).min(self.bytes.len());
        let mut whole = BytesMut::with_capacity(self.bytes.len() + account_json.len());
        whole.put_slice(&self.bytes[..gap]);
        whole.put_slice(account_json.as_bytes());
        whole.put_slice(&self.bytes[gap..]);
        whole.freeze()
    }

    /// The publisher's data object, byte for byte between its braces.
    #[must_use]
    pub fn data_json(&self) -> String {
        let members = self.bytes.get(self.data.start as usize..self.data.end as usize).unwrap_or_default();
        let mut text = String::with_capacity(members.len() + 2);
        text.push('{');
        text.push_str(&String::from_utf8_lossy(members));
        text.push('}');
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_filled_and_the_data_found_again() {
        let body = EventBody {
            bytes: Bytes::from_static(br#"{"org":,"data":{"a":1}}"#),
            data: 16..21,
            account_at: Some(7),
        };
        assert_eq!(body.for_account(r#""acme""#), Bytes::from_static(br#"{"org":"acme","data":{"a":1}}"#));
        assert_eq!(body.data_json(), r#"{"a":1}"#);
    }
}

#[cfg(test)]
mod due_tests {
    use super::*;

    #[test]
    fn a_clock_set_wrong_moves_no_wait_and_one_set_right_does() {
        const DAYS_10: i64 = 864_000_000;
        const STEADY: i64 = 1_800_000_000_400;
        // How far the wall clock was ahead when the event was accepted and is now, and by how much the wait is another.
        let rows = [
            (0, 0, 0..=0),
            (0, DAYS_10, 0..=1_000),
            (0, -DAYS_10, 0..=1_000),
            (DAYS_10, DAYS_10, 0..=0),
            (DAYS_10, 0, DAYS_10..=DAYS_10),
            (-DAYS_10, 0, -DAYS_10..=-DAYS_10),
            (-DAYS_10, -DAYS_10, 0..=0),
            // As wrong as it was, the other way: the wait may be longer then, and is not shorter.
            (DAYS_10, -DAYS_10, 0..=2 * DAYS_10 + 1_000),
            (-DAYS_10, DAYS_10, 0..=1_000),
            (i64::MAX, i64::MIN, i64::MIN..=i64::MAX),
        ];
        for (then_ms, now_ms, moved_ms) in rows {
            let created_at = UnixMs(STEADY.saturating_add(then_ms));
            let send_at = created_at.plus(std::time::Duration::from_secs(60));
            let due_at = due_in_steady_time(Seq::first_of(UnixMs(STEADY)), created_at, send_at, now_ms);
            let by_ms = due_at.0.saturating_sub(STEADY + 60_000);
            assert!(moved_ms.contains(&by_ms), "{then_ms} then, {now_ms} now: moved by {by_ms} ms");
        }
    }
}
