use super::*;
use crate::{open, settings::DatabaseSettings};
use std::sync::Arc;
use tempfile::TempDir;
use test_support::postgres_cluster;
use tokio::sync::Notify;

const NOW: Instant = Instant(1_000);
const LATER: Instant = Instant(2_000);
const MANY: i64 = 100;

async fn on_both<F: Future<Output = ()>>(test: impl Fn(Db) -> F) {
    let folder = TempDir::new().unwrap();
    let file = format!("sqlite:{}", folder.path().join("fame.db").display());
    for url in [file, postgres_cluster::database_url()] {
        let db = open(&DatabaseSettings::at(&url)).await.unwrap();
        ends(&db, "webhooks").await;
        ends(&db, "feed").await;
        test(db).await;
    }
}

/// Nobody is told any more who was.
async fn ends(db: &Db, consumer: &'static str) {
    db.write(consumer, |mut tx, consumer| {
        Box::pin(async move {
            let ended = tx.query("DELETE FROM event_cursors WHERE consumer = $1");
            ended.bind(*consumer).execute().await
        })
    })
    .await
    .unwrap();
}

fn event(number: u128) -> Event {
    Event {
        id: Uuid::from_u128(number),
        kind: "hotfix.scheduled".into(),
        app_id: Some(AppId(Uuid::from_u128(7))),
        environment_id: None,
        operation_id: None,
        payload: "{}".into(),
        recorded_on: NOW,
    }
}

async fn happens(db: &Db, numbers: &[u128]) {
    let events: Vec<_> = numbers.iter().copied().map(event).collect();
    db.write(events, |mut tx, events| {
        Box::pin(async move { insert_events(&mut tx, events).await })
    })
    .await
    .unwrap();
}

/// A server that has delivered the event of that number, which is also its position, if it is any.
fn deliverer(id: u128, delivered: i64) -> Deliverer {
    Deliverer {
        consumer: "telemetry",
        id: Uuid::from_u128(id),
        delivered: (delivered > 0).then(|| Delivered {
            id: Uuid::from_u128(delivered.unsigned_abs().into()),
            position: delivered,
        }),
        now: NOW,
        until: LATER,
    }
}

async fn next(db: &Db, deliverer: Deliverer, most: i64) -> Next {
    let input = (deliverer, most);
    db.write(input, |mut tx, (deliverer, most)| {
        Box::pin(async move { next_events(&mut tx, deliverer, *most).await })
    })
    .await
    .unwrap()
}

/// The events by their numbers, and the position of the last.
fn numbers(next: &Next) -> (Vec<u128>, i64) {
    match next {
        Next::Events(events, last) => (events.iter().map(|event| event.id.as_u128()).collect(), *last),
        other => panic!("{other:?}"),
    }
}

async fn count(db: &Db) -> i64 {
    let counted = db.query("SELECT COUNT(*) FROM events").fetch_one::<(i64,)>();
    counted.await.unwrap().0
}

#[tokio::test]
async fn what_happened_comes_in_batches_in_order_and_goes_when_it_was_told() {
    on_both(|db| async move {
        assert!(!has_next(&db, "telemetry").await.unwrap());
        happens(&db, &[1, 2, 3]).await;
        happens(&db, &[4]).await;
        assert!(has_next(&db, "telemetry").await.unwrap());
        let first = next(&db, deliverer(1, 0), 3).await;
        assert_eq!(numbers(&first), (vec![1, 2, 3], 3));
        let Next::Events(events, _) = first else {
            unreachable!()
        };
        assert_eq!(events[0], event(1));
        assert_eq!(numbers(&next(&db, deliverer(1, 3), 3).await), (vec![4], 4));
        assert_eq!(count(&db).await, 1);
        assert_eq!(next(&db, deliverer(1, 4), 3).await, Next::Nothing);
        assert_eq!(count(&db).await, 0);
        happens(&db, &[5]).await;
        assert_eq!(numbers(&next(&db, deliverer(1, 0), 3).await), (vec![5], 5));
    })
    .await;
}

#[tokio::test]
async fn what_another_server_tells_is_left_to_it_until_its_time_is_over() {
    on_both(|db| async move {
        happens(&db, &[1]).await;
        assert_eq!(numbers(&next(&db, deliverer(1, 0), MANY).await), (vec![1], 1));
        assert_eq!(next(&db, deliverer(2, 0), MANY).await, Next::DeliveredByAnother);
        let late = Deliverer {
            now: Instant(LATER.0 + 1),
            ..deliverer(2, 0)
        };
        assert_eq!(numbers(&next(&db, late, MANY).await), (vec![1], 1));
        assert_eq!(next(&db, deliverer(1, 1), MANY).await, Next::DeliveredByAnother);
        assert_eq!(next(&db, deliverer(2, 1), MANY).await, Next::Nothing);
        happens(&db, &[2]).await;
        assert_eq!(numbers(&next(&db, deliverer(1, 1), MANY).await), (vec![2], 2));
    })
    .await;
}

#[tokio::test]
async fn what_one_consumer_was_told_of_stays_for_another() {
    on_both(|db| async move {
        db.write((), |mut tx, ()| {
            Box::pin(async move {
                let sql = "INSERT INTO event_cursors (consumer, position) VALUES ('another', 0)";
                tx.query(sql).execute().await
            })
        })
        .await
        .unwrap();
        happens(&db, &[1, 2]).await;
        assert_eq!(numbers(&next(&db, deliverer(1, 0), MANY).await).1, 2);
        assert_eq!(next(&db, deliverer(1, 2), MANY).await, Next::Nothing);
        assert!(!has_next(&db, "telemetry").await.unwrap());
        let another = |delivered| Deliverer {
            consumer: "another",
            ..deliverer(1, delivered)
        };
        assert_eq!(numbers(&next(&db, another(0), 1).await), (vec![1], 1));
        assert_eq!(numbers(&next(&db, another(1), 1).await), (vec![2], 2));
        assert_eq!(count(&db).await, 1);
    })
    .await;
}

/// As after a failover to a standby that lags behind, or when a backup is put back.
#[tokio::test]
async fn what_was_told_before_the_database_went_back_hides_nothing() {
    on_both(|db| async move {
        happens(&db, &[1, 2]).await;
        assert_eq!(numbers(&next(&db, deliverer(1, 0), MANY).await), (vec![1, 2], 2));
        for sql in ["DELETE FROM events", "UPDATE event_cursors SET position = 0"] {
            db.write(sql, |mut tx, sql| {
                Box::pin(async move { tx.query(*sql).execute().await })
            })
            .await
            .unwrap();
        }
        happens(&db, &[3, 4, 5]).await;
        assert_eq!(
            numbers(&next(&db, deliverer(1, 2), MANY).await),
            (vec![3, 4, 5], 3)
        );
        assert_eq!(count(&db).await, 3);
    })
    .await;
}

/// The number of the first is lower, and its transaction the older one.
#[tokio::test]
async fn what_is_committed_later_is_not_passed_over() {
    let db = open(&DatabaseSettings::at(&postgres_cluster::database_url()))
        .await
        .unwrap();
    let (added, goes_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let slow = tokio::spawn({
        let (db, input) = (db.clone(), (Arc::clone(&added), Arc::clone(&goes_on)));
        async move {
            db.write(input, |mut tx, (added, goes_on)| {
                Box::pin(async move {
                    insert_events(&mut tx, &[event(1)]).await?;
                    added.notify_one();
                    goes_on.notified().await;
                    Ok::<_, StoreError>(())
                })
            })
            .await
        }
    });
    added.notified().await;
    happens(&db, &[2]).await;
    assert_eq!(numbers(&next(&db, deliverer(1, 0), MANY).await), (vec![2], 1));
    let delivered = Deliverer {
        delivered: Some(Delivered {
            id: Uuid::from_u128(2),
            position: 1,
        }),
        ..deliverer(1, 0)
    };
    assert_eq!(next(&db, delivered, MANY).await, Next::Nothing);
    goes_on.notify_one();
    slow.await.unwrap().unwrap();
    assert!(has_next(&db, "telemetry").await.unwrap());
    assert_eq!(numbers(&next(&db, deliverer(1, 1), MANY).await), (vec![1], 2));
}

#[tokio::test]
async fn an_event_of_a_change_that_fails_has_not_happened() {
    on_both(|db| async move {
        let failed: Result<(), StoreError> = db
            .write((), |mut tx, ()| {
                Box::pin(async move {
                    insert_events(&mut tx, &[event(1)]).await?;
                    Err(StoreError::broken("no"))
                })
            })
            .await;
        failed.unwrap_err();
        assert!(!has_next(&db, "telemetry").await.unwrap());
    })
    .await;
}

/// The positions of what is kept, and of the events of an app behind one.
async fn line(db: &Db, app: Option<AppId>, after: i64) -> (i64, i64, Vec<i64>) {
    let Kept { after: from, end } = kept(db).await.unwrap();
    let found = read_line(db, app, after, MANY).await.unwrap();
    (from, end, found.iter().map(|(position, _)| *position).collect())
}

async fn forgets(db: &Db, before: Instant, most: i64, batch: i64) -> bool {
    db.write((before, most, batch), |mut tx, (before, most, batch)| {
        Box::pin(async move { forget(&mut tx, *before, *most, *batch).await })
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn what_everybody_was_told_is_kept_for_the_feed_until_it_is_old() {
    on_both(|db| async move {
        db.write((), |mut tx, ()| {
            Box::pin(async move {
                let sql = "INSERT INTO event_cursors (consumer, position) VALUES ('feed', 0)";
                tx.query(sql).execute().await
            })
        })
        .await
        .unwrap();
        happens(&db, &[1, 2, 3]).await;
        assert_eq!(line(&db, None, 0).await, (0, 0, vec![]));
        assert_eq!(oldest(&db).await.unwrap(), Some(NOW));
        assert_eq!(numbers(&next(&db, deliverer(1, 0), MANY).await).1, 3);
        assert_eq!(oldest(&db).await.unwrap(), Some(NOW));
        assert!(!forgets(&db, LATER, MANY, MANY).await, "nobody has been told yet");
        assert_eq!(next(&db, deliverer(1, 3), MANY).await, Next::Nothing);
        assert_eq!(oldest(&db).await.unwrap(), None);

        assert_eq!(line(&db, None, 1).await, (0, 3, vec![2, 3]));
        assert_eq!(
            line(&db, Some(AppId(Uuid::from_u128(7))), 1).await,
            (0, 3, vec![2, 3])
        );
        assert_eq!(
            line(&db, Some(AppId(Uuid::from_u128(8))), 0).await,
            (0, 3, vec![])
        );
        assert!(!forgets(&db, NOW, MANY, MANY).await);
        assert!(forgets(&db, NOW, 2, MANY).await);
        assert_eq!(line(&db, None, 0).await, (1, 3, vec![2, 3]));
        assert!(forgets(&db, LATER, MANY, 1).await);
        assert_eq!(line(&db, None, 0).await, (2, 3, vec![3]));
        assert!(forgets(&db, LATER, MANY, 1).await);
        assert!(!forgets(&db, LATER, MANY, 1).await);
        assert_eq!(line(&db, None, 0).await, (3, 3, vec![]));
        assert_eq!(count(&db).await, 0);
    })
    .await;
}
