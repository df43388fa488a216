//! Views: they come to an end, formats suit what they spell, and words are all mapped.

use super::Whole;
use crate::model::view::{Format, Kind, Member, MemberValue, ViewRoot};
use crate::model::{Index, View};

/// Does every view come to an end?
pub fn check_cycles(whole: &Whole<'_>) -> bool {
    let mut sound = true;
    for (index, view) in whole.contract.views.iter().enumerate() {
        if reaches(whole, index, index, whole.contract.views.len()) {
            whole.error(&["views", &view.name], "this view contains itself");
            sound = false;
        }
    }
    sound
}

fn reaches(whole: &Whole<'_>, from: Index, target: Index, steps_left: usize) -> bool {
    let Some(left) = steps_left.checked_sub(1) else { return false };
    let Some(view) = whole.contract.views.get(from) else { return false };
    inner_views(view).into_iter().any(|next| next == target || reaches(whole, next, target, left))
}

fn inner_views(view: &View) -> Vec<Index> {
    fn gather(members: &[Member], found: &mut Vec<Index>) {
        for member in members {
            match &member.value {
                MemberValue::View(index) | MemberValue::Items(index) => found.push(*index),
                MemberValue::Object(inner) => gather(inner, found),
                MemberValue::From(..) | MemberValue::Const(_) => {}
            }
        }
    }
    match &view.root {
        ViewRoot::Items(index) => vec![*index],
        ViewRoot::Object(members) => {
            let mut found = Vec::new();
            gather(members, &mut found);
            found
        }
    }
}

pub fn check(whole: &Whole<'_>) {
    for view in &whole.contract.views {
        if let ViewRoot::Object(members) = &view.root {
            check_members(whole, &view.name, "", members);
        }
    }
}

fn check_members(whole: &Whole<'_>, view: &str, within: &str, members: &[Member]) {
    for member in members {
        let at = if within.is_empty() { member.name.clone() } else { format!("{within}.{}", member.name) };
        match &member.value {
            MemberValue::Object(inner) => check_members(whole, view, &at, inner),
            MemberValue::From(source, format) => {
                let path = ["views", view, "fields"];
                if let Err(why) = suits(source.kind(), format) {
                    whole.error(&path, format!("`{at}`: {why}"));
                }
                if source.may_be_null() && !member.nullable && member.shown_by.is_empty() {
                    whole.warning(&path, format!("`{at}` can be null; say `nullable = true`"));
                }
            }
            _ => {}
        }
    }
}

/// Can a value of this kind be spelled in this format?
pub fn suits(kind: Kind, format: &Format) -> Result<(), String> {
    let is_time = matches!(format, Format::Rfc3339 | Format::Rfc3339Ms | Format::Unix | Format::UnixMs);
    let fits = match kind {
        Kind::Time => is_time,
        Kind::Duration => *format == Format::Ms,
        Kind::Number => matches!(format, Format::Int | Format::Plain | Format::Text),
        Kind::Flag => matches!(format, Format::Plain) || *format == Format::Bool(Vec::new()),
        Kind::Text | Kind::Json => *format == Format::Plain,
        Kind::Words(words) => return suits_words(words, format),
    };
    if fits { Ok(()) } else { Err(format!("{} cannot be spelled so; use {}", kind.name(), kind.formats())) }
}

fn suits_words(words: &[&str], format: &Format) -> Result<(), String> {
    let (used, must_be_complete): (Vec<&str>, bool) = match format {
        Format::Plain => return Ok(()),
        Format::Bool(trues) if trues.is_empty() => return Err("say which words are `true`".to_owned()),
        Format::Bool(trues) => (trues.iter().map(String::as_str).collect(), false),
        Format::Enum(map) => (map.iter().map(|(ours, _)| ours.as_str()).collect(), true),
        _ => return Err("a word cannot be spelled so; use enum or bool".to_owned()),
    };
    if let Some(unknown) = used.iter().find(|word| !words.contains(word)) {
        return Err(format!("there is no word `{unknown}`; known are {}", words.join(", ")));
    }
    let is_optional = |word: &str| word == Kind::CANCELED;
    let missing = words.iter().find(|word| !used.contains(word) && !is_optional(word));
    match missing {
        Some(word) if must_be_complete => Err(format!("`map` has no word for `{word}`")),
        _ => Ok(()),
    }
}
