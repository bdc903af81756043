//! A target that only pretends: for `fame dev`, demonstrations and tests.
//!
//! It takes time on the clock that it is given, fails and falls silent as it is told, and otherwise brings the version
//! in; how long it takes follows from the operation alone, so that the same run gives the same picture.

use crate::{
    clock::SharedClock,
    driver::{Deployed, Driver, Finding, Found, InstalledApp, Weight, Work, Workplace},
    failure::Failure,
};
use domain::{
    environment::EnvironmentKey,
    ids::{AppId, OperationId},
    instant::{Instant, TICKS_PER_SECOND},
    operation::{FailureCause, OperationKind},
    version::AppVersion,
};
use futures::future::BoxFuture;
use serde::{Deserialize, Deserializer, de};
use serde_json::json;
use std::{
    collections::{BTreeMap, HashMap},
    fmt::Display,
    str::FromStr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use uuid::Uuid;

/// Shortest simulated work, in ticks.
const SHORTEST: i64 = TICKS_PER_SECOND;
/// What is added to it at most, in ticks.
const SPREAD: i64 = TICKS_PER_SECOND;
const UPGRADE: &str = "Upgrade";

/// What is installed there at first, and what goes wrong.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The apps that are installed.
    pub apps: Vec<SimulatedApp>,
    /// Each operation fails with this text.
    pub fails: Option<String>,
    /// Why it fails, as a word.
    #[serde(deserialize_with = "some_parsed")]
    pub cause: Option<FailureCause>,
    /// There is nothing to do.
    pub finds_nothing_to_do: bool,
    /// The agent falls silent over each operation.
    pub gets_lost: bool,
    /// The package is brought and checked, as a real target needs it, though nothing is done with it.
    pub brings_package: bool,
    /// Each operation takes this long.
    #[serde(deserialize_with = "some_span")]
    pub takes: Option<Duration>,
}

impl Settings {
    /// Each operation fails with this text.
    #[must_use]
    pub fn failing(text: &str) -> Self {
        Self {
            fails: Some(text.to_owned()),
            ..Self::default()
        }
    }

    /// The agent falls silent over each operation.
    #[must_use]
    pub fn silent() -> Self {
        Self {
            gets_lost: true,
            ..Self::default()
        }
    }

    /// Each operation takes this long.
    #[must_use]
    pub fn lasting(takes: Duration) -> Self {
        Self {
            takes: Some(takes),
            ..Self::default()
        }
    }

    /// How long that operation takes there.
    pub(crate) fn lasts(&self, id: OperationId) -> Duration {
        self.takes.unwrap_or_else(|| duration(id))
    }
}

/// An app that is installed at first.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimulatedApp {
    /// Its identity.
    pub id: Uuid,
    /// Its version.
    #[serde(deserialize_with = "parsed")]
    pub version: AppVersion,
    /// Its name.
    #[serde(default)]
    pub name: Option<String>,
    /// Its publisher.
    #[serde(default)]
    pub publisher: Option<String>,
}

fn parsed<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(de::Error::custom)
}

fn some_parsed<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    parsed(deserializer).map(Some)
}

fn some_span<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    crate::span::deserialize(deserializer).map(Some)
}

/// What the simulated environments of a process have installed. It lives as long as the process.
#[derive(Clone, Debug, Default)]
pub struct World(Arc<Mutex<HashMap<EnvironmentKey, BTreeMap<AppId, InstalledApp>>>>);

impl World {
    fn all(&self) -> MutexGuard<'_, HashMap<EnvironmentKey, BTreeMap<AppId, InstalledApp>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Installs an app there, or another version of it.
    pub fn install(&self, environment: &EnvironmentKey, app: InstalledApp) {
        let mut all = self.all();
        all.entry(environment.clone()).or_default().insert(app.id, app);
    }

    /// Takes an app out there.
    pub fn uninstall(&self, environment: &EnvironmentKey, app: AppId) {
        if let Some(apps) = self.all().get_mut(environment) {
            apps.remove(&app);
        }
    }

    /// What is installed there.
    #[must_use]
    pub fn installed(&self, environment: &EnvironmentKey) -> Vec<InstalledApp> {
        let all = self.all();
        all.get(environment)
            .map(|apps| apps.values().cloned().collect())
            .unwrap_or_default()
    }
}

/// The driver of a simulated environment.
pub struct Simulator {
    settings: Settings,
    environment: EnvironmentKey,
    clock: SharedClock,
    world: World,
}

impl Simulator {
    /// A driver of this environment. What the settings say is installed unless the world knows better.
    #[must_use]
    pub fn new(settings: &Settings, environment: EnvironmentKey, clock: SharedClock, world: World) -> Self {
        let known = world.installed(&environment);
        for app in &settings.apps {
            if !known.iter().any(|known| known.id.0 == app.id) {
                world.install(&environment, app.installed());
            }
        }
        Self {
            settings: settings.clone(),
            environment,
            clock,
            world,
        }
    }

    async fn upgrade(&self, work: &Work, found: &Found, at: &dyn Workplace) -> Deployed {
        let takes = self.settings.lasts(work.operation_id);
        let marked = at
            .marks()
            .iter()
            .find_map(|mark| mark.facts.get("endsOn")?.as_i64());
        let ends_on = match marked {
            Some(ticks) => Instant(ticks),
            None => {
                let ends_on = self.clock.now() + takes;
                if let Err(failure) = at.mark(UPGRADE, json!({ "endsOn": ends_on.0 })).await {
                    return Deployed::Failed(failure);
                }
                ends_on
            }
        };
        at.progress(Some(0), UPGRADE, "Upgrading.");
        self.clock.reach(ends_on).await;
        if let Some(text) = &self.settings.fails {
            let cause = self.settings.cause.unwrap_or(FailureCause::Other);
            return Deployed::Failed(Failure::new(cause, text.clone()));
        }
        let Some(target) = work.target else {
            self.world.uninstall(&self.environment, work.app_id);
            return Deployed::Done;
        };
        let before = found.app(work.app_id);
        let app = InstalledApp {
            id: work.app_id,
            version: target,
            name: before
                .and_then(|app| app.name.clone())
                .or_else(|| work.app_name.clone()),
            publisher: before
                .and_then(|app| app.publisher.clone())
                .or_else(|| work.app_publisher.clone()),
            scope: before.and_then(|app| app.scope),
            can_be_uninstalled: None,
        };
        self.world.install(&self.environment, app);
        Deployed::Done
    }
}

impl SimulatedApp {
    fn installed(&self) -> InstalledApp {
        InstalledApp {
            id: AppId(self.id),
            version: self.version,
            name: self.name.clone(),
            publisher: self.publisher.clone(),
            scope: None,
            can_be_uninstalled: None,
        }
    }
}

impl Driver for Simulator {
    fn inventory(&self) -> BoxFuture<'_, Result<Found, Failure>> {
        Box::pin(async {
            Ok(Found {
                is_complete: true,
                is_ready: true,
                apps: self.world.installed(&self.environment),
                read_on: Some(self.clock.now()),
                ..Found::default()
            })
        })
    }

    fn check(&self) -> BoxFuture<'_, Vec<Finding>> {
        let finding = Finding {
            weight: Weight::Warning,
            text: "This environment is only simulated: nothing is brought in anywhere.".into(),
        };
        Box::pin(async { vec![finding] })
    }

    fn can(&self, _: OperationKind) -> bool {
        true
    }

    fn needs_package(&self, _: &Work, _: Option<&InstalledApp>) -> bool {
        self.settings.brings_package
    }

    fn deploy<'d>(
        &'d self,
        work: &'d Work,
        found: &'d Found,
        at: &'d dyn Workplace,
    ) -> BoxFuture<'d, Deployed> {
        Box::pin(async move {
            match self.settings.finds_nothing_to_do {
                true => Deployed::Skipped("There was nothing to do.".into()),
                false => self.upgrade(work, found, at).await,
            }
        })
    }

    fn falls_silent(&self) -> bool {
        self.settings.gets_lost
    }
}

/// Between one and two seconds.
fn duration(id: OperationId) -> Duration {
    let seed = i64::from(id.0.as_bytes()[15]);
    Instant(SHORTEST + SPREAD * seed / 255).since(Instant(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_takes_between_one_and_two_seconds() {
        for last in [0, 1, 128, 255] {
            let mut bytes = [0; 16];
            bytes[15] = last;
            let span = duration(OperationId(Uuid::from_bytes(bytes)));
            assert!((1..=2).contains(&span.as_secs()), "{span:?}");
        }
    }

    #[test]
    fn settings_are_read_as_people_write_them() {
        let text = r#"
            fails = "The table is locked."
            cause = "Lock"
            takes = "90s"
            apps = [{ id = "aaaaaaaa-0000-1111-2222-bbbbbbbbbbbb", version = "16.0.0.5" }]
        "#;
        let settings: Settings = toml::from_str(text).unwrap();
        assert_eq!(settings.takes, Some(Duration::from_secs(90)));
        assert_eq!(settings.cause, Some(FailureCause::Lock));
        assert_eq!(settings.apps[0].version.to_string(), "16.0.0.5");
        assert!(toml::from_str::<Settings>("fails_ = \"x\"").is_err());
        assert!(toml::from_str::<Settings>("cause = \"Bad luck\"").is_err());
    }
}
