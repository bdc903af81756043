use super::*;
use crate::postgres_cluster;

fn database() -> Postgres {
    Postgres::new(&DatabaseSettings::at(&postgres_cluster::database_url())).unwrap()
}

async fn kind_of(postgres: &Postgres, code: &str) -> &'static str {
    let raise = format!("DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '{code}'; END $$");
    match postgres.fetch_all::<(i64,)>(&raise, &[]).await.unwrap_err() {
        StoreError::Conflict { .. } => "conflict",
        StoreError::Busy => "busy",
        StoreError::Unavailable(_) => "unavailable",
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
            Ok(attempt)
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
    postgres.connections.abandon(client);
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
