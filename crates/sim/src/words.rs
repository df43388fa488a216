//! What is in events and who signs: everything that is said in a world, made from its number.

use bytes::Bytes;
use posthaste_core::{Audience, EventBody, OrderingKey, Secret, Seq, UnixMs};

/// The types of events there are.
pub const TYPES: [&str; 3] = ["order.paid", "order.sent", "stock.low"];

/// An event as a publisher asks for it, kept to ask again when no answer comes.
#[derive(Clone)]
pub struct Call {
    pub audience: Audience,
    pub event_type: &'static str,
    pub send_at: Option<UnixMs>,
    pub ordering_key: Option<OrderingKey>,
    pub name: Option<String>,
    /// A number that stands for its content.
    pub content: u8,
}

/// The body of the event of this place.
pub fn body(_draft: usize, seq: Seq, _at: UnixMs) -> EventBody {
    let text = format!("{{\"id\":{},\"data\":{{\"a\":1}}}}", seq.0);
    let end = text.len() as u32 - 2;
    EventBody { data: end - 5..end, bytes: Bytes::from(text), account_at: None }
}

/// A webhook's signing secret of this number.
pub fn secret(number: u32) -> Secret {
    Secret::from(format!("the simulation's secret {number}"))
}
