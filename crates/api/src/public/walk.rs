//! Walking along a list.
//!
//! A walk goes from a place on and passes over what the filters do not keep. It looks at no more than [`WALK_MAX`]
//! items: what lies further on is not there for it.

use posthaste_store::{PageCursor, Slice};

use super::refusal::Refused;

/// The most items that one walk looks at.
pub(super) const WALK_MAX: u64 = 10_000;
/// Items asked of the store at a time.
const CHUNK: usize = 500;

/// A list that can be walked.
pub(super) trait Source {
    /// What it is a list of.
    type Item;

    /// The items from a place on (from the beginning for `None`), and the place after them if there may be more.
    async fn part(&self, from: Option<PageCursor>, limit: usize) -> Result<Slice<Self::Item>, Refused>;

    /// Do the filters keep the item?
    fn keeps(&self, item: &Self::Item) -> bool;

    /// The item's id.
    fn id(&self, item: &Self::Item) -> String;

    /// How many items there are, where that is known without walking.
    async fn total(&self) -> Result<Option<u64>, Refused>;

    /// What tells this list from every other: its owner, its kind and its filters.
    fn name(&self) -> String;
}

/// Where the items wanted begin.
pub(super) enum Start {
    /// At the beginning of the list.
    Beginning,
    /// At a place.
    At(PageCursor),
    /// After the item with this id.
    After(String),
    /// So many kept items further on, counted from the item with this id or from the beginning.
    Skip {
        /// How many.
        count: u64,
        /// Where to count from.
        from: Option<String>,
    },
}

/// What a walk came by.
pub(super) struct Walk<T> {
    /// The items wanted.
    pub items: Vec<T>,
    /// The place after the last of them, if the walk began at a place or the beginning.
    pub next: Option<PageCursor>,
    /// Are there more?
    pub more: bool,
    /// Was the item to begin at or after among those looked at?
    pub is_found: bool,
}

/// What has to be passed before the items wanted begin.
struct Ahead {
    id: Option<String>,
    is_wanted: bool,
    count: u64,
}

impl Ahead {
    fn is_passed(&self) -> bool {
        self.id.is_none() && self.count == 0
    }

    /// Is this item still ahead of those wanted?
    fn takes<S: Source>(&mut self, source: &S, item: &S::Item) -> bool {
        if let Some(id) = &self.id {
            if source.id(item) != *id {
                return true;
            }
            self.id = None;
            if !self.is_wanted {
                return true;
            }
        }
        if !source.keeps(item) {
            return true;
        }
        let is_skipped = self.count > 0;
        self.count -= u64::from(is_skipped);
        is_skipped
    }
}

/// Walks until `size` items are there and it is known whether there are more.
pub(super) async fn walk<S: Source>(source: &S, start: Start, size: usize) -> Result<Walk<S::Item>, Refused> {
    let mut walk = Walk { items: Vec::new(), next: None, more: false, is_found: true };
    let (mut place, mut ahead) = match start {
        Start::Beginning => (None, Ahead { id: None, is_wanted: false, count: 0 }),
        Start::At(place) => (Some(place), Ahead { id: None, is_wanted: false, count: 0 }),
        Start::After(id) => (None, Ahead { id: Some(id), is_wanted: false, count: 0 }),
        Start::Skip { count, from } => (None, Ahead { id: from, is_wanted: true, count }),
    };
    let mut seen = 0;
    // Mostly one item after a full page says that there are more.
    let mut look_further = 1;
    while seen <= WALK_MAX && ahead.count <= WALK_MAX {
        // Exactly what is missing, so that the place after it is the place after the page.
        let missing = size - walk.items.len();
        let wanted = match ahead.is_passed() {
            true if missing > 0 => missing.min(CHUNK),
            true => std::mem::replace(&mut look_further, CHUNK),
            false => CHUNK,
        };
        let Slice { items, next } = source.part(place, wanted).await?;
        seen += items.len().max(1) as u64;
        for item in items {
            if ahead.takes(source, &item) {
                continue;
            }
            if walk.items.len() == size {
                walk.more = true;
                return Ok(walk);
            }
            walk.items.push(item);
        }
        if next.is_none() {
            break;
        }
        place = next;
        if walk.items.len() == size && walk.next.is_none() {
            walk.next = next;
        }
    }
    walk.is_found = ahead.id.is_none();
    Ok(walk)
}
