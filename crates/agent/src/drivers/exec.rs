//! `exec`: a command on this machine brings the version in, and another one tells what is installed.
//!
//! It is how a Business Central server is served, with the scripts in `contrib/powershell`. What runs is written in the
//! agent's configuration and nowhere else: no word of the service becomes a program, an argument or a part of a path.
//! The facts travel as variables `FAME_*` and as a JSON file, and no shell is between (`docs/agents/exec.md`).

mod command;
mod group;
mod inventory;
mod output;
mod settings;

pub use settings::{CommandLine, Settings, VariableName};

use super::watch::arrived;
use crate::{
    cause::{Again, Said, Target, Verdict, classify},
    driver::{Deployed, Driver, Finding, Found, InstalledApp, Mark, Weight, Work, Workplace},
    failure::Failure,
};
use command::{Ended, Running};
use data_encoding::HEXLOWER;
use domain::operation::{FailureCause, OperationKind};
use futures::future::BoxFuture;
use group::Process;
use output::{Heard, Line};
use serde_json::{Map, Value, json};
use std::{path::Path, time::Duration};
use wire::agent::EnvironmentName;

/// What a command ends with when there was nothing to do.
const SKIPPED: i32 = 3;

/// Marked before the command is started.
const RUN: &str = "Run";
/// Marked when it has started, with what it is found again by.
const STARTED: &str = "Started";
/// Marked when it has ended, however it did.
const ENDED: &str = "Ended";

/// An environment that is reached by commands.
pub struct Exec {
    settings: Settings,
    environment: EnvironmentName,
}

impl Exec {
    /// The environment of that name, reached by the commands of these settings.
    #[must_use]
    pub fn new(settings: Settings, environment: EnvironmentName) -> Self {
        Self {
            settings,
            environment,
        }
    }

    async fn deploy(&self, work: &Work, at: &dyn Workplace) -> Deployed {
        if let Some(unclear) = self.outlive_earlier_run(at).await {
            return unclear;
        }
        loop {
            let running = match self.start(work, at).await {
                Ok(running) => running,
                Err(failure) => return Deployed::Failed(failure),
            };
            let (verdict, failure) = match self.watch(running, at).await {
                Ok(deployed) => return deployed,
                Err(failed) => failed,
            };
            if let Err(ended) = self.wait_to_repeat(verdict, failure, work, at).await {
                return ended;
            }
        }
    }

    /// Waits until the command may be started once more. What failed has ended, with all that it had started.
    async fn wait_to_repeat(
        &self,
        verdict: Verdict,
        failure: Failure,
        work: &Work,
        at: &dyn Workplace,
    ) -> Result<(), Deployed> {
        if !self.settings.reenterable {
            return Err(Deployed::Failed(failure));
        }
        let tries = at.marks().iter().filter(|mark| mark.step == RUN).count();
        self.settings.repeats.wait(verdict, &failure, tries, at).await?;
        match self.inventory().await {
            Ok(found) => {
                arrived(found.app(work.app_id).map(|app| app.version), work.target).map_or(Ok(()), Err)
            }
            Err(_) => Err(Deployed::Failed(failure)),
        }
    }

    /// Waits until the command that an earlier process of the agent started has ended. Nobody knows how it ended: only a
    /// command that goes on from what it finds may be started again.
    async fn outlive_earlier_run(&self, at: &dyn Workplace) -> Option<Deployed> {
        let marks = at.marks();
        let last = marks.last().filter(|mark| mark.step != ENDED)?;
        if let Some(process) = Process::of_mark(last)
            && !process.ends_within(self.settings.time_limit, at).await
        {
            return Some(Deployed::Unclear(Failure::new(
                FailureCause::TimeOut,
                format!(
                    "The command that was started before the agent stopped, process {process}, still runs."
                ),
            )));
        }
        if self.settings.reenterable {
            return None;
        }
        Some(Deployed::Unclear(Failure::other(
            "The agent stopped while the command ran, so nobody knows how it ended. It is not started a second time, \
             because the configuration does not say that it is reenterable.",
        )))
    }

    async fn start(&self, work: &Work, at: &dyn Workplace) -> Result<Running, Failure> {
        let package = match work.target {
            Some(_) => Some(at.package().await?),
            None => None,
        };
        let facts = deploy_facts(work, package);
        let mut variables = variables_of(&facts);
        if let Some(package) = package {
            let file = package.with_file_name("facts.json");
            write_facts(&file, &facts).await?;
            variables.push(("FAME_FACTS".into(), file.display().to_string()));
        }
        at.may_begin()?;
        at.mark(RUN, json!({"program": self.settings.deploy.program()}))
            .await?;
        let running = Running::start(&self.settings, &self.settings.deploy, &variables)?;
        if let Err(failure) = at.mark(STARTED, running.process().facts()).await {
            // It runs already. What is lost is only that another process of the agent would find it again.
            tracing::warn!(%failure, "the started command could not be written into the journal");
        }
        Ok(running)
    }

    async fn watch(&self, running: Running, at: &dyn Workplace) -> Result<Deployed, (Verdict, Failure)> {
        let heard = Heard::default();
        let tell = |line: &Line<'_>| {
            let (percent, step) = heard.step();
            match line {
                Line::Progress { text, .. } | Line::Text(text) => at.progress(percent, &step, text),
                Line::Failure { .. } => {}
            }
        };
        let ended = running.listen(&heard, &tell, self.settings.time_limit).await;
        if let Err(failure) = at.mark(ENDED, json!({"how": ended.to_string()})).await {
            tracing::warn!(%failure, "the end of the command could not be written into the journal");
        }
        judge(&ended, &heard)
    }
}

/// What came of a command that ended, or was ended.
///
/// # Errors
/// It failed, and whether starting it again can help.
fn judge(ended: &Ended, heard: &Heard) -> Result<Deployed, (Verdict, Failure)> {
    match ended {
        Ended::Exited(0) => Ok(Deployed::Done),
        Ended::Exited(SKIPPED) => Ok(Deployed::Skipped(heard.last_line())),
        Ended::Exited(_) => Err(failure_of(ended, heard)),
        Ended::OutOfTime(_) => Ok(Deployed::Unclear(Failure::new(
            FailureCause::TimeOut,
            heard.after(&ended.to_string()),
        ))),
        Ended::Killed(_) | Ended::Lost(_) => Ok(Deployed::Unclear(failure_of(ended, heard).1)),
    }
}

/// The failure that the command itself named, which is its last word, or else the one that its text is known for.
fn failure_of(ended: &Ended, heard: &Heard) -> (Verdict, Failure) {
    let text = heard.after(&ended.to_string());
    if let Some(cause) = heard.named_cause() {
        let verdict = Verdict {
            cause,
            hint: None,
            again: Again::Never,
        };
        return (verdict, verdict.failure(text));
    }
    let said = Said {
        by: Target::Exec,
        to_change: true,
        status: None,
        text: &heard.text(),
        app: None,
    };
    let verdict = classify(&said);
    (verdict, verdict.failure(text))
}

impl Driver for Exec {
    fn inventory(&self) -> BoxFuture<'_, Result<Found, Failure>> {
        Box::pin(async {
            let facts = place_facts("inventory", &self.environment);
            let running = Running::start(&self.settings, &self.settings.inventory, &variables_of(&facts))?;
            let heard = Heard::default();
            let (ended, printed) = running
                .collect(&heard, self.settings.inventory_time_limit)
                .await?;
            match ended {
                Ended::Exited(0) => inventory::read(&printed),
                Ended::OutOfTime(_) => Err(Failure::new(
                    FailureCause::TimeOut,
                    heard.after(&ended.to_string()),
                )),
                _ => Err(failure_of(&ended, &heard).1),
            }
        })
    }

    fn check(&self) -> BoxFuture<'_, Vec<Finding>> {
        Box::pin(async {
            let mut findings: Vec<Finding> = [&self.settings.deploy, &self.settings.inventory]
                .into_iter()
                .filter_map(|command| command.problem())
                .map(|text| Finding {
                    weight: Weight::Problem,
                    text,
                })
                .collect();
            if findings.is_empty() {
                findings.push(self.try_inventory().await);
            }
            if !self.settings.reenterable {
                findings.push(Finding {
                    weight: Weight::Warning,
                    text: "The command is not said to be reenterable: after the agent was ended in the middle, it is \
                           not started again, and a person has to look."
                        .into(),
                });
            }
            findings
        })
    }

    fn can(&self, kind: OperationKind) -> bool {
        self.settings.kinds.contains(&kind)
    }

    fn needs_package(&self, _: &Work, _: Option<&InstalledApp>) -> bool {
        true
    }

    fn deploy<'d>(&'d self, work: &'d Work, _: &'d Found, at: &'d dyn Workplace) -> BoxFuture<'d, Deployed> {
        Box::pin(self.deploy(work, at))
    }
}

impl Exec {
    async fn try_inventory(&self) -> Finding {
        match self.inventory().await {
            Ok(found) => Finding {
                weight: Weight::Good,
                text: format!(
                    "The inventory command tells of {} installed apps.",
                    found.apps.len()
                ),
            },
            Err(failure) => Finding {
                weight: Weight::Problem,
                text: format!("The inventory command does not tell what is installed: {failure}"),
            },
        }
    }
}

/// What a command is told of where it works.
fn place_facts(action: &str, environment: &EnvironmentName) -> Map<String, Value> {
    let facts = json!({
        "action": action,
        "aadTenantId": environment.aad_tenant_id,
        "applicationFamily": environment.application_family,
        "environmentName": environment.name,
    });
    object(facts)
}

/// What a command is told of what it shall do.
fn deploy_facts(work: &Work, package: Option<&Path>) -> Map<String, Value> {
    let facts = json!({
        "action": "deploy",
        "operationId": work.operation_id.0,
        "operationKind": work.kind.as_str(),
        "aadTenantId": work.aad_tenant_id,
        "applicationFamily": work.application_family,
        "environmentName": work.environment_name,
        "environmentType": work.environment_kind.as_str(),
        "countryCode": work.country_code.as_str(),
        "appId": work.app_id.0,
        "appName": work.app_name.as_deref().unwrap_or(""),
        "appPublisher": work.app_publisher.as_deref().unwrap_or(""),
        "sourceVersion": work.source.map(|version| version.to_string()).unwrap_or_default(),
        "targetVersion": work.target_text(),
        "syncMode": "Sync",
        "deleteData": work.delete_data,
        "languageId": work.language_id.as_deref().unwrap_or(""),
    });
    let mut facts = object(facts);
    if let Some(package) = package {
        facts.extend(object(json!({
            "package": package.to_string_lossy(),
            "packageSha256": HEXLOWER.encode(&work.package_sha256),
            "packageSize": work.package_size,
        })));
    }
    facts
}

fn object(facts: Value) -> Map<String, Value> {
    match facts {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

/// The same facts as variables: `appName` is `FAME_APP_NAME`.
fn variables_of(facts: &Map<String, Value>) -> Vec<(String, String)> {
    let variable = |(name, value): (&String, &Value)| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        (variable_name(name), text)
    };
    facts.iter().map(variable).collect()
}

fn variable_name(fact: &str) -> String {
    let mut name = "FAME_".to_owned();
    for letter in fact.chars() {
        if letter.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

async fn write_facts(file: &Path, facts: &Map<String, Value>) -> Result<(), Failure> {
    let text = serde_json::to_vec_pretty(facts).unwrap_or_default();
    tokio::fs::write(file, text)
        .await
        .map_err(|error| Failure::other(format!("{} could not be written: {error}", file.display())))
}

/// Says "process 4711" for what an earlier process of the agent started, and waits for its end.
impl Process {
    fn of_mark(mark: &Mark) -> Option<Self> {
        (mark.step == STARTED).then(|| Self::of_facts(&mark.facts))?
    }

    async fn ends_within(&self, limit: Duration, at: &dyn Workplace) -> bool {
        let until = tokio::time::Instant::now() + limit;
        while self.runs() {
            if tokio::time::Instant::now() >= until {
                return false;
            }
            at.progress(
                None,
                "Waiting",
                "A command that was started before the agent stopped still runs.",
            );
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        true
    }
}
