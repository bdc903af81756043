//! How the main job is told: every request with its answer, short enough to read, and never a secret or a token.

use crate::dev::{cast::Client, ready::Addresses, running::Running, visitor::Visitor};
use anyhow::ensure;
use reqwest::Method;
use serde_json::{Value, json};
use std::{
    fmt::Write as _,
    io::{self, Write as _},
};

/// Most characters of a body that are shown.
const SHOWN: usize = 360;

/// Prints the story.
pub struct Teller {
    /// Leaves standard output to somebody else.
    pub to_stderr: bool,
    /// How many steps were begun.
    pub steps: usize,
}

impl Teller {
    /// Prints lines as they are.
    ///
    /// # Errors
    /// When they cannot be written; so for all that follow.
    pub fn say(&self, text: &str) -> io::Result<()> {
        match self.to_stderr {
            true => writeln!(io::stderr().lock(), "{text}"),
            false => writeln!(io::stdout().lock(), "{text}"),
        }
    }

    /// Begins a step.
    pub fn step(&mut self, title: &str) -> io::Result<()> {
        self.steps += 1;
        self.say(&format!("\n{:>2}. {title}", self.steps))
    }

    /// What is asked, and by whom.
    pub fn request(&self, who: &str, method: &Method, path: &str, body: Option<&Value>) -> io::Result<()> {
        let body = body.map(shortened).unwrap_or_default();
        self.say(&format!("    {method} {path}   as {who}"))?;
        if body.is_empty() {
            Ok(())
        } else {
            self.say(&format!("      {body}"))
        }
    }

    /// What was answered.
    pub fn answer(&self, status: impl std::fmt::Display, body: &Value) -> io::Result<()> {
        self.say(&format!("    => {status} {}", shortened(body)))
    }

    /// A fact that was checked.
    pub fn checked(&self, fact: &str) -> io::Result<()> {
        self.say(&format!("    ok: {fact}"))
    }
}

/// A body short enough to read, without what nobody can read.
fn shortened(body: &Value) -> String {
    let mut body = body.clone();
    if let Some(contents) = body.get_mut("packageContents") {
        let length = contents.as_str().unwrap_or_default().len();
        *contents = json!(format!("({length} characters of base64)"));
    }
    let whole = body.to_string();
    let mut shown: String = whole.chars().take(SHOWN).collect();
    if shown.len() < whole.len() {
        shown.push('…');
    }
    shown
}

/// A client with its name, for the story.
pub struct Player {
    /// The client's name.
    pub name: &'static str,
    /// The client, signed in.
    pub visitor: Visitor,
}

impl Player {
    /// Asks, tells of it, and takes only success.
    ///
    /// # Errors
    /// When the service refuses, or does not answer.
    pub async fn ask(
        &self,
        teller: &Teller,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Value> {
        teller.request(self.name, &method, path, body)?;
        let answer = self.visitor.ask(method, path, body).await?;
        teller.answer(answer.status, &answer.body)?;
        ensure!(
            answer.status.is_success(),
            "the service refused it with {}",
            answer.status
        );
        Ok(answer.body)
    }

    /// Asks for something without changing anything.
    ///
    /// # Errors
    /// As for [`Player::ask`].
    pub async fn get(&self, teller: &Teller, path: &str) -> anyhow::Result<Value> {
        self.ask(teller, Method::GET, path, None).await
    }
}

/// Signs a client in, and tells of it without what must stay secret.
///
/// # Errors
/// The issuer's refusal.
pub async fn player(
    running: &Running,
    addresses: &Addresses,
    teller: &Teller,
    client: Client,
) -> anyhow::Result<Player> {
    let path = addresses
        .token_url
        .strip_prefix(&addresses.base_url)
        .unwrap_or_default();
    let mut told = format!(
        "grant_type=client_credentials&client_id={}",
        client.principal_id()
    );
    write!(told, "&client_secret=(not shown)&scope={}", addresses.scope)?;
    teller.say(&format!("    POST {path}   as {}\n      {told}", client.name))?;
    let visitor = running.sign_in(&client).await?;
    teller.say("    => 200 OK (a token)")?;
    Ok(Player {
        name: client.name,
        visitor,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_shown_without_what_nobody_can_read() {
        let body = json!({ "packageContents": "A".repeat(5_000), "initialAvailability": "Preview" });
        let shown = shortened(&body);
        assert!(
            shown.contains("5000 characters") && shown.contains("Preview"),
            "{shown}"
        );
        assert!(shortened(&json!("ä".repeat(5_000))).chars().count() <= SHOWN + 1);
    }
}
