//! What became of an environment, or of an app in it, without the service's doing: found by comparing what is reported
//! with what was known.
//!
//! What is being brought about at this moment is not drift, even where its agent has not said yet that it is done. What
//! takes back what an operation has brought about says which.

use crate::{
    actions::{
        audit::{self, Actor, Change},
        environments::{Written, target},
        events::{self, EnvironmentNews, EnvironmentStep},
    },
    error::Result,
};
use domain::{
    ids::{AppId, OperationId},
    instant::Instant,
    inventory::DriftKind,
    operation::OperationStatus,
    version::AppVersion,
};
use serde_json::{Map, json};
use std::collections::HashMap;
use store::{
    Tx,
    environments::Environment,
    inventories::{self as rows, Tried},
};
use uuid::Uuid;

/// One such thing.
pub(super) struct Drift<'w> {
    environment: &'w Environment,
    kind: DriftKind,
    app: Option<AppDrift>,
}

#[derive(Clone, Copy)]
struct AppDrift {
    app: AppId,
    before: AppVersion,
    after: Option<AppVersion>,
    /// The operation that has brought about what was before.
    contradicts: Option<OperationId>,
}

impl<'w> Drift<'w> {
    /// An environment that is not there any more.
    pub(super) fn gone(environment: &'w Environment) -> Self {
        Self {
            environment,
            kind: DriftKind::EnvironmentGone,
            app: None,
        }
    }

    fn news(&self) -> EnvironmentNews<'w> {
        let mut facts = Map::from_iter([("kind".to_owned(), self.kind.as_str().into())]);
        if let Some(app) = self.app {
            facts.extend([
                ("appId".to_owned(), app.app.to_string().into()),
                ("versionBefore".to_owned(), app.before.to_string().into()),
                (
                    "version".to_owned(),
                    app.after.map(|version| version.to_string()).into(),
                ),
                (
                    "contradicts".to_owned(),
                    app.contradicts.map(|id| id.to_string()).into(),
                ),
            ]);
        }
        EnvironmentNews {
            step: EnvironmentStep::Drift,
            environment: self.environment,
            app_id: self.app.map(|app| app.app),
            facts,
        }
    }

    fn change(&self) -> Change<'static> {
        let app = self.app;
        let version = |version: Option<AppVersion>| version.map(|version| version.to_string());
        Change {
            action: "environments/drift",
            target: target(&self.environment.key()),
            before: app
                .map(|app| json!({ "appId": app.app.to_string(), "version": version(Some(app.before)) })),
            after: Some(match app {
                Some(app) => json!({
                    "kind": self.kind.as_str(),
                    "appId": app.app.to_string(),
                    "version": version(app.after),
                    "contradicts": app.contradicts.map(|id| id.to_string()),
                }),
                None => json!({ "kind": self.kind.as_str() }),
            }),
        }
    }
}

/// What is drift in what is written down of environments.
pub(super) async fn find<'w>(tx: &mut Tx<'_>, written: &'w [Written]) -> Result<Vec<Drift<'w>>> {
    let mut found: Vec<Drift<'w>> = written.iter().flat_map(in_one).collect();
    let apart = found.iter().filter_map(Drift::place);
    let mut tried: HashMap<(Uuid, AppId), Vec<Tried>> = HashMap::new();
    for operation in rows::tried(tx, apart.collect::<Vec<_>>()).await? {
        let place = (operation.environment, operation.app_id);
        tried.entry(place).or_default().push(operation);
    }
    found.retain_mut(|drift| {
        let there = drift.place().and_then(|place| tried.get(&place));
        drift.is_none_of(there.map_or(&[], Vec::as_slice))
    });
    Ok(found)
}

fn in_one(written: &Written) -> Vec<Drift<'_>> {
    let Written {
        before,
        after: (environment, apps),
    } = written;
    let was_disputed = before
        .as_ref()
        .is_some_and(|(known, _)| known.disputed_since.is_some());
    let was_missing = before
        .as_ref()
        .is_some_and(|(known, _)| known.missing_since.is_some());
    let is_disputed = environment.disputed_since.is_some() && !was_disputed;
    let of_itself = [
        (was_missing, DriftKind::EnvironmentBack),
        (is_disputed, DriftKind::EnvironmentDisputed),
    ];
    let of_itself = of_itself.into_iter().filter(|(is_so, _)| *is_so);
    let of_itself = of_itself.map(|(_, kind)| Drift {
        environment,
        kind,
        app: None,
    });
    let now: HashMap<AppId, AppVersion> = apps.iter().map(|app| (app.app_id, app.version)).collect();
    let had = before.as_ref().map_or(&[][..], |(_, had)| had);
    let of_apps = had.iter().filter_map(|app| {
        let after = now.get(&app.app_id).copied();
        Some(Drift {
            environment,
            kind: DriftKind::of_app(app.version, after)?,
            app: Some(AppDrift {
                app: app.app_id,
                before: app.version,
                after,
                contradicts: None,
            }),
        })
    });
    of_itself.chain(of_apps).collect()
}

impl Drift<'_> {
    fn place(&self) -> Option<(Uuid, AppId)> {
        self.app.map(|app| (self.environment.id, app.app))
    }

    /// Whether none of the operations there brings it about at this moment. The last that succeeded may be contradicted.
    fn is_none_of(&mut self, there: &[Tried]) -> bool {
        let Some(app) = &mut self.app else {
            return true;
        };
        let brings_it =
            |one: &Tried| one.status == OperationStatus::Running && one.target_version == app.after;
        if there.iter().any(brings_it) {
            return false;
        }
        let succeeded = there
            .iter()
            .filter(|one| one.status == OperationStatus::Succeeded);
        let last = succeeded.max_by_key(|one| (one.started_on, one.id));
        if self.kind != DriftKind::AppChanged {
            app.contradicts = last
                .filter(|last| last.target_version == Some(app.before))
                .map(|last| last.id);
        }
        true
    }
}

/// Writes it down, and tells of it.
pub(super) async fn record(tx: &mut Tx<'_>, by: Actor<'_>, now: Instant, drift: &[&Drift<'_>]) -> Result<()> {
    audit::record_all(tx, by, now, drift.iter().map(|one| one.change())).await?;
    events::emit_environments(tx, by, now, drift.iter().map(|one| one.news())).await
}
