//! Agents at work: they wait for operations, carry them out, and say how they ended.

use crate::{
    Place, enrolled, guid,
    journal::{Former, Given, Journal},
    link::Link,
    now,
    set::{Environment, named, report},
};
use anyhow::Context;
use hyper::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    collections::HashSet,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::Notify,
    task::JoinSet,
};

#[derive(clap::Args)]
pub struct Options {
    #[command(flatten)]
    place: Place,
    /// The first agent of this process
    #[arg(long, default_value_t = 0)]
    first: usize,
    /// How many agents this process has
    #[arg(long, default_value_t = 1)]
    count: usize,
    /// Operations that an agent carries out at the same time
    #[arg(long, default_value_t = 16)]
    parallel: usize,
    /// How long an installation takes, in milliseconds
    #[arg(long, default_value_t = 20)]
    install: u64,
    /// One in so many operations is renewed, with its progress
    #[arg(long, default_value_t = 5)]
    renew: u64,
    /// Apps in each environment
    #[arg(long, default_value_t = 5)]
    apps: usize,
    /// The journal
    #[arg(long)]
    journal: PathBuf,
    #[command(flatten)]
    installed: Installed,
}

/// What is installed when the first process begins, for those that come after it and report it.
#[derive(clap::Args)]
struct Installed {
    /// Environments of each agent
    #[arg(long)]
    environments: usize,
    /// So many of them have had their hotfix
    #[arg(long, default_value_t = 0)]
    hotfixed: usize,
    /// Version of the app before a hotfix
    #[arg(long)]
    source: String,
    /// Version of the app after it
    #[arg(long)]
    target: String,
    /// One in so many environments has another app in the version `other`; no environment has when it is 0
    #[arg(long, default_value_t = 0)]
    each: usize,
    #[arg(long, default_value = "1.0.0.0")]
    other: String,
}

/// How long a claim waits, in seconds.
const WAIT: u32 = 30;

struct Agent {
    number: usize,
    link: Link,
    journal: Arc<Journal>,
    options: Arc<Options>,
    running: Mutex<HashSet<String>>,
    ended: Notify,
}

#[derive(Deserialize)]
struct Claim {
    operations: Vec<Claimed>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Claimed {
    operation_id: String,
    lease_id: String,
    environment: Name,
    source_version: String,
    target_version: String,
}

#[derive(Deserialize)]
struct Name {
    name: String,
}

pub async fn run(options: Options) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let (journal, former) = Journal::open(&options.journal)?;
    let (journal, options, former) = (Arc::new(journal), Arc::new(options), former.map(Arc::new));
    let mut agents = JoinSet::new();
    for (number, enrolled) in enrolled(&options.place.agents)?
        .into_iter()
        .enumerate()
        .skip(options.first)
    {
        if number == options.first + options.count {
            break;
        }
        let agent = Arc::new(Agent {
            number,
            link: Link::new(&options.place.servers, number, enrolled.token, Some(guid()?)),
            journal: Arc::clone(&journal),
            options: Arc::clone(&options),
            running: Mutex::default(),
            ended: Notify::new(),
        });
        agents.spawn(agent.work(former.clone()));
    }
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        Some(failed) = agents.join_next() => failed?.context("an agent ended"),
    }
}

impl Agent {
    async fn work(self: Arc<Self>, former: Option<Arc<Former>>) -> anyhow::Result<()> {
        let mut operations = JoinSet::new();
        if let Some(former) = former {
            self.go_on_with(&former, &mut operations).await?;
        }
        loop {
            while let Some(ended) = operations.try_join_next() {
                ended??;
            }
            let free = self.options.parallel.saturating_sub(self.holding().len());
            if free == 0 {
                self.ended.notified().await;
                continue;
            }
            let claim = self.claim(free, WAIT).await?;
            self.take_on(claim, &mut operations)?;
        }
    }

    /// What a former process left is gone on with where it is still held. Then it is reported what is installed, as there
    /// may have been more that the process was never told of, because it was killed before it could read the answer.
    async fn go_on_with(
        self: &Arc<Self>,
        former: &Former,
        operations: &mut JoinSet<anyhow::Result<()>>,
    ) -> anyhow::Result<()> {
        let open: Vec<_> = former
            .open
            .iter()
            .filter(|given| given.environment.agent == self.number)
            .cloned()
            .collect();
        self.lock().extend(open.iter().map(|given| given.id.clone()));
        let claim = self.claim(0, 0).await?;
        let mut busy: HashSet<_> = open.iter().map(|given| given.environment).collect();
        for given in open {
            let lost = !self
                .say(&given, "renew", &json!({ "leaseId": given.lease }))
                .await?;
            operations.spawn(Arc::clone(self).see_through(given, lost));
        }
        for given in self.take_on(claim, operations)? {
            busy.insert(given);
        }
        self.report_all(former, &busy).await
    }

    async fn report_all(&self, former: &Former, busy: &HashSet<Environment>) -> anyhow::Result<()> {
        let all = (0..self.options.installed.environments).map(|number| Environment {
            agent: self.number,
            number,
        });
        let (unread, told): (Vec<_>, Vec<_>) = all.partition(|one| busy.contains(one));
        let told: Vec<_> = told
            .into_iter()
            .map(|one| self.found(one, former.begun.contains(&one)))
            .collect();
        let unread: Vec<_> = unread.into_iter().map(named).collect();
        self.send_inventory(&Method::PUT, json!({ "environments": told, "unread": unread }))
            .await
    }

    /// What an agent finds there, when it looks.
    fn found(&self, environment: Environment, has_begun: bool) -> Value {
        let installed = &self.options.installed;
        let has_hotfix = has_begun || environment.number < installed.hotfixed;
        let version = if has_hotfix {
            &installed.target
        } else {
            &installed.source
        };
        let differs = installed.each > 0 && environment.number.is_multiple_of(installed.each);
        let other = if differs { &installed.other } else { "1.0.0.0" };
        report(environment, self.options.apps, version, other)
    }

    fn take_on(
        self: &Arc<Self>,
        claim: Claim,
        operations: &mut JoinSet<anyhow::Result<()>>,
    ) -> anyhow::Result<Vec<Environment>> {
        let mut taken = Vec::new();
        for claimed in claim.operations {
            if !self.lock().insert(claimed.operation_id.clone()) {
                continue;
            }
            let number = claimed
                .environment
                .name
                .rsplit('-')
                .next()
                .unwrap_or_default()
                .parse()?;
            let given = Given {
                id: claimed.operation_id,
                lease: claimed.lease_id,
                environment: Environment {
                    agent: self.number,
                    number,
                },
                source: claimed.source_version,
                target: claimed.target_version,
                begun: None,
            };
            self.journal.given(&given)?;
            taken.push(given.environment);
            operations.spawn(Arc::clone(self).see_through(given, false));
        }
        Ok(taken)
    }

    async fn claim(&self, max: usize, wait: u32) -> anyhow::Result<Claim> {
        let body = json!({ "max": max, "waitSeconds": wait, "holding": self.holding() });
        let answer = self
            .link
            .ask(
                &Method::POST,
                "/agent/v1/claim",
                serde_json::to_vec(&body)?.into(),
            )
            .await?;
        Ok(serde_json::from_slice(&answer)?)
    }

    fn holding(&self) -> Vec<String> {
        self.lock().iter().cloned().collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn see_through(self: Arc<Self>, given: Given, lost: bool) -> anyhow::Result<()> {
        let how = self.carry_out(&given, lost).await?;
        self.journal.ended(&given, &how)?;
        self.lock().remove(&given.id);
        self.ended.notify_one();
        Ok(())
    }

    /// Installs, unless that has begun, and reports; how it ended.
    async fn carry_out(&self, given: &Given, lost: bool) -> anyhow::Result<String> {
        let begun = match given.begun {
            None if lost => return self.tell_installed(given, false).await,
            None => self.journal.begun(given)?,
            Some(begun) => begun,
        };
        let left = begun + i64::try_from(self.options.install)? * 1_000 - now();
        tokio::time::sleep(Duration::from_micros(left.try_into().unwrap_or_default())).await;
        // What is not held may have ended as was reported, with the answer lost; the same may be said again.
        if self.ends(given, !lost).await? {
            return Ok("Succeeded".into());
        }
        self.tell_installed(given, true).await
    }

    /// Says that it has succeeded; false if it is not held any more.
    async fn ends(&self, given: &Given, renews: bool) -> anyhow::Result<bool> {
        if renews && self.options.renew > 0 && given.environment.number as u64 % self.options.renew == 0 {
            let progress = json!({ "percent": 50, "step": "Install", "text": "Half of it is done." });
            let renewal = json!({ "leaseId": given.lease, "progress": progress });
            if !self.say(given, "renew", &renewal).await? {
                return Ok(false);
            }
        }
        let finish = json!({
            "leaseId": given.lease,
            "status": "Succeeded",
            "installedVersion": given.target,
        });
        self.say(given, "finish", &finish).await
    }

    async fn say(&self, given: &Given, what: &str, body: &Value) -> anyhow::Result<bool> {
        let path = format!("/agent/v1/operations/{}/{what}", given.id);
        let (status, answer) = self
            .link
            .send(&Method::POST, &path, serde_json::to_vec(body)?.into())
            .await?;
        match status {
            StatusCode::OK => Ok(true),
            StatusCode::CONFLICT => Ok(false),
            _ => anyhow::bail!("{path}: {status} {}", String::from_utf8_lossy(&answer)),
        }
    }

    /// Nobody knows how it ended but who looks: the environment waits for this.
    async fn tell_installed(&self, given: &Given, has_begun: bool) -> anyhow::Result<String> {
        let environment = self.found(given.environment, has_begun);
        self.send_inventory(&Method::PATCH, json!({ "environments": [environment] }))
            .await?;
        Ok("Lost".into())
    }

    async fn send_inventory(&self, method: &Method, mut inventory: Value) -> anyhow::Result<()> {
        loop {
            inventory["sequence"] = now().into();
            let body = serde_json::to_vec(&inventory)?;
            let (status, answer) = self.link.send(method, "/agent/v1/inventory", body.into()).await?;
            match status {
                StatusCode::OK => return Ok(()),
                // Another report of this agent came before.
                StatusCode::CONFLICT => {}
                _ => anyhow::bail!("{status} {}", String::from_utf8_lossy(&answer)),
            }
        }
    }
}
