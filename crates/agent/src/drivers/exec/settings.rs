//! What a configuration says of an environment that is reached by commands.

use crate::{drivers::watch::Repeats, span};
use domain::operation::OperationKind;
use serde::{Deserialize, Deserializer, de};
use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    time::Duration,
};

/// The table `[environment.exec]` of the agent's configuration.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The program that brings a version in, and its arguments.
    pub deploy: CommandLine,
    /// The program that prints what is installed, and its arguments.
    pub inventory: CommandLine,
    /// The folder that both start in; the agent's own if it is not given.
    #[serde(default)]
    pub folder: Option<PathBuf>,
    /// Variables that both get besides the facts, with their values. No place for a secret.
    #[serde(default)]
    pub environment: BTreeMap<VariableName, String>,
    /// Names of variables of the agent that both get as well.
    #[serde(default)]
    pub pass: Vec<VariableName>,
    /// How long bringing a version in may take.
    #[serde(default = "two_hours", deserialize_with = "span::deserialize")]
    pub time_limit: Duration,
    /// How long reading what is installed may take.
    #[serde(default = "ten_minutes", deserialize_with = "span::deserialize")]
    pub inventory_time_limit: Duration,
    /// How long a command that was asked to end has before it is ended by force.
    #[serde(default = "half_a_minute", deserialize_with = "span::deserialize")]
    pub stop_within: Duration,
    /// Whether `deploy` goes on from whatever it finds, so that it may be started again after the agent was ended in the
    /// middle. The scripts in `contrib` do.
    #[serde(default)]
    pub reenterable: bool,
    /// What `deploy` does: newer versions only, if nothing is said.
    #[serde(default = "newer_versions", deserialize_with = "kinds")]
    pub kinds: Vec<OperationKind>,
    /// When a reenterable `deploy` that failed is started again, where that was seen to help.
    #[serde(default)]
    pub repeats: Repeats,
}

fn newer_versions() -> Vec<OperationKind> {
    vec![OperationKind::Hotfix, OperationKind::Update]
}

fn kinds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<OperationKind>, D::Error> {
    let words = Vec::<String>::deserialize(deserializer)?;
    let kinds = words.iter().map(|word| word.parse().map_err(de::Error::custom));
    kinds.collect()
}

fn two_hours() -> Duration {
    Duration::from_secs(2 * 60 * 60)
}

fn ten_minutes() -> Duration {
    Duration::from_secs(10 * 60)
}

fn half_a_minute() -> Duration {
    Duration::from_secs(30)
}

/// A program and its arguments. No shell reads them.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(try_from = "Vec<String>")]
pub struct CommandLine {
    program: String,
    arguments: Vec<String>,
}

impl TryFrom<Vec<String>> for CommandLine {
    type Error = String;

    fn try_from(words: Vec<String>) -> Result<Self, String> {
        let mut words = words.into_iter();
        let program = words.next().filter(|program| !program.is_empty());
        let program = program.ok_or("a command is a list: the program, then its arguments")?;
        let path = Path::new(&program);
        if path.components().count() > 1 && !path.is_absolute() {
            return Err(format!(
                "'{program}' depends on the folder that it is started in: a program is a whole path, or a name that is \
                 looked for in PATH"
            ));
        }
        let arguments = words.collect();
        Ok(Self { program, arguments })
    }
}

impl CommandLine {
    /// The program: a whole path, or a name that is looked for in `PATH`.
    #[must_use]
    pub fn program(&self) -> &str {
        &self.program
    }

    /// Its arguments.
    #[must_use]
    pub fn arguments(&self) -> &[String] {
        &self.arguments
    }

    /// Why the program cannot be started, if that can be seen from outside.
    pub(super) fn problem(&self) -> Option<String> {
        let program = Path::new(&self.program);
        if program.is_absolute() {
            return (!is_program(program))
                .then(|| format!("{} is not a program that can be run.", self.program));
        }
        let path = env::var_os("PATH").unwrap_or_default();
        let names = [self.program.clone(), format!("{}.exe", self.program)];
        let found =
            env::split_paths(&path).any(|folder| names.iter().any(|name| is_program(&folder.join(name))));
        (!found).then(|| format!("No folder of PATH holds a program '{}'.", self.program))
    }
}

#[cfg(unix)]
fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.is_file())
}

/// The name of a variable that a configuration may give to a command: not one of ours.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(try_from = "String")]
pub struct VariableName(String);

impl TryFrom<String> for VariableName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(format!("{name:?} is not the name of a variable"));
        }
        if name.to_ascii_uppercase().starts_with("FAME_") {
            return Err(format!(
                "'{name}': what begins with FAME_ are facts, or belongs to the agent"
            ));
        }
        Ok(Self(name))
    }
}

impl VariableName {
    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
