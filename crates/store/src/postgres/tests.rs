use super::*;
use crate::db::{BATCH, RECEIVED};
use test_support::postgres_cluster;

fn database() -> Postgres {
    with_connections(4)
}

fn with_connections(connections: usize) -> Postgres {
    let settings = DatabaseSettings {
        connections,
        ..DatabaseSettings::at(&postgres_cluster::database_url())
    };
    Postgres::new(&settings).unwrap()
}

async fn kind_of(postgres: &Postgres, code: &str) -> &'static str {
    let raise = format!("DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '{code}'; END $$");
    match postgres.fetch_all::<(i64,)>(&raise, &[]).await.unwrap_err() {
        StoreError::Conflict { .. } => "conflict",
        StoreError::Busy => "busy",
        StoreError::Unavailable(_) => "unavailable",
        StoreError::InDoubt(_) => "in doubt",
        StoreError::TooSlow(_) => "too slow",
        StoreError::Broken(_) => "broken",
    }
}

#[tokio::test]
async fn what_the_server_says_is_understood_by_its_code() {
    let postgres = database();
    let cases = [
        ("40001", "busy"),
        ("40P01", "busy"),
        ("55P03", "busy"),
        ("57014", "busy"),
        ("25006", "unavailable"),
        ("28P01", "unavailable"),
        ("3D000", "unavailable"),
        ("53100", "unavailable"),
        ("53300", "unavailable"),
        ("57P01", "unavailable"),
        ("58030", "unavailable"),
        ("08006", "unavailable"),
        ("23505", "conflict"),
        ("42601", "broken"),
        ("XX001", "broken"),
    ];
    for (code, expected) in cases {
        assert_eq!(kind_of(&postgres, code).await, expected, "{code}");
    }
}

#[tokio::test]
async fn a_change_that_met_others_is_made_again_until_it_is_made() {
    let postgres = database();
    let attempts = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    let made = postgres.write(attempts.clone(), |mut tx, attempts| {
        Box::pin(async move {
            let attempt = attempts.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            if attempt < 3 {
                let raise = "DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '40P01'; END $$";
                tx.query(raise).execute().await?;
            }
            Ok::<_, StoreError>(attempt)
        })
    });
    assert_eq!(made.await.unwrap(), 3);
}

#[tokio::test]
async fn what_takes_too_long_is_canceled_at_the_server_too() {
    let postgres = database();
    let client = postgres.connections.get().await.unwrap();
    let sleeping = client.query("SELECT pg_sleep(600)", &[]);
    timeout(Duration::from_millis(200), sleeping).await.unwrap_err();
    drop(client);
    let asleep = "SELECT COUNT(*) FROM pg_stat_activity
                  WHERE datname = current_database() AND query LIKE '%pg_sleep(600)%'
                    AND state = 'active' AND pid <> pg_backend_pid()";
    let gone = async {
        while postgres.fetch_all::<(i64,)>(asleep, &[]).await.unwrap() != [(0,)] {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(20), gone).await.unwrap();
}

const NUMBERS: &str = "SELECT generate_series(1::BIGINT, 1000000000000) AS n";

/// The next caller gets the only connection; if not, they are told after a while that the database is busy.
async fn the_next_one_is_served(postgres: &Postgres) {
    let served = postgres.fetch_all::<(i64,)>("SELECT 1::BIGINT", &[]).await;
    assert_eq!(served.unwrap(), [(1,)]);
}

#[tokio::test]
async fn what_a_caller_left_running_is_no_burden_to_the_next() {
    let postgres = with_connections(1);
    let gone_after = Duration::from_millis(300);
    let endless = format!("SELECT n FROM ({NUMBERS}) numbers WHERE n < 0");
    let read = postgres.fetch_all::<(i64,)>(&endless, &[]);
    timeout(gone_after, read).await.unwrap_err();
    the_next_one_is_served(&postgres).await;
    let change = postgres.write(endless, |mut tx, endless| {
        Box::pin(async move { tx.query(endless.as_str()).execute().await })
    });
    timeout(gone_after, change).await.unwrap_err();
    the_next_one_is_served(&postgres).await;
    drop(
        postgres
            .stream::<(i64,)>(NUMBERS.into(), Vec::new(), None, RECEIVED)
            .await
            .unwrap(),
    );
    the_next_one_is_served(&postgres).await;
    let running = "SELECT COUNT(*) FROM pg_stat_activity
                   WHERE datname = current_database() AND query LIKE '%generate_series%'
                     AND state = 'active' AND pid <> pg_backend_pid()";
    let gone = async {
        while postgres.fetch_all::<(i64,)>(running, &[]).await.unwrap() != [(0,)] {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(20), gone).await.unwrap();
}

#[tokio::test]
async fn whoever_has_all_the_rows_wanted_leaves_the_connection_as_it_is() {
    let postgres = with_connections(1);
    let pid = "SELECT pg_backend_pid()::BIGINT";
    let before = postgres.fetch_all::<(i64,)>(pid, &[]).await.unwrap();
    for _ in 0..20 {
        // The end of the result comes after the last batch.
        let sql = format!("SELECT n FROM generate_series(1::BIGINT, {}) n", 2 * BATCH);
        let mut rows = postgres
            .stream::<(i64,)>(sql, Vec::new(), None, RECEIVED)
            .await
            .unwrap();
        rows.try_next().await.unwrap();
        rows.try_next().await.unwrap();
    }
    assert_eq!(postgres.fetch_all::<(i64,)>(pid, &[]).await.unwrap(), before);
}

#[tokio::test]
async fn a_slow_reader_is_told_that_rows_are_missing() {
    let postgres = with_connections(1);
    let (client, rows) = postgres.open_stream(NUMBERS, &[]).await.unwrap();
    let (sender, mut receiver) = mpsc::channel::<Result<Vec<(i64,)>, StoreError>>(BATCHES_AHEAD);
    let sending = tokio::spawn(send_rows(client, rows, sender, Duration::ZERO));
    // It has given up once its connection is free for others.
    the_next_one_is_served(&postgres).await;
    let mut last = None;
    while let Some(batch) = receiver.recv().await {
        last = Some(batch);
    }
    let error = last.unwrap().unwrap_err().to_string();
    assert!(error.contains("too slowly"), "{error}");
    sending.await.unwrap();
}

#[tokio::test]
async fn streams_leave_connections_to_everybody_else() {
    let postgres = with_connections(2);
    let stream = || postgres.stream::<(i64,)>(NUMBERS.into(), Vec::new(), None, RECEIVED);
    let slow = stream().await.unwrap();
    the_next_one_is_served(&postgres).await;
    assert!(matches!(stream().await.err(), Some(StoreError::Busy)));
    the_next_one_is_served(&postgres).await;
    drop(slow);
    drop(stream().await.unwrap());
}
