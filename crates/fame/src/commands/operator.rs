//! `fame operator`: what only those who run a service may do.

mod agents;
mod customers;
mod principals;

pub(crate) use agents::AgentsCommand;

use crate::{
    args::{AppAt, Country, IfMatch, QueryArgs},
    commands::environments::HISTORY,
    exit::Exit,
    failure::Failure,
    output::Column,
    session::Session,
};
use clap::{Args, Subcommand};
use client::{Client, EnvironmentPath, Error, Request};
use customers::CustomersCommand;
use domain::{
    environment::EnvironmentKind,
    freeze::Frozen,
    ids::{AppId, TenantId},
    principal::PrincipalKind,
    signer::SignerRule,
    version::AppVersion,
    window::UpdateWindow,
};
use principals::PrincipalsCommand;
use serde_json::{Map, Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    str::FromStr,
};
use uuid::Uuid;
use wire::operator::{
    AppRegistrationBody, EnvironmentPatch, EnvironmentPatchBody, EnvironmentRegistrationBody, FreezeBody,
    OwnerBody, RebindingBody, RegisteredEnvironment,
};

/// `fame operator …`
#[derive(Subcommand, Debug)]
pub(crate) enum OperatorCommand {
    /// Registered apps
    #[command(subcommand)]
    Apps(AppsCommand),
    /// Principals of any app, for when nobody is left who could add one
    #[command(subcommand)]
    Principals(PrincipalsCommand),
    /// Registered environments
    #[command(subcommand)]
    Environments(EnvironmentsCommand),
    /// Agents, which carry operations out
    #[command(subcommand)]
    Agents(AgentsCommand),
    /// Customers: who administers their environments
    #[command(subcommand)]
    Customers(CustomersCommand),
    /// The emergency stop: apps, principals, all scheduling, or webhooks
    #[command(subcommand)]
    Freezes(FreezesCommand),
    /// Operations of any kind on any app
    #[command(subcommand)]
    Operations(OperationsCommand),
    /// Who did what
    #[command(subcommand)]
    Audit(AuditCommand),
}

/// `fame operator apps …`
#[derive(Subcommand, Debug)]
pub(crate) enum AppsCommand {
    /// List all apps
    List(#[command(flatten)] QueryArgs),
    /// Show an app and its owners
    Get {
        /// The app
        app: AppId,
    },
    /// Register an app, or replace what is known of it
    Put(Box<PutApp>),
    /// Change some of what is known of an app; the rest stays as it is
    Update(Box<UpdateApp>),
}

/// `fame operator apps put`
#[derive(Args, Debug)]
pub(crate) struct PutApp {
    /// The app
    app: AppId,
    /// The whole request as JSON, instead of the flags below; - reads standard input
    #[arg(long, value_name = "BODY.JSON", conflicts_with_all = ["publisher", "publisher_aad_tenant_id", "publisher_contact_email", "storage_location", "signer_rule", "owner"])]
    file: Option<PathBuf>,
    #[command(flatten)]
    facts: AppFacts,
    /// The first owner: User:OBJECT-ID@TENANT-ID or Application:CLIENT-ID
    #[arg(long, value_name = "OWNER")]
    owner: Option<Owner>,
    #[command(flatten)]
    condition: IfMatch,
}

/// What an operator says of an app.
#[derive(Args, Debug)]
pub(crate) struct AppFacts {
    /// The publisher's name, of 250 characters at most, as all texts of an operator
    #[arg(long, value_name = "NAME")]
    publisher: Option<String>,
    /// The Microsoft Entra tenant of the publisher's organisation
    #[arg(long, value_name = "ID")]
    publisher_aad_tenant_id: Option<TenantId>,
    /// The publisher's contact e-mail address
    #[arg(long, value_name = "ADDRESS")]
    publisher_contact_email: Option<String>,
    /// Where packages uploaded from now on are kept; one of the service's configured locations
    #[arg(long, value_name = "NAME")]
    storage_location: Option<String>,
    /// Who must have signed its packages: none, signed, or pinned:KEY,… with the SHA-256 of public keys; left as it is
    /// where it is not given. `fame package inspect` shows the key of a package's signer
    #[arg(long, value_name = "RULE")]
    signer_rule: Option<SignerRule>,
}

/// `fame operator apps update`
#[derive(Args, Debug)]
#[group(id = "change", required = true, multiple = true, args = ["publisher", "publisher_aad_tenant_id", "publisher_contact_email", "storage_location", "signer_rule"])]
pub(crate) struct UpdateApp {
    /// The app
    app: AppId,
    #[command(flatten)]
    facts: AppFacts,
    #[command(flatten)]
    condition: IfMatch,
}

/// `fame operator environments …`
#[derive(Subcommand, Debug)]
pub(crate) enum EnvironmentsCommand {
    /// List all environments
    List(#[command(flatten)] QueryArgs),
    /// Show an environment, its update window and its apps
    Get(EnvironmentArgs),
    /// Register an environment, or change what is known of it: what is not named stays as it is, unless with --replace
    Put(Box<PutEnvironment>),
    /// List what was done in an environment, and who asked for it
    History {
        #[command(flatten)]
        environment: EnvironmentArgs,
        #[command(flatten)]
        query: QueryArgs,
    },
    /// Take an environment out
    Delete(EnvironmentArgs),
    /// Let an environment work again after an operation whose outcome is unknown, or as a sandbox
    Release(EnvironmentArgs),
    /// Say whose an environment is
    Rebind(RebindEnvironment),
}

/// `fame operator environments rebind`
#[derive(Args, Debug)]
pub(crate) struct RebindEnvironment {
    #[command(flatten)]
    environment: EnvironmentArgs,
    /// The agent that is to serve it
    #[arg(long, value_name = "NAME", required_unless_present = "nobody")]
    agent: Option<String>,
    /// No agent is to serve it
    #[arg(long, conflicts_with = "agent")]
    nobody: bool,
}

/// Which environment.
#[derive(Args, Debug)]
pub(crate) struct EnvironmentArgs {
    /// The customer's Microsoft Entra tenant
    #[arg(value_name = "TENANT")]
    aad_tenant: TenantId,
    /// The application family, such as BusinessCentral
    family: String,
    /// The environment's name
    name: String,
}

/// `fame operator environments put`
#[derive(Args, Debug)]
pub(crate) struct PutEnvironment {
    #[command(flatten)]
    environment: EnvironmentArgs,
    /// The whole request as JSON, instead of the flags below; - reads standard input
    #[arg(long, value_name = "BODY.JSON", conflicts_with_all = ["country", "kind", "location", "application_version", "platform_version", "window", "time_zone", "apps", "inventory_complete"])]
    file: Option<PathBuf>,
    /// Replace all that is known of it: what is not named is gone, be it an app, a version, the window or the location
    #[arg(long)]
    replace: bool,
    /// The country that it belongs to; needed where it is new
    #[arg(long, short, value_name = "CODE")]
    country: Option<Country>,
    /// Production or Sandbox; needed where it is new
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<EnvironmentKind>,
    /// Where it runs
    #[arg(long, value_name = "NAME")]
    location: Option<String>,
    /// The version of Business Central's application
    #[arg(long, value_name = "VERSION")]
    application_version: Option<AppVersion>,
    /// The version of Business Central's platform
    #[arg(long, value_name = "VERSION")]
    platform_version: Option<AppVersion>,
    /// When its operations may start, on its own clock, such as 21:00-05:00: six hours at least, and --time-zone says which
    /// clock. Without both, a new environment has 20:00-06:00 by the clock of its country
    #[arg(long, value_name = "FROM-TO", requires = "time_zone")]
    window: Option<Hours>,
    /// The Windows id of the window's time zone, such as "Romance Standard Time", or the IANA id of one that goes the same
    #[arg(long, value_name = "ID", requires = "window")]
    time_zone: Option<String>,
    /// An app that is installed; repeat it for several. Others that are known to be stay
    #[arg(long = "app", value_name = "APP=VERSION")]
    apps: Vec<AppAt>,
    /// The apps named are all that are installed; others that are known to be are gone
    #[arg(long)]
    inventory_complete: bool,
}

/// `fame operator freezes …`
#[derive(Subcommand, Debug)]
pub(crate) enum FreezesCommand {
    /// List what is frozen
    List(#[command(flatten)] QueryArgs),
    /// Show why something is frozen
    Get {
        /// What: scheduling, webhooks, app:ID, principal:ID or webhooks:APP-ID
        subject: Frozen,
    },
    /// Freeze something: nothing about it changes or begins until it is let go on
    Put {
        /// What: scheduling, webhooks, app:ID, principal:ID or webhooks:APP-ID
        subject: Frozen,
        /// Why, as those are told who are kept from what they ask for
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Let what was frozen go on
    Delete {
        /// What: scheduling, webhooks, app:ID, principal:ID or webhooks:APP-ID
        subject: Frozen,
    },
}

/// `fame operator operations …`
#[derive(Subcommand, Debug)]
pub(crate) enum OperationsCommand {
    /// List operations
    List(#[command(flatten)] QueryArgs),
}

/// `fame operator audit …`
#[derive(Subcommand, Debug)]
pub(crate) enum AuditCommand {
    /// List changes and who made them
    List(#[command(flatten)] QueryArgs),
}

/// An owner as typed: `User:OBJECT-ID@TENANT-ID` or `Application:CLIENT-ID`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    kind: PrincipalKind,
    id: Uuid,
    tenant: Option<Uuid>,
}

impl FromStr for Owner {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = "expected User:OBJECT-ID@TENANT-ID or Application:CLIENT-ID";
        let guid = |text: &str| text.parse::<TenantId>().map_err(|error| error.to_string());
        let (kind, rest) = text.split_once(':').ok_or(expected)?;
        let kind: PrincipalKind = kind.parse().map_err(|_| expected)?;
        let (id, tenant) = match (kind, rest.split_once('@')) {
            (PrincipalKind::User, Some((id, tenant))) => (guid(id)?, Some(guid(tenant)?)),
            (PrincipalKind::Application, None) => (guid(rest)?, None),
            _ => return Err(expected.to_owned()),
        };
        Ok(Self {
            kind,
            id: id.0,
            tenant: tenant.map(|tenant| tenant.0),
        })
    }
}

/// `20:00-06:00`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hours {
    start: String,
    end: String,
}

impl FromStr for Hours {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (start, end) = text
            .split_once('-')
            .ok_or("expected FROM-TO, such as 20:00-06:00")?;
        Ok(Self {
            start: start.trim().to_owned(),
            end: end.trim().to_owned(),
        })
    }
}

const APPS: &[Column] = &[
    ("ID", "id"),
    ("NAME", "name"),
    ("PUBLISHER", "publisher"),
    ("STORAGE LOCATION", "storageLocation"),
    ("SIGNER RULE", "signerRule"),
    ("CREATED ON", "createdOn"),
];
const ENVIRONMENTS: &[Column] = &[
    ("TENANT", "aadTenantId"),
    ("FAMILY", "applicationFamily"),
    ("NAME", "name"),
    ("COUNTRY", "countryCode"),
    ("TYPE", "type"),
    ("WINDOW", "window"),
    ("AGENT", "agent"),
    ("HELD SINCE", "heldSince"),
    ("MISSING SINCE", "missingSince"),
    ("DISPUTED SINCE", "disputedSince"),
];
const OPERATIONS: &[Column] = &[
    ("ID", "id"),
    ("KIND", "kind"),
    ("STATUS", "status"),
    ("APP", "appId"),
    ("TENANT", "environmentAadTenantId"),
    ("ENVIRONMENT", "environmentName"),
    ("TO", "targetAppVersion"),
    ("CREATED ON", "createdOn"),
    ("MESSAGE", "errorMessage"),
];
const FREEZES: &[Column] = &[
    ("SUBJECT", "subject"),
    ("REASON", "reason"),
    ("FROZEN ON", "frozenOn"),
    ("FROZEN BY", "frozenBy"),
];
const AUDIT: &[Column] = &[
    ("AT", "at"),
    ("ACTOR", "actor"),
    ("ACTION", "action"),
    ("TARGET", "target"),
    ("CORRELATION", "correlationId"),
];

impl OperatorCommand {
    /// Runs the command.
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let client = &session.client;
        match self {
            Self::Apps(command) => command.run(session).await?,
            Self::Principals(command) => command.run(session).await?,
            Self::Environments(command) => command.run(session).await?,
            Self::Agents(command) => command.run(session).await?,
            Self::Customers(command) => command.run(session).await?,
            Self::Freezes(command) => command.run(session).await?,
            Self::Operations(OperationsCommand::List(query)) => {
                session
                    .print_list(client.list_operations(), query, OPERATIONS)
                    .await?;
            }
            Self::Audit(AuditCommand::List(query)) => {
                session.print_list(client.list_audit(), query, AUDIT).await?;
            }
        }
        Ok(Exit::Done)
    }
}

impl AppsCommand {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        let client = &session.client;
        match self {
            Self::List(query) => {
                session
                    .print_list(client.list_registered_apps(), query, APPS)
                    .await
            }
            Self::Get { app } => session.print_one(client.get_registered_app(app)).await,
            Self::Put(put) => {
                let request = or_file(client.put_app(put.app, &put.body()), put.file.as_deref())?;
                let request = request.if_match(put.condition.if_match.as_deref());
                session.print_one(request).await
            }
            Self::Update(update) => {
                let request = client.patch_app(update.app, &update.facts.body());
                let request = request.if_match(update.condition.if_match.as_deref());
                session.print_one(request).await
            }
        }
    }
}

impl FreezesCommand {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        let (client, printer) = (&session.client, session.printer);
        match self {
            Self::List(query) => session.print_list(client.list_freezes(), query, FREEZES).await,
            Self::Get { subject } => session.print_one(client.get_freeze(subject)).await,
            Self::Put { subject, reason } => {
                let request = client.put_freeze(subject, &FreezeBody { reason });
                session.print_one(request).await
            }
            Self::Delete { subject } => {
                client.delete_freeze(subject).json().await?;
                printer.note(format!("{subject} goes on."));
                Ok(())
            }
        }
    }
}

impl AppFacts {
    fn body(&self) -> AppRegistrationBody {
        AppRegistrationBody {
            publisher: self.publisher.clone(),
            publisher_aad_tenant_id: self.publisher_aad_tenant_id.map(|tenant| tenant.0),
            publisher_contact_email: self.publisher_contact_email.clone(),
            storage_location: self.storage_location.clone(),
            signer_rule: self.signer_rule.as_ref().map(SignerRule::to_string),
            owner: None,
        }
    }
}

impl PutApp {
    fn body(&self) -> AppRegistrationBody {
        AppRegistrationBody {
            owner: self.owner.as_ref().map(|owner| OwnerBody {
                kind: owner.kind.to_string(),
                id: owner.id,
                aad_tenant_id: owner.tenant,
            }),
            ..self.facts.body()
        }
    }
}

impl EnvironmentsCommand {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        let (client, printer) = (&session.client, session.printer);
        match self {
            Self::List(query) => {
                let list = client.list_registered_environments();
                session.print_list(list, query, ENVIRONMENTS).await
            }
            Self::Get(args) => {
                session
                    .print_one(client.get_registered_environment(args.path()))
                    .await
            }
            Self::History { environment, query } => {
                let list = client.list_registered_environment_history(environment.path());
                session.print_list(list, query, HISTORY).await
            }
            Self::Put(put) => {
                let saved = put.request(client).await?.json().await?;
                printer.record(&saved)?;
                put.check_zone(&saved)
            }
            Self::Delete(args) => {
                client.delete_environment(args.path()).json().await?;
                printer.note(format!("Took out {}.", args.name));
                Ok(())
            }
            Self::Release(args) => {
                match client.release_environment(args.path()).json().await? {
                    Value::Null => printer.note(format!("Released {}.", args.name)),
                    record => printer.record(&record)?,
                }
                Ok(())
            }
            Self::Rebind(rebind) => {
                let body = RebindingBody { agent: rebind.agent };
                let request = client.rebind_environment(rebind.environment.path(), &body);
                session.print_one(request).await
            }
        }
    }
}

impl EnvironmentArgs {
    pub(in crate::commands) fn path(&self) -> EnvironmentPath<'_> {
        EnvironmentPath {
            aad_tenant_id: self.aad_tenant,
            application_family: &self.family,
            name: &self.name,
        }
    }
}

/// What of an environment its operator says.
const REPORTED: [&str; 8] = [
    "countryCode",
    "type",
    "locationName",
    "applicationVersion",
    "platformVersion",
    "window",
    "inventoryComplete",
    "apps",
];

type Members = Map<String, Value>;

impl PutEnvironment {
    /// The request that brings about what was said, and leaves everything else of the environment as it is.
    async fn request(&self, client: &Client) -> Result<Request<RegisteredEnvironment>, Failure> {
        let path = self.environment.path();
        let mut given = self.given()?;
        let put = |body: &Members| {
            let request = client.put_environment(path, &EnvironmentRegistrationBody::default());
            request.with_body(body)
        };
        if self.replace {
            return Ok(put(&given));
        }
        let current = client.get_registered_environment(path).read_as::<Value>();
        let current = match current.send().await {
            Ok(current) => current,
            Err(Error::Refused(refusal)) if refusal.status == 404 => {
                return self.is_new(&given).map(|()| put(&given));
            }
            Err(error) => return Err(error.into()),
        };
        let known = current.value.as_object().cloned().unwrap_or_default();
        let etag = current.headers.get("etag").and_then(|etag| etag.to_str().ok());
        let are_all = given.get("inventoryComplete") == Some(&true.into());
        // What is said again reports nothing new.
        given.retain(|name, value| {
            EnvironmentPatch::WRITABLE.contains(&name.as_str()) || known.get(name) != Some(value)
        });
        let changes_known = given
            .keys()
            .all(|name| EnvironmentPatch::WRITABLE.contains(&name.as_str()));
        let request = match changes_known && !given.is_empty() {
            true => client
                .patch_environment(path, &EnvironmentPatchBody::default())
                .with_body(&given),
            false => put(&merged(known, given, are_all)),
        };
        Ok(request.if_match(etag))
    }

    fn is_new(&self, given: &Members) -> Result<(), Failure> {
        let missing = [("countryCode", "--country"), ("type", "--type")];
        match missing.iter().find(|(name, _)| !given.contains_key(*name)) {
            Some((_, option)) if self.file.is_none() => Err(Failure::Usage(format!(
                "There is no environment '{}' yet: {option} is needed to register it.",
                self.environment.name
            ))),
            _ => Ok(()),
        }
    }

    /// Whether an environment that was saved goes by the clock that was asked for. Of what is reported an unknown zone costs the
    /// window alone; whoever writes one down means it.
    fn check_zone(&self, saved: &Value) -> Result<(), Failure> {
        let Some(asked) = &self.time_zone else {
            return Ok(());
        };
        let of_window = |name: &str| {
            saved
                .pointer(&format!("/window/{name}"))
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let zone = of_window("timeZone");
        let is_known = UpdateWindow::new("20:00", "06:00", asked).is_ok();
        if is_known || zone.eq_ignore_ascii_case(asked) {
            return Ok(());
        }
        Err(Failure::Rule(format!(
            "The service knows no time zone '{asked}'. The environment was saved with the window {}-{} by {zone}: put it again \
             with one that `fame config zones` lists.",
            of_window("start"),
            of_window("end")
        )))
    }

    /// What was said, by flags or in a file.
    fn given(&self) -> Result<Members, Failure> {
        if let Some(path) = &self.file {
            return match read_json(path)? {
                Value::Object(members) => Ok(members),
                _ => Err(Failure::Usage(format!("{} is no JSON object.", path.display()))),
            };
        }
        let text = |version: Option<AppVersion>| version.map(|version| version.to_string());
        let hours = self.window.clone().zip(self.time_zone.clone());
        let window =
            hours.map(|(hours, zone)| json!({ "start": hours.start, "end": hours.end, "timeZone": zone }));
        let app = |at: &AppAt| json!({ "id": at.app.to_string(), "version": at.version.to_string() });
        let apps: Vec<Value> = self.apps.iter().map(app).collect();
        let said = [
            (
                "countryCode",
                self.country.clone().map(|country| country.0.into()),
            ),
            ("type", self.kind.map(|kind| kind.as_str().into())),
            ("locationName", self.location.clone().map(Value::from)),
            (
                "applicationVersion",
                text(self.application_version).map(Value::from),
            ),
            ("platformVersion", text(self.platform_version).map(Value::from)),
            ("window", window),
            (
                "inventoryComplete",
                self.inventory_complete.then_some(true.into()),
            ),
            (
                "apps",
                (self.inventory_complete || !apps.is_empty()).then_some(apps.into()),
            ),
        ];
        let said = said
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Ok(said.collect())
    }
}

/// What is known of an environment with what was said of it. Apps that are not named stay, unless those named are all.
fn merged(mut known: Members, given: Members, are_all: bool) -> Members {
    known.retain(|name, _| REPORTED.contains(&name.as_str()));
    for (name, value) in given {
        match (name.as_str(), known.get_mut(&name), value) {
            ("apps", Some(Value::Array(known)), Value::Array(named)) if !are_all => {
                known.retain(|app| !named.iter().any(|other| other.get("id") == app.get("id")));
                known.extend(named);
            }
            (_, _, value) => drop(known.insert(name, value)),
        }
    }
    known
}

/// The request with the JSON in `file` as its body, if there is a file.
fn or_file<T>(request: Request<T>, file: Option<&Path>) -> Result<Request<T>, Failure> {
    Ok(match file {
        Some(path) => request.with_body(&read_json(path)?),
        None => request,
    })
}

fn read_json(path: &Path) -> Result<Value, Failure> {
    let text = if path == Path::new("-") {
        std::io::read_to_string(std::io::stdin())
    } else {
        fs::read_to_string(path)
    };
    let text = text.map_err(|error| Failure::unreadable(path, &error))?;
    serde_json::from_str(text.trim_start_matches('\u{FEFF}'))
        .map_err(|error| Failure::Usage(format!("{} is not JSON: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_typed_as_in_the_settings() {
        let id = "cccccccc-dddd-eeee-3333-444444444444";
        let user: Owner = format!("user:{id}@{id}").parse().unwrap();
        assert_eq!((user.kind, user.tenant.is_some()), (PrincipalKind::User, true));
        let application: Owner = format!("Application:{id}").parse().unwrap();
        assert_eq!(
            (application.kind, application.tenant),
            (PrincipalKind::Application, None)
        );
        for wrong in [
            format!("User:{id}"),
            format!("Application:{id}@{id}"),
            id.to_owned(),
            "User:x@y".to_owned(),
        ] {
            assert!(wrong.parse::<Owner>().is_err(), "{wrong}");
        }
    }
}
