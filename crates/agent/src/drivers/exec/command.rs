//! A command while it runs: what it is given, what is heard of it, and how it ends.

use super::{
    group::{Group, Process},
    output::{Heard, Line, Lines, PRINTED_AT_MOST},
    settings::{CommandLine, Settings},
};
use crate::failure::Failure;
use jiff::SignedDuration;
use std::{env, fmt, pin::pin, process::ExitStatus, process::Stdio, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::{Child, ChildStderr, ChildStdout, Command},
    sync::Notify,
    time::timeout,
};

/// What of the agent's own environment a command gets: what programs need to run at all, and nothing that holds a secret.
const INHERITED: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "TMPDIR",
    "TEMP",
    "TMP",
    "TZ",
    "LANG",
    "LANGUAGE",
    "LC_ALL",
    "LC_CTYPE",
    "LC_MESSAGES",
    "SystemRoot",
    "SystemDrive",
    "windir",
    "ComSpec",
    "PATHEXT",
    "ProgramData",
    "ProgramFiles",
    "ProgramFiles(x86)",
    "CommonProgramFiles",
    "PSModulePath",
    "COMPUTERNAME",
    "USERNAME",
    "USERPROFILE",
    "APPDATA",
    "LOCALAPPDATA",
    "NUMBER_OF_PROCESSORS",
    "PROCESSOR_ARCHITECTURE",
];

/// A command that runs. Whoever lets go of it ends it with all that it started.
pub(super) struct Running {
    child: Child,
    group: Group,
    process: Process,
    out: ChildStdout,
    err: ChildStderr,
    stop_within: Duration,
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// By itself, with that exit code.
    Exited(i32),
    /// By a signal that was not ours.
    Killed(String),
    /// By us, after this long.
    OutOfTime(Duration),
    /// The system does not tell, for the reason given.
    Lost(String),
}

impl Running {
    /// Starts it.
    ///
    /// # Errors
    /// The failure says why it cannot be started; then nothing was.
    pub(super) fn start(
        settings: &Settings,
        command: &CommandLine,
        facts: &[(String, String)],
    ) -> Result<Self, Failure> {
        let mut prepared = prepare(settings, command, facts);
        let not_started = |reason: String| {
            Failure::misconfigured(format!("'{}' could not be started: {reason}", command.program()))
        };
        let mut child = prepared.spawn().map_err(|error| not_started(error.to_string()))?;
        let (Some(id), Some(out), Some(err)) = (child.id(), child.stdout.take(), child.stderr.take()) else {
            return Err(not_started("the system does not give a hold of it".into()));
        };
        Ok(Self {
            child,
            group: Group::new(id),
            process: Process::new(id),
            out,
            err,
            stop_within: settings.stop_within,
        })
    }

    /// What it is found again by.
    pub(super) fn process(&self) -> &Process {
        &self.process
    }

    /// Listens to each of its lines until it has ended.
    pub(super) async fn listen(
        self,
        heard: &Heard,
        tell: &(dyn Fn(&Line<'_>) + Sync),
        limit: Duration,
    ) -> Ended {
        let Self {
            child,
            group,
            out,
            err,
            stop_within,
            ..
        } = self;
        let listening = async {
            futures::join!(read(out, heard, tell, 0), read(err, heard, tell, 0));
        };
        until_all_ended(child, group, limit, stop_within, listening).await
    }

    /// Collects what it prints until it has ended, be it because it printed more than is read.
    ///
    /// # Errors
    /// It printed too much.
    pub(super) async fn collect(self, heard: &Heard, limit: Duration) -> Result<(Ended, Vec<u8>), Failure> {
        let Self {
            child,
            group,
            out,
            err,
            stop_within,
            ..
        } = self;
        let mut printed = Vec::new();
        let is_full = Notify::new();
        let listening = async {
            let tell = |_: &Line<'_>| {};
            let out = async {
                // One more tells that there are too many.
                let printed = read(out.take(PRINTED_AT_MOST as u64 + 1), heard, &tell, usize::MAX).await;
                if printed.len() > PRINTED_AT_MOST {
                    is_full.notify_one();
                }
                printed
            };
            (printed, _) = futures::join!(out, read(err, heard, &tell, 0));
        };
        // Whoever lets go of the command ends it.
        let ended = tokio::select! {
            biased;
            () = is_full.notified() => None,
            ended = until_all_ended(child, group, limit, stop_within, listening) => Some(ended),
        };
        match ended {
            Some(ended) if printed.len() <= PRINTED_AT_MOST => Ok((ended, printed)),
            _ => Err(Failure::other(format!(
                "The command printed more than {PRINTED_AT_MOST} bytes, which no inventory has, and was ended."
            ))),
        }
    }
}

fn prepare(settings: &Settings, command: &CommandLine, facts: &[(String, String)]) -> Command {
    let mut prepared = Command::new(command.program());
    prepared
        .args(command.arguments())
        .env_clear()
        .envs(
            INHERITED
                .iter()
                .filter_map(|name| Some((*name, env::var_os(name)?))),
        )
        .envs(
            settings
                .pass
                .iter()
                .filter_map(|name| Some((name.as_str(), env::var_os(name.as_str())?))),
        )
        .envs(
            settings
                .environment
                .iter()
                .map(|(name, value)| (name.as_str(), value)),
        )
        .env("FAME_PROTOCOL", "1")
        .envs(facts.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if let Some(folder) = &settings.folder {
        prepared.current_dir(folder);
    }
    #[cfg(unix)]
    prepared.process_group(0);
    prepared
}

/// Reads to the end, whatever comes, and keeps the first `keep` bytes.
async fn read(
    mut from: impl AsyncRead + Unpin,
    heard: &Heard,
    tell: &(dyn Fn(&Line<'_>) + Sync),
    keep: usize,
) -> Vec<u8> {
    let mut lines = Lines::default();
    let mut hear = |text: &str| {
        let line = Line::read(text);
        heard.hear(&line);
        tell(&line);
    };
    let mut chunk = vec![0; 16 << 10];
    let mut kept = Vec::new();
    // An error of a pipe is its end.
    while let Ok(count @ 1..) = from.read(&mut chunk).await {
        let bytes = chunk.get(..count).unwrap_or_default();
        kept.extend(bytes.iter().take(keep.saturating_sub(kept.len())));
        lines.add(bytes, &mut hear);
    }
    lines.finish(&mut hear);
    kept
}

/// Waits until the command has ended, and ends what it left behind: its output is read until then.
async fn until_all_ended(
    mut child: Child,
    mut group: Group,
    limit: Duration,
    stop_within: Duration,
    listening: impl Future<Output = ()>,
) -> Ended {
    let mut listening = pin!(listening);
    let mut all_read = false;
    let ended = {
        let mut ending = pin!(until_ended(&mut child, &mut group, limit, stop_within));
        loop {
            tokio::select! {
                ended = &mut ending => break ended,
                () = &mut listening, if !all_read => all_read = true,
            }
        }
    };
    group.ask_to_end();
    if !all_read {
        // Who still holds the output then has left the group, and is not waited for.
        let _silent = timeout(stop_within, &mut listening).await;
    }
    group.end();
    ended
}

async fn until_ended(child: &mut Child, group: &mut Group, limit: Duration, stop_within: Duration) -> Ended {
    if let Ok(ended) = timeout(limit, child.wait()).await {
        group.leader_has_ended();
        return ended.map_or_else(|error| Ended::Lost(error.to_string()), Ended::of);
    }
    group.ask_to_end();
    if timeout(stop_within, child.wait()).await.is_err() {
        group.end();
    }
    Ended::OutOfTime(limit)
}

impl Ended {
    fn of(status: ExitStatus) -> Self {
        match status.code() {
            Some(code) => Self::Exited(code),
            None => Self::Killed(status.to_string()),
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "The command ended with exit code {code}."),
            Self::Killed(how) => write!(f, "The command was ended from outside: {how}."),
            Self::OutOfTime(limit) => {
                let limit = SignedDuration::try_from(*limit).unwrap_or(SignedDuration::MAX);
                write!(
                    f,
                    "The command was ended because it had not ended within {limit:#}."
                )
            }
            Self::Lost(reason) => write!(f, "The system does not tell how the command ended: {reason}."),
        }
    }
}
