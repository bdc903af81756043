//! What agents report, as full sets or as changes.

use crate::{
    Place, enrolled, guid,
    link::Link,
    now, print,
    set::{Environment, report},
};
use hyper::Method;
use serde::Deserialize;
use std::{sync::Arc, time::Instant};
use tokio::{sync::Semaphore, task::JoinSet};

#[derive(clap::Args)]
pub struct Options {
    #[command(flatten)]
    place: Place,
    /// Environments of each agent
    #[arg(long)]
    environments: usize,
    /// Apps in each environment
    #[arg(long, default_value_t = 5)]
    apps: usize,
    /// Version of the app that hotfixes are for
    #[arg(long)]
    version: String,
    /// One in so many environments has another app in the version `other`; no environment has when it is 0
    #[arg(long, default_value_t = 0)]
    each: usize,
    #[arg(long, default_value = "1.0.0.0")]
    other: String,
    /// Only what has changed
    #[arg(long)]
    changes: bool,
    /// Agents that report at the same time
    #[arg(long, default_value_t = 12)]
    parallel: usize,
}

/// What the service answers, counted together.
#[derive(Default, Deserialize)]
struct Taken {
    added: u64,
    changed: u64,
    unchanged: u64,
    missing: u64,
    refused: Vec<serde_json::Value>,
}

struct Reported {
    taken: Taken,
    environments: usize,
    bytes: usize,
    seconds: f64,
}

pub async fn run(options: Options) -> anyhow::Result<()> {
    let agents = enrolled(&options.place.agents)?;
    let places = Arc::new(Semaphore::new(options.parallel));
    let options = Arc::new(options);
    let began = Instant::now();
    let mut reports = JoinSet::new();
    for (number, agent) in agents.into_iter().enumerate() {
        let (options, places) = (Arc::clone(&options), Arc::clone(&places));
        reports.spawn(async move {
            let _place = places.acquire_owned().await?;
            let link = Link::new(&options.place.servers, number, agent.token, Some(guid()?));
            send(&options, number, &link).await
        });
    }
    let mut all: Vec<Reported> = Vec::new();
    while let Some(reported) = reports.join_next().await {
        all.push(reported??);
    }
    let sum = |count: fn(&Reported) -> u64| all.iter().map(count).sum::<u64>();
    print(&serde_json::json!({
        "seconds": began.elapsed().as_secs_f64(),
        "slowest": all.iter().map(|one| one.seconds).fold(0.0, f64::max),
        "environments": sum(|one| one.environments as u64),
        "bytes": sum(|one| one.bytes as u64),
        "added": sum(|one| one.taken.added),
        "changed": sum(|one| one.taken.changed),
        "unchanged": sum(|one| one.taken.unchanged),
        "missing": sum(|one| one.taken.missing),
        "refused": sum(|one| one.taken.refused.len() as u64),
    }))
}

async fn send(options: &Options, agent: usize, link: &Link) -> anyhow::Result<Reported> {
    let differs = |number: usize| options.each > 0 && number.is_multiple_of(options.each);
    let told: Vec<_> = (0..options.environments)
        .filter(|&number| !options.changes || differs(number))
        .map(|number| {
            let other = if differs(number) {
                &options.other
            } else {
                "1.0.0.0"
            };
            report(
                Environment { agent, number },
                options.apps,
                &options.version,
                other,
            )
        })
        .collect();
    let environments = told.len();
    let body = serde_json::to_vec(&serde_json::json!({ "sequence": now(), "environments": told }))?;
    drop(told);
    let bytes = body.len();
    let method = if options.changes {
        Method::PATCH
    } else {
        Method::PUT
    };
    let began = Instant::now();
    let answer = link.ask(&method, "/agent/v1/inventory", body.into()).await?;
    Ok(Reported {
        taken: serde_json::from_slice(&answer)?,
        environments,
        bytes,
        seconds: began.elapsed().as_secs_f64(),
    })
}
