//! Section `database`: how the settings that the store takes are read, and the file that may hold the url.

use super::{
    layers::{self, Given, Origin, Problem, Values},
    values,
};
use serde::{Deserialize, Deserializer};
use std::path::PathBuf;
use store::settings::{DatabaseSettings, DatabaseUrl, Migrate};
use toml::Value;

/// The key whose value must never be shown as it is.
pub(super) const URL: &str = "database.url";
const URL_FILE: &str = "database.url_file";

/// The keys of the section; the settings themselves know nothing of how they are written.
#[derive(Deserialize)]
#[serde(remote = "DatabaseSettings")]
pub(super) struct Section {
    #[serde(deserialize_with = "values::parsed")]
    url: DatabaseUrl,
    #[serde(deserialize_with = "values::number::<1, 1_000, _, _>")]
    connections: usize,
    ca_file: Option<PathBuf>,
    allow_plaintext: bool,
    #[serde(deserialize_with = "migrate")]
    migrate: Migrate,
}

fn migrate<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Migrate, D::Error> {
    let words = [
        ("at_start", Migrate::AtStart),
        ("separately", Migrate::Separately),
    ];
    values::word(deserializer, words)
}

/// Puts what the file named by `database.url_file` holds in the place of `database.url`, unless a later layer than
/// the one that named the file set the url itself.
pub(super) fn read_url_file(values: &mut Values) -> Result<(), Problem> {
    let (Some(named), Some(url)) = (values.get(URL_FILE), values.get(URL)) else {
        return Ok(());
    };
    let path = match named.value.as_str() {
        Some(path) if !path.is_empty() => PathBuf::from(layers::with_data_dir(values, path)),
        _ => return Ok(()),
    };
    if named.origin.is_level_with(&url.origin) {
        let message = "is given together with database.url: give one of the two";
        return Err(Problem::error("InvalidValue", URL_FILE, &named.origin, message));
    }
    if url.origin > named.origin {
        return Ok(());
    }
    let text = std::fs::read_to_string(&path).map_err(|error| {
        let message = format!("'{}' cannot be read: {error}", path.display());
        Problem::error("UnreadableFile", URL_FILE, &named.origin, message)
    })?;
    let value = Value::from(text.trim());
    let origin = Origin::SecretFile(path);
    values.insert(URL.to_owned(), Given { value, origin });
    Ok(())
}
