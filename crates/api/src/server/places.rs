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
                let going = match is_crowded {
                    true => self.empty(&inner, self.bounds.connections_by_address, |seat| {
                        seat.neighbour == neighbour
                    }),
                    false => self.empty(&inner, self.bounds.connections, |_| true),
                };
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
        self.empty(&self.lock(), self.bounds.connections, |_| true);
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

    /// Asks a share of these places' holders, of those that wait or else of the slow ones, the longest first; answers
    /// how many go at once, with those that were asked before.
    fn empty(&self, inner: &Inner, places: usize, may_go: impl Fn(&Seat) -> bool) -> usize {
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
        let share = (places / EMPTIED_SHARE).max(1);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn client(text: &str) -> ClientAddress {
        ClientAddress::new(text.parse().unwrap())
    }

    #[tokio::test]
    async fn whoever_stands_for_many_has_as_many_places_as_there_are() {
        let bounds = ServerBounds { connections: 6, connections_by_address: 2, ..ServerBounds::default() };
        let places = Places::new(bounds);
        let (proxy, neighbour) = (client("10.0.0.1"), client("192.0.2.1"));
        let mut taken = Vec::new();
        for _ in 0..2 {
            taken.push(places.take(neighbour, false).await.unwrap());
        }
        let working: Vec<Arc<Seat>> = taken.iter().map(|place| place.seat.clone()).collect();
        let _busy: Vec<Busy<'_>> = working.iter().map(|seat| seat.busy()).collect();
        assert!(places.take(neighbour, false).await.is_none(), "requests are under way on all it may have");
        for number in 0..4 {
            assert!(places.take(proxy, true).await.is_some(), "{number}");
            taken.push(places.take(proxy, true).await.unwrap());
        }
        println!("counted | requests | places of a neighbour and a proxy | {}", taken.len());
    }

    #[tokio::test]
    async fn idle_ones_are_asked_before_slow_ones_and_nobody_twice() {
        let bounds = ServerBounds { connections: 2, ..ServerBounds::default() };
        let places = Places::new(bounds);
        let slow = places.take(client("192.0.2.1"), false).await.unwrap();
        slow.seat.has_unread(true);
        let idle = places.take(client("192.0.2.2"), false).await.unwrap();
        for (expected, why) in [([false, true], "the idle one"), ([false, true], "which goes at once")] {
            places.make_room();
            let asked = [&slow, &idle].map(|place| place.seat.is_asked.load(Ordering::Relaxed));
            assert_eq!(asked, expected, "{why}");
        }
        idle.seat.stays();
        places.make_room();
        assert!(slow.seat.is_asked.load(Ordering::Relaxed), "the other does not go at once");
        assert!(!slow.seat.goes_at_once());
    }
}
