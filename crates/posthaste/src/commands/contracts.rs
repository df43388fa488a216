//! `check` and `openapi`.

use posthaste_contract::{Contract, Finding, Severity};
use serde_json::{Value, json};

use crate::contract_file;
use crate::failure::{Exit, Failure};
use crate::output::Output;

/// Reads a contract and says what is wrong with it.
///
/// # Errors
/// If the file cannot be read.
pub fn check(file: &str, json: bool) -> Result<Exit, Failure> {
    let text = contract_file::read(file)?;
    let (findings, name) = match Contract::read(file, &text) {
        Ok((contract, warnings)) => (warnings, Some(contract.name)),
        Err(findings) => (findings, None),
    };
    let output = Output::text_unless(json);
    for finding in &findings {
        output.answer(finding, &to_json(finding));
    }
    let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    let counts = format!("errors: {}, warnings: {}", count(Severity::Error), count(Severity::Warning));
    if output.is_for_people() {
        match &name {
            Some(name) => output.line(format!("{file}: the contract {name} is sound ({counts})")),
            None => output.line(format!("{file}: {counts}")),
        }
    }
    Ok(if name.is_some() { Exit::Done } else { Exit::Refused })
}

fn to_json(finding: &Finding) -> Value {
    json!({
        "severity": finding.severity.to_string(),
        "file": finding.file,
        "line": finding.line,
        "column": finding.column,
        "key": finding.key,
        "message": finding.message,
        "suggestion": finding.suggestion,
    })
}

/// Prints a contract as OpenAPI.
///
/// # Errors
/// If the contract cannot be used.
pub fn openapi(contract: &str) -> Result<Exit, Failure> {
    let document = contract_file::load(contract)?.contract.openapi();
    let text =
        serde_json::to_string_pretty(&document).map_err(|error| Failure::refused(error.to_string()))?;
    Output::new(true).line(text);
    Ok(Exit::Done)
}
