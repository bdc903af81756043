//! What there is before a release begins: whether the apps, the role and the countries are there, what the versions are by now,
//! and which environments wait for them. Nothing is changed here, and whatever cannot be told ends the release.

use super::{
    drive::{Became, Release},
    plan::{Cell, Item, Obstacle, Stage, Step, There},
};
use crate::{
    args::{AppInCountry, Country, QueryArgs},
    commands::{
        hotfixes::{
            seen::Reader,
            selection::{Environment, Place, Target as Aim, places},
        },
        versions::{packages::lacking, target::Target},
    },
    failure::Failure,
};
use domain::{
    access::permissions_with,
    country::CountryCode,
    environment::EnvironmentKey,
    ids::{AppId, OperationId},
    operation::OperationStatus,
    principal::{Role, Roles},
    publisher::Right,
    version::{AppVersion, Availability},
};
use futures::{StreamExt, stream};
use navx::Dependency;
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};

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

/// What speaks against a version that is there with other content, besides that it is.
const HOW_OTHER_CONTENT_COMES_ABOUT: &str = "A build that runs again makes other bytes, and where its numbers do not count the run's attempts (in AL-Go, versioningStrategy 3) \
     they are the same: release the packages of the first run, or raise the version.";

impl Release<'_> {
    /// Looks at everything that a release rests on.
    ///
    /// # Errors
    /// The first of what keeps it from beginning; the others are told of.
    pub(super) async fn look(&mut self) -> Result<(), Failure> {
        let apps: BTreeSet<AppId> = self.goal.items.iter().map(|item| item.app).collect();
        let mut countries = HashMap::new();
        let looks = apps
            .into_iter()
            .map(async |app| (app, self.look_at_app(app).await));
        let mut failures = Vec::new();
        for (app, found) in stream::iter(looks)
            .buffered(self.pace.concurrency)
            .collect::<Vec<_>>()
            .await
        {
            match found {
                Ok(found) => _ = countries.insert(app, found),
                Err(failure) => failures.push((self.called(app), failure)),
            }
        }
        self.end_at_first(failures)?;

        let cells: Vec<Cell> = self.goal.cells().collect();
        let looks = cells.into_iter().map(async |cell| {
            let app = self.goal.items.get(cell.item).map(|item| item.app);
            let has_country = app.is_some_and(|app| {
                countries
                    .get(&app)
                    .is_some_and(|countries: &BTreeSet<String>| countries.contains(&cell.country))
            });
            let there = match has_country {
                true => self.look_at(&cell).await,
                false => self.look_at_absent(&cell).await,
            };
            (cell, there)
        });
        let mut failures = Vec::new();
        for (cell, there) in stream::iter(looks)
            .buffered(self.pace.concurrency)
            .collect::<Vec<_>>()
            .await
        {
            match there {
                Ok((there, told)) => {
                    self.note_obstacle(&cell, told);
                    self.state.cells.insert(cell, there);
                }
                Err(failure) => failures.push((self.about(&cell), failure)),
            }
        }
        self.end_at_first(failures)?;
        self.before = self.state.cells.clone();
        self.note_obstacles();
        match self.is_hindered() {
            true => Ok(()),
            false => {
                self.look_for_environments().await?;
                self.look_for_objections().await
            }
        }
    }

    /// Warns of what packages need and countries neither have nor get with the release: nobody could install them there.
    pub(super) async fn warn_of_lacks(&self) {
        let brought = |needed: &Dependency| {
            let is_enough = |item: &&Item| {
                item.app.0 == needed.id && item.version >= AppVersion(needed.min_version.parts())
            };
            let items = self.goal.items.iter().filter(is_enough);
            items.flat_map(|item| item.countries.clone()).collect()
        };
        for (package, item) in self.packages.iter().zip(&self.goal.items) {
            let countries: Vec<&str> = item.countries.iter().map(String::as_str).collect();
            for lack in lacking(self.session, package, &countries, brought).await {
                let file = package.file.display();
                self.session.printer.warning(format!("{file}: {lack}"));
            }
        }
    }

    fn end_at_first(&self, failures: Vec<(String, Failure)>) -> Result<(), Failure> {
        let mut failures = failures.into_iter();
        let Some((_, first)) = failures.next() else {
            return Ok(());
        };
        for (about, failure) in failures {
            failure.tell(self.session.printer, Some(&about));
        }
        Err(first)
    }

    /// The countries of an app on which the caller may do all that the release does.
    async fn look_at_app(&self, app: AppId) -> Result<BTreeSet<String>, Failure> {
        let client = &self.session.client;
        let allowed = self.allowed(app).await?;
        let is_allowed = |action: &str| {
            let mut named = allowed.iter().flatten();
            allowed.is_none() || named.any(|allowed| allowed.eq_ignore_ascii_case(action))
        };
        let rows = client.list_countries(app).json().all().await?;
        let codes = rows.iter().filter_map(|row| row["countryCode"].as_str());
        let countries: BTreeSet<String> = codes.map(str::to_ascii_uppercase).collect();
        let items = self.goal.items.iter().filter(|item| item.app == app);
        let lacks_countries = items
            .flat_map(|item| &item.countries)
            .any(|country| !countries.contains(country));
        let needed = [
            (true, "versions/write"),
            (self.goal.adds_countries && lacks_countries, "countries/write"),
            (self.goal.hotfix.is_some(), "environmentHotfixes/write"),
        ];
        let missing = needed
            .into_iter()
            .filter(|(is_needed, action)| *is_needed && !is_allowed(action));
        let missing: Vec<&str> = missing.map(|(_, action)| action).collect();
        self.check_granted(app)?;
        match missing.is_empty() {
            true => Ok(countries),
            false => Err(Failure::NotAllowed(format!(
                "{}: your role on the app {app} does not allow {}; nothing was changed.",
                self.called(app),
                missing.join(", ")
            ))),
        }
    }

    /// Whether a trusted pipeline was granted all that the release does with an app: its role says less than its record.
    fn check_granted(&self, app: AppId) -> Result<(), Failure> {
        let publishing = self.session.source.publishing.as_ref();
        let Some(grant) = publishing.and_then(|publishing| publishing.grant(app)) else {
            return Ok(());
        };
        let may = |right: Right| grant.may.iter().any(|word| word.parse() == Ok(right));
        let offers = self.goal.availability == Availability::Available;
        let reaches = grant.max_availability.parse() == Ok(Availability::Available);
        let may_hotfix = may(Right::HotfixSandbox) || may(Right::HotfixProduction);
        let wanted = [
            (!may(Right::Upload), "upload"),
            (offers && !may(Right::Availability), "availability"),
            (offers && !reaches, "maxAvailability Available"),
            (
                self.goal.hotfix.is_some() && !may_hotfix,
                "hotfix:sandbox or hotfix:production",
            ),
        ];
        let wanted = wanted
            .into_iter()
            .filter(|(lacks, _)| *lacks)
            .map(|(_, word)| word.to_owned());
        let is_granted = |country: &&String| {
            grant.countries.is_empty()
                || grant
                    .countries
                    .iter()
                    .any(|own| own.eq_ignore_ascii_case(country))
        };
        let items = self.goal.items.iter().filter(|item| item.app == app);
        let others = items
            .flat_map(|item| &item.countries)
            .filter(|country| !is_granted(country));
        let missing: BTreeSet<String> = wanted
            .chain(others.map(|country| format!("the country {country}")))
            .collect();
        match missing.is_empty() {
            true => Ok(()),
            false => Err(Failure::NotAllowed(format!(
                "{}: the trusted publisher {} is not granted {}; nothing was changed. An Owner of the app {app} can grant it: \
                 fame publishers add.",
                self.called(app),
                grant.publisher_id,
                missing.into_iter().collect::<Vec<_>>().join(", ")
            ))),
        }
    }

    /// What the caller may do with an app: as the service says or, where it says no such thing, as the roles imply that it
    /// shows. Nothing where neither tells: then the first change does.
    async fn allowed(&self, app: AppId) -> Result<Option<Vec<String>>, Failure> {
        let client = &self.session.client;
        let rows = match client.get_my_permissions(app).json().all().await {
            Ok(rows) => rows,
            Err(error) if error.refusal(StatusCode::NOT_FOUND).is_some() => return self.implied(app).await,
            Err(error) => return Err(error.into()),
        };
        let named = rows.iter().filter_map(|row| row["action"].as_str());
        Ok(Some(named.map(str::to_owned).collect()))
    }

    async fn implied(&self, app: AppId) -> Result<Option<Vec<String>>, Failure> {
        let client = &self.session.client;
        for id in client.signed_in_as().await? {
            match client.get_principal(app, id.into()).json().await {
                Ok(row) => {
                    let words = row.get("roles").and_then(Value::as_array);
                    let words = words.into_iter().flatten().filter_map(Value::as_str);
                    let roles: Roles = words.filter_map(|word| word.parse::<Role>().ok()).collect();
                    let allowed = permissions_with(roles).into_iter();
                    return Ok(Some(allowed.map(|allowed| allowed.to_string()).collect()));
                }
                Err(error) if error.refusal(StatusCode::NOT_FOUND).is_some() => {}
                Err(error) => return Err(error.into()),
            }
        }
        match client.list_countries(app).json().all().await {
            Ok(_) => Ok(None),
            Err(error) if error.refusal(StatusCode::NOT_FOUND).is_some() => Err(Failure::NotFound(format!(
                "{}: the app {app} is not registered there, or you have no role on it.",
                self.called(app)
            ))),
            Err(error) => Err(error.into()),
        }
    }

    /// What there is of an item in a country that its app has; and how it differs, where it does.
    pub(super) async fn look_at(&self, cell: &Cell) -> Result<(There, Option<Failure>), Failure> {
        let target = self.target(cell)?;
        let Some(row) = target.existing().await? else {
            return Ok((There::Nothing, None));
        };
        match target.check_same_bytes().await {
            Ok(()) => Ok((There::Same(offered(&row)?), None)),
            Err(Failure::DifferentContent(told)) => {
                let told = format!("{told}\n  {HOW_OTHER_CONTENT_COMES_ABOUT}");
                Ok((There::Different, Some(Failure::DifferentContent(told))))
            }
            Err(failure) => Err(failure),
        }
    }

    /// Whether a country that its app does not have is one that can be added; and why not, where it cannot.
    async fn look_at_absent(&self, cell: &Cell) -> Result<(There, Option<Failure>), Failure> {
        let item = self.goal.items.get(cell.item);
        let (Some(item), true) = (item, self.goal.adds_countries) else {
            return Ok((There::NoCountry, None));
        };
        if let Err(error) = cell.country.parse::<CountryCode>() {
            let told = format!("{error}, so that nobody can add it; nothing was changed.");
            return Ok((There::NoSuchCountry, Some(Failure::Rule(told))));
        }
        let asked = self.session.client.get_country(item.app, &cell.country);
        match asked.json().await {
            Ok(_) => Ok((There::NoCountry, None)),
            Err(error) if error.refusal(StatusCode::NOT_FOUND).is_some() => Ok((There::NoCountry, None)),
            Err(error) if error.refusal(StatusCode::BAD_REQUEST).is_some() => {
                Ok((There::NoSuchCountry, Some(error.into())))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Where an item goes in a country.
    pub(super) fn target<'t>(&'t self, cell: &'t Cell) -> Result<Target<'t>, Failure> {
        let package = self.packages.get(cell.item);
        let package = package.ok_or_else(|| Failure::Unexpected("A package is gone.".to_owned()))?;
        Ok(Target {
            session: self.session,
            package,
            country: &cell.country,
        })
    }

    fn note_obstacle(&mut self, cell: &Cell, told: Option<Failure>) {
        if let Some(failure) = told {
            self.became
                .insert(Step::Upload(cell.clone()), Became::Failed(failure));
        }
    }

    /// Says what keeps the release from beginning.
    fn note_obstacles(&mut self) {
        for obstacle in self.goal.obstacles(&self.state) {
            let (step, failure) = match obstacle {
                Obstacle::Different(_) | Obstacle::NoSuchCountry(_) | Obstacle::Hindered(_) => continue,
                Obstacle::NoCountry(cell) => {
                    let told = format!(
                        "{}: the app does not have the country; --add-countries adds it.",
                        self.about(&cell)
                    );
                    (Step::Upload(cell), Failure::NotFound(told))
                }
                Obstacle::Deprecated(cell) => {
                    let told = format!(
                        "{}: the version was withdrawn (Deprecated); --allow-deprecated offers it again.",
                        self.about(&cell)
                    );
                    (Step::Offer(cell), Failure::Rule(told))
                }
            };
            self.became.insert(step, Became::Failed(failure));
        }
    }

    /// Looks for the environments of all items, so that a filter that nobody understands or that finds nobody is told before
    /// anything is changed.
    async fn look_for_environments(&mut self) -> Result<(), Failure> {
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
        let status = text("status").map(str::parse::<OperationStatus>);
        Some(Self {
            id: text("id")?.parse().ok()?,
            environment: Aim::deserialize(&row).ok()?.key()?,
            target: text("targetAppVersion").and_then(|version| version.parse().ok()),
            has_ended: status.is_some_and(|status| status.is_ok_and(OperationStatus::is_terminal)),
            row,
        })
    }
}

/// To whom a version is offered, as the service shows it.
pub(super) fn offered(row: &Value) -> Result<Availability, Failure> {
    let word = row["availability"].as_str().unwrap_or_default();
    word.parse().map_err(|_| {
        Failure::Unexpected(format!(
            "The availability '{word}' of a version is not a known one."
        ))
    })
}

fn stage(environment: &Environment, target: AppVersion, has_hotfix: bool) -> Stage {
    match environment.installed() {
        _ if has_hotfix => Stage::Pending,
        Some(installed) if !installed.same_line(target) => Stage::OtherLine,
        Some(installed) if installed >= target => Stage::Reached,
        _ => Stage::Due,
    }
}
