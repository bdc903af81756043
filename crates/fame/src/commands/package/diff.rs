//! `fame package diff`: what schema synchronisation would make of a package where another is installed.
//!
//! Nothing is asked of a service: both packages are files. What is found is told object by object, the worst first; the
//! verdict is the exit code, and there is none for "safe".

use super::{refused, sarif};
use crate::{
    exit::Exit,
    failure::Failure,
    output::{Printer, cell},
};
use clap::{Args, ValueEnum};
use navx::{
    Limits,
    schema::{Finding, Forecast, Mode, ObjectRef, Schema, Severity, Side, Verdict, compare},
};
use serde_json::json;
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

/// The most findings that are shown to people.
const MAX_SHOWN: usize = 50;

/// `fame package diff`
#[derive(Args, Debug)]
pub(crate) struct DiffArgs {
    /// What is installed; name several where environments have several versions
    #[arg(value_name = "OLD", required = true)]
    olds: Vec<PathBuf>,
    /// What is to be installed
    #[arg(value_name = "NEW")]
    new: PathBuf,
    /// How the schema is to be synchronised; hotfixes always add
    #[arg(long, value_enum, default_value_t = SyncMode::Add)]
    mode: SyncMode,
    /// Refuse too what gives stored data another meaning, or breaks other apps and callers
    #[arg(long)]
    strict: bool,
    /// Write the findings to this file as SARIF 2.1.0, for code scanning
    #[arg(long, value_name = "FILE")]
    sarif: Option<PathBuf>,
    /// The project's folder in its repository, whose app.json the findings in SARIF are about
    #[arg(long, value_name = "PATH", requires = "sarif")]
    sarif_root: Option<String>,
}

/// How a schema is synchronised, as it is typed.
#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "lowercase")]
enum SyncMode {
    /// Refuse whatever would lose data
    Add,
    /// Lose it
    ForceSync,
}

impl DiffArgs {
    /// Runs the command.
    ///
    /// # Errors
    /// [`Failure::Package`] when a package is refused, [`Failure::Usage`] when one cannot be read, [`Failure::Rule`] when
    /// they are of two apps.
    pub(super) fn run(self, printer: Printer) -> Result<Exit, Failure> {
        let location = sarif::location(self.sarif_root.as_deref()).map_err(Failure::Usage)?;
        let new = read(&self.new)?;
        let mut forecasts = Vec::new();
        for old in &self.olds {
            forecasts.push(self.forecast(old, &new)?);
        }
        if let Some(path) = &self.sarif {
            let log = sarif::log(&forecasts, &location).to_string();
            fs::write(path, log).map_err(|source| Failure::file("write", path, source))?;
        }
        print(&forecasts, printer)?;
        let worst = forecasts
            .iter()
            .map(|forecast| forecast.verdict)
            .max_by_key(|verdict| rank(*verdict));
        Ok(worst.map_or(Exit::Done, exit))
    }

    fn forecast(&self, old: &Path, new: &Schema) -> Result<Forecast, Failure> {
        let mode = match self.mode {
            SyncMode::Add => Mode::Add,
            SyncMode::ForceSync => Mode::ForceSync,
        };
        let forecast = compare(&read(old)?, new, mode).map_err(|apps| Failure::Rule(format!("{apps}.")))?;
        Ok(if self.strict { forecast.strict() } else { forecast })
    }
}

fn read(path: &Path) -> Result<Schema, Failure> {
    let file = File::open(path).map_err(|error| Failure::unreadable(path, &error))?;
    Schema::read(file, &Limits::default()).map_err(|error| refused(path, error))
}

/// Worse is higher.
fn rank(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Compatible => 0,
        Verdict::Undecided => 1,
        Verdict::Refused => 2,
    }
}

fn exit(verdict: Verdict) -> Exit {
    match verdict {
        Verdict::Compatible => Exit::Done,
        Verdict::Undecided => Exit::Undecided,
        Verdict::Refused => Exit::SchemaRefused,
    }
}

/// One forecast as an object, several as a list; for people one below the other.
fn print(forecasts: &[Forecast], printer: Printer) -> Result<(), Failure> {
    if !printer.is_json() {
        let texts: Vec<String> = forecasts.iter().map(text).collect();
        return Ok(printer.text(&texts.join("\n"))?);
    }
    let value = match forecasts {
        [forecast] => serde_json::to_value(forecast),
        several => serde_json::to_value(several),
    };
    let value = value.map_err(|error| Failure::Unexpected(error.to_string()))?;
    Ok(printer.record(&value)?)
}

fn text(forecast: &Forecast) -> String {
    let mut lines = vec![title(forecast)];
    let groups = groups(&forecast.findings);
    let mut left = MAX_SHOWN;
    for group in groups.iter().take_while(|group| !group.is_empty()) {
        if left == 0 {
            break;
        }
        lines.push(format!(
            "  {}",
            group.first().map(|finding| object(finding)).unwrap_or_default()
        ));
        lines.extend(group.iter().take(left).map(|finding| row(finding)));
        left = left.saturating_sub(group.len());
    }
    let hidden = forecast.findings.len().saturating_sub(MAX_SHOWN);
    if hidden > 0 {
        lines.push(format!("  … and {hidden} more; --json shows all"));
    }
    lines.push(format!("{}.", count(&forecast.findings)));
    lines.push(format!("Assumes: {}.", forecast.assumes));
    lines.push(format!("Not checked: {}.", forecast.not_checked.join(", ")));
    lines.push(String::new());
    lines.join("\n")
}

fn title(forecast: &Forecast) -> String {
    let side = |side: &Side| {
        side.version
            .map_or_else(|| "?".to_owned(), |version| version.to_string())
    };
    let name = [&forecast.new, &forecast.old]
        .into_iter()
        .find_map(|side| side.name.clone());
    let meaning = match forecast.verdict {
        Verdict::Refused => "synchronisation would refuse it",
        Verdict::Undecided => "whether synchronisation would refuse it cannot be told from the files",
        Verdict::Compatible => "nothing was found that synchronisation refuses",
    };
    line(&format!(
        "{} {} -> {} ({}): {}: {meaning}",
        name.unwrap_or_else(|| "?".to_owned()),
        side(&forecast.old),
        side(&forecast.new),
        forecast.mode.as_str(),
        forecast.verdict.as_str(),
    ))
}

/// Findings of one object together, the worst of each first, and the object with the worst.
fn groups(findings: &[Finding]) -> Vec<Vec<&Finding>> {
    let mut groups: Vec<Vec<&Finding>> = Vec::new();
    for finding in findings {
        match groups
            .last_mut()
            .filter(|group| group.last().is_some_and(|last| last.object == finding.object))
        {
            Some(group) => group.push(finding),
            None => groups.push(vec![finding]),
        }
    }
    for group in &mut groups {
        group.sort_by_key(|finding| finding.severity);
    }
    groups.sort_by_key(|group| group.first().map(|finding| finding.severity));
    groups
}

fn object(finding: &Finding) -> String {
    finding
        .object
        .as_ref()
        .map_or_else(|| "app".to_owned(), |object| line(&object_name(object)))
}

/// An object as AL names it.
pub(super) fn object_name(object: &ObjectRef) -> String {
    let id = match object.id {
        0 => String::new(),
        id => format!(" {id}"),
    };
    let namespace = match &*object.namespace {
        "" => String::new(),
        namespace => format!(" of {namespace}"),
    };
    format!("{}{id} \"{}\"{namespace}", object.kind, object.name)
}

/// What a finding is about, what it was and is, and what that means.
pub(super) fn sentence(finding: &Finding) -> String {
    let part = finding.member.as_ref().map(|member| match member.id {
        Some(id) => format!("{} {id} \"{}\": ", member.kind, member.name),
        None => format!("{} \"{}\": ", member.kind, member.name),
    });
    let change = match (finding.before.as_deref(), finding.after.as_deref()) {
        (Some(before), Some(after)) => format!(" ({before} -> {after})"),
        (Some(only), None) | (None, Some(only)) => format!(" ({only})"),
        (None, None) => String::new(),
    };
    format!("{}{}{change}", part.unwrap_or_default(), finding.message)
}

fn row(finding: &Finding) -> String {
    let rule = finding.rule.map(|rule| format!("{rule}, ")).unwrap_or_default();
    line(&format!(
        "    {:<11} {:<24} {} [{rule}{}]",
        finding.severity.as_str(),
        finding.code,
        sentence(finding),
        finding.evidence.as_str()
    ))
}

/// A text that stays on its line: names are other people's.
fn line(text: &str) -> String {
    cell(&json!(text)).replace(['\n', '\t'], " ")
}

fn count(findings: &[Finding]) -> String {
    let of = |severity| {
        findings
            .iter()
            .filter(|finding| finding.severity == severity)
            .count()
    };
    let counted = [
        Severity::Refused,
        Severity::Undecided,
        Severity::Data,
        Severity::Environment,
        Severity::Meaning,
        Severity::Breaking,
        Severity::Note,
    ];
    let counted = counted.map(|severity| (severity, of(severity)));
    let parts: Vec<String> = counted
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(severity, count)| format!("{count} {}", severity.as_str()))
        .collect();
    match findings.len() {
        0 => "Nothing was found".to_owned(),
        1 => format!("1 finding: {}", parts.join(", ")),
        all => format!("{all} findings: {}", parts.join(", ")),
    }
}
