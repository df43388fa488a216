use super::*;

/// What is noted of requests that come in pieces of this length.
fn noted(bytes: &[u8], piece: usize) -> Vec<(u64, Hidden)> {
    let notes = Notes::default();
    let mut watch = HeadWatch::new(notes.clone(), 1024);
    for piece in bytes.chunks(piece) {
        watch.read(piece);
    }
    notes.lock().hidden.drain(..).collect()
}

fn framings() -> Hidden {
    Hidden { has_two_framings: true, ..Hidden::default() }
}

fn padded(names: &[&str]) -> Hidden {
    let mut padded = Padded::default();
    names.iter().for_each(|name| padded.note(name.as_bytes()));
    Hidden { padded, ..Hidden::default() }
}

#[test]
fn what_is_put_right_is_noted_at_its_head_however_the_bytes_come() {
    let odd = "POST /a HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunked = "POST /a HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n";
    for (bytes, expected) in [
        ("GET /a HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), vec![]),
        (format!("GET /a HTTP/1.1\r\nHost: x\r\n\r\n{odd}"), vec![(1, framings())]),
        (format!("POST /a HTTP/1.1\r\nContent-Length: {}\r\n\r\n{odd}", odd.len()), vec![]),
        (format!("POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc{odd}"), vec![(1, framings())]),
        (
            format!("{chunked}3;x=\"y\"\r\nabc\r\n{:x}\r\n{odd}\r\n0\r\n\r\n{odd}", odd.len()),
            vec![(1, framings())],
        ),
        (format!("{chunked}0\r\nContent-Length: 3\r\n\r\n{odd}"), vec![(1, framings())]),
        (format!("\r\n\r\n{odd}"), vec![(0, framings())]),
        (
            "GET /a HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n".to_owned(),
            vec![(0, framings())],
        ),
        (
            "GET /a HTTP/1.1\r\nX-Key: k \r\nX-B:\t\r\nY: k\t\r\n\r\n".to_owned(),
            vec![(0, padded(&["x-key", "y"]))],
        ),
        (
            "GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
            vec![(0, Hidden { has_fragment: true, ..Hidden::default() })],
        ),
        ("A#B /a HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), vec![]),
        (
            "GET /a HTTP/1.1\r\nHost: x\n\r\n".to_owned(),
            vec![(0, Hidden { has_bare_line_feed: true, ..Hidden::default() })],
        ),
        (format!("{chunked}zz\r\n{odd}"), vec![]),
        (format!("GET /{} HTTP/1.1\r\n\r\n{odd}", "a".repeat(2000)), vec![]),
    ] {
        for piece in [1, 2, 3, 7] {
            assert_eq!(noted(bytes.as_bytes(), piece), expected, "{bytes:?} by {piece}");
        }
    }
    assert_eq!(noted(odd.as_bytes(), 4096), [(0, framings())]);
}

#[test]
fn notes_are_given_to_their_own_head() {
    let notes = Notes::default();
    notes.add(2, framings());
    assert_eq!(
        [notes.next(), notes.next(), notes.next(), notes.next()],
        [None, None, Some(framings()), None]
    );
}
