//! Settings: one table, four places they may come from, and the only code that reads the environment.
//!
//! Later places win: the defaults of the table, `posthaste.toml`, the environment, the flags. Whatever is wrong with a
//! value, the sentence about it names the place it came from.

mod flags;
mod layers;
mod table;
mod typed;

pub use flags::{ClientFlags, Flags, ServerFlags};
pub use layers::{Given, Layers, Place, SettingFault};
pub use table::{Setting, TABLE, UsedBy};
pub use typed::{ClientSettings, DEFAULT_LISTEN, ServerSettings, TOKEN_MIN_CHARS, TlsFiles};

/// The settings file that is read from the working directory when it is there.
pub const FILE_NAME: &str = "posthaste.toml";

/// Reads an environment variable; one that is no UTF-8 is read as far as it is.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
pub fn environment(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

/// The settings a command runs with: flags over environment over file over defaults.
///
/// # Errors
/// If the settings file cannot be read or names something unknown.
pub fn gather<U: flags::Audience>(flags: &Flags<U>) -> Result<Layers, SettingFault> {
    let mut layers = Layers::defaults();
    let file = flags.first("config").map(str::to_owned).or_else(|| environment("POSTHASTE_CONFIG"));
    match file {
        Some(path) => layers.add_file(&path, true)?,
        None => layers.add_file(FILE_NAME, false)?,
    }
    layers.add_environment(&environment);
    layers.add_flags(flags.given());
    Ok(layers)
}
