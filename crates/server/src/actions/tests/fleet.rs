//! Many environments with many apps, each of which has a hotfix waiting, and several services at work on them.

use super::{Fixture, NOW, OWNER, TENANT, owner_asks, us};
use crate::{
    actions::{
        Service,
        agents::{AgentCaller, Credential, LookUps},
        apps::{RegisterApp, put_app},
        clock_check::ClockCheck,
        countries::patch_country,
        environments::{EnvironmentReport, put_environment},
        execution::{self, Claimed, Outcome, Report, WaitingClaims},
        hotfixes::{ScheduleHotfix, get_hotfix, schedule_hotfix},
        preconditions::Preconditions,
        upload_places::UploadPlaces,
    },
    blobs::Blobs,
    clock::Clock,
    config::{DatabaseSettings, DestinationSettings, Settings},
    destinations::Connector,
    error::{Error, Result},
    secrets::KeyRing,
};
use domain::{
    access::PrincipalChange,
    agent::{AgentScope, Identity},
    environment::{EnvironmentKey, EnvironmentKind},
    ids::{AppId, Etag, OperationId, PackageId},
    instant::{Instant, TICKS_PER_SECOND},
    operation::OperationKind,
    principal::PrincipalKind,
    version::{AppVersion, Availability, Dependency, SyncMode, VersionStatus},
    window::UpdateWindow,
};
use std::{sync::Arc, time::Duration};
use store::wakeup::Wakeup;
use store::{
    Db, Value,
    agents::{Agent, FormerSessions, Recorded, find_agent_by_identity, insert_agent},
    blobs::{BlobKey, BlobState, save_blob},
    environments::InstalledApp,
    hotfixes::Operation,
    versions::{Version, insert_version},
};
use test_support::postgres_cluster;
use tokio_util::task::TaskTracker;
use uuid::Uuid;
use wire::lenient::Object;

pub(super) const FROM: AppVersion = AppVersion([16, 0, 0, 1]);
pub(super) const TO: AppVersion = AppVersion([16, 0, 0, 2]);
pub(super) const LEASE: Duration = Duration::from_secs(60);

/// A window that is open at [`NOW`], a noon, and one that is not.
pub(super) const OPEN: (&str, &str) = ("08:00", "20:00");
pub(super) const CLOSED: (&str, &str) = ("20:00", "06:00");

pub(super) fn app(number: usize) -> AppId {
    AppId(Uuid::from_u128(0xA000 + number as u128))
}

pub(super) fn name(number: usize) -> String {
    format!("Environment {number}")
}

pub(super) fn key(number: usize) -> EnvironmentKey {
    EnvironmentKey::new(TENANT, "Business Central", &name(number))
}

/// Runs a test on both databases.
pub(super) async fn on_both_databases<F: Future<Output = ()>>(test: impl Fn(Fleet) -> F) {
    for url in [None, Some(postgres_cluster::database_url())] {
        test(Fleet::on(url).await).await;
    }
}

pub(super) struct Fleet {
    pub(super) fixture: Fixture,
    url: Option<String>,
}

impl Fleet {
    /// On an empty database: SQLite's, or one of PostgreSQL's.
    pub(super) async fn on(url: Option<String>) -> Self {
        let fixture = Fixture::open(url.clone()).await;
        Self { fixture, url }
    }

    /// The same with keys of the configuration set.
    pub(super) async fn on_with(url: Option<String>, set: &[(&str, &str)]) -> Self {
        let set = set
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let fixture = Fixture::open_with(url.clone(), set.collect()).await;
        Self { fixture, url }
    }

    /// The service is gone, and another one starts on what it left.
    pub(super) async fn after_a_crash(self) -> Self {
        let Fixture { service, _folder } = self.fixture;
        let Service { clock, settings, .. } = Arc::into_inner(service).unwrap();
        let db = store::open(&settings.database).await.unwrap();
        let service = service_on(db, clock, settings);
        Self {
            fixture: Fixture { service, _folder },
            url: self.url,
        }
    }

    pub(super) fn service(&self) -> &Arc<Service> {
        &self.fixture.service
    }

    pub(super) fn db(&self) -> &Db {
        &self.fixture.service.db
    }

    /// Another service on the same database: one with connections of its own, where the database allows that.
    pub(super) async fn replica(&self) -> Arc<Service> {
        self.replica_at(self.service().clock.clone()).await
    }

    /// The same, with a clock of its own.
    pub(super) async fn replica_at(&self, clock: Clock) -> Arc<Service> {
        let first = self.service();
        let db = match &self.url {
            Some(url) => store::open(&DatabaseSettings::at(url)).await.unwrap(),
            None => first.db.clone(),
        };
        service_on(db, clock, Arc::clone(&first.settings))
    }

    /// Apps, each with the version that environments have and the one that they are to get.
    pub(super) async fn has_apps(&self, count: usize) {
        self.has_bare_apps(count).await;
        for number in 0..count {
            for version in [FROM, TO] {
                self.has_version(app(number), version).await;
            }
        }
    }

    /// Apps without any version.
    pub(super) async fn has_bare_apps(&self, count: usize) {
        for number in 0..count {
            let owner = PrincipalChange {
                kind: Some(PrincipalKind::Application),
                ..PrincipalChange::default()
            };
            let command = RegisterApp {
                publisher: Some("Contoso".into()),
                publisher_tenant_id: Some(TENANT),
                publisher_contact_email: Some("apps@contoso.com".into()),
                storage_location: Some("West Europe".into()),
                owner: Some((OWNER, owner)),
                ..RegisterApp::default()
            };
            let conditions = Preconditions::default;
            put_app(self.service(), &owner_asks(), app(number), command, conditions())
                .await
                .unwrap();
            patch_country(self.service(), &owner_asks(), app(number), us(), conditions())
                .await
                .unwrap();
        }
    }

    async fn has_version(&self, app_id: AppId, version: AppVersion) {
        self.has_version_with(app_id, version, Availability::Available, &[])
            .await;
    }

    /// A version of an app that needs others.
    pub(super) async fn has_version_with(
        &self,
        app_id: AppId,
        version: AppVersion,
        availability: Availability,
        dependencies: &[Dependency],
    ) {
        let row = Version {
            app_id,
            country_code: "US".parse().unwrap(),
            version,
            package_id: PackageId::random(),
            publisher: "Contoso".into(),
            name: "Sales".into(),
            uploaded_on: NOW,
            uploaded_by: "Application".into(),
            availability,
            status: VersionStatus::Uploaded,
            sync_mode: SyncMode::Sync,
            dependencies: dependencies.to_vec(),
            application: None,
            platform: None,
            location: "West Europe".into(),
            sha256: [0; 32],
            generation: Uuid::nil(),
            size: 4,
            upload_id: Uuid::new_v4(),
            etag: Etag::random(),
            runtime: None,
            signer: None,
        };
        self.changes(row, |tx, row| {
            Box::pin(async move {
                let key = BlobKey {
                    location: row.location.clone(),
                    sha256: row.sha256,
                    generation: row.generation,
                };
                save_blob(tx, &key, row.size, BlobState::Stored, NOW).await?;
                Ok(insert_version(tx, row).await?)
            })
        })
        .await;
    }

    async fn changes<I: Send + Sync + 'static>(
        &self,
        input: I,
        action: impl for<'t> Fn(&'t mut store::Tx<'_>, &'t I) -> futures::future::BoxFuture<'t, Result<()>>
        + Copy
        + Send
        + Sync
        + 'static,
    ) {
        self.db()
            .write(input, move |mut tx, input| {
                Box::pin(async move { action(&mut tx, input).await })
            })
            .await
            .unwrap();
    }

    /// Changes rows behind the service's back.
    pub(super) async fn damages(&self, sql: &'static str, values: Vec<Value>) {
        let changed = self
            .db()
            .write(values, move |mut tx, values| {
                Box::pin(async move { tx.query(sql).bind_all(values.iter().cloned()).execute().await })
            })
            .await;
        assert_eq!(changed.unwrap(), 1, "{sql}");
    }

    /// Lets a claim look at every environment, whatever happens there.
    pub(super) async fn makes_all_due(&self) {
        let sql = "UPDATE environments SET due_on = 0";
        self.db()
            .write((), move |mut tx, ()| {
                Box::pin(async move { tx.query(sql).execute().await })
            })
            .await
            .unwrap();
    }

    /// Ends the service. Its transactions must never have waited for each other in a circle.
    pub(super) async fn ends_without_deadlocks(self) {
        let url = self.url.clone();
        drop(self);
        if let Some(url) = url {
            assert_eq!(
                postgres_cluster::deadlocks(&url).await,
                0,
                "PostgreSQL counted deadlocks"
            );
        }
    }

    /// An environment that has so many of the apps installed.
    pub(super) async fn has_environment(&self, number: usize, apps: usize, window: (&str, &str)) {
        let installed = |number: usize| InstalledApp {
            app_id: app(number),
            version: FROM,
            name: None,
            publisher: None,
            availability: None,
            dependencies: None,
            scope: None,
            can_be_uninstalled: None,
        };
        is_served(self.service()).await;
        let command = EnvironmentReport {
            family: "Business Central".into(),
            name: name(number),
            country: us(),
            kind: EnvironmentKind::Production,
            location_name: String::new(),
            web_client_url: None,
            web_service_url: None,
            application_version: None,
            platform_version: None,
            window: Some(UpdateWindow::new(window.0, window.1, "UTC").unwrap()),
            inventory_complete: false,
            apps: (0..apps).map(installed).collect(),
        };
        put_environment(
            self.service(),
            &owner_asks(),
            key(number),
            command,
            Object::default(),
            Preconditions::default(),
        )
        .await
        .unwrap();
    }

    /// An agent, which has called.
    pub(super) async fn has_agent(&self, name: &str) -> AgentCaller {
        let agent = caller(Uuid::new_v4(), name);
        makes_agent(self.service(), &agent, false).await;
        agent
    }

    /// An environment belongs to an agent from now on.
    pub(super) async fn binds(&self, environment: usize, agent: &AgentCaller) {
        let bound = "UPDATE environments SET agent_id = $2 WHERE name = $1";
        self.damages(bound, vec![name(environment).into(), agent.id.into()])
            .await;
    }

    /// An environment belongs to no agent any more.
    pub(super) async fn belongs_to_nobody(&self, environment: usize) {
        let unbound = "UPDATE environments SET agent_id = NULL WHERE name = $1";
        self.damages(unbound, vec![name(environment).into()]).await;
    }

    /// Schedules a hotfix, to run within the window.
    pub(super) async fn schedules(&self, environment: usize, of: usize) -> Operation {
        schedule(self.service(), environment, of).await.unwrap()
    }

    pub(super) async fn looks_at(&self, of: AppId, id: OperationId) -> Operation {
        get_hotfix(self.service(), &owner_asks(), of, us(), id)
            .await
            .unwrap()
    }

    pub(super) fn now(&self) -> Instant {
        self.service().clock.now()
    }

    pub(super) fn advance(&self, seconds: i64) {
        let clock = &self.service().clock;
        clock.set(Instant(clock.now().0 + seconds * TICKS_PER_SECOND));
    }

    /// How many rows a condition holds for.
    pub(super) async fn count(&self, from_where: &str) -> i64 {
        self.fixture.count(from_where).await
    }

    pub(super) async fn claims(&self, limit: usize) -> Vec<Claimed> {
        claim(self.service(), limit).await.unwrap()
    }
}

/// What an agent may sign in as that is called by this id.
pub(super) fn identity_of(id: Uuid) -> Identity {
    Identity {
        tenant: TENANT.0,
        client: id,
        object: id,
    }
}

/// The agent that serves all environments without another.
pub(super) fn everywhere() -> AgentCaller {
    caller(Uuid::from_u128(0xE), "everywhere")
}

/// Makes that agent, where it is not there yet.
pub(super) async fn is_served(service: &Service) {
    let everywhere = everywhere();
    if find_agent_by_identity(&service.db, identity_of(everywhere.id))
        .await
        .unwrap()
        .is_none()
    {
        makes_agent(service, &everywhere, true).await;
    }
}

fn caller(id: Uuid, name: &str) -> AgentCaller {
    AgentCaller {
        id,
        name: name.to_owned(),
        credential: Credential::Identity(identity_of(id)),
        session_id: id,
        correlation_id: Uuid::new_v4(),
    }
}

async fn makes_agent(service: &Service, agent: &AgentCaller, serves_unreported: bool) {
    let now = service.clock.now();
    let row = Agent {
        id: agent.id,
        name: agent.name.clone(),
        scope: AgentScope::default(),
        scope_reason: None,
        serves_unreported,
        identity: Some(identity_of(agent.id)),
        created_on: now,
        code_sha256: None,
        code_until: None,
        token_sha256: None,
        token_until: None,
        token_used: false,
        former_token_sha256: None,
        lost_token_sha256: None,
        former_token_until: None,
        session_id: Some(agent.session_id),
        former_sessions: FormerSessions::default(),
        frozen_on: None,
        frozen_reason: None,
        last_seen_on: Some(now),
        software: None,
        is_ready: None,
        inventory_sequence: 0,
        inventory_on: None,
        counted_since: None,
        gained: 0,
        recorded: Recorded::default(),
        etag: Etag::random(),
    };
    let made = service.db.write(row, |mut tx, row| {
        Box::pin(async move { Ok::<_, Error>(insert_agent(&mut tx, row).await?) })
    });
    made.await.unwrap();
}

/// A claim whose answer is not lost.
pub(super) async fn claim(service: &Service, limit: usize) -> Result<Vec<Claimed>> {
    execution::claim(service, &everywhere(), OperationKind::ALL, limit, LEASE).await
}

/// Reports one after the other.
pub(super) async fn finish_all(
    service: &Service,
    by: &AgentCaller,
    reports: Vec<Report>,
) -> Vec<Result<Operation>> {
    let mut answers = Vec::with_capacity(reports.len());
    for report in reports {
        let answer = execution::finish(service, by, report).await;
        answers.push(answer.map(|(operation, _)| operation));
    }
    answers
}

pub(super) async fn schedule(service: &Arc<Service>, environment: usize, of: usize) -> Result<Operation> {
    let command = ScheduleHotfix {
        environment: key(environment),
        environment_family: "BusinessCentral".into(),
        environment_name: name(environment),
        environment_kind: None,
        target: TO,
        run_after: None,
        ignore_window: false,
        despite_forecast: false,
    };
    schedule_hotfix(service, &owner_asks(), app(of), us(), command, None).await
}

pub(super) fn success(claimed: &Claimed) -> Report {
    Report {
        id: claimed.operation.id,
        lease_id: claimed.lease.id,
        outcome: Outcome::Succeeded,
    }
}

fn service_on(db: Db, clock: Clock, settings: Arc<Settings>) -> Arc<Service> {
    Arc::new(Service {
        db,
        blobs: Arc::new(Blobs::open(&settings).unwrap()),
        clock,
        clock_check: ClockCheck::default(),
        settings,
        wakeup: Wakeup::default(),
        waiting: WaitingClaims::default(),
        emitted: Wakeup::default(),
        deliveries: Wakeup::default(),
        connector: Connector::new(DestinationSettings::default()).unwrap(),
        secrets: Arc::new(KeyRing::default()),
        uploads: UploadPlaces::new(4, Duration::from_secs(60)),
        forecasts: Default::default(),
        enrolments: LookUps::of_enrolments(),
        leaks: LookUps::of_leaks(),
        exchanges: Default::default(),
        plans: Default::default(),
        customers_changes: Default::default(),
        changes: TaskTracker::new(),
    })
}
