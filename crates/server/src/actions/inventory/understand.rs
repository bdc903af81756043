//! Reading what an agent reported: row by row, so that one wrong row costs no other.

use crate::actions::environments::EnvironmentReport;
use domain::{
    country::CountryCode,
    environment::{EnvironmentKey, check_name},
    ids::AppId,
    inventory::{MOST_APPS, MOST_ENVIRONMENTS},
    problem::RuleError,
    text::check_text,
    version::AppVersion,
    window::UpdateWindow,
};
use std::{
    collections::{BTreeMap, HashSet},
    fmt::Display,
    str::FromStr,
    sync::Arc,
};
use store::environments::InstalledApp;
use wire::agent::{
    EnvironmentName, Inventory, RefusedEnvironment, ReportedApp, ReportedEnvironment, ReportedWindow,
};

/// The code of a row in which something is wrong.
const WRONG: &str = "InvalidInput";
/// Longest name of a place, an app or a publisher, in characters.
const LONGEST_TEXT: usize = 250;
/// Longest address, in characters.
const LONGEST_URL: usize = 2_000;

/// An inventory as far as it can be understood.
#[derive(Debug, Default)]
pub(super) struct Understood {
    pub(super) sequence: i64,
    pub(super) confirm: bool,
    pub(super) rows: Vec<Arc<Row>>,
    /// All environments that are named, those included that are refused: they are there.
    pub(super) named: HashSet<EnvironmentKey>,
    pub(super) gone: Vec<EnvironmentName>,
    pub(super) refused: Vec<RefusedEnvironment>,
    pub(super) warnings: Vec<String>,
}

/// An environment that is reported.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) key: EnvironmentKey,
    pub(super) report: EnvironmentReport,
}

impl Understood {
    pub(super) fn read(inventory: Inventory, allow_w1: bool) -> Result<Self, RuleError> {
        let Inventory {
            sequence,
            confirm,
            environments,
            gone,
            unread,
        } = inventory;
        let counts = [
            ("environments", environments.len()),
            ("gone", gone.len()),
            ("unread", unread.len()),
        ];
        for (what, count) in counts {
            if count > MOST_ENVIRONMENTS {
                let message =
                    format!("'{what}' names {count} environments; an agent may have {MOST_ENVIRONMENTS}.");
                return Err(RuleError::invalid(what, message));
            }
        }
        let mut understood = Self {
            sequence,
            confirm,
            ..Self::default()
        };
        let mut zones = UnknownZones::default();
        for reported in environments {
            let name = reported.environment.clone();
            let key = name.key();
            let read = match understood.named.insert(key.clone()) {
                true => read_row(key, reported, allow_w1, &mut zones),
                false => Err(RuleError::invalid("name", "The environment is named twice.")),
            };
            match read {
                Ok(row) => understood.rows.push(Arc::new(row)),
                Err(problem) => understood.refused.push(refused(name, WRONG, problem.message)),
            }
        }
        understood.named.extend(unread.iter().map(EnvironmentName::key));
        for name in gone {
            if understood.named.contains(&name.key()) {
                let message = "The environment is reported, and said to be gone.";
                understood.refused.push(refused(name, WRONG, message));
            } else {
                understood.gone.push(name);
            }
        }
        understood.warnings = zones.warnings();
        Ok(understood)
    }
}

/// An environment that is not taken.
pub(super) fn refused(
    environment: EnvironmentName,
    code: &str,
    message: impl Into<String>,
) -> RefusedEnvironment {
    RefusedEnvironment {
        environment,
        code: code.to_owned(),
        message: message.into(),
    }
}

fn read_row(
    key: EnvironmentKey,
    reported: ReportedEnvironment,
    allow_w1: bool,
    zones: &mut UnknownZones,
) -> Result<Row, RuleError> {
    let EnvironmentName {
        application_family: family,
        name,
        ..
    } = reported.environment;
    check_name("applicationFamily", &family)?;
    check_name("name", &name)?;
    let country = CountryCode::parse(&reported.country_code, allow_w1)
        .map_err(|error| RuleError::invalid("countryCode", format!("{error}.")))?;
    let location_name = reported.location_name.unwrap_or_default();
    check_text("locationName", &location_name, LONGEST_TEXT)?;
    for (what, url) in [
        ("webClientUrl", &reported.web_client_url),
        ("webServiceUrl", &reported.web_service_url),
    ] {
        check_text(what, url.as_deref().unwrap_or_default(), LONGEST_URL)?;
    }
    let window = match reported.window {
        Some(window) => Some(read_window(&window, country, &name, zones)?),
        None => None,
    };
    let report = EnvironmentReport {
        kind: parsed("type", &reported.kind)?,
        application_version: version("applicationVersion", reported.application_version.as_deref())?,
        platform_version: version("platformVersion", reported.platform_version.as_deref())?,
        apps: read_apps(reported.apps)?,
        inventory_complete: reported.inventory_complete,
        family,
        name,
        country,
        location_name,
        web_client_url: reported.web_client_url,
        web_service_url: reported.web_service_url,
        window,
    };
    Ok(Row { key, report })
}

fn parsed<T: FromStr<Err: Display>>(what: &str, text: &str) -> Result<T, RuleError> {
    text.parse()
        .map_err(|error| RuleError::invalid(what, format!("'{what}': {error}.")))
}

fn version(what: &str, text: Option<&str>) -> Result<Option<AppVersion>, RuleError> {
    text.map(|text| parsed(what, text)).transpose()
}

/// A time zone that nobody knows costs the window only, for nothing else of the environment depends on it.
fn read_window(
    window: &ReportedWindow,
    country: CountryCode,
    environment: &str,
    zones: &mut UnknownZones,
) -> Result<UpdateWindow, RuleError> {
    match UpdateWindow::new(&window.start, &window.end, &window.time_zone) {
        Err(problem) if problem.target.as_deref() == Some("timeZone") => {
            zones.add(&window.time_zone, environment);
            Ok(UpdateWindow::default_in(country))
        }
        read => read,
    }
}

fn read_apps(reported: Vec<ReportedApp>) -> Result<Vec<InstalledApp>, RuleError> {
    if reported.len() > MOST_APPS {
        let message = format!(
            "The environment has {} apps; it may have {MOST_APPS}.",
            reported.len()
        );
        return Err(RuleError::invalid("apps", message));
    }
    let mut seen = HashSet::with_capacity(reported.len());
    let read = |app: ReportedApp| {
        if !seen.insert(app.id) {
            return Err(RuleError::invalid(
                "apps",
                format!("App {} is listed twice.", app.id),
            ));
        }
        for (what, text) in [("name", &app.name), ("publisher", &app.publisher)] {
            let place = format!("{what} of app {}", app.id);
            check_text(&place, text.as_deref().unwrap_or_default(), LONGEST_TEXT)?;
        }
        Ok(InstalledApp {
            app_id: AppId(app.id),
            version: parsed(&format!("version of app {}", app.id), &app.version)?,
            name: app.name,
            publisher: app.publisher,
            availability: None,
            dependencies: None,
            scope: app
                .scope
                .map(|word| parsed(&format!("scope of app {}", app.id), &word))
                .transpose()?,
            can_be_uninstalled: app.can_be_uninstalled,
        })
    };
    let mut apps = reported.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
    apps.sort_by_key(|app| app.app_id);
    Ok(apps)
}

/// Time zones that nobody knows: for each, how many environments name it, and one of them.
#[derive(Default)]
struct UnknownZones(BTreeMap<String, (usize, String)>);

impl UnknownZones {
    fn add(&mut self, zone: &str, environment: &str) {
        let zone: String = zone.chars().take(80).collect();
        let (count, _) = self.0.entry(zone).or_insert_with(|| (0, environment.to_owned()));
        *count += 1;
    }

    fn warnings(self) -> Vec<String> {
        let warning = |(zone, (count, first)): (String, (usize, String))| {
            let others = match count - 1 {
                0 => String::new(),
                others => format!(" and {others} others"),
            };
            format!(
                "Nobody knows the time zone '{}': environment '{first}'{others} gets the default window of its country.",
                zone.escape_debug()
            )
        };
        self.0.into_iter().map(warning).collect()
    }
}
