//! Signing in on another device (RFC 8628), for machines without a browser.
//!
//! It is what phishers have people do, so it is done only where somebody says so and sits at a terminal, who is told
//! what they are about to let in, and where.

use super::{
    browser::PATIENCE,
    login::{SignInPlace, lasting},
};
use crate::{failure::Failure, output::Printer};
use client::{Error, Issuers};
use serde_json::Value;
use std::{
    io::{self, IsTerminal},
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// How often it is asked where the issuer does not say (RFC 8628 §3.2).
const USUAL_INTERVAL: u64 = 5;

/// Signs somebody in for the service at `host`; what the issuer gave.
///
/// # Errors
/// [`Failure::Usage`] without a terminal, [`Failure::NotSignedIn`] when nobody signed in, [`Failure::Service`] when the
/// issuer refuses or is out of reach.
pub(crate) async fn sign_in(
    at: &SignInPlace,
    issuers: &Issuers,
    host: &str,
    printer: Printer,
) -> Result<Value, Failure> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(Failure::Usage(
            "--device shows a code to whoever sits at the terminal, and there is none.".to_owned(),
        ));
    }
    let (begin, scope) = (at.beside("devicecode")?, lasting(&at.scope));
    let form = [("client_id", at.client_id.as_str()), ("scope", &scope)];
    let begun = issuers.post(&begin, &form).await?;
    let text = |name: &str| begun.get(name)?.as_str().map(str::to_owned);
    let unreadable = || Failure::Service(Error::NoToken);
    let device_code = text("device_code").ok_or_else(unreadable)?;
    let page = text("verification_uri").ok_or_else(unreadable)?;
    let code = text("user_code").ok_or_else(unreadable)?;
    printer.warning(format!(
        "This lets the application {} act as you at {host}, signed in at {}.\n  If you did not begin it yourself, close \
         this. Otherwise open {page} and enter {code}; it ends after {} minutes.",
        at.client_id,
        at.token_url.as_str(),
        PATIENCE.as_secs() / 60
    ));
    let interval = begun
        .get("interval")
        .and_then(Value::as_u64)
        .unwrap_or(USUAL_INTERVAL)
        .clamp(1, 60);
    let lasts = begun
        .get("expires_in")
        .and_then(Value::as_u64)
        .map_or(PATIENCE, Duration::from_secs);
    poll(at, issuers, &device_code, interval, lasts.min(PATIENCE)).await
}

async fn poll(
    at: &SignInPlace,
    issuers: &Issuers,
    device_code: &str,
    interval: u64,
    lasts: Duration,
) -> Result<Value, Failure> {
    let (ends, mut interval) = (Instant::now() + lasts, Duration::from_secs(interval));
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
        ("client_id", at.client_id.as_str()),
        ("device_code", device_code),
    ];
    while Instant::now() + interval < ends {
        sleep(interval).await;
        match issuers.post(&at.token_url, &form).await {
            Ok(given) => return Ok(given),
            Err(Error::SignInRefused { code, .. }) if code == "authorization_pending" => {}
            Err(Error::SignInRefused { code, .. }) if code == "slow_down" => {
                interval += Duration::from_secs(5)
            }
            Err(error) => return Err(error.into()),
        }
    }
    let minutes = PATIENCE.as_secs() / 60;
    Err(Failure::NotSignedIn(format!(
        "Nobody signed in within {minutes} minutes."
    )))
}
