//! Finding the contract a command is about.

use posthaste_contract::{Contract, Finding, builtin};

use crate::failure::Failure;

/// The longest contract file.
const FILE_MAX_BYTES: u64 = 4 * 1024 * 1024;

/// A contract with its warnings.
pub struct Loaded {
    /// The contract.
    pub contract: Contract,
    /// What is doubtful in it.
    pub warnings: Vec<Finding>,
}

/// The contract with a built-in name, or in a file.
///
/// # Errors
/// If there is no such thing, or the file holds mistakes; the sentence lists them.
pub fn load(name_or_file: &str) -> Result<Loaded, Failure> {
    if let Some(contract) = Contract::builtin(name_or_file) {
        return Ok(Loaded { contract, warnings: Vec::new() });
    }
    let text = read(name_or_file)?;
    match Contract::read(name_or_file, &text) {
        Ok((contract, warnings)) => Ok(Loaded { contract, warnings }),
        Err(findings) => {
            let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
            Err(Failure::refused(format!(
                "the contract {name_or_file} cannot be used:\n{}",
                lines.join("\n")
            )))
        }
    }
}

/// The text of a contract: built in, or of a file.
///
/// # Errors
/// If there is no such thing.
pub fn read(name_or_file: &str) -> Result<String, Failure> {
    if let Some(text) = builtin::text(name_or_file) {
        return Ok(text.to_owned());
    }
    let cannot = |why: String| Failure::refused(format!("the contract {name_or_file} cannot be read: {why}"));
    let length =
        std::fs::metadata(name_or_file).map(|file| file.len()).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => cannot(format!(
                "there is no such file, and the built-in contracts are {}",
                builtin::names().join(", ")
            )),
            _ => cannot(error.to_string()),
        })?;
    if length > FILE_MAX_BYTES {
        return Err(cannot("it is longer than 4 MiB".to_owned()));
    }
    let bytes = std::fs::read(name_or_file).map_err(|error| cannot(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| {
        let line = error.as_bytes()[..error.utf8_error().valid_up_to()].split(|byte| *byte == b'\n').count();
        cannot(format!("line {line} is not UTF-8"))
    })
}
