//! Whether whoever releases may do all of it: asked of the service, and of what a pipeline was granted, before anything is
//! touched.

use super::{
    drive::Release,
    plan::{Stage, There},
};
use crate::failure::Failure;
use domain::{
    access::permissions_with,
    ids::AppId,
    principal::{Role, Roles},
    publisher::Right,
    version::Availability,
};
use reqwest::StatusCode;
use serde_json::Value;
use std::collections::BTreeSet;
use wire::publishers::PublisherToken;

impl Release<'_> {
    /// Makes sure that a role allows all that the release does with an app; `allowed` is nothing where nobody can tell.
    ///
    /// # Errors
    /// [`Failure::NotAllowed`].
    pub(super) fn check_allowed(
        &self,
        app: AppId,
        allowed: Option<&[String]>,
        countries: &BTreeSet<String>,
    ) -> Result<(), Failure> {
        let mut items = self.goal.items.iter().filter(|item| item.app == app);
        let lacks_countries =
            items.any(|item| item.countries.iter().any(|country| !countries.contains(country)));
        let needed = [
            (true, "versions/write"),
            (self.goal.adds_countries && lacks_countries, "countries/write"),
            (self.goal.hotfix.is_some(), "environmentHotfixes/write"),
        ];
        let is_allowed = |action: &str| {
            allowed.is_none_or(|allowed| allowed.iter().any(|known| known.eq_ignore_ascii_case(action)))
        };
        let missing = needed
            .into_iter()
            .filter(|(is_needed, action)| *is_needed && !is_allowed(action));
        let missing: Vec<&str> = missing.map(|(_, action)| action).collect();
        match missing.is_empty() {
            true => Ok(()),
            false => Err(Failure::NotAllowed(format!(
                "{}: your role on the app {app} does not allow {}; nothing was changed.",
                self.called(app),
                missing.join(", ")
            ))),
        }
    }

    /// Makes sure that a trusted pipeline was granted what is still to be done with its versions: its role says less than
    /// its record.
    ///
    /// # Errors
    /// [`Failure::NotAllowed`].
    pub(super) fn check_granted(&self) -> Result<(), Failure> {
        for grant in self.grants() {
            self.check_complete(&grant, self.lacking_for_versions(&grant))?;
        }
        Ok(())
    }

    /// The same for the hotfixes that are to be scheduled, each in its kind of environment.
    ///
    /// # Errors
    /// [`Failure::NotAllowed`].
    pub(super) fn check_hotfixes_granted(&self) -> Result<(), Failure> {
        for grant in self.grants() {
            self.check_complete(&grant, self.lacking_for_hotfixes(&grant))?;
        }
        Ok(())
    }

    /// What a pipeline was granted on the apps of the release.
    fn grants(&self) -> Vec<PublisherToken> {
        let apps: BTreeSet<AppId> = self.goal.items.iter().map(|item| item.app).collect();
        let Some(publishing) = &self.session.source.publishing else {
            return Vec::new();
        };
        apps.into_iter().filter_map(|app| publishing.grant(app)).collect()
    }

    fn lacking_for_versions(&self, grant: &PublisherToken) -> BTreeSet<String> {
        let of_app = |item: usize| {
            self.goal
                .items
                .get(item)
                .is_some_and(|item| item.app.0 == grant.app_id)
        };
        let cells: Vec<_> = self.goal.cells().filter(|cell| of_app(cell.item)).collect();
        let is_there = |there: There| matches!(there, There::Same(_));
        let uploads = cells.iter().any(|cell| !is_there(self.state.there(cell)));
        let offers = cells.iter().any(|cell| {
            let there = self.state.there(cell);
            // What is uploaded is Preview at first.
            let uploaded = if is_there(there) {
                there
            } else {
                There::Same(Availability::Preview)
            };
            !self.goal.is_offered(uploaded)
        });
        let widely = offers && self.goal.availability == Availability::Available;
        let reaches = grant.max_availability.parse() == Ok(Availability::Available);
        let words = [
            (uploads && !may(grant, Right::Upload), Right::Upload.as_str()),
            (
                offers && !may(grant, Right::Availability),
                Right::Availability.as_str(),
            ),
            (widely && !reaches, "maxAvailability Available"),
        ];
        let words = words
            .into_iter()
            .filter(|(lacks, _)| *lacks)
            .map(|(_, word)| word.to_owned());
        let is_granted = |country: &str| {
            let mut own = grant.countries.iter();
            grant.countries.is_empty() || own.any(|own| own.eq_ignore_ascii_case(country))
        };
        let others = cells.iter().filter(|cell| !is_granted(&cell.country));
        words
            .chain(others.map(|cell| format!("the country {}", cell.country)))
            .collect()
    }

    fn lacking_for_hotfixes(&self, grant: &PublisherToken) -> BTreeSet<String> {
        let of_app = |item: usize| {
            self.goal
                .items
                .get(item)
                .is_some_and(|item| item.app.0 == grant.app_id)
        };
        let candidates = self
            .candidates
            .iter()
            .filter(|(item, _)| of_app(**item))
            .flat_map(|(_, found)| found);
        let due = candidates.filter(|candidate| candidate.stage == Stage::Due);
        let needed = due.filter_map(|candidate| candidate.place.environment.kind());
        let needed = needed.map(Right::of_hotfix);
        needed
            .filter(|right| !may(grant, *right))
            .map(|right| right.to_string())
            .collect()
    }

    fn check_complete(&self, grant: &PublisherToken, lacking: BTreeSet<String>) -> Result<(), Failure> {
        let app = AppId(grant.app_id);
        match lacking.is_empty() {
            true => Ok(()),
            false => Err(Failure::NotAllowed(format!(
                "{}: the trusted publisher {} is not granted {}; nothing was changed. An Owner of the app {app} can grant it: \
                 fame publishers add.",
                self.called(app),
                grant.publisher_id,
                lacking.into_iter().collect::<Vec<_>>().join(", ")
            ))),
        }
    }

    /// What the caller may do with an app: as the service says or, where it says no such thing, as the roles imply that it
    /// shows. Nothing where neither tells: then the first change does.
    pub(super) async fn allowed(&self, app: AppId) -> Result<Option<Vec<String>>, Failure> {
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
}

fn may(grant: &PublisherToken, right: Right) -> bool {
    grant.may.iter().any(|word| word.parse() == Ok(right))
}
