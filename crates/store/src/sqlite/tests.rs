use super::{
    writer::{Group, commit},
    *,
};
use crate::settings::DatabaseSettings;
use crate::{Db, db::BATCH, open};
use rusqlite::StatementStatus;

#[tokio::test]
async fn what_takes_long_is_found_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("fame.db").display());
    let db = open(&DatabaseSettings::at(&url)).await.unwrap();
    let numbers = "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < $1)";
    let count = db
        .query(format!("{numbers} SELECT COUNT(*) FROM numbers"))
        .bind(500_000_i64);
    assert_eq!(count.fetch_one::<(i64,)>().await.unwrap(), (500_000,));
    let list = db
        .query(format!("{numbers} SELECT n FROM numbers ORDER BY n"))
        .bind(1_000_i64);
    let found = list.fetch_all::<(i64,)>().await.unwrap();
    assert_eq!(found.last(), Some(&(1_000,)));
}

/// A plan that was made for one value would be made again for each other one.
#[test]
fn statements_are_planned_once_whatever_is_bound() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fame.db");
    let writer = open_writer(&path).unwrap();
    writer
        .execute_batch("CREATE TABLE notes (id INTEGER PRIMARY KEY, number BIGINT, text TEXT)")
        .unwrap();
    let sql = "SELECT id FROM notes WHERE id > $1 AND number = $2 LIMIT $3";
    for connection in [writer, open_reader(&path, READER_CACHE).unwrap()] {
        for number in 0..3_i64 {
            let values = [number.into(), number.into(), number.into()];
            fetch_all::<(i64,)>(&connection, sql, &values).unwrap();
        }
        let statement = prepare(&connection, sql).unwrap();
        assert_eq!(statement.get_status(StatementStatus::Run), 3);
        assert_eq!(statement.get_status(StatementStatus::RePrepare), 0);
    }
}

/// Limits the file to its present size and `more` pages.
async fn limit_pages(db: &Db, more: Option<i64>) {
    let (pages,) = db
        .query("SELECT page_count FROM pragma_page_count")
        .fetch_one::<(i64,)>()
        .await
        .unwrap();
    let most = more.map_or(i64::from(u32::MAX - 1), |more| pages + more);
    db.write(most, |mut tx, most| {
        Box::pin(async move {
            let limit = tx.query(format!("PRAGMA max_page_count = {most}"));
            limit.fetch_all::<(i64,)>().await
        })
    })
    .await
    .unwrap();
}

async fn note(db: &Db, text: String) -> Result<(), StoreError> {
    db.write(text, |mut tx, text| {
        Box::pin(async move {
            tx.query("INSERT INTO notes (text) VALUES ($1)")
                .bind(text)
                .execute()
                .await?;
            Ok(())
        })
    })
    .await
}

async fn notes(db: &Db) -> i64 {
    let count = db.query("SELECT COUNT(*) FROM notes").fetch_one::<(i64,)>();
    count.await.unwrap().0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_unavailable_and_passes_and_what_was_acknowledged_stays() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("fame.db").display());
    let db = open(&DatabaseSettings::at(&url)).await.unwrap();
    db.write((), |mut tx, ()| {
        Box::pin(async move {
            tx.query("CREATE TABLE notes (text TEXT NOT NULL)")
                .execute()
                .await?;
            Ok::<_, StoreError>(())
        })
    })
    .await
    .unwrap();
    limit_pages(&db, Some(8)).await;
    // Small ones and large ones share commits; the large ones do not all find room.
    let writes = (0..64).map(|index| note(&db, "x".repeat(if index % 4 == 0 { 6_000 } else { 10 })));
    let outcomes = futures::future::join_all(writes).await;
    let mut acknowledged = 0;
    for outcome in &outcomes {
        match outcome {
            Ok(()) => acknowledged += 1,
            Err(StoreError::Unavailable(_)) => {}
            Err(other) => panic!("{other}"),
        }
    }
    assert!(acknowledged < 64, "it was to become full");
    assert_eq!(notes(&db).await, acknowledged);

    limit_pages(&db, None).await;
    note(&db, "x".repeat(6_000)).await.unwrap();
    assert_eq!(notes(&db).await, acknowledged + 1);
}

/// Adds a note, and then fails if it is to.
fn make_note<'t>(
    mut tx: Tx<'t>,
    (text, succeeds): &'t (&'static str, bool),
) -> BoxFuture<'t, Result<(), StoreError>> {
    Box::pin(async move {
        let insert = tx.query("INSERT INTO notes (text) VALUES ($1)");
        insert.bind(*text).execute().await?;
        match succeeds {
            true => Ok(()),
            false => Err(StoreError::broken("refused")),
        }
    })
}

fn noting(
    text: &'static str,
    succeeds: bool,
) -> (Box<dyn Change>, oneshot::Receiver<Result<(), StoreError>>) {
    let (reply, answer) = oneshot::channel();
    let change = PendingChange {
        input: (text, succeeds),
        action: make_note,
        outcome: None,
        reply,
    };
    (Box::new(change), answer)
}

fn texts(writer: &Connection) -> String {
    writer
        .query_row("SELECT group_concat(text) FROM notes", [], |row| row.get(0))
        .unwrap()
}

#[test]
fn what_an_earlier_group_left_open_is_undone_before_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = open_writer(&folder.path().join("fame.db")).unwrap();
    writer
        .execute_batch("CREATE TABLE notes (text TEXT); BEGIN IMMEDIATE; INSERT INTO notes VALUES ('failed')")
        .unwrap();
    let (_changes, mut queue) = mpsc::channel(1);
    let (change, _told) = noting("made", true);
    commit(&mut writer, &mut Group::of(change), &mut queue).unwrap();
    assert_eq!(texts(&writer), "made");
}

#[test]
fn of_changes_that_share_a_commit_one_that_fails_is_undone_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fame.db");
    let writer = open_writer(&path).unwrap();
    writer
        .execute_batch("CREATE TABLE notes (text TEXT UNIQUE)")
        .unwrap();
    let (changes, queue) = mpsc::channel(8);
    let mut answers = Vec::new();
    for (text, succeeds) in [
        ("first", true),
        ("second", false),
        ("third", true),
        ("first", true),
        ("fifth", true),
    ] {
        let (change, answer) = noting(text, succeeds);
        assert!(changes.try_send(change).is_ok());
        answers.push(answer);
    }
    drop(changes);
    write_in_groups(writer, queue);
    let answers: Vec<_> = answers
        .into_iter()
        .map(|mut answer| answer.try_recv().unwrap().is_ok())
        .collect();
    assert_eq!(answers, [true, false, true, false, true]);
    assert_eq!(
        texts(&open_reader(&path, READER_CACHE).unwrap()),
        "first,third,fifth"
    );
}

/// Refuses where the note is there already.
fn note_once<'t>(mut tx: Tx<'t>, text: &'t &'static str) -> BoxFuture<'t, Result<(), StoreError>> {
    Box::pin(async move {
        let count = tx.query("SELECT COUNT(*) FROM notes WHERE text = $1").bind(*text);
        match count.fetch_one::<(i64,)>().await? {
            (0,) => Err(StoreError::broken("refused: it is not there")),
            _ => Err(StoreError::broken("refused: it is there")),
        }
    })
}

fn refusing(text: &'static str) -> (Box<dyn Change>, oneshot::Receiver<Result<(), StoreError>>) {
    let (reply, answer) = oneshot::channel();
    let change = PendingChange {
        input: text,
        action: note_once,
        outcome: None,
        reply,
    };
    (Box::new(change), answer)
}

#[test]
fn a_refusal_that_rests_on_what_could_not_be_committed_is_not_given() {
    let folder = tempfile::tempdir().unwrap();
    let writer = open_writer(&folder.path().join("fame.db")).unwrap();
    // Whether a note's topic is there is only looked at by COMMIT.
    writer
        .execute_batch(
            "CREATE TABLE topics (name TEXT PRIMARY KEY);
             CREATE TABLE notes (text TEXT REFERENCES topics (name) DEFERRABLE INITIALLY DEFERRED)",
        )
        .unwrap();
    let (changes, queue) = mpsc::channel(8);
    let mut answers = Vec::new();
    for (change, answer) in [refusing("lost"), noting("lost", true), refusing("lost")] {
        assert!(changes.try_send(change).is_ok());
        answers.push(answer);
    }
    drop(changes);
    write_in_groups(writer, queue);
    let answers: Vec<_> = answers
        .into_iter()
        .map(|mut answer| answer.try_recv().unwrap().unwrap_err())
        .collect();
    assert!(matches!(&answers[0], StoreError::Broken(cause) if cause.to_string().contains("not there")));
    for answer in &answers[1..] {
        assert!(matches!(answer, StoreError::Unavailable(_)), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_read_that_nobody_wants_any_more_makes_room() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("fame.db").display());
    let settings = DatabaseSettings {
        connections: 1,
        ..DatabaseSettings::at(&url)
    };
    let db = open(&settings).await.unwrap();
    let numbers = "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers)";
    let endless = db.query(format!("{numbers} SELECT n FROM numbers WHERE n < 0"));
    drop(endless.stream::<(i64,)>(None, RECEIVED).await.unwrap());
    let long = db.query(format!(
        "{numbers} SELECT COUNT(*) FROM (SELECT n FROM numbers LIMIT 500000)"
    ));
    let counted = tokio::time::timeout(Duration::from_secs(20), long.fetch_one::<(i64,)>());
    assert_eq!(counted.await.unwrap().unwrap(), (500_000,));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_is_told_that_rows_are_missing() {
    let (sender, mut receiver) = mpsc::channel::<Result<Vec<i64>, StoreError>>(1);
    let sent = tokio::task::spawn_blocking(move || {
        let within = Duration::ZERO;
        (send(&sender, vec![1], within), send(&sender, vec![2], within))
    });
    let (first, second) = sent.await.unwrap();
    assert!(first.unwrap());
    assert!(second.unwrap_err().to_string().contains("too slowly"));
    assert_eq!(receiver.recv().await.unwrap().unwrap(), [1]);
}

/// Rows without end.
const NUMBERS: &str =
    "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers) SELECT n FROM numbers";

/// A database with one place for long reads, in its folder.
async fn with_one_place() -> (tempfile::TempDir, Db) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("fame.db").display());
    let settings = DatabaseSettings {
        connections: 1,
        ..DatabaseSettings::at(&url)
    };
    let db = open(&settings).await.unwrap();
    (folder, db)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_read_waits_only_so_long_for_others_that_are_slow() {
    let (_folder, db) = with_one_place().await;
    let slow = db.query(NUMBERS).stream::<(i64,)>(None, RECEIVED).await.unwrap();
    let other = || db.query(format!("{NUMBERS} LIMIT 100000")).fetch_all::<(i64,)>();
    assert!(matches!(other().await, Err(StoreError::Busy)));
    drop(slow);
    assert_eq!(other().await.unwrap().len(), 100_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_not_waited_for_holds_nothing() {
    let (_folder, db) = with_one_place().await;
    let mut slow = db
        .query(NUMBERS)
        .stream::<(i64,)>(None, Duration::ZERO)
        .await
        .unwrap();
    let other = db.query(format!("{NUMBERS} LIMIT 100000")).fetch_all::<(i64,)>();
    assert_eq!(other.await.unwrap().len(), 100_000);
    let mut taken = 0;
    let error = loop {
        match slow.try_next().await {
            Ok(batch) => taken += batch.unwrap().len(),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StoreError::TooSlow(_)), "{error}");
    assert_eq!(taken, BATCH * BATCHES_AHEAD);
}

#[tokio::test]
async fn a_batch_is_full_with_its_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("fame.db").display());
    for db in [url, test_support::postgres_cluster::database_url()] {
        let db = open(&DatabaseSettings::at(&db)).await.unwrap();
        let repeat = match db.dialect() {
            Dialect::Sqlite => "hex(zeroblob(50000))",
            Dialect::Postgres => "repeat('00', 50000)",
        };
        let numbers = "WITH RECURSIVE numbers (n) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT n + 1 FROM numbers WHERE n < 20)";
        let large = || db.query(format!("{numbers} SELECT {repeat}, n FROM numbers ORDER BY n"));
        assert_eq!(large().fetch_batch::<(String, i64)>().await.unwrap(), None);
        let mut rows = large().stream::<(String, i64)>(None, RECEIVED).await.unwrap();
        let mut sizes = Vec::new();
        while let Some(batch) = rows.try_next().await.unwrap() {
            sizes.push(batch.len());
        }
        assert_eq!(sizes, [3, 3, 3, 3, 3, 3, 2]);
        let small = db.query(format!("{numbers} SELECT '', n FROM numbers"));
        assert_eq!(
            small.fetch_batch::<(String, i64)>().await.unwrap().unwrap().len(),
            20
        );
    }
}
