//! The table's settings as command-line flags.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::table::{Setting, TABLE, UsedBy};

/// Says for which commands flags are made.
pub trait Audience {
    /// Those commands.
    const USED_BY: UsedBy;
}

/// `serve` and `dev`.
#[derive(Debug, Clone)]
pub struct ForServer;

/// The commands that talk to a server.
#[derive(Debug, Clone)]
pub struct ForClient;

impl Audience for ForServer {
    const USED_BY: UsedBy = UsedBy::Server;
}

impl Audience for ForClient {
    const USED_BY: UsedBy = UsedBy::Client;
}

/// The flags of `serve` and `dev`.
pub type ServerFlags = Flags<ForServer>;
/// The flags of the commands that talk to a server.
pub type ClientFlags = Flags<ForClient>;

/// Flags as they were given, by the key of their setting.
#[derive(Clone)]
pub struct Flags<U>(GivenFlags, PhantomData<U>);

/// The flags' names and values by the key of their setting.
pub type GivenFlags = BTreeMap<&'static str, (&'static str, Vec<String>)>;

impl<U: Audience> Flags<U> {
    /// The values by key.
    #[must_use]
    pub fn given(&self) -> &GivenFlags {
        &self.0
    }

    /// The first value of a flag.
    #[must_use]
    pub fn first(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.1.first().map(String::as_str)
    }

    fn settings() -> impl Iterator<Item = (&'static Setting, &'static str)> {
        let used = TABLE.iter().filter(|setting| setting.used_by.includes(U::USED_BY));
        used.filter_map(|setting| Some((setting, setting.flag_for(U::USED_BY)?)))
    }

    fn argument(setting: &'static Setting, flag: &'static str) -> Arg {
        let default = setting.default.map_or_else(String::new, |text| format!("; default {text}"));
        let argument = Arg::new(setting.key)
            .long(flag)
            .value_name(setting.value)
            .help(format!("{} [{}{default}]", setting.help, setting.variable))
            .action(if setting.repeats { ArgAction::Append } else { ArgAction::Set });
        match setting.is_switch() {
            true => argument.num_args(0..=1).require_equals(true).default_missing_value("true"),
            false => argument,
        }
    }
}

impl<U: Audience> clap::Args for Flags<U> {
    fn augment_args(command: Command) -> Command {
        let arguments = Self::settings().map(|(setting, flag)| Self::argument(setting, flag));
        let without = TABLE
            .iter()
            .filter(|setting| setting.used_by.includes(U::USED_BY) && setting.flag_for(U::USED_BY).is_none());
        let lines: Vec<String> =
            without.map(|setting| format!("  {}\n          {}", setting.variable, setting.help)).collect();
        command.args(arguments).after_help(format!("Environment alone:\n{}", lines.join("\n")))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<U: Audience> clap::FromArgMatches for Flags<U> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Self(BTreeMap::new(), PhantomData);
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for (setting, flag) in Self::settings() {
            if let Some(values) = matches.get_many::<String>(setting.key) {
                self.0.insert(setting.key, (flag, values.cloned().collect()));
            }
        }
        Ok(())
    }
}
