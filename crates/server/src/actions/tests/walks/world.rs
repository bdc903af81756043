//! The same acts carried out by a real service, and what is found in its database afterwards, in the model's words.

use super::{
    acts::{
        APPLICATION, APPS, Act, Answer, Audited, BASE, By, Country, DEPENDANT, ENVIRONMENTS, Ending,
        FAILURE_MESSAGE, LEAST_APPLICATION, LeaseUsed, Report, ScheduleRequest, Target, UPLOADED, Window,
        least_base,
    },
    model::{Environment, Operation},
};
use crate::{
    actions::{
        countries::patch_country,
        environments::{
            EnvironmentReport, delete_environment, get_registered_environment, put_environment,
            release_environment,
        },
        execution::{self, Outcome},
        hotfixes::{ScheduleHotfix, get_hotfix, schedule_hotfix, update_hotfix},
        preconditions::Preconditions,
        repeat::Repeatable,
        tests::{
            fleet::{Fleet, LEASE, app, everywhere, finish_all, is_served, key, name},
            owner_asks, version_row,
        },
        versions::patch_version,
    },
    error::{Error, Result},
};
use domain::{
    catalogue::STANDARD_APPS,
    country::CountryCode,
    environment::EnvironmentKind,
    ids::{AppId, OperationId},
    instant::Instant,
    operation::OperationStatus,
    problem::Code,
    version::{AppVersion, Dependency, VersionStatus},
    window::UpdateWindow,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use store::{
    audit::AuditRow,
    blobs::{BlobState, save_blob},
    environments::{self, InstalledApp},
    hotfixes::Operation as Row,
    versions::{Version, VersionKey, insert_version},
};
use uuid::Uuid;
use wire::{hotfixes::HotfixPatch, lenient::Object, versions::VersionPatch};

pub(super) struct World {
    /// None only while one service is gone and the next has not started.
    fleet: Option<Fleet>,
    /// The operations as they were scheduled.
    operations: Vec<OperationId>,
    leases: HashMap<usize, Uuid>,
    /// The environments as they were made.
    homes: Vec<Uuid>,
    last_audit: Uuid,
}

/// Business Central's own application, which a package can need without listing it.
fn application() -> AppId {
    let (id, ..) = STANDARD_APPS
        .iter()
        .find(|(_, name, _)| *name == "Application")
        .unwrap();
    *id
}

fn code_of(country: Country) -> CountryCode {
    CountryCode::parse(country.code(), false).unwrap()
}

fn country_of(code: CountryCode) -> Country {
    match code.as_str() {
        "US" => Country::Us,
        "DE" => Country::De,
        other => panic!("nobody spoke of {other}"),
    }
}

fn number_of(id: AppId) -> usize {
    (0..APPS).find(|&number| app(number) == id).unwrap()
}

fn window_of(row: &environments::Environment) -> Window {
    let [start, end, _] = row.window_texts();
    let found = (start.as_str(), end.as_str());
    let known = [Window::Day, Window::Night, Window::Always];
    known.into_iter().find(|window| window.texts() == found).unwrap()
}

/// What a rule says, by its narrowest code; everything else is no answer.
fn refusal(error: Error) -> Answer {
    let problem = match error {
        Error::Rule(problem) | Error::TryLater { problem, .. } => problem,
        other => panic!("{other}"),
    };
    let code = match problem.code {
        Code::EntityValidationFailed => problem.details[0].code.clone(),
        code => code.to_string(),
    };
    Answer::Refused(code)
}

fn answered<T>(result: Result<T>, answer: impl FnOnce(T) -> Answer) -> Answer {
    match result {
        Ok(done) => answer(done),
        Err(error) => refusal(error),
    }
}

impl World {
    pub(super) async fn on(url: Option<String>) -> Self {
        let mut world = Self {
            fleet: Some(Fleet::on(url).await),
            operations: Vec::new(),
            leases: HashMap::new(),
            homes: Vec::new(),
            last_audit: Uuid::nil(),
        };
        is_served(world.fleet().service()).await;
        world.fleet().has_bare_apps(APPS).await;
        for number in 0..APPS {
            let conditions = Preconditions::default();
            patch_country(
                world.fleet().service(),
                &owner_asks(),
                app(number),
                code_of(Country::De),
                conditions,
            )
            .await
            .unwrap();
        }
        world.has_versions().await;
        world.new_audit_rows().await;
        world
    }

    fn fleet(&self) -> &Fleet {
        self.fleet.as_ref().unwrap()
    }

    pub(super) fn now(&self) -> Instant {
        self.fleet().service().clock.now()
    }

    async fn has_versions(&self) {
        let apps = (0..APPS).flat_map(|app| [Country::Us, Country::De].map(|country| (app, country)));
        let rows = apps.flat_map(|(app, country)| UPLOADED.map(|version| uploaded(app, country, version)));
        let rows: Vec<Version> = rows.collect();
        let saved = self.fleet().db().write(rows, |mut tx, rows| {
            Box::pin(async move {
                for row in rows {
                    let blob = crate::actions::upload::blob_of(row);
                    save_blob(&mut tx, &blob, row.size, BlobState::Stored, row.uploaded_on).await?;
                    insert_version(&mut tx, row).await?;
                }
                Ok::<_, store::StoreError>(())
            })
        });
        saved.await.unwrap();
    }

    pub(super) async fn take(&mut self, act: &Act) -> Answer {
        let service = self.fleet().service().clone();
        let principal = owner_asks();
        match act {
            Act::Schedules(request) => self.schedule(request).await,
            Act::Cancels(number) => self.cancel(*number).await,
            Act::Offers {
                app,
                country,
                version,
                availability,
            } => {
                let patch = json!({ "availability": availability.as_str() });
                self.patch(*app, *country, *version, &patch).await
            }
            Act::MarksIncompatible {
                app: number,
                country,
                version,
                from,
            } => {
                let about = if *number == DEPENDANT {
                    app(BASE)
                } else {
                    application()
                };
                let from = from.map(|from| from.to_string());
                let marked = json!({ "appId": about.to_string(), "incompatibleFromVersion": from });
                self.patch(*number, *country, *version, &json!({ "dependencies": [marked] }))
                    .await
            }
            Act::ReportsEnvironment {
                environment,
                country,
                window,
                complete,
                apps,
            } => {
                self.report_environment(*environment, *country, *window, *complete, *apps)
                    .await
            }
            Act::DeletesEnvironment(environment) => {
                let conditions = Preconditions::default();
                let deleted = delete_environment(&service, &principal, key(*environment), conditions).await;
                answered(deleted, |()| Answer::Done)
            }
            Act::ReleasesEnvironment(environment) => {
                let released =
                    release_environment(&service, &principal, key(*environment), Preconditions::default())
                        .await;
                answered(released, |_| Answer::Done)
            }
            Act::Claims(limit) => self.claim(*limit).await,
            Act::Renews(held) => self.renew(held).await,
            Act::Reports(reports) => self.report(reports).await,
            Act::LeasesAreLookedAt => Answer::Lost(execution::end_lost(&service).await.unwrap()),
            Act::ExecutorDies => Answer::Done,
            Act::ServiceCrashes => {
                drop(service);
                let fleet = self.fleet.take().unwrap();
                self.fleet = Some(fleet.after_a_crash().await);
                Answer::Done
            }
            Act::TimePasses(span) => {
                let clock = &service.clock;
                clock.set(clock.now() + *span);
                Answer::Done
            }
        }
    }

    async fn schedule(&mut self, request: &ScheduleRequest) -> Answer {
        let hotfix = ScheduleHotfix {
            environment: key(request.environment),
            environment_family: "BusinessCentral".into(),
            environment_name: name(request.environment),
            environment_kind: None,
            target: request.target,
            run_after: request.run_after,
            ignore_window: request.ignore_window,
            despite_forecast: false,
        };
        let (id, country) = (app(request.app), code_of(request.country));
        let repeatable = request.key.map(|key| Repeatable {
            method: "POST".into(),
            path: format!("apps/{id}/countries/{country}/environmentHotfixes"),
            key: key.to_string(),
            body_sha256: Sha256::digest(format!("{hotfix:?}")).into(),
        });
        let service = self.fleet().service();
        let scheduled = schedule_hotfix(service, &owner_asks(), id, country, hotfix, repeatable).await;
        answered(scheduled, |operation| {
            if !self.operations.contains(&operation.id) {
                self.operations.push(operation.id);
            }
            Answer::Is(self.number(operation.id), operation.status)
        })
    }

    async fn cancel(&self, number: usize) -> Answer {
        let patch = HotfixPatch::read(br#"{"status":"Canceled"}"#).unwrap();
        let Row {
            app_id,
            country_code: country,
            id,
            ..
        } = self.row(number).await;
        let service = self.fleet().service();
        let canceled = update_hotfix(service, &owner_asks(), app_id, country, id, patch).await;
        answered(canceled, |operation| Answer::Is(number, operation.status))
    }

    async fn patch(&self, number: usize, country: Country, version: AppVersion, patch: &Value) -> Answer {
        let key = version_key(number, country, version);
        let patch = VersionPatch::read(patch.to_string().as_bytes()).unwrap();
        let conditions = Preconditions::default();
        let patched = patch_version(self.fleet().service(), &owner_asks(), key, patch, conditions).await;
        answered(patched, |_| Answer::Done)
    }

    async fn report_environment(
        &mut self,
        environment: usize,
        country: Country,
        window: Window,
        complete: bool,
        apps: [Option<AppVersion>; APPS],
    ) -> Answer {
        let (start, end) = window.texts();
        let installed = (0..APPS).filter_map(|number| Some(installed(number, apps[number]?)));
        let request = EnvironmentReport {
            family: "Business Central".into(),
            name: name(environment),
            country: code_of(country),
            kind: EnvironmentKind::Production,
            location_name: String::new(),
            web_client_url: None,
            web_service_url: None,
            application_version: Some(APPLICATION),
            platform_version: None,
            window: Some(UpdateWindow::new(start, end, "UTC").unwrap()),
            inventory_complete: complete,
            apps: installed.collect(),
        };
        let (service, given, conditions) = (
            self.fleet().service(),
            Object::default(),
            Preconditions::default(),
        );
        let by = owner_asks();
        let reported = put_environment(service, &by, key(environment), request, given, conditions).await;
        answered(reported, |((row, _), is_new)| {
            if is_new {
                self.homes.push(row.environment.id);
            }
            Answer::IsNew(is_new)
        })
    }

    async fn claim(&mut self, limit: usize) -> Answer {
        let mut started = Vec::new();
        for claimed in self.fleet().claims(limit).await {
            let number = self.number(claimed.operation.id);
            let is_another = self.leases.insert(number, claimed.lease.id).is_none();
            assert!(is_another, "operation {number} was started twice");
            started.push(number);
        }
        Answer::Started(started)
    }

    fn lease(&self, number: usize, lease: LeaseUsed) -> Uuid {
        match lease {
            LeaseUsed::Own => self.leases[&number],
            LeaseUsed::Another => Uuid::new_v4(),
        }
    }

    async fn renew(&self, held: &[(usize, LeaseUsed)]) -> Answer {
        let held = held
            .iter()
            .map(|&(number, lease)| (self.operations[number], self.lease(number, lease)));
        let held = held.collect();
        let until = self.fleet().now() + LEASE;
        let renewed = execution::renew(self.fleet().service(), &everywhere(), held, until)
            .await
            .unwrap();
        let mut renewed: Vec<_> = renewed.into_iter().map(|id| self.number(id)).collect();
        renewed.sort_unstable();
        Answer::Renewed(renewed)
    }

    async fn report(&self, reports: &[Report]) -> Answer {
        let reports = reports.iter().map(|report| execution::Report {
            id: self.operations[report.operation],
            lease_id: self.lease(report.operation, report.lease),
            outcome: match report.ending {
                Ending::Succeeded => Outcome::Succeeded,
                Ending::Failed => Outcome::Failed {
                    message: FAILURE_MESSAGE.into(),
                    cause: None,
                    in_full: None,
                },
                Ending::Skipped => Outcome::Skipped(None),
            },
        });
        let answers = finish_all(self.fleet().service(), &everywhere(), reports.collect()).await;
        Answer::Reported(answers.into_iter().map(|answer| answer.unwrap().status).collect())
    }

    fn number(&self, id: OperationId) -> usize {
        self.operations.iter().position(|known| *known == id).unwrap()
    }

    async fn row(&self, number: usize) -> Row {
        let sql = format!("SELECT {} FROM operations t WHERE t.id = $1", Row::COLUMNS);
        let row = self.fleet().db().query(sql).bind(self.operations[number]);
        row.fetch_one().await.unwrap()
    }

    /// Every operation that there is, as its row says it.
    pub(super) async fn operations(&self) -> Vec<Operation> {
        let sql = format!("SELECT {} FROM operations t ORDER BY t.id", Row::COLUMNS);
        let rows: Vec<Row> = self.fleet().db().query(sql).fetch_all().await.unwrap();
        let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
        assert_eq!(ids, self.operations, "nobody scheduled others");
        rows.into_iter().map(|row| self.operation(row)).collect()
    }

    fn operation(&self, row: Row) -> Operation {
        let reason = row.reason.clone();
        let follows_reason = |text: &String| match &reason {
            Some(reason) => text.starts_with(&format!("{reason}: ")),
            None => false,
        };
        Operation {
            app: number_of(row.app_id),
            country: country_of(row.country_code),
            home: self
                .homes
                .iter()
                .position(|home| *home == row.environment_id)
                .unwrap(),
            source: row.source_version.unwrap(),
            target: row.target_version.unwrap(),
            status: row.status,
            ignore_window: row.ignore_window,
            run_after: row.run_after,
            created_on: row.created_on,
            started_on: row.started_on,
            completed_on: row.completed_on,
            ended_on: row.ended_on,
            error_message: row.error_message.filter(|text| !follows_reason(text)),
            reason: row.reason,
            lease_until: row.lease_until,
        }
    }

    /// The same operations as their vendor sees them.
    pub(super) async fn statuses_for_the_vendor(&self) -> Vec<OperationStatus> {
        let mut statuses = Vec::new();
        for number in 0..self.operations.len() {
            let Row {
                app_id,
                country_code: country,
                id,
                ..
            } = self.row(number).await;
            let seen = get_hotfix(self.fleet().service(), &owner_asks(), app_id, country, id).await;
            statuses.push(seen.unwrap().status);
        }
        statuses
    }

    pub(super) async fn environments(&self) -> [Option<Environment>; ENVIRONMENTS] {
        let mut environments = [None, None];
        for (number, environment) in environments.iter_mut().enumerate() {
            match get_registered_environment(self.fleet().service(), &key(number)).await {
                Ok((row, apps)) => *environment = Some(self.environment(&row.environment, &apps)),
                Err(error) => assert_eq!(refusal(error), Answer::Refused("EnvironmentNotFound".into())),
            }
        }
        environments
    }

    fn environment(&self, row: &environments::Environment, installed: &[InstalledApp]) -> Environment {
        let mut apps = [None; APPS];
        for one in installed {
            apps[number_of(one.app_id)] = Some(one.version);
        }
        let held_by = row.held_by.map(|id| self.number(id));
        Environment {
            home: self.homes.iter().position(|home| *home == row.id).unwrap(),
            country: country_of(row.country_code),
            window: window_of(row),
            complete: row.inventory_complete,
            reported_on: row.inventory_on,
            apps,
            held: row.held_since.zip(held_by),
            due: row.due_on,
        }
    }

    /// What the audit says of the last act, in order of action.
    pub(super) async fn audit(&mut self) -> Vec<Audited> {
        let rows = self.new_audit_rows().await;
        let mut audited: Vec<_> = rows.into_iter().map(|row| self.audited(row)).collect();
        audited.sort();
        audited
    }

    async fn new_audit_rows(&mut self) -> Vec<AuditRow> {
        let sql = format!(
            "SELECT {} FROM audit t WHERE t.id > $1 ORDER BY t.id",
            AuditRow::COLUMNS
        );
        let rows = self.fleet().db().query(sql).bind(self.last_audit);
        let rows: Vec<AuditRow> = rows.fetch_all().await.unwrap();
        self.last_audit = rows.last().map_or(self.last_audit, |row| row.id);
        rows
    }

    fn audited(&self, row: AuditRow) -> Audited {
        let action = ACTIONS.iter().find(|action| **action == row.action);
        let target = self.target(&row.target);
        let status_in = |state: &Option<String>, word: &str| {
            let state: Value = serde_json::from_str(state.as_ref()?).unwrap();
            let status = state[word].as_str()?.parse().ok()?;
            matches!(target, Target::Operation(_)).then_some(status)
        };
        Audited {
            action: action.unwrap_or_else(|| panic!("nobody did {}", row.action)),
            target,
            statuses: (
                status_in(&row.before, "status"),
                status_in(&row.after, "status").or_else(|| status_in(&row.after, "reported")),
            ),
            by: match row.actor_kind.as_str() {
                "Agent" => By::Agent,
                "Service" => By::Service,
                _ => By::Somebody,
            },
        }
    }

    fn target(&self, address: &str) -> Target {
        let operations = 0..self.operations.len();
        let is_operation = |number: &usize| address.ends_with(&self.operations[*number].to_string());
        if let Some(number) = operations.into_iter().find(is_operation) {
            return Target::Operation(number);
        }
        let is_environment = |number: &usize| address == format!("environments/{}", key(*number));
        if let Some(number) = (0..ENVIRONMENTS).find(is_environment) {
            return Target::Environment(number);
        }
        for number in 0..APPS {
            for country in [Country::Us, Country::De] {
                let version = UPLOADED
                    .into_iter()
                    .find(|version| version_key(number, country, *version).to_string() == address);
                if let Some(version) = version {
                    return Target::Version(number, country, version);
                }
            }
        }
        panic!("nobody did anything with {address}");
    }
}

const ACTIONS: [&str; 9] = [
    "environmentHotfixes/write",
    "environmentHotfixes/cancel",
    "operations/start",
    "operations/end",
    "operations/lateReport",
    "environments/write",
    "environments/delete",
    "environments/release",
    "versions/write",
];

fn version_key(number: usize, country: Country, version: AppVersion) -> VersionKey {
    VersionKey {
        app_id: app(number),
        country_code: code_of(country),
        version,
    }
}

fn uploaded(number: usize, country: Country, version: AppVersion) -> Version {
    let on_base = Dependency {
        app_id: app(BASE),
        name: "Sales".into(),
        publisher: "Contoso".into(),
        min_version: least_base(version),
        incompatible_from: None,
        is_implied: false,
    };
    let depends = number == DEPENDANT;
    Version {
        app_id: app(number),
        country_code: code_of(country),
        dependencies: depends.then_some(on_base).into_iter().collect(),
        application: (number > DEPENDANT).then_some(LEAST_APPLICATION),
        ..version_row(version, VersionStatus::Uploaded, [0; 32])
    }
}

fn installed(number: usize, version: AppVersion) -> InstalledApp {
    InstalledApp {
        app_id: app(number),
        version,
        name: None,
        publisher: None,
        availability: None,
        dependencies: None,
        scope: None,
        can_be_uninstalled: None,
    }
}
