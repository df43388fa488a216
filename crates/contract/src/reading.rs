//! Reading the value that an event type watches out of an event's data.

use std::borrow::Cow;

use posthaste_core::{Decimal, Reading};

use crate::json::{self, Value};
use crate::model::events::{DataPath, Trigger};

/// The longest name of what a value belongs to, in bytes.
const PER_MAX_BYTES: usize = 255;

/// Why a value cannot be watched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path} {rule}")]
pub struct ReadingFault {
    /// Where it stands.
    pub path: DataPath,
    /// What it must be.
    pub rule: &'static str,
}

impl Trigger {
    /// What an event says of the watched value. `data` is its data, known to be a sound JSON object.
    ///
    /// # Errors
    /// If the value, or what it belongs to, is missing or of another kind.
    pub fn read(&self, data: &str) -> Result<Reading, ReadingFault> {
        let value = scalar(&self.value, data)?;
        if Decimal::parse(&value).is_none() {
            let rule = "must be a decimal number of at most 80 characters, as a number or a string";
            return Err(ReadingFault { path: self.value.clone(), rule });
        }
        let per = match &self.per {
            Some(path) => scalar(path, data)?.into_owned(),
            None => String::new(),
        };
        if let (Some(path), true) = (&self.per, per.len() > PER_MAX_BYTES) {
            let rule = "must have at most 255 bytes";
            return Err(ReadingFault { path: path.clone(), rule });
        }
        let limit = self.extension.clone();
        Ok(Reading { value: value.into_owned(), per, limit, falls_below: self.falls_below })
    }
}

/// The text of a string, or of a number as it was spelled.
fn scalar<'a>(path: &DataPath, data: &'a str) -> Result<Cow<'a, str>, ReadingFault> {
    let fault = |rule| ReadingFault { path: path.clone(), rule };
    let text = path.names().iter().try_fold(data, |text, name| member(text, name));
    match json::parse(text.ok_or_else(|| fault("is missing"))?.as_bytes()) {
        Ok(Value::String(text)) => Ok(text),
        Ok(Value::Number(text)) => Ok(Cow::Borrowed(text)),
        _ => Err(fault("must be a number or a string")),
    }
}

/// The text of a member's value; `None` if there is none, or no object.
fn member<'a>(object: &'a str, name: &str) -> Option<&'a str> {
    let mut found = None;
    let read = json::each_member(object.as_bytes(), json::DEPTH_MAX, |key, text| {
        if key == name {
            found = Some(text);
        }
    });
    read.ok().and(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(data: &str) -> String {
        let path = |text| DataPath::parse(text).unwrap();
        let trigger = Trigger {
            value: path("data.funds.available"),
            falls_below: true,
            extension: "floor".to_owned(),
            per: Some(path("data.asset")),
        };
        match trigger.read(data) {
            Ok(reading) => format!("{} of {}", reading.value, reading.per),
            Err(fault) => fault.to_string(),
        }
    }

    #[test]
    fn values_are_read_as_they_are_spelled_or_refused_by_name() {
        const NO_NUMBER: &str =
            "data.funds.available must be a decimal number of at most 80 characters, as a number or a string";
        const NO_SCALAR: &str = "data.funds.available must be a number or a string";
        let mut rows = 0;
        for (value, expected) in [
            ("0.1", "0.1 of USD"),
            ("0.30000000000000004", "0.30000000000000004 of USD"),
            ("1e-1", "1e-1 of USD"),
            ("1E+2", "1E+2 of USD"),
            ("-0", "-0 of USD"),
            (r#""0.1""#, "0.1 of USD"),
            (r#""0\u002e1""#, "0.1 of USD"),
            ("79228162514264337593543950336", "79228162514264337593543950336 of USD"),
            ("1e999999999", "1e999999999 of USD"),
            (" 5 ", "5 of USD"),
            ("1e99999999999999999999", NO_NUMBER),
            (r#""""#, NO_NUMBER),
            (r#"" 1""#, NO_NUMBER),
            (r#""NaN""#, NO_NUMBER),
            (r#""0x10""#, NO_NUMBER),
            (r#""1,000""#, NO_NUMBER),
            (r#""١٢""#, NO_NUMBER),
            (&"1".repeat(1000), NO_NUMBER),
            ("null", NO_SCALAR),
            ("true", NO_SCALAR),
            ("[1]", NO_SCALAR),
            (r#"{"value":1}"#, NO_SCALAR),
        ] {
            let data =
                format!(r#"{{"x":{{"available":7}},"funds":{{"available":{value},"a":1}},"asset":"USD"}}"#);
            assert_eq!(told(&data), expected, "{value}");
            rows += 1;
        }
        let long = format!(r#"{{"funds":{{"available":1}},"asset":"{}"}}"#, "x".repeat(256));
        for (data, expected) in [
            ("{}", "data.funds.available is missing"),
            (r#"{"funds":1,"asset":"USD"}"#, "data.funds.available is missing"),
            (r#"{"funds":{"availably":1},"asset":"USD"}"#, "data.funds.available is missing"),
            (r#"{"funds":{"available":1}}"#, "data.asset is missing"),
            (r#"{"funds":{"available":1},"asset":null}"#, "data.asset must be a number or a string"),
            (r#"{"funds":{"available":1},"asset":7}"#, "1 of 7"),
            (&long, "data.asset must have at most 255 bytes"),
        ] {
            assert_eq!(told(data), expected, "{data}");
            rows += 1;
        }
        println!("counted | requests | watched values read | {rows}");
    }
}
