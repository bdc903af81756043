//! What cannot be brought about over HTTP: the moments between two steps, at which a process may die, and reports that
//! come too late. On both databases.

mod agents;
mod claiming;
mod clocks;
mod customers;
mod delivery;
mod fleet;
mod inventories;
mod kinds;
mod uploading;
mod walks;
mod webhooks;
mod working;

use super::{
    Principal, Service,
    agents::LookUps,
    apps::{RegisterApp, put_app},
    clock_check::ClockCheck,
    countries::patch_country,
    environments::{EnvironmentReport, get_registered_environment, put_environment},
    execution::{self, Claimed, Outcome, WaitingClaims},
    hotfixes::{ScheduleHotfix, get_hotfix, schedule_hotfix},
    preconditions::Preconditions,
    sweep::{self, Swept},
    upload::{self, UploadTarget, blob_of, upload_version},
    upload_places::UploadPlaces,
    versions::{get_version, key, read_package},
};
use crate::{
    blobs::{Blobs, ObjectName},
    clock::Clock,
    config::{DestinationSettings, Settings, Sources},
    destinations::Connector,
    error::Result,
    secrets::KeyRing,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use domain::{
    access::PrincipalChange,
    country::CountryCode,
    environment::{EnvironmentKey, EnvironmentKind},
    ids::{AppId, Etag, OperationId, PackageId, PrincipalId, TenantId},
    instant::{Instant, TICKS_PER_SECOND},
    operation::OperationStatus,
    principal::{CallerKind, PrincipalKind},
    version::{AppVersion, Availability, SyncMode, VersionStatus},
};
use navx::PackageBuilder;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::{sync::Arc, time::Duration};
use store::wakeup::Wakeup;
use store::{
    blobs::{BlobKey, BlobState, save_blob},
    environments::InstalledApp,
    hotfixes::Operation,
    principals::PrincipalRef,
    versions::{Version, insert_version},
};
use test_support::object_servers::{ObjectServer, ObjectServerKind};
use test_support::postgres_cluster;
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;
use uuid::Uuid;
use wire::lenient::Object;

const APP: AppId = AppId(Uuid::from_u128(0xA));
const TENANT: TenantId = TenantId(Uuid::from_u128(0xB));
const OWNER: PrincipalId = PrincipalId(Uuid::from_u128(0xC));
const INSTALLED: AppVersion = AppVersion([16, 0, 0, 5]);
const TARGET: AppVersion = AppVersion([16, 0, 1, 2]);
/// 2026-11-20T12:00:00Z.
const NOW: Instant = Instant(17_951_760_000_000_000);
const GENERATION: Uuid = Uuid::from_u128(0xD);
const GRACE: Duration = Duration::from_secs(15 * 60);

struct Fixture {
    service: Arc<Service>,
    _folder: tempfile::TempDir,
}

async fn on_both<F: Future<Output = ()>>(test: impl Fn(Fixture) -> F) {
    for url in [None, Some(postgres_cluster::database_url())] {
        test(Fixture::open(url).await).await;
    }
}

/// The same with a key of the configuration set.
async fn on_both_with<F: Future<Output = ()>>(key: &str, value: &str, test: impl Fn(Fixture) -> F) {
    for url in [None, Some(postgres_cluster::database_url())] {
        let set = vec![(key.to_owned(), value.to_owned())];
        test(Fixture::open_with(url, set).await).await;
    }
}

/// The same with packages in folders and in object stores.
async fn on_all_stores<F: Future<Output = ()>>(test: impl Fn(Fixture) -> F) {
    let stores = [None, Some(ObjectServerKind::Azure), Some(ObjectServerKind::S3)];
    for (index, store) in stores.into_iter().enumerate() {
        let bucket = store.map(|kind| ObjectServer::shared(kind).bucket());
        let set: Vec<_> = bucket
            .map(|bucket| json!({ "West Europe": bucket.entry("fame") }).to_string())
            .map(|locations| ("storage.locations".to_owned(), locations))
            .into_iter()
            .collect();
        // Which database goes with which object store does not matter; with folders, both do.
        if index < 2 {
            test(Fixture::open_with(None, set.clone()).await).await;
        }
        if index != 1 {
            test(Fixture::open_with(Some(postgres_cluster::database_url()), set).await).await;
        }
    }
}

impl Fixture {
    async fn open(url: Option<String>) -> Self {
        Self::open_with(url, Vec::new()).await
    }

    async fn open_with(url: Option<String>, set: Vec<(String, String)>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut overrides = vec![("server.data_dir".to_owned(), folder.path().display().to_string())];
        overrides.extend(url.map(|url| ("database.url".to_owned(), url)));
        overrides.extend(set);
        let sources = Sources {
            overrides,
            ..Sources::default()
        };
        let settings = Arc::new(Settings::load(&sources).unwrap().settings);
        let service = Service {
            db: store::open(&settings.database).await.unwrap(),
            blobs: Arc::new(Blobs::open(&settings).unwrap()),
            clock: Clock::stopped(NOW),
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
        };
        let fixture = Self {
            service: Arc::new(service),
            _folder: folder,
        };
        fixture.register().await;
        fixture
    }

    async fn register(&self) {
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
        put_app(
            &self.service,
            &owner_asks(),
            APP,
            command,
            Preconditions::default(),
        )
        .await
        .unwrap();
        let conditions = Preconditions::default();
        patch_country(&self.service, &owner_asks(), APP, us(), conditions)
            .await
            .unwrap();
    }

    /// A version as a process leaves it that dies with the upload in this state.
    async fn has_version(
        &self,
        version: AppVersion,
        status: VersionStatus,
        sha256: [u8; 32],
        blob: BlobState,
    ) {
        let row = version_row(version, status, sha256);
        self.service
            .db
            .write((row, blob), |mut tx, (row, blob)| {
                Box::pin(async move {
                    save_blob(&mut tx, &blob_of(row), row.size, *blob, NOW).await?;
                    insert_version(&mut tx, row).await
                })
            })
            .await
            .unwrap();
    }

    async fn has_blob(&self, blob: BlobKey, state: BlobState) {
        self.service
            .db
            .write((blob, state), |mut tx, (blob, state)| {
                Box::pin(async move { save_blob(&mut tx, blob, 4, *state, NOW).await })
            })
            .await
            .unwrap();
    }

    /// Uploads a package as it comes over HTTP.
    async fn uploads(&self, package: &[u8]) -> Version {
        let contents = STANDARD.encode(package);
        let body = format!(r#"{{"initialAvailability":"Available","packageContents":"{contents}"}}"#);
        let target = UploadTarget {
            app: APP,
            country: us(),
            declared_bytes: None,
        };
        let mut body = futures::stream::iter([Ok(Bytes::from(body))]);
        upload_version(&self.service, &owner_asks(), target, None, &mut body)
            .await
            .unwrap()
    }

    /// Whether the bytes of a version can be had.
    async fn serves(&self, version: &Version) -> bool {
        read_package(&self.service, version, None).await.is_ok()
    }

    /// Bytes at their final place.
    fn has_bytes(&self, bytes: &[u8]) -> [u8; 32] {
        let location = self.service.blobs.known_location("West Europe").unwrap();
        let stored = async {
            let mut staged = location.stage().await.unwrap();
            staged.write(bytes).await.unwrap();
            let sha256 = staged.sha256();
            staged.publish(&named(sha256)).await.unwrap();
            sha256
        };
        tokio::task::block_in_place(|| Handle::current().block_on(stored))
    }

    async fn still_has(&self, sha256: [u8; 32]) -> bool {
        self.service
            .blobs
            .known_location("West Europe")
            .unwrap()
            .read(&named(sha256), None)
            .await
            .is_ok()
    }

    async fn has_changed(&self, blob: &BlobKey, since: Instant) -> bool {
        let found = self
            .service
            .db
            .query("SELECT changed_on FROM blobs WHERE generation = $1")
            .bind(blob.generation)
            .fetch_optional::<(Instant,)>()
            .await
            .unwrap();
        found.unwrap().0 >= since
    }

    /// How many rows a condition holds for.
    async fn count(&self, from_where: &str) -> i64 {
        let counted = self
            .service
            .db
            .query(format!("SELECT COUNT(*) FROM {from_where}"));
        counted.fetch_one::<(i64,)>().await.unwrap().0
    }

    fn advance(&self, seconds: i64) {
        self.service
            .clock
            .set(Instant(self.service.clock.now().0 + seconds * TICKS_PER_SECOND));
    }

    /// A hotfix that an agent has just taken on.
    async fn has_running_hotfix(&self) -> Claimed {
        let sha256 = self.has_bytes(b"good");
        self.has_version(TARGET, VersionStatus::Uploaded, sha256, BlobState::Stored)
            .await;
        fleet::is_served(&self.service).await;
        self.reports_environment().await;
        let command = ScheduleHotfix {
            environment: environment(),
            environment_family: "BusinessCentral".into(),
            environment_name: "MyCustomer".into(),
            environment_kind: None,
            target: TARGET,
            run_after: None,
            ignore_window: true,
            despite_forecast: false,
        };
        schedule_hotfix(&self.service, &owner_asks(), APP, us(), command, None)
            .await
            .unwrap();
        fleet::claim(&self.service, 1).await.unwrap().remove(0)
    }

    async fn reports_environment(&self) {
        self.reports_environment_with(INSTALLED).await;
    }

    async fn reports_environment_with(&self, version: AppVersion) {
        let installed = InstalledApp {
            app_id: APP,
            version,
            name: None,
            publisher: None,
            availability: None,
            dependencies: None,
            scope: None,
            can_be_uninstalled: None,
        };
        let command = EnvironmentReport {
            family: "Business Central".into(),
            name: "MyCustomer".into(),
            country: us(),
            kind: EnvironmentKind::Production,
            location_name: String::new(),
            web_client_url: None,
            web_service_url: None,
            application_version: None,
            platform_version: None,
            window: None,
            inventory_complete: false,
            apps: vec![installed],
        };
        let (given, conditions) = (Object::default(), Preconditions::default());
        put_environment(
            &self.service,
            &owner_asks(),
            environment(),
            command,
            given,
            conditions,
        )
        .await
        .unwrap();
    }

    async fn installed(&self) -> AppVersion {
        get_registered_environment(&self.service, &environment())
            .await
            .unwrap()
            .1[0]
            .version
    }

    async fn looks_at(&self, operation: &Operation) -> Operation {
        get_hotfix(&self.service, &owner_asks(), APP, us(), operation.id)
            .await
            .unwrap()
    }
}

/// A version as it is written when its upload begins.
fn version_row(version: AppVersion, status: VersionStatus, sha256: [u8; 32]) -> Version {
    Version {
        app_id: APP,
        country_code: "US".parse().unwrap(),
        version,
        package_id: PackageId::random(),
        publisher: "Contoso".into(),
        name: "Sales".into(),
        uploaded_on: NOW,
        uploaded_by: "Application".into(),
        availability: Availability::Available,
        status,
        sync_mode: SyncMode::Sync,
        dependencies: Vec::new(),
        application: None,
        platform: None,
        location: "West Europe".into(),
        sha256,
        generation: GENERATION,
        size: 4,
        upload_id: Uuid::new_v4(),
        etag: Etag::random(),
        runtime: None,
        signer: None,
    }
}

fn named(sha256: [u8; 32]) -> ObjectName {
    ObjectName {
        sha256,
        generation: GENERATION,
    }
}

fn us() -> CountryCode {
    CountryCode::parse("US", false).unwrap()
}

fn environment() -> EnvironmentKey {
    EnvironmentKey::new(TENANT, "Business Central", "MyCustomer")
}

fn owner_asks() -> Principal {
    Principal {
        kind: CallerKind::Application,
        id: OWNER,
        tenant_id: TENANT,
        object_id: None,
        reference: PrincipalRef {
            kind: CallerKind::Application,
            first: OWNER.0,
            second: OWNER.0,
            tenant: None,
        },
        name: None,
        run: None,
        correlation_id: Uuid::new_v4(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_a_crash_cut_off_is_settled_and_its_bytes_go() {
    on_all_stores(|fixture| async move {
        let sha256 = fixture.has_bytes(b"half");
        fixture
            .has_version(TARGET, VersionStatus::Uploading, sha256, BlobState::Storing)
            .await;
        let early = sweep::sweep(&fixture.service, GRACE).await.unwrap();
        assert_eq!(early, Swept::default(), "it may still be on its way");
        fixture.advance(3600);
        let swept = sweep::sweep(&fixture.service, GRACE).await.unwrap();
        assert_eq!(
            swept,
            Swept {
                uploads_failed: 1,
                objects_removed: 1,
                ..Swept::default()
            }
        );
        let version = get_version(&fixture.service, &owner_asks(), APP, us(), TARGET)
            .await
            .unwrap();
        assert_eq!(version.status, VersionStatus::UploadFailed);
        assert!(!fixture.still_has(sha256).await);
        assert_eq!(
            sweep::sweep(&fixture.service, GRACE).await.unwrap(),
            Swept::default()
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_a_version_needs_stay() {
    on_all_stores(|fixture| async move {
        let sha256 = fixture.has_bytes(b"good");
        fixture
            .has_version(TARGET, VersionStatus::Uploaded, sha256, BlobState::Stored)
            .await;
        fixture
            .has_version(INSTALLED, VersionStatus::UploadFailed, sha256, BlobState::Stored)
            .await;
        fixture.advance(3600);
        assert_eq!(
            sweep::sweep(&fixture.service, GRACE).await.unwrap(),
            Swept::default()
        );
        assert!(fixture.still_has(sha256).await);
        assert_eq!(
            key(APP, us(), TARGET).to_string(),
            format!("apps/{APP}/countries/US/versions/16.0.1.2")
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_that_a_crash_cut_off_is_finished() {
    on_all_stores(|fixture| async move {
        let sha256 = fixture.has_bytes(b"gone");
        fixture
            .has_version(TARGET, VersionStatus::UploadFailed, sha256, BlobState::Deleting)
            .await;
        let swept = sweep::sweep(&fixture.service, Duration::ZERO).await.unwrap();
        assert_eq!(
            swept.objects_removed, 0,
            "what changed this very instant is left alone"
        );
        fixture.advance(1);
        let swept = sweep::sweep(&fixture.service, Duration::ZERO).await.unwrap();
        assert_eq!(swept.objects_removed, 1);
        assert!(!fixture.still_has(sha256).await);
    })
    .await;
}

fn package() -> Vec<u8> {
    let version = "16.0.1.2".parse().unwrap();
    PackageBuilder::new(APP.0, "Sales", "Contoso", version)
        .to_bytes()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_whose_removal_a_crash_cut_off_can_be_uploaded_again_at_once() {
    on_all_stores(|fixture| async move {
        let package = package();
        let sha256 = fixture.has_bytes(&package);
        let old = BlobKey {
            location: "West Europe".into(),
            sha256,
            generation: GENERATION,
        };
        fixture.has_blob(old, BlobState::Deleting).await;
        let version = fixture.uploads(&package).await;
        assert_eq!(
            (version.status, version.sha256),
            (VersionStatus::Uploaded, sha256)
        );
        fixture.advance(3600);
        let swept = sweep::sweep(&fixture.service, GRACE).await.unwrap();
        assert_eq!(swept.objects_removed, 1);
        assert!(!fixture.still_has(sha256).await, "the removal is finished");
        assert!(fixture.serves(&version).await);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_that_comes_late_does_not_reach_what_was_written_anew() {
    on_all_stores(|fixture| async move {
        let package = package();
        let sha256 = fixture.has_bytes(&package);
        let old = BlobKey {
            location: "West Europe".into(),
            sha256,
            generation: GENERATION,
        };
        fixture.has_blob(old.clone(), BlobState::Stored).await;
        let now = fixture.service.clock.now();
        // A sweeper decides, and stands still; another one does all of its work in the meantime.
        assert!(sweep::mark_deleting(&fixture.service, &old, now).await.unwrap());
        fixture.advance(3600);
        let swept = sweep::sweep(&fixture.service, GRACE).await.unwrap();
        assert_eq!(swept.objects_removed, 1);
        let version = fixture.uploads(&package).await;
        sweep::remove_bytes(&fixture.service, &old).await.unwrap();
        assert!(fixture.serves(&version).await);
        fixture.advance(3600);
        let idle = sweep::sweep(&fixture.service, GRACE).await.unwrap();
        assert_eq!(idle, Swept::default());
        assert!(fixture.serves(&version).await);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_bytes_that_are_stored_are_not_written_again() {
    on_both(|fixture| async move {
        let package = package();
        let sha256 = fixture.has_bytes(&package);
        fixture
            .has_version(INSTALLED, VersionStatus::Uploaded, sha256, BlobState::Stored)
            .await;
        let version = fixture.uploads(&package).await;
        assert_eq!(version.generation, GENERATION);
        assert!(fixture.serves(&version).await);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_stood_still_finds_out_that_it_was_given_up_and_leaves_nothing() {
    on_all_stores(|fixture| async move {
        let sha256 = Sha256::digest(b"late").into();
        let row = version_row(TARGET, VersionStatus::Uploading, sha256);
        let pending = upload::begin(&fixture.service, &owner_asks(), row, None)
            .await
            .unwrap();
        fixture.advance(3600);
        let swept = sweep::sweep(&fixture.service, GRACE).await.unwrap();
        assert_eq!((swept.uploads_failed, swept.objects_removed), (1, 1));
        assert_eq!(fixture.has_bytes(b"late"), sha256);
        let refused = upload::finish(&fixture.service, &owner_asks(), pending, Ok(())).await;
        let refused = refused.err().unwrap().to_string();
        assert!(refused.contains("given up"), "{refused}");
        let version = get_version(&fixture.service, &owner_asks(), APP, us(), TARGET)
            .await
            .unwrap();
        assert_eq!(version.status, VersionStatus::UploadFailed);
        assert!(fixture.still_has(sha256).await);
        fixture.advance(3600);
        let swept = sweep::sweep(&fixture.service, GRACE).await.unwrap();
        assert_eq!(swept.objects_removed, 1);
        assert!(!fixture.still_has(sha256).await);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_whose_bytes_are_already_being_removed_is_given_up() {
    on_both(|fixture| async move {
        let sha256 = fixture.has_bytes(b"gone");
        let row = version_row(TARGET, VersionStatus::Uploading, sha256);
        let blob = blob_of(&row);
        let pending = upload::begin(&fixture.service, &owner_asks(), row, None)
            .await
            .unwrap();
        fixture.has_blob(blob, BlobState::Deleting).await;
        let refused = upload::finish(&fixture.service, &owner_asks(), pending, Ok(())).await;
        assert!(refused.is_err());
        let version = get_version(&fixture.service, &owner_asks(), APP, us(), TARGET)
            .await
            .unwrap();
        assert_eq!(version.status, VersionStatus::UploadFailed);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_takes_long_is_not_given_up_while_it_lives() {
    on_both(|fixture| async move {
        let sha256 = fixture.has_bytes(b"slow");
        let row = version_row(TARGET, VersionStatus::Uploading, sha256);
        let (blob, name) = (blob_of(&row), ObjectName::from(&row));
        let pending = upload::begin(&fixture.service, &owner_asks(), row, None)
            .await
            .unwrap();
        let storing = async {
            fixture.advance(3600);
            // Until the heartbeat is there, a sweep would find the upload stale.
            while !fixture.has_changed(&blob, fixture.service.clock.now()).await {
                tokio::task::yield_now().await;
            }
            sweep::sweep(&fixture.service, GRACE).await.unwrap()
        };
        let every = Duration::from_millis(1);
        let swept = upload::keep_alive(&fixture.service, &blob, every, storing).await;
        assert_eq!(swept, Swept::default());
        let version = upload::finish(&fixture.service, &owner_asks(), pending, Ok(()))
            .await
            .unwrap();
        assert_eq!(version.status, VersionStatus::Uploaded);
        assert_eq!(ObjectName::from(&version), name);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_whose_last_answer_was_lost_is_finished_once() {
    on_both(|fixture| async move {
        let (service, principal) = (&fixture.service, owner_asks());
        let sha256 = fixture.has_bytes(b"kept");
        let row = version_row(TARGET, VersionStatus::Uploading, sha256);
        let pending = upload::begin(service, &principal, row, None).await.unwrap();
        let version = upload::finish(service, &principal, pending.clone(), Ok(()))
            .await
            .unwrap();
        fixture.advance(60);
        upload::finish_later(service, &principal, pending.clone(), true).await;
        let again = upload::finish(service, &principal, pending, Ok(()))
            .await
            .unwrap();
        assert_eq!((again.status, again.uploaded_on), (VersionStatus::Uploaded, NOW));
        assert_eq!(again.etag, version.etag);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_could_not_say_how_it_ended_says_so_later() {
    on_both(|fixture| async move {
        let (service, principal) = (&fixture.service, owner_asks());
        for (is_stored, ends_as) in [
            (false, VersionStatus::UploadFailed),
            (true, VersionStatus::Uploaded),
        ] {
            let sha256 = fixture.has_bytes(b"kept");
            let row = version_row(TARGET, VersionStatus::Uploading, sha256);
            let pending = upload::begin(service, &principal, row, None).await.unwrap();
            upload::finish_later(service, &principal, pending, is_stored).await;
            let version = get_version(service, &principal, APP, us(), TARGET).await.unwrap();
            assert_eq!(version.status, ends_as);
        }
    })
    .await;
}

/// Ends a running operation as its agent reports; answers the operation as it is now.
async fn finish(service: &Service, id: OperationId, lease_id: Uuid, outcome: Outcome) -> Result<Operation> {
    let report = execution::Report {
        id,
        lease_id,
        outcome,
    };
    let finished = execution::finish(service, &fleet::everywhere(), report).await;
    finished.map(|(operation, _)| operation)
}

fn failure() -> Outcome {
    Outcome::Failed {
        message: "no".into(),
        cause: None,
        in_full: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_comes_too_late_changes_nothing() {
    on_both(|fixture| async move {
        let claimed = fixture.has_running_hotfix().await;
        fixture.advance(61);
        assert_eq!(execution::end_lost(&fixture.service).await.unwrap(), 1);
        let lost = fixture.looks_at(&claimed.operation).await;
        assert_eq!(lost.status, OperationStatus::Failed);
        assert!(lost.error_message.as_ref().unwrap().starts_with("OutcomeUnknown"));
        let late = finish(&fixture.service, lost.id, claimed.lease.id, Outcome::Succeeded).await;
        assert_eq!(late.unwrap().status, OperationStatus::Failed);
        assert_eq!(fixture.looks_at(&lost).await, lost);
        assert_eq!(fixture.installed().await, INSTALLED);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_success_does_not_lower_what_a_newer_inventory_tells_of() {
    on_both(|fixture| async move {
        let claimed = fixture.has_running_hotfix().await;
        let newer = AppVersion([17, 0, 0, 0]);
        fixture.reports_environment_with(newer).await;
        let ended = finish(
            &fixture.service,
            claimed.operation.id,
            claimed.lease.id,
            Outcome::Succeeded,
        )
        .await
        .unwrap();
        assert_eq!(ended.status, OperationStatus::Succeeded);
        assert_eq!(fixture.installed().await, newer);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_holder_of_the_lease_ends_an_operation_and_only_once() {
    on_both(|fixture| async move {
        let claimed = fixture.has_running_hotfix().await;
        let id = claimed.operation.id;
        let stranger = finish(&fixture.service, id, Uuid::new_v4(), failure()).await;
        assert_eq!(stranger.unwrap().status, OperationStatus::Running);
        for _ in 0..2 {
            let ended = finish(&fixture.service, id, claimed.lease.id, Outcome::Succeeded).await;
            assert_eq!(ended.unwrap().status, OperationStatus::Succeeded);
        }
        let after = finish(&fixture.service, id, claimed.lease.id, failure()).await;
        assert_eq!(after.unwrap().status, OperationStatus::Succeeded);
        assert_eq!(fixture.installed().await, TARGET);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_that_found_nothing_to_do_skips() {
    on_both(|fixture| async move {
        let claimed = fixture.has_running_hotfix().await;
        let outcome = Outcome::Skipped(Some("It is there already.".into()));
        let ended = finish(&fixture.service, claimed.operation.id, claimed.lease.id, outcome)
            .await
            .unwrap();
        assert_eq!(ended.status, OperationStatus::Skipped);
        assert_eq!(
            ended.error_message.as_deref(),
            Some("NothingToDo: It is there already.")
        );
        assert_eq!(ended.completed_on, None);
    })
    .await;
}
