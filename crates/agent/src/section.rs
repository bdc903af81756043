//! A table of the configuration while it is read: key by key, so that all that is wrong is found.

use serde::de::DeserializeOwned;
use std::{fmt, fmt::Display, str::FromStr, time::Duration};
use toml::{Table, Value};

/// Something that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key, or the file.
    pub at: String,
    /// What is wrong, with the fact.
    pub message: String,
}

impl Problem {
    pub(crate) fn new(at: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            at: at.into(),
            message: message.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.at, self.message)
    }
}

/// A table, and what was found wrong so far.
pub(crate) struct Section<'p> {
    path: String,
    table: Table,
    known: Vec<&'static str>,
    problems: &'p mut Vec<Problem>,
}

impl<'p> Section<'p> {
    pub(crate) fn new(path: String, table: Table, problems: &'p mut Vec<Problem>) -> Self {
        Self {
            path,
            table,
            known: Vec::new(),
            problems,
        }
    }

    fn at(&self, key: &str) -> String {
        match self.path.as_str() {
            "" => key.to_owned(),
            path => format!("{path}.{key}"),
        }
    }

    /// Says what is wrong with a key.
    pub(crate) fn refuse(&mut self, key: &str, message: impl Into<String>) {
        let at = self.at(key);
        self.refuse_at(&at, message);
    }

    /// Says what is wrong with something, named in full.
    pub(crate) fn refuse_at(&mut self, at: &str, message: impl Into<String>) {
        self.problems.push(Problem::new(at, message));
    }

    /// What was read elsewhere, or what is wrong with it.
    pub(crate) fn adopt<T>(&mut self, read: Result<T, Vec<Problem>>) -> Option<T> {
        read.map_err(|problems| self.problems.extend(problems)).ok()
    }

    /// Says what is wrong with all of it together.
    pub(crate) fn refuse_whole(&mut self, message: impl Into<String>) {
        let at = self.path.clone();
        self.refuse_at(&at, message);
    }

    /// Whether the key is there.
    pub(crate) fn has(&mut self, key: &'static str) -> bool {
        self.known.push(key);
        self.table.contains_key(key)
    }

    fn take(&mut self, key: &'static str) -> Option<Value> {
        self.known.push(key);
        self.table.remove(key)
    }

    /// A value that may be left out.
    pub(crate) fn optional<T: DeserializeOwned>(&mut self, key: &'static str) -> Option<T> {
        let value = self.take(key)?;
        match value.try_into() {
            Ok(read) => Some(read),
            Err(error) => {
                self.refuse(key, format!("cannot be understood: {}", error.message()));
                None
            }
        }
    }

    /// A value that must be there.
    pub(crate) fn required<T: DeserializeOwned>(&mut self, key: &'static str) -> Option<T> {
        if !self.table.contains_key(key) {
            self.known.push(key);
            self.refuse(key, "is missing");
            return None;
        }
        self.optional(key)
    }

    /// A word that must be there.
    pub(crate) fn parsed<T: FromStr<Err: Display>>(&mut self, key: &'static str) -> Option<T> {
        let text: String = self.required(key)?;
        match text.parse() {
            Ok(read) => Some(read),
            Err(error) => {
                self.refuse(key, format!("will not do: {error}"));
                None
            }
        }
    }

    /// A span of time.
    pub(crate) fn span(&mut self, key: &'static str, usual: &str) -> Duration {
        let given = self.take(key).unwrap_or_else(|| usual.into());
        crate::span::deserialize(given).unwrap_or_else(|error: toml::de::Error| {
            self.refuse(key, format!("cannot be understood: {}", error.message()));
            Duration::ZERO
        })
    }

    /// A table of its own, read by `read`; as if it were empty where it is left out.
    pub(crate) fn section<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Section<'_>) -> Option<T>,
    ) -> Option<T> {
        let table = self.table(key);
        let at = self.at(key);
        self.within(at, table, read)
    }

    /// Reads `table`, of that name, by `read`.
    pub(crate) fn within<T>(
        &mut self,
        at: String,
        table: Table,
        read: impl FnOnce(&mut Section<'_>) -> Option<T>,
    ) -> Option<T> {
        let mut section = Section::new(at, table, &mut *self.problems);
        let value = read(&mut section);
        section.end();
        value
    }

    /// A table as it stands; an empty one where it is left out.
    pub(crate) fn table(&mut self, key: &'static str) -> Table {
        match self.take(key) {
            None => Table::new(),
            Some(Value::Table(table)) => table,
            Some(_) => {
                self.refuse(key, "is not a table");
                Table::new()
            }
        }
    }

    /// Tables as they stand, `[[key]]` each.
    pub(crate) fn tables(&mut self, key: &'static str) -> Vec<Table> {
        self.optional(key).unwrap_or_default()
    }

    /// Says of what is left that nobody knows it.
    pub(crate) fn end(self) {
        for key in self
            .table
            .keys()
            .filter(|key| !self.known.contains(&key.as_str()))
        {
            let message = match nearest(key, &self.known) {
                Some(meant) => format!("is not a setting; did you mean {meant}?"),
                None => "is not a setting".to_owned(),
            };
            self.problems.push(Problem::new(self.at(key), message));
        }
    }
}

/// What was most likely meant: what is a few letters away.
fn nearest(key: &str, known: &[&'static str]) -> Option<&'static str> {
    let near = known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(key, name), *name));
    let (letters, name) = near.min()?;
    (letters <= 1 + key.len() / 4).then_some(name)
}
