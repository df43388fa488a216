//! Lists the contract files, so that their names stand nowhere in the code.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let here = PathBuf::from(var("CARGO_MANIFEST_DIR")?);
    let folder = here.join("../../contracts").canonicalize()?;
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut files: Vec<PathBuf> =
        fs::read_dir(&folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    let mut table = String::from("&[");
    for file in files {
        println!("cargo::rerun-if-changed={}", file.display());
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let _ = write!(table, "({name:?}, include_str!({:?})),", file.display().to_string());
    }
    table.push(']');
    fs::write(PathBuf::from(var("OUT_DIR")?).join("builtin_contracts.rs"), table)
}

#[expect(clippy::disallowed_methods, reason = "Cargo hands paths to build scripts in the environment")]
fn var(name: &str) -> io::Result<String> {
    env::var(name).map_err(io::Error::other)
}
