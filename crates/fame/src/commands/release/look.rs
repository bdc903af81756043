//! What there is before a release begins: whether the apps and the countries are there, and what the versions are by now.
//! Nothing is changed here, and whatever cannot be told ends the release.

use super::{
    drive::{Became, Release},
    plan::{Cell, Item, Obstacle, Step, There},
};
use crate::{
    commands::versions::{packages::lacking, target::Target},
    failure::Failure,
};
use domain::{
    country::CountryCode,
    ids::AppId,
    version::{AppVersion, Availability},
};
use futures::{StreamExt, stream};
use navx::Dependency;
use reqwest::StatusCode;
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};

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
        self.check_granted()?;
        self.note_obstacles();
        if self.is_hindered() {
            return Ok(());
        }
        self.look_for_environments().await?;
        self.check_hotfixes_granted()?;
        self.look_for_objections().await
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

    /// The countries of an app on which the caller's role allows all that the release does.
    async fn look_at_app(&self, app: AppId) -> Result<BTreeSet<String>, Failure> {
        let allowed = self.allowed(app).await?;
        let rows = self.session.client.list_countries(app).json().all().await?;
        let codes = rows.iter().filter_map(|row| row["countryCode"].as_str());
        let countries: BTreeSet<String> = codes.map(str::to_ascii_uppercase).collect();
        self.check_allowed(app, allowed.as_deref(), &countries)?;
        Ok(countries)
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
