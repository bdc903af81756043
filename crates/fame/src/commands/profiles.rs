//! `fame profiles`: which services are known under a name.

use crate::{exit::Exit, failure::Failure, output::Printer, profiles::Profiles};
use clap::Subcommand;
use serde_json::{Value, json};

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
                    ("LOGIN IN", "kept_in"),
                ];
                let rows: Vec<Value> = profiles
                    .all()
                    .map(|(name, profile)| {
                        let mut row = json!(profile);
                        if let Some(members) = row.as_object_mut() {
                            members.insert("name".to_owned(), name.into());
                        }
                        row
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
