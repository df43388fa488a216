//! What receivers wrote down, copy by copy: in which life of the process it came, under which id, with which bytes.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{Hash as _, Hasher as _};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::listener::Request;
use super::signature::SigningSecret;

/// After a deletion was answered, an attempt that had begun before may still arrive for so long.
const UNDER_WAY_MAX: Duration = Duration::from_secs(2);
/// What tells the copies of one event from other events.
const ID_HEADER: &str = "webhook-id";

/// What several receivers wrote down.
#[derive(Default)]
pub struct Diary(Mutex<Pages>);

#[derive(Default)]
struct Pages {
    life: u32,
    /// By receiver, which is what a URL's path names, and by number.
    copies: BTreeMap<(String, u64), Copies>,
    /// Of those receivers whose webhook's secret is known.
    secrets: HashMap<String, SigningSecret>,
    /// How many copies were signed with it, and how many were not.
    signed: u64,
    forged: u64,
    gone: HashMap<String, Gone>,
    late: Vec<String>,
}

/// All copies of one event that arrived at one receiver.
#[derive(Debug, Clone, Default)]
pub struct Copies {
    /// In order of arrival.
    pub copies: Vec<Copy>,
    /// Bytes of padding in the first.
    pub padding: Option<usize>,
    id: String,
    bytes: u64,
    is_altered: bool,
}

/// One copy.
#[derive(Debug, Clone, Copy)]
pub struct Copy {
    /// In which life of the process it arrived.
    pub life: u32,
    /// Was it answered with success?
    pub is_taken: bool,
}

/// Where a copy stands.
pub struct Place {
    of: (String, u64),
    at: usize,
}

/// A webhook that was deleted.
struct Gone {
    life: u32,
    at: Instant,
}

impl Diary {
    /// The process that is tried is another one from now on.
    pub fn next_life(&self) {
        self.lock().life += 1;
    }

    /// In which life it is.
    pub fn life(&self) -> u32 {
        self.lock().life
    }

    /// Each copy at this receiver is to be signed with this secret.
    pub fn learn(&self, receiver: &str, secret: SigningSecret) {
        self.lock().secrets.insert(receiver.to_owned(), secret);
    }

    /// How many copies were signed with the secret of their webhook, and how many were not, as far as it is known.
    pub fn signed_and_forged(&self) -> (u64, u64) {
        let pages = self.lock();
        (pages.signed, pages.forged)
    }

    /// A copy arrived; the answer is its place, or `None` if it is of no numbered event.
    pub fn arrive(&self, request: &Request) -> Option<Place> {
        let number = request.number()?;
        let mut pages = self.lock();
        let (life, path) = (pages.life, &request.path);
        let is_late = |gone: &Gone| gone.life < life || gone.at.elapsed() > UNDER_WAY_MAX;
        if pages.gone.get(path).is_some_and(is_late) {
            pages.late.push(format!("{path} got event {number}"));
        }
        match pages.secrets.get(path).map(|secret| secret.has_signed(request)) {
            Some(true) => pages.signed += 1,
            Some(false) => pages.forged += 1,
            None => {}
        }
        let (id, bytes) = (request.header(ID_HEADER).unwrap_or_default(), hash_of(&request.body));
        let of = (path.clone(), number);
        let known = pages.copies.entry(of.clone()).or_insert_with(|| Copies {
            id: id.to_owned(),
            bytes,
            padding: request.padding(),
            ..Copies::default()
        });
        known.is_altered |= known.id != id || known.bytes != bytes || id.is_empty();
        known.copies.push(Copy { life, is_taken: false });
        Some(Place { of, at: known.copies.len() - 1 })
    }

    /// A copy was answered with success.
    pub fn take(&self, place: Place) {
        if let Some(copies) = self.lock().copies.get_mut(&place.of) {
            copies.copies[place.at].is_taken = true;
        }
    }

    /// The deletion of the webhook at this path was answered.
    pub fn delete(&self, path: &str) {
        let mut pages = self.lock();
        let gone = Gone { life: pages.life, at: Instant::now() };
        pages.gone.insert(path.trim_start_matches('/').to_owned(), gone);
    }

    /// What arrived at a receiver, by number.
    pub fn at(&self, receiver: &str) -> BTreeMap<u64, Copies> {
        let pages = self.lock();
        let of_it = pages.copies.iter().filter(|((name, _), _)| name == receiver);
        of_it.map(|((_, number), copies)| (*number, copies.clone())).collect()
    }

    /// The numbers of events that a receiver took with success.
    pub fn taken(&self, receiver: &str) -> BTreeSet<u64> {
        let pages = self.lock();
        let first = (receiver.to_owned(), 0);
        let of_it = pages.copies.range(first..).take_while(|((name, _), _)| name == receiver);
        let taken = of_it.filter(|(_, copies)| copies.copies.iter().any(|copy| copy.is_taken));
        taken.map(|((_, number), _)| *number).collect()
    }

    /// How many copies arrived in all.
    pub fn arrived(&self) -> usize {
        self.lock().copies.values().map(|copies| copies.copies.len()).sum()
    }

    /// Events whose copies differ in their id or their bytes.
    pub fn altered(&self) -> u64 {
        self.lock().copies.values().filter(|copies| copies.is_altered).count() as u64
    }

    /// What arrived at webhooks after their deletion was answered.
    pub fn late(&self) -> Vec<String> {
        self.lock().late.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn hash_of(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}
