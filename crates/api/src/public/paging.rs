//! Parts of lists, in every style that contracts know.
//!
//! A list is walked from a place on, and what the filters do not keep is passed over. A walk looks at no more than
//! [`WALK_MAX`] items: pages further on are empty.

use posthaste_contract::model::{Contract, Index, Member, MemberValue, Paging, Source as Value, ViewRoot};
use posthaste_contract::query::PageAsk;
use posthaste_contract::{PageFacts, QueryAsk, Subject};

use super::call::Call;
use super::cursor::Place;
use super::refusal::Refused;

/// The most items that are looked at for one page.
pub(super) const WALK_MAX: u64 = 10_000;
/// Items asked of the store at a time.
const CHUNK: usize = 500;

/// A list that can be walked.
pub(super) trait Source {
    /// What it is a list of.
    type Item;

    /// The items from a place on (from the beginning for `None`), and the place after them if there may be more.
    async fn part(
        &self,
        from: Option<Place>,
        limit: usize,
    ) -> Result<(Vec<Self::Item>, Option<Place>), Refused>;

    /// Do the filters keep the item?
    fn keeps(&self, item: &Self::Item) -> bool;

    /// The item's id.
    fn id(&self, item: &Self::Item) -> String;

    /// How many items there are, where that is known without walking.
    async fn total(&self) -> Result<Option<u64>, Refused>;

    /// What tells this list from every other: its owner, its kind and its filters.
    fn name(&self) -> String;
}

/// A part of a list.
pub(super) struct Page<T> {
    pub items: Vec<T>,
    number: u64,
    size: u32,
    offset: u64,
    total: u64,
    more: bool,
    next: Option<String>,
}

impl<T> Page<T> {
    /// The page as views see it, with its items as `subjects`.
    pub fn facts<'a>(&'a self, subjects: &'a [Subject<'a>]) -> PageFacts<'a> {
        PageFacts {
            items: subjects,
            number: self.number,
            size: self.size,
            offset: self.offset,
            total: self.total,
            more: self.more,
            next: self.next.as_deref(),
        }
    }
}

/// What the query of a list asks for.
pub(super) fn read_query(call: &Call<'_>) -> Result<QueryAsk, Refused> {
    call.route.read_query(call.query).map_err(Refused::fields)
}

/// Where a walk begins.
enum Start {
    Beginning,
    Skip(u64),
    At(Place),
    After(String),
}

struct Walk<T> {
    items: Vec<T>,
    /// The place after the last item, if the walk began at a place.
    next: Option<Place>,
    more: bool,
    /// Was the item to begin after among those looked at?
    is_found: bool,
}

/// The part of a list that a query asks for.
pub(super) async fn turn<S: Source>(
    call: &Call<'_>,
    source: &S,
    ask: &QueryAsk,
) -> Result<Page<S::Item>, Refused> {
    let size = ask.size.max(1);
    let (number, offset) = match &ask.page {
        PageAsk::Number(number) => (*number, number.saturating_sub(1).saturating_mul(u64::from(size))),
        PageAsk::Offset(offset) => (offset / u64::from(size) + 1, *offset),
        PageAsk::First | PageAsk::Cursor(_) | PageAsk::After(_) => (1, 0),
    };
    let start = match &ask.page {
        PageAsk::First => Start::Beginning,
        PageAsk::Number(_) | PageAsk::Offset(_) => Start::Skip(offset),
        PageAsk::Cursor(text) => Start::At(open(call, source, text)?),
        PageAsk::After(id) => Start::After(id.clone()),
    };
    let walk = walk(source, start, size as usize).await?;
    if !walk.is_found {
        return Err(bad_place(&call.route.paging));
    }
    let total = total(call, source, &walk).await?;
    let next = if walk.more { next(call, source, &walk, number, offset + u64::from(size)) } else { None };
    Ok(Page { items: walk.items, number, size, offset, total, more: walk.more, next })
}

async fn walk<S: Source>(source: &S, start: Start, size: usize) -> Result<Walk<S::Item>, Refused> {
    let mut walk = Walk { items: Vec::new(), next: None, more: false, is_found: true };
    let (mut place, mut to_skip, mut after) = match start {
        Start::Beginning => (None, 0, None),
        Start::Skip(count) => (None, count, None),
        Start::At(place) => (Some(place), 0, None),
        Start::After(id) => (None, 0, Some(id)),
    };
    let mut seen = 0;
    while seen <= WALK_MAX && to_skip <= WALK_MAX {
        let missing = size - walk.items.len();
        let is_filling = to_skip == 0 && after.is_none() && missing > 0;
        let (items, next) = source.part(place, if is_filling { missing.min(CHUNK) } else { CHUNK }).await?;
        seen += items.len().max(1) as u64;
        for item in items {
            if let Some(id) = &after {
                if source.id(&item) == *id {
                    after = None;
                }
            } else if !source.keeps(&item) {
            } else if to_skip > 0 {
                to_skip -= 1;
            } else if walk.items.len() < size {
                walk.items.push(item);
            } else {
                walk.more = true;
                return Ok(walk);
            }
        }
        if next.is_none() {
            break;
        }
        place = next;
        if walk.items.len() == size && walk.next.is_none() {
            walk.next = next;
        }
    }
    walk.is_found = after.is_none();
    Ok(walk)
}

/// How many items the filters keep, as far as a walk goes; only counted where the answer shows it.
async fn total<S: Source>(call: &Call<'_>, source: &S, walk: &Walk<S::Item>) -> Result<u64, Refused> {
    let is_whole = matches!(call.route.paging, Paging::All);
    if is_whole || !call.route.view.is_some_and(|view| shows_total(call.contract(), view)) {
        return Ok(walk.items.len() as u64);
    }
    match source.total().await? {
        Some(total) => Ok(total),
        None => Ok(self::walk(source, Start::Beginning, WALK_MAX as usize).await?.items.len() as u64),
    }
}

fn next<S: Source>(
    call: &Call<'_>,
    source: &S,
    walk: &Walk<S::Item>,
    number: u64,
    next_offset: u64,
) -> Option<String> {
    match &call.route.paging {
        Paging::All | Paging::Latest { .. } => None,
        Paging::Page { .. } => Some((number + 1).to_string()),
        Paging::Offset { .. } => Some(next_offset.to_string()),
        Paging::Cursor { .. } => call.api.cursors.seal(walk.next?, &list_name(call, source), call.dice()),
        Paging::StartingAfter { .. } => walk.items.last().map(|item| source.id(item)),
    }
}

fn open<S: Source>(call: &Call<'_>, source: &S, text: &str) -> Result<Place, Refused> {
    let place = call.api.cursors.open(text, &list_name(call, source));
    place.ok_or_else(|| bad_place(&call.route.paging))
}

fn list_name<S: Source>(call: &Call<'_>, source: &S) -> String {
    let owner = call.owner_key().map(|key| key.0);
    format!("{}\0{}\0{owner:?}\0{}", call.route.name, call.key.account.0, source.name())
}

fn bad_place(paging: &Paging) -> Refused {
    match paging {
        Paging::StartingAfter { after, .. } => {
            Refused::field(after, "unknown", "No item of this list has this id.")
        }
        Paging::Cursor { cursor, .. } => Refused::field(cursor, "cursor", "This is no cursor of this list."),
        _ => Refused::field("page", "unknown", "There is no such page."),
    }
}

/// Does a view show how many items there are on all pages?
fn shows_total(contract: &Contract, view: Index) -> bool {
    let in_members = |members: &[Member]| members.iter().any(|member| member_shows_total(contract, member));
    contract.views.get(view).is_some_and(|view| match &view.root {
        ViewRoot::Object(members) => in_members(members),
        ViewRoot::Items(_) => false,
    })
}

fn member_shows_total(contract: &Contract, member: &Member) -> bool {
    match &member.value {
        MemberValue::From(source, _) => *source == Value::PageTotal,
        MemberValue::Object(members) => members.iter().any(|member| member_shows_total(contract, member)),
        MemberValue::View(view) => shows_total(contract, *view),
        MemberValue::Const(_) | MemberValue::Items(_) => false,
    }
}
