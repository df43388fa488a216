//! Where values come from, laid over each other.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use toml::de::{DeTable, DeValue};

use super::table::{Setting, TABLE};

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The table of settings.
    Default,
    /// A line of the settings file.
    File(String, usize),
    /// An environment variable.
    Variable(&'static str),
    /// A flag.
    Flag(&'static str),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("the default"),
            Self::File(file, line) => write!(f, "{file}:{line}"),
            Self::Variable(name) => write!(f, "the environment variable {name}"),
            Self::Flag(flag) => write!(f, "the flag --{flag}"),
        }
    }
}

/// What is wrong with the settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingFault {
    /// A value does not fit. Secrets are not repeated in the sentence.
    #[error("{key} is {expected} (from {place})")]
    Value {
        /// The setting.
        key: &'static str,
        /// What is wrong with it.
        expected: String,
        /// Where it came from.
        place: Place,
    },
    /// The settings file cannot be used.
    #[error("{0}")]
    File(String),
}

/// The texts given for a setting, and where.
#[derive(Clone, PartialEq, Eq)]
pub struct Given {
    /// The texts; one, unless the setting repeats.
    pub texts: Vec<String>,
    /// Where they came from.
    pub place: Place,
}

/// All settings as they stand after each place had its say.
#[derive(Clone, Default)]
pub struct Layers(BTreeMap<&'static str, Given>);

impl Layers {
    /// The defaults alone.
    #[must_use]
    pub fn defaults() -> Self {
        let mut layers = Self::default();
        for setting in &TABLE {
            if let Some(default) = setting.default {
                layers.put(setting, vec![default.to_owned()], Place::Default);
            }
        }
        layers
    }

    /// Lays a settings file over what is there. A file that is not `required` may be absent.
    ///
    /// # Errors
    /// If it cannot be read, is no TOML, or names settings that are not in the table.
    pub fn add_file(&mut self, path: &str, required: bool) -> Result<(), SettingFault> {
        match std::fs::read_to_string(path) {
            Ok(text) => self.add_file_text(path, &text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !required => Ok(()),
            Err(error) => {
                Err(SettingFault::File(format!("the settings file {path} cannot be read: {error}")))
            }
        }
    }

    fn add_file_text(&mut self, path: &str, text: &str) -> Result<(), SettingFault> {
        let line_at = |offset: usize| text.get(..offset).map_or(1, |before| before.matches('\n').count() + 1);
        let table = DeTable::parse(text).map_err(|error| {
            let line = error.span().map_or(1, |span| line_at(span.start));
            SettingFault::File(format!("{path}:{line}: {}", error.message()))
        })?;
        for (key, value) in table.get_ref() {
            let line = line_at(key.span().start);
            let name = key.get_ref().as_ref();
            let setting =
                Setting::named(name).filter(|setting| setting.key != "config").ok_or_else(|| {
                    SettingFault::File(format!(
                        "{path}:{line}: there is no setting `{name}`{}",
                        nearest(name)
                    ))
                })?;
            let texts = texts_of(value.get_ref(), setting.repeats).ok_or_else(|| {
                let expected = if setting.repeats { "a value or a list of values" } else { "one value" };
                SettingFault::File(format!("{path}:{line}: {name} takes {expected}"))
            })?;
            self.put(setting, texts, Place::File(path.to_owned(), line));
        }
        Ok(())
    }

    /// Lays the environment over what is there. Empty variables count as absent, but for secrets: there somebody meant to
    /// give one.
    pub fn add_environment(&mut self, read: &dyn Fn(&str) -> Option<String>) {
        for setting in &TABLE {
            let is_given = |text: &String| !text.is_empty() || setting.is_secret();
            let Some(text) = read(setting.variable).filter(is_given) else { continue };
            let texts = match setting.repeats {
                true => text.split(',').map(|part| part.trim().to_owned()).collect(),
                false => vec![text],
            };
            self.put(setting, texts, Place::Variable(setting.variable));
        }
    }

    /// Lays flags over what is there.
    pub fn add_flags(&mut self, flags: &BTreeMap<&'static str, (&'static str, Vec<String>)>) {
        for setting in &TABLE {
            if let Some((flag, texts)) = flags.get(setting.key) {
                self.put(setting, texts.clone(), Place::Flag(flag));
            }
        }
    }

    /// Puts another value in place of a default; whatever somebody said stays.
    pub fn change_default(&mut self, key: &str, text: &str) {
        let Some(setting) = Setting::named(key) else { return };
        if self.0.get(setting.key).is_none_or(|given| given.place == Place::Default) {
            self.put(setting, vec![text.to_owned()], Place::Default);
        }
    }

    /// Did nobody say anything about it?
    #[must_use]
    pub fn is_default(&self, key: &str) -> bool {
        self.0.get(key).is_none_or(|given| given.place == Place::Default)
    }

    /// A value as text.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|given| given.texts.first()).map(String::as_str)
    }

    /// A value read by `read`, whose errors say what is expected.
    ///
    /// # Errors
    /// If `read` refuses it.
    pub fn one<T>(
        &self,
        key: &str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, SettingFault> {
        Ok(self.each(key, read)?.into_iter().next())
    }

    /// All values of a setting, read by `read`.
    ///
    /// # Errors
    /// If `read` refuses one of them.
    pub fn each<T>(
        &self,
        key: &str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Vec<T>, SettingFault> {
        let Some((key, given)) = self.0.get_key_value(key) else { return Ok(Vec::new()) };
        let fault = |expected| SettingFault::Value { key, expected, place: given.place.clone() };
        given.texts.iter().map(|text| read(text).map_err(fault)).collect()
    }

    fn put(&mut self, setting: &Setting, texts: Vec<String>, place: Place) {
        self.0.insert(setting.key, Given { texts, place });
    }
}

/// Reads a value by its type's own reader; `expected` says what it should be.
pub(super) fn parsed<T: FromStr>(expected: &'static str) -> impl Fn(&str) -> Result<T, String> {
    move |text| text.parse().map_err(|_| format!("`{text}`, which is no {expected}"))
}

fn texts_of(value: &DeValue<'_>, repeats: bool) -> Option<Vec<String>> {
    let one = |value: &DeValue<'_>| match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(number.to_string()),
        DeValue::Boolean(truth) => Some(truth.to_string()),
        _ => None,
    };
    match value {
        DeValue::Array(items) if repeats => items.iter().map(|item| one(item.get_ref())).collect(),
        single => one(single).map(|text| vec![text]),
    }
}

/// A hint at a setting that is spelled almost so.
fn nearest(name: &str) -> String {
    let known = TABLE.iter().map(|setting| setting.key);
    let likely = known.filter(|key| key.contains(name) || name.contains(key) || is_near(key, name));
    likely
        .min_by_key(|key| key.len().abs_diff(name.len()))
        .map_or_else(String::new, |key| format!("; did you mean `{key}`?"))
}

/// Do the words differ by one or two letters?
fn is_near(known: &str, word: &str) -> bool {
    let mut rest: Vec<char> = word.chars().collect();
    let missing = known.chars().filter(|letter| match rest.iter().position(|other| other == letter) {
        Some(at) => {
            rest.remove(at);
            false
        }
        None => true,
    });
    let missing = missing.count();
    missing + rest.len() <= 2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layered(file: &str, environment: &[(&str, &str)], flags: &[(&'static str, &str)]) -> Layers {
        let mut layers = Layers::defaults();
        layers.add_file_text("posthaste.toml", file).unwrap();
        layers.add_environment(&|name| {
            environment.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        });
        let flag = |key: &'static str| Setting::named(key).unwrap().flag.unwrap();
        let given = flags.iter().map(|(key, value)| (*key, (flag(key), vec![(*value).to_owned()])));
        layers.add_flags(&given.collect());
        layers
    }

    #[test]
    fn later_places_win() {
        let file = "listen = \"127.0.0.1:1\"\ncontract = \"aira\"\nretention_days = 3\n";
        let layers = layered(file, &[("POSTHASTE_LISTEN", "127.0.0.1:2")], &[("listen", "127.0.0.1:3")]);
        assert_eq!(layers.text("listen"), Some("127.0.0.1:3"));
        assert_eq!(layers.text("contract"), Some("aira"));
        assert_eq!(layers.text("retention_days"), Some("3"));
        assert_eq!(layers.text("data"), Some("./posthaste-data"));
    }

    #[test]
    fn lists_come_as_arrays_or_with_commas() {
        let own = |layers: &Layers| layers.each("allow_net", |text| Ok(text.to_owned())).unwrap();
        assert_eq!(own(&layered("allow_net = [\"10.0.0.0/8\", \"fd00::/8\"]", &[], &[])).len(), 2);
        let layers = layered("", &[("POSTHASTE_ALLOW_NET", "10.0.0.0/8, fd00::/8")], &[]);
        assert_eq!(own(&layers), ["10.0.0.0/8", "fd00::/8"]);
    }

    #[test]
    fn faults_name_the_place() {
        let number = parsed::<u32>("whole number");
        for (layers, expected) in [
            (layered("\nretention_days = \"x\"", &[], &[]), "posthaste.toml:2"),
            (layered("", &[("POSTHASTE_RETENTION_DAYS", "x")], &[]), "POSTHASTE_RETENTION_DAYS"),
            (layered("", &[], &[("retention_days", "x")]), "--retention-days"),
        ] {
            let fault = layers.one("retention_days", &number).unwrap_err().to_string();
            assert!(fault.contains(expected) && fault.contains("`x`"), "{fault}");
        }
    }

    #[test]
    fn files_with_unknown_words_are_refused_with_the_line() {
        for (file, expected) in [
            (
                "data = 'x'\nlisten_on = 'y'",
                "posthaste.toml:2: there is no setting `listen_on`; did you mean `listen`?",
            ),
            (
                "retention_dyas = 3",
                "posthaste.toml:1: there is no setting `retention_dyas`; did you mean `retention_days`?",
            ),
            ("listen = ['a', 'b']", "posthaste.toml:1: listen takes one value"),
            ("allow_net = {}", "posthaste.toml:1: allow_net takes a value or a list of values"),
        ] {
            let fault = Layers::default().add_file_text("posthaste.toml", file).unwrap_err();
            assert_eq!(fault.to_string(), expected);
        }
        assert!(Layers::default().add_file_text("f", "= 1").is_err());
    }
}
