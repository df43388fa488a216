use super::*;
use crate::model::{Basis, Method, Op};

fn route(paging: Paging) -> Route {
    Route {
        name: "list".into(),
        op: Op::WebhookList,
        method: Method::Get,
        path: "/webhooks".into(),
        segments: Vec::new(),
        auth: 0,
        needs: None,
        weight: 1,
        rates: Vec::new(),
        input: None,
        status: 200,
        view: None,
        rows: crate::model::Rows::Delivery,
        paging,
        filters: Vec::new(),
        test_event_type: None,
        doc: String::new(),
        basis: Basis::Seed,
    }
}

fn size(beyond: Beyond) -> PageSize {
    PageSize { param: "per_page".into(), default: 20, min: 1, max: 100, beyond }
}

#[test]
fn pages_outside_are_clamped() {
    let route = route(Paging::Page { number: "page".into(), size: size(Beyond::Clamp) });
    for (query, number, items) in [
        ("", 1, 20),
        ("page=3&per_page=50", 3, 50),
        ("page=0", 1, 20),
        ("page=-1&per_page=-5", 1, 20),
        ("page=1.5", 1, 20),
        ("page=abc&per_page=abc", 1, 20),
        ("page=", 1, 20),
        ("page=%00", 1, 20),
        ("page=+1", 1, 20),
        ("page=%201", 1, 20),
        ("page=1e3", 1, 20),
        ("page=%D9%A1", 1, 20),
        ("page=9223372036854775808", 1_000_000_000, 20),
        ("page=1111111111111111111111111111111111111111", 1_000_000_000, 20),
        ("per_page=0", 1, 1),
        ("per_page=101", 1, 100),
        ("page=1&page=2", 1, 20),
        ("page[]=2&other=x", 1, 20),
        ("%70age=2", 2, 20),
        ("&&page=2&", 2, 20),
    ] {
        let ask = route.read_query(query).unwrap();
        assert_eq!((ask.page, ask.size), (PageAsk::Number(number), items), "{query}");
    }
}

#[test]
fn sizes_outside_are_refused_where_the_contract_says_so() {
    let route = route(Paging::Cursor { cursor: "cursor".into(), size: size(Beyond::Error) });
    for query in ["per_page=0", "per_page=101", "per_page=abc", "per_page="] {
        let faults = route.read_query(query).unwrap_err();
        assert_eq!(faults[0].message, "per_page must be a whole number from 1 to 100", "{query}");
    }
    let ask = route.read_query("cursor=a%2Bb&per_page=7").unwrap();
    assert_eq!((ask.page, ask.size), (PageAsk::Cursor("a+b".into()), 7));
    assert_eq!(route.read_query("cursor=").unwrap().page, PageAsk::First);
}

#[test]
fn offsets_and_ids_are_read() {
    let by_offset = route(Paging::Offset { offset: "offset".into(), size: size(Beyond::Error) });
    assert_eq!(by_offset.read_query("offset=40").unwrap().page, PageAsk::Offset(40));
    assert_eq!(by_offset.read_query("").unwrap().page, PageAsk::Offset(0));
    assert_eq!(by_offset.read_query("offset=-1").unwrap_err()[0].field, "offset");
    let by_id = route(Paging::StartingAfter { after: "starting_after".into(), size: size(Beyond::Clamp) });
    assert_eq!(by_id.read_query("starting_after=we_1").unwrap().page, PageAsk::After("we_1".into()));
    assert_eq!(route(Paging::Latest { max: 50 }).read_query("per_page=9").unwrap().size, 50);
}
