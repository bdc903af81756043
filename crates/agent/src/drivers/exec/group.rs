//! The processes that a command started, ended together.
//!
//! Each command gets a process group of its own. Who leaves it on purpose (`setsid`) is not found any more.

use serde_json::{Value, json};
use std::{fmt, fs};

/// A process that leads its group, as it is found again by another process of the agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Process {
    id: u32,
    /// When it started, in the system's own measure: numbers of processes are given again.
    since: Option<String>,
}

impl Process {
    pub(super) fn new(id: u32) -> Self {
        Self { id, since: since(id) }
    }

    pub(super) fn of_facts(facts: &Value) -> Option<Self> {
        let id = facts.get("process")?.as_u64()?;
        Some(Self {
            id: u32::try_from(id).ok()?,
            since: facts.get("since")?.as_str().map(str::to_owned),
        })
    }

    pub(super) fn facts(&self) -> Value {
        json!({"process": self.id, "since": self.since})
    }

    /// Whether it still runs. Only Linux tells; elsewhere it is taken to have ended.
    pub(super) fn runs(&self) -> bool {
        self.since.is_some() && self.since == since(self.id)
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.id.fmt(f)
    }
}

/// When the process started, in ticks since the machine did; nothing if there is none, or it only waits to be buried.
fn since(id: u32) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The program's name, which may hold anything, ends with the last bracket.
    let (_, fields) = status.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    let state = fields.next()?;
    let start = fields.nth(18)?;
    (state != "Z" && state != "X").then(|| start.to_owned())
}

/// All processes of a command. Whoever lets go of it ends them.
#[derive(Debug)]
pub(super) struct Group {
    leader: u32,
    is_over: bool,
}

impl Group {
    pub(super) fn new(leader: u32) -> Self {
        Self {
            leader,
            is_over: false,
        }
    }

    /// Asks all of them to end.
    pub(super) fn ask_to_end(&self) {
        if !self.is_over {
            end(self.leader, Force::No);
        }
    }

    /// Says that the leader has ended by itself. Elsewhere its group keeps its number; on Windows the number is free to be
    /// another process's, and nobody is found by it any more.
    pub(super) fn leader_has_ended(&mut self) {
        self.is_over = cfg!(windows);
    }

    /// Ends all of them that there still are.
    pub(super) fn end(&mut self) {
        if !self.is_over {
            end(self.leader, Force::Yes);
            self.is_over = true;
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.end();
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Force {
    No,
    Yes,
}

#[cfg(unix)]
fn end(leader: u32, force: Force) {
    use rustix::process::{Pid, Signal, kill_process_group};
    let signal = if force == Force::Yes {
        Signal::KILL
    } else {
        Signal::TERM
    };
    let group = i32::try_from(leader).ok().and_then(Pid::from_raw);
    if let Some(Err(error)) = group.map(|group| kill_process_group(group, signal))
        && error != rustix::io::Errno::SRCH
    {
        tracing::warn!(leader, %error, "the processes of a command could not be ended");
    }
}

/// Windows has no groups that a signal reaches. Its own tool follows the tree from the leader.
#[cfg(windows)]
fn end(leader: u32, force: Force) {
    let mut tool = std::process::Command::new("taskkill.exe");
    tool.args(["/T", "/PID", &leader.to_string()]);
    if force == Force::Yes {
        tool.arg("/F");
    }
    if let Err(error) = tool.output() {
        tracing::warn!(leader, %error, "the processes of a command could not be ended");
    }
}
