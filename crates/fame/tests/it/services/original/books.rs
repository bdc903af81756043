//! What the double knows, and what becomes of a request.

use super::{
    CLIENT, Done, TENANT,
    filter::{APP, ENVIRONMENT, HOTFIX, PRINCIPAL, VERSION, filtered},
};
use axum::{body::Bytes, http::Method};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, io::Cursor};
use uuid::Uuid;

/// An answer that is no success: status, code, message.
pub(crate) struct Refused(pub u16, pub &'static str, pub String);

fn absent(what: &str) -> Refused {
    Refused(404, "ResourceDoesNotExist", format!("{what} does not exist."))
}

fn invalid(message: impl Into<String>) -> Refused {
    Refused(400, "BadRequest", message.into())
}

/// How a hotfix goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineOfWork {
    Succeeds,
    Fails,
    IsSkipped,
    IsCanceled,
}

/// An app in an environment of a customer.
#[derive(Clone, Debug)]
pub(crate) struct Installed {
    pub app: Uuid,
    pub country: &'static str,
    pub name: &'static str,
    pub kind: &'static str,
    pub version: String,
    /// What becomes of hotfixes there.
    pub line: LineOfWork,
}

impl Installed {
    /// In production, where hotfixes succeed.
    pub(crate) fn new(app: Uuid, country: &'static str, name: &'static str, version: &str) -> Self {
        Self {
            app,
            country,
            name,
            kind: "Production",
            version: version.to_owned(),
            line: LineOfWork::Succeeds,
        }
    }
}

struct Package {
    row: Value,
    bytes: Bytes,
    /// How often it is looked at before it is stored.
    looks_left: u32,
}

struct Hotfix {
    app: Uuid,
    row: Value,
    starts: Timestamp,
    /// The place of its environment.
    environment: usize,
}

/// What the double knows.
pub(crate) struct Books {
    now: Timestamp,
    apps: Vec<Uuid>,
    principals: BTreeMap<(Uuid, Uuid), Value>,
    countries: BTreeMap<(Uuid, String), Value>,
    packages: BTreeMap<(Uuid, String, navx::Version), Package>,
    installed: Vec<Installed>,
    hotfixes: Vec<Hotfix>,
    /// For how many looks an upload stays `Uploading`.
    pub uploads_take: u32,
    /// How long a hotfix runs.
    pub hotfixes_take: SignedDuration,
}

const CUSTOMER: &str = "ccccdddd-2222-eeee-3333-ffff4444aaaa";

impl Books {
    pub(super) fn new(apps: &[Uuid]) -> Self {
        let mut books = Self {
            now: "2026-11-30T18:00:00Z".parse().unwrap(),
            apps: Vec::new(),
            principals: BTreeMap::new(),
            countries: BTreeMap::new(),
            packages: BTreeMap::new(),
            installed: Vec::new(),
            hotfixes: Vec::new(),
            uploads_take: 0,
            hotfixes_take: SignedDuration::from_mins(10),
        };
        for app in apps {
            books.has_app(*app, "Owner");
        }
        books
    }

    /// An app is registered on which the client has that role.
    pub(crate) fn has_app(&mut self, app: Uuid, role: &str) {
        let client: Uuid = CLIENT.parse().unwrap();
        let row = json!({"id": client, "type": "Application", "roles": [role], "_etag": Uuid::new_v4()});
        self.apps.retain(|known| *known != app);
        self.apps.push(app);
        self.principals.insert((app, client), row);
    }

    /// A customer has installed an app.
    pub(crate) fn installs(&mut self, installed: Installed) {
        self.installed.push(installed);
    }

    /// What is stored of the app in a country is other bytes from now on.
    pub(crate) fn holds_other_bytes(&mut self, app: Uuid, country: &str) {
        let all = self.packages.iter_mut();
        for (_, package) in all.filter(|((of, at, _), _)| *of == app && at == country) {
            package.bytes = [&package.bytes[..], &[0]].concat().into();
        }
    }

    /// The version that an environment has.
    pub(crate) fn installed(&self, app: Uuid, name: &str) -> String {
        let mut all = self.installed.iter();
        let found = all.find(|installed| installed.app == app && installed.name == name);
        found.unwrap().version.clone()
    }

    /// What becomes of hotfixes in an environment from now on.
    pub(crate) fn line(&mut self, app: Uuid, name: &str, line: LineOfWork) {
        let mut all = self.installed.iter_mut();
        let found = all.find(|installed| installed.app == app && installed.name == name);
        found.unwrap().line = line;
    }

    /// How many hotfixes an environment has had, whatever became of them.
    pub(crate) fn hotfixes_of(&self, app: Uuid, name: &str) -> usize {
        let all = self.hotfixes.iter();
        all.filter(|hotfix| hotfix.app == app && hotfix.row["environmentName"] == name)
            .count()
    }

    /// The app is available in these countries.
    pub(crate) fn has_countries(&mut self, app: Uuid, countries: &[&str]) {
        for country in countries {
            let row = json!({"countryCode": country, "_etag": Uuid::new_v4()});
            self.countries.insert((app, (*country).to_owned()), row);
        }
    }

    pub(super) fn moves_clock(&mut self, by: SignedDuration) {
        if by.is_zero() {
            return;
        }
        self.now += by;
        for hotfix in &mut self.hotfixes {
            let status = hotfix.row["status"].as_str().unwrap().to_owned();
            let ends = hotfix.starts + self.hotfixes_take;
            let environment = &mut self.installed[hotfix.environment];
            if status == "Scheduled" && self.now >= hotfix.starts {
                hotfix.row["status"] = "Running".into();
                hotfix.row["startedOn"] = shown(hotfix.starts);
            }
            if hotfix.row["status"] == "Running" && self.now >= ends {
                let status = match environment.line {
                    LineOfWork::Succeeds => "Succeeded",
                    LineOfWork::Fails => "Failed",
                    LineOfWork::IsSkipped => "Skipped",
                    LineOfWork::IsCanceled => "Canceled",
                };
                hotfix.row["status"] = status.into();
                match environment.line {
                    LineOfWork::Succeeds => {
                        hotfix.row["completedOn"] = shown(ends);
                        environment.version = hotfix.row["targetAppVersion"].as_str().unwrap().to_owned();
                    }
                    LineOfWork::Fails => {
                        hotfix.row["completedOn"] = shown(ends);
                        hotfix.row["errorMessage"] = "The field 'No.' cannot be removed.".into();
                    }
                    LineOfWork::IsSkipped | LineOfWork::IsCanceled => {}
                }
            }
        }
    }

    /// Does what is asked.
    pub(super) fn work(
        &mut self,
        method: &Method,
        path: &str,
        query: &str,
        body: &[u8],
    ) -> Result<Done, Refused> {
        let decoded: Vec<String> = path
            .split('/')
            .skip(1)
            .map(|segment| {
                percent_encoding::percent_decode_str(segment)
                    .decode_utf8_lossy()
                    .into_owned()
            })
            .collect();
        let segments: Vec<&str> = decoded.iter().map(String::as_str).collect();
        let [version, "apps", rest @ ..] = segments.as_slice() else {
            return Err(absent("That address"));
        };
        if !["v1.0", "v1.1", "v1.2", "v1.3", "v1.4"].contains(version) {
            return Err(absent("That version of the API"));
        }
        let is_list = *method == Method::GET && rest.len() % 2 == 0;
        if !query.is_empty() && !is_list {
            return Err(invalid("No query options are supported here."));
        }
        let [app, rest @ ..] = rest else {
            expect(method, &[Method::GET])?;
            return Ok(Done::Row(filtered(self.app_rows(), APP, query)?));
        };
        let app = self.app(app)?;
        match rest {
            ["countries"] => {
                expect(method, &[Method::GET])?;
                if !query.is_empty() {
                    return Err(invalid("No query options are supported here."));
                }
                let of_app = self.countries.iter().filter(|((of, _), _)| *of == app);
                Ok(list(of_app.map(|(_, row)| row.clone())))
            }
            ["countries", country] => self.country(method, app, country, body),
            ["principals"] => {
                expect(method, &[Method::GET])?;
                let of_app = self.principals.iter().filter(|((of, _), _)| *of == app);
                let rows = of_app.map(|(_, row)| row.clone()).collect();
                Ok(Done::Row(filtered(rows, PRINCIPAL, query)?))
            }
            ["principals", id] => self.principal(method, app, id, body),
            ["countries", country, rest @ ..] => {
                if !self.countries.contains_key(&(app, country.to_uppercase())) {
                    return Err(absent(&format!("The country {country}")));
                }
                self.in_country(method, app, &country.to_uppercase(), rest, query, body)
            }
            _ => Err(absent("That address")),
        }
    }

    fn app(&self, text: &str) -> Result<Uuid, Refused> {
        let id: Option<Uuid> = text.parse().ok();
        id.filter(|id| self.apps.contains(id))
            .ok_or_else(|| absent(&format!("The app {text}")))
    }

    fn app_rows(&self) -> Vec<Value> {
        let row = |app: &Uuid| {
            json!({"id": app, "publisher": "Contoso", "publisherAadTenantId": TENANT,
                   "publisherContactEmail": "publisher@contoso.com", "storageLocation": "West Europe",
                   "_etag": Uuid::new_v5(app, b"etag")})
        };
        self.apps.iter().map(row).collect()
    }

    fn country(&mut self, method: &Method, app: Uuid, country: &str, body: &[u8]) -> Result<Done, Refused> {
        expect(method, &[Method::GET, Method::PATCH])?;
        let country = country.to_uppercase();
        if *method == Method::PATCH {
            let body = members(body, &["countryCode"])?;
            if body.get("countryCode").and_then(Value::as_str) != Some(&country) {
                return Err(invalid("The country code differs from that of the address."));
            }
            if !self.countries.contains_key(&(app, country.clone())) {
                self.has_countries(app, &[&country]);
            }
        }
        let row = self.countries.get(&(app, country.clone()));
        Ok(Done::Row(row.ok_or_else(|| absent(&country))?.clone()))
    }

    fn principal(&mut self, method: &Method, app: Uuid, id: &str, body: &[u8]) -> Result<Done, Refused> {
        expect(method, &[Method::GET, Method::PATCH, Method::DELETE])?;
        let key = (app, id.parse().map_err(|_| absent("The principal"))?);
        if *method == Method::DELETE {
            let removed = self.principals.remove(&key);
            return removed
                .map(|_| Done::Nothing)
                .ok_or_else(|| absent("The principal"));
        }
        if *method == Method::PATCH {
            let body = members(body, &["aadTenantId", "type", "roles"])?;
            let kind = body.get("type").and_then(Value::as_str);
            if kind == Some("Application") && body.contains_key("aadTenantId") {
                return Err(invalid("aadTenantId must not be used for an application."));
            }
            let row = self.principals.entry(key).or_insert_with(|| json!({"id": key.1}));
            for (name, value) in body {
                row[name] = value;
            }
            row["_etag"] = json!(Uuid::new_v4());
        }
        let row = self.principals.get(&key);
        Ok(Done::Row(row.ok_or_else(|| absent("The principal"))?.clone()))
    }

    fn in_country(
        &mut self,
        method: &Method,
        app: Uuid,
        country: &str,
        rest: &[&str],
        query: &str,
        body: &[u8],
    ) -> Result<Done, Refused> {
        match rest {
            ["versions"] if *method == Method::POST => self.upload(app, country, body),
            ["versions"] => {
                expect(method, &[Method::GET, Method::POST])?;
                let mut of_country: Vec<_> = self
                    .packages
                    .iter_mut()
                    .filter(|((of, at, _), _)| *of == app && at == country)
                    .collect();
                let rows = of_country
                    .iter_mut()
                    .map(|(_, package)| package.looked_at())
                    .collect();
                Ok(Done::Row(filtered(rows, VERSION, query)?))
            }
            ["versions", number, "getPackageContents"] => {
                expect(method, &[Method::POST])?;
                let package = self.package(app, country, number)?;
                match package.row["status"] == "Uploaded" {
                    true => Ok(Done::Package(package.bytes.clone())),
                    false => Err(absent("The package")),
                }
            }
            ["versions", number] => {
                expect(method, &[Method::GET, Method::PATCH])?;
                let package = self.package(app, country, number)?;
                if *method == Method::PATCH {
                    package.change(body)?;
                }
                Ok(Done::Row(package.looked_at()))
            }
            ["environments"] => {
                expect(method, &[Method::GET])?;
                let of_country = self
                    .installed
                    .iter()
                    .filter(|installed| installed.app == app && installed.country == country);
                Ok(Done::Row(filtered(
                    of_country.map(environment).collect(),
                    ENVIRONMENT,
                    query,
                )?))
            }
            ["environmentHotfixes"] if *method == Method::POST => self.schedule(app, country, body),
            ["environmentHotfixes"] => {
                expect(method, &[Method::GET, Method::POST])?;
                let rows = self
                    .hotfixes(app, country)
                    .map(|hotfix| hotfix.row.clone())
                    .collect();
                Ok(Done::Row(filtered(rows, HOTFIX, query)?))
            }
            ["environmentHotfixes", id] => {
                expect(method, &[Method::GET, Method::PATCH])?;
                let id: Uuid = id.parse().map_err(|_| invalid("The id is no GUID."))?;
                let found = self.hotfixes.iter_mut().find(|hotfix| {
                    hotfix.app == app && hotfix.row["countryCode"] == country && hotfix.row["id"] == json!(id)
                });
                let hotfix = found.ok_or_else(|| absent("The hotfix"))?;
                if *method == Method::PATCH {
                    let body = members(body, &["status"])?;
                    if body.get("status") != Some(&json!("Canceled")) || hotfix.row["status"] != "Scheduled" {
                        return Err(invalid("Only a hotfix that has not started can be canceled."));
                    }
                    hotfix.row["status"] = "Canceled".into();
                }
                Ok(Done::Row(hotfix.row.clone()))
            }
            _ => Err(absent("That address")),
        }
    }

    fn hotfixes(&self, app: Uuid, country: &str) -> impl Iterator<Item = &Hotfix> {
        let all = self.hotfixes.iter();
        all.filter(move |hotfix| hotfix.app == app && hotfix.row["countryCode"] == *country)
    }

    fn package(&mut self, app: Uuid, country: &str, number: &str) -> Result<&mut Package, Refused> {
        let version = number.parse().map_err(|_| invalid("The version is none."))?;
        let found = self.packages.get_mut(&(app, country.to_owned(), version));
        found.ok_or_else(|| absent(&format!("The version {number}")))
    }

    fn upload(&mut self, app: Uuid, country: &str, body: &[u8]) -> Result<Done, Refused> {
        let body = members(body, &["initialAvailability", "packageContents"])?;
        let text = |name: &str| body.get(name).and_then(Value::as_str);
        let bytes = STANDARD.decode(text("packageContents").unwrap_or_default());
        let bytes = bytes.map_err(|_| invalid("The contents are no base64."))?;
        let read = navx::read(Cursor::new(&bytes), &navx::Limits::default());
        let package = read.map_err(|error| invalid(format!("The package cannot be read: {error}")))?;
        let manifest = package
            .manifest
            .ok_or_else(|| invalid("The package has no manifest."))?;
        if manifest.app_id != app {
            return Err(invalid("The package is one of another app."));
        }
        let key = (app, country.to_owned(), manifest.version);
        if self.packages.contains_key(&key) {
            // No document says how.
            return Err(Refused(
                400,
                "VersionAlreadyUploaded",
                "That version is there.".into(),
            ));
        }
        let dependency = |needed: &navx::Dependency| {
            json!({"appId": needed.id, "name": needed.name, "publisher": needed.publisher,
                   "version": needed.min_version.to_string()})
        };
        let [major, minor, build, revision] = manifest.version.parts();
        let row = json!({
            "version": manifest.version.to_string(), "appId": app, "countryCode": country, "packageId": package.package_id,
            "publisher": manifest.publisher, "name": manifest.name, "uploadedOn": shown(self.now),
            "availability": text("initialAvailability").unwrap_or("Preview"),
            "status": if self.uploads_take > 0 { "Uploading" } else { "Uploaded" },
            "dependencies": manifest.dependencies.iter().map(dependency).collect::<Vec<_>>(),
            "majorVersion": major, "minorVersion": minor, "buildVersion": build, "revisionVersion": revision,
            "_etag": Uuid::new_v4(),
        });
        let package = Package {
            row: row.clone(),
            bytes: bytes.into(),
            looks_left: self.uploads_take,
        };
        self.packages.insert(key, package);
        Ok(Done::Row(row))
    }

    fn schedule(&mut self, app: Uuid, country: &str, body: &[u8]) -> Result<Done, Refused> {
        const WRITABLE: &[&str] = &[
            "environmentAadTenantId",
            "environmentApplicationFamily",
            "environmentName",
            "environmentType",
            "ignoreUpgradeWindow",
            "runAfter",
            "targetAppVersion",
        ];
        let body = members(body, WRITABLE)?;
        let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
        let place = self.installed.iter().position(|installed| {
            (installed.app, installed.country) == (app, country)
                && installed.name.eq_ignore_ascii_case(text("environmentName"))
                && text("environmentAadTenantId") == CUSTOMER
        });
        let place = place.ok_or_else(|| absent("The environment"))?;
        let environment = self.installed[place].clone();
        let target: navx::Version = text("targetAppVersion")
            .parse()
            .map_err(|_| invalid("The target is no version."))?;
        let package = self.package(app, country, &target.to_string())?;
        if package.row["status"] != "Uploaded" {
            return Err(invalid("The target is not uploaded yet."));
        }
        let source: navx::Version = environment.version.parse().unwrap();
        if source.parts()[..2] != target.parts()[..2] {
            return Err(invalid(
                "The major and minor version of a hotfix must not change.",
            ));
        }
        if let Ok(installed) = self.package(app, country, &environment.version)
            && installed.row["availability"] == "Preview"
        {
            return Err(invalid("The installed version is a preview."));
        }
        let is_open =
            |hotfix: &Hotfix| ["Scheduled", "Running"].contains(&hotfix.row["status"].as_str().unwrap());
        if self
            .hotfixes
            .iter()
            .any(|hotfix| hotfix.environment == place && is_open(hotfix))
        {
            return Err(invalid(
                "A hotfix has already been scheduled for the environment.",
            ));
        }
        let starts = match text("runAfter") {
            "" => self.now,
            time => time.parse().map_err(|_| invalid("runAfter is no time."))?,
        };
        let row = json!({
            "id": Uuid::new_v4(), "environmentAadTenantId": CUSTOMER, "sourceAppVersion": environment.version,
            "targetAppVersion": target.to_string(), "status": "Scheduled", "createdOn": shown(self.now),
            "runAfter": shown(starts), "appId": app, "countryCode": country,
            "environmentApplicationFamily": "Business Central", "environmentName": environment.name,
            "environmentType": environment.kind,
        });
        self.hotfixes.push(Hotfix {
            app,
            row: row.clone(),
            starts: starts.max(self.now),
            environment: place,
        });
        Ok(Done::Row(row))
    }
}

impl Package {
    /// The row as whoever looks at it sees it.
    fn looked_at(&mut self) -> Value {
        match self.looks_left {
            0 => self.row["status"] = "Uploaded".into(),
            _ => self.looks_left -= 1,
        }
        self.row.clone()
    }

    fn change(&mut self, body: &[u8]) -> Result<(), Refused> {
        let body = members(body, &["availability", "dependencies", "syncMode"])?;
        if let Some(word) = body.get("availability") {
            if !["Preview", "Available", "Deprecated"].contains(&word.as_str().unwrap_or_default()) {
                return Err(invalid("The availability is none."));
            }
            self.row["availability"] = word.clone();
        }
        for change in body
            .get("dependencies")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let change = members(
                change.to_string().as_bytes(),
                &["appId", "incompatibleFromVersion"],
            )?;
            let rows = self.row["dependencies"].as_array_mut().unwrap();
            match rows.iter_mut().find(|row| row["appId"] == change["appId"]) {
                Some(row) => row["incompatibleFromVersion"] = change["incompatibleFromVersion"].clone(),
                None => rows.push(Value::Object(change)),
            }
        }
        self.row["_etag"] = json!(Uuid::new_v4());
        Ok(())
    }
}

fn environment(installed: &Installed) -> Value {
    json!({"aadTenantId": CUSTOMER, "version": installed.version, "appId": installed.app,
           "countryCode": installed.country, "applicationFamily": "Business Central", "locationName": "West Europe",
           "name": installed.name, "type": installed.kind})
}

fn list(rows: impl Iterator<Item = Value>) -> Done {
    Done::Row(json!({ "value": rows.collect::<Vec<_>>() }))
}

fn expect(method: &Method, allowed: &[Method]) -> Result<(), Refused> {
    match allowed.contains(method) {
        true => Ok(()),
        false => Err(Refused(
            405,
            "MethodNotAllowed",
            format!("{method} is not supported here."),
        )),
    }
}

/// The members of a body, by their documented names; any case will do, as an example has `Type`.
fn members(body: &[u8], documented: &[&str]) -> Result<Map<String, Value>, Refused> {
    let body: Value = serde_json::from_slice(body).map_err(|_| invalid("The body is no JSON."))?;
    let Value::Object(body) = body else {
        return Err(invalid("The body is no object."));
    };
    let mut known = Map::new();
    for (name, value) in body {
        let documented = documented.iter().find(|known| known.eq_ignore_ascii_case(&name));
        let documented = documented.ok_or_else(|| invalid(format!("The member '{name}' is not known.")))?;
        known.insert((*documented).to_owned(), value);
    }
    Ok(known)
}

/// A time as the documents show it: with seven decimals.
fn shown(at: Timestamp) -> Value {
    format!("{at:.7}").into()
}
