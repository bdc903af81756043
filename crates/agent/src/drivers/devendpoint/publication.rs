//! Publishing a package, and comparing what is installed before and after.

use super::DevEndpoint;
use crate::{
    cause::Verdict,
    driver::{AppScope, Deployed, Found, InstalledApp, Work, Workplace},
    drivers::watch::{arrived, bear, begin_marked, facts_of, file_name, took_too_long},
    failure::Failure,
    http::{Change, Content, Form, Sent},
};
use domain::ids::AppId;
use serde::{Deserialize, Serialize};
use std::time::Instant;
use uuid::Uuid;

/// Written down before a package is sent.
const PUBLISH: &str = "Publish";

/// How many looks in a row may fail: a server that is restarted is away for a while.
const FAILED_LOOKS: u32 = 20;

/// What was installed before.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Before {
    apps: Vec<AppBefore>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct AppBefore {
    id: Uuid,
    name: Option<String>,
    version: String,
}

impl Before {
    fn of(found: &Found) -> Self {
        let apps = found.apps.iter().map(|app| AppBefore {
            id: app.id.0,
            name: app.name.clone(),
            version: app.version.to_string(),
        });
        Self { apps: apps.collect() }
    }

    /// What became of all apps but the one that was published.
    fn changes(&self, now: &Found, published: AppId) -> Vec<String> {
        let others = self.apps.iter().filter(|app| app.id != published.0);
        let of = |app: &AppBefore| {
            let name = app.name.clone().unwrap_or_else(|| app.id.to_string());
            match now.app(AppId(app.id)) {
                None => Some(format!("{name} {} is not installed any more", app.version)),
                Some(now) if now.version.to_string() != app.version => {
                    Some(format!("{name} went from {} to {}", app.version, now.version))
                }
                Some(_) => None,
            }
        };
        let is_new = |app: &&InstalledApp| self.apps.iter().all(|before| before.id != app.id.0);
        let new = now.apps.iter().filter(is_new).map(|app| {
            let name = app.name.clone().unwrap_or_else(|| app.id.to_string());
            format!("{name} {} was not installed before", app.version)
        });
        others.filter_map(of).chain(new).collect()
    }
}

fn publications(at: &dyn Workplace) -> Vec<Before> {
    facts_of(at, PUBLISH)
}

impl DevEndpoint {
    /// Whether that app can be published there at all.
    pub(super) fn refuse(&self, work: &Work, app: &InstalledApp) -> Result<(), Failure> {
        self.refuse_production(work.environment_kind)?;
        let scope = match app.scope {
            Some(AppScope::Dev) => return Ok(()),
            Some(AppScope::Global) => "for all tenants",
            Some(AppScope::Tenant) => "as a per-tenant extension",
            None => "in a way that the inventory does not tell",
        };
        Err(Failure {
            hint: Some("Scope"),
            ..Failure::other(format!(
                "The installed version was published {scope}: a development endpoint replaces only what came from a \
                 developer's machine"
            ))
        })
    }

    pub(super) async fn carry_out(
        &self,
        work: &Work,
        found: &Found,
        at: &dyn Workplace,
    ) -> Result<Deployed, Deployed> {
        if let Some(before) = publications(at).pop() {
            let text = "The agent ended while a package was being published: nothing can be asked of that";
            return self
                .watch(&before, work, Instant::now(), at, Failure::other(text))
                .await;
        }
        let Some(app) = found.app(work.app_id) else {
            return Ok(Deployed::Skipped("The app is not installed".to_owned()));
        };
        self.refuse(work, app).map_err(Deployed::Failed)?;
        let before = Before::of(found);
        loop {
            let publication = self.publication(work, app, at).await.map_err(Deployed::Failed)?;
            begin_marked(at, PUBLISH, &before).await?;
            at.progress(None, PUBLISH, "Publishes the package");
            let begun = Instant::now();
            match self.http.change(&publication, Some(at)).await {
                Sent::Answer(answer) if answer.status.is_success() => {
                    self.compare(&before, work, at).await;
                    return Ok(Deployed::Done);
                }
                Sent::Answer(answer) => {
                    let (verdict, failure) = self.http.refusal(&answer, true, work.app_name.as_deref());
                    self.wait_to_repeat(verdict, failure, &before, work, at).await?;
                }
                Sent::NotSent(failure) => return Ok(Deployed::Failed(failure)),
                Sent::Unclear(failure) => return self.watch(&before, work, begun, at, failure).await,
            }
        }
    }

    async fn publication(
        &self,
        work: &Work,
        app: &InstalledApp,
        at: &dyn Workplace,
    ) -> Result<Change, Failure> {
        let mut options = vec![("SchemaUpdateMode", "synchronize")];
        if let Some(dependencies) = self.settings.dependencies {
            options.push(("DependencyPublishingOption", dependencies.as_str()));
        }
        let form = Form::new("file", &file_name(work, Some(app)), at.package().await?);
        Ok(Change {
            within: Some(self.settings.limit),
            ..Change::post(self.at(&["dev", "apps"], &options), Content::Form(form))
        })
    }

    /// Says what became of other apps, if anything did.
    async fn compare(&self, before: &Before, work: &Work, at: &dyn Workplace) -> Option<String> {
        let changes = match self.read_inventory().await {
            Ok(now) => before.changes(&now, work.app_id),
            Err(failure) => vec![format!("What became of other apps is not known: {failure}")],
        };
        if changes.is_empty() {
            return None;
        }
        let text = changes.join("; ");
        tracing::warn!(operation = %work.operation_id, text, "other apps changed");
        at.progress(None, "Dependents", &text);
        Some(text)
    }

    async fn wait_to_repeat(
        &self,
        verdict: Verdict,
        mut failure: Failure,
        before: &Before,
        work: &Work,
        at: &dyn Workplace,
    ) -> Result<(), Deployed> {
        if let Some(changes) = self.compare(before, work, at).await {
            failure.text = format!("{} Other apps: {changes}", failure.text);
            // What is half done is not done again.
            return Err(Deployed::Failed(failure));
        }
        let tries = publications(at).len();
        self.settings.repeats.wait(verdict, &failure, tries, at).await?;
        match self.read_inventory().await {
            Ok(now) => match now.app(work.app_id) {
                None => Err(Deployed::Failed(failure)),
                Some(app) => arrived(Some(app.version), work.target).map_or(Ok(()), Err),
            },
            Err(_) => Err(Deployed::Failed(failure)),
        }
    }

    /// Looks whether the version comes in, until it is there or has had its time since it was `begun`.
    async fn watch(
        &self,
        before: &Before,
        work: &Work,
        begun: Instant,
        at: &dyn Workplace,
        why: Failure,
    ) -> Result<Deployed, Deployed> {
        let mut failures = 0;
        loop {
            at.progress(
                None,
                "Look",
                &format!("Looks whether the version comes in: {}", why.text),
            );
            tokio::time::sleep(self.settings.polls.pause(begun.elapsed())).await;
            match self.read_inventory().await {
                Ok(now) => {
                    failures = 0;
                    let installed = now.app(work.app_id).map(|app| app.version);
                    if let Some(ended) = arrived(installed, work.target) {
                        self.compare(before, work, at).await;
                        return Ok(ended);
                    }
                }
                Err(failure) => {
                    bear(failure, &mut failures, FAILED_LOOKS)?;
                    continue;
                }
            }
            if begun.elapsed() >= self.settings.limit {
                let changes = self.compare(before, work, at).await;
                let changes = changes
                    .map(|text| format!(" Other apps: {text}"))
                    .unwrap_or_default();
                return Ok(took_too_long(
                    self.settings.limit,
                    &format!("{}{changes}", why.text),
                ));
            }
        }
    }
}
