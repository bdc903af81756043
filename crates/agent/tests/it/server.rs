//! A strict double of an environment with an Automation API, and of a server's development endpoint beside it.

use crate::{
    desk::{APP, ENVIRONMENT, NAME, OTHER_APP, PUBLISHER, SOURCE, TARGET, TENANT, package},
    double::{Asked, Part, Reply, Target},
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

pub(crate) const COMPANY: Uuid = Uuid::from_u128(0xc0);

/// What becomes of a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// `InProgress`, then `Completed`.
    Completed,
    /// `Completed`, and nothing changed.
    Unchanged,
    /// A word that never changes, while the version comes in after all.
    Installed(&'static str),
    /// A word that never changes, and nothing comes in.
    Stays(&'static str),
    Failed,
    FailedButInstalled,
    /// Nobody ever shows it, and the version comes in.
    Hidden,
    /// Nobody ever shows it, and nothing comes in.
    Lost,
}

#[derive(Clone, Debug)]
pub(crate) struct Extension {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) publisher: &'static str,
    pub(crate) version: String,
    pub(crate) is_installed: bool,
    pub(crate) published_as: &'static str,
}

impl Extension {
    pub(crate) fn of_ours(id: Uuid, name: &str, version: &str) -> Self {
        Self {
            id,
            name: name.to_owned(),
            publisher: PUBLISHER,
            version: version.to_owned(),
            is_installed: true,
            published_as: " PTE",
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub(crate) id: Uuid,
    pub(crate) modified: Option<Timestamp>,
    pub(crate) schedule: String,
    pub(crate) mode: Option<String>,
    pub(crate) content: Option<Vec<u8>>,
}

#[derive(Clone, Debug)]
pub(crate) struct Deployment {
    pub(crate) id: Option<Uuid>,
    pub(crate) name: String,
    pub(crate) status: String,
    pub(crate) version: String,
    pub(crate) started: Timestamp,
    pub(crate) outcome: Outcome,
    /// In so many polls something happens.
    pub(crate) left: usize,
}

pub(crate) struct Server {
    /// Where links to contents begin.
    pub(crate) root: &'static str,
    pub(crate) tenant: Option<&'static str>,
    pub(crate) companies: Vec<(Uuid, &'static str)>,
    pub(crate) extensions: Vec<Extension>,
    pub(crate) slot: Option<Slot>,
    pub(crate) slots_made: u128,
    pub(crate) deployments: Vec<Deployment>,
    pub(crate) outcome: Outcome,
    pub(crate) begun: usize,
    /// Whether the answer to a new slot says where its content goes.
    pub(crate) has_links: bool,
    /// Whether statuses are those that older services answered with.
    pub(crate) old_statuses: bool,
    pub(crate) shows_ids: bool,
    /// Whether names are unknown at first.
    pub(crate) is_nameless: bool,
    pub(crate) knows_modes: bool,
    /// Somebody else uses the slot so many times, each just after our package has arrived.
    pub(crate) intruders: usize,
    /// What they do there.
    pub(crate) intrusion: fn(&mut Option<Slot>),
    /// Somebody else begins to deploy another app so many times, each just after our package has arrived.
    pub(crate) rivals: usize,
    /// Whether somebody else's deployment of the same version fails just before ours begins.
    pub(crate) twin: bool,
    /// What a publication comes to.
    pub(crate) publication: fn(&mut Server) -> Reply,
    pub(crate) dependency_option: Option<&'static str>,
    /// What the portal says of the environment.
    pub(crate) portal: &'static str,
}

impl Server {
    pub(crate) fn new() -> Self {
        let staged = Extension {
            is_installed: false,
            version: "17.0.0.0".to_owned(),
            ..Extension::of_ours(APP.0, NAME, SOURCE)
        };
        let application = Extension {
            publisher: "Microsoft",
            published_as: " Global",
            ..Extension::of_ours(Uuid::from_u128(0xa9), "Application", "26.1.2.3")
        };
        let old = Extension {
            is_installed: false,
            version: "16.0.0.1".to_owned(),
            ..staged.clone()
        };
        Self {
            root: "/api/microsoft/automation/v2.0",
            tenant: None,
            companies: vec![(COMPANY, "CRONUS"), (Uuid::from_u128(0xc1), "My Company")],
            extensions: vec![
                staged,
                Extension::of_ours(APP.0, NAME, SOURCE),
                old,
                Extension::of_ours(OTHER_APP.0, "Other Pack", "2.0.0.0"),
                application,
            ],
            slot: None,
            slots_made: 0,
            deployments: Vec::new(),
            outcome: Outcome::Completed,
            begun: 0,
            has_links: true,
            old_statuses: false,
            shows_ids: true,
            is_nameless: false,
            knows_modes: true,
            intruders: 0,
            intrusion: |slot| *slot = None,
            rivals: 0,
            twin: false,
            publication: |server| {
                server.install();
                Reply::empty(200)
            },
            dependency_option: None,
            portal: "Ready",
        }
    }

    pub(crate) fn fill(&mut self, apps: usize) {
        for number in 0..apps {
            let id = Uuid::from_u128(0xf111_0000 + number as u128);
            self.extensions
                .push(Extension::of_ours(id, &format!("App {number}"), "1.0.0.0"));
        }
    }

    pub(crate) fn set_app(&mut self, id: Uuid, version: Option<&str>) {
        let row = self
            .extensions
            .iter_mut()
            .find(|row| row.id == id && row.is_installed)
            .unwrap();
        match version {
            Some(version) => row.version = version.to_owned(),
            None => row.is_installed = false,
        }
    }

    pub(crate) fn install(&mut self) {
        self.set_app(APP.0, Some(TARGET));
    }

    pub(crate) fn started(&mut self, name: &str, status: &str, version: &str, started: Timestamp) {
        self.deployments.push(Deployment {
            id: Some(Uuid::from_u128(0xd0 + self.deployments.len() as u128)),
            name: name.to_owned(),
            status: status.to_owned(),
            version: version.to_owned(),
            started,
            outcome: Outcome::Stays("Completed"),
            left: 0,
        });
    }

    fn list_extensions(&self) -> Value {
        let rows = self.extensions.iter().map(|row| {
            let numbers: Vec<u32> = row.version.split('.').map(|part| part.parse().unwrap()).collect();
            json!({
                "packageId": Uuid::from_u128(row.id.as_u128() + 1),
                "id": row.id,
                "displayName": row.name,
                "publisher": row.publisher,
                "versionMajor": numbers[0],
                "versionMinor": numbers[1],
                "versionBuild": numbers[2],
                "versionRevision": numbers[3],
                "scope": 1,
                "isInstalled": row.is_installed,
                "publishedAs": row.published_as,
            })
        });
        json!({"@odata.context": "…", "value": rows.collect::<Vec<_>>()})
    }

    /// Rows as they are, and then one poll passes: the answer lags behind.
    fn list_deployments(&mut self) -> Value {
        let mut newest: Vec<&Deployment> = self.deployments.iter().collect();
        newest.sort_by_key(|row| std::cmp::Reverse(row.started));
        let shown = newest
            .iter()
            .filter(|row| !matches!(row.outcome, Outcome::Hidden | Outcome::Lost));
        let rows = shown.map(|row| {
            let is_named = !self.is_nameless || row.left == 0;
            let mut shown = json!({
                "name": if is_named { row.name.as_str() } else { "" },
                "publisher": PUBLISHER,
                "operationType": "Upload",
                "status": row.status,
                "schedule": "Immediate",
                "appVersion": row.version,
                "startedOn": row.started.to_string(),
            });
            if self.shows_ids {
                shown["operationID"] = json!(row.id);
            }
            shown
        });
        let rows = json!({"value": rows.collect::<Vec<_>>()});
        self.pass();
        rows
    }

    fn pass(&mut self) {
        let mut installed = false;
        for row in &mut self.deployments {
            if row.left == 0 {
                continue;
            }
            row.left -= 1;
            if row.left == 0 {
                match row.outcome {
                    Outcome::Completed | Outcome::Unchanged => row.status = "Completed".to_owned(),
                    Outcome::Failed | Outcome::FailedButInstalled => row.status = "Failed".to_owned(),
                    _ => {}
                }
                installed |= matches!(
                    row.outcome,
                    Outcome::Completed
                        | Outcome::FailedButInstalled
                        | Outcome::Installed(_)
                        | Outcome::Hidden
                );
            }
        }
        if installed {
            self.install();
        }
    }

    fn row_of(&self, slot: &Slot) -> Value {
        let mut row = json!({
            "systemId": slot.id,
            "schedule": slot.schedule.replace(' ', "_x0020_"),
            "schemaSyncMode": slot.mode.as_deref().map(|mode| mode.replace(' ', "_x0020_")),
        });
        if let Some(modified) = slot.modified {
            row["systemModifiedAt"] = json!(modified.to_string());
        }
        if self.has_links {
            let link = format!(
                "{}/companies({COMPANY})/extensionUpload({})/extensionContent",
                self.root, slot.id
            );
            row["extensionContent@odata.mediaEditLink"] = json!(link);
        }
        row
    }

    fn status(&self, now: u16, then: u16) -> u16 {
        if self.old_statuses { then } else { now }
    }

    fn say(&mut self, asked: &Asked, slot: &mut Slot, now: Timestamp) -> Option<Reply> {
        let body = asked.json();
        let mode = body.get("schemaSyncMode").and_then(Value::as_str);
        if mode.is_some() && !self.knows_modes {
            return Some(Reply::error(
                400,
                "BadRequest",
                "The property 'schemaSyncMode' does not exist",
            ));
        }
        let expected = match self.knows_modes {
            true => json!({"schedule": "Current version", "schemaSyncMode": "Add"}),
            false => json!({"schedule": "Current version"}),
        };
        assert_eq!(body, expected);
        slot.schedule = "Current version".to_owned();
        if let Some(mode) = mode {
            slot.mode = Some(mode.to_owned());
        }
        slot.modified = Some(now);
        None
    }

    fn make_slot(&mut self, asked: &Asked, now: Timestamp) -> Reply {
        if self.slot.is_some() {
            let text = "The record in table API Extension Upload already exists. Identification fields and values: Key='0'";
            return Reply::error(400, "Internal_EntityWithSameKeyExists", text);
        }
        self.slots_made += 1;
        let mut slot = Slot {
            id: Uuid::from_u128(0x5107_0000 + self.slots_made),
            modified: None,
            schedule: String::new(),
            mode: None,
            content: None,
        };
        if let Some(refused) = self.say(asked, &mut slot, now) {
            return refused;
        }
        let row = self.row_of(&slot);
        self.slot = Some(slot);
        Reply::json(self.status(201, 200), &row)
    }

    fn change_slot(&mut self, asked: &Asked, id: &str, now: Timestamp) -> Reply {
        let Some(mut slot) = self.slot.take().filter(|slot| slot.id.to_string() == id) else {
            return Reply::error(404, "BadRequest_ResourceNotFound", "There is no such slot");
        };
        let refused = self.say(asked, &mut slot, now);
        let row = self.row_of(&slot);
        self.slot = Some(slot);
        refused.unwrap_or_else(|| Reply::json(200, &row))
    }

    fn take_content(&mut self, asked: &Asked, id: &str, now: Timestamp) -> Reply {
        assert_eq!(asked.header("content-type"), "application/octet-stream");
        assert_eq!(asked.header("content-length"), asked.body.len().to_string());
        let Some(slot) = self.slot.as_mut().filter(|slot| slot.id.to_string() == id) else {
            return Reply::error(404, "BadRequest_ResourceNotFound", "There is no such slot");
        };
        slot.content = Some(asked.body.to_vec());
        if self.intruders > 0 {
            self.intruders -= 1;
            (self.intrusion)(&mut self.slot);
        }
        if self.rivals > 0 {
            self.rivals -= 1;
            self.started("Other Pack", "InProgress", "2.1.0.0", now);
            if let Some(theirs) = self.deployments.last_mut() {
                theirs.outcome = Outcome::Unchanged;
                theirs.left = 3;
            }
        }
        Reply::empty(204)
    }

    fn upload(&mut self, id: &str, now: Timestamp) -> Reply {
        assert!(self.deployments.iter().all(|row| row.status != "InProgress"));
        let Some(slot) = self.slot.take().filter(|slot| slot.id.to_string() == id) else {
            return Reply::error(404, "BadRequest_ResourceNotFound", "There is no such slot");
        };
        let Some(content) = slot.content else {
            return Reply::error(400, "Application_DialogException", "Extension content is empty.");
        };
        if content != package() {
            // Somebody else's package is what is deployed.
            self.started("Foreign Pack", "Completed", "9.0.0.0", now);
            return Reply::empty(204);
        }
        if self.twin {
            self.started(NAME, "Failed", TARGET, now - SignedDuration::from_secs(1));
        }
        self.begun += 1;
        let outcome = self.outcome;
        let number = 0xd000 + self.begun as u128;
        self.deployments.push(Deployment {
            id: self.shows_ids.then(|| Uuid::from_u128(number)),
            name: NAME.to_owned(),
            status: match outcome {
                Outcome::Stays(word) | Outcome::Installed(word) => word,
                _ => "InProgress",
            }
            .to_owned(),
            version: TARGET.to_owned(),
            started: now,
            outcome,
            left: 3,
        });
        Reply::empty(self.status(204, 200))
    }

    fn publish(&mut self, asked: &Asked) -> Reply {
        let file = Part {
            file_name: Some("Contoso_Sales Pack_16.0.1.10.app".to_owned()),
            media_type: Some("application/octet-stream".to_owned()),
            bytes: package(),
        };
        assert_eq!(asked.form(), [("file".to_owned(), file)].into());
        self.begun += 1;
        (self.publication)(self)
    }

    fn has_options(&self, asked: &Asked, others: &[(&str, &str)]) -> bool {
        let tenant = self.tenant.map(|tenant| ("tenant", tenant));
        let expected = others.iter().copied().chain(tenant);
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        asked.query == expected.collect()
    }
}

/// A slot that somebody left, so many seconds ago.
pub(crate) fn left_behind(seconds: i64) -> Slot {
    let now: Timestamp = "2031-05-06T07:08:09Z".parse().unwrap();
    Slot {
        id: Uuid::from_u128(0x5107_ffff),
        modified: Some(now - SignedDuration::from_secs(seconds)),
        schedule: "Next major version".to_owned(),
        mode: Some("Force Sync".to_owned()),
        content: Some(b"somebody else's".to_vec()),
    }
}

impl Target for Server {
    fn answer(&mut self, asked: &Asked, now: Timestamp) -> Option<Reply> {
        let parts = asked.parts();
        let of_company = format!("companies({COMPANY})");
        let replaces = asked.header("if-match") == "*";
        let portal = ["portal", &TENANT.to_string(), ENVIRONMENT, "deployment", "url"];
        if parts.as_slice() == portal.as_slice() && asked.method.as_str() == "GET" {
            assert_eq!(asked.header("authorization"), "", "anybody may ask");
            let body = json!({"status": self.portal, "data": null, "environmentType": 1});
            return Some(Reply::json(200, &body));
        }
        if let ["BC", "dev", rest] = parts.as_slice() {
            let dependencies = self
                .dependency_option
                .map(|option| ("DependencyPublishingOption", option));
            let options = [("SchemaUpdateMode", "synchronize")]
                .into_iter()
                .chain(dependencies);
            let options: Vec<_> = options.collect();
            return match (asked.method.as_str(), *rest) {
                ("GET", "metadata") if self.has_options(asked, &[]) => {
                    Some(Reply::json(200, &json!({"runtimeVersion": "15.0"})))
                }
                ("POST", "apps") if self.has_options(asked, &options) => Some(self.publish(asked)),
                _ => None,
            };
        }
        if !self.has_options(asked, &[]) {
            return None;
        }
        let rest = parts.strip_prefix(&["api", "microsoft", "automation", "v2.0"])?;
        if (asked.method.as_str(), rest) == ("GET", &["companies"]) {
            let rows = self.companies.iter().map(
                |(id, name)| json!({"id": id, "name": name, "systemVersion": "26.0.34567.0", "displayName": null}),
            );
            return Some(Reply::json(200, &json!({"value": rows.collect::<Vec<_>>()})));
        }
        let rest = rest.strip_prefix(&[of_company.as_str()])?;
        Some(match (asked.method.as_str(), rest, replaces) {
            ("GET", ["extensions"], false) => Reply::json(200, &self.list_extensions()),
            ("GET", ["extensionDeploymentStatus"], false) => Reply::json(200, &self.list_deployments()),
            ("GET", ["extensionUpload"], false) => {
                let rows: Vec<_> = self.slot.iter().map(|slot| self.row_of(slot)).collect();
                Reply::json(200, &json!({"value": rows}))
            }
            ("POST", ["extensionUpload"], false) => self.make_slot(asked, now),
            ("PATCH", [slot], true) => {
                let id = slot.strip_prefix("extensionUpload(")?.strip_suffix(')')?;
                self.change_slot(asked, id, now)
            }
            ("PATCH", [slot, "extensionContent"], true) => {
                let id = slot.strip_prefix("extensionUpload(")?.strip_suffix(')')?;
                self.take_content(asked, id, now)
            }
            ("POST", [slot, "Microsoft.NAV.upload"], true) if asked.body.is_empty() => {
                let id = slot.strip_prefix("extensionUpload(")?.strip_suffix(')')?;
                self.upload(id, now)
            }
            _ => return None,
        })
    }
}
