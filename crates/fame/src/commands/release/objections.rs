//! What speaks against the hotfixes of a release, found out before anything is touched: a version that was offered already
//! when its hotfixes are refused is offered for nothing.
//!
//! Hotfixes to other versions are what every service lists. Schemas are compared here, by the packages, because no service
//! can tell of a version that it does not have yet; where it has it, and has plans, its plan is asked too.

use super::{
    drive::{Became, Release},
    look::offered,
    plan::{Cell, Site, Stage, Step, There},
    policy::Rollout,
    sites::Candidate,
};
use crate::{
    args::AppInCountry,
    commands::{hotfixes::selection::Environment, versions::target::looked_into},
    failure::Failure,
    output::cell,
};
use client::Query;
use domain::version::{AppVersion, Availability};
use navx::{
    Limits,
    schema::{Finding, Forecast, Mode, Schema, Severity, Verdict, compare},
};
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::Cursor,
    sync::Arc,
};

/// Refused findings that are named.
const MAX_NAMED: usize = 5;

/// What speaks against a hotfix in an environment.
type Objection = (Site, Failure);

impl Release<'_> {
    /// Looks what speaks against the hotfixes that are to be scheduled.
    ///
    /// # Errors
    /// When that cannot be told.
    pub(super) async fn look_for_objections(&mut self) -> Result<(), Failure> {
        let mut objections = Vec::new();
        for item in 0..self.goal.items.len() {
            objections.extend(self.occupied(item).await?);
            objections.extend(self.after_installed(item).await);
            objections.extend(self.ineligible(item).await?);
        }
        for (site, failure) in objections {
            self.state.hindered.insert(site);
            let became = self.became.entry(Step::Schedule(site));
            became.or_insert(Became::Failed(failure));
        }
        Ok(())
    }

    /// The environments in which a hotfix is to be scheduled.
    fn due(&self, item: usize) -> Vec<(Site, &Candidate)> {
        let candidates = self.candidates.get(&item).into_iter().flatten().enumerate();
        let sites = candidates.map(|(number, candidate)| (Site { item, number }, candidate));
        sites
            .filter(|(_, candidate)| candidate.stage == Stage::Due)
            .collect()
    }

    /// Those in which a hotfix to a version waits or runs that is none of the release.
    async fn occupied(&self, item: usize) -> Result<Vec<Objection>, Failure> {
        let (due, app) = (self.due(item), self.goal.items.get(item).map(|item| item.app));
        let mut scopes: Vec<AppInCountry> = Vec::new();
        for (_, candidate) in &due {
            if !scopes.contains(&candidate.place.scope) {
                scopes.push(candidate.place.scope.clone());
            }
        }
        if scopes.is_empty() {
            return Ok(Vec::new());
        }
        let of_app = self.goal.items.iter().filter(|item| Some(item.app) == app);
        let own: BTreeSet<AppVersion> = of_app.map(|item| item.version).collect();
        let open = "status eq 'Scheduled' or status eq 'Running'".to_owned();
        let mut hotfixes = self.hotfixes(&scopes, open).await?;
        hotfixes
            .retain(|hotfix| !hotfix.has_ended && hotfix.target.is_none_or(|target| !own.contains(&target)));
        let objection = |(site, candidate): (Site, &Candidate)| {
            let environment = &candidate.place.environment;
            let hotfix = hotfixes
                .iter()
                .find(|hotfix| hotfix.environment == environment.key())?;
            let AppInCountry { app, country } = &candidate.place.scope;
            let target = hotfix.target.map(|target| target.to_string()).unwrap_or_default();
            Some((
                site,
                Failure::Rule(format!(
                    "{environment}: the hotfix {id} to version {target} waits or runs there; nothing was changed. Wait for \
                     it, or cancel it: fame hotfixes cancel {app} -c {} {id}",
                    country.0,
                    id = hotfix.id
                )),
            ))
        };
        Ok(due.into_iter().filter_map(objection).collect())
    }

    /// Those where what is installed speaks against the version: it is Preview, from which no hotfix leads on, or schema
    /// synchronisation is forecast to refuse the version after it.
    async fn after_installed(&self, item: usize) -> Vec<Objection> {
        let mut installed: BTreeMap<(AppVersion, String), Vec<Site>> = BTreeMap::new();
        for (site, candidate) in self.due(item) {
            if let Some(version) = candidate.place.environment.installed() {
                let country = candidate.place.scope.country.0.clone();
                installed.entry((version, country)).or_default().push(site);
            }
        }
        let is_compared = |rollout: &Rollout| !rollout.despite_forecast;
        let new = match self.rollout.as_ref().is_some_and(is_compared) && !installed.is_empty() {
            true => Some(self.new_schema(item).await),
            false => None,
        };
        let (mut objections, mut unknown) =
            (Vec::new(), BTreeMap::<(AppVersion, String), Vec<String>>::new());
        for ((version, country), sites) in installed {
            let there = self.installed_version(item, &country, version).await;
            if let Ok(row) = &there
                && self.stays_preview(item, &country, version, row)
            {
                let told = self.told_of_preview(item, &country, version);
                let of_site = |site| (site, Failure::Rule(told.clone()));
                objections.extend(sites.into_iter().map(of_site));
                continue;
            }
            let told = match (&new, &there) {
                (None, _) => continue,
                (Some(Ok(new)), Ok(_)) => self.forecast(item, (&country, version), new).await,
                (Some(Err(why)), _) | (_, Err(why)) => Err(why.clone()),
            };
            match told {
                Ok(forecast) if forecast.verdict == Verdict::Refused => {
                    let told = self.refused(item, version, &forecast);
                    let of_site = |site| (site, Failure::SchemaRefused(told.clone()));
                    objections.extend(sites.into_iter().map(of_site));
                }
                Ok(forecast) if forecast.verdict == Verdict::Undecided => {
                    let why = "the packages do not say enough".to_owned();
                    unknown.entry((version, why)).or_default().push(country);
                }
                Ok(_) => {}
                Err(why) => unknown.entry((version, why)).or_default().push(country),
            }
        }
        for ((version, why), countries) in unknown {
            self.session.printer.note(format!(
                "{}: whether schema synchronisation refuses it after {version} ({}) cannot be told: {why}.",
                self.name(item),
                countries.join(", ")
            ));
        }
        objections
    }

    /// The version that is installed, as the service shows it; why it cannot be told of, where it cannot.
    async fn installed_version(
        &self,
        item: usize,
        country: &str,
        version: AppVersion,
    ) -> Result<Value, String> {
        let app = self.goal.items.get(item).map(|item| item.app);
        let app = app.ok_or("the app is gone")?;
        let row = self
            .session
            .client
            .get_version(app, country, version)
            .json()
            .await;
        row.map_err(|error| match error.refusal(StatusCode::NOT_FOUND) {
            Some(_) => "the service does not have it".to_owned(),
            None => error.to_string(),
        })
    }

    /// Whether a version is Preview, and the release itself does not change that.
    fn stays_preview(&self, item: usize, country: &str, version: AppVersion, row: &Value) -> bool {
        let app = self.goal.items.get(item).map(|item| item.app);
        let mut of_app = self.goal.items.iter().filter(|item| Some(item.app) == app);
        let is_released =
            of_app.any(|item| item.version == version && item.countries.iter().any(|own| own == country));
        let is_offered = is_released && self.goal.availability == Availability::Available;
        matches!(offered(row), Ok(Availability::Preview)) && !is_offered
    }

    fn told_of_preview(&self, item: usize, country: &str, installed: AppVersion) -> String {
        let app = self.goal.items.get(item).map(|item| item.app.to_string());
        format!(
            "{}: InstalledIsPreview: version {installed}, which is installed there, is Preview in {country}, and no hotfix is \
             applied to such a version; nothing was changed. Offer it first: fame versions update {} {installed} -c {country} \
             --availability Available",
            self.name(item),
            app.unwrap_or_default()
        )
    }

    async fn new_schema(&self, item: usize) -> Result<Arc<Schema>, String> {
        let file = self.packages.get(item).map(|package| package.file.clone());
        let file = file.ok_or("the package is gone")?;
        let reading = tokio::task::spawn_blocking(move || {
            let file = File::open(file).map_err(|error| error.to_string())?;
            Schema::read(file, &Limits::default()).map_err(|error| error.to_string())
        });
        let read = reading.await.map_err(|error| error.to_string())?;
        read.map(Arc::new)
    }

    /// The forecast about an item after the version that is installed; why there is none, where there is none.
    async fn forecast(
        &self,
        item: usize,
        (country, installed): (&str, AppVersion),
        new: &Arc<Schema>,
    ) -> Result<Forecast, String> {
        let app = self
            .goal
            .items
            .get(item)
            .map(|item| item.app)
            .ok_or("the app is gone")?;
        let client = &self.session.client;
        let stored = client.get_package_contents(app, country, installed);
        let bytes = looked_into(&stored).await.map_err(|error| error.to_string())?;
        let bytes = bytes.ok_or("its package is too large to be fetched for that")?;
        let new = Arc::clone(new);
        let comparing = tokio::task::spawn_blocking(move || {
            let old =
                Schema::read(Cursor::new(bytes), &Limits::default()).map_err(|error| error.to_string())?;
            compare(&old, &new, Mode::Add).map_err(|error| error.to_string())
        });
        comparing.await.map_err(|error| error.to_string())?
    }

    fn refused(&self, item: usize, installed: AppVersion, forecast: &Forecast) -> String {
        let refused = || {
            let findings = forecast.findings.iter();
            findings.filter(|finding| finding.severity == Severity::Refused)
        };
        let mut lines: Vec<String> = refused()
            .take(MAX_NAMED)
            .map(|finding| format!("\n  {}", named(finding)))
            .collect();
        match refused().count().saturating_sub(MAX_NAMED) {
            0 => {}
            more => lines.push(format!("\n  and {more} more")),
        }
        format!(
            "{}: schema synchronisation is forecast to refuse it after version {installed}; nothing was changed. \
             --despite-forecast schedules it nevertheless.{}",
            self.name(item),
            lines.concat()
        )
    }

    /// Those for which the service's plan says no, where it has the version and plans.
    async fn ineligible(&self, item: usize) -> Result<Vec<Objection>, Failure> {
        let (Some(rollout), Some(wanted)) = (&self.rollout, self.goal.items.get(item)) else {
            return Ok(Vec::new());
        };
        let due = self.due(item);
        let mut objections = Vec::new();
        for country in &wanted.countries {
            let is_here = |(_, candidate): &&(Site, &Candidate)| candidate.place.scope.country.0 == *country;
            let there = self.state.there(&Cell {
                item,
                country: country.clone(),
            });
            if !matches!(there, There::Same(_)) || !due.iter().any(|site| is_here(&site)) {
                continue;
            }
            let mut plan = self
                .session
                .client
                .plan_hotfixes(wanted.app, country, wanted.version);
            if let Some(at) = rollout.run_after {
                plan = plan.run_after(at);
            }
            if rollout.ignores_window {
                plan = plan.ignoring_windows();
            }
            let query = Query::default().filter(Some(rollout.filter.clone()));
            let rows: Vec<Value> = match plan.query(query).json().all().await {
                Ok(rows) => rows,
                // A service without plans takes the word for the id of a hotfix.
                Err(client::Error::Refused(refusal))
                    if matches!(refusal.status.as_u16(), 400 | 404 | 405) =>
                {
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            for (site, candidate) in due.iter().filter(is_here) {
                let of_environment = |row: &&Value| {
                    Environment::deserialize(*row)
                        .is_ok_and(|environment| environment.key() == candidate.place.environment.key())
                };
                let reasons = rows.iter().find(of_environment).map(|row| &row["reasons"]);
                let reasons = reasons.and_then(Value::as_array).into_iter().flatten();
                let left: Vec<String> = reasons
                    .filter(|reason| !self.is_settled(item, reason["code"].as_str().unwrap_or_default()))
                    .map(|reason| format!("{}: {}", cell(&reason["code"]), cell(&reason["message"])))
                    .collect();
                if !left.is_empty() {
                    let told = format!("{}: {}", candidate.place.environment, left.join("\n  "));
                    objections.push((*site, Failure::Rule(told)));
                }
            }
        }
        Ok(objections)
    }

    /// Whether a reason of a plan is looked at elsewhere, passes, or is what the release itself ends.
    fn is_settled(&self, item: usize, code: &str) -> bool {
        let brings_others = self
            .goal
            .items
            .get(item)
            .is_some_and(|item| !item.needs.is_empty());
        match code {
            "EnvironmentHeld" | "SchemaBreak" | "AlreadyScheduled" => true,
            "TargetPreview" => self.goal.availability == Availability::Available,
            "TargetDeprecated" => self.goal.allows_deprecated,
            "DependencyMissing" | "DependencyTooOld" | "DependencyIncompatible" => brings_others,
            _ => false,
        }
    }
}

fn named(finding: &Finding) -> String {
    let object = finding.object.as_ref();
    let object = object.map(|object| format!("{} {} \"{}\"", object.kind, object.id, object.name));
    let member = finding.member.as_ref();
    let member = member.map(|member| format!("{} \"{}\"", member.kind, member.name));
    let place: Vec<String> = object.into_iter().chain(member).collect();
    format!("{} ({}: {})", place.join(", "), finding.code, finding.message)
}
