//! Versions of an app in a country: reading them, and what their publisher may say about them afterwards.

use super::{
    Principal, Service, access,
    audit::{self, Actor, Change},
    events,
    preconditions::Preconditions,
    repeat,
};
use crate::{
    blobs::{ByteStream, ObjectName},
    error::{Error, Result},
    wire_rows,
};
use data_encoding::HEXLOWER;
use domain::{
    access::{Permission, Resource},
    catalogue::{Incompatibility, mark_incompatible},
    country::CountryCode,
    ids::{AppId, Etag},
    instant::Instant,
    problem::{Code, RuleError},
    publisher::Grant,
    version::{AppVersion, Availability, Dependency, VersionStatus},
    webhook::{VERSION_CHANGED, VERSION_OFFERED},
};
use serde_json::{Map, Value, json};
use std::ops::Range;
use store::{
    Tx,
    versions::{self, Version, VersionKey},
    what_if,
};
use wire::versions::{DependencyWhatIf, VersionPatch, VersionWhatIf};

const READ: Permission = Permission::read(Resource::Versions);
const WRITE: Permission = Permission::write(Resource::Versions);
/// What a preview of a change tells of.
pub(crate) const READ_ENVIRONMENTS: Permission = Permission::read(Resource::Environments);

/// The reason of a refusal to take in other bytes for a version that is there.
pub(super) const DIFFERENT_CONTENT: &str = "DifferentContent";

/// The key of a version.
pub(crate) fn key(app: AppId, country: CountryCode, version: AppVersion) -> VersionKey {
    VersionKey {
        app_id: app,
        country_code: country,
        version,
    }
}

/// One version.
pub(crate) async fn get_version(
    service: &Service,
    principal: &Principal,
    app: AppId,
    country: CountryCode,
    version: AppVersion,
) -> Result<Version> {
    let key = key(app, country, version);
    access::admit(service, principal, app, Some(country), READ).await?;
    if let Some(found) = versions::find_version(&service.db, principal.reference, &key).await? {
        return Ok(found);
    }
    access::explain_nothing(service, principal, app, Some(country), READ).await?;
    Err(version_missing(&key).into())
}

/// A version that has a package.
pub(crate) async fn get_packaged_version(
    service: &Service,
    principal: &Principal,
    app: AppId,
    country: CountryCode,
    version: AppVersion,
) -> Result<Version> {
    let found = get_version(service, principal, app, country, version).await?;
    if found.status != VersionStatus::Uploaded {
        let message = format!(
            "Version {version} has no package: its status is {}.",
            found.status
        );
        return Err(RuleError::missing(key(app, country, version).to_string(), message).into());
    }
    Ok(found)
}

/// The package of a version, or a range of it, open for reading.
pub(crate) async fn read_package(
    service: &Service,
    version: &Version,
    range: Option<Range<u64>>,
) -> Result<ByteStream> {
    let location = service.blobs.known_location(&version.location)?;
    let reading = location.read(&ObjectName::from(version), range).await?;
    if reading.size != version.size {
        let message = format!(
            "the package of version {} of app {} has {} bytes in the location '{}', where {} were stored",
            version.version,
            version.app_id,
            reading.size,
            location.name(),
            version.size
        );
        return Err(Error::fault(message));
    }
    Ok(reading.bytes)
}

struct PatchVersion {
    principal: Principal,
    key: VersionKey,
    patch: VersionPatch,
    preconditions: Preconditions,
    now: Instant,
}

/// Changes what may be changed about a version.
pub(crate) async fn patch_version(
    service: &Service,
    principal: &Principal,
    key: VersionKey,
    patch: VersionPatch,
    preconditions: Preconditions,
) -> Result<Version> {
    let input = PatchVersion {
        principal: principal.clone(),
        key,
        patch,
        preconditions,
        now: service.clock.now(),
    };
    let version = service
        .db
        .write(input, |tx, input| Box::pin(patch_version_in(tx, input)))
        .await?;
    service.emitted.notify_here();
    Ok(version)
}

async fn patch_version_in(mut tx: Tx<'_>, input: &PatchVersion) -> Result<Version> {
    let VersionKey {
        app_id, country_code, ..
    } = input.key;
    let allowed = access::require_in_country(&mut tx, &input.principal, app_id, country_code, WRITE).await?;
    let Some(existing) = versions::lock_version(&mut tx, &input.key).await? else {
        return Err(input.preconditions.missing(version_missing(&input.key)));
    };
    if !repeat::is_first(&mut tx, &input.principal, &input.preconditions, input.now).await? {
        return Ok(existing);
    }
    input.preconditions.check_write(Some(existing.etag))?;
    let mut changed = apply(&existing, &input.patch)?;
    allowed.within(|grant| check_run(grant, &existing, &changed))?;
    if changed == existing {
        return Ok(existing);
    }
    changed.etag = Etag::random();
    versions::update_version(&mut tx, &changed).await?;
    let change = Change {
        action: WRITE.as_str(),
        target: input.key.to_string(),
        before: Some(state(&existing)),
        after: Some(state(&changed)),
    };
    let by = Actor::Principal(&input.principal);
    audit::record(&mut tx, by, input.now, change).await?;
    let kind = match changed.availability == existing.availability {
        true => VERSION_CHANGED,
        false => VERSION_OFFERED,
    };
    emit_version(&mut tx, kind, by, input.now, (Some(&existing), &changed)).await?;
    Ok(changed)
}

/// Tells of a version, as it is from now on.
pub(super) async fn emit_version(
    tx: &mut Tx<'_>,
    kind: &str,
    by: Actor<'_>,
    now: Instant,
    (before, version): (Option<&Version>, &Version),
) -> Result<()> {
    let mut facts = Map::new();
    facts.insert("countryCode".to_owned(), version.country_code.as_str().into());
    facts.insert("version".to_owned(), version.version.to_string().into());
    facts.insert("availability".to_owned(), version.availability.as_str().into());
    if let Some(before) = before.filter(|before| before.availability != version.availability) {
        facts.insert(
            "availabilityBefore".to_owned(),
            before.availability.as_str().into(),
        );
    }
    facts.insert("syncMode".to_owned(), version.sync_mode.as_str().into());
    facts.insert("sha256".to_owned(), HEXLOWER.encode(&version.sha256).into());
    events::emit_of_app(tx, kind, version.app_id, by, now, facts).await
}

/// Environments that a preview of a change names.
const SAMPLE: i64 = 20;

/// What a change of a version would hit. Nothing changes.
pub(crate) async fn what_if_version(
    service: &Service,
    principal: &Principal,
    key: VersionKey,
    patch: VersionPatch,
) -> Result<VersionWhatIf> {
    let db = &service.db;
    let VersionKey {
        app_id, country_code, ..
    } = key;
    access::admit(service, principal, app_id, Some(country_code), READ_ENVIRONMENTS).await?;
    let Some(existing) = versions::find_version(db, principal.reference, &key).await? else {
        access::explain_nothing(service, principal, app_id, Some(country_code), READ_ENVIRONMENTS).await?;
        return Err(version_missing(&key).into());
    };
    let changed = apply(&existing, &patch)?;
    let (environments, production) = what_if::count_installations(db, &key).await?;
    let mut dependencies = Vec::new();
    for change in &patch.dependencies {
        let beside = what_if::versions_beside(db, &key, change.app_id).await?;
        dependencies.push(dependency_what_if(change, &beside));
    }
    let is_withdrawn = changed.availability == Availability::Deprecated;
    let dependants = match is_withdrawn && existing.availability != Availability::Deprecated {
        true => stranded(service, &key).await?,
        false => 0,
    };
    let scheduled_hotfixes = match is_withdrawn {
        true => what_if::count_scheduled(db, &key).await?,
        false => 0,
    };
    let sample = what_if::some_installations(db, &key, SAMPLE).await?;
    Ok(VersionWhatIf {
        country_code: country_code.to_string(),
        version: key.version.to_string(),
        environments,
        production,
        scheduled_hotfixes,
        dependants,
        dependencies,
        sample: sample.into_iter().map(wire_rows::environment_what_if).collect(),
    })
}

fn dependency_what_if(change: &Incompatibility, beside: &[(Option<AppVersion>, u64)]) -> DependencyWhatIf {
    let mut hit = DependencyWhatIf {
        app_id: change.app_id.0,
        incompatible_from_version: change.from.map(|from| from.to_string()),
        ..DependencyWhatIf::default()
    };
    for (version, count) in beside {
        match (version, change.from) {
            (None, _) => hit.unknown += count,
            (Some(_), None) => {}
            (Some(version), Some(from)) if *version >= from => hit.broken += count,
            (Some(_), Some(_)) => hit.held_back += count,
        }
    }
    hit
}

/// How many versions of other apps need an app of which, without this version, none that is offered would do.
async fn stranded(service: &Service, key: &VersionKey) -> Result<u64> {
    let others = what_if::availabilities(&service.db, key).await?;
    let others: Vec<_> = others
        .into_iter()
        .filter(|(version, availability)| *version != key.version && *availability == Availability::Available)
        .map(|(version, _)| version)
        .collect();
    let dependants = what_if::dependants(&service.db, key).await?;
    let is_stranded = |needed: &Dependency| {
        needed.app_id == key.app_id
            && needed.accepts(key.version)
            && !others.iter().any(|other| needed.accepts(*other))
    };
    let stranded = dependants
        .iter()
        .filter(|dependant| dependant.dependencies.iter().any(is_stranded));
    Ok(stranded.count() as u64)
}

/// Whether the run of a pipeline may say this of a version: to whom it is offered, and nothing else.
fn check_run(grant: &Grant, existing: &Version, changed: &Version) -> Result<(), RuleError> {
    let offered = Version {
        availability: changed.availability,
        ..existing.clone()
    };
    if offered != *changed {
        return Err(grant.refuse("Of a version a publisher changes the availability alone."));
    }
    grant.check_availability(existing.availability, changed.availability)
}

fn apply(existing: &Version, patch: &VersionPatch) -> Result<Version> {
    patch.check_read_only(&wire_rows::version(existing.clone())?)?;
    let dependencies = mark_incompatible(
        &existing.dependencies,
        existing.application,
        existing.platform,
        &patch.dependencies,
    )?;
    Ok(Version {
        availability: patch.availability.unwrap_or(existing.availability),
        sync_mode: patch.sync_mode.unwrap_or(existing.sync_mode),
        dependencies,
        ..existing.clone()
    })
}

pub(crate) fn version_missing(key: &VersionKey) -> RuleError {
    let message = format!(
        "App {} has no version {} in country {}.",
        key.app_id, key.version, key.country_code
    );
    RuleError::missing(key.to_string(), message)
}

/// What an audit row keeps of a version.
pub(crate) fn state(version: &Version) -> Value {
    let incompatible: Vec<_> = version
        .dependencies
        .iter()
        .filter_map(|dependency| dependency.incompatible_from.map(|from| (dependency.app_id, from)))
        .map(|(app, from)| json!({ "appId": app.to_string(), "incompatibleFromVersion": from.to_string() }))
        .collect();
    json!({
        "availability": version.availability.as_str(),
        "status": version.status.as_str(),
        "syncMode": version.sync_mode.as_str(),
        "packageId": version.package_id.to_string(),
        "sha256": HEXLOWER.encode(&version.sha256),
        "size": version.size,
        "signer": version.signer.as_ref().map(|signer| signer.key.to_string()),
        "incompatibleDependencies": incompatible,
    })
}

/// The answer to an upload of a version that is there already.
pub(crate) fn already_uploaded(existing: &Version, sha256: [u8; 32]) -> Error {
    let same = if existing.sha256 == sha256 {
        "The bytes are identical."
    } else {
        "The bytes are not the same."
    };
    let message = format!(
        "Version {} was uploaded for country {} before, on {} by {}; its package id is {} and its SHA-256 {}. {same} A version is never overwritten.",
        existing.version,
        existing.country_code,
        existing.uploaded_on,
        existing.uploaded_by,
        existing.package_id,
        HEXLOWER.encode(&existing.sha256)
    );
    let code = if existing.sha256 == sha256 {
        "IdenticalContent"
    } else {
        DIFFERENT_CONTENT
    };
    RuleError::new(Code::ResourceExists, message.clone())
        .about(
            VersionKey {
                app_id: existing.app_id,
                country_code: existing.country_code,
                version: existing.version,
            }
            .to_string(),
        )
        .because(code, message)
        .with("packageId", existing.package_id.to_string())
        .with("sha256", HEXLOWER.encode(&existing.sha256))
        .with("uploadedBy", existing.uploaded_by.clone())
        .with("uploadedOn", existing.uploaded_on.to_string())
        .into()
}
