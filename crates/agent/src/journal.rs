//! What the agent has taken on, what it was about to do there, and what came of it: written down before it is done.
//!
//! One line of JSON each, made durable before anything follows from it. Whoever reads it after a crash finds every
//! operation that the agent may have begun, so that nothing is begun twice; what was being written at that moment is a
//! torn last line, from which nothing had followed yet. Where the journal cannot be written, nothing is begun.

use crate::{driver::Mark, owner_only};
use domain::{
    ids::OperationId,
    instant::{Instant, TICKS_PER_SECOND},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use wire::agent::{ClaimedOperation, Finish};

/// For how long it is known that an operation was carried out, in ticks: it is not begun a second time.
const KNOWN_FOR: i64 = 90 * 24 * 3_600 * TICKS_PER_SECOND;
/// How much of an error text is kept of what was told long ago.
const KEPT_TEXT: usize = 1_024;

/// The journal of this process.
#[derive(Clone, Debug)]
pub struct Journal(Arc<Mutex<Book>>);

#[derive(Debug)]
struct Book {
    path: PathBuf,
    file: File,
    /// How much of the file is whole lines.
    length: u64,
    is_writable: bool,
    content: Content,
}

#[derive(Debug, Default)]
struct Content {
    operations: BTreeMap<OperationId, Record>,
    sequence: i64,
}

/// What is known of an operation.
#[derive(Clone, Debug)]
pub struct Record {
    /// The operation as it was claimed.
    pub claimed: ClaimedOperation,
    /// When it was taken on.
    pub taken_on: Instant,
    /// When it was begun, if it was: from then on something may have happened at the target.
    pub begun_on: Option<Instant>,
    /// The driver that began it.
    pub begun_by: Option<String>,
    /// What was written down at the target, the oldest first.
    pub marks: Vec<Mark>,
    /// How it ended, if it has.
    pub ended: Option<Finish>,
    /// Whether the service knows.
    pub is_told: bool,
}

/// Why the journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// It cannot be read or written.
    #[error("The journal {} cannot be used: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A line of it is not what an agent wrote. It is not passed over: it could be the one of an operation that was begun.
    #[error("Line {line} of the journal {} is damaged ({problem}): nothing is begun before a person has looked at it", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Which line.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    on: Option<i64>,
    #[serde(flatten)]
    entry: Entry,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", tag = "entry")]
enum Entry {
    Taken {
        claimed: Box<ClaimedOperation>,
    },
    Begun {
        operation: OperationGuid,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        driver: Option<String>,
    },
    Mark {
        operation: OperationGuid,
        step: String,
        facts: Value,
    },
    Ended {
        operation: OperationGuid,
        finish: Finish,
    },
    Told {
        operation: OperationGuid,
    },
    Sequence {
        number: i64,
    },
}

type OperationGuid = uuid::Uuid;

impl Content {
    fn read(text: &str) -> Result<Self, (usize, String)> {
        let mut content = Self::default();
        for (index, line) in text.lines().enumerate() {
            let read = serde_json::from_str(line).map_err(|error| error.to_string());
            let taken = read.and_then(|line| content.take(line));
            taken.map_err(|problem| (index + 1, problem))?;
        }
        Ok(content)
    }

    fn take(&mut self, line: Line) -> Result<(), String> {
        let on = line.on.map(Instant);
        match line.entry {
            Entry::Taken { claimed } => {
                let record = Record::new(*claimed, on.unwrap_or(Instant(0)));
                self.operations.insert(record.id(), record);
            }
            Entry::Begun { operation, driver } => {
                let record = self.of(operation)?;
                (record.begun_on, record.begun_by) = (on, driver);
            }
            Entry::Mark {
                operation,
                step,
                facts,
            } => self.of(operation)?.marks.push(Mark { step, facts }),
            Entry::Ended { operation, finish } => self.of(operation)?.ended = Some(finish),
            Entry::Told { operation } => self.of(operation)?.is_told = true,
            Entry::Sequence { number } => self.sequence = self.sequence.max(number),
        }
        Ok(())
    }

    fn of(&mut self, id: OperationGuid) -> Result<&mut Record, String> {
        let found = self.operations.get_mut(&OperationId(id));
        found.ok_or_else(|| format!("operation {id} was never taken on"))
    }

    /// The same without what is of no use any more.
    fn compacted(mut self, now: Instant) -> Self {
        self.operations
            .retain(|_, record| !record.is_told || record.taken_on.0 > now.0 - KNOWN_FOR);
        for record in self.operations.values_mut().filter(|record| record.is_told) {
            record.marks.clear();
            if let Some(text) = record
                .ended
                .as_mut()
                .and_then(|ended| ended.error_message.as_mut())
            {
                text.truncate(text.floor_char_boundary(KEPT_TEXT));
            }
        }
        self
    }

    fn lines(&self) -> Vec<Line> {
        let sequence = Line {
            on: None,
            entry: Entry::Sequence {
                number: self.sequence,
            },
        };
        let records = self.operations.values().flat_map(Record::lines);
        [sequence].into_iter().chain(records).collect()
    }
}

impl Record {
    fn new(claimed: ClaimedOperation, taken_on: Instant) -> Self {
        Self {
            claimed,
            taken_on,
            begun_on: None,
            begun_by: None,
            marks: Vec::new(),
            ended: None,
            is_told: false,
        }
    }

    /// The operation.
    #[must_use]
    pub fn id(&self) -> OperationId {
        OperationId(self.claimed.operation_id)
    }

    fn lines(&self) -> Vec<Line> {
        let operation = self.claimed.operation_id;
        let line = |on: Option<Instant>, entry| Line {
            on: on.map(|on| on.0),
            entry,
        };
        let claimed = Box::new(self.claimed.clone());
        let mut lines = vec![line(Some(self.taken_on), Entry::Taken { claimed })];
        if self.begun_on.is_some() {
            let driver = self.begun_by.clone();
            lines.push(line(self.begun_on, Entry::Begun { operation, driver }));
        }
        for Mark { step, facts } in self.marks.clone() {
            lines.push(line(
                None,
                Entry::Mark {
                    operation,
                    step,
                    facts,
                },
            ));
        }
        if let Some(finish) = self.ended.clone() {
            lines.push(line(None, Entry::Ended { operation, finish }));
        }
        if self.is_told {
            lines.push(line(None, Entry::Told { operation }));
        }
        lines
    }
}

impl Book {
    fn failed(&self, source: io::Error) -> JournalError {
        JournalError::Io {
            path: self.path.clone(),
            source,
        }
    }

    fn append(&mut self, line: Line) -> Result<(), JournalError> {
        let written = text_of(&[&line]).and_then(|text| self.write(text.as_bytes()));
        self.is_writable = written.is_ok();
        written.map_err(|source| self.failed(source))?;
        // What was written can be read.
        let _ = self.content.take(line);
        Ok(())
    }

    /// Writes whole lines or, as far as the next one is concerned, nothing.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        // What an earlier try left behind would spoil the line that follows it.
        if !self.is_writable {
            self.file.set_len(self.length)?;
        }
        self.file.write_all(bytes)?;
        self.file.sync_data()?;
        self.length += bytes.len() as u64;
        Ok(())
    }
}

fn text_of(lines: &[&Line]) -> io::Result<String> {
    let mut text = String::new();
    for line in lines {
        text += &serde_json::to_string(line).map_err(io::Error::other)?;
        text.push('\n');
    }
    Ok(text)
}

impl Journal {
    /// Reads the journal at `path`, leaves out of it what is of no use any more, and goes on with it.
    ///
    /// # Errors
    /// [`JournalError`] when it cannot be read or written, or is damaged anywhere but in a last line that was torn.
    pub fn open(path: &Path, now: Instant) -> Result<Self, JournalError> {
        let failed = |source| JournalError::Io {
            path: path.to_owned(),
            source,
        };
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(source) => return Err(failed(source)),
        };
        let whole = bytes
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |end| end + 1);
        let text = String::from_utf8_lossy(bytes.get(..whole).unwrap_or_default());
        let read = Content::read(&text).map_err(|(line, problem)| JournalError::Damaged {
            path: path.to_owned(),
            line,
            problem,
        })?;
        let content = read.compacted(now);
        let lines = content.lines();
        let text = text_of(&lines.iter().collect::<Vec<_>>()).map_err(failed)?;
        owner_only::replace(path, text.as_bytes()).map_err(failed)?;
        let file = File::options().append(true).open(path).map_err(failed)?;
        Ok(Self(Arc::new(Mutex::new(Book {
            path: path.to_owned(),
            file,
            length: text.len() as u64,
            is_writable: true,
            content,
        }))))
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn append(&self, on: Option<Instant>, entry: Entry) -> Result<(), JournalError> {
        let journal = self.clone();
        let line = Line {
            on: on.map(|on| on.0),
            entry,
        };
        let written = tokio::task::spawn_blocking(move || journal.book().append(line)).await;
        written.unwrap_or_else(|panicked| Err(self.book().failed(io::Error::other(panicked))))
    }

    /// An operation was claimed.
    ///
    /// # Errors
    /// [`JournalError::Io`] when it cannot be written; so for all that follow.
    pub async fn take(&self, claimed: &ClaimedOperation, now: Instant) -> Result<(), JournalError> {
        let claimed = Box::new(claimed.clone());
        self.append(Some(now), Entry::Taken { claimed }).await
    }

    /// From now on something may happen at the target, by what that driver does.
    ///
    /// # Errors
    /// As [`Journal::take`].
    pub async fn begin(&self, id: OperationId, driver: &str, now: Instant) -> Result<(), JournalError> {
        let (operation, driver) = (id.0, Some(driver.to_owned()));
        self.append(Some(now), Entry::Begun { operation, driver }).await
    }

    /// What is about to be done at the target.
    ///
    /// # Errors
    /// As [`Journal::take`].
    pub async fn mark(&self, id: OperationId, step: &str, facts: Value) -> Result<(), JournalError> {
        let step = step.to_owned();
        self.append(
            None,
            Entry::Mark {
                operation: id.0,
                step,
                facts,
            },
        )
        .await
    }

    /// An operation has ended, and the service is to be told.
    ///
    /// # Errors
    /// As [`Journal::take`].
    pub async fn end(&self, id: OperationId, finish: &Finish) -> Result<(), JournalError> {
        let finish = finish.clone();
        self.append(
            None,
            Entry::Ended {
                operation: id.0,
                finish,
            },
        )
        .await
    }

    /// The service knows how an operation ended.
    ///
    /// # Errors
    /// As [`Journal::take`].
    pub async fn tell(&self, id: OperationId) -> Result<(), JournalError> {
        self.append(None, Entry::Told { operation: id.0 }).await
    }

    /// The number of the next inventory: higher than all before it, also after the clock was set back.
    ///
    /// # Errors
    /// As [`Journal::take`].
    pub async fn next_sequence(&self, now: Instant) -> Result<i64, JournalError> {
        let number = now.0.max(self.book().content.sequence.saturating_add(1));
        self.append(None, Entry::Sequence { number }).await?;
        Ok(number)
    }

    /// What is known of an operation.
    #[must_use]
    pub fn record(&self, id: OperationId) -> Option<Record> {
        self.book().content.operations.get(&id).cloned()
    }

    /// Operations of which nobody will say how they ended.
    pub(crate) fn given_up(&self) -> Vec<OperationId> {
        let book = self.book();
        let records = book.content.operations.values();
        records
            .filter(|record| record.is_told && record.ended.is_none())
            .map(Record::id)
            .collect()
    }

    /// Operations of which the service does not know yet how they ended.
    #[must_use]
    pub fn open_operations(&self) -> Vec<Record> {
        let book = self.book();
        let records = book.content.operations.values();
        records.filter(|record| !record.is_told).cloned().collect()
    }

    /// How many operations were begun after `moment`.
    #[must_use]
    pub fn begun_since(&self, moment: Instant) -> usize {
        let book = self.book();
        let begun = book
            .content
            .operations
            .values()
            .filter_map(|record| record.begun_on);
        begun.filter(|begun| *begun > moment).count()
    }

    /// Whether the last line could be written; where it could not, it is tried with an empty one.
    pub async fn is_writable(&self) -> bool {
        if self.book().is_writable {
            return true;
        }
        let number = self.book().content.sequence;
        self.append(None, Entry::Sequence { number }).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use uuid::Uuid;
    use wire::agent::{ClaimedPackage, EnvironmentName};

    const NOON: Instant = Instant(17_672_688_000_000_000);

    fn claimed(number: u128) -> ClaimedOperation {
        ClaimedOperation {
            operation_id: Uuid::from_u128(number),
            lease_id: Uuid::from_u128(7),
            lease_seconds: 300,
            kind: "Hotfix".into(),
            environment: EnvironmentName {
                aad_tenant_id: Uuid::from_u128(1),
                application_family: "BusinessCentral".into(),
                name: "Production".into(),
            },
            environment_type: "Production".into(),
            country_code: "US".into(),
            app_id: Uuid::from_u128(9),
            app_name: None,
            app_publisher: None,
            source_version: Some("1.0.0.0".into()),
            target_version: Some("1.0.0.1".into()),
            sync_mode: "Sync".into(),
            package: Some(ClaimedPackage {
                sha256: "00".repeat(32),
                size: 1,
                differs_elsewhere: false,
            }),
            delete_data: false,
            language_id: None,
        }
    }

    fn id(number: u128) -> OperationId {
        OperationId(Uuid::from_u128(number))
    }

    fn finish() -> Finish {
        Finish {
            lease_id: Uuid::from_u128(7),
            status: "Failed".into(),
            error_message: Some("ä".repeat(2_000)),
            failure_cause: Some("Other".into()),
            installed_version: None,
        }
    }

    struct Home(tempfile::TempDir);

    impl Home {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn path(&self) -> PathBuf {
            self.0.path().join("journal")
        }

        fn journal(&self, now: Instant) -> Journal {
            Journal::open(&self.path(), now).unwrap()
        }
    }

    #[tokio::test]
    async fn what_was_written_is_found_again() {
        let home = Home::new();
        let journal = home.journal(NOON);
        for number in [1, 2, 3] {
            journal.take(&claimed(number), NOON).await.unwrap();
        }
        journal.begin(id(1), "exec", NOON).await.unwrap();
        journal.mark(id(1), "Publish", json!({"slot": 4})).await.unwrap();
        journal.begin(id(2), "exec", NOON).await.unwrap();
        journal.end(id(2), &finish()).await.unwrap();
        journal.begin(id(3), "exec", NOON).await.unwrap();
        journal.end(id(3), &finish()).await.unwrap();
        journal.tell(id(3)).await.unwrap();
        drop(journal);

        let journal = home.journal(NOON);
        let open = journal.open_operations();
        assert_eq!(open.iter().map(Record::id).collect::<Vec<_>>(), [id(1), id(2)]);
        assert_eq!(open[0].marks[0].facts["slot"], 4);
        assert_eq!(open[0].claimed, claimed(1));
        assert!(open[0].begun_on.is_some() && open[0].ended.is_none());
        assert_eq!(open[1].ended, Some(finish()));
        let told = journal.record(id(3)).unwrap();
        assert!(told.is_told && told.ended.unwrap().error_message.unwrap().len() <= KEPT_TEXT);
        assert_eq!(journal.begun_since(Instant(NOON.0 - 1)), 3);
        assert_eq!(journal.begun_since(NOON), 0);
    }

    #[tokio::test]
    async fn every_cut_of_the_last_line_is_survived_and_nothing_before_it_is_lost() {
        let home = Home::new();
        let journal = home.journal(NOON);
        journal.take(&claimed(1), NOON).await.unwrap();
        let before = fs::metadata(home.path()).unwrap().len().try_into().unwrap();
        journal.mark(id(1), "Publish", json!({})).await.unwrap();
        drop(journal);
        let whole = fs::read(home.path()).unwrap();
        for cut in before..whole.len() {
            fs::write(home.path(), &whole[..cut]).unwrap();
            let journal = home.journal(NOON);
            let record = journal.record(id(1)).unwrap();
            assert!(record.marks.is_empty(), "cut at {cut}");
            journal.mark(id(1), "Again", json!({})).await.unwrap();
            drop(journal);
            assert_eq!(home.journal(NOON).record(id(1)).unwrap().marks.len(), 1);
        }
    }

    #[tokio::test]
    async fn damage_before_the_last_line_is_told_and_not_passed_over() {
        let home = Home::new();
        home.journal(NOON).take(&claimed(1), NOON).await.unwrap();
        let text = fs::read_to_string(home.path()).unwrap();
        for damaged in [format!("{{\n{text}"), text.replace("\"taken\"", "\"begun\"")] {
            fs::write(home.path(), damaged).unwrap();
            let error = Journal::open(&home.path(), NOON).unwrap_err();
            assert!(matches!(error, JournalError::Damaged { .. }), "{error}");
        }
    }

    #[tokio::test]
    async fn what_was_told_is_known_for_a_while_and_then_forgotten() {
        let home = Home::new();
        let journal = home.journal(NOON);
        for number in [1, 2] {
            journal.take(&claimed(number), NOON).await.unwrap();
        }
        journal.end(id(1), &finish()).await.unwrap();
        journal.tell(id(1)).await.unwrap();
        drop(journal);
        let much_later = Instant(NOON.0 + KNOWN_FOR + 1);
        let journal = home.journal(much_later);
        assert!(journal.record(id(1)).is_none());
        assert!(journal.record(id(2)).is_some(), "nobody was told of it");
    }

    #[tokio::test]
    async fn numbers_of_inventories_rise_also_when_the_clock_is_set_back() {
        let home = Home::new();
        let first = home.journal(NOON).next_sequence(NOON).await.unwrap();
        let earlier = Instant(NOON.0 - 1_000);
        let journal = home.journal(earlier);
        let second = journal.next_sequence(earlier).await.unwrap();
        let third = journal.next_sequence(Instant(NOON.0 + 50)).await.unwrap();
        assert!(first < second && second < third);
    }

    #[tokio::test]
    async fn the_highest_number_of_all_is_no_reason_to_break() {
        let home = Home::new();
        let highest = Instant(i64::MAX);
        let journal = home.journal(NOON);
        assert_eq!(journal.next_sequence(highest).await.unwrap(), i64::MAX);
        assert_eq!(journal.next_sequence(NOON).await.unwrap(), i64::MAX);
    }

    /// `/dev/full` takes nothing, as a full disk.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_full_disk_is_told_and_leaves_no_half_a_line() {
        let home = Home::new();
        let journal = home.journal(NOON);
        journal.take(&claimed(1), NOON).await.unwrap();
        let real = {
            let mut book = journal.book();
            let full = File::options().append(true).open("/dev/full").unwrap();
            std::mem::replace(&mut book.file, full)
        };
        assert!(journal.begin(id(1), "exec", NOON).await.is_err());
        assert!(journal.record(id(1)).unwrap().begun_on.is_none());
        assert!(!journal.is_writable().await);
        // What a write that stopped half-way leaves.
        fs::OpenOptions::new()
            .append(true)
            .open(home.path())
            .unwrap()
            .write_all(b"{\"half")
            .unwrap();
        journal.book().file = real;
        assert!(journal.is_writable().await);
        journal.begin(id(1), "exec", NOON).await.unwrap();
        drop(journal);
        assert!(home.journal(NOON).record(id(1)).unwrap().begun_on.is_some());
    }
}
