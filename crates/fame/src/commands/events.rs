//! `fame events`: what happens, as it happens.

use super::webhooks::{Whose, WhoseArg};
use crate::{exit::Exit, failure::Failure, session::Session};
use clap::Args;
use client::{EventsFrom, ToldEvent};
use serde_json::{Value, json};

/// `fame events`
#[derive(Args, Debug)]
pub(crate) struct EventsArgs {
    /// The app, or "operator" for all that happens
    of: WhoseArg,
    /// Go on with what is yet to happen, until the command is ended
    #[arg(long, short)]
    follow: bool,
    /// From where: "kept", the first event that the service has kept; "now"; or the position behind which to begin [default:
    /// now with --follow, else kept]
    #[arg(long, value_name = "POSITION", value_parser = beginning)]
    from: Option<EventsFrom>,
}

fn beginning(text: &str) -> Result<EventsFrom, String> {
    match text {
        "now" => Ok(EventsFrom::Now),
        "kept" => Ok(EventsFrom::Kept),
        text => text
            .parse()
            .map(EventsFrom::Behind)
            .map_err(|_| "it is neither \"now\" nor \"kept\" nor the position of an event".to_owned()),
    }
}

/// What is shown of an event besides when it happened, what it is called, and what it is about.
const SHOWN: &[&str] = &[
    "countryCode",
    "environmentType",
    "aadTenantId",
    "applicationFamily",
    "version",
    "sourceVersion",
    "targetVersion",
    "availability",
    "syncMode",
    "roles",
    "failureCause",
    "drift",
    "reason",
    "host",
];

impl EventsArgs {
    /// Runs the command. What was told is printed at once, so that whoever reads it hears of it.
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let default = match self.follow {
            true => EventsFrom::Now,
            false => EventsFrom::Kept,
        };
        let from = self.from.unwrap_or(default);
        let mut events = match self.of.found(session).await? {
            Whose::App(app) => session.client.stream_events(app, from, self.follow),
            Whose::Operator => session.client.stream_all_events(from, self.follow),
        };
        let printer = session.printer;
        while let Some(told) = events.next().await? {
            match printer.is_json() {
                true => printer.json_line(&with_position(told))?,
                false => printer.text(&line(&told))?,
            }
            if !printer.is_read() {
                return Ok(Exit::Done);
            }
        }
        if let Some(position) = events.position() {
            printer.note(format!(
                "That is all up to now: --from {position} goes on behind it."
            ));
        }
        Ok(Exit::Done)
    }
}

/// The event as it was told, and where it stands in line.
fn with_position(told: ToldEvent) -> Value {
    let mut event = told.event;
    if let Some(members) = event.as_object_mut() {
        members.insert("position".to_owned(), json!(told.position));
    }
    event
}

fn line(told: &ToldEvent) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let event = &told.event;
    let data = event.get("data").unwrap_or(&Value::Null);
    let by = |name: &str| data.get("by")?.get(name)?.as_str();
    let by = match (by("type"), by("id")) {
        (Some(kind), Some(id)) => format!("by {kind} {id}"),
        (Some(kind), None) => format!("by {kind}"),
        _ => String::new(),
    };
    let shown = SHOWN
        .iter()
        .filter_map(|name| data[*name].as_str().map(str::to_owned));
    let parts = [text(&event["timestamp"]), text(&event["type"]), text(&data["id"])];
    let parts: Vec<_> = parts.into_iter().chain(shown).chain([by]).collect();
    parts
        .iter()
        .filter(|part| !part.is_empty())
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join("  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_a_line() {
        let event = json!({
            "type": "hotfix.failed",
            "timestamp": "2020-03-05T12:00:03.0000000Z",
            "data": {
                "id": "4",
                "countryCode": "US",
                "targetVersion": "16.0.1.2",
                "failureCause": "SchemaBreak",
                "by": { "type": "Agent", "id": "7" },
            },
        });
        let told = ToldEvent { position: 9, event };
        assert_eq!(
            line(&told),
            "2020-03-05T12:00:03.0000000Z  hotfix.failed  4  US  16.0.1.2  SchemaBreak  by Agent 7"
        );
        assert_eq!(with_position(told)["position"], 9);
    }

    #[test]
    fn a_beginning_is_a_word_or_a_position() {
        assert_eq!(beginning("kept"), Ok(EventsFrom::Kept));
        assert_eq!(beginning("12"), Ok(EventsFrom::Behind(12)));
        assert!(beginning("yesterday").is_err());
    }
}
