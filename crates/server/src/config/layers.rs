//! What each key is worth and who said so.
//!
//! The built-in file is the whole list of keys, and its values say what kind each is. A later layer may only
//! replace a value by another of the same kind, so that whatever comes out of here has every key and right kinds.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
};
use toml::{Table, Value};

const DEFAULTS: &str = include_str!("../config.default.toml");

/// Keys of earlier versions.
const GONE: [&str; 2] = ["executor.kind", "executor.slots"];

/// Begins the names of the environment variables that are ours.
const PREFIX: &str = "FAME_";

/// Where settings come from, besides the built-in file.
#[derive(Clone, Default)]
pub struct Sources {
    /// A file that must be there.
    pub file: Option<PathBuf>,
    /// Environment variables; those that are not ours are passed over.
    pub environment: Vec<(String, OsString)>,
    /// Keys and values from flags.
    pub overrides: Vec<(String, String)>,
}

impl Sources {
    /// What this process was given: the file that the flag names, else `FAME_CONFIG`, else `./fame-serve.toml` if there is
    /// one; and the environment.
    #[must_use]
    pub fn of_process(config_flag: Option<PathBuf>, overrides: Vec<(String, String)>) -> Self {
        let named = std::env::var_os("FAME_CONFIG")
            .filter(|path| !path.is_empty())
            .map(PathBuf::from);
        let usual = || Some(PathBuf::from("fame-serve.toml")).filter(|path| path.exists());
        let variables =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
        Self {
            file: config_flag.or(named).or_else(usual),
            environment: variables.collect(),
            overrides,
        }
    }
}

/// Who set a value. Later ones win.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The built-in file.
    Default,
    /// A configuration file.
    File(PathBuf),
    /// An environment variable.
    Environment(String),
    /// A flag of the command.
    Flag,
    /// A file that holds this one value.
    SecretFile(PathBuf),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => f.write_str(name),
            Self::Flag => f.write_str("command line"),
            Self::SecretFile(path) => write!(f, "secret file {}", path.display()),
        }
    }
}

impl Origin {
    /// Whether both are the same layer.
    pub(super) fn is_level_with(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// To be said at start.
    Warning,
    /// Nothing starts with it.
    Error,
}

/// Something wrong with the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// Which sort of problem, for machines: `UnknownKey`, `InvalidValue`, `UnreadableFile`, `UnfitForProduction`,
    /// `OutOfReach`.
    pub code: &'static str,
    /// The key, as in `server.listen`; empty when it is about a whole file.
    pub key: String,
    /// Who said so.
    pub origin: Option<Origin>,
    /// What is wrong and what would be right. Never holds a secret.
    pub message: String,
}

impl Problem {
    pub(super) fn error(code: &'static str, key: &str, origin: &Origin, message: impl Into<String>) -> Self {
        let (key, message) = (key.to_owned(), message.into());
        Self {
            severity: Severity::Error,
            code,
            key,
            origin: Some(origin.clone()),
            message,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Some(origin) if self.key.is_empty() => write!(f, "{origin}: {}", self.message),
            Some(origin) => write!(f, "{} ({origin}): {}", self.key, self.message),
            None => write!(f, "{}: {}", self.key, self.message),
        }
    }
}

/// A value and who set it.
#[derive(Clone)]
pub(super) struct Given {
    pub(super) value: Value,
    pub(super) origin: Origin,
}

/// Every key there is, as `section.key`.
pub(super) type Values = BTreeMap<String, Given>;

/// Stands in paths for the folder that `server.data_dir` names.
const DATA_DIR: &str = "{data_dir}";

/// `text` with the data folder in the place of its placeholder.
pub(super) fn with_data_dir(values: &Values, text: &str) -> String {
    let folder = values
        .get("server.data_dir")
        .and_then(|given| given.value.as_str());
    text.replace(DATA_DIR, folder.unwrap_or_default())
}

/// The value of each key after all layers, and what was wrong on the way.
pub(super) fn merge(sources: &Sources) -> (Values, Vec<Problem>) {
    let mut layers = Layers {
        values: built_in(),
        problems: Vec::new(),
    };
    if let Some(path) = &sources.file {
        layers.add_file(path);
    }
    for (name, value) in &sources.environment {
        layers.add_variable(name, value);
    }
    for (key, text) in &sources.overrides {
        layers.put_text(key, text, Origin::Flag);
    }
    (layers.values, layers.problems)
}

/// Every key there is, with its default.
pub(super) fn built_in() -> Values {
    let given = |(key, value)| {
        let origin = Origin::Default;
        (key, Given { value, origin })
    };
    // Compiled in, and tested: without it no key would be known.
    let table = DEFAULTS.parse().unwrap_or_default();
    keys_of(table).into_iter().map(given).collect()
}

fn table_in(path: &Path) -> Result<Table, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"))?;
    text.parse().map_err(|error: toml::de::Error| {
        // The whole error would quote the line, which may hold a password.
        let before = error.span().and_then(|span| text.get(..span.start));
        let line = 1 + before.unwrap_or_default().matches('\n').count();
        format!("line {line} is not TOML: {}", error.message())
    })
}

struct Layers {
    values: Values,
    problems: Vec<Problem>,
}

impl Layers {
    fn add_file(&mut self, path: &Path) {
        let origin = Origin::File(path.to_owned());
        let table = table_in(path).unwrap_or_else(|message| {
            self.refuse("UnreadableFile", "", &origin, message);
            Table::new()
        });
        for (key, value) in keys_of(table) {
            let is_empty_section = value.is_table() && self.is_section(&key);
            if !is_empty_section {
                self.put(&key, value, origin.clone());
            }
        }
    }

    fn add_variable(&mut self, name: &str, value: &OsString) {
        let Some(rest) = name.strip_prefix(PREFIX) else {
            return;
        };
        let origin = Origin::Environment(name.to_owned());
        let lowered = rest.to_lowercase();
        if !rest.contains("__") {
            // Other variables of ours have no section; but FAME_SERVER_LISTEN is a slip worth hearing of.
            if let Some(meant) = self.values.keys().find(|key| key.replace('.', "_") == lowered) {
                let (meant, right) = (meant.clone(), meant.to_uppercase().replace('.', "__"));
                let message = format!("did you mean {PREFIX}{right}?");
                self.refuse("UnknownKey", &meant, &origin, message);
            }
            return;
        }
        let key = lowered.replace("__", ".");
        match value.to_str() {
            Some(text) => self.put_text(&key, text, origin),
            None => self.refuse("InvalidValue", &key, &origin, "is not UTF-8"),
        }
    }

    /// Reads `text` as the kind of value that the key has.
    fn put_text(&mut self, key: &str, text: &str, origin: Origin) {
        let Some(known) = self.values.get(key) else {
            return self.refuse_unknown(key, &origin);
        };
        match read_as(&known.value, text) {
            Ok(value) => self.put(key, value, origin),
            Err(message) => self.refuse("InvalidValue", key, &origin, message),
        }
    }

    fn put(&mut self, key: &str, value: Value, origin: Origin) {
        let Some(given) = self.values.get_mut(key) else {
            return self.refuse_unknown(key, &origin);
        };
        if given.value.same_type(&value) {
            *given = Given { value, origin };
        } else {
            let message = format!("is {}, where {} is needed", kind(&value), kind(&given.value));
            self.refuse("InvalidValue", key, &origin, message);
        }
    }

    fn refuse(&mut self, code: &'static str, key: &str, origin: &Origin, message: impl Into<String>) {
        self.problems.push(Problem::error(code, key, origin, message));
    }

    fn refuse_unknown(&mut self, key: &str, origin: &Origin) {
        let whole = self
            .values
            .keys()
            .find(|known| key.starts_with(&format!("{known}.")));
        let message = if let Some(whole) = whole {
            format!("is not a setting: {whole} is set as a whole")
        } else if GONE.contains(&key) {
            "is gone: agents carry operations out, not the service itself (docs/agents/README.md). Leave it out".to_owned()
        } else if self.is_section(key) {
            "is a section and has no value itself".to_owned()
        } else {
            match self.nearest(key) {
                Some(meant) => format!("is not a setting; did you mean {meant}?"),
                None => "is not a setting".to_owned(),
            }
        };
        self.refuse("UnknownKey", key, origin, message);
    }

    fn is_section(&self, name: &str) -> bool {
        self.values.keys().any(|known| section_of(known) == name)
    }

    /// What was most likely meant: a key or section a few letters away, or the same word in another section.
    fn nearest(&self, key: &str) -> Option<&str> {
        let names = self
            .values
            .keys()
            .flat_map(|known| [known.as_str(), section_of(known)]);
        let (letters, close) = names.map(|name| (strsim::levenshtein(key, name), name)).min()?;
        if letters <= key.len() / 4 {
            return Some(close);
        }
        let elsewhere = self
            .values
            .keys()
            .filter(|known| last_word(known) == last_word(key))
            .min_by_key(|known| section_of(known) != "server");
        elsewhere.map(String::as_str)
    }
}

fn section_of(key: &str) -> &str {
    key.split_once('.').map_or(key, |(section, _)| section)
}

fn last_word(key: &str) -> &str {
    key.rsplit_once('.').map_or(key, |(_, last)| last)
}

/// `section.key` for everything in the sections of a file, and the name of each section that has nothing in it.
fn keys_of(file: Table) -> Vec<(String, Value)> {
    let mut keys = Vec::new();
    for (section, content) in file {
        match content {
            Value::Table(table) if !table.is_empty() => {
                let named = |(key, value)| (format!("{section}.{key}"), value);
                keys.extend(table.into_iter().map(named));
            }
            value => keys.push((section, value)),
        }
    }
    keys
}

/// The value that `text` means where a value like `known` is expected.
fn read_as(known: &Value, text: &str) -> Result<Value, String> {
    let trimmed = text.trim();
    match known {
        Value::Integer(_) => trimmed
            .parse()
            .map(Value::Integer)
            .map_err(|_| format!("'{trimmed}' is not a whole number")),
        Value::Boolean(_) => trimmed
            .parse()
            .map(Value::Boolean)
            .map_err(|_| format!("'{trimmed}' is neither true nor false")),
        Value::Array(_) if !trimmed.starts_with('[') => {
            let items = trimmed.split(',').map(str::trim).filter(|item| !item.is_empty());
            Ok(items.map(Value::from).collect::<Vec<_>>().into())
        }
        Value::Array(_) | Value::Table(_) => {
            let json: serde_json::Value =
                serde_json::from_str(trimmed).map_err(|error| format!("is not JSON: {error}"))?;
            Value::try_from(json).map_err(|error| format!("cannot be used: {error}"))
        }
        _ => Ok(Value::String(text.to_owned())),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "text",
        Value::Integer(_) => "a whole number",
        Value::Float(_) => "a number with a fraction",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a date",
        Value::Array(_) => "a list",
        Value::Table(_) => "a table",
    }
}
