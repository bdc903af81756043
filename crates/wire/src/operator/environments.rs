//! Environments as their operator registers and sees them.

use super::{required_text, short_text, some_text};
use crate::{
    entity::{Entity, entity},
    lenient::{self, Object},
};
use domain::{
    country::CountryCode,
    environment::{EnvironmentKey, EnvironmentKind},
    ids::{AppId, TenantId},
    instant::Instant,
    problem::RuleError,
    version::AppVersion,
    window::UpdateWindow,
};
use serde::Serialize;
use std::collections::HashSet;
use utoipa::ToSchema;
use uuid::Uuid;

entity! {
    /// An environment as its operator sees it.
    RegisteredEnvironment "registeredEnvironment" keyed by ["aadTenantId", "applicationFamily", "name"] {
        /// The customer's Microsoft Entra tenant.
        #[schema(value_type = uuid::Uuid)]
        aad_tenant_id "aadTenantId": TenantId,
        /// The environment's application family.
        application_family "applicationFamily": String,
        /// The environment's name.
        name "name": String,
        /// The country that it belongs to.
        #[schema(value_type = String, example = "US")]
        country_code "countryCode": CountryCode,
        /// What it is for: Production or Sandbox.
        #[schema(value_type = crate::words::EnvironmentKind)]
        kind "type": EnvironmentKind,
        /// Where it runs.
        #[serde(default)]
        location_name "locationName": Option<String>,
        /// The version of Business Central's application.
        #[serde(default)]
        #[schema(value_type = Option<String>)]
        application_version "applicationVersion": Option<AppVersion>,
        /// The version of Business Central's platform.
        #[serde(default)]
        #[schema(value_type = Option<String>)]
        platform_version "platformVersion": Option<AppVersion>,
        /// When its operations may start.
        window "window": Window,
        /// Whether the apps below are all that are installed.
        #[serde(default)]
        #[schema(required = true)]
        inventory_complete "inventoryComplete": bool,
        /// The apps known to be installed.
        #[serde(default)]
        #[schema(required = true)]
        apps "apps": Vec<InstalledApp>,
        /// Since when no operation starts, because the outcome of one is unknown; none when all is well.
        #[serde(default)]
        #[schema(value_type = Option<String>, format = DateTime)]
        held_since "heldSince": Option<Instant>,
        /// The name of the agent that serves it; none when nobody does.
        #[serde(default)]
        agent "agent": Option<String>,
        /// When it was last reported.
        #[serde(default)]
        #[schema(value_type = Option<String>, format = DateTime)]
        inventory_on "inventoryOn": Option<Instant>,
        /// Since when its agent does not find it; nothing starts there, and it is removed after a while.
        #[serde(default)]
        #[schema(value_type = Option<String>, format = DateTime)]
        missing_since "missingSince": Option<Instant>,
        /// Since when it is reported as a sandbox though it is production here; nothing starts until it is released.
        #[serde(default)]
        #[schema(value_type = Option<String>, format = DateTime)]
        disputed_since "disputedSince": Option<Instant>,
    }
}

entity! {
    /// The hours, on the environment's own clock, in which its operations may start.
    Window "window" keyed by [] {
        /// When it starts, `HH:MM`.
        #[schema(example = "20:00")]
        start "start": String,
        /// When it ends, `HH:MM`.
        #[schema(example = "06:00")]
        end "end": String,
        /// The Windows id of the time zone.
        #[schema(example = "Romance Standard Time")]
        time_zone "timeZone": String,
    }
}

impl From<&UpdateWindow> for Window {
    fn from(window: &UpdateWindow) -> Self {
        Self {
            start: window.start_text(),
            end: window.end_text(),
            time_zone: window.time_zone().to_owned(),
        }
    }
}

entity! {
    /// An app that is installed in an environment.
    InstalledApp "installedApp" keyed by ["id"] {
        /// The app.
        #[schema(value_type = uuid::Uuid)]
        id "id": AppId,
        /// Its name, if known.
        #[serde(default)]
        name "name": Option<String>,
        /// Its publisher, if known.
        #[serde(default)]
        publisher "publisher": Option<String>,
        /// The version installed.
        #[schema(value_type = String, example = "16.0.0.5")]
        version "version": AppVersion,
    }
}

/// A request to register an environment, as a client sends it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnvironmentRegistrationBody {
    /// The country that it belongs to.
    #[schema(example = "US")]
    pub country_code: String,
    /// `Production` or `Sandbox`.
    #[serde(rename = "type")]
    #[schema(value_type = crate::words::EnvironmentKind)]
    pub kind: String,
    /// Where it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location_name: Option<String>,
    /// The version of Business Central's application.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application_version: Option<String>,
    /// The version of Business Central's platform.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform_version: Option<String>,
    /// When its operations may start; 20:00 to 06:00 by the country's clock when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<WindowBody>,
    /// Whether the apps below are all that are installed.
    #[schema(required = false, nullable)]
    pub inventory_complete: bool,
    /// The apps that are installed.
    #[schema(required = false, nullable)]
    pub apps: Vec<InstalledAppBody>,
}

/// A request to change some of what is known of an environment, as a client sends it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnvironmentPatchBody {
    /// Where it runs; nobody knows if null.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location_name: Option<String>,
    /// The version of Business Central's application; not known if null.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application_version: Option<String>,
    /// The version of Business Central's platform; not known if null.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform_version: Option<String>,
    /// When its operations may start; 20:00 to 06:00 by the country's clock if null.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<WindowBody>,
}

/// The hours in which an environment's operations may start, as a client sends them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WindowBody {
    /// When it starts, `HH:MM`.
    #[schema(example = "20:00")]
    pub start: String,
    /// When it ends, `HH:MM`.
    #[schema(example = "06:00")]
    pub end: String,
    /// The Windows id of the time zone, or the IANA id of one that goes the same. One that nobody knows loses the window,
    /// and a `Warning` says so.
    #[schema(example = "Romance Standard Time")]
    pub time_zone: String,
}

/// An app that is installed in an environment, as a client sends it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct InstalledAppBody {
    /// The app.
    pub id: Uuid,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its publisher.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publisher: Option<String>,
    /// The version installed.
    #[schema(example = "16.0.0.5")]
    pub version: String,
}

/// A request to register an environment, or to replace what is known of it, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvironmentRegistration {
    /// The country that it belongs to.
    pub country: CountryCode,
    /// What it is for.
    pub kind: EnvironmentKind,
    /// Where it runs.
    pub location_name: Option<String>,
    /// The version of Business Central's application.
    pub application_version: Option<AppVersion>,
    /// The version of Business Central's platform.
    pub platform_version: Option<AppVersion>,
    /// When its operations may start; `None` for the default of the country.
    pub window: Option<UpdateWindow>,
    /// The time zone of the window, if nobody knows it: that costs the window only, for nothing else depends on it.
    pub unknown_zone: Option<String>,
    /// Whether the apps are all that are installed.
    pub inventory_complete: bool,
    /// The apps that are installed, each once.
    pub apps: Vec<InstalledApp>,
    /// All that was said.
    pub given: Object,
}

impl EnvironmentRegistration {
    /// Reads a request body about the environment at `key`; `allow_w1` says whether the worldwide localisation counts as
    /// a country.
    ///
    /// # Errors
    /// `RequestBodyRequired`, `InvalidInput` for missing, malformed and unknown values, for an app listed twice and for
    /// the key of another environment, or `EntityValidationFailed` for a window that is too short.
    pub fn read(body: &[u8], key: &EnvironmentKey, allow_w1: bool) -> Result<Self, RuleError> {
        let object = lenient::object(body)?;
        object.only(RegisteredEnvironment::PROPERTIES)?;
        check_key(&object, key)?;
        let country = object.country("countryCode", allow_w1)?;
        let window = object.object("window")?;
        let (window, unknown_zone) = window.as_ref().map_or(Ok((None, None)), read_window)?;
        Ok(Self {
            country: country.ok_or_else(|| object.required("countryCode"))?,
            kind: object.parsed("type")?.ok_or_else(|| object.required("type"))?,
            location_name: some_text(&object, "locationName")?,
            application_version: object.parsed("applicationVersion")?,
            platform_version: object.parsed("platformVersion")?,
            window,
            unknown_zone,
            inventory_complete: object.flag("inventoryComplete")?.unwrap_or(false),
            apps: read_apps(&object)?,
            given: object,
        })
    }
}

/// A request to change some of what is known of an environment, understood: what is not said stays as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvironmentPatch {
    /// Where it runs.
    pub location_name: Option<Option<String>>,
    /// The version of Business Central's application.
    pub application_version: Option<Option<AppVersion>>,
    /// The version of Business Central's platform.
    pub platform_version: Option<Option<AppVersion>>,
    /// When its operations may start; none for the default of its country.
    pub window: Option<Option<UpdateWindow>>,
    given: Object,
}

impl EnvironmentPatch {
    /// What can be changed of an environment by itself.
    pub const WRITABLE: [&str; 4] = ["locationName", "applicationVersion", "platformVersion", "window"];

    /// Reads a request body about the environment at `key`.
    ///
    /// # Errors
    /// `RequestBodyRequired`, `InvalidInput` for malformed and unknown values and for the key of another environment, or
    /// `EntityValidationFailed` for a window that is too short and where nothing is to be changed.
    pub fn read(body: &[u8], key: &EnvironmentKey) -> Result<Self, RuleError> {
        let object = lenient::object(body)?;
        object.only(RegisteredEnvironment::PROPERTIES)?;
        check_key(&object, key)?;
        if !Self::WRITABLE.iter().any(|name| object.mentions(name)) {
            let message = format!("There is nothing to change: name {}.", Self::WRITABLE.join(", "));
            return Err(RuleError::broken("NothingWritable", message));
        }
        let window = match object.object("window")? {
            Some(window) => Some(known_window(&window)?),
            None => None,
        };
        let said = |name: &str| object.mentions(name);
        Ok(Self {
            location_name: said("locationName").then_some(some_text(&object, "locationName")?),
            application_version: said("applicationVersion").then_some(object.parsed("applicationVersion")?),
            platform_version: said("platformVersion").then_some(object.parsed("platformVersion")?),
            window: said("window").then_some(window),
            given: object,
        })
    }

    /// Whether everything else that it says is what the environment is anyway.
    ///
    /// # Errors
    /// `EntityValidationFailed` with `ReadOnly`, naming the property.
    pub fn check_read_only(&self, current: &RegisteredEnvironment) -> Result<(), RuleError> {
        self.given.check_read_only(current, &Self::WRITABLE)
    }
}

/// A window whose time zone is known: whoever changes nothing but the window wants this one.
fn known_window(window: &Object) -> Result<UpdateWindow, RuleError> {
    match read_window(window)? {
        (Some(read), _) => Ok(read),
        (None, zone) => {
            let zone = zone.unwrap_or_default();
            Err(window.invalid("timeZone", &format!("nobody knows the time zone '{zone}'")))
        }
    }
}

/// Whether what the body repeats of the key is as it is in the address, where families and names have several
/// spellings.
fn check_key(object: &Object, key: &EnvironmentKey) -> Result<(), RuleError> {
    object.is_about("tenant", "aadTenantId", &key.tenant_id)?;
    let family = object.text("applicationFamily")?;
    let name = object.text("name")?;
    let given = EnvironmentKey::new(
        key.tenant_id,
        family.as_deref().unwrap_or(&key.family_key),
        name.as_deref().unwrap_or(&key.name_key),
    );
    if given == *key {
        return Ok(());
    }
    let name = if given.family_key == key.family_key {
        "name"
    } else {
        "applicationFamily"
    };
    let message = format!("The body is about environment {given}, the address about {key}.");
    Err(RuleError::invalid(object.place(name), message))
}

impl RegisteredEnvironment {
    /// Whether everything else that a request says is what the environment is anyway. What a registration itself
    /// changes may be as it was before: the same request may be sent twice.
    ///
    /// # Errors
    /// `EntityValidationFailed` with `ReadOnly`, naming the property.
    pub fn check_read_only(&self, given: &Object) -> Result<(), RuleError> {
        let others: Vec<_> = Self::PROPERTIES
            .iter()
            .copied()
            .filter(|name| *name != "agent")
            .collect();
        given.check_read_only(self, &others)
    }
}

/// A window, or the time zone that nobody knows.
fn read_window(window: &Object) -> Result<(Option<UpdateWindow>, Option<String>), RuleError> {
    window.only(Window::PROPERTIES)?;
    let [start, end, zone] = ["start", "end", "timeZone"].map(|name| required_text(window, name));
    let (start, end, zone) = (start?, end?, zone?);
    match UpdateWindow::new(&start, &end, &zone) {
        Ok(read) => Ok((Some(read), None)),
        Err(unknown) if unknown.target.as_deref() == Some("timeZone") => Ok((None, Some(zone))),
        Err(mut error) => {
            error.target = error.target.map(|target| match target.as_str() {
                "window" => target,
                _ => window.place(&target),
            });
            Err(error)
        }
    }
}

fn read_apps(object: &Object) -> Result<Vec<InstalledApp>, RuleError> {
    let mut seen = HashSet::new();
    let mut apps = Vec::new();
    for row in object.objects("apps")?.unwrap_or_default() {
        row.only(InstalledApp::PROPERTIES)?;
        let id: AppId = row.parsed("id")?.ok_or_else(|| row.required("id"))?;
        if !seen.insert(id) {
            return Err(row.invalid("id", &format!("app {id} is listed twice")));
        }
        apps.push(InstalledApp {
            id,
            name: short_text(&row, "name")?,
            publisher: short_text(&row, "publisher")?,
            version: row.parsed("version")?.ok_or_else(|| row.required("version"))?,
        });
    }
    Ok(apps)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENVIRONMENT: &str = r#"{
        "countryCode": "dk", "type": "sandbox", "locationName": "West Europe", "applicationVersion": "26.0",
        "window": {"start": "21:00", "end": "05:00", "timeZone": "Romance Standard Time"},
        "apps": [{"id": "aaaaaaaa-0000-1111-2222-bbbbbbbbbbbb", "version": "16.0.0.5"}]
    }"#;

    fn read(body: &str) -> Result<EnvironmentRegistration, RuleError> {
        let key = EnvironmentKey::new(TenantId(Uuid::from_u128(1)), "Business Central", "MyCustomer");
        EnvironmentRegistration::read(body.as_bytes(), &key, false)
    }

    #[test]
    fn an_environment_is_read_with_its_window_and_apps() {
        let read = read(ENVIRONMENT).unwrap();
        assert_eq!(
            (read.country.as_str(), read.kind),
            ("DK", EnvironmentKind::Sandbox)
        );
        assert_eq!(Window::from(read.window.as_ref().unwrap()).start, "21:00");
        assert_eq!(read.apps[0].version, AppVersion([16, 0, 0, 5]));
        assert!(!read.inventory_complete);
    }

    #[test]
    fn what_is_wrong_with_an_environment_is_named_by_its_place() {
        let target = |from: &str, to: &str| {
            let body = ENVIRONMENT.replace(from, to);
            read(&body).unwrap_err().target.unwrap()
        };
        assert_eq!(target("\"dk\"", "\"W1\""), "countryCode");
        assert_eq!(target("sandbox", "Test"), "type");
        assert_eq!(target("21:00", "21"), "window.start");
        assert_eq!(target("21:00", "04:00"), "window");
        assert_eq!(
            target(r#", "timeZone": "Romance Standard Time""#, ""),
            "window.timeZone"
        );
        assert_eq!(target("16.0.0.5", "sixteen"), "apps[0].version");
        let row = r#"{"id": "aaaaaaaa-0000-1111-2222-bbbbbbbbbbbb", "version": "16.0.0.5"}"#;
        assert_eq!(target(row, &format!("{row},{row}")), "apps[1].id");
        assert_eq!(target("\"type\": \"sandbox\",", ""), "type");
        assert_eq!(target("\"type\"", "\"typ\""), "typ");
        assert_eq!(target("\"start\"", "\"starts\""), "window.starts");
        assert_eq!(target("\"version\"", "\"versoin\""), "apps[0].versoin");
        let long = format!("\"name\": \"{}\", \"version\"", "n".repeat(251));
        assert_eq!(target("\"version\"", &long), "apps[0].name");
        assert_eq!(target("West Europe", &"w".repeat(251)), "locationName");
    }

    #[test]
    fn a_change_says_what_changes_and_nothing_else() {
        let key = EnvironmentKey::new(TenantId(Uuid::from_u128(1)), "Business Central", "MyCustomer");
        let read = |body: &str| EnvironmentPatch::read(body.as_bytes(), &key);
        let patch = read(
            r#"{"window": {"start": "21:00", "end": "05:00", "timeZone": "UTC"}, "platformVersion": null}"#,
        );
        let patch = patch.unwrap();
        assert_eq!(patch.window.unwrap().unwrap().start_text(), "21:00");
        assert_eq!(patch.platform_version, Some(None));
        assert_eq!((patch.location_name, patch.application_version), (None, None));
        assert_eq!(read(r#"{"window": null}"#).unwrap().window, Some(None));
        assert_eq!(read("{}").unwrap_err().details[0].code, "NothingWritable");
        assert_eq!(
            read(r#"{"apps": []}"#).unwrap_err().details[0].code,
            "NothingWritable"
        );
        for (body, target) in [
            (r#"{"windows": null}"#, "windows"),
            (r#"{"locationName": " "}"#, "locationName"),
            (r#"{"applicationVersion": "new"}"#, "applicationVersion"),
            (
                r#"{"window": {"start": "21:00", "end": "05:00", "timeZone": "Europe/Atlantis"}}"#,
                "window.timeZone",
            ),
        ] {
            assert_eq!(read(body).unwrap_err().target.as_deref(), Some(target), "{body}");
        }
    }

    #[test]
    fn a_time_zone_that_nobody_knows_costs_the_window_alone() {
        let read = read(&ENVIRONMENT.replace("Romance Standard Time", "Europe/Atlantis")).unwrap();
        assert_eq!(
            (read.window, read.unknown_zone.as_deref()),
            (None, Some("Europe/Atlantis"))
        );
        assert_eq!(read.apps.len(), 1);
    }

    #[test]
    fn a_body_about_another_environment_is_refused() {
        for (member, target) in [
            (
                r#""aadTenantId": "00000000-0000-0000-0000-000000000002""#,
                "aadTenantId",
            ),
            (r#""applicationFamily": "Finance""#, "applicationFamily"),
            (r#""name": "Other""#, "name"),
        ] {
            let body = ENVIRONMENT.replacen('{', &format!("{{{member},"), 1);
            assert_eq!(read(&body).unwrap_err().target.as_deref(), Some(target));
        }
        let same = r#"{"aadTenantId": "{00000000-0000-0000-0000-000000000001}", "applicationFamily": "businesscentral",
            "name": "MYCUSTOMER","#;
        assert!(read(&ENVIRONMENT.replacen('{', same, 1)).is_ok());
    }
}
