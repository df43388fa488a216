//! Are the tables and indexes of a file what its version made?
//!
//! A bit that flips in the text of a table can leave it well-formed: then a column is known by another name, or an index
//! leaves out rows that are there, and answers are wrong without a word. So the texts are compared with those of an empty
//! store of the same version, made in memory.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::OnceLock;

use rusqlite::Connection;
use rusqlite::types::ValueRef;

use super::schema::{self, VERSION};
use super::trouble::{Outcome, told_of};

/// What the schema says of a table or an index, without its page.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Defined {
    of_table: String,
    text: String,
}

/// The step that made the indexes of the tokens anew: before it, they are not all alike.
const TOKENS_INDEXED_ANEW: usize = 8;

/// By kind and name.
type Layout = BTreeMap<(String, String), Defined>;

/// What is to be said of tables and indexes that are not as this file's version made them. What somebody added is left
/// alone.
pub(super) fn damaged(conn: &Connection) -> Outcome<Vec<String>> {
    let version = schema::version(conn)?;
    let found = match layout(conn) {
        Ok(found) => found,
        Err(error) => return Ok(vec![told_of(&error)]),
    };
    let mut damaged = Vec::new();
    let is_to_be_made_anew = |kind: &str, made: &Defined| {
        version < TOKENS_INDEXED_ANEW && kind == "index" && made.of_table == "tokens"
    };
    for ((kind, name), made) in made_by(version)?.iter() {
        let of = if kind == "index" { format!(" of the table {}", made.of_table) } else { String::new() };
        match found.get(&(kind.clone(), name.clone())) {
            Some(found) if found == made => {}
            _ if is_to_be_made_anew(kind, made) => {}
            Some(_) => damaged.push(format!("the {kind} {name}{of} is not defined as it was made")),
            None => damaged.push(format!("the {kind} {name}{of} is missing")),
        }
    }
    damaged.extend(misplaced(conn)?);
    Ok(damaged)
}

/// What the steps up to a version make. Those up to the present one are taken once: a process may open many stores.
fn made_by(version: usize) -> Outcome<Cow<'static, Layout>> {
    static PRESENT: OnceLock<Layout> = OnceLock::new();
    if let Some(made) = PRESENT.get().filter(|_| version == VERSION) {
        return Ok(Cow::Borrowed(made));
    }
    let fresh = Connection::open_in_memory()?;
    schema::take_steps(&fresh, version)?;
    let made = layout(&fresh)?;
    Ok(if version == VERSION { Cow::Borrowed(PRESENT.get_or_init(|| made)) } else { Cow::Owned(made) })
}

fn layout(conn: &Connection) -> rusqlite::Result<Layout> {
    let mut statement = conn.prepare("SELECT type, name, tbl_name, sql FROM sqlite_schema")?;
    let mut rows = statement.query([])?;
    let mut layout = Layout::new();
    while let Some(row) = rows.next()? {
        let text = |column| row.get_ref(column).map(text_of);
        let defined = Defined { of_table: text(2)?, text: bare(&text(3)?) };
        layout.insert((text(0)?, text(1)?), defined);
    }
    Ok(layout)
}

/// Whatever is there, as text: what is no text any more is none that was made.
fn text_of(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Text(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        ValueRef::Null => String::new(),
        other => format!("{other:?}"),
    }
}

/// A definition without its comments and white space: those may change from one version of a step's text to the next.
fn bare(text: &str) -> String {
    let lines = text.split('\n').map(|line| line.split_once("--").map_or(line, |(before, _)| before));
    lines.flat_map(str::chars).filter(|letter| !letter.is_ascii_whitespace()).collect()
}

/// Where SQLite may take pages back from the end of a file, tables and indexes begin at its first pages, each at one of
/// its own: the first is the schema's, the second tells who uses which.
fn misplaced(conn: &Connection) -> Outcome<Option<String>> {
    const FIRST: i64 = 3;
    let is_ordered: bool = conn.query_row("PRAGMA auto_vacuum", [], |row| row.get(0))?;
    let sql = "SELECT count(*), count(DISTINCT rootpage), min(rootpage), max(rootpage) FROM sqlite_schema
               WHERE rootpage <> 0";
    let (all, places, least, greatest): (i64, i64, i64, i64) =
        conn.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
    let is_in_place = all == places && (!is_ordered || (least == FIRST && greatest == FIRST + all - 1));
    Ok((!is_in_place).then(|| "a table or index is said to begin at a page that is not its own".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_comments_and_white_space_make_no_difference() {
        for (text, is_the_same) in [
            ("CREATE TABLE t (a, b)", true),
            ("CREATE TABLE t (\n a, -- first\n\tb -- second\n)", true),
            ("CREATE TABLE t (a, B)", false),
            ("CREATE TABLE t (a, -- b)", false),
            ("CREATE TABLE t (a, - - x\n b)", false),
            ("CREATE TABLE t (a, c)", false),
            ("CREATE TABLE t (a, b)\0", false),
        ] {
            assert_eq!(bare(text) == bare("CREATE TABLE t (a, b)"), is_the_same, "{text:?}");
        }
    }
}
