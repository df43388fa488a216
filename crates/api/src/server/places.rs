//! Who is connected, and who has to go so that somebody else can come in.
//!
//! Connections that only wait cost their owners nothing, so anybody can hold thousands. When the last place is taken,
//! those that have waited longest without a request under way are closed: a client that has something to ask never
//! stands behind clients that have nothing to ask. Where there are none, those go whose request's body is still on its
//! way, or who do not read their answer, the longest first. Whose request is being worked on, stays.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::timeout;

use super::bounds::ServerBounds;
use crate::body::Arrival;
use crate::client_address::ClientAddress;

/// Which share of all places is emptied at one time, so that a flood is not paid for with a look at all of them for
/// each newcomer.
const EMPTIED_SHARE: usize = 64;
/// Marks a turn while a request is under way.
const BUSY: u64 = 1 << 63;

/// The places of one listener.
pub(super) struct Places {
    bounds: ServerBounds,
    turn: Arc<AtomicU64>,
    inner: Mutex<Inner>,
    freed: Notify,
}

#[derive(Default)]
struct Inner {
    last_number: u64,
    seats: HashMap<u64, Arc<Seat>>,
    by_neighbour: HashMap<IpAddr, usize>,
}

/// One connection, as others see it.
pub(super) struct Seat {
    /// By which address it is counted, if by any.
    neighbour: Option<IpAddr>,
    /// When it began to wait, or with [`BUSY`] its request began, counted in such turns of all.
    since: AtomicU64,
    turn: Arc<AtomicU64>,
    /// What is known of the bodies of its requests.
    pub arrival: Arc<Arrival>,
    has_unread: AtomicBool,
    is_asked: AtomicBool,
    stays: AtomicBool,
    leave: Notify,
}

/// Who is asked to go first, and within that since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// No request is under way.
    Idle(u64),
    /// The client keeps us waiting, with a body or before it reads the answer.
    Slow(u64),
}

/// A place that is taken until this goes.
pub(super) struct Place {
    places: Arc<Places>,
    number: u64,
    pub seat: Arc<Seat>,
}

/// A request under way on a seat.
pub(super) struct Busy<'s>(&'s Seat);

impl Places {
    pub fn new(bounds: ServerBounds) -> Arc<Self> {
        let (turn, inner, freed) = (Arc::default(), Mutex::default(), Notify::new());
        Arc::new(Self { bounds, turn, inner, freed })
    }

    /// A place for a connection of this client, once there is one; `None` if the client has all it may have, and none
    /// of them can be emptied at once. Whoever stands for many may have them all.
    pub async fn take(self: &Arc<Self>, client: ClientAddress, stands_for_many: bool) -> Option<Place> {
        let neighbour = (!stands_for_many).then(|| client.neighbourhood());
        loop {
            {
                let mut inner = self.lock();
                let of_neighbour = neighbour.and_then(|address| inner.by_neighbour.get(&address).copied());
                let is_crowded =
                    of_neighbour.is_some_and(|count| count >= self.bounds.connections_by_address);
                if !is_crowded && inner.seats.len() < self.bounds.connections {
                    return Some(self.seat(&mut inner, neighbour));
                }
                let going = self.empty(&inner, |seat| !is_crowded || seat.neighbour == neighbour);
                if is_crowded && going == 0 {
                    return None;
                }
            }
            // A seat may have found something to do just then: look again.
            let _ = timeout(self.bounds.accept_pause, self.freed.notified()).await;
        }
    }

    /// Asks those who have waited longest to go.
    pub fn make_room(&self) {
        self.empty(&self.lock(), |_| true);
    }

    fn seat(self: &Arc<Self>, inner: &mut Inner, neighbour: Option<IpAddr>) -> Place {
        inner.last_number += 1;
        let turn = self.turn.clone();
        let seat = Arc::new(Seat {
            neighbour,
            since: AtomicU64::new(turn.fetch_add(1, Ordering::Relaxed)),
            turn,
            arrival: Arc::default(),
            has_unread: AtomicBool::new(false),
            is_asked: AtomicBool::new(false),
            stays: AtomicBool::new(false),
            leave: Notify::new(),
        });
        inner.seats.insert(inner.last_number, seat.clone());
        if let Some(address) = neighbour {
            *inner.by_neighbour.entry(address).or_default() += 1;
        }
        Place { places: self.clone(), number: inner.last_number, seat }
    }

    /// Asks some of those that wait, or else of the slow ones, the longest first; answers how many go at once, with
    /// those that were asked before.
    fn empty(&self, inner: &Inner, may_go: impl Fn(&Seat) -> bool) -> usize {
        let mut going = 0;
        let mut askable: Vec<(Rank, &Arc<Seat>)> = Vec::new();
        for seat in inner.seats.values().filter(|seat| may_go(seat)) {
            match seat.rank() {
                Some(_) if seat.is_asked.load(Ordering::Relaxed) => {
                    going += usize::from(seat.is_on_the_way_out())
                }
                Some(rank) => askable.push((rank, seat)),
                None => {}
            }
        }
        if askable.iter().any(|(rank, _)| matches!(rank, Rank::Idle(_))) {
            askable.retain(|(rank, _)| matches!(rank, Rank::Idle(_)));
        }
        let share = (self.bounds.connections / EMPTIED_SHARE).max(1);
        let count = share.saturating_sub(going).min(askable.len());
        if count < askable.len() {
            askable.select_nth_unstable_by_key(count, |(rank, _)| *rank);
        }
        for (_, seat) in &askable[..count] {
            going += usize::from(seat.goes_at_once());
            seat.is_asked.store(true, Ordering::Relaxed);
            seat.leave.notify_one();
        }
        going
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inner = self.places.lock();
        inner.seats.remove(&self.number);
        if let Some(address) = self.seat.neighbour
            && let Some(count) = inner.by_neighbour.get_mut(&address)
        {
            *count -= 1;
            if *count == 0 {
                inner.by_neighbour.remove(&address);
            }
        }
        drop(inner);
        self.places.freed.notify_one();
    }
}

impl Seat {
    /// Notes that a request is under way, until its answer is handed over.
    pub fn busy(&self) -> Busy<'_> {
        self.since.store(BUSY | self.turn.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        Busy(self)
    }

    /// Notes whether something was written that the client has not taken.
    pub fn has_unread(&self, has: bool) {
        self.has_unread.store(has, Ordering::Relaxed);
    }

    /// Is a request being worked on?
    pub fn is_working(&self) -> bool {
        self.rank().is_none()
    }

    /// Is nothing lost that was answered, or is being worked on, if it goes now?
    pub fn goes_at_once(&self) -> bool {
        !self.is_working() && !self.has_unread.load(Ordering::Relaxed)
    }

    /// Notes that it was asked and goes a little later.
    pub fn stays(&self) {
        self.stays.store(true, Ordering::Relaxed);
    }

    /// Ends when the seat is wanted for somebody else.
    pub async fn is_wanted(&self) {
        self.leave.notified().await;
    }

    fn is_on_the_way_out(&self) -> bool {
        !self.stays.load(Ordering::Relaxed) && self.goes_at_once()
    }

    /// `None` while a request is being worked on.
    fn rank(&self) -> Option<Rank> {
        let since = self.since.load(Ordering::Relaxed);
        let turn = since & !BUSY;
        if self.has_unread.load(Ordering::Relaxed) {
            return Some(Rank::Slow(turn));
        }
        match (since & BUSY != 0, self.arrival.is_awaited()) {
            (false, _) => Some(Rank::Idle(turn)),
            (true, true) => Some(Rank::Slow(turn)),
            (true, false) => None,
        }
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.since.store(self.0.turn.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
    }
}
