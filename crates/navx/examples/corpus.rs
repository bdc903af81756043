//! Compares this reader with a corpus of packages: `cargo run -p navx --example corpus -- DIR`.
//!
//! `DIR` holds package files and an `expected.json`: an object from file name to either
//! `{"ok": bool, "kind"?, "error"?, "deps"?, "signed"?, "id"?, "lenient"?}` (generated corpora) or
//! `{"expected": {facts}}` (real packages; every fact there must be among the facts read). Ends with an error
//! when anything differs; files marked lenient may go either way and are listed.

use std::error::Error;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use navx::{Limits, Package, PackageError};
use serde_json::Value;

type Failure = Box<dyn Error>;

fn main() -> Result<(), Failure> {
    let folder = std::env::args().nth(1).ok_or("usage: corpus DIR")?;
    let folder = Path::new(&folder);
    let expectations: Value = serde_json::from_reader(File::open(folder.join("expected.json"))?)?;
    let expectations = expectations.as_object().ok_or("expected.json is not an object")?;

    let mut report = Report::default();
    for (name, expected) in expectations {
        let outcome = navx::read(BufReader::new(File::open(folder.join(name))?), &Limits::default());
        report.note(name, expected, &outcome)?;
    }
    report.finish()
}

#[derive(Default)]
struct Report {
    lines: Vec<String>,
    accepted: usize,
    refused: usize,
    lenient: usize,
    mismatches: usize,
}

impl Report {
    fn note(
        &mut self,
        name: &str,
        expected: &Value,
        outcome: &Result<Package, PackageError>,
    ) -> Result<(), Failure> {
        match outcome {
            Ok(_) => self.accepted += 1,
            Err(_) => self.refused += 1,
        }
        if expected["lenient"] == true {
            self.lenient += 1;
            let answer = match outcome {
                Ok(_) => "accepted".to_owned(),
                Err(error) => format!("refused, {}: {error}", error.code()),
            };
            self.lines.push(format!("lenient   {name}: {answer}"));
            if outcome.is_err() {
                return Ok(());
            }
        }
        if let Some(difference) = difference(expected, outcome)? {
            self.mismatches += 1;
            self.lines.push(format!("MISMATCH  {name}: {difference}"));
        } else if let Err(error) = outcome {
            self.lines
                .push(format!("same code {name}: {}: {error}", error.code()));
        }
        Ok(())
    }

    fn finish(mut self) -> Result<(), Failure> {
        self.lines.sort();
        let lines = self.lines.join("\n");
        let summary = format!(
            "{lines}\n{} accepted, {} refused, {} of both lenient, {} mismatches",
            self.accepted, self.refused, self.lenient, self.mismatches
        );
        use std::io::Write;
        writeln!(std::io::stdout(), "{summary}")?;
        if self.mismatches > 0 {
            Err("the reader differs from the corpus".into())
        } else {
            Ok(())
        }
    }
}

fn difference(expected: &Value, outcome: &Result<Package, PackageError>) -> Result<Option<String>, Failure> {
    let facts = match outcome {
        Ok(package) => serde_json::to_value(package)?,
        Err(error) if expected["ok"] == false && expected["error"] == error.code() => return Ok(None),
        Err(error) => return Ok(Some(format!("refused with {}: {error}", error.code()))),
    };
    if expected["ok"] == false {
        return Ok(Some(format!("accepted, but {} was expected", expected["error"])));
    }
    if !expected["expected"].is_null() {
        return Ok(missing_fact("", &expected["expected"], &facts));
    }
    Ok(generated_difference(expected, &facts))
}

fn generated_difference(expected: &Value, facts: &Value) -> Option<String> {
    let dependencies = facts
        .pointer("/app/dependencies")
        .and_then(Value::as_array)
        .map(|rows| Value::from(rows.len()));
    let comparisons = [
        ("kind", plain_kind(&facts["kind"])),
        ("signed", facts["signed"].clone()),
        ("deps", dependencies.unwrap_or_default()),
        ("id", facts.pointer("/app/id").cloned().unwrap_or_default()),
    ];
    for (fact, actual) in comparisons {
        if !expected[fact].is_null() && expected[fact] != actual {
            return Some(format!("{fact} is {actual}, not {}", expected[fact]));
        }
    }
    None
}

/// The corpora do not tell symbols-only packages from regular ones.
fn plain_kind(kind: &Value) -> Value {
    if kind == "symbols_only" {
        "regular".into()
    } else {
        kind.clone()
    }
}

/// Every expected fact must be there; keys are compared without case, absent equals empty, false or null.
fn missing_fact(path: &str, expected: &Value, actual: &Value) -> Option<String> {
    if path == ".file" || (path == ".kind" && *expected == plain_kind(actual)) {
        return None;
    }
    if let (Value::Object(expected), Value::Object(actual)) = (expected, actual) {
        for (key, value) in expected {
            let found = actual.iter().find(|(name, _)| name.eq_ignore_ascii_case(key));
            let found = found.map_or(&Value::Null, |(_, value)| value);
            if let Some(difference) = missing_fact(&format!("{path}.{key}"), value, found) {
                return Some(difference);
            }
        }
        return None;
    }
    let is_nothing =
        |value: &Value| value.is_null() || *value == false || value.as_array().is_some_and(Vec::is_empty);
    if expected == actual || (is_nothing(expected) && is_nothing(actual)) {
        return None;
    }
    Some(format!("{path} is {actual}, not {expected}"))
}
