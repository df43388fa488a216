//! Reading one publish request.

use std::borrow::Cow;
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use posthaste_contract::Contract;
use posthaste_contract::json::{self, JsonFault, Value};
use posthaste_contract::model::Trigger;
use posthaste_core::{OrderingKey, Reading, UnixMs};

use super::fault::{MemberFault, PublishFault};

/// How far ahead an event may be put.
pub const SEND_AT_MAX: Duration = Duration::from_hours(366 * 24);
/// The longest own id of a publisher.
pub const KEY_MAX_BYTES: usize = 255;
/// The request's object and the deepest data inside it.
const DEPTH_MAX: usize = json::DEPTH_MAX + 1;
/// Nesting beyond this is called unsound; between the two limits it breaks a rule.
const DEPTH_LOOKED_AT_MAX: usize = 256;

/// A publish request that the contract has nothing against. The data is the text that came.
#[derive(Debug)]
pub struct Ask<'a> {
    /// The dotted type.
    pub event_type: Cow<'a, str>,
    /// The data object.
    pub data: &'a str,
    /// For whom.
    pub to: To<'a>,
    /// Not before this time, as asked for.
    pub send_at: Option<UnixMs>,
    /// What it has in common with others that go out in order.
    pub ordering_key: Option<OrderingKey>,
    /// The publisher's own id.
    pub key: Option<Cow<'a, str>>,
    /// What the data says of the value that the type watches, if it does.
    pub reading: Option<Box<Reading>>,
}

/// Whom a published event is for.
#[derive(Debug, PartialEq, Eq)]
pub enum To<'a> {
    /// The account with this id.
    Account(Cow<'a, str>),
    /// Every account.
    Broadcast,
}

impl<'a> Ask<'a> {
    /// Reads a request body; `header_key` is what the header `Idempotency-Key` says.
    ///
    /// # Errors
    /// See [`PublishFault`]; nothing of the store is looked at.
    pub fn read(
        contract: &Contract,
        body: &'a [u8],
        header_key: Option<&'a str>,
        now: UnixMs,
    ) -> Result<Self, PublishFault> {
        let mut reader = AskReader::new(contract, now);
        json::each_member(body, DEPTH_MAX, |name, text| reader.member(&name, text))
            .map_err(|fault| unsound(body, fault))?;
        if let Some(key) = header_key {
            reader.header_key(key);
        }
        reader.finish()
    }

    /// SHA-256 of everything that makes two requests the same event.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut hash = Context::new(&SHA256);
        let mut part = |bytes: &[u8]| {
            hash.update(&(bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        part(self.event_type.as_bytes());
        part(self.data.as_bytes());
        match &self.to {
            To::Account(id) => part(id.as_bytes()),
            To::Broadcast => part(b"*"),
        }
        part(&self.send_at.map(|at| at.0.to_le_bytes()).unwrap_or_default());
        // Without a key nothing is added: what was remembered before there were keys stays the same.
        if let Some(key) = &self.ordering_key {
            part(key.as_str().as_bytes());
        }
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(hash.finish().as_ref());
        fingerprint
    }
}

/// Tells data nested too deeply, which breaks a rule, from texts that nobody should send.
fn unsound(body: &[u8], fault: JsonFault) -> PublishFault {
    match fault {
        JsonFault::TooDeep(_) if json::members(body, DEPTH_LOOKED_AT_MAX).is_ok() => {
            MemberFault::at("data", format!("data is nested more than {} levels deep", json::DEPTH_MAX))
                .into()
        }
        fault => fault.into(),
    }
}

/// What has been read so far.
struct AskReader<'a, 'c> {
    contract: &'c Contract,
    now: UnixMs,
    event_type: Option<Cow<'a, str>>,
    trigger: Option<&'c Trigger>,
    data: Option<&'a str>,
    account: Option<Cow<'a, str>>,
    broadcast: bool,
    send_at: Option<UnixMs>,
    ordering_key: Option<OrderingKey>,
    key: Option<Cow<'a, str>>,
    faults: Vec<MemberFault>,
}

impl<'a, 'c> AskReader<'a, 'c> {
    fn new(contract: &'c Contract, now: UnixMs) -> Self {
        Self {
            contract,
            now,
            event_type: None,
            trigger: None,
            data: None,
            account: None,
            broadcast: false,
            send_at: None,
            ordering_key: None,
            key: None,
            faults: Vec::new(),
        }
    }

    fn member(&mut self, name: &str, text: &'a str) {
        let read = match name {
            "type" => self.read_type(text),
            "data" => self.read_data(text),
            "account" => text_of(text, name).map(|account| self.account = account),
            "broadcast" => self.read_broadcast(text),
            "send_at" => self.read_send_at(text),
            "ordering_key" => self.read_ordering_key(text),
            "id" => self.read_id(text),
            _ => Err(MemberFault::at(name_shown(name), "no member of an event has this name")),
        };
        self.faults.extend(read.err());
    }

    fn read_type(&mut self, text: &'a str) -> Result<(), MemberFault> {
        let Some(event_type) = text_of(text, "type")? else {
            return Err(MemberFault::at("type", "type must be a string"));
        };
        let checked = self.contract.check_event_type(&event_type);
        self.event_type = Some(event_type);
        let known = checked.map_err(|why| MemberFault::at("type", why))?;
        self.trigger = known.and_then(|known| known.when.as_ref());
        Ok(())
    }

    fn read_data(&mut self, text: &'a str) -> Result<(), MemberFault> {
        self.data = Some(text);
        self.contract.check_sound_data(text).map_err(|fault| MemberFault::at("data", fault.to_string()))
    }

    fn read_broadcast(&mut self, text: &str) -> Result<(), MemberFault> {
        self.broadcast = match text {
            "true" => true,
            "false" | "null" => false,
            _ => return Err(MemberFault::at("broadcast", "broadcast must be true or false")),
        };
        Ok(())
    }

    fn read_send_at(&mut self, text: &'a str) -> Result<(), MemberFault> {
        let Some(spelled) = text_of(text, "send_at")? else { return Ok(()) };
        let at = UnixMs::parse_rfc3339(&spelled)
            .ok_or_else(|| MemberFault::at("send_at", "send_at must be an RFC 3339 time with its offset"))?;
        if at > self.now.plus(SEND_AT_MAX) {
            return Err(MemberFault::at("send_at", "send_at may be at most 366 days ahead"));
        }
        self.send_at = Some(at);
        Ok(())
    }

    fn read_ordering_key(&mut self, text: &'a str) -> Result<(), MemberFault> {
        let Some(spelled) = text_of(text, "ordering_key")? else { return Ok(()) };
        let key = OrderingKey::new(&spelled).ok_or_else(|| {
            let rule = "ordering_key must have 1 to 128 visible ASCII characters without spaces";
            MemberFault::at("ordering_key", rule)
        })?;
        self.ordering_key = Some(key);
        Ok(())
    }

    fn read_id(&mut self, text: &'a str) -> Result<(), MemberFault> {
        let Some(key) = text_of(text, "id")? else { return Ok(()) };
        check_key(&key).map_err(|why| MemberFault::at("id", format!("id {why}")))?;
        self.key = Some(key);
        Ok(())
    }

    fn header_key(&mut self, key: &'a str) {
        let fault = match (check_key(key), &self.key) {
            (Err(why), _) => why,
            (Ok(()), Some(id)) if id != key => "differs from the id in the body",
            (Ok(()), _) => {
                self.key = Some(Cow::Borrowed(key));
                return;
            }
        };
        let detail = format!("the header Idempotency-Key {fault}");
        self.faults.push(MemberFault { pointer: "Idempotency-Key".to_owned(), detail });
    }

    /// The value that the type watches, where type and data are sound.
    fn read_watched(&mut self) -> Option<Box<Reading>> {
        let (trigger, data) = (self.trigger?, self.data.filter(|_| !self.is_faulty("data"))?);
        match trigger.read(data) {
            Ok(reading) => Some(Box::new(reading)),
            Err(fault) => {
                self.faults.push(MemberFault { pointer: fault.path.pointer(), detail: fault.to_string() });
                None
            }
        }
    }

    fn finish(mut self) -> Result<Ask<'a>, PublishFault> {
        for (name, is_there) in [("type", self.event_type.is_some()), ("data", self.data.is_some())] {
            if !is_there && !self.is_faulty(name) {
                self.faults.push(MemberFault::at(name, format!("{name} is missing")));
            }
        }
        if self.ordering_key.is_some() && self.send_at.is_some() {
            let why = "ordering_key cannot go with send_at: events with a key go out in the order they are accepted in";
            self.faults.push(MemberFault::at("ordering_key", why));
        }
        let reading = self.read_watched();
        let audience_is_faulty = self.is_faulty("account") || self.is_faulty("broadcast");
        let to = match (self.account, self.broadcast) {
            (Some(id), false) => Some(To::Account(id)),
            (None, true) => Some(To::Broadcast),
            _ if audience_is_faulty => None,
            _ => return Err(PublishFault::Audience),
        };
        match (to, self.event_type, self.data) {
            (Some(to), Some(event_type), Some(data)) if self.faults.is_empty() => {
                let (send_at, ordering_key) = (self.send_at, self.ordering_key);
                Ok(Ask { event_type, data, to, send_at, ordering_key, key: self.key, reading })
            }
            _ => Err(PublishFault::Members(self.faults)),
        }
    }
}

impl AskReader<'_, '_> {
    fn is_faulty(&self, name: &str) -> bool {
        self.faults.iter().any(|fault| fault.pointer.strip_prefix('/') == Some(name))
    }
}

/// A member's text; `None` if it is null.
fn text_of<'a>(text: &'a str, name: &str) -> Result<Option<Cow<'a, str>>, MemberFault> {
    match json::parse(text.as_bytes()) {
        Ok(Value::String(text)) => Ok(Some(text)),
        Ok(Value::Null) => Ok(None),
        _ => Err(MemberFault::at(name, format!("{name} must be a string"))),
    }
}

/// May a publisher name an event so?
fn check_key(key: &str) -> Result<(), &'static str> {
    if key.is_empty() || key.len() > KEY_MAX_BYTES {
        return Err("must have 1 to 255 characters");
    }
    if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("may hold only visible ASCII characters without spaces");
    }
    Ok(())
}

/// A member's name as far as an answer may echo it.
fn name_shown(name: &str) -> &str {
    let end = name.char_indices().nth(64).map_or(name.len(), |(at, _)| at);
    &name[..end]
}
