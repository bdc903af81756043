//! The main job, told while it is done: every request with its answer, short enough to read, and never a secret or a
//! token.

use crate::dev::{people::Person, ready::Addresses, running::Running};
use anyhow::bail;
use client::{Client, Error, Request};
use reqwest::{Method, Url};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::{
    fmt::Write as _,
    io::{self, Write as _},
};

/// Most characters of a body that are shown.
const MAX_SHOWN_CHARS: usize = 360;

/// Prints what happens.
pub(super) struct Transcript {
    /// Leaves standard output to somebody else.
    pub to_stderr: bool,
    /// How many steps were begun.
    pub steps: usize,
}

impl Transcript {
    /// Prints lines as they are. The job is done also when nobody reads on.
    ///
    /// # Errors
    /// When they cannot be written; so for all that follow.
    pub(super) fn say(&self, text: &str) -> io::Result<()> {
        let said = match self.to_stderr {
            true => writeln!(io::stderr().lock(), "{text}"),
            false => writeln!(io::stdout().lock(), "{text}"),
        };
        said.or_else(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => Ok(()),
            _ => Err(error),
        })
    }

    /// Begins a step.
    pub(super) fn step(&mut self, title: &str) -> io::Result<()> {
        self.steps += 1;
        self.say(&format!("\n{:>2}. {title}", self.steps))
    }

    /// What is asked, and by whom.
    pub(super) fn request(
        &self,
        who: &str,
        method: &Method,
        url: &Url,
        body: Option<&Value>,
    ) -> io::Result<()> {
        let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
        self.say(&format!("    {method} {}{query}   as {who}", url.path()))?;
        body.map_or(Ok(()), |body| self.say(&format!("      {}", shortened(body))))
    }

    /// What was answered.
    pub(super) fn answer(&self, status: impl std::fmt::Display, body: &Value) -> io::Result<()> {
        self.say(&format!("    => {status} {}", shortened(body)))
    }

    /// A fact that was checked.
    pub(super) fn checked(&self, fact: &str) -> io::Result<()> {
        self.say(&format!("    ok: {fact}"))
    }
}

/// A body short enough to read.
fn shortened(body: &Value) -> String {
    let whole = body.to_string();
    let mut shown: String = whole.chars().take(MAX_SHOWN_CHARS).collect();
    if shown.len() < whole.len() {
        shown.push('…');
    }
    shown
}

/// Somebody who takes part.
pub(super) struct Participant {
    /// Their name.
    pub name: &'static str,
    /// The service, asked as them.
    pub client: Client,
}

impl Participant {
    /// Signs somebody in, and tells of it without what must stay secret.
    ///
    /// # Errors
    /// The issuer's refusal.
    pub(super) async fn sign_in(
        running: &Running,
        addresses: &Addresses,
        transcript: &Transcript,
        person: Person,
    ) -> anyhow::Result<Self> {
        let path = addresses
            .token_url
            .strip_prefix(&addresses.base_url)
            .unwrap_or_default();
        let mut form = format!(
            "grant_type=client_credentials&client_id={}",
            person.principal_id()
        );
        write!(form, "&client_secret=(not shown)&scope={}", addresses.scope)?;
        transcript.say(&format!("    POST {path}   as {}\n      {form}", person.name))?;
        let client = running.sign_in(&person).await?;
        transcript.say("    => 200 OK (a token)")?;
        Ok(Self {
            name: person.name,
            client,
        })
    }

    /// Sends a request, tells of it, and takes only success.
    ///
    /// # Errors
    /// When the service refuses, or does not answer as it should.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        transcript: &Transcript,
        request: Request<T>,
    ) -> anyhow::Result<T> {
        transcript.request(
            self.name,
            request.method(),
            request.url(),
            request.body().as_ref(),
        )?;
        match request.json().send().await {
            Ok(answer) => {
                transcript.answer(answer.status, &answer.value)?;
                Ok(serde_json::from_value(answer.value)?)
            }
            Err(Error::Refused(refusal)) => {
                transcript.answer(refusal.status, &json!(refusal.text))?;
                bail!("the service refused it with {}", refusal.status)
            }
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_shown_short() {
        assert_eq!(shortened(&json!({ "a": 1 })), r#"{"a":1}"#);
        let shown = shortened(&json!("ä".repeat(5_000)));
        assert_eq!(shown.chars().count(), MAX_SHOWN_CHARS + 1);
    }
}
