//! Uploading a version.
//!
//! Four steps, none of which holds a transaction while bytes move: the body is taken in and the package read; a row
//! `Uploading` reserves the version and a `blobs` row announces the bytes; the bytes become durable under their
//! hash; the row becomes `Uploaded`. A crash between any two of them leaves a row that the sweeper settles and bytes
//! that it removes, and never a version without its bytes.
//!
//! Storing the bytes may take longer than the sweeper waits for a heartbeat, so it is given one from time to time.
//! Whoever was given up all the same, because their process stood still, finds that out in the last step.

use super::{
    Principal, Service, access,
    audit::{self, Actor, Change},
    quotas,
    repeat::{self, Repeatable},
    upload_places::UploadPlace,
    versions::{DIFFERENT_CONTENT, already_uploaded, emit_version, state},
};
use crate::{
    blobs::ObjectName,
    config::QuotaSettings,
    error::{Error, Result},
    receive::{self, Body, ReceiveLimits, Received, invalid_package},
    telemetry::metrics::{FAILED, REFUSED, STORED, UPLOAD_BYTES, UPLOADS},
};
use domain::{
    access::{Permission, Resource},
    chain::Chain,
    country::CountryCode,
    ids::{AppId, Etag, PackageId},
    instant::Instant,
    problem::{Code, RuleError},
    signer::{NOT_SIGNED, Signer, SignerKey},
    version::{AppVersion, Availability, Dependency, SyncMode, VersionStatus},
    webhook::VERSION_UPLOADED,
};
use navx::{Kind, Manifest, Package};
use sha2::{Digest, Sha256};
use std::{sync::Arc, time::Duration};
use store::{
    StoreError, Tx, apps,
    blobs::{self, BlobKey, BlobState},
    versions::{self, OtherBytes, Version, VersionKey},
};
use tracing::Instrument;
use uuid::Uuid;

const WRITE: Permission = Permission::write(Resource::Versions);

/// What base64 and the JSON around it may add to a package, in bytes.
const ENVELOPE_BYTES: u64 = 64 * 1024;

/// How often an upload says that it goes on, within the time after which the sweeper gives it up.
const HEARTBEATS_PER_GRACE: u32 = 5;

/// How long to wait before writing down again how an upload ended.
const FINISH_AGAIN: Duration = Duration::from_secs(1);

/// What is known of an upload before its body is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UploadTarget {
    pub(crate) app: AppId,
    pub(crate) country: CountryCode,
    /// The `Content-Length`, if one was sent.
    pub(crate) declared_bytes: Option<u64>,
}

/// Takes in a package and makes it a version.
///
/// Whoever asks may go away before the answer: what has its row by then is brought to its end all the same, for a row
/// that says `Uploading` stands in the way of the next try.
pub(crate) async fn upload_version(
    service: &Arc<Service>,
    principal: &Principal,
    target: UploadTarget,
    repeatable: Option<Repeatable>,
    body: &mut impl Body,
) -> Result<Version> {
    let uploaded = take_in(service, principal, target, repeatable, body).await;
    let outcome = match &uploaded {
        Ok(version) => {
            metrics::counter!(UPLOAD_BYTES).increment(version.size);
            STORED
        }
        Err(Error::Store(_) | Error::Blobs(_) | Error::Fault(_)) => FAILED,
        Err(_) => REFUSED,
    };
    metrics::counter!(UPLOADS, "outcome" => outcome).increment(1);
    uploaded
}

async fn take_in(
    service: &Arc<Service>,
    principal: &Principal,
    target: UploadTarget,
    repeatable: Option<Repeatable>,
    body: &mut impl Body,
) -> Result<Version> {
    let UploadTarget { app, country, .. } = target;
    access::preview(service, principal, app, Some(country), WRITE)
        .await?
        .in_country(app, country)?;
    check_declared(service, target)?;
    let place = service.uploads.enter(principal.reference, app).await?;
    let location = location_of(service, principal, app).await?;
    let store = service.blobs.known_location(&location)?;
    let received = receive::receive(store, limits(service), body).await?;
    let version = describe(&received, service, principal, target, location)?;
    let (service, principal) = (Arc::clone(service), principal.clone());
    let repeatable = repeatable.map(|repeatable| Repeatable {
        body_sha256: asked_for(&version),
        ..repeatable
    });
    let keeping = keep(service, principal, (version, repeatable), received, place);
    let keeping = tokio::spawn(keeping.in_current_span());
    keeping.await.map_err(Error::fault)?
}

/// `place` is held until the upload has its end in the database: a planned stop waits for it.
async fn keep(
    service: Arc<Service>,
    principal: Principal,
    (version, repeatable): (Version, Option<Repeatable>),
    received: Received,
    place: UploadPlace,
) -> Result<Version> {
    let pending = match begin(&service, &principal, version.clone(), repeatable).await {
        Ok(before) if before.version.status == VersionStatus::Uploaded => return Ok(before.version),
        Ok(pending) => pending,
        Err(error) => {
            if matches!(error, Error::Store(StoreError::InDoubt(_))) {
                spawn_finish_later(service, principal, Pending::in_doubt(version), false, place);
                return Err(error);
            }
            let error = tell_why_unproven(&received, error);
            return Err(tell_built_again(&service, &version.key(), &received.package, error).await);
        }
    };
    let stored = store_bytes(&service, &pending, received).await;
    let is_stored = stored.is_ok();
    let outcome = finish(&service, &principal, pending.clone(), stored).await;
    if let Err(Error::Store(error)) = &outcome
        && error.is_passing()
    {
        spawn_finish_later(service, principal, pending, is_stored, place);
    }
    outcome
}

fn spawn_finish_later(
    service: Arc<Service>,
    principal: Principal,
    pending: Pending,
    is_stored: bool,
    place: UploadPlace,
) {
    let finishing = async move {
        let _place = place;
        finish_later(&service, &principal, pending, is_stored).await;
    };
    tokio::spawn(finishing.in_current_span());
}

/// Writes down how an upload ended once the database is there again. Otherwise its version would be reserved until the
/// sweeper gives it up, and the next try would be refused for as long.
pub(super) async fn finish_later(
    service: &Service,
    principal: &Principal,
    pending: Pending,
    is_stored: bool,
) {
    let begun = tokio::time::Instant::now();
    while begun.elapsed() < service.settings.storage.grace {
        tokio::time::sleep(FINISH_AGAIN).await;
        let stored = match is_stored {
            true => Ok(()),
            false => Err(Error::fault("its bytes could not be stored")),
        };
        match finish(service, principal, pending.clone(), stored).await {
            Err(Error::Store(error)) if error.is_passing() => {}
            _ => return,
        }
    }
}

fn limits(service: &Service) -> ReceiveLimits {
    let packages = &service.settings.packages;
    ReceiveLimits {
        max_package_bytes: packages.max_bytes,
        idle: packages.upload_idle,
        bytes_per_second: packages.upload_bytes_per_second,
        now: service.clock.now().into(),
    }
}

fn check_declared(service: &Service, target: UploadTarget) -> Result<()> {
    let max = service.settings.packages.max_bytes;
    let max_body = max.div_ceil(3) * 4 + max / 19 + ENVELOPE_BYTES;
    match target.declared_bytes {
        Some(0) => Err(RuleError::new(
            Code::RequestBodyRequired,
            "The request needs a JSON body with packageContents.",
        )
        .into()),
        Some(declared) if declared > max_body => {
            let message = format!("The body has {declared} bytes; a package may have at most {max}.");
            Err(RuleError::new(Code::RequestEntityTooLarge, message).into())
        }
        _ => Ok(()),
    }
}

async fn location_of(service: &Service, principal: &Principal, app: AppId) -> Result<String> {
    let found = apps::find_app(&service.db, principal.reference, app).await?;
    found
        .map(|app| app.storage_location)
        .ok_or_else(|| access::app_missing(app).into())
}

/// The row that a received package makes.
fn describe(
    received: &Received,
    service: &Service,
    principal: &Principal,
    target: UploadTarget,
    location: String,
) -> Result<Version, RuleError> {
    let manifest = manifest_of(received)?;
    let refuses_symbols = !service.settings.packages.allow_symbols_only;
    if received.package.kind == Kind::SymbolsOnly && refuses_symbols {
        let message = "This package holds only the symbols of an app, for developers to compile against, and installs nowhere: it has no MediaIdListing.xml, which every compiled package has. Upload the package that the compiler made.";
        return Err(invalid_package("SymbolsOnly", message));
    }
    if manifest.app_id != target.app.0 {
        let message = format!(
            "The package is of app {}, not of {}.",
            manifest.app_id, target.app
        );
        return Err(invalid_package("AppIdMismatch", &message));
    }
    Ok(Version {
        app_id: target.app,
        country_code: target.country,
        version: AppVersion(manifest.version.parts()),
        package_id: PackageId(received.package.package_id),
        publisher: manifest.publisher.clone(),
        name: manifest.name.clone(),
        uploaded_on: service.clock.now(),
        uploaded_by: principal.signature(),
        availability: initial_availability(received)?,
        status: VersionStatus::Uploading,
        sync_mode: SyncMode::Sync,
        dependencies: manifest.dependencies.iter().map(dependency).collect(),
        application: manifest
            .application
            .as_ref()
            .map(|version| AppVersion(version.parts())),
        platform: manifest
            .platform
            .as_ref()
            .map(|version| AppVersion(version.parts())),
        location,
        sha256: received.sha256,
        generation: Uuid::new_v4(),
        size: received.staged.size(),
        upload_id: Uuid::new_v4(),
        etag: Etag::random(),
        // What is no number is no condition.
        runtime: manifest
            .runtime
            .as_ref()
            .and_then(|runtime| runtime.trim().parse().ok()),
        signer: received.signer.as_ref().ok().map(|signer| Signer {
            key: SignerKey(signer.key_sha256),
            subject: signer.subject.clone(),
        }),
    })
}

fn manifest_of(received: &Received) -> Result<&Manifest, RuleError> {
    if received.package.kind == Kind::Runtime {
        let message = "This is a runtime package: its manifest cannot be read, so nobody can tell which app and version it is. Upload the package that the compiler made.";
        return Err(invalid_package("RuntimePackage", message));
    }
    let manifest = received.package.manifest.as_ref();
    manifest.ok_or_else(|| invalid_package("ManifestMissing", "The package has no manifest."))
}

/// What tells one upload under a key from another: the package and what is to become of it, however they are written.
fn asked_for(version: &Version) -> [u8; 32] {
    let availability = version.availability.to_string();
    Sha256::new()
        .chain_update(version.sha256)
        .chain_update(availability)
        .finalize()
        .into()
}

fn initial_availability(received: &Received) -> Result<Availability, RuleError> {
    let Some(text) = &received.initial_availability else {
        return Ok(Availability::Preview);
    };
    text.parse().map_err(|error: domain::problem::UnknownWord| {
        RuleError::invalid("initialAvailability", error.to_string())
    })
}

fn dependency(declared: &navx::Dependency) -> Dependency {
    Dependency {
        app_id: AppId(declared.id),
        name: declared.name.clone(),
        publisher: declared.publisher.clone(),
        min_version: AppVersion(declared.min_version.parts()),
        incompatible_from: None,
        is_implied: false,
    }
}

/// An upload whose version is reserved.
#[derive(Clone)]
pub(super) struct Pending {
    version: Version,
    /// Whether the same bytes are in the location already.
    has_bytes: bool,
    /// Another country that has the same version with other bytes.
    differs_from: Option<CountryCode>,
}

impl Pending {
    /// No upload any more: its version is there.
    fn made_before(version: Version) -> Self {
        Self {
            version,
            has_bytes: true,
            differs_from: None,
        }
    }

    /// An upload of which nobody knows whether its version was reserved. Its bytes were not stored.
    pub(super) fn in_doubt(version: Version) -> Self {
        Self {
            version,
            has_bytes: false,
            differs_from: None,
        }
    }
}

struct Begin {
    principal: Principal,
    version: Version,
    repeatable: Option<Repeatable>,
    same_bytes_everywhere: bool,
    quotas: QuotaSettings,
    now: Instant,
}

/// Reserves the version, if it is free; or the version as it is, if the same upload has made it before.
pub(super) async fn begin(
    service: &Service,
    principal: &Principal,
    version: Version,
    repeatable: Option<Repeatable>,
) -> Result<Pending> {
    let input = Begin {
        principal: principal.clone(),
        version,
        repeatable,
        same_bytes_everywhere: service.settings.packages.same_bytes_across_countries,
        quotas: service.settings.quotas,
        now: service.clock.now(),
    };
    service
        .db
        .write(input, |tx, input| Box::pin(begin_in(tx, input)))
        .await
}

async fn begin_in(mut tx: Tx<'_>, input: &Begin) -> Result<Pending> {
    let version = &input.version;
    let key = version.key();
    require_still(&mut tx, &input.principal, version).await?;
    let app = apps::lock_app(&mut tx, version.app_id).await?;
    let repeatable = input.repeatable.as_ref();
    let before = repeat::recall(&mut tx, &input.principal, repeatable, input.now).await?;
    if let Some(existing) = versions::lock_version(&mut tx, &key).await? {
        match existing.status {
            VersionStatus::Uploaded if before.is_some() && existing.sha256 == version.sha256 => {
                return Ok(Pending::made_before(existing));
            }
            VersionStatus::Uploaded => return Err(already_uploaded(&existing, version.sha256)),
            VersionStatus::Uploading => return Err(in_progress(&existing)),
            VersionStatus::UploadFailed => versions::delete_version(&mut tx, &key).await?,
        }
    }
    if let Some(app) = app {
        app.signer_rule.check(version.signer.as_ref())?;
    }
    quotas::check_version(&mut tx, input.quotas, version).await?;
    let other = versions::other_bytes_elsewhere(&mut tx, &key, version.sha256).await?;
    if let Some(other) = other.as_ref().filter(|_| input.same_bytes_everywhere) {
        return Err(differs(version, other).into());
    }
    let (generation, has_bytes) = announce_bytes(&mut tx, version, input.now).await?;
    let version = Version {
        generation,
        ..version.clone()
    };
    versions::insert_version(&mut tx, &version).await?;
    repeat::remember(&mut tx, &input.principal, repeatable, None, input.now).await?;
    Ok(Pending {
        version,
        has_bytes,
        differs_from: other.map(|other| other.country_code),
    })
}

/// Says in the `blobs` table that the bytes are about to be there; which generation of them, and whether they are there
/// already. Equal bytes that are just being removed are another generation, and do not matter.
async fn announce_bytes(tx: &mut Tx<'_>, version: &Version, now: Instant) -> Result<(Uuid, bool)> {
    let kept = blobs::lock_kept_blob(tx, &version.location, version.sha256).await?;
    let (generation, state) = kept.unwrap_or((version.generation, BlobState::Storing));
    let blob = BlobKey {
        generation,
        ..blob_of(version)
    };
    blobs::save_blob(tx, &blob, version.size, state, now).await?;
    Ok((generation, state == BlobState::Stored))
}

async fn require_still(tx: &mut Tx<'_>, principal: &Principal, version: &Version) -> Result<()> {
    let country = version.country_code;
    let allowed = access::require_in_country(tx, principal, version.app_id, country, WRITE).await?;
    let allowed = allowed.in_country(version.app_id, country)?;
    allowed.within(|grant| grant.check_upload(version.availability))
}

/// The row that says where a version's bytes stand.
pub(super) fn blob_of(version: &Version) -> BlobKey {
    BlobKey {
        location: version.location.clone(),
        sha256: version.sha256,
        generation: version.generation,
    }
}

/// Adds to the refusal of a package that nobody is proven to have signed why that is so.
fn tell_why_unproven(received: &Received, refusal: Error) -> Error {
    match (refusal, &received.signer) {
        (Error::Rule(mut problem), Err(unproven))
            if problem.details.iter().any(|detail| detail.code == NOT_SIGNED) =>
        {
            problem.message = format!("{} {unproven}", problem.message);
            problem
                .because(unproven.code.as_str(), unproven.to_string())
                .into()
        }
        (refusal, _) => refusal,
    }
}

/// Adds to the refusal of other bytes that it is the same content, if it is. No transaction waits for the look into it.
async fn tell_built_again(service: &Service, key: &VersionKey, package: &Package, refusal: Error) -> Error {
    let Error::Rule(problem) = refusal else {
        return refusal;
    };
    let is_other = problem
        .details
        .iter()
        .any(|detail| detail.code == DIFFERENT_CONTENT);
    if !is_other {
        return problem.into();
    }
    match is_built_again(service, key, package).await {
        Ok(true) => {
            let message = "It is the same content, built again: all entries are the same, and the manifests differ only in where and when the app was built.";
            problem.because("SameContentBuiltAgain", message).into()
        }
        Ok(false) => problem.into(),
        Err(error) => {
            tracing::warn!(error = %Chain(&error), "a stored package could not be compared with an upload");
            problem.into()
        }
    }
}

async fn is_built_again(service: &Service, key: &VersionKey, package: &Package) -> Result<bool> {
    let Some(existing) = versions::version(&service.db, key).await? else {
        return Ok(false);
    };
    let location = service.blobs.known_location(&existing.location)?;
    let read = |stored| navx::read(stored, &navx::Limits::default());
    let stored = location
        .look_into(ObjectName::from(&existing), existing.size, read)
        .await?;
    stored
        .map(|stored| stored.is_same_content(package))
        .map_err(Error::fault)
}

fn in_progress(existing: &Version) -> Error {
    let message = format!(
        "Version {} is being uploaded for country {} since {} by {}.",
        existing.version, existing.country_code, existing.uploaded_on, existing.uploaded_by
    );
    Error::try_later(Code::UploadInProgress, message, 5)
}

fn differs(version: &Version, other: &OtherBytes) -> RuleError {
    let stands = match other.status {
        VersionStatus::Uploading => "is being uploaded",
        _ => "was uploaded",
    };
    let message = format!(
        "Version {} {stands} with other bytes for country {}, and this service asks for the same bytes in every country.",
        version.version, other.country_code
    );
    RuleError::broken("DifferentContentElsewhere", message).about("packageContents")
}

async fn store_bytes(service: &Service, pending: &Pending, received: Received) -> Result<()> {
    if pending.has_bytes {
        return Ok(());
    }
    let name = ObjectName::from(&pending.version);
    let storing = tokio::spawn(async move { received.staged.publish(&name).await }.in_current_span());
    let every = service.settings.storage.grace / HEARTBEATS_PER_GRACE;
    let stored = keep_alive(service, &blob_of(&pending.version), every, storing).await;
    Ok(stored.map_err(Error::fault)??)
}

/// Does `work`, and lets the sweeper know every so often that it goes on.
pub(super) async fn keep_alive<T>(
    service: &Service,
    blob: &BlobKey,
    every: Duration,
    work: impl Future<Output = T>,
) -> T {
    let mut work = std::pin::pin!(work);
    loop {
        if let Ok(done) = tokio::time::timeout(every, &mut work).await {
            return done;
        }
        if let Err(error) = touch(service, blob).await {
            tracing::warn!(error = %Chain(&error), "an upload that goes on could not say so");
        }
    }
}

async fn touch(service: &Service, blob: &BlobKey) -> Result<bool> {
    let input = (blob.clone(), service.clock.now());
    service
        .db
        .write(input, |mut tx, (blob, now)| {
            Box::pin(async move { Ok(blobs::touch_blob(&mut tx, blob, *now).await?) })
        })
        .await
}

struct Finish {
    principal: Principal,
    pending: Pending,
    now: Instant,
}

/// Makes the version visible, or says that its bytes could not be stored.
pub(super) async fn finish(
    service: &Service,
    principal: &Principal,
    pending: Pending,
    stored: Result<()>,
) -> Result<Version> {
    let input = Finish {
        principal: principal.clone(),
        pending,
        now: service.clock.now(),
    };
    if let Err(error) = stored {
        service
            .db
            .write(input, |tx, input| Box::pin(fail_in(tx, input)))
            .await?;
        return Err(error);
    }
    let finished = service
        .db
        .write(input, |tx, input| Box::pin(finish_in(tx, input)))
        .await?;
    service.emitted.notify_here();
    finished
}

/// The inner result is a refusal that is committed with what it leaves to the sweeper.
async fn finish_in(mut tx: Tx<'_>, input: &Finish) -> Result<Result<Version>> {
    let pending = &input.pending;
    let own = lock_own_row(&mut tx, &pending.version).await?;
    if let Some(row) = &own
        && row.status == VersionStatus::Uploaded
    {
        // An earlier try was committed, and only its answer was lost.
        return Ok(Ok(row.clone()));
    }
    match require_still(&mut tx, &input.principal, &pending.version).await {
        Ok(()) => {}
        Err(Error::Rule(problem)) => {
            forget(&mut tx, input, own).await?;
            return Ok(Err(problem.into()));
        }
        Err(error) => return Err(error),
    }
    match own.filter(|row| row.status == VersionStatus::Uploading) {
        Some(row) if keeps_bytes(&mut tx, &row).await? => publish(&mut tx, input, row).await.map(Ok),
        own => {
            fail(&mut tx, input, own).await?;
            Ok(Err(given_up()))
        }
    }
}

/// The version's row, locked, if it is still the one of this upload. The app is locked before, as by everybody: and so an
/// attempt whose answer was lost has come to its end before this one looks.
async fn lock_own_row(tx: &mut Tx<'_>, version: &Version) -> Result<Option<Version>> {
    apps::lock_app(tx, version.app_id).await?;
    let row = versions::lock_version(tx, &version.key()).await?;
    Ok(row.filter(|row| row.upload_id == version.upload_id))
}

/// Makes the version whole, with what its publisher has said about it in the meantime.
async fn publish(tx: &mut Tx<'_>, input: &Finish, row: Version) -> Result<Version> {
    let version = Version {
        status: VersionStatus::Uploaded,
        uploaded_on: input.now,
        etag: Etag::random(),
        ..row
    };
    let blob = blob_of(&version);
    blobs::save_blob(tx, &blob, version.size, BlobState::Stored, input.now).await?;
    versions::update_version(tx, &version).await?;
    apps::name_app(tx, version.app_id, &version.name, version.version).await?;
    let mut after = state(&version);
    if let (Some(country), Some(after)) = (&input.pending.differs_from, after.as_object_mut()) {
        after.insert("differsFromCountry".into(), country.as_str().into());
    }
    let change = Change {
        action: "versions/upload",
        target: version.key().to_string(),
        before: None,
        after: Some(after),
    };
    let by = Actor::Principal(&input.principal);
    audit::record(tx, by, input.now, change).await?;
    emit_version(tx, VERSION_UPLOADED, by, input.now, (None, &version)).await?;
    Ok(version)
}

/// Takes the row of a refused upload away, if it is still its own and waits for it.
async fn forget(tx: &mut Tx<'_>, input: &Finish, own: Option<Version>) -> Result<()> {
    leave_to_sweeper(tx, &input.pending.version, input.now).await?;
    let Some(row) = own.filter(|row| row.status == VersionStatus::Uploading) else {
        return Ok(());
    };
    let key = row.key();
    versions::delete_version(tx, &key).await?;
    let change = Change {
        action: "versions/uploadRefused",
        target: key.to_string(),
        before: Some(state(&row)),
        after: None,
    };
    audit::record(tx, Actor::Principal(&input.principal), input.now, change).await
}

/// Whether the bytes of a version count as its own: the sweeper has not begun to remove them.
async fn keeps_bytes(tx: &mut Tx<'_>, version: &Version) -> Result<bool> {
    let state = blobs::lock_blob(tx, &blob_of(version)).await?;
    Ok(matches!(state, Some(BlobState::Storing | BlobState::Stored)))
}

fn given_up() -> Error {
    Error::try_later(
        Code::UploadInProgress,
        "The upload took too long and was given up.",
        1,
    )
}

/// Bytes that were stored after the sweeper had removed and forgotten them are announced to it once more.
async fn leave_to_sweeper(tx: &mut Tx<'_>, version: &Version, now: Instant) -> Result<()> {
    let blob = blob_of(version);
    match blobs::lock_blob(tx, &blob).await? {
        Some(_) => Ok(()),
        None => Ok(blobs::save_blob(tx, &blob, version.size, BlobState::Deleting, now).await?),
    }
}

async fn fail_in(mut tx: Tx<'_>, input: &Finish) -> Result<()> {
    let own = lock_own_row(&mut tx, &input.pending.version).await?;
    fail(&mut tx, input, own).await
}

/// Says of the upload, if the row is still its own and waits for it, that it failed.
async fn fail(tx: &mut Tx<'_>, input: &Finish, own: Option<Version>) -> Result<()> {
    // What was said to have failed may have happened all the same.
    leave_to_sweeper(tx, &input.pending.version, input.now).await?;
    match own.filter(|row| row.status == VersionStatus::Uploading) {
        Some(row) => record_failed(tx, Actor::Principal(&input.principal), input.now, row).await,
        None => Ok(()),
    }
}

/// Says of an upload, whose row is locked, that it failed.
pub(super) async fn record_failed(
    tx: &mut Tx<'_>,
    actor: Actor<'_>,
    now: Instant,
    row: Version,
) -> Result<()> {
    let failed = Version {
        status: VersionStatus::UploadFailed,
        etag: Etag::random(),
        ..row
    };
    versions::update_version(tx, &failed).await?;
    let change = Change {
        action: "versions/uploadFailed",
        target: failed.key().to_string(),
        before: None,
        after: Some(state(&failed)),
    };
    audit::record(tx, actor, now, change).await
}
