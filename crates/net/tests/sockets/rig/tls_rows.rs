//! Receivers that go wrong with TLS, one row for each, and what an attempt at them comes to.

use tokio_rustls::TlsAcceptor;

use super::authority::{Authority, of_another_key, of_no_certificate, old_ways, self_signed};
use super::receiver::{OK, Step, answering};

/// The name that receivers are asked for by.
pub const HOST: &str = "hooks.example.com";

/// A receiver.
pub struct TlsRow {
    pub kind: &'static str,
    pub name: &'static str,
    /// Who makes the handshake; nobody does where the script speaks for itself.
    pub acceptor: Option<TlsAcceptor>,
    pub script: Vec<Step>,
    /// As in the other rows.
    pub outcome: &'static str,
    /// The sentence that stands in the log of deliveries.
    pub detail: &'static str,
}

/// The roots a sender trusts in these tests (PEM).
pub fn trusted(authority: &Authority) -> String {
    format!("{}\n{}", authority.pem(), old_ways::ROOT)
}

/// All of them. Their certificates are from `authority`, where they are in order.
pub fn tls_rows(authority: &Authority) -> Vec<TlsRow> {
    certificates(authority).into_iter().chain(handshakes(authority)).chain(breaks()).collect()
}

fn certificates(ours: &Authority) -> Vec<TlsRow> {
    const UNKNOWN: &str = "The receiver's certificate is self-signed or from an issuer that is not trusted.";
    const SIGNATURE: &str =
        "A signature of the receiver's certificate does not hold, or its key is too weak.";
    let refused = |name, acceptor, detail| TlsRow {
        kind: "H38",
        name,
        acceptor: Some(acceptor),
        script: answering(4, OK),
        outcome: "tls_error",
        detail,
    };
    vec![
        refused("self-signed", self_signed(HOST), UNKNOWN),
        refused("unknown authority", Authority::new("theirs").for_name(HOST), UNKNOWN),
        refused("authority of the same name", Authority::new("ours").for_name(HOST), SIGNATURE),
        refused("expired", ours.expired(HOST), "The receiver's certificate has expired."),
        refused("future", ours.future(HOST), "The receiver's certificate is not valid yet."),
        refused(
            "wrong name",
            ours.for_name("other.example.com"),
            "The receiver's certificate is for another name.",
        ),
        refused(
            "a name below",
            ours.for_name("a.hooks.example.com"),
            "The receiver's certificate is for another name.",
        ),
        refused(
            "a wildcard too high",
            ours.for_name("*.com"),
            "The receiver's certificate is for another name.",
        ),
        refused(
            "common name alone",
            ours.by_common_name(HOST),
            "The receiver's certificate names no host as a subject alternative name.",
        ),
        refused("for clients", ours.for_clients(HOST), "The receiver's certificate is not one for servers."),
        refused(
            "beyond its issuer's names",
            ours.beyond_its_names(HOST),
            "The receiver's certificate does not hold (NameConstraintViolation).",
        ),
        refused("issuer with RSA of 1024 bits", old_ways::signed_with_1024_bits(), SIGNATURE),
        refused(
            "SHA-1",
            old_ways::signed_with_sha1(),
            "The receiver's certificate is signed in a way that is not safe enough.",
        ),
        refused("key of another", of_another_key(ours, HOST), SIGNATURE),
        refused("no certificate", of_no_certificate(), "The receiver's certificate is malformed."),
        refused(
            "a chain of 100",
            ours.through_many(100, HOST),
            "The receiver's certificate does not hold (MaximumPathDepthExceeded).",
        ),
        refused(
            "a chain of 1 MB",
            ours.padded(1_000_000, HOST),
            "The receiver's certificate chain is too large.",
        ),
    ]
}

fn handshakes(ours: &Authority) -> Vec<TlsRow> {
    const NO_HTTP: &str = "The receiver does not speak HTTP/1.1 over TLS.";
    let speaks = |kind, name, acceptor, outcome, detail| TlsRow {
        kind,
        name,
        acceptor: Some(acceptor),
        script: answering(4, OK),
        outcome,
        detail,
    };
    let with_script = |name, script, outcome| TlsRow {
        kind: "H39",
        name,
        acceptor: Some(ours.for_name(HOST)),
        script,
        outcome,
        detail: "",
    };
    let send = |text: &str| Step::Send(text.into());
    vec![
        speaks("H39", "in order", ours.for_name(HOST), "200 2B", ""),
        speaks("H39", "in order, by a wildcard", ours.for_name("*.example.com"), "200 2B", ""),
        speaks("H39", "would like a client certificate", ours.asking_for_another(HOST, false), "200 2B", ""),
        speaks(
            "H39",
            "insists on a client certificate",
            ours.asking_for_another(HOST, true),
            "tls_error",
            "The receiver asks for a client certificate.",
        ),
        speaks("H23", "HTTP/2 or HTTP/1.1", ours.speaking(&["h2", "http/1.1"], HOST), "200 2B", ""),
        speaks("H23", "HTTP/2 alone", ours.speaking(&["h2"], HOST), "tls_error", NO_HTTP),
        with_script(
            "no good-bye behind a whole answer",
            vec![Step::Read, Step::Send(OK.to_vec()), Step::Drop],
            "200 2B",
        ),
        with_script(
            "no good-bye behind a body without length",
            vec![Step::Read, send("HTTP/1.1 200 OK\r\n\r\nok"), Step::Drop],
            "200 2B cut",
        ),
        with_script(
            "no good-bye in the head",
            vec![Step::Read, send("HTTP/1.1 200 OK\r\n"), Step::Drop],
            "connection_lost",
        ),
        with_script(
            "a good-bye behind a body without length",
            vec![Step::Read, send("HTTP/1.1 200 OK\r\n\r\nok")],
            "200 2B",
        ),
        with_script("a good-bye and no answer", vec![Step::Read], "connection_lost"),
        with_script("silence", vec![Step::Read, Step::Hold], "timeout"),
        with_script(
            "an endless body",
            vec![Step::Read, send("HTTP/1.1 200 OK\r\n\r\n"), Step::Endless(vec![b'x'; 20_000])],
            "200 16384B cut",
        ),
        with_script(
            "a dripped head",
            vec![Step::Read, Step::Drip(b"HTTP/1.1 200 OK\r\nX: ".repeat(500))],
            "timeout",
        ),
        with_script(
            "no HTTP",
            vec![Step::Read, send("220 mail.example.com ESMTP\r\n"), Step::Hold],
            "bad_response",
        ),
    ]
}

/// A record of TLS.
fn record(kind: u8, version: [u8; 2], content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u16).to_be_bytes();
    [&[kind, version[0], version[1], length[0], length[1]], content].concat()
}

fn alert(level: u8, description: u8) -> Step {
    Step::Send(record(21, [3, 3], &[level, description]))
}

/// A greeting in an old version, with a cipher of its time.
fn server_hello(version: [u8; 2]) -> Vec<u8> {
    let hello = [&[2, 0, 0, 38][..], &version, &[7; 32], &[0, 0, 0x2f, 0]].concat();
    record(22, version, &hello)
}

fn breaks() -> Vec<TlsRow> {
    const TOO_OLD: &str = "The receiver offers no TLS version or cipher that is safe enough.";
    const CLOSED: &str = "The receiver closed the connection during the TLS handshake.";
    const NO_TLS: &str = "The receiver does not speak TLS.";
    const BADLY: &str = "The receiver does not speak TLS as it should.";
    const LATE: &str = "The time limit passed during the TLS handshake.";
    let plays = |kind, name, steps: Vec<Step>, outcome, detail| TlsRow {
        kind,
        name,
        acceptor: None,
        script: [vec![Step::Hear], steps].concat(),
        outcome,
        detail,
    };
    let fails = |name, steps, detail| plays("H39", name, steps, "tls_error", detail);
    let then_holds = |step| vec![step, Step::Hold];
    let hello = |version| Step::Send(server_hello(version));
    let endless = |bytes: Vec<u8>| vec![Step::Endless(bytes.repeat(100))];
    vec![
        fails("TLS 1.0 alone", then_holds(hello([3, 1])), TOO_OLD),
        fails("TLS 1.1 alone", then_holds(hello([3, 2])), TOO_OLD),
        fails("SSL 3.0 alone", then_holds(hello([3, 0])), TOO_OLD),
        fails("version refused", then_holds(alert(2, 70)), TOO_OLD),
        fails(
            "ciphers refused",
            then_holds(alert(2, 40)),
            "The receiver broke off the TLS handshake (HandshakeFailure).",
        ),
        fails(
            "name not known",
            then_holds(alert(2, 112)),
            "The receiver broke off the TLS handshake (UnrecognisedName).",
        ),
        fails(
            "fault of its own",
            then_holds(alert(2, 80)),
            "The receiver broke off the TLS handshake (InternalError).",
        ),
        fails(
            "access denied",
            then_holds(alert(2, 49)),
            "The receiver broke off the TLS handshake (AccessDenied).",
        ),
        fails(
            "no such alert",
            then_holds(alert(2, 250)),
            "The receiver broke off the TLS handshake (AlertDescription(0xfa)).",
        ),
        fails("good-bye in the handshake", vec![alert(1, 0)], CLOSED),
        fails("closes in the handshake", vec![], CLOSED),
        fails("resets in the handshake", vec![Step::Reset], CLOSED),
        fails("closes in its greeting", vec![Step::Send(server_hello([3, 3])[..20].to_vec())], CLOSED),
        fails("asks to begin anew", then_holds(Step::Send(record(22, [3, 3], &[0, 0, 0, 0]))), BADLY),
        fails("data before the handshake", then_holds(Step::Send(record(23, [3, 3], OK))), BADLY),
        fails("plain HTTP", then_holds(Step::Send(OK.to_vec())), NO_TLS),
        fails("SSH", then_holds(Step::Send(b"SSH-2.0-OpenSSH_9.2p1\r\n".to_vec())), NO_TLS),
        fails("zeros without end", endless(vec![0; 64]), NO_TLS),
        fails(
            "a record beyond all",
            then_holds(Step::Send([&[22, 3, 3, 0xff, 0xff][..], &[0; 64]].concat())),
            BADLY,
        ),
        fails("empty records without end", endless(record(22, [3, 3], &[])), BADLY),
        fails("warnings without end", endless(record(21, [3, 3], &[1, 90])), BADLY),
        plays("H7", "silent", vec![Step::Hold], "timeout", LATE),
        plays(
            "H7",
            "drips its greeting",
            vec![Step::Drip([&[22, 3, 3, 0x3f, 0][..], &[2; 500]].concat())],
            "timeout",
            LATE,
        ),
        plays(
            "H7",
            "drips records that mean nothing",
            vec![Step::Drip(record(20, [3, 3], &[1]).repeat(100))],
            "tls_error",
            BADLY,
        ),
    ]
}
