//! Hostile and broken receivers, one row for each, and what an attempt at them comes to.

use super::receiver::{OK, Step};

/// A receiver.
pub struct Row {
    /// The kind of misbehaviour, by number: rows of one kind have the same.
    pub kind: &'static str,
    pub name: String,
    /// What every connection does.
    pub script: Vec<Step>,
    /// The status, how many bytes of the body are kept (`*`: any number) and whether it was `cut`; or the word of the
    /// fault.
    pub outcome: String,
}

impl Row {
    /// Is this what came of an attempt?
    pub fn is_outcome(&self, outcome: &str) -> bool {
        match self.outcome.split_once('*') {
            Some((begin, end)) => outcome.starts_with(begin) && outcome.ends_with(end),
            None => self.outcome == outcome,
        }
    }
}

fn row(kind: &'static str, name: impl Into<String>, script: Vec<Step>, outcome: impl Into<String>) -> Row {
    Row { kind, name: name.into(), script, outcome: outcome.into() }
}

/// Reads the request, answers with these bytes and keeps the connection.
fn answers(kind: &'static str, name: impl Into<String>, bytes: impl Into<Vec<u8>>, outcome: &str) -> Row {
    row(kind, name, vec![Step::Read, Step::Send(bytes.into()), Step::Hold], outcome)
}

/// The same, and closes the connection.
fn closes(kind: &'static str, name: impl Into<String>, bytes: impl Into<Vec<u8>>, outcome: &str) -> Row {
    row(kind, name, vec![Step::Read, Step::Send(bytes.into())], outcome)
}

/// An answer without a body, with further headers.
fn empty(status: u16, headers: &str) -> String {
    format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: 0\r\n\r\n")
}

fn ok(rest: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{rest}")
}

/// All of them but those that need TLS.
pub fn rows() -> Vec<Row> {
    [redirects(), slow(), bodies(), heads(), ambiguous(), other_protocols(), bytes(), breaks(), statuses()]
        .into_iter()
        .flatten()
        .collect()
}

fn redirects() -> Vec<Row> {
    let targets = [
        "http://169.254.169.254/latest/meta-data/",
        "http://other.example.com/",
        "//other.example.com/",
        "https://127.0.0.1/",
        "/hook",
    ];
    let mut rows = Vec::new();
    for status in [301, 302, 303, 307, 308] {
        for target in targets {
            let (name, header) = (format!("{status} to {target}"), format!("Location: {target}\r\n"));
            rows.push(answers("H1", name, empty(status, &header), &format!("{status} 0B")));
        }
    }
    let long = format!("Location: https://example.com/{}\r\n", "a".repeat(10 * 1024));
    let refresh = "<meta http-equiv=\"refresh\" content=\"0;url=http://169.254.169.254/\">";
    let meta = ok(&format!("Content-Type: text/html\r\nContent-Length: {}\r\n\r\n{refresh}", refresh.len()));
    rows.extend([
        answers("H2", "300", empty(300, ""), "300 0B"),
        answers("H2", "304", "HTTP/1.1 304 X\r\n\r\n", "304 0B"),
        answers("H2", "304 with a length", "HTTP/1.1 304 X\r\nContent-Length: 9\r\n\r\n", "304 0B"),
        answers("H2", "302 without Location", empty(302, ""), "302 0B"),
        answers("H2", "302 with a Location of 10 KiB", empty(302, &long), "302 0B"),
        answers("H2", "302 with a line break in Location", empty(302, "Location: /a\r\nX: b\r\n"), "302 0B"),
        answers("H2", "302 with two Locations", empty(302, "Location: /a\r\nLocation: /b\r\n"), "302 0B"),
        answers("H2", "305 to a proxy", empty(305, "Location: http://127.0.0.1:1/\r\n"), "305 0B"),
        answers("H3", "200 with Location", empty(200, "Location: http://127.0.0.1:1/\r\n"), "200 0B"),
        answers("H3", "201 with Location", empty(201, "Location: http://127.0.0.1:1/\r\n"), "201 0B"),
        answers("H3", "Refresh", empty(200, "Refresh: 0; url=http://127.0.0.1:1/\r\n"), "200 0B"),
        answers("H3", "meta refresh", meta, &format!("200 {}B", refresh.len())),
    ]);
    rows
}

fn slow() -> Vec<Row> {
    let drips = |text: &str| vec![Step::Read, Step::Drip(text.as_bytes().repeat(500))];
    let then_drips = |head: &str, text: &str| {
        vec![Step::Read, Step::Send(head.into()), Step::Drip(text.as_bytes().repeat(500))]
    };
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    vec![
        row("H4", "accepts and is silent", vec![Step::Hold], "timeout"),
        row("H4", "reads and is silent", vec![Step::Read, Step::Hold], "timeout"),
        row("H4", "reads nothing", vec![Step::Deaf], "timeout"),
        row("H5", "drips its status line", drips("HTTP/1.1 200 OK"), "timeout"),
        row("H5", "drips empty lines", drips("\r\n"), "timeout"),
        row("H6", "drips headers", then_drips("HTTP/1.1 200 OK\r\n", "X: y\r\n"), "timeout"),
        row("H6", "drips one header", then_drips("HTTP/1.1 200 OK\r\nX: ", "y"), "timeout"),
        row("H10", "drips a body", then_drips(&ok("Content-Length: 9999\r\n\r\n"), "x"), "200 *B cut"),
        row("H10", "drips a body without length", then_drips(&ok("\r\n"), "x"), "200 *B cut"),
        row("H10", "drips chunks", then_drips(chunked, "1\r\nx\r\n"), "200 *B cut"),
        row("H10", "drips the size of a chunk", then_drips(chunked, "0"), "200 0B cut"),
        row("H10", "drips trailers", then_drips(&format!("{chunked}0\r\n"), "X: y\r\n"), "200 0B cut"),
        row("H16", "drips interim answers", drips("HTTP/1.1 102 P\r\n\r\n"), "timeout"),
    ]
}

fn bodies() -> Vec<Row> {
    let endless = |head: &str, again: &str| {
        vec![Step::Read, Step::Send(ok(head).into_bytes()), Step::Endless(again.repeat(256).into_bytes())]
    };
    let chunked = "Transfer-Encoding: chunked\r\n\r\n";
    let sized = |bytes: usize| ok(&format!("Content-Length: {bytes}\r\n\r\n{}", "b".repeat(bytes)));
    // One member that says it is far longer than it is; nobody here may look into it.
    let gzip = [b"\x1f\x8b\x08\0\0\0\0\0\x02\xff\xed\xc1\x01\x01".as_slice(), &[0; 200]].concat();
    let encoded = |coding: &str| {
        let head = ok(&format!("Content-Encoding: {coding}\r\nContent-Length: {}\r\n\r\n", gzip.len()));
        [head.into_bytes(), gzip.clone()].concat()
    };
    vec![
        row("H8", "endless body", endless("\r\n", "x"), "200 16384B cut"),
        row("H8", "endless chunk", endless(&format!("{chunked}ffffffff\r\n"), "x"), "200 16384B cut"),
        row("H8", "endless chunks of one byte", endless(chunked, "1\r\nx\r\n"), "200 10923B cut"),
        row("H8", "endless extension", endless(&format!("{chunked}1;"), "x"), "200 0B cut"),
        row("H8", "endless trailers", endless(&format!("{chunked}0\r\n"), "X: y\r\n"), "200 0B cut"),
        row("H9", "10 GiB", endless("Content-Length: 10737418240\r\n\r\n", "x"), "200 16384B cut"),
        row(
            "H9",
            "the longest length",
            endless("Content-Length: 18446744073709551615\r\n\r\n", "x"),
            "200 16384B cut",
        ),
        answers("H9", "16 KiB", sized(16 * 1024), "200 16384B"),
        answers("H9", "one byte more", sized(16 * 1024 + 1), "200 16384B cut"),
        answers("H10", "stalls in its body", ok("Content-Length: 10\r\n\r\nabc"), "200 3B cut"),
        closes("H11", "closes in its body", ok("Content-Length: 10\r\n\r\nabc"), "200 3B cut"),
        row(
            "H11",
            "resets in its body",
            vec![Step::Read, Step::Send(ok("Content-Length: 10\r\n\r\nabc").into_bytes()), Step::Reset],
            "200 *B cut",
        ),
        answers(
            "H12",
            "a chunk too large to count",
            ok(&format!("{chunked}ffffffffffffffffff\r\n")),
            "200 0B cut",
        ),
        answers("H12", "a chunk of a negative size", ok(&format!("{chunked}-1\r\nx\r\n")), "200 0B cut"),
        answers("H12", "a chunk longer than it says", ok(&format!("{chunked}2\r\nokay\r\n")), "200 2B cut"),
        answers("H12", "chunks with bare line feeds", ok(&format!("{chunked}2\nok\n0\n\n")), "200 0B cut"),
        closes("H12", "a chunk that breaks off", ok(&format!("{chunked}5\r\nok")), "200 2B cut"),
        closes("H12", "no last chunk", ok(&format!("{chunked}2\r\nok\r\n")), "200 2B cut"),
        answers("H30", "gzip", encoded("gzip"), &format!("200 {}B", gzip.len())),
        answers("H30", "br that is none", encoded("br, gzip, zstd"), &format!("200 {}B", gzip.len())),
    ]
}

fn heads() -> Vec<Row> {
    let headers = |count: usize| ok(&format!("Content-Length: 0\r\n{}\r\n", "X: v\r\n".repeat(count - 1)));
    let header = |bytes: usize| ok(&format!("Content-Length: 0\r\nX: {}\r\n\r\n", "a".repeat(bytes)));
    let many = (0..90).map(|n| format!("X-{n}: {}\r\n", "v".repeat(800))).collect::<String>();
    let interim =
        |count: usize| "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n".repeat(count) + &empty(200, "");
    let endless = |text: &str| vec![Step::Read, Step::Endless(text.as_bytes().to_vec())];
    vec![
        answers("H13", "99 headers", headers(99), "200 0B"),
        answers("H13", "100 headers", headers(100), "200 0B"),
        answers("H13", "101 headers", headers(101), "bad_response"),
        answers("H14", "a header of 60 KiB", header(60 * 1024), "200 0B"),
        answers("H14", "a header of 64 KiB", header(64 * 1024), "bad_response"),
        answers("H14", "a header of 300 KB", header(300_000), "bad_response"),
        answers("H15", "90 headers of 70 KiB in all", ok(&many), "bad_response"),
        row("H15", "headers without end", endless("X: y\r\n"), "bad_response"),
        row("H15", "empty lines without end", endless("\r\n"), "bad_response"),
        row("H15", "zeros without end", endless("\0"), "bad_response"),
        row(
            "H16",
            "interim answers without end",
            endless("HTTP/1.1 103 Early Hints\r\n\r\n"),
            "bad_response",
        ),
        answers("H16", "8 interim answers", interim(8), "200 0B"),
        answers("H16", "9 interim answers", interim(9), "bad_response"),
        answers(
            "H16",
            "an interim answer of 70 KiB",
            header(70 * 1024).replace("200 OK", "103 E"),
            "bad_response",
        ),
        answers("H17", "100 then 200", format!("HTTP/1.1 100 Continue\r\n\r\n{}", empty(200, "")), "200 0B"),
        closes("H17", "100 and nothing more", "HTTP/1.1 100 Continue\r\n\r\n", "connection_lost"),
    ]
}

fn ambiguous() -> Vec<Row> {
    let chunks = "2\r\nok\r\n0\r\n\r\n";
    vec![
        answers(
            "H18",
            "length and chunks",
            ok(&format!("Content-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}")),
            "200 2B",
        ),
        answers(
            "H18",
            "chunks and length",
            ok(&format!("Transfer-Encoding: chunked\r\nContent-Length: x\r\n\r\n{chunks}")),
            "200 2B",
        ),
        closes(
            "H18",
            "chunks that are not last",
            ok(&format!("Transfer-Encoding: chunked, gzip\r\n\r\n{chunks}")),
            "200 12B",
        ),
        closes("H18", "no such coding", ok("Transfer-Encoding: cow\r\n\r\nmoo"), "200 3B"),
        answers(
            "H18",
            "chunks by HTTP/1.0",
            format!("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}"),
            "bad_response",
        ),
        answers("H19", "two lengths", ok("Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"), "bad_response"),
        answers("H19", "two lengths in one line", ok("Content-Length: 1, 2\r\n\r\nab"), "bad_response"),
        answers(
            "H19",
            "the same length twice",
            ok("Content-Length: 2\r\nContent-Length: 2\r\n\r\nab"),
            "200 2B",
        ),
        answers("H19", "negative length", ok("Content-Length: -1\r\n\r\n"), "bad_response"),
        answers("H19", "length with a sign", ok("Content-Length: +2\r\n\r\nab"), "bad_response"),
        answers("H19", "hexadecimal length", ok("Content-Length: 0x2\r\n\r\nab"), "bad_response"),
        answers(
            "H19",
            "length beyond all",
            ok("Content-Length: 18446744073709551616\r\n\r\n"),
            "bad_response",
        ),
        answers("H19", "no length in its header", ok("Content-Length:\r\n\r\n"), "bad_response"),
        answers("H20", "bare line feeds", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok", "200 2B"),
        answers("H20", "no reason", "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", "200 2B"),
        answers("H31", "two answers at once", ok("Content-Length: 2\r\n\r\nok").repeat(2), "200 2B"),
        answers(
            "H31",
            "bytes behind a 204",
            "HTTP/1.1 204 X\r\n\r\nHTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n",
            "204 0B",
        ),
        answers("H31", "a 204 with a body", "HTTP/1.1 204 X\r\nContent-Length: 5\r\n\r\nhello", "204 0B"),
        row("H31", "answers before it is asked", vec![Step::Send(OK.to_vec()), Step::Hold], "200 2B"),
    ]
}

fn other_protocols() -> Vec<Row> {
    let speaks = |kind, name: &str, bytes: &[u8]| {
        row(kind, name, vec![Step::Send(bytes.to_vec()), Step::Hold], "bad_response")
    };
    vec![
        answers("H22", "plain text", "hello\r\n", "bad_response"),
        answers("H22", "HTTP/0.9", "<html>hello</html>", "bad_response"),
        answers("H22", "JSON", "{\"status\":200}", "bad_response"),
        answers("H22", "a request", "POST / HTTP/1.1\r\nHost: x\r\n\r\n", "bad_response"),
        answers("H23", "HTTP/2 in words", "HTTP/2.0 200 OK\r\n\r\n", "bad_response"),
        answers("H23", "HTTP/2", "HTTP/2 200\r\n\r\n", "bad_response"),
        answers("H23", "HTTP/3", "HTTP/3 200 OK\r\n\r\n", "bad_response"),
        answers("H23", "HTTP/1.2", "HTTP/1.2 200 OK\r\n\r\n", "bad_response"),
        answers("H23", "lower case", "http/1.1 200 ok\r\n\r\n", "bad_response"),
        speaks(
            "H23",
            "frames of HTTP/2",
            b"\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x80\0\x04\0\x01\0\0\0\x05\0\xff\xff\xff",
        ),
        speaks("H24", "SSH", b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"),
        speaks("H24", "SMTP", b"220 mail.example.com ESMTP ready\r\n"),
        speaks("H24", "FTP", b"220 (vsFTPd 3.0.3)\r\n"),
        speaks("H24", "POP3", b"+OK ready\r\n"),
        speaks("H24", "Redis", b"-ERR unknown command 'POST'\r\n"),
        speaks("H24", "MySQL", b"\x4a\0\0\0\x0a8.0.36\0\x08\0\0\0"),
        speaks("H24", "TLS", b"\x15\x03\x01\0\x02\x02\x46"),
        speaks("H24", "telnet", b"\xff\xfd\x18\xff\xfd\x20"),
    ]
}

fn bytes() -> Vec<Row> {
    let with = |header: &[u8]| [b"HTTP/1.1 200 OK\r\n", header, b"\r\nContent-Length: 0\r\n\r\n"].concat();
    let body =
        |bytes: &[u8]| [ok(&format!("Content-Length: {}\r\n\r\n", bytes.len())).as_bytes(), bytes].concat();
    vec![
        answers("H26", "a folded header", with(b"X: a\r\n b"), "bad_response"),
        answers("H26", "space before the colon", with(b"X : a"), "bad_response"),
        answers("H26", "a header without a colon", with(b"X"), "bad_response"),
        answers("H26", "a header without a name", with(b": a"), "bad_response"),
        answers("H26", "NUL in a value", with(b"X: a\0"), "bad_response"),
        answers("H26", "a bare carriage return", with(b"X: a\rb"), "bad_response"),
        answers("H26", "a name that is no token", with(b"X(y): a"), "bad_response"),
        answers("H26", "a name that is no ASCII", with(b"\xc3\xa9: a"), "bad_response"),
        answers("H27", "a value that is no text", with(b"X: \xff\xfe"), "200 0B"),
        answers("H27", "a value in UTF-8", with("X: \u{202e}\u{1f4a9}".as_bytes()), "200 0B"),
        answers("H27", "a body that is no text", body(b"\xff\xfe\0\x1b"), "200 4B"),
        answers(
            "H28",
            "ESC in the reason",
            b"HTTP/1.1 200 \x1b[31m\r\nContent-Length: 0\r\n\r\n".to_vec(),
            "bad_response",
        ),
        answers(
            "H28",
            "NUL in the reason",
            b"HTTP/1.1 200 a\0b\r\nContent-Length: 0\r\n\r\n".to_vec(),
            "bad_response",
        ),
        answers("H28", "ESC in a value", with(b"X: \x1b]0;own\x07"), "bad_response"),
        answers("H28", "ESC in the body", body(b"\x1b[2J\x1b]0;own\x07\x9b31m"), "200 *B"),
        answers(
            "H28",
            "script and overrides in the body",
            body("<script>\u{202e}\0\u{7f}\r\n{\"level\":\"ERROR\"}".as_bytes()),
            "200 *B",
        ),
    ]
}

fn breaks() -> Vec<Row> {
    let partial = Step::Send(b"HTTP/1.1 200 OK\r\nX:".to_vec());
    vec![
        row("H29", "closes at once", vec![], "connection_lost"),
        row("H29", "resets at once", vec![Step::Reset], "connection_lost"),
        row("H29", "closes after reading", vec![Step::Read], "connection_lost"),
        row("H29", "resets after reading", vec![Step::Read, Step::Reset], "connection_lost"),
        row(
            "H29",
            "closes in the status line",
            vec![Step::Read, Step::Send(b"HTT".to_vec())],
            "connection_lost",
        ),
        row("H29", "closes in the head", vec![Step::Read, partial.clone()], "connection_lost"),
        row("H29", "resets in the head", vec![Step::Read, partial, Step::Reset], "connection_lost"),
    ]
}

fn statuses() -> Vec<Row> {
    let plain =
        |kind, status: u16| answers(kind, status.to_string(), empty(status, ""), &format!("{status} 0B"));
    let kinds: [(&str, &[u16]); 6] = [
        ("H21", &[299, 599, 600, 700, 999]),
        ("H33", &[201, 202, 203, 205, 206, 207, 208, 226]),
        ("H34", &[410]),
        ("H35", &[500, 501, 502, 503, 504, 505, 507, 511]),
        ("H36", &[400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 411, 413, 414, 415]),
        ("H36", &[416, 417, 418, 421, 422, 423, 424, 425, 426, 428, 429, 431, 451]),
    ];
    let mut rows: Vec<Row> =
        kinds.iter().flat_map(|(kind, all)| all.iter().map(move |status| plain(*kind, *status))).collect();
    rows.extend([
        answers("H21", "000", "HTTP/1.1 000 X\r\nContent-Length: 0\r\n\r\n", "bad_response"),
        answers("H21", "099", "HTTP/1.1 099 X\r\nContent-Length: 0\r\n\r\n", "bad_response"),
        answers("H21", "2000", "HTTP/1.1 2000 X\r\nContent-Length: 0\r\n\r\n", "bad_response"),
        answers("H21", "20", "HTTP/1.1 20 X\r\nContent-Length: 0\r\n\r\n", "bad_response"),
        answers("H21", "-200", "HTTP/1.1 -200 X\r\nContent-Length: 0\r\n\r\n", "bad_response"),
        answers(
            "H32",
            "101",
            "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
            "101 0B",
        ),
        answers("H33", "204", "HTTP/1.1 204 X\r\n\r\n", "204 0B"),
        answers("H33", "205 without a length", "HTTP/1.1 205 X\r\n\r\n", "205 0B"),
        answers("H33", "205 without a length, and with a body", "HTTP/1.1 205 X\r\n\r\nhello", "205 0B"),
    ]);
    rows
}
