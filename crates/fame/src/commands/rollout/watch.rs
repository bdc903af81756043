//! `fame rollout watch`: how a rollout goes that a service drives, in a table that changes, or a line for each change where
//! nobody is at a terminal; and what it came to.

use super::{service::RolloutArg, story::of_outcome};
use crate::{
    args::{brief, duration},
    exit::Exit,
    failure::Failure,
    output::{Column, Printer},
    session::Session,
};
use clap::Args;
use client::Pauses;
use indicatif::ProgressBar;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// `fame rollout watch`
#[derive(Args, Debug)]
pub(crate) struct WatchArgs {
    #[command(flatten)]
    rollout: RolloutArg,
    /// How long to wait at most; after that, exit code 13
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = duration)]
    timeout: Duration,
    /// How long to pause between looks at first; pauses grow to twelve times that
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = brief)]
    poll_interval: Duration,
}

/// The columns of a rollout's waves.
pub(super) const WAVES: &[Column] = &[
    ("WAVE", "name"),
    ("STATE", "state"),
    ("ENVIRONMENTS", "environments"),
    ("WAITING", "waiting"),
    ("SCHEDULED", "scheduled"),
    ("RUNNING", "running"),
    ("SUCCEEDED", "succeeded"),
    ("FAILED", "failed"),
    ("OTHERWISE", "otherwise"),
];

/// The waves of a rollout, one a row, with how many environments are where.
pub(super) fn waves(rollout: &Value) -> Vec<Value> {
    let waves = rollout["waves"].as_array().into_iter().flatten();
    let row = |wave: &Value| {
        let count = |states: &[&str]| -> u64 {
            let counts = states
                .iter()
                .filter_map(|state| wave.get("counts")?.get(*state)?.as_u64());
            counts.sum()
        };
        let (waiting, open) = (count(&["taken", "blocked"]), count(&["scheduled", "running"]));
        let succeeded = count(&["updated", "alreadyThere"]);
        let failed = count(&["failed", "unknown"]);
        let otherwise = count(&["skipped", "refused", "canceled", "expired", "left"]);
        json!({
            "name": wave["name"], "state": wave["state"], "environments": waiting + open + succeeded + failed + otherwise,
            "waiting": waiting, "scheduled": count(&["scheduled"]), "running": count(&["running"]),
            "succeeded": succeeded, "failed": failed, "otherwise": otherwise,
        })
    };
    waves.map(row).collect()
}

/// What failed, by cause.
pub(super) fn failures(rollout: &Value) -> Vec<String> {
    let failures = rollout["failures"].as_array().into_iter().flatten();
    let line = |failure: &Value| {
        let text = failure["text"].as_str().unwrap_or_default();
        format!(
            "{} times: {text}",
            failure["environments"].as_u64().unwrap_or_default()
        )
    };
    failures.map(line).collect()
}

/// How a rollout goes, in a line.
fn in_a_line(rollout: &Value) -> String {
    let rows = waves(rollout);
    let begun = rows.iter().filter(|row| row["state"] != "Waiting");
    let wave = |row: &Value| {
        let number = |name: &str| row[name].as_u64().unwrap_or_default();
        format!(
            "{}, {}: {} of {} succeeded, {} failed, {} under way",
            row["name"].as_str().unwrap_or_default(),
            row["state"].as_str().unwrap_or_default(),
            number("succeeded"),
            number("environments"),
            number("failed"),
            number("waiting") + number("scheduled") + number("running")
        )
    };
    let waves: Vec<String> = begun.map(wave).collect();
    let state = rollout["state"].as_str().unwrap_or_default();
    let why = rollout["reason"]
        .as_str()
        .map(|why| format!(" ({why})"))
        .unwrap_or_default();
    match waves.is_empty() {
        true => format!("{state}{why}."),
        false => format!("{state}{why}; {}.", waves.join("; ")),
    }
}

/// What stands for a rollout that nobody has to wait for any longer.
fn exit(rollout: &Value) -> Option<Exit> {
    match rollout["state"].as_str()? {
        "Completed" => {
            let outcome = rollout["outcome"].as_str().and_then(|word| word.parse().ok());
            Some(of_outcome(outcome))
        }
        "Aborted" => Some(Exit::HotfixCanceled),
        "Paused" => Some(Exit::Partial),
        _ => None,
    }
}

impl WatchArgs {
    /// Watches until the rollout is over or paused, or it is too late.
    ///
    /// # Errors
    /// What the service answers, unless it cannot for now.
    pub(super) async fn run(&self, session: &Session) -> Result<Exit, Failure> {
        let app = session.app(&self.rollout.app).await?;
        let until = Instant::now().checked_add(self.timeout);
        let mut pauses = Pauses::new(self.poll_interval);
        let mut view = View::new(session.printer);
        let mut last = None;
        loop {
            match session
                .client
                .get_rollout(app, self.rollout.id)
                .json()
                .await
                .map_err(Failure::from)
            {
                Ok(rollout) => {
                    view.show(&rollout);
                    if let Some(exit) = exit(&rollout) {
                        return view.end(&rollout).map(|()| exit);
                    }
                    last = Some(rollout);
                }
                Err(failure) if failure.exit() == Exit::Unavailable => {
                    session.printer.note(failure.to_string())
                }
                Err(failure) => return Err(failure),
            }
            let is_late = match until {
                Some(until) => timeout_at(until, pauses.pass()).await.is_err(),
                None => {
                    pauses.pass().await;
                    false
                }
            };
            if is_late {
                view.end(&last.unwrap_or_default())?;
                return Ok(Exit::WaitedTooLong);
            }
        }
    }
}

/// How it is shown.
struct View {
    printer: Printer,
    line: ProgressBar,
    told: String,
}

impl View {
    fn new(printer: Printer) -> Self {
        Self {
            printer,
            line: printer.line(),
            told: String::new(),
        }
    }

    fn show(&mut self, rollout: &Value) {
        let told = in_a_line(rollout);
        if !self.line.is_hidden() {
            let table = self.printer.live_table(&waves(rollout), WAVES);
            let failures: Vec<String> = failures(rollout).iter().map(|line| format!("{line}\n")).collect();
            self.line
                .set_message(format!("{table}{}{told}", failures.concat()));
        } else if told != self.told {
            self.printer.note(&told);
        }
        self.told = told;
    }

    /// Leaves what it came to.
    fn end(self, rollout: &Value) -> Result<(), Failure> {
        let is_shown = !self.line.is_hidden();
        self.line.finish_and_clear();
        match self.printer.is_json() {
            true => self.printer.record(rollout)?,
            false => self.printer.rows(&waves(rollout), WAVES)?,
        }
        for failure in failures(rollout) {
            self.printer.note(failure);
        }
        if is_shown {
            self.printer.note(&self.told);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rollout(state: &str) -> Value {
        json!({
            "state": state, "reason": null, "outcome": null,
            "waves": [
                {"name": "canary", "state": "Done", "counts": {"updated": 1, "alreadyThere": 1}},
                {"name": "rest", "state": "Active", "counts": {"taken": 3, "running": 2, "failed": 1, "unknown": 1, "left": 4}},
                {"name": "last", "state": "Waiting", "counts": {}},
            ],
            "failures": [{"text": "The field 'No.' cannot be removed.", "environments": 2}],
        })
    }

    #[test]
    fn a_line_has_the_waves_that_have_begun() {
        assert_eq!(
            in_a_line(&rollout("Active")),
            "Active; canary, Done: 2 of 2 succeeded, 0 failed, 0 under way; rest, Active: 0 of 11 succeeded, 2 failed, 5 under \
             way."
        );
        assert_eq!(
            in_a_line(&json!({"state": "AwaitingApproval"})),
            "AwaitingApproval."
        );
        assert_eq!(
            failures(&rollout("Active")),
            ["2 times: The field 'No.' cannot be removed."]
        );
    }

    #[test]
    fn the_exit_code_tells_how_it_ended() {
        for (state, outcome, code) in [
            ("Completed", "succeeded", Some(Exit::Done)),
            ("Completed", "withFailures", Some(Exit::HotfixFailed)),
            ("Completed", "nothingDone", Some(Exit::HotfixSkipped)),
            ("Aborted", "", Some(Exit::HotfixCanceled)),
            ("Paused", "", Some(Exit::Partial)),
            ("Active", "", None),
            ("AwaitingApproval", "", None),
        ] {
            let mut seen = rollout(state);
            seen["outcome"] = outcome.into();
            assert_eq!(exit(&seen), code, "{state} {outcome}");
        }
    }
}
