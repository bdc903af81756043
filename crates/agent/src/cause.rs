//! Why a target did not do what it was asked for, found out from what it said, and whether asking again can help.
//!
//! Business Central has no list of errors. What is known of them is one table here, the same for all drivers: the code
//! inside an answer is believed first, then the HTTP status, then English words of the text. The first row that fits
//! decides. What no row knows, such as a text in another language, is `Other`, and a person reads it.

use crate::failure::{CONFIGURATION, Failure};
use domain::operation::FailureCause;
use serde_json::Value;

/// Who said it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The Admin Center API.
    AdminCenter,
    /// The Automation API.
    Automation,
    /// A server's development endpoint.
    DevEndpoint,
    /// A command on this machine: the cmdlets of a Business Central server.
    Exec,
}

/// What a target said, as far as it said anything.
#[derive(Clone, Copy, Debug)]
pub struct Said<'s> {
    /// Who said it.
    pub by: Target,
    /// Whether it was asked to change something. What only reads can be asked again.
    pub to_change: bool,
    /// The HTTP status, if there is one.
    pub status: Option<u16>,
    /// All that was said: a body, an error message, the end of a command's output.
    pub text: &'s str,
    /// The name of the app that is brought in, if known: the development endpoint also complains about others.
    pub app: Option<&'s str>,
}

/// What is known of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Why, in a word that a vendor can filter by.
    pub cause: FailureCause,
    /// A free word that says more.
    pub hint: Option<&'static str>,
    /// Whether the same may be asked again within the same operation.
    pub again: Again,
}

/// Whether the same may be asked again, without a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// Yes, a few times: nothing was begun.
    Safe,
    /// Once the inventory shows that the version is not installed, and the target is quiet. One more time; for a `Lock`
    /// three times, two to ten minutes apart.
    WhenQuiet,
    /// No: a person or a new version is needed.
    Never,
}

impl Verdict {
    const UNKNOWN: Verdict = v(FailureCause::Other, Again::Never);

    /// The failure with all that was said.
    #[must_use]
    pub fn failure(self, text: impl Into<String>) -> Failure {
        Failure {
            cause: self.cause,
            hint: self.hint,
            text: text.into(),
        }
    }

    const fn hint(self, hint: &'static str) -> Verdict {
        Verdict {
            hint: Some(hint),
            ..self
        }
    }
}

const fn v(cause: FailureCause, again: Again) -> Verdict {
    Verdict {
        cause,
        hint: None,
        again,
    }
}

/// Why that happened. Never fails: what nobody knows is `Other`, for a person to read.
#[must_use]
pub fn classify(said: &Said<'_>) -> Verdict {
    let embedded = Embedded::of(said.text);
    of_code(said, &embedded.codes)
        .or_else(|| of_status(said))
        .or_else(|| of_text(said, &embedded.words))
        .unwrap_or(Verdict::UNKNOWN)
}

fn of_code(said: &Said<'_>, codes: &[String]) -> Option<Verdict> {
    // The innermost code says most, so the codes decide in their order, not the rows.
    let row = |code: &String| {
        CODES
            .iter()
            .find(|row| row.1.eq_ignore_ascii_case(code) && row.0.contains(&said.by))
    };
    codes.iter().find_map(row).map(|row| row.2)
}

fn of_status(said: &Said<'_>) -> Option<Verdict> {
    let status = said.status?;
    if said.by == DevEndpoint && status == 500 && said.text.trim().is_empty() {
        // A table that somebody held looked like this, and it passed.
        return Some(v(Other, WhenQuiet));
    }
    let row = STATUSES
        .iter()
        .find(|row| row.1.contains(&status) && row.0.contains(&said.by))?;
    let verdict = row.2;
    if verdict.again == WhenQuiet && !said.to_change {
        return Some(Verdict {
            again: Safe,
            ..verdict
        });
    }
    Some(verdict)
}

fn of_text(said: &Said<'_>, words: &str) -> Option<Verdict> {
    let verdict = TEXTS
        .iter()
        .find(|row| row.0.contains(&said.by) && occurs(row.1, words))?
        .2;
    let about_another = |app: &str| !words.contains(plain(app).trim());
    if said.by == DevEndpoint && verdict.hint == Some(DOWNGRADE) && said.app.is_some_and(about_another) {
        return Some(v(Other, Never).hint("Dependents"));
    }
    Some(verdict)
}

use Again::{Never, Safe, WhenQuiet};
use FailureCause::{
    AlreadyPublished, Connection, Lock, MissingDependency, Other, Permission, RuntimeTooNew, SchemaBreak,
    TimeOut, UpgradeCode,
};
use Target::{AdminCenter, Automation, DevEndpoint, Exec};

const ALL: &[Target] = &[AdminCenter, Automation, DevEndpoint, Exec];
const HTTP: &[Target] = &[AdminCenter, Automation, DevEndpoint];
const SERVER: &[Target] = &[Exec, DevEndpoint];

const DOWNGRADE: &str = "Downgrade";

/// What an answer is taken to carry as a code when it lists what has to be installed before.
const REQUIREMENTS: &str = "data.requirements[]";

/// By the code inside an answer.
const CODES: &[(&[Target], &str, Verdict)] = &[
    (HTTP, "Authentication_InvalidCredentials", v(Permission, Never)),
    // It is often published and not installed, and a second run installs it.
    (
        &[AdminCenter],
        "AppAlreadyPublished",
        v(AlreadyPublished, WhenQuiet),
    ),
    // The one slot for uploads is taken: it has to be written over.
    (&[Automation], "Internal_EntityWithSameKeyExists", v(Other, Safe)),
    (&[AdminCenter], REQUIREMENTS, v(MissingDependency, Never)),
];

/// By HTTP status.
const STATUSES: &[(&[Target], &[u16], Verdict)] = &[
    // It waited for eight minutes in a queue, or ran for eight minutes.
    (&[Automation], &[408, 503], v(TimeOut, WhenQuiet)),
    (HTTP, &[502, 503, 504], v(Connection, WhenQuiet)),
    (HTTP, &[429], v(Connection, Safe)),
    (HTTP, &[401, 403], v(Permission, Never)),
    (HTTP, &[404, 405], v(Other, Never).hint(CONFIGURATION)),
];

/// By words of the text, in small letters and without quotes: `…` is some words, `#` a digit.
const TEXTS: &[(&[Target], &str, Verdict)] = &[
    (HTTP, "authentication_invalidcredentials", v(Permission, Never)),
    (HTTP, "rejected the client credentials", v(Permission, Never)),
    (HTTP, "unauthorized", v(Permission, Never)),
    (
        ALL,
        "do not have sufficient permissions to manage extensions",
        v(Permission, Never),
    ),
    (
        ALL,
        "do not have the required permissions to install",
        v(Permission, Never),
    ),
    (
        SERVER,
        "program license does not allow you to publish",
        v(Permission, Never),
    ),
    // Sign it, or allow that it is not.
    (
        &[Exec],
        "has not been code signed",
        v(Other, Never).hint(CONFIGURATION),
    ),
    (
        &[AdminCenter],
        "is already published for tenant",
        v(AlreadyPublished, WhenQuiet),
    ),
    (
        SERVER,
        "same publisher, name, and version as a previously published",
        v(AlreadyPublished, WhenQuiet),
    ),
    (SERVER, "same app id and version", v(AlreadyPublished, WhenQuiet)),
    // Another compile, or one that failed before: only a new version helps.
    (
        &[Automation],
        "same app id and version has already been uploaded",
        v(AlreadyPublished, Never),
    ),
    (&[Automation], "extension content is empty", v(Other, Safe)),
    (
        &[Automation],
        "the specified file is not an extension file",
        v(Other, WhenQuiet),
    ),
    // Our own deployment ended the session.
    (
        &[Automation],
        "an administrator changed one or more extensions",
        v(Connection, WhenQuiet),
    ),
    (
        &[Automation],
        "session could not be retrieved",
        v(Connection, WhenQuiet),
    ),
    (
        &[Automation],
        "not supported for your system configuration",
        v(Other, Never).hint(CONFIGURATION),
    ),
    (
        &[Automation],
        "unexpected http error … internalservererror",
        v(Other, WhenQuiet),
    ),
    (
        &[Automation],
        "internal error validating the tenant",
        v(Other, WhenQuiet),
    ),
    (&[Automation], "job for id … was not found", v(Other, WhenQuiet)),
    (
        &[AdminCenter],
        "requires the following apps to be installed or updated as dependencies",
        v(MissingDependency, Never),
    ),
    (SERVER, "al1024", v(MissingDependency, Never)),
    (
        SERVER,
        "symbols for the requested app … could not be found",
        v(MissingDependency, Never),
    ),
    (
        SERVER,
        "no synchronized extension could be found to satisfy the dependency definition",
        v(MissingDependency, Never),
    ),
    (
        SERVER,
        "due to a dependency between extensions",
        v(MissingDependency, Never),
    ),
    // Before the compiler's other errors, in whose text it stands.
    (
        ALL,
        "runtime version of the extension package is … must be set to … or earlier",
        v(RuntimeTooNew, Never),
    ),
    (
        ALL,
        "newer than what is compatible with this server",
        v(RuntimeTooNew, Never),
    ),
    (
        ALL,
        "higher compilation target than allowed",
        v(RuntimeTooNew, Never),
    ),
    (ALL, "error al####", v(Other, Never).hint("Compile")),
    (
        ALL,
        "extension compilation failed",
        v(Other, Never).hint("Compile"),
    ),
    (ALL, "unsupported table change", v(SchemaBreak, Never)),
    (ALL, "unsupported field change", v(SchemaBreak, Never)),
    (ALL, "unsupported key change", v(SchemaBreak, Never)),
    (ALL, "changed the length of the data type", v(SchemaBreak, Never)),
    (ALL, "changed datapercompany", v(SchemaBreak, Never)),
    (ALL, "table … :: … is not allowed", v(SchemaBreak, Never)),
    // The other cmdlet was needed.
    (
        &[Exec],
        "run start-navappdataupgrade to upgrade the extension",
        v(Other, Safe),
    ),
    (
        &[Exec],
        "tenant … already uses a different version",
        v(Other, Safe),
    ),
    // It was not synchronised.
    (
        &[Exec],
        "newer version than the current schema version … run sync-navapp",
        v(Other, Safe),
    ),
    // Somebody is at the tenant as a whole.
    (
        &[Exec],
        "due to the state of the tenant: operationaldataupgradepending",
        v(Lock, Never),
    ),
    (
        ALL,
        "its version must be newer than the current",
        v(Other, Never).hint(DOWNGRADE),
    ),
    (
        ALL,
        "newer version … is already installed",
        v(Other, Never).hint(DOWNGRADE),
    ),
    (
        &[DevEndpoint],
        "already deployed as a global application or a per tenant application",
        v(Other, Never).hint("Scope"),
    ),
    (
        &[DevEndpoint],
        "already deployed on another tenant",
        v(Other, Never).hint("Scope"),
    ),
    (SERVER, "no published extensions match", v(Other, Never)),
    (SERVER, "multiple published extensions match", v(Other, Never)),
    (ALL, "failed to acquire a lock", v(Lock, WhenQuiet)),
    (ALL, "lock request time out", v(Lock, WhenQuiet)),
    (ALL, "lock request time-out", v(Lock, WhenQuiet)),
    (ALL, "deadlock", v(Lock, WhenQuiet)),
    (ALL, "locked by another", v(Lock, WhenQuiet)),
    (
        ALL,
        "error occurred after a database command was cancelled",
        v(TimeOut, WhenQuiet),
    ),
    (
        &[Exec],
        "socket connection was aborted … local socket timeout",
        v(Connection, WhenQuiet),
    ),
    (
        &[Exec],
        "currently not ready to serve requests",
        v(Connection, Safe),
    ),
    (
        &[Exec],
        "cannot find the extension … because its not published",
        v(Other, Never),
    ),
    // Last: what an upgrade failed of is in its text, and better known by a row above.
    (
        ALL,
        "could not upgrade the … extension … due to the following error",
        v(UpgradeCode, Never),
    ),
    (&[Exec], "state: failedpendingresume", v(UpgradeCode, Never)),
    (&[Exec], "oncheckpreconditions", v(UpgradeCode, Never)),
    (&[Exec], "onupgrade", v(UpgradeCode, Never)),
    (&[Exec], "onvalidateupgrade", v(UpgradeCode, Never)),
];

/// What a text holds: the codes of the JSON in it, and its words.
struct Embedded {
    /// The innermost first.
    codes: Vec<String>,
    /// As [`plain`] text: of the whole, and of every text in the JSON, whose escapes are undone.
    words: String,
}

/// So many texts within texts are looked into: Business Central wraps an answer once or twice.
const DEEPEST: u8 = 4;

impl Embedded {
    fn of(text: &str) -> Embedded {
        let mut found = Embedded {
            codes: Vec::new(),
            words: plain(text),
        };
        found.read_text(text, 0);
        found
    }

    fn read_text(&mut self, text: &str, depth: u8) {
        let mut rest = text;
        while let Some(found) = rest.find('{').and_then(|start| rest.get(start..)) {
            let mut objects = serde_json::Deserializer::from_str(found).into_iter::<Value>();
            let length = match objects.next() {
                Some(Ok(value)) => {
                    self.read_value(&value, depth);
                    objects.byte_offset()
                }
                _ => 1,
            };
            rest = found.get(length..).unwrap_or_default();
        }
    }

    fn read_value(&mut self, value: &Value, depth: u8) {
        match value {
            Value::String(text) if depth < DEEPEST => {
                self.words.push(' ');
                self.words.push_str(&plain(text));
                self.read_text(text, depth + 1);
            }
            Value::Array(values) => values.iter().for_each(|value| self.read_value(value, depth)),
            Value::Object(members) => {
                members.values().for_each(|value| self.read_value(value, depth));
                if let Some(Value::String(code)) = members.get("code") {
                    self.codes.push(code.clone());
                }
                let required = members.get("data").and_then(|data| data.get("requirements"));
                if required
                    .and_then(Value::as_array)
                    .is_some_and(|apps| !apps.is_empty())
                {
                    self.codes.push(REQUIREMENTS.to_owned());
                }
            }
            _ => {}
        }
    }
}

/// In small letters, without quotes, and with one blank where there are blanks or a line ends: cmdlets break lines where
/// the console does.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        let unquoted = word.chars().filter(|char| !"'\"`´‘’‚‛“”„«»‹›\\".contains(*char));
        plain.extend(unquoted.flat_map(char::to_lowercase));
        plain.push(' ');
    }
    plain
}

/// Some words in a row's text are not more than so many bytes.
const GAP: usize = 600;

/// Whether the words of a row occur.
fn occurs(pattern: &str, words: &str) -> bool {
    let mut parts = pattern.split(" … ");
    let Some(first) = parts.next() else { return false };
    let others: Vec<&str> = parts.collect();
    let mut behind = ends_of(first, words).filter_map(|end| words.get(end..));
    behind.any(|behind| follow(&others, behind))
}

fn follow(parts: &[&str], mut words: &str) -> bool {
    parts.iter().all(|part| {
        let near = words.get(..words.floor_char_boundary(GAP)).unwrap_or(words);
        let behind = ends_of(part, near).next().and_then(|end| words.get(end..));
        words = behind.unwrap_or_default();
        behind.is_some()
    })
}

/// Where each occurrence of the part ends.
fn ends_of<'w>(part: &'w str, words: &'w str) -> impl Iterator<Item = usize> + 'w {
    let letters = part.trim_end_matches('#');
    let digits = part.len() - letters.len();
    words.match_indices(letters).filter_map(move |(start, _)| {
        let from = start + letters.len();
        let number = words.as_bytes().get(from..from + digits)?;
        number.iter().all(u8::is_ascii_digit).then_some(from + digits)
    })
}

#[cfg(test)]
mod tests;
