//! A rollout in words: what came about, how it goes, and what it came to.

use super::drive::{Drive, Ending};
use crate::{
    exit::Exit,
    failure::Failure,
    output::{Column, Printer},
};
use domain::rollout::{
    Counts, Definition, Happening, MemberState, Outcome, Reason, Rollout, State, WaveFacts, WaveState,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What an environment of a rollout is shown as.
pub(super) const COLUMNS: &[Column] = &[
    ("TENANT", "aadTenantId"),
    ("ENVIRONMENT", "name"),
    ("COUNTRY", "countryCode"),
    ("WAVE", "wave"),
    ("STATE", "state"),
    ("HOTFIX", "hotfixId"),
    ("REASON", "reason"),
];

fn name(definition: &Definition, wave: usize) -> &str {
    definition.waves.get(wave).map_or("?", |wave| wave.name.as_str())
}

/// What came about in a step.
pub(super) fn happening(happening: &Happening, definition: &Definition) -> String {
    match happening {
        Happening::WaveBegan(wave) => format!("Wave {} begins.", name(definition, *wave)),
        Happening::WaveAwaitsGate(wave) => {
            format!(
                "Wave {} has done what it was to; the way on is to be opened.",
                name(definition, *wave)
            )
        }
        Happening::WaveDone(wave) => format!("Wave {} is done.", name(definition, *wave)),
        Happening::Stopped { reason, waves } => match waves.as_slice() {
            [] => format!("Stopped: {}.", cause(*reason)),
            waves => {
                let names: Vec<&str> = waves.iter().map(|wave| name(definition, *wave)).collect();
                format!("Stopped by wave {}: {}.", names.join(", "), cause(*reason))
            }
        },
        Happening::ApproverGone => "Who approved it may not any more.".to_owned(),
        Happening::Completed(_) => "Nothing is left to do.".to_owned(),
    }
}

/// Why a rollout stopped, in words.
pub(super) fn cause(reason: Reason) -> &'static str {
    match reason {
        Reason::Requested => "somebody asked for it",
        Reason::StopRule => "too much failed",
        Reason::ProceedUnreachable => "what has to succeed before the next wave cannot any more",
        Reason::NothingTried => "nothing was tried in it",
        Reason::EmptyWave => "it found no environment, though some are left",
        Reason::TargetWithdrawn => "the version is not offered any more where something is left to do",
        Reason::ApproverGone => "who approved it may not any more",
        Reason::Rejected => "its approval was refused",
    }
}

/// How each wave that has begun goes.
pub(super) fn progress(rollout: &Rollout, waves: &[WaveFacts], definition: &Definition) -> String {
    let begun = rollout.waves.iter().zip(waves).enumerate();
    let begun = begun.filter(|(_, (progress, _))| progress.state != WaveState::Waiting);
    let lines = begun.map(|(wave, (progress, facts))| {
        format!(
            "{}, {}: {}",
            name(definition, wave),
            progress.state,
            counted(&facts.counts)
        )
    });
    let lines: Vec<String> = lines.collect();
    match lines.is_empty() {
        true => "No wave has begun.".to_owned(),
        false => lines.join("; ") + ".",
    }
}

/// How many are where, without those states in which none is.
fn counted(counts: &Counts) -> String {
    let some = MemberState::ALL.iter().filter(|state| counts[**state] > 0);
    let some = some.map(|state| format!("{} {}", counts[*state], lower(state.as_str())));
    let some: Vec<String> = some.collect();
    match some.is_empty() {
        true => "no environments".to_owned(),
        false => format!("{} of {}", some.join(", "), counts.members()),
    }
}

/// A word of the vocabulary as the JSON of counts has it.
fn lower(word: &str) -> String {
    let mut letters = word.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

/// Tells what a rollout that this machine drove came to.
///
/// # Errors
/// When it cannot be printed.
pub(super) fn tell(drive: &Drive<'_>, ending: Ending, is_late: bool) -> Result<Exit, Failure> {
    let printer = drive.remote.session.printer;
    let definition = &drive.file.definition;
    let Some(rollout) = &drive.ledger.rollout else {
        return Err(Failure::Unexpected("The journal holds no rollout.".to_owned()));
    };
    let rows: Vec<Value> = drive
        .ledger
        .members
        .iter()
        .map(|member| member.row(definition))
        .collect();
    let exit = exit(rollout, ending, is_late);
    if printer.is_json() {
        printer.record(&as_json(drive, rollout, &rows, exit))?;
    } else {
        printer.rows(&rows, COLUMNS)?;
    }
    for (text, count) in failures(&rows) {
        printer.note(format!("{count} times: {text}"));
    }
    printer.note(progress(rollout, &drive.ledger.waves(rollout), definition));
    conclude(printer, drive, rollout, ending);
    Ok(exit)
}

fn as_json(drive: &Drive<'_>, rollout: &Rollout, rows: &[Value], exit: Exit) -> Value {
    let definition = &drive.file.definition;
    let facts = drive.ledger.waves(rollout);
    let counts = |counts: &Counts| {
        let each = MemberState::ALL
            .iter()
            .map(|state| (lower(state.as_str()), counts[*state].into()));
        Value::Object(each.collect())
    };
    let waves = rollout
        .waves
        .iter()
        .zip(&facts)
        .enumerate()
        .map(|(wave, (progress, facts))| {
            json!({
                "name": name(definition, wave), "state": progress.state.as_str(),
                "stoppedBy": progress.stopped_by.map(Reason::as_str), "counts": counts(&facts.counts),
            })
        });
    let all = drive.ledger.members.iter().map(|member| (member.state, 1));
    json!({
        "name": definition.name, "targetAppVersion": definition.target.to_string(),
        "state": rollout.state.as_str(), "reason": rollout.reason.map(Reason::as_str),
        "outcome": rollout.outcome.map(Outcome::as_str), "counts": counts(&all.collect()),
        "waves": waves.collect::<Vec<_>>(), "environments": rows, "exitCode": exit.code(),
    })
}

/// What failed or was refused for the same cause, the most frequent first.
fn failures(rows: &[Value]) -> Vec<(String, usize)> {
    let mut causes: BTreeMap<&str, usize> = BTreeMap::new();
    for row in rows {
        let is_failure = matches!(row["state"].as_str(), Some("Failed" | "Unknown" | "Refused"));
        if let Some(text) = row["reason"].as_str().filter(|_| is_failure) {
            *causes.entry(text).or_default() += 1;
        }
    }
    let mut causes: Vec<(String, usize)> = causes
        .into_iter()
        .map(|(text, count)| (text.to_owned(), count))
        .collect();
    causes.sort_by(|(text, count), (other, others)| others.cmp(count).then(text.cmp(other)));
    causes
}

/// What is the case at the end, and how it goes on.
fn conclude(printer: Printer, drive: &Drive<'_>, rollout: &Rollout, ending: Ending) {
    let count = |state: MemberState| {
        drive
            .ledger
            .members
            .iter()
            .filter(|member| member.state == state)
            .count()
    };
    let (scheduled, running) = (count(MemberState::Scheduled), count(MemberState::Running));
    if ending == Ending::Interrupted {
        printer.note(format!(
            "Stopped driving: {scheduled} hotfixes stay scheduled there and {running} run. The same command goes on; with \
             --pause it calls off what has not started."
        ));
        return;
    }
    let gate = rollout
        .waves
        .iter()
        .position(|wave| wave.state == WaveState::AwaitingGate);
    match (rollout.state, rollout.reason, gate) {
        (State::Paused, reason, _) => printer.note(format!(
            "Paused: {}. --resume goes on, with --retry the failed ones are tried again, and --abort gives it up.",
            reason.map_or("no reason is known", cause)
        )),
        (State::Aborted, reason, _) => {
            printer.note(format!("Aborted: {}.", reason.map_or("no reason is known", cause)));
        }
        (State::Active, _, Some(wave)) => printer.note(format!(
            "Waits before the next wave: --advance '{}' opens the way.",
            name(&drive.file.definition, wave)
        )),
        _ => {}
    }
}

/// What the process ends with.
pub(super) fn exit(rollout: &Rollout, ending: Ending, is_late: bool) -> Exit {
    match (rollout.state, rollout.outcome) {
        (State::Completed, outcome) => of_outcome(outcome),
        (State::Aborted, _) if ending == Ending::Rests => Exit::HotfixCanceled,
        _ if is_late => Exit::WaitedTooLong,
        _ => Exit::Partial,
    }
}

/// What stands for an outcome.
pub(super) fn of_outcome(outcome: Option<Outcome>) -> Exit {
    match outcome {
        Some(Outcome::Succeeded) => Exit::Done,
        Some(Outcome::WithFailures) => Exit::HotfixFailed,
        Some(Outcome::NothingDone) | None => Exit::HotfixSkipped,
    }
}
