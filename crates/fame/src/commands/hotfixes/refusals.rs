//! Why hotfixes may not be, for fleets: each reason once, with how often it is one.

use super::{
    seen::{Reader, prospect},
    selection::Place,
};
use crate::{
    exit::Exit,
    failure::Failure,
    output::{Printer, cell},
    session::Session,
};
use client::Error;
use serde_json::Value;

/// As many as are named of those that have the same reason.
const NAMED: usize = 10;

/// The lines that say in words what speaks against hotfixes in the rows of a plan.
pub(super) fn reasons_by_code(rows: &[Value]) -> Vec<String> {
    let mut groups: Vec<(&Value, usize, String)> = Vec::new();
    for row in rows {
        for reason in row["reasons"].as_array().into_iter().flatten() {
            match groups.iter_mut().find(|(code, _, _)| *code == &reason["code"]) {
                Some((_, count, _)) => *count += 1,
                None => {
                    let example = format!("{}: {}", cell(&row["name"]), cell(&reason["message"]));
                    groups.push((&reason["code"], 1, example));
                }
            }
        }
    }
    let line = |(code, count, example): &(&Value, usize, String)| match count {
        1 => format!("{}, {example}", cell(code)),
        count => format!("{} ({count} times), such as {example}", cell(code)),
    };
    groups.iter().map(line).collect()
}

/// Environments for which no hotfix was scheduled.
#[derive(Default)]
pub(super) struct Refusals(Vec<(Place, Failure)>);

impl Refusals {
    pub(super) fn add(&mut self, place: Place, failure: Failure) {
        self.0.push((place, failure));
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn exit(&self) -> Exit {
        Exit::first_of(self.0.iter().map(|(_, failure)| failure.exit()))
    }

    /// Tells of them: to programs of each, to people of the first for each reason and whom else it holds for.
    pub(super) async fn tell(&self, session: &Session) {
        let printer = session.printer;
        if printer.is_json() {
            for (place, failure) in &self.0 {
                failure.tell(printer, Some(&place.environment.to_string()));
            }
            return;
        }
        for group in self.groups() {
            tell_group(session, printer, &group).await;
        }
    }

    fn groups(&self) -> Vec<Vec<&(Place, Failure)>> {
        let mut groups: Vec<(String, Vec<&(Place, Failure)>)> = Vec::new();
        for refused in &self.0 {
            let reason = reason(&refused.1);
            match groups.iter_mut().find(|(known, _)| *known == reason) {
                Some((_, group)) => group.push(refused),
                None => groups.push((reason, vec![refused])),
            }
        }
        groups.into_iter().map(|(_, group)| group).collect()
    }
}

/// What is the same for all that were refused for the same reason.
fn reason(failure: &Failure) -> String {
    match failure {
        Failure::Service(Error::Refused(refusal)) => {
            let details = refusal.details().iter().map(|detail| detail.code.as_str());
            let codes: Vec<&str> = [refusal.code()].into_iter().chain(details).collect();
            format!("{} {}", refusal.status, codes.join(" "))
        }
        other => other.code().to_owned(),
    }
}

async fn tell_group(session: &Session, printer: Printer, group: &[&(Place, Failure)]) {
    let Some(((place, failure), others)) = group.split_first().map(|(first, others)| (*first, others)) else {
        return;
    };
    let count = match group.len() {
        1 => String::new(),
        count => format!("{count} environments, such as "),
    };
    let ahead = ahead(session, place, failure).await;
    let ahead = ahead.map(|ahead| format!("\n  {ahead}")).unwrap_or_default();
    printer.error(format!("{count}{}: {failure}{ahead}", place.environment));
    for (place, failure) in others.iter().take(NAMED).copied() {
        let ahead = self::ahead(session, place, failure).await;
        let ahead = ahead.map(|ahead| format!(": {ahead}")).unwrap_or_default();
        printer.note(format!("  also {}{ahead}", place.environment));
    }
    if others.len() > NAMED {
        printer.note(format!("  and {} more", others.len() - NAMED));
    }
}

/// What lies ahead of the hotfix that is in the way: as the answer says it, or, of a service that says less, as the hotfix
/// does.
async fn ahead(session: &Session, place: &Place, failure: &Failure) -> Option<String> {
    let Failure::Service(Error::Refused(refusal)) = failure else {
        return None;
    };
    let facts = refusal.facts();
    let id = facts.get("operationId")?.as_str()?.parse().ok()?;
    let row = match facts.contains_key("status") {
        true => Value::Object(facts.clone()),
        false => Reader::new(session).one(&place.scope, id).await.ok()?,
    };
    let target = cell(row.get("targetAppVersion")?);
    let status = cell(row.get("status")?);
    let prospect = prospect(&row)
        .map(|prospect| format!(", {prospect}"))
        .unwrap_or_default();
    Some(format!("{id} to {target} is {status}{prospect}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_reason_is_said_once() {
        let row = |name: &str, code: &str| json!({"name": name, "reasons": [{"code": code, "message": format!("Why {name}.")}]});
        let rows = [
            row("North", "NotNewer"),
            row("East", "NotNewer"),
            row("West", "LineDiffers"),
        ];
        assert_eq!(
            reasons_by_code(&rows),
            [
                "NotNewer (2 times), such as North: Why North.",
                "LineDiffers, West: Why West."
            ]
        );
    }
}
