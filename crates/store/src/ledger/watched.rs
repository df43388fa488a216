//! The latest of each watched value, and what is kept of them with events.

use posthaste_core::{Audience, Reading, Watched};
use rusqlite::{OptionalExtension, params};

use super::Ledger;
use super::encoding::{pack_list, read_list};
use super::trouble::Outcome;

const FALLS_BELOW: &str = "below";
const RISES_ABOVE: &str = "above";

/// As it stands in the row of an event: direction, limit, what it belongs to, the value, the value before if any.
pub(super) fn pack(watched: &Watched) -> String {
    let reading = &watched.reading;
    let direction = if reading.falls_below { FALLS_BELOW } else { RISES_ABOVE };
    let mut list =
        vec![direction.to_owned(), reading.limit.clone(), reading.per.clone(), reading.value.clone()];
    list.extend(watched.before.clone());
    pack_list(&list)
}

pub(super) fn read(kept: &str) -> Option<Box<Watched>> {
    let mut list = read_list(kept)?.into_iter();
    let falls_below = match list.next()?.as_str() {
        FALLS_BELOW => true,
        RISES_ABOVE => false,
        _ => return None,
    };
    let (limit, per, value) = (list.next()?, list.next()?, list.next()?);
    let reading = Reading { value, per, limit, falls_below };
    Some(Box::new(Watched { reading, before: list.next() }))
}

impl Ledger {
    /// Puts a reading in the place of the one before it. Events come here in their order, so each finds the one before.
    pub(super) fn watch(&self, audience: Audience, event_type: &str, reading: Reading) -> Outcome<Watched> {
        let account = match audience {
            Audience::Account(no) => no.0,
            Audience::Broadcast | Audience::Webhook(_) => 0,
        };
        let before: Option<String> = self
            .conn
            .prepare_cached("SELECT value FROM watched_values WHERE account = ?1 AND type = ?2 AND per = ?3")?
            .query_row(params![account, event_type, reading.per], |row| row.get(0))
            .optional()?;
        self.conn
            .prepare_cached(
                "INSERT OR REPLACE INTO watched_values (account, type, per, value) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![account, event_type, reading.per, reading.value])?;
        Ok(Watched { reading, before })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back() {
        for (falls_below, before) in [(true, None), (false, Some("1e-1".to_owned()))] {
            let reading = Reading {
                value: "0.30000000000000004".to_owned(),
                per: "a \"quoted\" name, é".to_owned(),
                limit: "floor".to_owned(),
                falls_below,
            };
            let watched = Watched { reading, before };
            assert_eq!(read(&pack(&watched)).as_deref(), Some(&watched));
        }
        for kept in ["", "null", "[]", r#"["sideways","a","","1"]"#, r#"["below","a",""]"#] {
            assert_eq!(read(kept), None, "{kept}");
        }
    }
}
