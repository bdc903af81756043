//! `fame webhooks`: who is told of what happens.

use crate::{
    args::{AppArg, IfMatch, QueryArgs},
    exit::Exit,
    failure::Failure,
    output::Column,
    session::Session,
};
use clap::{Args, Subcommand};
use client::{List, Request};
use domain::{
    ids::{AppId, TenantId},
    webhook::{DeliveryStatus, WebhookFormat},
};
use serde_json::Value;
use std::{
    fmt, fs,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};
use tokio::time::sleep;
use uuid::Uuid;
use wire::webhooks::{Webhook, WebhookBody, WebhookDelivery};

/// `fame webhooks …`
#[derive(Subcommand, Debug)]
pub(crate) enum WebhooksCommand {
    /// List webhooks
    List {
        /// The app, or "operator" for those of all apps and of the operator
        of: WhoseArg,
        #[command(flatten)]
        query: QueryArgs,
    },
    /// Show one webhook
    Get(OneArgs),
    /// Add a webhook; its secret is shown this once
    Add(Box<AddArgs>),
    /// Change a webhook to what is said here
    Set {
        #[command(flatten)]
        one: OneArgs,
        #[command(flatten)]
        what: WhatArgs,
        #[command(flatten)]
        condition: IfMatch,
    },
    /// Remove a webhook
    Remove {
        #[command(flatten)]
        one: OneArgs,
        #[command(flatten)]
        condition: IfMatch,
    },
    /// Give a webhook another secret, shown this once; the one before is good for a day more
    Rotate(OneArgs),
    /// Send a webhook something that says no more than that it arrives, and wait for what it answers
    Test(OneArgs),
    /// List what a webhook was told, and is still to be told
    Deliveries {
        #[command(flatten)]
        one: OneArgs,
        #[command(flatten)]
        query: QueryArgs,
    },
    /// Send a webhook once more what it was told
    Replay {
        #[command(flatten)]
        one: OneArgs,
        /// The event
        event: Uuid,
    },
}

/// Which webhook.
#[derive(Args, Debug)]
pub(crate) struct OneArgs {
    /// The app, or "operator" for those of all apps and of the operator
    of: WhoseArg,
    /// The webhook
    webhook: Uuid,
}

impl OneArgs {
    async fn found(self, session: &Session) -> Result<One, Failure> {
        Ok(One {
            of: self.of.found(session).await?,
            webhook: self.webhook,
        })
    }
}

/// A webhook, and whose it is.
struct One {
    of: Whose,
    webhook: Uuid,
}

/// `fame webhooks add`
#[derive(Args, Debug)]
pub(crate) struct AddArgs {
    /// The app, or "operator" to be told of everything
    of: WhoseArg,
    #[command(flatten)]
    what: WhatArgs,
}

/// What a webhook is to be.
#[derive(Args, Debug)]
pub(crate) struct WhatArgs {
    /// Where it is
    #[arg(long, value_name = "URL", required_unless_present = "connection_string_file")]
    to: Option<String>,
    /// A file with the connection string of an Application Insights resource
    #[arg(long, value_name = "FILE", conflicts_with = "to")]
    connection_string_file: Option<PathBuf>,
    /// A file with "Name: value", a header that tells a collector who sends
    #[arg(long, value_name = "FILE")]
    header_file: Option<PathBuf>,
    /// An event that it wants, or a group such as hotfix.*; repeat it for several. All when left out
    #[arg(long = "event", value_name = "EVENT", value_delimiter = ',')]
    events: Vec<String>,
    /// StandardWebhooks, CloudEvents, ApplicationInsights or OpenTelemetry
    #[arg(long)]
    format: Option<WebhookFormat>,
    /// The tenant of whose environments it is to be told; for operators
    #[arg(long, value_name = "ID")]
    aad_tenant_id: Option<TenantId>,
    /// It is told nothing
    #[arg(long)]
    disabled: bool,
}

/// Whose webhooks or events, as it was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WhoseArg {
    App(AppArg),
    Operator,
}

impl WhoseArg {
    pub(super) async fn found(&self, session: &Session) -> Result<Whose, Failure> {
        match self {
            Self::App(app) => Ok(Whose::App(session.app(app).await?)),
            Self::Operator => Ok(Whose::Operator),
        }
    }
}

/// Whose webhooks or events: an app's, or all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    App(AppId),
    Operator,
}

impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::App(app) => app.fmt(f),
            Self::Operator => f.write_str("operator"),
        }
    }
}

impl FromStr for WhoseArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "operator" => Ok(Self::Operator),
            text => Ok(Self::App(AppArg { app: text.parse()? })),
        }
    }
}

const COLUMNS: &[Column] = &[
    ("ID", "id"),
    ("APP", "appId"),
    ("URL", "url"),
    ("FORMAT", "format"),
    ("EVENTS", "events"),
    ("ENABLED", "enabled"),
    ("DISABLED", "disabledReason"),
    ("DELIVERED", "deliveredOn"),
];

const DELIVERIES: &[Column] = &[
    ("EVENT", "eventId"),
    ("TYPE", "type"),
    ("OCCURRED", "occurredOn"),
    ("STATUS", "status"),
    ("ATTEMPTS", "attempts"),
    ("RESULT", "lastResult"),
    ("ANSWER", "lastStatus"),
    ("NEXT", "nextAttemptOn"),
];

/// How long a test waits for its answer, and how often it looks.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(500);

impl WebhooksCommand {
    /// Runs the command.
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let client = &session.client;
        match self {
            Self::List { of, query } => {
                let list = match of.found(session).await? {
                    Whose::App(app) => client.list_webhooks(app),
                    Whose::Operator => client.list_all_webhooks(),
                };
                session.print_list(list, query, COLUMNS).await?;
            }
            Self::Get(one) => {
                let one = one.found(session).await?;
                let request = match one.of {
                    Whose::App(app) => client.get_webhook(app, one.webhook),
                    Whose::Operator => client.get_any_webhook(one.webhook),
                };
                session.print_one(request).await?;
            }
            Self::Add(args) => {
                let one = One {
                    of: args.of.found(session).await?,
                    webhook: Uuid::new_v4(),
                };
                let added = one.put(session, &args.what.body()?).json().await?;
                // Who only sees that it is there was told by no answer.
                let format = added.get("format").and_then(Value::as_str);
                let format = format.and_then(|format| format.parse::<WebhookFormat>().ok());
                let is_signed = format.is_some_and(|format| !format.is_telemetry());
                if is_signed && added.get("secret").is_none_or(Value::is_null) {
                    session.printer.warning(format!(
                        "The answer that had the secret was lost: fame webhooks rotate {} {} makes another.",
                        one.of, one.webhook
                    ));
                }
                session.printer.record(&added)?;
            }
            Self::Set { one, what, condition } => {
                let request = one.found(session).await?.put(session, &what.body()?);
                session
                    .print_one(request.if_match(condition.if_match.as_deref()))
                    .await?;
            }
            Self::Remove { one, condition } => {
                let one = one.found(session).await?;
                let request = match one.of {
                    Whose::App(app) => client.delete_webhook(app, one.webhook),
                    Whose::Operator => client.delete_any_webhook(one.webhook),
                };
                request.if_match(condition.if_match.as_deref()).json().await?;
                session.printer.note(format!("Removed webhook {}.", one.webhook));
            }
            Self::Rotate(one) => {
                let one = one.found(session).await?;
                let request = match one.of {
                    Whose::App(app) => client.rotate_webhook(app, one.webhook),
                    Whose::Operator => client.rotate_any_webhook(one.webhook),
                };
                session.print_one(request).await?;
            }
            Self::Test(one) => return one.found(session).await?.test(session).await,
            Self::Deliveries { one, query } => {
                let one = one.found(session).await?;
                session
                    .print_list(one.deliveries(session), query, DELIVERIES)
                    .await?;
            }
            Self::Replay { one, event } => {
                let one = one.found(session).await?;
                let request = match one.of {
                    Whose::App(app) => client.replay_webhook_delivery(app, one.webhook, event),
                    Whose::Operator => client.replay_any_webhook_delivery(one.webhook, event),
                };
                session.print_one(request).await?;
            }
        }
        Ok(Exit::Done)
    }
}

impl One {
    fn put(&self, session: &Session, body: &WebhookBody) -> Request<Webhook> {
        match self.of {
            Whose::App(app) => session.client.put_webhook(app, self.webhook, body),
            Whose::Operator => session.client.put_any_webhook(self.webhook, body),
        }
    }

    fn deliveries(&self, session: &Session) -> List<WebhookDelivery> {
        match self.of {
            Whose::App(app) => session.client.list_webhook_deliveries(app, self.webhook),
            Whose::Operator => session.client.list_any_webhook_deliveries(self.webhook),
        }
    }

    /// Sends a test, and waits until it was tried.
    async fn test(&self, session: &Session) -> Result<Exit, Failure> {
        let request = match self.of {
            Whose::App(app) => session.client.test_webhook(app, self.webhook),
            Whose::Operator => session.client.test_any_webhook(self.webhook),
        };
        let sent = request.json().await?;
        let id = sent.get("eventId").cloned().unwrap_or_default();
        let looked = async {
            loop {
                let rows = match self.deliveries(session).json().all().await {
                    Err(error) if error.is_unavailable() => Vec::new(),
                    rows => rows?,
                };
                let found = rows.into_iter().find(|row| row.get("eventId") == Some(&id));
                match found {
                    Some(row) if row.get("attempts").and_then(Value::as_u64) > Some(0) => return Ok(row),
                    _ => sleep(LOOK).await,
                }
            }
        };
        let found: Result<Value, Failure> = tokio::time::timeout(PATIENCE, looked).await.unwrap_or(Ok(sent));
        let found = found?;
        session.printer.record(&found)?;
        let is_delivered =
            found.get("status").and_then(Value::as_str) == Some(DeliveryStatus::Delivered.as_str());
        Ok(if is_delivered {
            Exit::Done
        } else {
            Exit::Unexpected
        })
    }
}

impl WhatArgs {
    fn body(&self) -> Result<WebhookBody, Failure> {
        let connection_string = self
            .connection_string_file
            .as_deref()
            .map(secret_of)
            .transpose()?;
        let header = self.header_file.as_deref().map(secret_of).transpose()?;
        let meant = match (&connection_string, &header) {
            (Some(_), _) => Some(WebhookFormat::ApplicationInsights),
            (None, Some(_)) => Some(WebhookFormat::OpenTelemetry),
            (None, None) => None,
        };
        Ok(WebhookBody {
            url: self.to.clone(),
            connection_string,
            header,
            events: (!self.events.is_empty()).then(|| self.events.clone()),
            format: self.format.or(meant).map(|format| format.to_string()),
            aad_tenant_id: self.aad_tenant_id.map(|tenant| tenant.0),
            enabled: self.disabled.then_some(false),
        })
    }
}

/// What a file holds that no command line should.
fn secret_of(file: &Path) -> Result<String, Failure> {
    let text = fs::read_to_string(file).map_err(|error| Failure::unreadable(file, &error))?;
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::AppRef;

    #[test]
    fn webhooks_are_an_apps_or_the_operators() {
        let app = Uuid::new_v4();
        let by_id = AppRef::Id(AppId(app));
        assert_eq!(app.to_string().parse(), Ok(WhoseArg::App(AppArg { app: by_id })));
        let by_name = AppRef::Name("Contoso Sales".to_owned());
        assert_eq!(
            "Contoso Sales".parse(),
            Ok(WhoseArg::App(AppArg { app: by_name }))
        );
        assert_eq!("operator".parse(), Ok(WhoseArg::Operator));
        assert!(" ".parse::<WhoseArg>().is_err());
    }
}
