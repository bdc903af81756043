//! The environments that are to get the versions of a release, and their hotfixes: how far each of them is.

use super::{
    drive::Release,
    plan::{Cell, Stage, There},
};
use crate::{
    args::{AppInCountry, Country, QueryArgs},
    commands::hotfixes::{
        seen::{Reader, status_of},
        selection::{Environment, Place, Target as Aim, places},
    },
    failure::Failure,
};
use domain::{
    environment::EnvironmentKey, ids::OperationId, operation::OperationStatus, version::AppVersion,
};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeSet;

/// An environment that is to get an item.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    /// The environment, and the country in which it has the app.
    pub place: Place,
    /// How far it is.
    pub stage: Stage,
    /// The hotfix that brings it there, as the service showed it.
    pub hotfix: Option<Value>,
    /// The hotfixes to this version that it had when it was found.
    earlier: BTreeSet<OperationId>,
}

impl Release<'_> {
    /// Looks for the environments of all items, so that a filter that nobody understands or that finds nobody is told before
    /// anything is changed.
    pub(super) async fn look_for_environments(&mut self) -> Result<(), Failure> {
        let Some(rollout) = self.rollout.clone() else {
            return Ok(());
        };
        for item in 0..self.goal.items.len() {
            let found = self.candidates(item).await?;
            self.candidates.insert(item, found);
        }
        let found = || self.candidates.values().flatten();
        if found().all(|candidate| candidate.stage == Stage::OtherLine) {
            let why = match found().count() {
                0 => "no environment that has the app matches".to_owned(),
                count => {
                    format!("of the {count} environments that match, none is on the line of the release")
                }
            };
            return Err(Failure::NotFound(format!(
                "{}: {why}; nothing was changed.",
                rollout.filter
            )));
        }
        Ok(())
    }

    /// The environments that are to get an item, and how far they are.
    pub(super) async fn candidates(&self, item: usize) -> Result<Vec<Candidate>, Failure> {
        let (Some(rollout), Some(wanted)) = (&self.rollout, self.goal.items.get(item)) else {
            return Ok(Vec::new());
        };
        let has_country = |country: &&String| {
            let cell = Cell {
                item,
                country: (*country).clone(),
            };
            self.state.there(&cell) != There::NoCountry
        };
        let scope = |country: &String| AppInCountry {
            app: wanted.app,
            country: Country(country.clone()),
        };
        let scopes: Vec<AppInCountry> = wanted.countries.iter().filter(has_country).map(scope).collect();
        let found = places(self.session, &scopes, Some(rollout.filter.clone())).await?;
        if found.is_empty() {
            return Ok(Vec::new());
        }
        let hotfixes = self.hotfixes_to(&scopes, wanted.version).await?;
        let candidate = |place: Place| {
            let own = hotfixes
                .iter()
                .filter(|hotfix| hotfix.environment == place.environment.key());
            let hotfix = own.clone().find(|hotfix| !hotfix.has_ended);
            Candidate {
                stage: stage(&place.environment, wanted.version, hotfix.is_some()),
                hotfix: hotfix.map(|hotfix| hotfix.row.clone()),
                earlier: own.map(|hotfix| hotfix.id).collect(),
                place: place.clone(),
            }
        };
        Ok(found.into_iter().map(candidate).collect())
    }

    /// The hotfix to `target` that an environment has got since it was found, whatever has become of it.
    pub(super) async fn made_meanwhile(&self, candidate: &Candidate, target: AppVersion) -> Option<Value> {
        let Candidate { place, earlier, .. } = candidate;
        let scopes = std::slice::from_ref(&place.scope);
        let hotfixes = self.hotfixes_to(scopes, target).await.ok()?;
        let is_new =
            |hotfix: &Seen| hotfix.environment == place.environment.key() && !earlier.contains(&hotfix.id);
        hotfixes.into_iter().find(is_new).map(|hotfix| hotfix.row)
    }

    /// The hotfixes to a version, as far as they make sense; those that have not ended first.
    async fn hotfixes_to(&self, scopes: &[AppInCountry], target: AppVersion) -> Result<Vec<Seen>, Failure> {
        let mut seen = self
            .hotfixes(scopes, format!("targetAppVersion eq '{target}'"))
            .await?;
        seen.retain(|hotfix| hotfix.target == Some(target));
        seen.sort_by_key(|hotfix| hotfix.has_ended);
        Ok(seen)
    }

    /// The hotfixes that match, as far as they make sense.
    pub(super) async fn hotfixes(
        &self,
        scopes: &[AppInCountry],
        filter: String,
    ) -> Result<Vec<Seen>, Failure> {
        let query = QueryArgs {
            filter: Some(filter),
            ..QueryArgs::default()
        };
        let rows = Reader::new(self.session).list(scopes, &query).await?;
        Ok(rows.into_iter().filter_map(Seen::read).collect())
    }
}

/// A hotfix as it was read.
pub(super) struct Seen {
    pub id: OperationId,
    pub environment: EnvironmentKey,
    /// The version that it brings, if it can be understood.
    pub target: Option<AppVersion>,
    /// Whether it is known to have ended: a word that nobody knows is no end.
    pub has_ended: bool,
    row: Value,
}

impl Seen {
    fn read(row: Value) -> Option<Self> {
        let text = |name: &str| row.get(name).and_then(Value::as_str);
        Some(Self {
            id: text("id")?.parse().ok()?,
            environment: Aim::deserialize(&row).ok()?.key()?,
            target: text("targetAppVersion").and_then(|version| version.parse().ok()),
            has_ended: status_of(&row).is_some_and(OperationStatus::is_terminal),
            row,
        })
    }
}

fn stage(environment: &Environment, target: AppVersion, has_hotfix: bool) -> Stage {
    match environment.installed() {
        _ if has_hotfix => Stage::Pending,
        Some(installed) if !installed.same_line(target) => Stage::OtherLine,
        Some(installed) if installed >= target => Stage::Reached,
        _ => Stage::Due,
    }
}
