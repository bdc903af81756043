//! A strict double of the Admin Center API of one environment.

use crate::{
    desk::{APP, ENVIRONMENT, NAME, OTHER_APP, PUBLISHER, SOURCE, TARGET, TENANT, package},
    double::{Asked, CLIENT_ID, Part, Reply, Target},
};
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

/// How an operation ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    Installed,
    Failed(&'static str),
    Canceled,
    Skipped,
    SkippedInstalled,
    /// It succeeds, and nothing changes.
    Unchanged,
    /// It succeeds, and the list of apps shows it only after so many reads.
    Later(usize),
    Never,
}

/// How one operation is answered.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    Object,
    List,
    Array,
    /// All operations of the app, although one was asked for.
    NotAlone,
}

#[derive(Clone, Debug)]
pub(crate) struct App {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) publisher: &'static str,
    pub(crate) version: String,
    pub(crate) kind: &'static str,
    pub(crate) state: &'static str,
}

impl App {
    fn of_ours(id: Uuid, name: &str) -> Self {
        Self {
            id,
            name: name.to_owned(),
            publisher: PUBLISHER,
            version: SOURCE.to_owned(),
            kind: "tenant",
            state: "Installed",
        }
    }

    pub(crate) fn of_microsoft(name: &str, id: &str) -> Self {
        Self {
            publisher: "Microsoft",
            version: "26.1.2.3".to_owned(),
            kind: "global",
            ..Self::of_ours(id.parse().unwrap(), name)
        }
    }
}

struct Operation {
    id: String,
    created: Timestamp,
    by: String,
    status: String,
    error: Option<&'static str>,
    /// In so many polls it ends.
    left: usize,
    end: End,
    /// For so many reads nobody is told of it.
    hidden: usize,
    is_foreign: bool,
    takes_out: bool,
}

pub(crate) struct Online {
    pub(crate) version: &'static str,
    pub(crate) tenant: Uuid,
    pub(crate) name: &'static str,
    pub(crate) status: &'static str,
    pub(crate) window: Value,
    pub(crate) apps: Vec<App>,
    pub(crate) catalogue: Vec<&'static str>,
    /// How often something began.
    pub(crate) begun: usize,
    pub(crate) end: End,
    /// How the first operations end, each in its turn, before all others end like `end`.
    pub(crate) ends: Vec<End>,
    pub(crate) shape: Shape,
    /// Whether members are called as in older versions.
    pub(crate) old_names: bool,
    pub(crate) words: &'static str,
    pub(crate) running: &'static str,
    pub(crate) queued: bool,
    pub(crate) hidden_for: usize,
    pub(crate) vanishes: bool,
    pub(crate) by_window: bool,
    /// Somebody else's operation runs for so many polls.
    pub(crate) foreign_runs_for: Option<usize>,
    /// Somebody else brings the same version in as soon as ours was asked for.
    pub(crate) foreign_after_begin: bool,
    /// An operation of the environment that is of none of its apps runs for so many looks.
    pub(crate) environment_runs_for: usize,
    /// Whether the first of the apps is not installed.
    pub(crate) is_absent: bool,
    pub(crate) language: &'static str,
    pub(crate) deletes_data: bool,
    operations: Vec<Operation>,
    shows_later: Option<usize>,
    lists_read: usize,
}

pub(crate) fn operation_id(number: u128) -> String {
    Uuid::from_u128(0x0b5e_55ed_0000_0000_0000_0000_0000_0000 + number).to_string()
}

impl Online {
    pub(crate) fn new() -> Self {
        Self {
            version: "v2.29",
            tenant: TENANT,
            name: ENVIRONMENT,
            status: "Active",
            window: json!({
                "preferredStartTime": "22:00",
                "preferredEndTime": "06:00",
                "timeZoneId": "Romance Standard Time",
                "preferredStartTimeUtc": "2031-05-06T20:00:00Z",
                "preferredEndTimeUtc": "2031-05-07T04:00:00Z",
            }),
            apps: vec![App::of_ours(APP.0, NAME), App::of_ours(OTHER_APP.0, "Other Pack")],
            catalogue: vec!["16.0.1.9", TARGET],
            begun: 0,
            end: End::Installed,
            ends: Vec::new(),
            shape: Shape::List,
            old_names: false,
            words: "Pascal",
            running: "Running",
            queued: false,
            hidden_for: 0,
            vanishes: false,
            by_window: false,
            foreign_runs_for: None,
            foreign_after_begin: false,
            environment_runs_for: 0,
            is_absent: false,
            language: "en-US",
            deletes_data: false,
            operations: Vec::new(),
            shows_later: None,
            lists_read: 0,
        }
    }

    pub(crate) fn fill(&mut self, apps: usize) {
        for number in 0..apps {
            let id = Uuid::from_u128(0xf111_0000 + number as u128);
            self.apps.push(App::of_ours(id, &format!("App {number}")));
        }
    }

    /// An operation of somebody else's failed that began then.
    pub(crate) fn failed(&mut self, created: &str, text: &'static str) {
        self.add_foreign(created.parse().unwrap(), End::Failed(text));
        for _ in 0..3 {
            self.pass();
        }
    }

    fn environments(&self) -> Value {
        let row = |name: &str, tenant: Uuid| {
            json!({
                "name": name,
                "friendlyName": "Some other name",
                "type": "Sandbox",
                "countryCode": "us",
                "applicationFamily": "BusinessCentral",
                "aadTenantId": tenant,
                "locationName": null,
                "ringName": "Production",
                "webServiceUrl": "https://api.businesscentral.dynamics.com",
                "versionDetails": {"version": "26.1"},
                "status": self.status,
                "ofTomorrow": {"is": "unknown"},
            })
        };
        json!({"value": [row("Production", self.tenant), row(self.name, self.tenant)]})
    }

    fn list_apps(&mut self) -> Value {
        if let Some(left) = &mut self.shows_later {
            match *left {
                0 => self.install(),
                _ => *left -= 1,
            }
        }
        let rows = self.apps.iter().skip(usize::from(self.is_absent)).map(|app| {
            let id = if self.old_names { "id" } else { "appId" };
            json!({
                id: app.id,
                "name": app.name,
                "publisher": app.publisher,
                "version": app.version,
                "state": app.state,
                "lastOperationId": null,
                "lastUpdateAttemptResult": "Succeeded",
                "appType": app.kind,
                "canBeUninstalled": true,
            })
        });
        json!({"value": rows.collect::<Vec<_>>()})
    }

    fn install(&mut self) {
        self.apps[0].version = TARGET.to_owned();
        self.is_absent = false;
        self.shows_later = None;
    }

    fn row(&self, operation: &Operation) -> Value {
        let status = match self.words {
            "lower" => operation.status.to_lowercase(),
            _ => operation.status.clone(),
        };
        let (source, target) = match self.old_names {
            true => ("sourceVersion", "targetVersion"),
            false => ("sourceAppVersion", "targetAppVersion"),
        };
        json!({
            "id": operation.id,
            "type": "install",
            source: "",
            target: if operation.takes_out { "" } else { TARGET },
            "status": status,
            "createdOn": operation.created.to_string(),
            "startedOn": null,
            "errorMessage": operation.error,
            "createdBy": operation.by,
            "canceledBy": (operation.status == "Canceled").then_some("admin@customer.example"),
            "creatorPrincipalType": "App",
            "scheduleKind": "Immediate",
        })
    }

    /// One poll passes.
    fn pass(&mut self) {
        let (mut installed, mut taken_out) = (false, false);
        let mut later = None;
        for operation in &mut self.operations {
            operation.hidden = operation.hidden.saturating_sub(1);
            if operation.left > 0 && !matches!(operation.end, End::Never) {
                operation.left -= 1;
                if operation.left == 0 {
                    operation.status = match operation.end {
                        End::Failed(text) => {
                            operation.error = Some(text);
                            "Failed"
                        }
                        End::Canceled => "Canceled",
                        End::Skipped | End::SkippedInstalled => "Skipped",
                        _ => "Succeeded",
                    }
                    .to_owned();
                    let arrives = matches!(operation.end, End::Installed | End::SkippedInstalled);
                    installed |= arrives && !operation.takes_out;
                    taken_out |= arrives && operation.takes_out;
                    if let End::Later(reads) = operation.end {
                        later = Some(reads);
                    }
                }
            }
        }
        if installed {
            self.install();
        }
        self.is_absent |= taken_out;
        self.shows_later = self.shows_later.or(later);
        if let Some(left) = &mut self.foreign_runs_for {
            match *left {
                0 => self.operations.retain(|operation| !operation.is_foreign),
                _ => *left -= 1,
            }
        }
    }

    fn list_operations(&mut self, only: Option<&str>, now: Timestamp) -> Reply {
        self.lists_read += 1;
        if self.foreign_runs_for.is_some() && self.lists_read == 1 {
            self.add_foreign(now, End::Never);
        }
        // What is asked for after ours was sent: the double never saw ours.
        if self.foreign_after_begin && self.lists_read == 2 {
            self.add_foreign(now, End::Installed);
        }
        self.pass();
        let vanished = self.vanishes && self.begun > 0;
        let shown = |operation: &&Operation| operation.hidden == 0 && (operation.is_foreign || !vanished);
        let visible: Vec<&Operation> = self.operations.iter().filter(shown).collect();
        let all: Vec<Value> = visible.iter().map(|operation| self.row(operation)).collect();
        let Some(only) = only else {
            return Reply::json(200, &json!({"value": all}));
        };
        let one = visible.iter().find(|operation| operation.id == only);
        let Some(one) = one.map(|operation| self.row(operation)) else {
            let body = json!({"code": "ResourceDoesNotExist", "message": "There is none", "target": only});
            return Reply::json(404, &body);
        };
        match self.shape {
            Shape::Object => Reply::json(200, &one),
            Shape::List => Reply::json(200, &json!({"value": [one]})),
            Shape::Array => Reply::json(200, &json!([one])),
            Shape::NotAlone => Reply::json(200, &json!({"value": all})),
        }
    }

    /// What the environment tells of: its apps' operations, and its own.
    fn list_all_operations(&mut self) -> Value {
        let shown = self.operations.iter().filter(|operation| operation.hidden == 0);
        let mut rows: Vec<_> = shown.map(|operation| self.row(operation)).collect();
        let status = match self.environment_runs_for {
            0 => "Succeeded",
            _ => "Running",
        };
        rows.push(json!({
            "id": operation_id(800),
            "type": "environmentAppUpdate",
            "status": status,
            "createdOn": "2031-05-06T07:00:00Z",
            "createdBy": "admin@customer.example",
            "errorMessage": null,
            "parameters": {"appId": OTHER_APP.to_string(), "targetAppVersion": "2.0.0.1"},
        }));
        self.environment_runs_for = self.environment_runs_for.saturating_sub(1);
        json!({"value": rows})
    }

    fn add_foreign(&mut self, now: Timestamp, end: End) {
        self.operations.push(Operation {
            id: operation_id(900),
            created: now,
            by: "admin@customer.example".to_owned(),
            status: "Running".to_owned(),
            error: None,
            left: 3,
            end,
            hidden: 0,
            is_foreign: true,
            takes_out: false,
        });
    }

    fn begin(&mut self, now: Timestamp) -> Reply {
        self.begin_with(now, false)
    }

    fn begin_with(&mut self, now: Timestamp, takes_out: bool) -> Reply {
        self.begun += 1;
        let number = self.begun;
        let end = self.ends.get(number - 1).copied().unwrap_or(self.end);
        let status = if self.queued { "Queued" } else { self.running };
        let operation = Operation {
            id: operation_id(number as u128),
            created: now,
            by: CLIENT_ID.to_uppercase(),
            status: status.to_owned(),
            error: None,
            left: 3,
            end,
            hidden: self.hidden_for,
            is_foreign: false,
            takes_out,
        };
        let mut row = self.row(&operation);
        row["status"] = json!(operation.status.to_lowercase());
        self.operations.push(operation);
        Reply::json(200, &row)
    }

    fn update(&mut self, asked: &Asked, now: Timestamp) -> Reply {
        let expected = json!({
            "targetVersion": TARGET,
            "useEnvironmentUpdateWindow": self.by_window,
            "allowPreviewVersion": false,
            "installOrUpdateNeededDependencies": false,
        });
        assert_eq!(asked.json(), expected);
        assert_eq!(self.apps[0].kind, "global");
        self.begin(now)
    }

    fn install_from_catalogue(&mut self, asked: &Asked, now: Timestamp) -> Reply {
        let expected = json!({
            "targetVersion": TARGET,
            "useEnvironmentUpdateWindow": self.by_window,
            "allowPreviewVersion": false,
            "installOrUpdateNeededDependencies": false,
            "acceptIsvEula": true,
            "languageId": self.language,
        });
        assert_eq!(asked.json(), expected);
        assert!(self.is_absent);
        self.begin(now)
    }

    fn uninstall(&mut self, asked: &Asked, now: Timestamp) -> Reply {
        let expected = json!({
            "useEnvironmentUpdateWindow": self.by_window,
            "uninstallDependents": false,
            "deleteData": self.deletes_data,
        });
        assert_eq!(asked.json(), expected);
        assert!(!self.is_absent);
        self.begin_with(now, true)
    }

    fn pte_install(&mut self, asked: &Asked, now: Timestamp) -> Reply {
        let schedule = if self.by_window {
            "UpdateWindow"
        } else {
            "Immediate"
        };
        let file = Part {
            file_name: Some("Contoso_Sales Pack_16.0.1.10.app".to_owned()),
            media_type: Some("application/octet-stream".to_owned()),
            bytes: package(),
        };
        let expected = [
            ("extensionFile", file),
            ("deploymentSchedule", Part::text(schedule)),
            ("syncMode", Part::text("Add")),
            ("languageId", Part::text(self.language)),
            ("acceptIsvEula", Part::text("true")),
            ("installOrUpdateNeededDependencies", Part::text("false")),
        ];
        let expected = expected.map(|(name, part)| (name.to_owned(), part)).into();
        assert_eq!(asked.form(), expected);
        assert_eq!(self.apps[0].kind, "tenant");
        self.begin(now)
    }
}

impl Target for Online {
    fn answer(&mut self, asked: &Asked, now: Timestamp) -> Option<Reply> {
        if !asked.query.is_empty() || !asked.header("if-match").is_empty() {
            return None;
        }
        let parts = asked.parts();
        let rest = parts.strip_prefix(&["admin", self.version, "applications"])?;
        if (asked.method.as_str(), rest) == ("GET", &["environments"]) {
            return Some(Reply::json(200, &self.environments()));
        }
        let rest = rest.strip_prefix(&["BusinessCentral", "environments", self.name])?;
        let app = APP.to_string();
        Some(match (asked.method.as_str(), rest) {
            ("GET", ["apps"]) => Reply::json(200, &self.list_apps()),
            ("GET", ["operations"]) => Reply::json(200, &self.list_all_operations()),
            ("GET", ["settings", "upgrade"]) => Reply::json(200, &self.window),
            ("GET", ["apps", "availableUpdates"]) => {
                let offered = self.catalogue.iter().map(|version| {
                    json!({"appId": APP.to_string(), "name": NAME, "publisher": PUBLISHER, "version": version, "requirements": []})
                });
                Reply::json(200, &json!({"value": offered.collect::<Vec<_>>()}))
            }
            ("GET", ["apps", of, "operations"]) if *of == app => self.list_operations(None, now),
            ("GET", ["apps", of, "operations", id]) if *of == app => self.list_operations(Some(id), now),
            ("POST", ["apps", of, "update"]) if *of == app => self.update(asked, now),
            ("POST", ["apps", of, "install"]) if *of == app => self.install_from_catalogue(asked, now),
            ("POST", ["apps", of, "uninstall"]) if *of == app => self.uninstall(asked, now),
            ("POST", ["apps", "pteInstall"]) if self.version == "v2.28" => Reply::empty(404),
            ("POST", ["apps", "pteInstall"]) => self.pte_install(asked, now),
            _ => return None,
        })
    }
}
