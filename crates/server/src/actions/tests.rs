//! What cannot be brought about over HTTP: the moments between two steps, at which a process may die, and reports that
//! come too late. On both databases.

mod claiming;
mod executing;
mod fleet;

use super::{
    Asker, Service,
    apps::{AppWish, put_app},
    countries::patch_country,
    environments::{EnvironmentWish, get_registered_environment, put_environment},
    execution::{self, Claimed, Outcome},
    hotfixes::{HotfixWish, get_hotfix, schedule_hotfix},
    preconditions::Preconditions,
    sweep::{self, Swept},
    versions::{get_version, key},
};
use crate::{
    blobs::Blobs,
    clock::Clock,
    config::{Settings, Sources},
    postgres_cluster,
    store::{
        self,
        blobs::{BlobKey, BlobState, save_blob},
        environments::InstalledApp,
        hotfixes::Operation,
        principals::Who,
        versions::{Version, insert_version},
    },
};
use domain::{
    access::PrincipalChange,
    country::CountryCode,
    environment::{EnvironmentKey, EnvironmentKind},
    ids::{AppId, Etag, PackageId, PrincipalId, TenantId},
    instant::{Instant, TICKS_PER_SECOND},
    operation::OperationStatus,
    principal::PrincipalKind,
    version::{AppVersion, Availability, SyncMode, VersionStatus},
};
use std::{sync::Arc, time::Duration};
use tokio::sync::{Notify, Semaphore};
use uuid::Uuid;

const APP: AppId = AppId(Uuid::from_u128(0xA));
const TENANT: TenantId = TenantId(Uuid::from_u128(0xB));
const OWNER: PrincipalId = PrincipalId(Uuid::from_u128(0xC));
const INSTALLED: AppVersion = AppVersion([16, 0, 0, 5]);
const TARGET: AppVersion = AppVersion([16, 0, 1, 2]);
/// 2026-11-20T12:00:00Z.
const NOW: Instant = Instant(17_951_760_000_000_000);
const LEASE: Duration = Duration::from_secs(60);

struct Stage {
    service: Arc<Service>,
    _folder: tempfile::TempDir,
}

async fn on_both<F: Future<Output = ()>>(test: impl Fn(Stage) -> F) {
    for url in [None, Some(postgres_cluster::database_url())] {
        test(Stage::open(url).await).await;
    }
}

impl Stage {
    async fn open(url: Option<String>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut overrides = vec![("server.data_dir".to_owned(), folder.path().display().to_string())];
        overrides.extend(url.map(|url| ("database.url".to_owned(), url)));
        let sources = Sources {
            overrides,
            ..Sources::default()
        };
        let settings = Arc::new(Settings::load(&sources).unwrap().settings);
        let service = Service {
            db: store::open(settings.database.url.expose(), 4).await.unwrap(),
            blobs: Arc::new(Blobs::open(&settings).unwrap()),
            clock: Clock::stopped(NOW),
            settings,
            work: Notify::new(),
            uploads: Arc::new(Semaphore::new(4)),
        };
        let stage = Self {
            service: Arc::new(service),
            _folder: folder,
        };
        stage.register().await;
        stage
    }

    async fn register(&self) {
        let owner = PrincipalChange {
            kind: Some(PrincipalKind::Application),
            ..PrincipalChange::default()
        };
        let wish = AppWish {
            publisher: Some("Contoso".into()),
            publisher_tenant_id: Some(TENANT),
            publisher_contact_email: Some("apps@contoso.com".into()),
            storage_location: Some("West Europe".into()),
            owner: Some((OWNER, owner)),
        };
        put_app(&self.service, &owner_asks(), APP, wish, Preconditions::default())
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
        let row = Version {
            app_id: APP,
            country_code: "US".into(),
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
            size: 4,
            upload_id: Uuid::new_v4(),
            etag: Etag::random(),
        };
        self.service
            .db
            .write((row, blob), |mut tx, (row, blob)| {
                Box::pin(async move {
                    let key = BlobKey {
                        location: row.location.clone(),
                        sha256: row.sha256,
                    };
                    save_blob(&mut tx, &key, row.size, *blob, NOW).await?;
                    Ok(insert_version(&mut tx, row).await?)
                })
            })
            .await
            .unwrap();
    }

    /// Bytes at their final place.
    fn has_bytes(&self, bytes: &[u8]) -> [u8; 32] {
        let location = self.service.blobs.known_location("West Europe").unwrap();
        let mut staged = location.stage().unwrap();
        staged.write(bytes).unwrap();
        let sha256 = staged.sha256();
        location.publish(&staged, &sha256).unwrap();
        sha256
    }

    async fn still_has(&self, sha256: [u8; 32]) -> bool {
        self.service
            .blobs
            .known_location("West Europe")
            .unwrap()
            .read(&sha256)
            .await
            .is_ok()
    }

    fn advance(&self, seconds: i64) {
        self.service
            .clock
            .set(Instant(self.service.clock.now().0 + seconds * TICKS_PER_SECOND));
    }

    /// A hotfix that an executor has just taken on.
    async fn has_running_hotfix(&self) -> Claimed {
        let sha256 = self.has_bytes(b"good");
        self.has_version(TARGET, VersionStatus::Uploaded, sha256, BlobState::Stored)
            .await;
        self.reports_environment().await;
        let wish = HotfixWish {
            environment: environment(),
            environment_name: "MyCustomer".into(),
            environment_kind: None,
            target: TARGET,
            run_after: None,
            ignore_window: true,
        };
        schedule_hotfix(&self.service, &owner_asks(), APP, us(), wish, None)
            .await
            .unwrap();
        execution::claim(&self.service, 1, LEASE).await.unwrap().remove(0)
    }

    async fn reports_environment(&self) {
        let installed = InstalledApp {
            app_id: APP,
            version: INSTALLED,
            name: None,
            publisher: None,
            availability: None,
            dependencies: None,
        };
        let wish = EnvironmentWish {
            family: "Business Central".into(),
            name: "MyCustomer".into(),
            country: us(),
            kind: EnvironmentKind::Production,
            location_name: String::new(),
            application_version: None,
            platform_version: None,
            window: None,
            inventory_complete: false,
            apps: vec![installed],
        };
        let conditions = Preconditions::default();
        put_environment(&self.service, &owner_asks(), environment(), wish, conditions)
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

fn us() -> CountryCode {
    CountryCode::parse("US", false).unwrap()
}

fn environment() -> EnvironmentKey {
    EnvironmentKey::new(TENANT, "Business Central", "MyCustomer")
}

fn owner_asks() -> Asker {
    Asker {
        kind: PrincipalKind::Application,
        id: OWNER,
        tenant_id: TENANT,
        who: Who {
            kind: PrincipalKind::Application,
            first: OWNER.0,
            second: OWNER.0,
        },
        name: None,
        correlation_id: Uuid::new_v4(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_a_crash_cut_off_is_settled_and_its_bytes_go() {
    on_both(|stage| async move {
        let sha256 = stage.has_bytes(b"half");
        stage
            .has_version(TARGET, VersionStatus::Uploading, sha256, BlobState::Storing)
            .await;
        let early = sweep::sweep(&stage.service, sweep::GRACE).await.unwrap();
        assert_eq!(early, Swept::default(), "it may still be on its way");
        stage.advance(3600);
        let swept = sweep::sweep(&stage.service, sweep::GRACE).await.unwrap();
        assert_eq!(
            swept,
            Swept {
                uploads_failed: 1,
                objects_removed: 1,
                ..Swept::default()
            }
        );
        let version = get_version(&stage.service, &owner_asks(), APP, us(), TARGET)
            .await
            .unwrap();
        assert_eq!(version.status, VersionStatus::UploadFailed);
        assert!(!stage.still_has(sha256).await);
        assert_eq!(
            sweep::sweep(&stage.service, sweep::GRACE).await.unwrap(),
            Swept::default()
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_a_version_needs_stay() {
    on_both(|stage| async move {
        let sha256 = stage.has_bytes(b"good");
        stage
            .has_version(TARGET, VersionStatus::Uploaded, sha256, BlobState::Stored)
            .await;
        stage
            .has_version(INSTALLED, VersionStatus::UploadFailed, sha256, BlobState::Stored)
            .await;
        stage.advance(3600);
        assert_eq!(
            sweep::sweep(&stage.service, sweep::GRACE).await.unwrap(),
            Swept::default()
        );
        assert!(stage.still_has(sha256).await);
        assert_eq!(
            key(APP, us(), TARGET).to_string(),
            format!("apps/{APP}/countries/US/versions/16.0.1.2")
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_that_a_crash_cut_off_is_finished() {
    on_both(|stage| async move {
        let sha256 = stage.has_bytes(b"gone");
        stage
            .has_version(TARGET, VersionStatus::UploadFailed, sha256, BlobState::Deleting)
            .await;
        let swept = sweep::sweep(&stage.service, Duration::ZERO).await.unwrap();
        assert_eq!(
            swept.objects_removed, 0,
            "what changed this very instant is left alone"
        );
        stage.advance(1);
        let swept = sweep::sweep(&stage.service, Duration::ZERO).await.unwrap();
        assert_eq!(swept.objects_removed, 1);
        assert!(!stage.still_has(sha256).await);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_comes_too_late_changes_nothing() {
    on_both(|stage| async move {
        let claimed = stage.has_running_hotfix().await;
        stage.advance(61);
        assert_eq!(execution::end_lost(&stage.service).await.unwrap(), 1);
        let lost = stage.looks_at(&claimed.operation).await;
        assert_eq!(lost.status, OperationStatus::Failed);
        assert!(lost.error_message.as_ref().unwrap().starts_with("OutcomeUnknown"));
        let late = execution::finish(&stage.service, lost.id, claimed.lease.id, Outcome::Succeeded).await;
        assert_eq!(late.unwrap().status, OperationStatus::Failed);
        assert_eq!(stage.looks_at(&lost).await, lost);
        assert_eq!(stage.installed().await, INSTALLED);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_holder_of_the_lease_ends_an_operation_and_only_once() {
    on_both(|stage| async move {
        let claimed = stage.has_running_hotfix().await;
        let id = claimed.operation.id;
        let stranger =
            execution::finish(&stage.service, id, Uuid::new_v4(), Outcome::Failed("no".into())).await;
        assert_eq!(stranger.unwrap().status, OperationStatus::Running);
        for _ in 0..2 {
            let ended = execution::finish(&stage.service, id, claimed.lease.id, Outcome::Succeeded).await;
            assert_eq!(ended.unwrap().status, OperationStatus::Succeeded);
        }
        let after =
            execution::finish(&stage.service, id, claimed.lease.id, Outcome::Failed("no".into())).await;
        assert_eq!(after.unwrap().status, OperationStatus::Succeeded);
        assert_eq!(stage.installed().await, TARGET);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_that_found_nothing_to_do_skips() {
    on_both(|stage| async move {
        let claimed = stage.has_running_hotfix().await;
        let outcome = Outcome::Skipped(Some("It is there already.".into()));
        let ended = execution::finish(&stage.service, claimed.operation.id, claimed.lease.id, outcome)
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
