//! `fame profiles`: which services are known under a name.

use crate::{exit::Exit, failure::Failure, output::Printer, profiles::Profiles};
use clap::Subcommand;
use serde_json::{Map, Value, json};

/// `fame profiles …`
#[derive(Subcommand, Debug)]
pub(crate) enum ProfilesCommand {
    /// List the profiles of this user
    List,
    /// Remove a profile, and its login
    Remove {
        /// The profile
        name: String,
    },
}

impl ProfilesCommand {
    /// Runs the command.
    pub(crate) async fn run(self, printer: Printer) -> Result<Exit, Failure> {
        let mut profiles = Profiles::load()?;
        match self {
            Self::List => {
                let columns = [
                    ("PROFILE", "name"),
                    ("SERVICE", "url"),
                    ("CREDENTIAL", "credential"),
                    ("LOGIN IN", "keptIn"),
                ];
                let rows: Vec<Value> = profiles
                    .all()
                    .map(|(name, profile)| {
                        let mut row = in_camel_case(json!(profile));
                        row.insert("name".to_owned(), name.into());
                        row.into()
                    })
                    .collect();
                printer.rows(&rows, &columns)?;
            }
            Self::Remove { name } => {
                let removed = profiles.remove(&name);
                let removed =
                    removed.ok_or_else(|| Failure::NotFound(format!("No profile is called '{name}'.")))?;
                if let Some(kept_in) = removed.kept_in {
                    kept_in.remove(&name).await?;
                }
                profiles.save()?;
                printer.note(format!("Removed the profile '{name}'."));
            }
        }
        Ok(Exit::Done)
    }
}

/// What a file calls `kept_in` is `keptIn` in all that commands print.
fn in_camel_case(row: Value) -> Map<String, Value> {
    let Value::Object(members) = row else {
        return Map::new();
    };
    let spelled = |name: &str| {
        let mut begins_word = false;
        let mut text = String::new();
        for letter in name.chars() {
            match (letter, begins_word) {
                ('_', _) => {}
                (_, true) => text.push(letter.to_ascii_uppercase()),
                (_, false) => text.push(letter),
            }
            begins_word = letter == '_';
        }
        text
    };
    members
        .into_iter()
        .map(|(name, value)| (spelled(&name), value))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_spelled_as_in_all_other_output() {
        let row = in_camel_case(json!({ "client_secret_file": "a_b", "url": "c" }));
        assert_eq!(Value::from(row), json!({ "clientSecretFile": "a_b", "url": "c" }));
    }
}
