//! Agents by the dozen, and the vendor who gives them work: the load of the comparison `agents`.
//!
//! They speak the protocol as `fame agent` does, and keep a journal as it does; only the environments are made up. What
//! happened at the targets stands in these journals, so what the service says can be compared with something that it did
//! not say.

mod inventory;
mod journal;
mod link;
mod schedule;
mod set;
mod work;

use anyhow::Context;
use clap::{Parser, Subcommand};
use serde::Deserialize;
use std::{
    io::Write,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Reports what is installed, once for each agent
    Inventory(inventory::Options),
    /// Schedules hotfixes as a vendor
    Schedule(schedule::Options),
    /// Carries out what is due, until SIGTERM
    Work(work::Options),
}

/// Where the service is, and who the agents are.
#[derive(clap::Args)]
struct Place {
    /// Replicas of the service; each agent begins at another, and goes on to the next when its own does not answer
    #[arg(long, required = true, num_args = 1.., value_delimiter = ',')]
    servers: Vec<SocketAddr>,
    /// A JSON file with the names and tokens of all agents
    #[arg(long)]
    agents: PathBuf,
}

#[derive(Deserialize)]
struct Enrolled {
    token: String,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Inventory(options) => inventory::run(options).await,
        Command::Schedule(options) => schedule::run(options).await,
        Command::Work(options) => work::run(options).await,
    }
}

fn enrolled(file: &Path) -> anyhow::Result<Vec<Enrolled>> {
    let text = std::fs::read(file).with_context(|| file.display().to_string())?;
    Ok(serde_json::from_slice(&text)?)
}

/// The machine's clock, which all processes of a run share, in microseconds.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// A GUID that nobody else has.
fn guid() -> anyhow::Result<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/uuid")?;
    Ok(text.trim().to_owned())
}

fn print(line: &serde_json::Value) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{line}")?;
    Ok(())
}
