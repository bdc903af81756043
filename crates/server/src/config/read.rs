//! From values to settings, with everything that is wrong with them.
//!
//! Serde stops at the first thing that it cannot read. So that is put right, by what is built in or by leaving it
//! out, and reading begins again, until all of it has been found. Nobody gets to see settings that were put right.

use super::{
    Settings, database,
    layers::{self, Origin, Problem, Values},
};
use serde_path_to_error::Segment;
use std::{collections::BTreeMap, net::SocketAddr};
use toml::{Table, Value};

/// The settings, and everything that is wrong with them; without settings, that is something.
pub(super) fn settings(values: &Values) -> (Option<Settings>, Vec<Problem>) {
    let mut reading = Reading {
        values,
        built_in: tree(&layers::built_in()),
        left_out: BTreeMap::new(),
        filled_in: Vec::new(),
        problems: Vec::new(),
    };
    let settings = reading.read(tree(values));
    if let Some(settings) = &settings {
        reading.check_together(settings);
    }
    (settings, reading.problems)
}

/// The values in their sections, with the data folder in its place in paths. A file that is not named is left out.
fn tree(values: &Values) -> Table {
    let mut sections = Table::new();
    for (name, given) in values {
        let (section, key) = name.split_once('.').unwrap_or((name, ""));
        let names_no_file = key.ends_with("_file") && given.value.as_str() == Some("");
        let section = sections.entry(section).or_insert(Table::new().into());
        if let (Value::Table(section), false) = (section, names_no_file) {
            section.insert(key.to_owned(), filled_in(given.value.clone(), name, values));
        }
    }
    sections
}

/// `value` with the data folder in its place in whatever names a path.
fn filled_in(value: Value, name: &str, values: &Values) -> Value {
    let is_path = name == database::URL || name == "directory" || name.ends_with("_file");
    match value {
        Value::String(path) if is_path => layers::with_data_dir(values, &path).into(),
        Value::Table(mut entries) => {
            for (key, value) in &mut entries {
                *value = filled_in(std::mem::replace(value, false.into()), key, values);
            }
            entries.into()
        }
        other => other,
    }
}

const ISSUERS: &str = "identity.issuers";

/// What was done to an issuer that could not be read, so that everything else that is wrong with it is found too.
enum Mended {
    /// A key that there is not was taken out.
    Removed,
    /// A key that is missing was filled in.
    Field(String),
    /// Another took its place, of which nothing is to be said.
    Whole,
}

fn mend(issuer: &mut Value, message: &str) -> Mended {
    let name = message.split('`').nth(1).unwrap_or_default();
    if let Some(keys) = issuer.as_table_mut() {
        if message.starts_with("unknown field") && keys.remove(name).is_some() {
            return Mended::Removed;
        }
        if message.starts_with("missing field") && name != "kind" && !keys.contains_key(name) {
            let nothing = match name {
                "audiences" => Value::Array(Vec::new()),
                _ => "".into(),
            };
            keys.insert(name.to_owned(), nothing);
            return Mended::Field(name.to_owned());
        }
    }
    let nothing = |name: &str| (name.to_owned(), Value::from(""));
    let mut another = Table::from_iter(["issuer", "tenant"].map(nothing));
    another.insert("kind".to_owned(), "oidc".into());
    another.insert("audiences".to_owned(), Value::Array(Vec::new()));
    *issuer = another.into();
    Mended::Whole
}

struct Reading<'v> {
    values: &'v Values,
    built_in: Table,
    /// How many entries of each list have been left out: those after them had higher numbers once.
    left_out: BTreeMap<String, usize>,
    /// What of issuers was filled in to go on: what is wrong with that says nothing.
    filled_in: Vec<String>,
    problems: Vec<Problem>,
}

impl Reading<'_> {
    fn refuse(&mut self, key: &str, message: impl Into<String>) {
        // `identity.issuers[0].tenants` was set where `identity.issuers` was.
        let whole = key.split('[').next().unwrap_or(key);
        let given = self.values.get(whole);
        let origin = given.map_or(&Origin::Default, |given| &given.origin);
        let problem = Problem::error("InvalidValue", key, origin, message);
        self.problems.push(problem);
    }

    fn is_refused(&self, key: &str) -> bool {
        self.problems.iter().any(|problem| problem.key.starts_with(key))
    }

    fn read(&mut self, mut table: Table) -> Option<Settings> {
        loop {
            match serde_path_to_error::deserialize(Value::Table(table.clone())) {
                Ok(settings) => return Some(settings),
                Err(error) => {
                    let steps: Vec<&Segment> = error.path().iter().collect();
                    self.put_right(&mut table, &steps, error.inner().message())?;
                }
            }
        }
    }

    /// Leaves out the entry that the steps lead to, or puts what is built in in the place of the value.
    fn put_right(&mut self, table: &mut Table, steps: &[&Segment], message: &str) -> Option<()> {
        let [Segment::Map { key: section }, Segment::Map { key }, entry @ ..] = steps else {
            self.refuse("", message);
            return None;
        };
        let mut at = format!("{section}.{key}");
        let section_given = table.get_mut(section)?.as_table_mut()?;
        match (entry.first(), section_given.get_mut(key)) {
            (Some(Segment::Seq { index }), Some(Value::Array(entries))) if at == ISSUERS => {
                at += &format!("[{index}]");
                match mend(entries.get_mut(*index)?, message) {
                    Mended::Field(name) => self.filled_in.push(format!("{at}.{name}")),
                    Mended::Whole => self.filled_in.push(format!("{at}.")),
                    Mended::Removed => {}
                }
            }
            (Some(Segment::Seq { index }), Some(Value::Array(entries))) => {
                entries.remove(*index);
                let left_out = self.left_out.entry(at.clone()).or_default();
                at += &format!("[{}]", index + *left_out);
                *left_out += 1;
            }
            (Some(Segment::Map { key: entry }), Some(Value::Table(entries))) => {
                entries.remove(entry);
                at += &format!("[{entry:?}]");
            }
            // Taken, so that what is built in is not tried twice.
            _ => match self.built_in.get_mut(section)?.as_table_mut()?.remove(key) {
                Some(built_in) => drop(section_given.insert(key.clone(), built_in)),
                None => drop(section_given.remove(key)),
            },
        }
        for line in message.split('\n') {
            self.refuse(&at, line);
        }
        Some(())
    }

    /// What only shows when settings are looked at together; not where one of them is known to be wrong.
    fn check_together(&mut self, settings: &Settings) {
        const GRACE: &str = "storage.grace_seconds";
        const IDLE: &str = "packages.upload_idle_seconds";
        let (grace, idle) = (settings.storage.grace, settings.packages.upload_idle);
        if grace <= idle && !self.is_refused(GRACE) && !self.is_refused(IDLE) {
            let message = format!("is not more than {IDLE}, which is {}", idle.as_secs());
            self.refuse(GRACE, message);
        }
        let metrics = settings.metrics.listen.filter(|address| address.port() != 0);
        if metrics.is_some_and(|metrics| overlap(metrics, settings.server.listen)) {
            let message = "is server.listen too: metrics are for operators, not for callers";
            self.refuse("metrics.listen", message);
        }
        let locations = &settings.storage.locations;
        if locations.is_empty() && !self.is_refused("storage.locations") {
            let message = "is empty, so no package could be stored: name a location";
            self.refuse("storage.locations", message);
        }
        for (index, location) in locations.iter().enumerate() {
            let before = locations.get(..index).unwrap_or_default();
            for problem in location.problems(before, settings.packages.max_bytes) {
                self.refuse(&format!("storage.locations[{:?}]", location.name), problem);
            }
        }
        self.check_operators(settings);
        // None at all is a matter of serving, not of reading: `config check` and `fame dev` start without.
        if !settings.identity.issuers.is_empty() {
            for problem in settings.identity.problems() {
                let is_ours = |filled: &String| problem.key.starts_with(filled);
                if !self.filled_in.iter().any(is_ours) {
                    self.refuse(&problem.key, problem.message);
                }
            }
        }
    }

    /// A client id is the same in every tenant, so it is enough where a single one is trusted.
    fn check_operators(&mut self, settings: &Settings) {
        if self.is_refused("operators.principals[") || !settings.identity.trusts_several_tenants() {
            return;
        }
        for (index, operator) in settings.operators.principals.iter().enumerate() {
            if operator.tenant_id.is_none() {
                let message = format!(
                    "is an Application without tenant_id, though identity.issuers trusts several tenants: whoever \
                     administers one of them may be able to sign in as {}",
                    operator.id
                );
                self.refuse(&format!("operators.principals[{index}]"), message);
            }
        }
    }
}

/// Whether who listens at the one address is in the way of who listens at the other.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let is_same = one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port() && is_same
}
