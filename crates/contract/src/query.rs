//! Reading the queries of lists.

use crate::input::FieldFault;
use crate::model::Route;
use posthaste_core::{DeliveryState, WebhookState};

/// What the query of a list asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QueryAsk {
    /// Which part of the list.
    pub page: PageAsk,
    /// The most items.
    pub size: u32,
    /// Only webhooks in this state.
    pub webhook_state: Option<WebhookState>,
    /// Only webhooks whose subscription covers this type.
    pub covers: Option<String>,
    /// Only webhooks whose subscription names this.
    pub names: Option<String>,
    /// Only deliveries in this state.
    pub delivery_state: Option<DeliveryState>,
    /// Only deliveries of events of this type.
    pub event_type: Option<String>,
}

/// Which part of a list is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum PageAsk {
    /// The first.
    #[default]
    First,
    /// The page with this number, from 1.
    Number(u64),
    /// After this many items.
    Offset(u64),
    /// Where this cursor of ours points; whether it is one of ours is the caller's to find out.
    Cursor(String),
    /// After the item with this id.
    After(String),
}

impl Route {
    /// Reads the query string (without `?`) of a list. Unknown parameters are ignored; of repeated ones the first counts.
    ///
    /// # Errors
    /// The parameters that break rules.
    pub fn read_query(&self, query: &str) -> Result<QueryAsk, Vec<FieldFault>> {
        let _ = query;
        unimplemented!()
    }
}
