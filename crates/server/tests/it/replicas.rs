//! Several servers on one PostgreSQL, as one service.

use crate::harness::{Backend, Environment, Harness, on_both_databases};
use futures::future::join_all;
use std::time::{Duration, Instant};
use test_support::postgres_cluster::{self, query};

on_both_databases!(
    a_database_of_a_newer_version_is_refused,
    a_database_of_another_build_is_refused,
    a_database_that_is_migrated_separately_must_be_up_to_date,
);

/// Changes the database under a service that has stopped.
async fn alter(url: &str, statement: &str) {
    match url.strip_prefix("sqlite:") {
        Some(path) => {
            let connection = rusqlite::Connection::open(path).unwrap();
            connection.execute_batch(statement).unwrap();
        }
        None => drop(query(url, statement).await),
    }
}

async fn a_database_of_a_newer_version_is_refused(backend: Backend) {
    let stopped = Harness::start(backend).await.crash().await;
    let newer = match backend {
        Backend::Sqlite => "INSERT INTO migrations (id, sha256) VALUES (9999, x'00')",
        Backend::Postgres => "INSERT INTO migrations (id, sha256) VALUES (9999, '\\x00')",
    };
    alter(&stopped.database_url(), newer).await;
    let refused = stopped.tries_to_start().await.unwrap_err();
    assert!(
        refused.contains("9999") && refused.contains("newer version"),
        "{refused}"
    );
    alter(&stopped.database_url(), "DELETE FROM migrations WHERE id = 9999").await;
    assert_eq!(stopped.tries_to_start().await, Ok(()));
}

async fn a_database_of_another_build_is_refused(backend: Backend) {
    let stopped = Harness::start(backend).await.crash().await;
    let other = match backend {
        Backend::Sqlite => "UPDATE migrations SET sha256 = x'00' WHERE id = 1",
        Backend::Postgres => "UPDATE migrations SET sha256 = '\\x00' WHERE id = 1",
    };
    alter(&stopped.database_url(), other).await;
    let refused = stopped.tries_to_start().await.unwrap_err();
    assert!(
        refused.contains("migration 1") && refused.contains("other content"),
        "{refused}"
    );
}

/// How many there are.
fn migrations() -> usize {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../store/migrations");
    std::fs::read_dir(folder).unwrap().count()
}

async fn a_database_that_is_migrated_separately_must_be_up_to_date(backend: Backend) {
    let plan = Harness::with(backend).setting("database.migrate", "separately");
    let refused = plan.tries_to_start().await.unwrap_err();
    let all = (1..=migrations()).map(|id| id.to_string());
    let lacks = format!(
        "it lacks migrations {}; run 'fame migrate'",
        all.collect::<Vec<_>>().join(", ")
    );
    assert!(refused.contains(&lacks), "{refused}");
    let stopped = Harness::start(backend).await.crash().await;
    let stopped = stopped.with("database.migrate", "separately");
    assert_eq!(stopped.tries_to_start().await, Ok(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn several_servers_may_start_at_once_on_an_empty_database() {
    for _ in 0..4 {
        let url = postgres_cluster::database_url();
        let starts = (0..5).map(|_| {
            let plan = Harness::with(Backend::Postgres).on_database(&url);
            tokio::spawn(plan.start_empty())
        });
        for started in join_all(starts).await {
            let service = started.unwrap();
            service.nobody().get("/health/ready").await.expect(200);
        }
        let applied = query(&url, "SELECT COUNT(*) FROM migrations").await;
        assert_eq!(applied, Some(migrations().to_string()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_on_one_machine_may_share_their_folder() {
    let one = Harness::start(Backend::Postgres).await;
    let other = one.beside("server.drain_seconds", "20").await;
    one.owner().has_uploaded("1.0.0.0").await;
    let path = one.owner().us("versions/1.0.0.0/getPackageContents");
    let stored = one.owner().get(&path).await.expect(200).body;
    assert_eq!(other.owner().get(&path).await.expect(200).body, stored);
    other
        .owner()
        .uploads(&crate::harness::package("1.0.0.0"), "Available")
        .await
        .refused(409, "ResourceExists");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_belongs_to_one_server() {
    let one = Harness::start(Backend::Sqlite).await;
    let refused = one.tries_another().await.unwrap_err();
    assert!(refused.contains("another process is using"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_to_a_file_that_is_not_there_yet_leads_to_the_same_file() {
    let folder = tempfile::tempdir().unwrap();
    let (file, link) = (folder.path().join("real.db"), folder.path().join("link.db"));
    std::os::unix::fs::symlink(&file, &link).unwrap();
    let on = |path: &std::path::Path| {
        Harness::with(Backend::Sqlite).on_database(&format!("sqlite:{}", path.display()))
    };
    let one = on(&link).start().await;
    let refused = on(&file).tries_to_start().await.unwrap_err();
    assert!(refused.contains("another process is using"), "{refused}");
    drop(one.crash().await);
    assert_eq!(on(&file).tries_to_start().await, Ok(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_with_another_name_is_refused() {
    let stopped = Harness::start(Backend::Sqlite).await.crash().await;
    let file = stopped.settings().database.url.sqlite_path().unwrap();
    let other = stopped.folder().join("other.db");
    std::fs::hard_link(&file, &other).unwrap();
    let refused = stopped.tries_to_start().await.unwrap_err();
    assert!(refused.contains("hard links"), "{refused}");
    std::fs::remove_file(&other).unwrap();
    assert_eq!(stopped.tries_to_start().await, Ok(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_where_a_lock_belongs_harms_nothing() {
    let stopped = Harness::start(Backend::Sqlite).await.crash().await;
    let file = stopped.settings().database.url.sqlite_path().unwrap();
    let size = std::fs::metadata(&file).unwrap().len();
    for lock in ["fame.lock", "fame.db.lock"] {
        let lock = stopped.folder().join(lock);
        std::fs::remove_file(&lock).unwrap();
        std::os::unix::fs::symlink(&file, &lock).unwrap();
        let refused = stopped.tries_to_start().await.unwrap_err();
        assert!(refused.contains("no plain file"), "{refused}");
        assert_eq!(std::fs::metadata(&file).unwrap().len(), size);
        std::fs::remove_file(&lock).unwrap();
    }
    assert_eq!(stopped.tries_to_start().await, Ok(()));
}

/// It would take the first one's uploads for what a crash left behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_belongs_to_one_server_whatever_else_is_set_and_however_it_is_called() {
    let one = Harness::start(Backend::Sqlite).await;
    let file = one.settings().database.url.sqlite_path().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("link.db");
    std::os::unix::fs::symlink(&file, &link).unwrap();
    let linked_folder = folder.path().join("data");
    std::os::unix::fs::symlink(file.parent().unwrap(), &linked_folder).unwrap();
    for path in [file, link, linked_folder.join("fame.db")] {
        let refused = Harness::with(Backend::Sqlite)
            .on_database(&format!("sqlite:{}", path.display()))
            .tries_to_start()
            .await
            .unwrap_err();
        assert!(refused.contains("another process is using"), "{refused}");
        assert!(refused.contains("fame.db"), "{refused}");
    }
}

/// The servers would find the work by themselves only after an hour.
const AFTER_AN_HOUR: (&str, u32) = ("executor.poll_seconds", 3_600);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_made_through_one_server_is_taken_up_by_another_at_once() {
    let (key, value) = AFTER_AN_HOUR;
    let state = Harness::with(Backend::Postgres).setting(key, value).start().await;
    let worker = state.beside("server.drain_seconds", "20").await;
    let _agent = worker.has_a_waiting_agent().await;
    state.owner().has_uploaded("1.0.0.1").await;
    for name in ["One", "Two", "Three"] {
        let environment = Environment::named(name).has(crate::harness::APP, "1.0.0.0");
        state.operator().reports(&environment).await.expect(201);
        let hotfix = state
            .owner()
            .schedules_at_once(&environment, "1.0.0.1")
            .await
            .expect(200);
        let begun = Instant::now();
        worker
            .until("the agent at the other server starts it", async || {
                state.reader().looks_at(&hotfix).await.property("status") == "Running"
            })
            .await;
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signals_are_heard_again_after_their_connection_broke() {
    let (key, value) = AFTER_AN_HOUR;
    let url = postgres_cluster::database_url();
    let state = Harness::with(Backend::Postgres)
        .on_database(&url)
        .setting(key, value)
        .start()
        .await;
    let worker = state.beside("server.drain_seconds", "20").await;
    let _agent = worker.has_a_waiting_agent().await;
    state.owner().has_uploaded("1.0.0.1").await;
    let environment = Environment::my_customer("1.0.0.0");
    state.operator().reports(&environment).await.expect(201);
    let listeners = "SELECT COALESCE(string_agg(pid::text, ',' ORDER BY pid), '') FROM pg_stat_activity
                     WHERE datname = current_database() AND application_name = 'fame (signals)'";
    let both = async |are: &str| {
        let pids = query(&url, listeners).await.unwrap();
        (pids.split(',').filter(|pid| !pid.is_empty()).count() == 2 && pids != are).then_some(pids)
    };
    let before = std::sync::Mutex::new(String::new());
    worker
        .until("both listen", async || match both("").await {
            Some(pids) => {
                *before.lock().unwrap() = pids;
                true
            }
            None => false,
        })
        .await;
    let before = before.into_inner().unwrap();
    query(
        &url,
        &format!("SELECT pg_terminate_backend(pid) FROM unnest(ARRAY[{before}]) pid"),
    )
    .await;
    worker
        .until("both listen again", async || both(&before).await.is_some())
        .await;
    let hotfix = state
        .owner()
        .schedules_at_once(&environment, "1.0.0.1")
        .await
        .expect(200);
    worker
        .until("the agent at the other server starts it", async || {
            state.reader().looks_at(&hotfix).await.property("status") == "Running"
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_service_needs_no_right_to_change_tables() {
    let url = postgres_cluster::database_url();
    let owner = query(&url, "SELECT current_user").await.unwrap();
    let role = format!("fame_app_{}", uuid::Uuid::new_v4().simple());
    query(&url, &format!("CREATE ROLE {role} LOGIN PASSWORD 'secret'")).await;
    let grant = format!(
        "ALTER DEFAULT PRIVILEGES FOR ROLE {owner} GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {role}"
    );
    query(&url, &grant).await;
    query(&url, "REVOKE CREATE ON SCHEMA public FROM PUBLIC").await;
    let (scheme, rest) = url.split_once("://").unwrap();
    let (_, place) = rest.rsplit_once('@').unwrap();
    let limited = format!("{scheme}://{role}:secret@{place}");

    let refused = Harness::with(Backend::Postgres)
        .on_database(&limited)
        .setting("database.migrate", "at_start")
        .tries_to_start()
        .await;
    assert!(refused.unwrap_err().contains("permission denied"));
    let migrated = Harness::with(Backend::Postgres)
        .on_database(&url)
        .tries_to_start()
        .await;
    assert_eq!(migrated, Ok(()));
    for migrate in ["separately", "at_start"] {
        let service = Harness::with(Backend::Postgres)
            .on_database(&limited)
            .setting("database.migrate", migrate)
            .setting("retention.operations_days", 7)
            .setting("retention.audit_days", 30)
            .start_empty()
            .await;
        let app = uuid::Uuid::new_v4();
        service.has_app(app).await;
        let owner = service.owner().on(app);
        let package = crate::harness::package_of(app, "1.0.0.1");
        owner.uploads(&package, "Available").await.expect(200);
        let environment = Environment::named(migrate).has(app, "1.0.0.0");
        service.operator().reports(&environment).await.expect(201);
        owner.schedules_at_once(&environment, "1.0.0.1").await.expect(200);
        service.finishes_work().await;
        service.advances(Duration::from_secs(40 * 24 * 3_600)).await;
        let hotfixes = owner.get(owner.us("environmentHotfixes")).await.expect(200);
        assert!(hotfixes.rows().is_empty(), "{hotfixes:?}");
        drop(service.crash().await);
    }
}
