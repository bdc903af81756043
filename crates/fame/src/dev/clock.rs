//! `fame dev clock`: what is asked of the control endpoint of a `fame dev` that runs.

use super::{args::ClockCommand, listeners::CONTROL};
use crate::{args::ORIGINAL_URL, exit::Exit, failure::Failure, output::Printer};
use reqwest::{RequestBuilder, StatusCode, Url, redirect};
use serde_json::{Value, json};
use std::{net::IpAddr, time::Duration};

/// Where `fame dev` listens unless it is told otherwise.
const USUAL_URL: &str = "http://127.0.0.1:8080";

/// Moving over months carries out all that is due in them.
const TIMEOUT: Duration = Duration::from_secs(600);

impl ClockCommand {
    /// Runs the command against the `fame dev` at `url`.
    ///
    /// # Errors
    /// [`Failure::Usage`] for what is no time or no such service, [`Failure::Unavailable`] when nobody answers.
    pub(super) async fn run(self, url: &str, printer: Printer) -> Result<Exit, Failure> {
        let clock = clock_of(url)?;
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .timeout(TIMEOUT)
            .build()
            .map_err(|error| Failure::Unexpected(error.to_string()))?;
        let request = match self {
            Self::Show => http.get(clock.clone()),
            Self::Advance { by } => http.post(clock.clone()).json(&json!({ "advance": by })),
            Self::Set { to } => http.post(clock.clone()).json(&json!({ "now": to })),
        };
        printer.record(&answered(request, &clock).await?)?;
        Ok(Exit::Done)
    }
}

/// The address of the clock, on this machine: nowhere else is there a `fame dev`.
fn clock_of(url: &str) -> Result<Url, Failure> {
    let url = if url == ORIGINAL_URL { USUAL_URL } else { url };
    let is_here = |url: &Url| {
        let host = url.host_str().unwrap_or_default();
        let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    };
    let found = Url::parse(url).ok().filter(is_here);
    let mut found = found.ok_or_else(|| {
        Failure::Usage(format!(
            "--url: '{url}' is not on this machine, and a `fame dev` is on no other: name the API's address as it says it, \
             such as {USUAL_URL}"
        ))
    })?;
    found.set_path(&format!("{CONTROL}/clock"));
    Ok(found)
}

async fn answered(request: RequestBuilder, clock: &Url) -> Result<Value, Failure> {
    let nobody = |error: reqwest::Error| {
        Failure::Unavailable(format!(
            "No `fame dev` answers at {clock}: {}",
            error.without_url()
        ))
    };
    let answer = request.send().await.map_err(nobody)?;
    let status = answer.status();
    let body: Value = answer.json().await.unwrap_or_default();
    match (status, body.pointer("/error/message").and_then(Value::as_str)) {
        (StatusCode::OK, _) if body.get("now").is_some() => Ok(body),
        (StatusCode::BAD_REQUEST, Some(message)) => Err(Failure::Usage(message.to_owned())),
        (StatusCode::INTERNAL_SERVER_ERROR, Some(message)) => Err(Failure::Unexpected(message.to_owned())),
        _ => Err(Failure::NotFound(format!(
            "What answers at {clock} is no `fame dev`: it says {status}."
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_on_this_machine() {
        for (url, expected) in [
            (ORIGINAL_URL, "http://127.0.0.1:8080/control/clock"),
            ("http://localhost:1/", "http://localhost:1/control/clock"),
            ("http://[::1]:7", "http://[::1]:7/control/clock"),
        ] {
            assert_eq!(clock_of(url).unwrap().as_str(), expected);
        }
        for wrong in [
            "https://fame.contoso.com",
            "http://127.0.0.1.contoso.com",
            "127.0.0.1:8080",
            "",
        ] {
            assert!(matches!(clock_of(wrong), Err(Failure::Usage(_))), "{wrong}");
        }
    }
}
