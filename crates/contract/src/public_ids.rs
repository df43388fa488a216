//! The ids of events and deliveries, in the contract's form.

use posthaste_core::{DeliveryKey, Event, IdCodec, IdKind, Seq, UnixMs};

use crate::model::Contract;

/// Makes and reads the ids of events and deliveries.
#[derive(Clone)]
pub struct PublicIds {
    event: IdCodec,
    test_event: IdCodec,
    delivery: IdCodec,
}

impl PublicIds {
    /// `key` is the store's own.
    #[must_use]
    pub fn new(contract: &Contract, key: [u8; 16]) -> Self {
        Self {
            event: IdCodec::new(contract.ids.event.clone(), key),
            test_event: IdCodec::new(contract.ids.test_event.clone(), key),
            delivery: IdCodec::new(long_enough(&contract.ids.delivery), key),
        }
    }

    /// The id of an event.
    #[must_use]
    pub fn event(&self, event: &Event) -> String {
        self.accepted(event.seq, event.created_at, event.is_test())
    }

    /// The id of an event accepted at a place and time.
    #[must_use]
    pub fn accepted(&self, seq: Seq, at: UnixMs, is_test: bool) -> String {
        if is_test { self.test_event.event(seq, at) } else { self.event.event(seq, at) }
    }

    /// The events an id may name; the caller must see whether one of them exists and has this very id.
    pub fn read_event(&self, text: &str) -> impl Iterator<Item = Seq> {
        let read = [&self.event, &self.test_event].map(|codec| codec.read_event(text).map(|(seq, _)| seq));
        let [event, test] = read;
        event.into_iter().chain(test.filter(|_| test != event))
    }

    /// The id of a delivery of an event accepted at `at`.
    #[must_use]
    pub fn delivery(&self, key: DeliveryKey, at: UnixMs) -> String {
        self.delivery.delivery(key, at)
    }

    /// The delivery an id may name; the caller must see whether it exists and has this very id.
    #[must_use]
    pub fn read_delivery(&self, text: &str) -> Option<DeliveryKey> {
        self.delivery.read_delivery(text).map(|(key, _)| key)
    }
}

/// A delivery's id holds its event's number and its webhook's, so kinds that are declared too short are lengthened;
/// the check of the contract says so.
fn long_enough(kind: &IdKind) -> IdKind {
    IdKind { alphabet: kind.alphabet.at_least(IdCodec::DELIVERY_BITS), ..kind.clone() }
}
