//! What schema synchronisation is forecast to make of a version: told to whoever uploads it, and asked before a hotfix.
//!
//! A forecast is made of two packages, so it needs no more than their bytes, and it is the same for as long as the rules
//! are. Reading packages is work for threads that may block, a few at a time, with nothing of the database held. Where none
//! can be made, nothing is told and nobody is kept from anything: rules may be wrong, and a hotfix that is refused does no
//! harm.

use super::{Principal, Service, hotfixes::ScheduleHotfix, versions::key};
use crate::{
    blobs::{ObjectName, ReadSeek},
    error::{Error, Result},
};
use domain::{
    chain::Chain,
    country::CountryCode,
    ids::AppId,
    version::{AppVersion, Dependency, VersionStatus},
};
use navx::{
    Limits, PackageError,
    schema::{self, Finding, Forecast, Mode, Schema, Severity, Verdict},
};
use serde_json::Value;
use std::{
    collections::{HashMap, VecDeque},
    io::{self, Read, Seek, SeekFrom},
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};
use store::{
    StoreError, environments, principals,
    selections::KnownVersion,
    versions::{self, Version},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Forecasts that are made at once. Each has two packages' symbols in memory.
const PLACES: usize = 2;
/// How long somebody waits for a place, before nothing is told.
const PATIENCE: Duration = Duration::from_secs(5);
/// Forecasts that are kept, the latest made ones.
const KEPT: usize = 128;
/// Findings of a forecast that are told, the worst ones.
const MAX_FINDINGS: usize = 200;
/// Bytes of a forecast that is told.
const MAX_BYTES: usize = 256 << 10;
/// Refused findings that a sentence names.
const MAX_NAMED: usize = 3;
/// Characters of a name in such a sentence.
const MAX_NAME: usize = 100;

/// The packages that a forecast is about, by their hashes: the one installed, and the one after it.
type Pair = ([u8; 32], [u8; 32]);

/// Forecasts made, and places for making more.
pub(crate) struct Forecasts {
    places: Arc<Semaphore>,
    /// Each app's one place.
    of_apps: Mutex<HashMap<AppId, Weak<Semaphore>>>,
    /// `None` for packages of which none can be made, at no time.
    kept: Mutex<VecDeque<(Pair, Option<Arc<Foretold>>)>>,
}

/// A place for making one; it is free again when this goes.
struct Place {
    _permits: [OwnedSemaphorePermit; 2],
}

/// A forecast, as it is told.
pub(crate) struct Foretold {
    /// All of it, as JSON.
    json: String,
    /// What is refused, in a sentence, if anything is.
    refused: Option<Arc<str>>,
}

/// What is told of a version besides what it is.
#[derive(Default)]
pub(crate) struct Told {
    /// The forecast about it after the newest lower version of its line, as JSON.
    pub(crate) warnings: Option<Arc<Foretold>>,
    /// What its country lacks.
    pub(crate) missing: Option<Vec<Missing>>,
}

/// An app that a version needs and its country has not.
pub(crate) struct Missing {
    pub(crate) needed: Dependency,
    /// The countries that have a version of it that will do.
    pub(crate) countries: Vec<CountryCode>,
}

impl Default for Forecasts {
    fn default() -> Self {
        Self {
            places: Arc::new(Semaphore::new(PLACES)),
            of_apps: Mutex::default(),
            kept: Mutex::default(),
        }
    }
}

impl Forecasts {
    fn find(&self, pair: &Pair) -> Option<Option<Arc<Foretold>>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.iter().find(|(known, _)| known == pair);
        found.map(|(_, foretold)| foretold.clone())
    }

    fn keep(&self, pair: Pair, foretold: Option<Arc<Foretold>>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.truncate(KEPT - 1);
        kept.push_front((pair, foretold));
    }

    /// Waits for a place. An app has one, so that none takes all of them; what it wants besides waits for that one.
    async fn enter(&self, app: AppId) -> Option<Place> {
        let entering = async {
            let of_app = self.place_of(app).acquire_owned().await.ok()?;
            let of_all = Arc::clone(&self.places).acquire_owned().await.ok()?;
            Some([of_app, of_all])
        };
        let entered = tokio::time::timeout(PATIENCE, entering).await.ok()?;
        entered.map(|permits| Place { _permits: permits })
    }

    fn place_of(&self, app: AppId) -> Arc<Semaphore> {
        let mut places = self.of_apps.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = places.get(&app).and_then(Weak::upgrade) {
            return place;
        }
        places.retain(|_, place| place.strong_count() > 0);
        let place = Arc::new(Semaphore::new(1));
        places.insert(app, Arc::downgrade(&place));
        place
    }
}

/// Bytes that are read while somebody waits for what comes of it.
struct WhileWanted {
    bytes: Box<dyn ReadSeek>,
    wanted: Weak<()>,
}

impl Read for WhileWanted {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.wanted.strong_count() {
            0 => Err(io::Error::other("nobody waits for the forecast any more")),
            _ => self.bytes.read(into),
        }
    }
}

impl Seek for WhileWanted {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.bytes.seek(to)
    }
}

impl Foretold {
    /// All of it, as JSON.
    pub(crate) fn json(&self) -> &str {
        &self.json
    }
}

/// The forecast about `new` after `old`; none where it cannot be made, or not now.
pub(super) async fn forecast(
    service: &Service,
    old: &Version,
    new: &Version,
) -> Result<Option<Arc<Foretold>>> {
    let pair = (old.sha256, new.sha256);
    if let Some(found) = service.forecasts.find(&pair) {
        return Ok(found);
    }
    let Some(place) = service.forecasts.enter(new.app_id).await else {
        return Ok(None);
    };
    // Whoever had the place before may have made it.
    if let Some(found) = service.forecasts.find(&pair) {
        return Ok(found);
    }
    let made = make(service, old, new, place).await?.map(Arc::new);
    service.forecasts.keep(pair, made.clone());
    Ok(made)
}

/// `place` goes to the threads that read. They end soon after whoever waits has gone, and only then it is free.
async fn make(service: &Service, old: &Version, new: &Version, place: Place) -> Result<Option<Foretold>> {
    let waiting = Arc::new(());
    let wanted = Arc::downgrade(&waiting);
    let (before, place) = look_into(service, old, wanted.clone(), move |bytes| {
        (Schema::read(bytes, &Limits::default()), place)
    })
    .await?;
    let Some(before) = understood(old, before)? else {
        return Ok(None);
    };
    let after = new.clone();
    look_into(service, new, wanted, move |bytes| {
        let _place = place;
        let read = Schema::read(bytes, &Limits::default());
        let Some(after) = understood(&after, read)? else {
            return Ok(None);
        };
        let forecast = schema::compare(&before, &after, Mode::Add).map_err(Error::fault)?;
        foretold(forecast).map(Some)
    })
    .await?
}

/// What a package says; none where it says nothing that can be compared, for it never will.
fn understood(version: &Version, read: Result<Schema, PackageError>) -> Result<Option<Schema>> {
    match read {
        Ok(schema) => Ok(Some(schema)),
        Err(PackageError::Io(error)) => Err(Error::fault(error)),
        Err(refused) => {
            let Version {
                app_id,
                country_code,
                version,
                ..
            } = version;
            tracing::warn!(%app_id, %country_code, %version, error = %Chain(&refused), "no forecast can be made of it");
            Ok(None)
        }
    }
}

async fn look_into<T: Send + 'static>(
    service: &Service,
    version: &Version,
    wanted: Weak<()>,
    read: impl FnOnce(WhileWanted) -> T + Send + 'static,
) -> Result<T> {
    let location = service.blobs.known_location(&version.location)?;
    let name = ObjectName::from(version);
    let read = move |bytes| read(WhileWanted { bytes, wanted });
    Ok(location.look_into(name, version.size, read).await?)
}

fn foretold(mut forecast: Forecast) -> Result<Foretold> {
    let refused = (forecast.verdict == Verdict::Refused).then(|| sentence(&forecast.findings).into());
    let all = forecast.findings.len();
    if all > MAX_FINDINGS {
        forecast.findings.sort_by_key(|finding| finding.severity);
        forecast.findings.truncate(MAX_FINDINGS);
    }
    loop {
        let json = written(&forecast, all)?;
        if json.len() <= MAX_BYTES || forecast.findings.is_empty() {
            return Ok(Foretold { json, refused });
        }
        // Names and values are the package's, and as long as it likes.
        forecast.findings.truncate(forecast.findings.len() / 2);
    }
}

fn written(forecast: &Forecast, all: usize) -> Result<String> {
    let mut json = serde_json::to_value(forecast).map_err(Error::fault)?;
    if let Some(members) = json.as_object_mut() {
        let left_out = all - forecast.findings.len();
        members.insert("findingsLeftOut".to_owned(), Value::from(left_out));
    }
    Ok(json.to_string())
}

/// What is refused, in a sentence.
fn sentence(findings: &[Finding]) -> String {
    let refused: Vec<_> = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Refused)
        .collect();
    let named: Vec<_> = refused
        .iter()
        .take(MAX_NAMED)
        .map(|finding| named(finding))
        .collect();
    let more = match refused.len().saturating_sub(MAX_NAMED) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    format!("{}{more}.", named.join("; "))
}

fn named(finding: &Finding) -> String {
    let short = |name: &str| name.chars().take(MAX_NAME).collect::<String>();
    let object = finding
        .object
        .as_ref()
        .map(|object| format!("{} {} \"{}\"", object.kind, object.id, short(&object.name)));
    let member = finding
        .member
        .as_ref()
        .map(|member| format!("{} \"{}\"", member.kind, short(&member.name)));
    let place: Vec<_> = object.into_iter().chain(member).collect();
    format!("{} ({}: {})", place.join(", "), finding.code, finding.message)
}

/// A version with what is told of it, if that is wanted. It is what it is, whether or not that can be found out.
pub(crate) async fn told_with(
    service: &Service,
    principal: &Principal,
    version: Version,
    is_wanted: bool,
) -> (Version, Told) {
    let mut told = Told::default();
    if is_wanted && version.status == VersionStatus::Uploaded {
        told.warnings = known(warnings(service, principal, &version).await);
        told.missing = known(missing(service, principal, &version).await.map(Some));
    }
    (version, told)
}

fn known<T>(found: Result<Option<T>>) -> Option<T> {
    found.unwrap_or_else(|error| {
        tracing::warn!(error = %Chain(&error), "what there is to tell of a version cannot be told");
        None
    })
}

async fn warnings(
    service: &Service,
    principal: &Principal,
    version: &Version,
) -> Result<Option<Arc<Foretold>>> {
    let before = versions::find_newest_before(&service.db, principal.reference, &version.key()).await?;
    match before {
        Some(before) => forecast(service, &before, version).await,
        None => Ok(None),
    }
}

/// Of apps that the caller may not see, nothing is told.
async fn missing(service: &Service, principal: &Principal, version: &Version) -> Result<Vec<Missing>> {
    let visible = principals::apps_of(&service.db, principal.reference).await?;
    let mut missing = Vec::new();
    for needed in &version.dependencies {
        if !visible.contains(&needed.app_id) {
            continue;
        }
        let (app, least) = (needed.app_id, needed.min_version);
        let countries = versions::countries_with(&service.db, principal.reference, app, least).await?;
        if !countries.contains(&version.country_code) {
            missing.push(Missing {
                needed: needed.clone(),
                countries,
            });
        }
    }
    Ok(missing)
}

/// Installed versions of which a forecast is asked for. A line has hardly as many in use.
pub(super) const MAX_FORECASTS: usize = 32;

/// What of `target` is forecast to be refused, by the installed version, of those that are `known` in its country.
pub(super) async fn schema_breaks(
    service: &Service,
    known: &[KnownVersion],
    target: &Version,
) -> Result<HashMap<AppVersion, Arc<str>>, StoreError> {
    let below = known.iter().filter(|known| {
        known.is_installed && known.version < target.version && known.version.same_line(target.version)
    });
    let mut breaks = HashMap::new();
    for known in below.take(MAX_FORECASTS) {
        let refused = schema_break(service, known.version, target).await?;
        breaks.extend(refused.map(|refused| (known.version, refused)));
    }
    Ok(breaks)
}

/// What of `target` is forecast to be refused where version `installed` of the app is; none where the repository has not
/// that version, where a hotfix cannot go there from it, or where no forecast can be made now.
pub(crate) async fn schema_break(
    service: &Service,
    installed: AppVersion,
    target: &Version,
) -> Result<Option<Arc<str>>, StoreError> {
    if installed >= target.version || !target.version.same_line(installed) {
        return Ok(None);
    }
    let found = versions::version(&service.db, &key(target.app_id, target.country_code, installed)).await?;
    let Some(old) = found.filter(|version| version.status == VersionStatus::Uploaded) else {
        return Ok(None);
    };
    let foretold = known(forecast(service, &old, target).await);
    Ok(foretold.and_then(|foretold| foretold.refused.clone()))
}

/// What is forecast to be refused of a hotfix that somebody asks for, and after which installed version. Nothing is looked
/// at for whoever has no role on the app.
pub(crate) async fn about_hotfix(
    service: &Service,
    principal: &Principal,
    (app, country): (AppId, CountryCode),
    command: &ScheduleHotfix,
) -> Result<Option<(AppVersion, Arc<str>)>, StoreError> {
    let target = key(app, country, command.target);
    let Some(target) = versions::find_version(&service.db, principal.reference, &target).await? else {
        return Ok(None);
    };
    let Some(environment) = environments::find_environment(&service.db, &command.environment).await? else {
        return Ok(None);
    };
    if environment.country_code != country || target.status != VersionStatus::Uploaded {
        return Ok(None);
    }
    let apps = environments::installed_in(&service.db, &[environment.id]).await?;
    let Some(row) = apps.into_iter().find(|row| row.app.app_id == app) else {
        return Ok(None);
    };
    let installed = row.app.version;
    let refused = schema_break(service, installed, &target).await?;
    Ok(refused.map(|refused| (installed, refused)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;
    use std::io::Cursor;
    use uuid::Uuid;

    #[tokio::test]
    async fn one_app_takes_one_place_and_leaves_the_other() {
        let forecasts = Forecasts::default();
        let [first, second] = [1, 2].map(|id| AppId(Uuid::from_u128(id)));
        let place = forecasts.enter(first).await.unwrap();
        let mut again = Box::pin(forecasts.enter(first));
        assert!(again.as_mut().now_or_never().is_none());
        let other = forecasts.enter(second).now_or_never().flatten();
        assert!(other.is_some());
        drop(place);
        assert!(again.await.is_some());
        drop(other);
        drop(forecasts.place_of(AppId(Uuid::from_u128(3))));
        assert_eq!(forecasts.of_apps.lock().unwrap().len(), 1);
    }

    #[test]
    fn nothing_is_read_for_nobody() {
        let waiting = Arc::new(());
        let mut bytes = WhileWanted {
            bytes: Box::new(Cursor::new(b"bytes".to_vec())),
            wanted: Arc::downgrade(&waiting),
        };
        let mut read = [0; 2];
        bytes.read_exact(&mut read).unwrap();
        drop(waiting);
        let error = bytes.read(&mut read).unwrap_err();
        assert!(error.to_string().contains("nobody waits"), "{error}");
    }
}
