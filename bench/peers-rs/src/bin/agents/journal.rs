//! What a process was told and what it did, written down before it is done, so that it outlives the process.
//!
//! A line of words for each event. Nothing is synced to the disk, because only processes are killed here, not the machine.

use crate::{now, set::Environment};
use anyhow::Context;
use std::{
    collections::{HashMap, HashSet},
    fs::{File, OpenOptions},
    io::Write,
    path::Path,
    sync::{Mutex, PoisonError},
};

/// An operation that was given to an agent.
#[derive(Clone)]
pub struct Given {
    pub id: String,
    pub lease: String,
    pub environment: Environment,
    pub source: String,
    pub target: String,
    /// When its installation began at the target, in microseconds since 1970.
    pub begun: Option<i64>,
}

/// What a former process left.
#[derive(Default)]
pub struct Former {
    /// What was not over when it ended.
    pub open: Vec<Given>,
    /// Environments in which an installation began.
    pub begun: HashSet<Environment>,
}

pub struct Journal(Mutex<File>);

impl Journal {
    /// The journal, and what is in it; nothing if it is new.
    pub fn open(path: &Path) -> anyhow::Result<(Self, Option<Former>)> {
        let former = path.exists().then(|| Former::read(path)).transpose()?;
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok((Self(Mutex::new(file)), former))
    }

    pub fn given(&self, given: &Given) -> anyhow::Result<()> {
        let Given {
            id,
            lease,
            environment: Environment { agent, number },
            source,
            target,
            ..
        } = given;
        self.write(&format!(
            "given {id} {} {lease} {agent} {number} {source} {target}\n",
            now()
        ))
    }

    /// Answers when it was.
    pub fn begun(&self, given: &Given) -> anyhow::Result<i64> {
        let at = now();
        self.write(&format!("begun {} {at} {}\n", given.id, given.lease))?;
        Ok(at)
    }

    /// Over, and what the service calls that: a status, or `Lost` where it was reported what is installed.
    pub fn ended(&self, given: &Given, how: &str) -> anyhow::Result<()> {
        self.write(&format!("ended {} {} {how}\n", given.id, now()))
    }

    fn write(&self, line: &str) -> anyhow::Result<()> {
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(file.write_all(line.as_bytes())?)
    }
}

impl Former {
    fn read(path: &Path) -> anyhow::Result<Self> {
        let (mut former, mut open) = (Self::default(), HashMap::new());
        for line in std::fs::read_to_string(path)?.lines() {
            former
                .read_line(line, &mut open)
                .with_context(|| format!("{}: {line}", path.display()))?;
        }
        former.open = open.into_values().collect();
        Ok(former)
    }

    fn read_line(&mut self, line: &str, open: &mut HashMap<String, Given>) -> anyhow::Result<()> {
        match *line.split(' ').collect::<Vec<_>>() {
            ["given", id, _, lease, agent, number, source, target] => {
                let environment = Environment {
                    agent: agent.parse()?,
                    number: number.parse()?,
                };
                let [lease, source, target] = [lease, source, target].map(str::to_owned);
                let given = Given {
                    id: id.into(),
                    lease,
                    environment,
                    source,
                    target,
                    begun: None,
                };
                open.insert(id.into(), given);
            }
            ["begun", id, at, _] => {
                let given = open.get_mut(id).context("it was not given")?;
                given.begun = Some(at.parse()?);
                self.begun.insert(given.environment);
            }
            ["ended", id, _, _] => {
                open.remove(id).context("it was not given")?;
            }
            _ => anyhow::bail!("nobody knows what that means"),
        }
        Ok(())
    }
}
