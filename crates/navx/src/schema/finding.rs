//! What is found, in words that programs may rely on.

use crate::manifest::Manifest;
use crate::package::Kind;
use crate::schema::Schema;

/// The edition of the rules: findings of another edition may differ for the same packages.
pub const RULES: &str = "2026-11";

/// What two packages cannot show, whatever they are.
pub const NOT_CHECKED: [&str; 6] = [
    "modify",
    "upgrade-code",
    "install-code",
    "triggers",
    "data-upgrade",
    "dependants",
];

/// What every forecast takes for granted.
const ASSUMES: &str = "OLD is the schema last synchronised there";

/// How the schema is synchronised.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "lowercase"))]
pub enum Mode {
    /// Adds and enlarges, and refuses whatever would lose data: hotfixes always, updates nearly always.
    #[default]
    Add,
    /// As `Add`, and what would lose data is done and loses it. No hotfix can be synchronised so.
    ForceSync,
}

impl Mode {
    /// `add` or `forcesync`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::ForceSync => "forcesync",
        }
    }
}

/// What becomes of a change in one mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "lowercase"))]
pub enum Outcome {
    /// Synchronisation has no objection.
    Applied,
    /// It is done, and data is lost.
    Loss,
    /// It depends on which rows there are.
    Data,
    /// Nobody knows.
    Undecided,
    /// The whole synchronisation fails.
    Refused,
}

/// What becomes of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "camelCase"))]
pub struct Outcomes {
    /// Under [`Mode::Add`].
    pub add: Outcome,
    /// Under [`Mode::ForceSync`].
    pub force_sync: Outcome,
}

impl Outcomes {
    fn under(self, mode: Mode) -> Outcome {
        match mode {
            Mode::Add => self.add,
            Mode::ForceSync => self.force_sync,
        }
    }
}

/// How a rule is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "lowercase"))]
pub enum Evidence {
    /// Microsoft's documentation says so.
    Documented,
    /// People report that it happened to them.
    Field,
    /// It follows from something else, and may be wrong: it never makes a verdict of `refused`.
    Inferred,
}

impl Evidence {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Documented => "documented",
            Self::Field => "field",
            Self::Inferred => "inferred",
        }
    }
}

/// How bad a finding is, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "lowercase"))]
pub enum Severity {
    /// Synchronisation fails.
    Refused,
    /// Whether it fails is not known.
    Undecided,
    /// Whether it fails depends on the rows that are there.
    Data,
    /// The service, or some environments, will not take the package, whatever its tables are.
    Environment,
    /// What is stored means something else afterwards, and nothing says so.
    Meaning,
    /// Other apps, or callers of web services, stop working; or data is lost that ForceSync may lose.
    Breaking,
    /// Good to know.
    Note,
}

impl Severity {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Undecided => "undecided",
            Self::Data => "data",
            Self::Environment => "environment",
            Self::Meaning => "meaning",
            Self::Breaking => "breaking",
            Self::Note => "note",
        }
    }
}

/// What a forecast comes to. There is no word for "safe".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "lowercase"))]
pub enum Verdict {
    /// Something was found that is refused.
    Refused,
    /// Something was found of which nobody can tell from two packages.
    Undecided,
    /// Nothing was found that is refused.
    Compatible,
}

impl Verdict {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Undecided => "undecided",
            Self::Compatible => "compatible",
        }
    }

    fn of(findings: &[Finding]) -> Self {
        match findings.iter().map(|finding| finding.severity).min() {
            Some(Severity::Refused) => Self::Refused,
            Some(Severity::Undecided | Severity::Data) => Self::Undecided,
            _ => Self::Compatible,
        }
    }
}

/// The object that a finding is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ObjectRef {
    /// `table`, `tableExtension`, `enum` and so on.
    pub kind: &'static str,
    /// Its number; 0 where it has none.
    pub id: i64,
    /// Its name, in the old package if it is there.
    pub name: String,
    /// Its namespace; empty where it has none.
    pub namespace: String,
}

/// What of an object a finding is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Part {
    /// `field`, `key`, `value`, `property`, `procedure` and so on.
    pub kind: &'static str,
    /// Its number; `None` where such things have none.
    pub id: Option<i64>,
    /// Its name.
    pub name: String,
}

/// One thing that was found, and how it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "camelCase"))]
#[non_exhaustive]
pub struct Finding {
    /// The stable code of the rule, such as `field-removed`.
    pub code: &'static str,
    /// How bad it is in the mode that was asked for.
    pub severity: Severity,
    /// The object; `None` where it is about the app.
    pub object: Option<ObjectRef>,
    /// What of it.
    pub member: Option<Part>,
    /// What it was.
    pub before: Option<String>,
    /// What it is.
    pub after: Option<String>,
    /// What becomes of it.
    pub outcome: Outcomes,
    /// How that is known.
    pub evidence: Evidence,
    /// The number under which Microsoft's analyzers know it, such as `AS0080`.
    pub rule: Option<&'static str>,
    /// Where the evidence is.
    pub source: &'static str,
    /// What the rule is about, in a few words.
    pub message: &'static str,
}

/// One of two packages.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "camelCase"))]
#[non_exhaustive]
pub struct Side {
    /// The app; `None` for a runtime package.
    pub id: Option<uuid::Uuid>,
    /// Its name; `None` for a runtime package.
    pub name: Option<String>,
    /// Its version; `None` for a runtime package.
    pub version: Option<crate::Version>,
    /// The SHA-256 of the file, in hexadecimal.
    pub sha256: String,
    /// The shape of the package.
    pub kind: Kind,
    /// The SHA-256 of the file without its signature, in hexadecimal: the same for one build before and after signing.
    pub signed_content_sha256: String,
}

impl Side {
    pub(super) fn of(schema: &Schema) -> Self {
        let manifest = schema.manifest.as_ref();
        Self {
            id: manifest.map(|manifest: &Manifest| manifest.app_id),
            name: manifest.map(|manifest| manifest.name.clone()),
            version: manifest.map(|manifest| manifest.version),
            sha256: hexadecimal(&schema.sha256),
            kind: schema.kind,
            signed_content_sha256: hexadecimal(&schema.signed_content_sha256),
        }
    }
}

fn hexadecimal(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What is to be expected of one package after another.
///
/// With the feature `serde` it serialises as `fame package diff --json` prints it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "camelCase"))]
#[non_exhaustive]
pub struct Forecast {
    /// What it comes to.
    pub verdict: Verdict,
    /// How the schema is to be synchronised.
    pub mode: Mode,
    /// What is installed.
    pub old: Side,
    /// What is to be.
    pub new: Side,
    /// In order of objects and their parts; what is about the app comes first.
    pub findings: Vec<Finding>,
    /// What is taken for granted.
    pub assumes: &'static str,
    /// What two packages cannot show.
    pub not_checked: [&'static str; NOT_CHECKED.len()],
    /// The edition of the rules.
    pub rules: &'static str,
}

impl Forecast {
    pub(super) fn new(mode: Mode, old: Side, new: Side, findings: Vec<Finding>) -> Self {
        Self {
            verdict: Verdict::of(&findings),
            mode,
            old,
            new,
            findings,
            assumes: ASSUMES,
            not_checked: NOT_CHECKED,
            rules: RULES,
        }
    }

    /// The same where what changes meanings or breaks others counts as refused too: a vendor's own rule, not the server's.
    #[must_use]
    pub fn strict(mut self) -> Self {
        for finding in &mut self.findings {
            if matches!(finding.severity, Severity::Meaning | Severity::Breaking) {
                finding.severity = Severity::Refused;
            }
        }
        self.verdict = Verdict::of(&self.findings);
        self
    }
}

/// What a severity is made of: the outcome, or what the rule says of a change that is applied.
pub(super) fn severity(outcomes: Outcomes, mode: Mode, applied: Severity) -> Severity {
    match outcomes.under(mode) {
        Outcome::Refused => Severity::Refused,
        Outcome::Undecided => Severity::Undecided,
        Outcome::Data => Severity::Data,
        Outcome::Loss => Severity::Breaking,
        Outcome::Applied => applied,
    }
}
