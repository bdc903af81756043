//! The url of the database, where it comes from a file: it has a password.

use super::layers::{self, Given, Origin, Problem, Values};
use std::path::PathBuf;
use toml::Value;

/// The key whose value must never be shown as it is.
pub(super) const URL: &str = "database.url";
const URL_FILE: &str = "database.url_file";

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
    let value = Value::String(text.trim().to_owned());
    values.insert(
        URL.to_owned(),
        Given {
            value,
            origin: Origin::SecretFile(path),
        },
    );
    Ok(())
}
