//! Looking for secrets in bytes: as they are, in the encodings in which programs write bytes, and in pieces.

use std::collections::{HashMap, HashSet};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};

/// So many consecutive characters of a secret are a leak.
pub const PIECE_CHARS: usize = 12;

type Piece = [u8; PIECE_CHARS];

/// Secrets, each with a name for people.
#[derive(Default)]
pub struct Canaries {
    texts: Vec<(String, Vec<u8>)>,
}

/// Every piece of every form of the secrets, ready to be looked for.
pub struct Search {
    pieces: HashMap<Piece, usize>,
    /// Which first two bytes occur.
    starts: Vec<bool>,
    names: Vec<String>,
}

impl Canaries {
    /// A secret: its text, the bytes that the text stands for, and its digest.
    pub fn add(&mut self, name: &str, text: &str) {
        assert!(text.len() >= PIECE_CHARS, "{name} is too short to be told from chance");
        if self.texts.iter().any(|(_, known)| known == text.as_bytes()) {
            return;
        }
        self.texts.push((name.to_owned(), text.as_bytes().to_vec()));
        let hashed = digest(&SHA256, text.as_bytes());
        self.texts.push((format!("the digest of {name}"), hashed.as_ref().to_vec()));
        let bare = text.rsplit_once('_').map_or(text, |(_, bare)| bare);
        let decoded = [STANDARD.decode(bare).ok(), URL_SAFE.decode(bare).ok(), unhex(bare)];
        for bytes in decoded.into_iter().flatten().filter(|bytes| bytes.len() >= PIECE_CHARS) {
            self.texts.push((format!("the bytes of {name}"), bytes));
        }
    }

    /// Bytes that are no text.
    pub fn add_bytes(&mut self, name: &str, bytes: &[u8]) {
        self.texts.push((name.to_owned(), bytes.to_vec()));
    }

    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// What two secrets have in common, such as the prefix of all keys, is none.
    pub fn search(&self) -> Search {
        let mut pieces: HashMap<Piece, usize> = HashMap::new();
        let mut shared: HashSet<Piece> = HashSet::new();
        for (at, (_, secret)) in self.texts.iter().enumerate() {
            for form in forms(secret) {
                for window in form.windows(PIECE_CHARS) {
                    let piece: Piece = window.try_into().unwrap();
                    if pieces.insert(piece, at).is_some_and(|known| !is_same_secret(&self.texts, known, at)) {
                        shared.insert(piece);
                    }
                }
            }
        }
        pieces.retain(|piece, _| !shared.contains(piece) && is_telling(piece));
        let mut starts = vec![false; 1 << 16];
        pieces.keys().for_each(|piece| starts[start(piece)] = true);
        Search { pieces, starts, names: self.texts.iter().map(|(name, _)| name.clone()).collect() }
    }
}

/// A text and the bytes it stands for are one secret under two names.
fn is_same_secret(texts: &[(String, Vec<u8>)], one: usize, other: usize) -> bool {
    let bare = |at: usize| texts[at].0.trim_start_matches("the bytes of ").to_owned();
    one == other || bare(one) == bare(other)
}

/// Runs of one byte, such as those that percent signs make, occur everywhere.
fn is_telling(piece: &Piece) -> bool {
    piece.iter().collect::<HashSet<_>>().len() > 3
}

fn start(bytes: &[u8]) -> usize {
    usize::from(bytes[0]) << 8 | usize::from(bytes[1])
}

impl Search {
    /// The names of the secrets that are in these bytes, with what stands around the first piece of each.
    pub fn hits(&self, bytes: &[u8]) -> Vec<String> {
        let mut found: HashMap<usize, usize> = HashMap::new();
        for (at, window) in bytes.windows(PIECE_CHARS).enumerate() {
            if !self.starts[start(window)] {
                continue;
            }
            let piece: &Piece = window.try_into().unwrap();
            if let Some(secret) = self.pieces.get(piece) {
                found.entry(*secret).or_insert(at);
            }
        }
        let around = |at: usize| {
            let (from, to) = (at.saturating_sub(160), bytes.len().min(at + 80));
            bytes[from..to].escape_ascii().to_string()
        };
        found.into_iter().map(|(secret, at)| format!("{}: …{}…", self.names[secret], around(at))).collect()
    }
}

/// The ways in which a secret might be written down.
pub fn forms(secret: &[u8]) -> Vec<Vec<u8>> {
    let hex = |upper: bool| {
        let digit = |byte: &u8| if upper { format!("{byte:02X}") } else { format!("{byte:02x}") };
        secret.iter().map(digit).collect::<String>().into_bytes()
    };
    let percent: String = secret.iter().map(|byte| format!("%{byte:02X}")).collect();
    let escaped = String::from_utf8_lossy(secret);
    let json = serde_json::to_string(&escaped).unwrap();
    let unicode: String = secret.iter().map(|byte| format!("\\u{byte:04x}")).collect();
    let debug = format!("{secret:?}");
    let mut forms = vec![
        secret.to_vec(),
        hex(false),
        hex(true),
        percent.clone().into_bytes(),
        percent.to_lowercase().into_bytes(),
        json.trim_matches('"').as_bytes().to_vec(),
        unicode.into_bytes(),
        debug.trim_matches(['[', ']']).as_bytes().to_vec(),
        secret.escape_ascii().to_string().into_bytes(),
        secret.iter().rev().copied().collect(),
    ];
    for skipped in 0..3.min(secret.len()) {
        // In the middle of other bytes the text comes out in one of three ways; what hangs over at the ends is cut off.
        let whole = &secret[skipped..secret.len() - (secret.len() - skipped) % 3];
        let text = STANDARD_NO_PAD.encode(whole);
        forms.push(text.replace('+', "-").replace('/', "_").into_bytes());
        forms.push(text.into_bytes());
    }
    forms
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let is_hex = text.len().is_multiple_of(2) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).ok();
    is_hex.then(|| (0..text.len()).step_by(2).filter_map(byte).collect())
}

#[test]
fn every_form_of_a_secret_is_found_wherever_it_is() {
    let mut canaries = Canaries::default();
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    canaries.add("a", secret);
    canaries.add("b", "whsec_Nothing9InCommon8But7ThePrefix6xx");
    let search = canaries.search();
    let mut planted = 0;
    for form in forms(secret.as_bytes()) {
        for (before, after) in [("", ""), ("\0\0x", "y"), ("{\"token\": \"", "\"}"), ("=", "&z=1")] {
            let whole = [before.as_bytes(), &form, after.as_bytes()].concat();
            assert!(!search.hits(&whole).is_empty(), "{}", whole.escape_ascii());
            planted += 1;
        }
    }
    for skipped in 0..4 {
        let surrounded = [&b"abcd"[..skipped], secret.as_bytes(), b"xyz"].concat();
        assert!(!search.hits(STANDARD.encode(surrounded).as_bytes()).is_empty(), "{skipped}");
        planted += 1;
    }
    for from in 6..secret.len() - PIECE_CHARS {
        assert!(!search.hits(&secret.as_bytes()[from..from + PIECE_CHARS]).is_empty(), "{from}");
        planted += 1;
    }
    let bytes = STANDARD.decode(&secret[6..]).unwrap();
    assert!(!search.hits(&bytes).is_empty());
    assert_eq!(
        search.hits(b"whsec_MfKQ9 is how it begins, and nothing else of it is here"),
        Vec::<String>::new()
    );
    println!("counted | secrets | planted secrets found | {}", planted + 1);
}
