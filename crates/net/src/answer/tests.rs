//! Answers as they may come: whole, byte by byte, and cut in two at every place.

use super::*;

/// What follows the last byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    Close,
    Break,
    Silence,
}

/// Reads pieces one after the other. An answer is told as its status, how much of its body is kept, and whether it is
/// `cut` and the connection `clean`.
fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, after: After) -> String {
    let mut reading = Reading::new();
    let mut pieces = pieces.into_iter();
    while let Some(piece) = pieces.next() {
        assert!(!piece.is_empty(), "the end is told otherwise");
        match reading.take(piece) {
            Ok(None) => {}
            // What comes after the end finds the connection in the pool, where it is looked at before it is used.
            Ok(Some(answered)) => return told(&answered, pieces.next().is_none()),
            Err(bad) => return format!("{bad:?}"),
        }
        let (length, room) = (reading.head_so_far.len(), reading.head_so_far.capacity());
        assert!(length <= HEAD_MAX_BYTES);
        assert!(room < length + HEAD_GROWS_BY_BYTES || length == 0, "{room} bytes for {length}");
    }
    let ended = match after {
        After::Silence => return "waiting".to_owned(),
        After::Close => reading.end(Ending::Closed),
        After::Break => reading.end(Ending::Broken),
    };
    match ended {
        Ok(None) => "lost".to_owned(),
        Ok(Some(answered)) => told(&answered, true),
        Err(bad) => format!("{bad:?}"),
    }
}

fn told(answered: &Answered, is_end: bool) -> String {
    let Response { status, body, is_cut, .. } = &answered.response;
    let cut = if *is_cut { " cut" } else { "" };
    let clean = if answered.is_connection_clean && is_end { " clean" } else { "" };
    assert!(body.len() <= Response::BODY_KEPT_BYTES);
    format!("{status} {}{cut}{clean}", String::from_utf8_lossy(body))
}

/// Checks an answer in every way of delivery.
fn check(name: &str, text: &str, after: After, expected: &str) {
    let bytes = text.as_bytes();
    assert_eq!(read([bytes].into_iter().filter(|all| !all.is_empty()), after), expected, "{name}: whole");
    assert_eq!(read(bytes.chunks(1), after), expected, "{name}: byte by byte");
    for cut in 1..bytes.len() {
        let (first, second) = bytes.split_at(cut);
        assert_eq!(read([first, second], after), expected, "{name}: cut at {cut}");
    }
}

const OK: &str = "HTTP/1.1 200 OK\r\n";

#[test]
fn where_a_body_ends() {
    use After::{Break, Close, Silence};
    for (headers_and_body, after, expected) in [
        // By length.
        ("Content-Length: 2\r\n\r\nok", Silence, "200 ok clean"),
        ("content-length:2\r\n\r\nok", Silence, "200 ok clean"),
        ("Content-Length: 0\r\n\r\n", Silence, "200  clean"),
        ("Content-Length: 002\r\n\r\nok", Silence, "200 ok clean"),
        ("Content-Length: 2\r\n\r\nokay", Silence, "200 ok"),
        ("Content-Length: 3\r\n\r\nok", Silence, "waiting"),
        ("Content-Length: 3\r\n\r\nok", Close, "200 ok cut"),
        ("Content-Length: 3\r\n\r\nok", Break, "200 ok cut"),
        ("Content-Length: 18446744073709551615\r\n\r\nok", Close, "200 ok cut"),
        ("Content-Length: 2\r\nContent-Length: 2\r\n\r\nok", Silence, "200 ok clean"),
        ("Content-Length: 2, 2\r\n\r\nok", Silence, "200 ok clean"),
        ("Content-Length: 1\r\nContent-Length: 2\r\n\r\nok", Silence, "Malformed"),
        ("Content-Length: 2\r\nContent-Length: x\r\n\r\nok", Silence, "Malformed"),
        ("Content-Length: x\r\nContent-Length: 2\r\n\r\nok", Silence, "Malformed"),
        ("Content-Length: 2, 3\r\n\r\nok", Silence, "Malformed"),
        ("Content-Length: 2,\r\n\r\nok", Silence, "Malformed"),
        ("Content-Length:\r\n\r\nok", Silence, "Malformed"),
        ("Content-Length: -2\r\n\r\nok", Silence, "Malformed"),
        ("Content-Length: +2\r\n\r\nok", Silence, "Malformed"),
        ("Content-Length: 0x2\r\n\r\nok", Silence, "Malformed"),
        ("Content-Length: 2 2\r\n\r\nok", Silence, "Malformed"),
        ("Content-Length: two\r\n\r\nok", Silence, "Malformed"),
        ("Content-Length: \u{b2}\r\n\r\nok", Silence, "Malformed"),
        ("Content-Length: 18446744073709551616\r\n\r\nok", Silence, "Malformed"),
        // In chunks.
        ("Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", Silence, "200 ok clean"),
        (
            "Transfer-Encoding: Chunked\r\n\r\n1;x\r\no\r\n1\r\nk\r\n0\r\nX: y\r\n\r\n",
            Silence,
            "200 ok clean",
        ),
        ("Transfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", Silence, "200 ok clean"),
        ("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Silence, "200  clean"),
        ("Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nmore", Silence, "200 ok"),
        ("Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n", Silence, "waiting"),
        ("Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n", Close, "200 ok cut"),
        ("Transfer-Encoding: chunked\r\n\r\n5\r\nok", Break, "200 ok cut"),
        ("Transfer-Encoding: chunked\r\n\r\n2\r\nokay\r\n", Silence, "200 ok cut"),
        ("Transfer-Encoding: chunked\r\n\r\nok", Silence, "200  cut"),
        // Both: chunks win, and the connection is not trusted.
        ("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", Silence, "200 ok"),
        ("Transfer-Encoding: chunked\r\nContent-Length: x\r\n\r\n2\r\nok\r\n0\r\n\r\n", Silence, "200 ok"),
        // By the connection's end.
        ("\r\nok", Close, "200 ok"),
        ("\r\nok", Break, "200 ok cut"),
        ("\r\nok", Silence, "waiting"),
        ("Transfer-Encoding: gzip\r\n\r\nok", Close, "200 ok"),
        ("Transfer-Encoding: chunked, gzip\r\n\r\nok", Close, "200 ok"),
        ("Transfer-Encoding: gzip\r\nContent-Length: 1\r\n\r\nok", Close, "200 ok"),
        // The receiver does not want to go on.
        ("Connection: close\r\nContent-Length: 2\r\n\r\nok", Silence, "200 ok"),
        ("Connection: x, CLOSE\r\nContent-Length: 2\r\n\r\nok", Silence, "200 ok"),
        ("Connection: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", Silence, "200 ok"),
        ("Connection: keep-alive\r\nContent-Length: 2\r\n\r\nok", Silence, "200 ok clean"),
    ] {
        check(headers_and_body, &format!("{OK}{headers_and_body}"), after, expected);
    }
}

#[test]
fn heads_of_every_kind() {
    use After::{Break, Close, Silence};
    let nine = "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n".repeat(9);
    let eight = format!("{}{OK}Content-Length: 2\r\n\r\nok", &nine[..nine.len() / 9 * 8]);
    for (text, after, expected) in [
        ("HTTP/1.1 204 No Content\r\n\r\n", Silence, "204  clean"),
        ("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", Silence, "204  clean"),
        ("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", Silence, "204 "),
        ("HTTP/1.1 204 No Content\r\nContent-Length: x\r\n\r\n", Silence, "204 "),
        ("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n", Silence, "204 "),
        ("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", Silence, "204 "),
        ("HTTP/1.1 205 Reset\r\n\r\n", Silence, "205 "),
        ("HTTP/1.1 205 Reset\r\n\r\nwords", Silence, "205 "),
        ("HTTP/1.1 205 Reset\r\nContent-Length: 0\r\n\r\n", Silence, "205  clean"),
        ("HTTP/1.1 205 Reset\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Silence, "205  clean"),
        ("HTTP/1.1 205 Reset\r\nTransfer-Encoding: gzip\r\n\r\n", Close, "205 "),
        ("HTTP/1.1 304 Not Modified\r\n\r\n", Silence, "304  clean"),
        ("HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 500 No\r\n\r\n", Silence, "204 "),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", Silence, "304 "),
        ("HTTP/1.1 101 S\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", Silence, "101 "),
        ("HTTP/1.1 101 S\r\nContent-Length: 2\r\n\r\nok", Silence, "101 "),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            Silence,
            "200 ok clean",
        ),
        (
            "HTTP/1.1 103 E\r\nContent-Length: 2\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            Silence,
            "200 ok",
        ),
        ("HTTP/1.1 103 E\r\nTransfer-Encoding: chunked\r\n\r\nHTTP/1.1 204 N\r\n\r\n", Silence, "204 "),
        ("HTTP/1.1 100 Continue\r\n\r\n", Silence, "waiting"),
        ("HTTP/1.1 100 Continue\r\n\r\n", Close, "lost"),
        (&eight, Silence, "200 ok clean"),
        (&nine, Silence, "EndlessInterim"),
        ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", Silence, "200 ok"),
        ("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", Silence, "200 ok"),
        ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Silence, "Malformed"),
        ("HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", Silence, "200 ok clean"),
        ("HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok", Silence, "200 ok clean"),
        ("\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Silence, "200 ok clean"),
        ("HTTP/1.1 200 OK\nContent-Length: 2\n\nok", Silence, "200 ok clean"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\nok", Silence, "200 ok clean"),
        ("HTTP/1.1 999 X\r\nContent-Length: 0\r\n\r\n", Silence, "999  clean"),
        ("HTTP/1.1 099 X\r\nContent-Length: 0\r\n\r\n", Silence, "Malformed"),
        ("HTTP/1.1 20 X\r\n\r\n", Silence, "Malformed"),
        ("HTTP/1.1 2000 X\r\n\r\n", Silence, "Malformed"),
        ("HTTP/1.2 200 OK\r\n\r\n", Silence, "Malformed"),
        ("HTTP/2.0 200 OK\r\n\r\n", Silence, "Malformed"),
        ("http/1.1 200 OK\r\n\r\n", Silence, "Malformed"),
        ("hello\r\n", Silence, "Malformed"),
        ("SSH-2.0-OpenSSH_9.2p1\r\n", Silence, "Malformed"),
        ("HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n", Silence, "Malformed"),
        ("HTTP/1.1 200 OK\r\nX : a\r\n\r\n", Silence, "Malformed"),
        ("HTTP/1.1 200 OK\r\n: a\r\n\r\n", Silence, "Malformed"),
        ("HTTP/1.1 200 OK\r\nX\r\n\r\n", Silence, "Malformed"),
        ("HTTP/1.1 200 OK\r\nX: a\0\r\n\r\n", Silence, "Malformed"),
        ("HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n", Silence, "Malformed"),
        ("HTTP/1.1 200 \u{1b}[31m\r\n\r\n", Silence, "Malformed"),
        ("HTTP/1.1 200 OK\r\nX:", Close, "lost"),
        ("HTTP/1.1 200 OK\r\nX:", Break, "lost"),
        ("HTTP/1.1 200 OK\r\nX:", Silence, "waiting"),
        ("", Close, "lost"),
        ("", Break, "lost"),
    ] {
        check(text, text, after, expected);
    }
}

/// Delivers in pieces of a few sizes; these are too long for every cut.
fn check_long(name: &str, text: &[u8], after: After, expected: &str) {
    for piece in [1, 7, 256, 4096, 5000, usize::MAX] {
        assert_eq!(read(text.chunks(piece), after), expected, "{name}: pieces of {piece}");
    }
}

#[test]
fn nothing_exceeds_its_bound() {
    let kept = |bytes: usize| "x".repeat(bytes.min(Response::BODY_KEPT_BYTES));
    let headers = |count: usize| format!("{OK}Content-Length: 0\r\n{}\r\n", "X: v\r\n".repeat(count - 1));
    let head_of = |bytes: usize| {
        let frame = format!("{OK}Content-Length: 0\r\nX: \r\n\r\n").len();
        format!("{OK}Content-Length: 0\r\nX: {}\r\n\r\n", "a".repeat(bytes - frame))
    };
    let body_of = |bytes: usize| format!("{OK}Content-Length: {bytes}\r\n\r\n{}", "x".repeat(bytes));
    let chunked = format!("{OK}Transfer-Encoding: chunked\r\n\r\n");
    let unfinished = format!("{OK}X: {}", "a".repeat(HEAD_MAX_BYTES));
    // Each interim answer is within the bound, all of them together are not.
    let interim = format!("HTTP/1.1 103 E\r\nX: {}\r\n\r\n", "a".repeat(20_000)).repeat(4);
    let until_close = format!("{OK}\r\n{}", "x".repeat(BODY_READ_MAX_BYTES + 1));
    for (name, text, after, expected) in [
        ("100 headers", headers(100), After::Silence, "200  clean".to_owned()),
        ("101 headers", headers(101), After::Silence, "TooLarge".to_owned()),
        ("head at the limit", head_of(HEAD_MAX_BYTES), After::Silence, "200  clean".to_owned()),
        ("head beyond it", head_of(HEAD_MAX_BYTES + 1), After::Silence, "TooLarge".to_owned()),
        ("long interim answers", interim, After::Silence, "TooLarge".to_owned()),
        ("head without end", unfinished, After::Silence, "TooLarge".to_owned()),
        ("empty lines without end", "\r\n".repeat(40_000), After::Silence, "TooLarge".to_owned()),
        ("body as kept", body_of(16 * 1024), After::Silence, format!("200 {} clean", kept(16 * 1024))),
        (
            "longer than kept",
            body_of(16 * 1024 + 1),
            After::Silence,
            format!("200 {} cut clean", kept(17 * 1024)),
        ),
        (
            "as long as is read",
            body_of(64 * 1024),
            After::Silence,
            format!("200 {} cut clean", kept(64 * 1024)),
        ),
        (
            "longer than is read",
            body_of(64 * 1024 + 1),
            After::Silence,
            format!("200 {} cut", kept(65 * 1024)),
        ),
        ("longer, until it closes", until_close, After::Silence, format!("200 {} cut", kept(65 * 1024))),
        (
            "long in small chunks",
            format!("{chunked}{}", "1\r\nx\r\n".repeat(70_000)),
            After::Silence,
            format!("200 {} cut", kept(BODY_READ_MAX_BYTES.div_ceil(6))),
        ),
        (
            "endless extension",
            format!("{chunked}1\r\nx\r\n1;{}", "e".repeat(70_000)),
            After::Silence,
            "200 x cut".to_owned(),
        ),
        (
            "endless trailers",
            format!("{chunked}1\r\nx\r\n0\r\n{}", "T: x\r\n".repeat(20_000)),
            After::Silence,
            "200 x cut".to_owned(),
        ),
    ] {
        check_long(name, text.as_bytes(), after, &expected);
    }
}

/// However much a receiver sends: pieces are taken until there is an outcome, and counted.
#[test]
fn an_unfinished_head_takes_little_more_memory_than_what_came() {
    let head = format!("{OK}{}", format!("X: {}\r\n", "a".repeat(1_300)).repeat(49));
    assert!(head.len() < HEAD_MAX_BYTES);
    for piece in [1, 100, 3_000, 5_000, 40_000] {
        assert_eq!(read(head.as_bytes().chunks(piece), After::Silence), "waiting", "{piece} bytes at a time");
    }
}

#[test]
fn no_more_is_read_than_the_bounds_allow() {
    const PIECE: usize = 4096;
    let (whole_head, chunked) = (format!("{OK}\r\n"), format!("{OK}Transfer-Encoding: chunked\r\n\r\n"));
    let endless = [
        ("head without end", OK.to_owned(), "a", HEAD_MAX_BYTES),
        ("headers without end", OK.to_owned(), "X: a\r\n", HEAD_MAX_BYTES),
        ("interim answers without end", String::new(), "HTTP/1.1 100 C\r\n\r\n", HEAD_MAX_BYTES),
        ("long interim answers", String::new(), "HTTP/1.1 103 E\r\nX: aaaaaaaaaa\r\n\r\n", HEAD_MAX_BYTES),
        ("body until it closes", whole_head, "x", BODY_READ_MAX_BYTES),
        ("body of 10 GiB", format!("{OK}Content-Length: 10737418240\r\n\r\n"), "x", BODY_READ_MAX_BYTES),
        ("chunks of one byte", chunked.clone(), "1\r\nx\r\n", BODY_READ_MAX_BYTES),
        ("a chunk without end", format!("{chunked}ffffffff\r\n"), "x", BODY_READ_MAX_BYTES),
        ("a trailer without end", format!("{chunked}0\r\nX: "), "x", BODY_READ_MAX_BYTES),
        ("an extension without end", format!("{chunked}5;"), "x", BODY_READ_MAX_BYTES),
    ];
    let rows = endless.len();
    for (name, begin, again, bound) in endless {
        let stream: Vec<u8> =
            begin.bytes().chain(again.bytes().cycle()).take(begin.len() + 4 * bound).collect();
        let mut reading = Reading::new();
        let outcome =
            stream.chunks(PIECE).enumerate().find_map(|(number, piece)| match reading.take(piece) {
                Ok(None) => None,
                ended => Some(((number + 1) * PIECE, ended)),
            });
        let (taken, ended) = outcome.unwrap_or_else(|| panic!("{name}: read on"));
        assert!(taken <= begin.len() + bound + PIECE, "{name}: {taken} bytes");
        assert!(ended.is_err() || !ended.unwrap().unwrap().is_connection_clean, "{name}");
    }
    println!("counted | receivers | endless answers and how much of them is read | {rows}");
}

#[test]
fn headers_are_kept_in_order_within_their_bound() {
    let long = "a".repeat(Response::HEADERS_KEPT_BYTES);
    let text = format!(
        "{OK}Retry-After: 60\r\nSET-Cookie: a\r\nSet-Cookie:  b \r\nX: {long}\r\nY: 1\r\nContent-Length: 0\r\n\r\n"
    );
    let answered = Reading::new().take(text.as_bytes()).unwrap().unwrap();
    let expected = [
        ("retry-after", "60"),
        ("set-cookie", "a"),
        ("set-cookie", "b"),
        ("y", "1"),
        ("content-length", "0"),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
    assert_eq!(answered.response.headers, expected);
}

mod any_bytes {
    use proptest::prelude::*;

    use super::*;

    /// Parts of answers, so that random texts come close to real ones.
    const PARTS: [&str; 24] = [
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 100 C\r\n\r\n",
        "HTTP/1.0 500 X\r\n",
        "HTTP/1.1 204 N\r\n",
        "HTTP/1.1 101 S\r\n",
        "Content-Length: 2\r\n",
        "Content-Length: 3\r\n",
        "Content-Length: 99999\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Connection: close\r\n",
        "\r\n",
        "\n",
        "\r",
        "2\r\nok\r\n",
        "0\r\n",
        "0\r\n\r\n",
        ";x=y",
        "ok",
        "ffff",
        "X: y\r\n",
        ":",
        " ",
        "\0",
        "HTTP/1.1",
    ];

    fn texts() -> impl Strategy<Value = Vec<u8>> {
        let part = prop_oneof![
            8 => proptest::sample::select(PARTS.as_slice()).prop_map(|part| part.as_bytes().to_vec()),
            1 => proptest::collection::vec(any::<u8>(), 0..20),
        ];
        let answers = proptest::collection::vec(part, 0..12).prop_map(|parts| parts.concat());
        prop_oneof![answers.clone(), answers.prop_map(|rest| [b"HTTP/1.1 200 OK\r\n", &rest[..]].concat())]
    }

    fn endings() -> impl Strategy<Value = After> {
        proptest::sample::select([After::Close, After::Break, After::Silence].as_slice())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        /// However the bytes are cut, the outcome is the same, and nothing panics or grows beyond its bound.
        #[test]
        fn cuts_make_no_difference(text in texts(), after in endings(), sizes in proptest::collection::vec(1usize..40, 1..8)) {
            let mut pieces = Vec::new();
            let (mut rest, mut sizes) = (&text[..], sizes.iter().cycle());
            while let Some(size) = sizes.next().filter(|_| !rest.is_empty()) {
                let (piece, later) = rest.split_at((*size).min(rest.len()));
                pieces.push(piece);
                rest = later;
            }
            let whole = read([&text[..]].into_iter().filter(|all| !all.is_empty()), after);
            prop_assert_eq!(read(pieces, after), whole);
        }
    }
}
