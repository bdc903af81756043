//! How what became of a release is told: the table, the JSON, the report and the exit code, all of them made of the same
//! [entries](super::entries).

use super::{
    TITLE,
    drive::{Became, Release},
    entries::{Ending, Entry, Kind, entries},
    plan::Step,
};
use crate::{
    commands::hotfixes::wait::worst,
    exit::Exit,
    failure::Failure,
    output::Column,
    reports::{self, Case, CaseResult, Report, ReportArgs, Suite},
};
use serde_json::{Map, Value, json};

const COLUMNS: &[Column] = &[
    ("APP", "name"),
    ("VERSION", "version"),
    ("COUNTRY", "country"),
    ("STEP", "step"),
    ("ENVIRONMENT", "environment"),
    ("RESULT", "result"),
    ("MESSAGE", "message"),
];

/// Prints what became of a release, or would; what the process ends with.
///
/// # Errors
/// When it cannot be written.
pub(super) fn tell(release: &Release<'_>, is_plan: bool, args: &ReportArgs) -> Result<Exit, Failure> {
    let printer = release.session.printer;
    let entries = entries(release, is_plan);
    let exit = exit(release, &entries, is_plan);
    if printer.is_json() {
        printer.record(&document(release, &entries, exit, is_plan))?;
    } else {
        let rows: Vec<Value> = entries.iter().map(|entry| row(release, entry)).collect();
        printer.rows(&rows, COLUMNS)?;
    }
    tell_failures(release, &entries);
    printer.note(summary(&entries, is_plan));
    match args.is_wanted(printer) {
        true => Ok(reports::write(
            &report(release, &entries),
            args,
            TITLE,
            exit,
            printer,
        )),
        false => Ok(exit),
    }
}

/// The exit code, as the table of the module says it.
fn exit(release: &Release<'_>, entries: &[Entry<'_>], is_plan: bool) -> Exit {
    let failed = || entries.iter().filter_map(|entry| entry.result.exit());
    if is_plan {
        return Exit::first_of(failed());
    }
    if release.goal.is_reached(&release.state) {
        return Exit::Done;
    }
    let first = || match Exit::first_of(failed()) {
        Exit::Done => Exit::Unexpected,
        exit => exit,
    };
    if !release.has_begun && failed().next().is_some() && release.is_hindered() {
        return first();
    }
    let is_only_hotfixes = entries.iter().all(|entry| match entry.result {
        Ending::Otherwise(..) => true,
        Ending::NotTried | Ending::Failed(_) | Ending::Planned => false,
        Ending::Done | Ending::Already | Ending::LeftOut(_) => true,
    });
    if is_only_hotfixes && failed().next().is_some() {
        return worst(failed());
    }
    let changed = |(step, became): (&Step, &Became)| {
        matches!(became, Became::Done) && !matches!(step, Step::Find(_) | Step::Wait(_))
    };
    // What stood before is no part of what this run did: run again, it would end the same.
    match release.became.iter().any(changed) {
        true => Exit::Partial,
        false => first(),
    }
}

/// The parts of an entry that the table and the JSON share.
fn row(release: &Release<'_>, entry: &Entry<'_>) -> Value {
    let message = entry.result.message();
    let first_line = message.as_deref().and_then(|text| text.lines().next());
    json!({
        "name": release.name(entry.item),
        "version": version(release, entry.item),
        "country": entry.country,
        "step": entry.kind.as_str(),
        "environment": entry.candidate.map(|candidate| candidate.place.environment.name.as_str()),
        "result": entry.result.as_str(),
        "message": first_line,
    })
}

fn version(release: &Release<'_>, item: usize) -> String {
    let item = release.goal.items.get(item);
    item.map(|item| item.version.to_string()).unwrap_or_default()
}

/// The document that `--json` promises.
fn document(release: &Release<'_>, entries: &[Entry<'_>], exit: Exit, is_plan: bool) -> Value {
    let package = |(package, item): (&crate::commands::versions::packages::Judged, &super::plan::Item)| {
        json!({
            "file": package.file.display().to_string(),
            "app": package.app.to_string(),
            "name": package.contents.manifest.as_ref().map(|manifest| manifest.name.as_str()),
            "version": package.version.to_string(),
            "sha256": package.sha256,
            "size": package.contents.size,
            "countries": item.countries,
        })
    };
    let packages: Vec<Value> = release
        .packages
        .iter()
        .zip(&release.goal.items)
        .map(package)
        .collect();
    let steps: Vec<Value> = entries.iter().map(|entry| step(release, entry)).collect();
    json!({
        "outcome": exit.name(),
        "exitCode": exit.code(),
        "plan": is_plan,
        "availability": release.goal.availability.as_str(),
        "packages": packages,
        "steps": steps,
    })
}

fn step(release: &Release<'_>, entry: &Entry<'_>) -> Value {
    let mut members = Map::new();
    let mut add = |name: &str, value: Value| {
        if !value.is_null() {
            members.insert(name.to_owned(), value);
        }
    };
    let app = release
        .goal
        .items
        .get(entry.item)
        .map(|item| item.app.to_string());
    add("step", entry.kind.as_str().into());
    add("app", app.into());
    add("name", release.name(entry.item).into());
    add("version", version(release, entry.item).into());
    add(
        "country",
        Some(entry.country).filter(|country| !country.is_empty()).into(),
    );
    if let Some(candidate) = entry.candidate {
        let environment = &candidate.place.environment;
        add(
            "environmentAadTenantId",
            environment.aad_tenant_id.to_string().into(),
        );
        add(
            "environmentApplicationFamily",
            environment.application_family.as_str().into(),
        );
        add("environmentName", environment.name.as_str().into());
        let hotfix = candidate.hotfix.as_ref();
        add("hotfix", hotfix.map_or(Value::Null, |row| row["id"].clone()));
        add("status", hotfix.map_or(Value::Null, |row| row["status"].clone()));
    }
    add("result", entry.result.as_str().into());
    add("seconds", entry.took.map(|took| took.as_secs_f64()).into());
    add("message", entry.result.message().into());
    match &entry.result {
        Ending::Failed(failure) => add("error", failure.facts(None)),
        Ending::Otherwise(exit, text) => add(
            "error",
            json!({ "code": exit.name(), "exitCode": exit.code(), "message": text }),
        ),
        _ => {}
    }
    members.into()
}

/// Tells what failed, and of many that failed for the same reason the first.
fn tell_failures(release: &Release<'_>, entries: &[Entry<'_>]) {
    let printer = release.session.printer;
    let mut causes: Vec<(String, &Entry<'_>, usize)> = Vec::new();
    for entry in entries {
        let cause = match &entry.result {
            Ending::Failed(failure) => {
                let text = failure.to_string();
                format!("{} {}", failure.code(), text.lines().next().unwrap_or_default())
            }
            Ending::Otherwise(_, text) => text.clone(),
            _ => continue,
        };
        match causes.iter_mut().find(|(known, ..)| *known == cause) {
            Some((_, _, count)) => *count += 1,
            None => causes.push((cause, entry, 1)),
        }
    }
    for (_, entry, count) in causes {
        let others = match count {
            1 => String::new(),
            count => format!(" (and {} more)", count - 1),
        };
        let about = format!("{}{others}", case_name(release, entry));
        match &entry.result {
            Ending::Failed(failure) => failure.tell(printer, Some(&about)),
            Ending::Otherwise(exit, text) => {
                let facts = || json!({ "code": exit.name(), "exitCode": exit.code(), "about": about, "message": text });
                printer.error_with_facts(&format!("{about}: {text}"), facts);
            }
            _ => {}
        }
    }
}

/// How many there are of each.
fn summary(entries: &[Entry<'_>], is_plan: bool) -> String {
    let count = |word: &str| {
        entries
            .iter()
            .filter(|entry| entry.result.as_str() == word)
            .count()
    };
    let words = [
        ("done", "done"),
        ("already", "so already"),
        ("planned", "to do"),
        ("failed", "failed"),
        ("notTried", "not tried"),
        ("leftOut", "left out"),
    ];
    let counted = words.into_iter().map(|(word, said)| (count(word), said));
    let parts: Vec<String> = counted
        .filter(|(count, _)| *count > 0)
        .map(|(count, said)| format!("{count} {said}"))
        .collect();
    match is_plan {
        true => format!("{}; nothing was changed.", parts.join(", ")),
        false => format!("{}.", parts.join(", ")),
    }
}

/// What reports call it.
fn case_name(release: &Release<'_>, entry: &Entry<'_>) -> String {
    let (country, version) = (entry.country, version(release, entry.item));
    match (entry.kind, entry.candidate) {
        (Kind::AddCountry, _) => format!("{country} country"),
        (Kind::Upload, _) => format!("{country} {version} upload"),
        (Kind::Offer, _) => format!("{country} {version} {}", release.goal.availability),
        (Kind::Hotfix, None) => format!("{version} hotfixes"),
        (Kind::Hotfix, Some(candidate)) => {
            let environment = &candidate.place.environment;
            let all = release.candidates.get(&entry.item).into_iter().flatten();
            let same = all.filter(|other| other.place.environment.name == environment.name);
            // Every customer has one that is called Production.
            match same.count() {
                0 | 1 => format!("{} hotfix", environment.name),
                _ => format!("{} ({}) hotfix", environment.name, environment.aad_tenant_id),
            }
        }
    }
}

/// The same for reports: a suite for each app.
fn report(release: &Release<'_>, entries: &[Entry<'_>]) -> Report {
    let mut suites: Vec<Suite> = Vec::new();
    for entry in entries {
        let name = release.name(entry.item);
        let case = Case {
            name: case_name(release, entry),
            classname: name.clone(),
            seconds: entry.took.map(|took| took.as_secs_f64()),
            result: case_result(&entry.result),
        };
        match suites.iter_mut().find(|suite| suite.name == name) {
            Some(suite) => suite.cases.push(case),
            None => suites.push(Suite {
                name,
                cases: vec![case],
            }),
        }
    }
    Report { suites }
}

fn case_result(result: &Ending<'_>) -> CaseResult {
    let skipped = |message: &str| CaseResult::Skipped {
        message: message.to_owned(),
    };
    match result {
        Ending::Done | Ending::Already => CaseResult::Passed,
        Ending::Planned => skipped("only planned"),
        Ending::NotTried => skipped("not tried, because something before it failed"),
        Ending::LeftOut(why) => skipped(why),
        Ending::Failed(failure) => CaseResult::of_failure(failure),
        Ending::Otherwise(Exit::HotfixSkipped, text) => skipped(text),
        Ending::Otherwise(exit, text) => CaseResult::Failed {
            code: exit.name().to_owned(),
            message: text.lines().next().unwrap_or_default().to_owned(),
            text: text.clone(),
        },
    }
}
