//! Reading the queries of lists.

use posthaste_core::{DeliveryState, WebhookState};

use crate::fault::FieldFault;
use crate::model::Route;
use crate::model::route::{Beyond, FilterOn, PageSize, Paging};

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

/// The largest page number or offset that is taken; what is beyond has no items anyway.
const PLACE_MAX: u64 = 1_000_000_000;

/// How many items a list without paging answers at most.
pub const UNPAGED_MAX: u32 = 10_000;

impl Route {
    /// Reads the query string (without `?`) of a list. Unknown parameters are ignored; of repeated ones the first counts.
    ///
    /// # Errors
    /// The parameters that break rules.
    pub fn read_query(&self, query: &str) -> Result<QueryAsk, Vec<FieldFault>> {
        let given = Parameters::read(query);
        let mut faults = Vec::new();
        let mut ask = QueryAsk { size: UNPAGED_MAX, ..QueryAsk::default() };
        self.read_page(&given, &mut ask, &mut faults);
        for filter in &self.filters {
            let Some(value) = given.first(&filter.param) else { continue };
            if !read_filter(&filter.on, value, &mut ask) {
                faults.push(fault(&filter.param, "unknown", "is not one of the known words"));
            }
        }
        if faults.is_empty() { Ok(ask) } else { Err(faults) }
    }

    fn read_page(&self, given: &Parameters, ask: &mut QueryAsk, faults: &mut Vec<FieldFault>) {
        let (place, size) = match &self.paging {
            Paging::All => return,
            Paging::Latest { max } => {
                ask.size = *max;
                return;
            }
            Paging::Page { number, size } => {
                (read_number(given, number, 1, 1, PLACE_MAX, size).map(PageAsk::Number), size)
            }
            Paging::Offset { offset, size } => {
                (read_number(given, offset, 0, 0, PLACE_MAX, size).map(PageAsk::Offset), size)
            }
            Paging::Cursor { cursor, size } => {
                (Ok(given.text(cursor).map_or(PageAsk::First, PageAsk::Cursor)), size)
            }
            Paging::StartingAfter { after, size } => {
                (Ok(given.text(after).map_or(PageAsk::First, PageAsk::After)), size)
            }
        };
        match place {
            Ok(place) => ask.page = place,
            Err(wrong) => faults.push(wrong),
        }
        let (min, max) = (u64::from(size.min), u64::from(size.max));
        match read_number(given, &size.param, u64::from(size.default), min, max, size) {
            Ok(number) => ask.size = u32::try_from(number).unwrap_or(size.max),
            Err(wrong) => faults.push(wrong),
        }
    }
}

/// A number from `min` to `max`; others are clamped or refused, as the page size says.
fn read_number(
    given: &Parameters,
    param: &str,
    default: u64,
    min: u64,
    max: u64,
    size: &PageSize,
) -> Result<u64, FieldFault> {
    let Some(text) = given.first(param) else { return Ok(default) };
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // More digits than fit are a number all the same: a very large one.
    let number = is_number.then(|| text.parse().unwrap_or(u64::MAX));
    match (number, size.beyond) {
        (Some(number), _) if (min..=max).contains(&number) => Ok(number),
        (Some(number), Beyond::Clamp) => Ok(number.clamp(min, max)),
        (None, Beyond::Clamp) => Ok(default),
        (_, Beyond::Error) if max >= PLACE_MAX => {
            Err(fault(param, "range", &format!("must be a whole number from {min}")))
        }
        (_, Beyond::Error) => {
            Err(fault(param, "range", &format!("must be a whole number from {min} to {max}")))
        }
    }
}

fn fault(param: &str, rule: &'static str, says: &str) -> FieldFault {
    FieldFault { field: param.to_owned(), rule, message: format!("{param} {says}") }
}

/// Notes what a filter asks for; false if the value is no known word.
fn read_filter(on: &FilterOn, value: &str, ask: &mut QueryAsk) -> bool {
    let ours = |map: &[(String, String)]| {
        map.iter().find(|(_, theirs)| theirs == value).map(|(ours, _)| ours.clone())
    };
    match on {
        FilterOn::WebhookState(map) => {
            ask.webhook_state = ours(map).as_deref().and_then(WebhookState::from_word);
            ask.webhook_state.is_some()
        }
        FilterOn::DeliveryState(map) => {
            let word = ours(map);
            let known = DeliveryState::WORDS.iter().find(|(_, known)| Some(*known) == word.as_deref());
            ask.delivery_state = known.map(|(state, _)| *state);
            ask.delivery_state.is_some()
        }
        FilterOn::WebhookCovers => {
            ask.covers = Some(value.to_owned());
            true
        }
        FilterOn::WebhookNames => {
            ask.names = Some(value.to_owned());
            true
        }
        FilterOn::EventType => {
            ask.event_type = Some(value.to_owned());
            true
        }
    }
}

/// A query's parameters, decoded, in their order.
struct Parameters(Vec<(String, String)>);

impl Parameters {
    fn read(query: &str) -> Self {
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        Self(
            pairs
                .map(|pair| {
                    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                    (decode(name), decode(value))
                })
                .collect(),
        )
    }

    fn first(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A value that is not empty.
    fn text(&self, name: &str) -> Option<String> {
        self.first(name).filter(|value| !value.is_empty()).map(str::to_owned)
    }
}

/// Resolves `+` and `%XX`; what is no escape stays as it is, and bytes that are no UTF-8 are replaced.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let escaped = (*byte == b'%').then(|| bytes.get(at + 1..at + 3)).flatten().and_then(hex_byte);
        match (byte, escaped) {
            (_, Some(value)) => {
                out.push(value);
                at += 2;
            }
            (b'+', None) => out.push(b' '),
            (byte, None) => out.push(*byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn hex_byte(digits: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let (high, low) = (digit(*digits.first()?)?, digit(*digits.get(1)?)?);
    u8::try_from(high * 16 + low).ok()
}

#[cfg(test)]
mod tests;
