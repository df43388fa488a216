//! Parts of lists, in every style that contracts know.

use posthaste_contract::model::{Contract, Index, Member, MemberValue, Paging, Source as Value, ViewRoot};
use posthaste_contract::query::PageAsk;
use posthaste_contract::{PageFacts, QueryAsk, Subject};
use posthaste_store::PageCursor;

use super::call::Call;
use super::refusal::Refused;
use super::walk::{Source, Start, WALK_MAX, Walk, walk};

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
    let page = match &ask.page {
        PageAsk::First => walk(source, Start::Beginning, size as usize).await?,
        PageAsk::Number(_) | PageAsk::Offset(_) => numbered(call, source, offset, size as usize).await?,
        PageAsk::Cursor(text) => walk(source, Start::At(open(call, source, text)?), size as usize).await?,
        PageAsk::After(id) => walk(source, Start::After(id.clone()), size as usize).await?,
    };
    if !page.is_found {
        return Err(bad_place(&call.route.paging));
    }
    let total = total(call, source, &page).await?;
    let next = if page.more { next(call, source, &page, number, offset + u64::from(size)) } else { None };
    Ok(Page { items: page.items, number, size, offset, total, more: page.more, next })
}

/// A page by its number, counted from where its reader's first page began.
async fn numbered<S: Source>(
    call: &Call<'_>,
    source: &S,
    offset: u64,
    size: usize,
) -> Result<Walk<S::Item>, Refused> {
    let reader = format!("{}\0{}", call.key.no.0, list_name(call, source));
    if offset > 0
        && let Some(from) = call.api.anchors.find(&reader, call.api.parts.clock.steady())
    {
        let page = walk(source, Start::Skip { count: offset, from: Some(from) }, size).await?;
        if page.is_found {
            return Ok(page);
        }
    }
    let page = walk(source, Start::Skip { count: offset, from: None }, size).await?;
    if let Some(first) = page.items.first().filter(|_| offset == 0) {
        call.api.anchors.fix(reader, source.id(first), call.api.parts.clock.steady());
    }
    Ok(page)
}

/// How many items the filters keep, as far as a walk goes; only counted where the answer shows it.
async fn total<S: Source>(call: &Call<'_>, source: &S, page: &Walk<S::Item>) -> Result<u64, Refused> {
    let is_whole = matches!(call.route.paging, Paging::All);
    if is_whole || !call.route.view.is_some_and(|view| shows_total(call.contract(), view)) {
        return Ok(page.items.len() as u64);
    }
    match source.total().await? {
        Some(total) => Ok(total),
        None => Ok(walk(source, Start::Beginning, WALK_MAX as usize).await?.items.len() as u64),
    }
}

fn next<S: Source>(
    call: &Call<'_>,
    source: &S,
    page: &Walk<S::Item>,
    number: u64,
    next_offset: u64,
) -> Option<String> {
    match &call.route.paging {
        Paging::All | Paging::Latest { .. } => None,
        Paging::Page { .. } => Some((number + 1).to_string()),
        Paging::Offset { .. } => Some(next_offset.to_string()),
        Paging::Cursor { .. } => call.api.cursors.seal(page.next?, &list_name(call, source), call.dice()),
        Paging::StartingAfter { .. } => page.items.last().map(|item| source.id(item)),
    }
}

fn open<S: Source>(call: &Call<'_>, source: &S, text: &str) -> Result<PageCursor, Refused> {
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
