//! `fame whoami`: what a command signs in with and why, who that is, and what it may do.

use crate::{
    exit::Exit,
    failure::Failure,
    output::Printer,
    session::Session,
    sign_in::{Source, claims_of_proof},
};
use clap::Args;
use client::{Client, Error};
use futures::{StreamExt, TryStreamExt, stream};
use reqwest::StatusCode;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use wire::apps::App;

/// Questions about apps at the same time.
const AT_ONCE: usize = 4;

/// `fame whoami`
#[derive(Args, Debug)]
pub(crate) struct WhoamiArgs {
    /// Print what the tokens say, and of a pipeline's or platform's token what a federated credential has to name; never the
    /// tokens themselves
    #[arg(long)]
    show_claims: bool,
}

/// What of a token says who has it, and what that is called here.
const NAMES: [(&str, &[&str]); 6] = [
    ("id", &["oid", "sub"]),
    (
        "name",
        &[
            "preferred_username",
            "upn",
            "unique_name",
            "name",
            "app_displayname",
        ],
    ),
    ("clientId", &["azp", "appid", "client_id"]),
    ("tenantId", &["tid"]),
    ("audience", &["aud"]),
    ("issuer", &["iss"]),
];

impl WhoamiArgs {
    /// Runs the command.
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let Session {
            client,
            printer,
            source,
            ..
        } = session;
        let chosen = json!({
            "service": source.service,
            "profile": source.profile,
            "signedInWith": source.name,
            "because": source.why,
        });
        let mut record = match printer.is_json() {
            true => chosen,
            false => {
                // Whoever is refused has to know as whom.
                printer.record(&chosen)?;
                json!({})
            }
        };
        let mut add = |name: &str, value: Value| {
            if let Some(members) = record.as_object_mut().filter(|_| !value.is_null()) {
                members.insert(name.to_owned(), value);
            }
        };
        if self.show_claims {
            let shown = shown(source, *printer).await?;
            match printer.is_json() {
                true => add("shown", shown),
                false => printer.rows(&said(&shown), &[("SHOWN", "claim"), ("SAYS", "says")])?,
            }
        }
        let claims = client.claims().await?;
        add("principal", claims.as_ref().map(principal).unwrap_or_default());
        let apps = roles(client).await?;
        add("publishers", grants(source));
        if printer.is_json() {
            add("apps", apps.clone().into());
        } else if let Some(claims) = &claims {
            add("principal", described(&principal(claims)).into());
        }
        if printer.is_json() {
            if self.show_claims {
                add("claims", claims.unwrap_or_default());
            }
            printer.record(&record)?;
            return Ok(Exit::Done);
        }
        printer.record(&record)?;
        if self.show_claims {
            printer.rows(
                &said(&claims.unwrap_or_default()),
                &[("CLAIM", "claim"), ("SAYS", "says")],
            )?;
        }
        if !apps.is_empty() {
            printer.rows(&apps, &[("APP", "id"), ("NAME", "name"), ("ROLES", "roles")])?;
        }
        Ok(Exit::Done)
    }
}

/// What a trusted pipeline was given until now: as which publisher, for which app, until when, and what it may.
fn grants(source: &Source) -> Value {
    let Some(publishing) = &source.publishing else {
        return Value::Null;
    };
    let mut shown = BTreeMap::new();
    for grant in publishing.grants() {
        let row = json!({
            "publisherId": grant.publisher_id,
            "appId": grant.app_id,
            "may": grant.may,
            "maxAvailability": grant.max_availability,
            "countries": grant.countries,
            "expiresOn": grant.expires_on,
        });
        shown.insert(grant.app_id, row);
    }
    shown.into_values().collect()
}

/// What a token says, each claim as a row; no row where there is no token that can be read.
fn said(claims: &Value) -> Vec<Value> {
    let claims = claims.as_object().into_iter().flatten();
    claims
        .map(|(claim, says)| {
            let says = says.as_str().map_or_else(|| says.to_string(), str::to_owned);
            json!({ "claim": claim, "says": says })
        })
        .collect()
}

/// The same on a line.
fn described(principal: &Value) -> String {
    let text = |name: &str| principal[name].as_str();
    let parts = [
        text("name").map(str::to_owned),
        text("id").map(str::to_owned),
        text("tenantId").map(|tenant| format!("of tenant {tenant}")),
        text("clientId").map(|client| format!("by application {client}")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// What a federated credential has to name, said before the issuer is asked: it may be what it refuses.
async fn shown(source: &Source, printer: Printer) -> Result<Value, Failure> {
    let Some(claims) = claims_of_proof(source).await? else {
        return Ok(Value::Null);
    };
    let text = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
    printer.note(format!(
        "A federated credential that believes this names:\n  issuer    {}\n  subject   {}\n  audience  {}",
        text("iss"),
        text("sub"),
        text("aud")
    ));
    Ok(claims)
}

/// Who has the token that says so.
fn principal(claims: &Value) -> Value {
    let mut principal = Map::new();
    for (name, members) in NAMES {
        if let Some(text) = members.iter().find_map(|member| claims.get(*member)?.as_str()) {
            principal.insert(name.to_owned(), text.into());
        }
    }
    match principal.is_empty() {
        true => Value::Null,
        false => principal.into(),
    }
}

/// The apps on which the caller has a role, with what they may do there.
async fn roles(client: &Client) -> Result<Vec<Value>, Failure> {
    let ids = client.signed_in_as().await?;
    let apps = match client.list_apps().all().await {
        Ok(apps) => apps,
        // An operator or an agent is let in by another door.
        Err(error) if error.refusal(StatusCode::FORBIDDEN).is_some() => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let looked_at = apps.into_iter().map(|app| role(client, &ids, app));
    let rows: client::Result<Vec<Value>> = stream::iter(looked_at).buffered(AT_ONCE).try_collect().await;
    Ok(rows?)
}

async fn role(client: &Client, ids: &[uuid::Uuid], app: App) -> client::Result<Value> {
    let known = |answer: Result<Vec<Value>, Error>| match answer {
        Ok(rows) => Ok(rows),
        // The original may know neither, and says more to some than to others.
        Err(Error::Refused(_) | Error::Gateway(_)) => Ok(Vec::new()),
        Err(error) => Err(error),
    };
    let principals = known(client.list_principals(app.id).json().all().await)?;
    let is_own = |row: &&Value| {
        let id = row["id"].as_str().and_then(|id| id.parse().ok());
        id.is_some_and(|id| ids.contains(&id))
    };
    let roles = principals.iter().find(is_own).and_then(|row| row.get("roles"));
    let permissions = known(client.get_my_permissions(app.id).json().all().await)?;
    let permissions: Vec<&Value> = permissions
        .iter()
        .map(|permission| permission.get("action").unwrap_or(permission))
        .collect();
    Ok(json!({
        "id": app.id.to_string(),
        "name": app.name,
        "roles": roles,
        "permissions": permissions,
    }))
}
