//! What a rollout that this machine drives has decided, was about to do, and came to know: on disk before it is done.
//!
//! One line for each record: a sum, a blank, and JSON that names the rollout and says what happened. The sum is over the line
//! and the sum of the line before, so that a line which was changed, left out or put elsewhere is noticed, and told by its
//! number. A line without its end was being written when the process died: nothing had followed from it yet, and it is cut off
//! before anything is added. The file names no service and no address; whose it is says a digest, which covers the service too.
//! One process has it at a time.

use super::record::Record;
use crate::failure::Failure;
use agent::owner_only;
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{
    fs::{File, TryLockError},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

/// The largest journal that is read, in bytes: some millions of records.
const MAX_BYTES: u64 = 1 << 30;
/// How much of a SHA-256 a line shows, in bytes.
const SUM_BYTES: usize = 8;

/// What tells a rollout from all others: a digest of its definition, its app and its service.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(transparent)]
pub(super) struct Identity(String);

impl Identity {
    /// That of a rollout of which these are the parts, in a fixed order.
    pub(super) fn of(parts: &[&str]) -> Self {
        let mut digest = Sha256::new();
        for part in parts {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part.as_bytes());
        }
        Self(shown(&digest.finalize()))
    }

    /// A number that is the rollout's own.
    pub(super) fn seed(&self) -> u64 {
        u64::from_str_radix(&self.0, 16).unwrap_or_default()
    }
}

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum JournalError {
    /// Another process drives the rollout.
    #[error("{} is in use: another process drives this rollout", .0.display())]
    InUse(PathBuf),
    /// It is of another rollout.
    #[error(
        "{} is the journal of another rollout: its definition, its app or its service is another one. A rollout never changes \
         once it has begun; name another journal, and call off what is still scheduled of the other with its own file",
        .0.display()
    )]
    Foreign(PathBuf),
    /// A line is not what was written.
    #[error("{}, line {line}: {problem}; nothing is done before a person has looked at it", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// Others may use it.
    #[error(transparent)]
    Exposed(#[from] owner_only::NotOwnerOnly),
    /// It cannot be read or written.
    #[error("The journal {} cannot be used: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl From<JournalError> for Failure {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::InUse(_) | JournalError::Foreign(_) | JournalError::Damaged { .. } => {
                Self::Rule(format!("{error}."))
            }
            JournalError::Exposed(_) | JournalError::Io { .. } => Self::Unexpected(format!("{error}.")),
        }
    }
}

/// The journal of one rollout, open and locked.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    identity: Identity,
    /// How much of the file is whole lines, in bytes.
    length: u64,
    /// The sum of the last line.
    sum: String,
}

/// What stands behind the sum.
#[derive(Deserialize, Serialize)]
struct Line<R> {
    rollout: Identity,
    record: R,
}

impl Journal {
    /// Takes the journal at `path`, and makes it if there is none; with everything that stands in it.
    ///
    /// # Errors
    /// [`JournalError`]. The file is as it was then.
    pub(super) fn open(path: &Path, identity: Identity) -> Result<(Self, Vec<Record>), JournalError> {
        let failed = |source| JournalError::Io {
            path: path.to_owned(),
            source,
        };
        let mut options = owner_only::options();
        let opened = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path);
        let file = opened.map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(JournalError::InUse(path.to_owned())),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        owner_only::check(path)?;
        let mut journal = Self {
            path: path.to_owned(),
            file,
            identity,
            length: 0,
            sum: String::new(),
        };
        let records = journal.read()?;
        Ok((journal, records))
    }

    /// Whose it is.
    pub(super) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Adds records, all of them durable before anything follows from one. Where that fails, none was added.
    ///
    /// # Errors
    /// [`JournalError::Io`]; whoever hears it does nothing that was to be written down first.
    pub(super) fn append(&mut self, records: &[Record]) -> Result<(), JournalError> {
        if records.is_empty() {
            return Ok(());
        }
        let added = self.add(records);
        added.map_err(|source| self.failed(source))
    }

    fn add(&mut self, records: &[Record]) -> io::Result<()> {
        let (mut text, mut sum) = (String::new(), self.sum.clone());
        for record in records {
            let line = Line {
                rollout: self.identity.clone(),
                record,
            };
            let json = serde_json::to_string(&line).map_err(io::Error::other)?;
            sum = sum_of(&sum, &json);
            text += &format!("{sum} {json}\n");
        }
        // What is behind the whole lines is what a try left that did not come to its end.
        self.file.set_len(self.length)?;
        self.file.seek(SeekFrom::Start(self.length))?;
        self.file.write_all(text.as_bytes())?;
        self.file.sync_data()?;
        if self.length == 0 {
            owner_only::sync_folder(&self.path)?;
        }
        (self.length, self.sum) = (self.length + text.len() as u64, sum);
        Ok(())
    }

    /// Everything up to the last whole line.
    fn read(&mut self) -> Result<Vec<Record>, JournalError> {
        let mut bytes = Vec::new();
        let mut limited = (&self.file).take(MAX_BYTES + 1);
        limited
            .read_to_end(&mut bytes)
            .map_err(|source| self.failed(source))?;
        if bytes.len() as u64 > MAX_BYTES {
            let problem = format!("it has more than {MAX_BYTES} bytes");
            return Err(self.failed(io::Error::other(problem)));
        }
        let whole = bytes
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |end| end + 1);
        let (whole, torn) = bytes.split_at_checked(whole).unwrap_or_default();
        if whole.is_empty() && !may_begin_line(torn) {
            return Err(JournalError::Foreign(self.path.clone()));
        }
        let mut records = Vec::new();
        for (index, line) in whole.split_inclusive(|byte| *byte == b'\n').enumerate() {
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            records.push(self.take(line, index + 1)?);
        }
        self.length = whole.len() as u64;
        Ok(records)
    }

    /// Reads a line that follows those read so far.
    fn take(&mut self, line: &[u8], number: usize) -> Result<Record, JournalError> {
        let damaged = |problem: &str| JournalError::Damaged {
            path: self.path.clone(),
            line: number,
            problem: problem.to_owned(),
        };
        let text = std::str::from_utf8(line).map_err(|_| damaged("it is no text"))?;
        let (sum, json) = text
            .split_once(' ')
            .ok_or_else(|| damaged("it is no line of a rollout's journal"))?;
        if sum != sum_of(&self.sum, json) {
            return Err(damaged(
                "it is not what was written, or a line before it is missing",
            ));
        }
        let read = serde_json::from_str::<Line<Record>>(json);
        let read = read.map_err(|error| damaged(&format!("it says nothing that is known here ({error})")))?;
        match (read.rollout == self.identity, number) {
            (true, _) => {}
            (false, 1) => return Err(JournalError::Foreign(self.path.clone())),
            (false, _) => return Err(damaged("it is of another rollout than the first")),
        }
        sum.clone_into(&mut self.sum);
        Ok(read.record)
    }

    fn failed(&self, source: io::Error) -> JournalError {
        JournalError::Io {
            path: self.path.clone(),
            source,
        }
    }
}

/// Whether these bytes may be what a death left of a line: its sum, and then JSON. All else is somebody else's file.
fn may_begin_line(bytes: &[u8]) -> bool {
    let is_hex = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
    let sum = bytes.iter().take_while(|byte| is_hex(byte)).count();
    let rest = bytes.get(sum..).unwrap_or_default();
    rest.is_empty() || rest == b" " || rest.starts_with(b" {")
}

fn sum_of(before: &str, json: &str) -> String {
    let digest = Sha256::new()
        .chain_update(before)
        .chain_update(" ")
        .chain_update(json);
    shown(&digest.finalize())
}

fn shown(digest: &[u8]) -> String {
    HEXLOWER.encode(digest.get(..SUM_BYTES).unwrap_or(digest))
}

#[cfg(test)]
mod tests;
