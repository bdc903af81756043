//! What an inventory command prints.

use super::output::decode;
use crate::{
    driver::{AppScope, Found, InstalledApp},
    failure::Failure,
};
use domain::{ids::AppId, inventory::MOST_APPS};
use serde::{Deserialize, de::DeserializeOwned};
use std::str::FromStr;
use uuid::Uuid;

/// An environment, with the words of the agent API. Members that nobody knows are left alone.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object with the member \"apps\"")]
struct Printed {
    country_code: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    location_name: Option<String>,
    application_version: Option<String>,
    platform_version: Option<String>,
    web_client_url: Option<String>,
    web_service_url: Option<String>,
    window: Option<PrintedWindow>,
    #[serde(default)]
    inventory_complete: bool,
    #[serde(default = "yes")]
    ready: bool,
    #[serde(default)]
    gone: bool,
    apps: Vec<PrintedApp>,
}

fn yes() -> bool {
    true
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PrintedWindow {
    start: String,
    end: String,
    time_zone: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PrintedApp {
    id: Uuid,
    version: String,
    name: Option<String>,
    publisher: Option<String>,
    scope: Option<String>,
    can_be_uninstalled: Option<bool>,
}

/// Reads what an inventory command printed.
///
/// # Errors
/// When it is no inventory; the text says what is wrong with it.
pub(super) fn read(printed: &[u8]) -> Result<Found, Failure> {
    let text = decode(printed);
    let printed: Printed = parse(text.trim()).map_err(|wrong| {
        Failure::other(format!(
            "The inventory command did not print an inventory: {wrong}."
        ))
    })?;
    found(printed).map_err(|wrong| Failure::other(format!("The printed inventory is wrong: {wrong}.")))
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    if text.is_empty() {
        return Err("it printed nothing".into());
    }
    serde_json::from_str(text).map_err(|error| error.to_string())
}

fn found(printed: Printed) -> Result<Found, String> {
    Ok(Found {
        country_code: word("countryCode", printed.country_code.as_deref())?,
        kind: word("type", printed.kind.as_deref())?,
        location_name: printed.location_name,
        application_version: word("applicationVersion", printed.application_version.as_deref())?,
        platform_version: word("platformVersion", printed.platform_version.as_deref())?,
        web_client_url: printed.web_client_url,
        web_service_url: printed.web_service_url,
        window: printed
            .window
            .map(|window| [window.start, window.end, window.time_zone]),
        is_complete: printed.inventory_complete,
        is_ready: printed.ready,
        is_gone: printed.gone,
        apps: apps(printed.apps)?,
        read_on: None,
    })
}

/// A member whose text has to be a word of ours.
fn word<T: FromStr<Err: ToString>>(member: &str, text: Option<&str>) -> Result<Option<T>, String> {
    let text = text.filter(|text| !text.is_empty());
    text.map(str::parse)
        .transpose()
        .map_err(|wrong: T::Err| format!("{member}: {}", wrong.to_string().trim_end_matches('.')))
}

fn apps(printed: Vec<PrintedApp>) -> Result<Vec<InstalledApp>, String> {
    if printed.len() > MOST_APPS {
        return Err(format!(
            "it names {} apps, and {MOST_APPS} are the most",
            printed.len()
        ));
    }
    let mut apps: Vec<InstalledApp> = Vec::with_capacity(printed.len());
    for row in printed {
        let app = app(row)?;
        match apps.iter().find(|other| other.id == app.id) {
            None => apps.push(app),
            Some(other) if other.version == app.version => {}
            Some(other) => {
                let (id, one, another) = (app.id, other.version, app.version);
                return Err(format!("app {id} is named in two versions, {one} and {another}"));
            }
        }
    }
    Ok(apps)
}

fn app(row: PrintedApp) -> Result<InstalledApp, String> {
    let version = row.version.parse().map_err(|_| {
        let (id, version) = (row.id, &row.version);
        format!("app {id}: '{version}' is no version")
    })?;
    Ok(InstalledApp {
        id: AppId(row.id),
        version,
        name: row.name,
        publisher: row.publisher,
        scope: scope(row.scope.as_deref()),
        can_be_uninstalled: row.can_be_uninstalled,
    })
}

/// The cmdlets' words. Another one is nothing that a decision could be built on.
fn scope(printed: Option<&str>) -> Option<AppScope> {
    let printed = printed?.trim();
    let words = [
        ("Global", AppScope::Global),
        ("Tenant", AppScope::Tenant),
        ("PTE", AppScope::Tenant),
        ("Dev", AppScope::Dev),
    ];
    let known = words
        .into_iter()
        .find(|(word, _)| word.eq_ignore_ascii_case(printed));
    known.map(|(_, scope)| scope)
}
