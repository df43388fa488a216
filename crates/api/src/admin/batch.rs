//! Many events in one body: a JSON array, or one JSON object per line.

use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::problem::{Kind, Problem};

/// The most events in a batch.
pub(crate) const ITEMS_MAX: usize = 1_000;

/// What bodies in other encodings, or from editors, begin with. Without this, each line of such a body would be refused
/// by itself, or worse: only the first.
const BYTE_ORDER_MARKS: [&[u8]; 3] = [b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"];

/// Cuts a batch into its items, each as the bytes that came. What is wrong inside an item is left for its reader: one
/// bad item does not spoil the others.
pub(crate) fn items(body: &[u8]) -> Result<Vec<&[u8]>, Problem> {
    if BYTE_ORDER_MARKS.iter().any(|mark| body.starts_with(mark)) {
        return Err(Problem::new(Kind::BadBody, "The batch must be UTF-8 without a byte order mark."));
    }
    let begins = body.iter().find(|byte| !byte.is_ascii_whitespace());
    let items = match begins {
        Some(b'[') => of_array(body)?,
        Some(_) => lines(body),
        None => Vec::new(),
    };
    match items.len() {
        0 => Err(Problem::new(Kind::BadBody, "The batch holds no event.")),
        1..=ITEMS_MAX => Ok(items),
        _ => Err(Problem::new(Kind::TooLarge, format!("A batch may hold at most {ITEMS_MAX} events."))),
    }
}

fn lines(body: &[u8]) -> Vec<&[u8]> {
    let lines = body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    lines.filter(|line| !line.is_empty()).take(ITEMS_MAX + 1).collect()
}

fn of_array(body: &[u8]) -> Result<Vec<&[u8]>, Problem> {
    let Cut(items) = serde_json::from_slice(body)
        .map_err(|fault| Problem::new(Kind::BadBody, format!("The batch is not sound JSON: {fault}.")))?;
    Ok(items.into_iter().map(|item| item.get().as_bytes()).collect())
}

/// The items of an array as text; beyond the bound they are counted no further.
struct Cut<'a>(Vec<&'a RawValue>);

impl<'de> Deserialize<'de> for Cut<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(CutVisitor)
    }
}

struct CutVisitor;

impl<'de> Visitor<'de> for CutVisitor {
    type Value = Cut<'de>;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("an array of events")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Cut<'de>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = array.next_element()? {
            if items.len() <= ITEMS_MAX {
                items.push(item);
            }
        }
        Ok(Cut(items))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(body: &str) -> Result<Vec<String>, u16> {
        let items = items(body.as_bytes()).map_err(|problem| problem.status())?;
        Ok(items.iter().map(|item| String::from_utf8_lossy(item).into_owned()).collect())
    }

    #[test]
    fn arrays_and_lines_are_cut_without_being_judged() {
        for (body, expected) in [
            (r#" [ {"a":1} , 2,"x" ] "#, vec![r#"{"a":1}"#, "2", r#""x""#]),
            (r#"[{"a":1,"a":2}]"#, vec![r#"{"a":1,"a":2}"#]),
            ("{\"a\":1}\r\n\n  {bad\n", vec![r#"{"a":1}"#, "{bad"]),
            (r#"{"a":1}"#, vec![r#"{"a":1}"#]),
        ] {
            assert_eq!(told(body).unwrap(), expected, "{body}");
        }
    }

    #[test]
    fn no_batch_is_empty_broken_or_too_long() {
        for (body, status) in [
            ("", 400),
            ("[]", 400),
            ("[{}", 400),
            ("[{}]]", 400),
            ("\u{feff}[{}]", 400),
            ("\u{feff}{}\n{}", 400),
            (&format!("[{}1]", "1,".repeat(1_000)), 413),
            (&"1\n".repeat(1_001), 413),
        ] {
            assert_eq!(told(body), Err(status), "{}", &body[..body.len().min(20)]);
        }
        assert_eq!(told(&"1\n".repeat(1_000)).unwrap().len(), 1_000);
    }
}
