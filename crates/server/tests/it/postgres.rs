//! PostgreSQL as it is in production: reached over a network, away for a while, in the way of itself.

use crate::harness::{APP, Backend, Environment, Harness, package};
use futures::future::join_all;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::{
    fs,
    future::IntoFuture,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use tempfile::TempDir;
use test_support::{
    postgres_cluster::{self, PostgresCluster, query},
    postgres_proxy::PostgresProxy,
};
use tokio::net::TcpListener;

/// An authority, and a certificate of it for `localhost` alone, in a folder.
fn certificates() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let authority = params.self_signed(&key).unwrap();
    let issuer = Issuer::from_params(&params, key);
    let server_key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let server = server.signed_by(&server_key, &issuer).unwrap();
    fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
    fs::write(folder.path().join("server.crt"), server.pem()).unwrap();
    fs::write(folder.path().join("server.key"), server_key.serialize_pem()).unwrap();
    folder
}

struct Encrypted {
    postgres: PostgresCluster,
    folder: TempDir,
}

impl Encrypted {
    fn start() -> Self {
        let folder = certificates();
        let postgres = PostgresCluster::with_certificate(folder.path());
        Self { postgres, folder }
    }

    fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    fn url(&self, host: &str, options: &str) -> String {
        let port = self.postgres.port.unwrap();
        format!("postgres://fame:secret@{host}:{port}/postgres?{options}")
    }

    /// Whether a service starts on it; if not, what it says.
    async fn tries(&self, host: &str, options: &str, authority: Option<&Path>) -> Result<(), String> {
        let mut plan = Harness::with(Backend::Postgres).on_database(&self.url(host, options));
        if let Some(authority) = authority {
            plan = plan.setting("database.ca_file", authority.display());
        }
        plan.tries_to_start().await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_it_encrypts_for_has_been_checked() {
    let server = Encrypted::start();
    let ours = server.authority();
    let others = certificates();
    let foreign = others.path().join("ca.pem");
    for mode in ["sslmode=require", "sslmode=verify-full", "sslmode=prefer"] {
        assert_eq!(
            server.tries("localhost", mode, Some(&ours)).await,
            Ok(()),
            "{mode}"
        );
        let refused = server.tries("localhost", mode, Some(&foreign)).await.unwrap_err();
        assert!(refused.contains("invalid peer certificate"), "{mode}: {refused}");
        let refused = server.tries("localhost", mode, None).await.unwrap_err();
        assert!(
            refused.contains("certificate"),
            "the system does not know it: {refused}"
        );
        let refused = server.tries("127.0.0.1", mode, Some(&ours)).await.unwrap_err();
        assert!(refused.contains("not valid for name"), "{mode}: {refused}");
    }
    let in_url = format!("sslmode=verify-full&sslrootcert={}", ours.display());
    assert_eq!(server.tries("localhost", &in_url, None).await, Ok(()));
    let refused = server
        .tries("localhost", "sslmode=disable", None)
        .await
        .unwrap_err();
    assert!(refused.contains("no encryption"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_connection_is_encrypted() {
    let server = Encrypted::start();
    let service = Harness::with(Backend::Postgres)
        .on_database(&server.url("localhost", "sslmode=verify-full"))
        .setting("database.ca_file", server.authority().display())
        .start()
        .await;
    service.owner().has_uploaded("1.0.0.0").await;
    let plain = "SELECT COUNT(*) FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid)
                 WHERE a.application_name LIKE 'fame%' AND NOT s.ssl";
    assert_eq!(query(&server.postgres.url, plain).await.as_deref(), Some("0"));
    let kinds = "SELECT string_agg(DISTINCT a.application_name, ', ') FROM pg_stat_ssl s
                 JOIN pg_stat_activity a USING (pid) WHERE s.ssl AND s.version = 'TLSv1.3'";
    let url = &server.postgres.url;
    service
        .until("both kinds of connections are there", async || {
            query(url, kinds).await.as_deref() == Some("fame, fame (signals)")
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authority_that_cannot_be_read_is_named() {
    let missing = "/no/such/ca.pem";
    let refused = Harness::with(Backend::Postgres)
        .on_database("postgres://fame@localhost/fame?sslmode=verify-full")
        .setting("database.ca_file", missing)
        .tries_to_start()
        .await
        .unwrap_err();
    assert!(refused.contains(missing), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_costs_nothing_that_was_acknowledged_and_ends_by_itself() {
    let mut postgres = PostgresCluster::start();
    // This one is killed: what it says it has must be written, if not to a disk.
    query(&postgres.url, "ALTER ROLE fame SET synchronous_commit = on").await;
    let service = Harness::with(Backend::Postgres)
        .on_database(&postgres.url)
        .start()
        .await;
    let owner = service.owner();
    owner.has_uploaded("1.0.0.0").await;

    postgres.stop();
    let begun = Instant::now();
    for _ in 0..20 {
        let answer = owner.get("/v1.4/apps").await.expect(503);
        assert_eq!(answer.code(), "ServiceUnavailable");
        assert_eq!(answer.header("retry-after"), "5");
        let path = owner.us("versions/1.0.0.0");
        owner.get(path).await.expect(503);
        owner.adds_country("DE").await.expect(503);
    }
    let ready = service.nobody().get("/health/ready").await.expect(503);
    assert_eq!(ready.property("database"), "unavailable");
    assert_eq!(ready.property("storage"), "available");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());

    postgres.start_again();
    service
        .until("the service works again", async || {
            owner.get("/v1.4/apps").await.status == 200
        })
        .await;
    owner.version("1.0.0.0").await.expect(200);
    owner.adds_country("DE").await.expect(200);
    service.nobody().get("/health/ready").await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_acknowledged_while_the_server_died_under_load_is_there_afterwards() {
    let mut postgres = PostgresCluster::start();
    query(&postgres.url, "ALTER ROLE fame SET synchronous_commit = on").await;
    let service = Harness::with(Backend::Postgres)
        .on_database(&postgres.url)
        .start()
        .await;
    let operator = service.operator();
    let report = |index: usize| {
        let operator = operator.clone();
        async move {
            let environment = Environment::named(&format!("Load{index}")).has(APP, "1.0.0.0");
            (index, operator.reports(&environment).await.status)
        }
    };
    let load = tokio::spawn(join_all((0..120).map(report)));
    service
        .until("half of it is done", async || {
            let done = query(&postgres.url, "SELECT COUNT(*) FROM environments").await;
            done.unwrap().parse::<usize>().unwrap() > 20
        })
        .await;
    postgres.restart();
    let answers = load.await.unwrap();
    service
        .until("the service works again", async || {
            operator.get("/operator/v1/environments").await.status == 200
        })
        .await;
    for (index, status) in answers {
        assert!([201, 503].contains(&status), "{status}");
        if status == 201 {
            let path = Environment::named(&format!("Load{index}")).operator_path();
            operator.get(path).await.expect(200);
        }
    }
    let again = Environment::named("After").has(APP, "1.0.0.0");
    operator.reports(&again).await.expect(201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_ended_unnoticed_cost_no_request() {
    let url = postgres_cluster::database_url();
    let service = Harness::with(Backend::Postgres).on_database(&url).start().await;
    let owner = service.owner();
    let end = "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity
               WHERE datname = current_database() AND application_name = 'fame'";
    for round in 0..10 {
        let ended = query(&url, end).await.unwrap();
        assert_ne!(ended, "0");
        if round % 2 == 0 {
            owner.get("/v1.4/apps").await.expect(200);
        } else {
            owner
                .adds_country(["DE", "FR", "GB", "NL", "BE"][round / 2])
                .await
                .expect(200);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_too_long_for_a_lock_or_a_connection_is_told_to_come_again() {
    let url = postgres_cluster::database_url();
    let service = Harness::with(Backend::Postgres).on_database(&url).start().await;
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls)
        .await
        .unwrap();
    let connection = tokio::spawn(connection);
    client
        .batch_execute("BEGIN; LOCK TABLE countries IN ACCESS EXCLUSIVE MODE")
        .await
        .unwrap();
    // Four connections wait for the lock, and everybody else for one of them.
    let owner = service.owner();
    let codes = ["DE", "FR", "GB", "NL", "BE", "DK", "ES", "IT"];
    let begun = Instant::now();
    let changes = codes.map(|code| owner.adds_country(code).into_future());
    let (answers, ready) = tokio::join!(join_all(changes), async {
        // A few have taken all connections before this one asks.
        tokio::task::yield_now().await;
        service.nobody().get("/health/ready").await
    });
    for answer in answers {
        assert_eq!(answer.expect(503).header("retry-after"), "5");
    }
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert!([200, 503].contains(&ready.status));
    drop(client);
    connection.await.unwrap().unwrap();
    for code in codes {
        owner.adds_country(code).await.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_says_nothing_is_not_waited_for_long() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("postgres://fame@{}/fame", silent.local_addr().unwrap());
    let begun = Instant::now();
    let refused = Harness::with(Backend::Postgres)
        .on_database(&url)
        .tries_to_start()
        .await
        .unwrap_err();
    assert!(refused.contains("no connection within 5 seconds"), "{refused}");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_on_which_nothing_moves_any_more_are_given_up() {
    let postgres = PostgresCluster::start();
    let proxy = PostgresProxy::to(&postgres).await;
    let service = Harness::with(Backend::Postgres)
        .on_database(&proxy.url_of("postgres"))
        .start()
        .await;
    let owner = service.owner();
    proxy.freeze();
    let begun = Instant::now();
    let (read, ready) = tokio::join!(owner.get("/v1.4/apps").into_future(), async {
        let ready = service.nobody().get("/health/ready").await;
        (ready, begun.elapsed())
    });
    assert_eq!(read.expect(503).header("retry-after"), "5");
    assert!(begun.elapsed() < Duration::from_secs(25), "{:?}", begun.elapsed());
    let (ready, after) = ready;
    assert_eq!(ready.expect(503).property("database"), "unavailable");
    assert!(after < Duration::from_secs(5), "{after:?}");
    proxy.release();
    service
        .until("the service works again", async || {
            owner.get("/v1.4/apps").await.status == 200
        })
        .await;
    owner.adds_country("DE").await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_carried_out_during_an_outage_is_reported_after_it() {
    let mut postgres = PostgresCluster::start();
    query(&postgres.url, "ALTER ROLE fame SET synchronous_commit = on").await;
    let service = Harness::with(Backend::Postgres)
        .on_database(&postgres.url)
        .setting("executor.poll_seconds", 1)
        .start()
        .await;
    service.owner().has_uploaded("1.0.0.1").await;
    let environment = Environment::my_customer("1.0.0.0");
    service.operator().reports(&environment).await.expect(201);
    let hotfix = service
        .owner()
        .schedules_at_once(&environment, "1.0.0.1")
        .await
        .expect(200);
    service.catches_up().await;
    postgres.stop();
    // The outage lasts longer than a lease.
    let told = service.advances_in_vain(Duration::from_secs(400)).await;
    assert!(told.contains("503 Service Unavailable"), "{told}");
    postgres.start_again();
    let path = service.reader().hotfix_path(&hotfix);
    service
        .until("it is told as done", async || {
            drop(service.tries_to_catch_up().await);
            let answer = service.reader().get(&path).await;
            answer.status == 200 && answer.property("status") == "Succeeded"
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_only_reads_is_told_as_unavailable_until_it_writes_again() {
    let url = postgres_cluster::database_url();
    let service = Harness::with(Backend::Postgres).on_database(&url).start().await;
    let name = query(&url, "SELECT current_database()").await.unwrap();
    let read_only = |is: &str| format!("ALTER DATABASE {name} SET default_transaction_read_only = {is}");
    let end = "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity
               WHERE datname = current_database() AND application_name = 'fame'";
    query(&url, &read_only("on")).await;
    query(&url, end).await;
    service.owner().get("/v1.4/apps").await.expect(200);
    let refused = service.owner().adds_country("DE").await.expect(503);
    assert_eq!(refused.header("retry-after"), "5");
    query(&url, &format!("BEGIN READ WRITE; {}; COMMIT", read_only("off"))).await;
    // No connection has to be ended by hand: those that only read have been given up.
    service
        .until("changes are made again", async || {
            service.owner().adds_country("DE").await.status == 200
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_planned_stop_waits_for_uploads_whose_sender_has_gone() {
    let url = postgres_cluster::database_url();
    let service = Harness::with(Backend::Postgres).on_database(&url).start().await;
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls)
        .await
        .unwrap();
    let connection = tokio::spawn(connection);
    client
        .batch_execute("BEGIN; SELECT 1 FROM apps FOR UPDATE")
        .await
        .unwrap();
    let upload = tokio::spawn(
        service
            .owner()
            .uploads(&package("1.0.0.0"), "Available")
            .into_future(),
    );
    let waiting = "SELECT COUNT(*) FROM pg_stat_activity
                   WHERE datname = current_database() AND wait_event_type = 'Lock'";
    service
        .until("the upload takes its version's place", async || {
            query(&url, waiting).await.as_deref() == Some("1")
        })
        .await;
    upload.abort();
    tokio::join!(biased; service.drains(), async {
        client.batch_execute("COMMIT").await.unwrap();
    });
    let version = service.owner().version("1.0.0.0").await.expect(200);
    assert_eq!(version.property("status"), "Uploaded");
    drop(client);
    connection.await.unwrap().unwrap();
}
