//! What callers accept as an answer (RFC 9110, 12.5.1).

use super::{address::is_package, request_info::names_format};
use axum::{extract::Request, http::header};
use domain::problem::{Code, RuleError};

/// In this every failure is told, and most of what there is. Whoever accepts it gets what is made of nothing else, too:
/// clients ask for JSON wherever they ask.
const JSON: &str = "application/json";

/// A JSON value on each line: how the rows of a plan of a rollout stream for whoever asks for it.
pub(super) const NDJSON: &str = "application/x-ndjson";
const PLAN_OF_ROLLOUT: &str = "/rollouts/plan";

/// Refuses to answer somebody who does not accept what there is at an address.
///
/// # Errors
/// `NotAcceptable`, with what there is.
pub(super) fn check(request: &Request, routed: &str) -> Result<(), RuleError> {
    let values = request.headers().get_all(header::ACCEPT).iter();
    let accepted: Vec<_> = values.filter_map(|value| value.to_str().ok()).collect();
    let accepted = accepted.join(",");
    let query = request.uri().query().unwrap_or_default();
    // The option says it in place of the header.
    if accepted.trim().is_empty() || names_format(query) {
        return Ok(());
    }
    let media_type = media_type_at(routed);
    let streams = routed.ends_with(PLAN_OF_ROLLOUT) && allows(&accepted, NDJSON)?;
    if streams || allows(&accepted, media_type)? || allows(&accepted, JSON)? {
        return Ok(());
    }
    let message = format!("What there is is {media_type}, and '{accepted}' does not accept it.");
    Err(RuleError::new(Code::NotAcceptable, message).about("Accept"))
}

/// What there is at an address.
fn media_type_at(routed: &str) -> &'static str {
    if is_package(routed) {
        return "application/octet-stream";
    }
    match routed.rsplit('/').next().unwrap_or_default() {
        "" => "text/html",
        "$metadata" => "application/xml",
        "$count" => "text/plain",
        _ => JSON,
    }
}

/// Whether a media type is accepted: what names it most closely decides.
fn allows(accepted: &str, media_type: &str) -> Result<bool, RuleError> {
    let mut closest = (0, false);
    for range in accepted
        .split(',')
        .map(str::trim)
        .filter(|range| !range.is_empty())
    {
        let (name, parameters) = range.split_once(';').unwrap_or((range, ""));
        let is_accepted = is_wanted(parameters).ok_or_else(|| {
            let message =
                format!("'{range}' in the header Accept cannot be read: q is a number from 0 to 1.");
            RuleError::invalid("Accept", message)
        })?;
        let closeness = closeness(name.trim(), media_type);
        if closeness > closest.0 {
            closest = (closeness, is_accepted);
        } else if closeness == closest.0 {
            closest.1 |= is_accepted;
        }
    }
    Ok(closest.0 > 0 && closest.1)
}

/// How closely a range names a media type; 0 if it does not.
fn closeness(range: &str, media_type: &str) -> u8 {
    let kind = media_type.split('/').next().unwrap_or_default();
    match range.split_once('/') {
        _ if range.eq_ignore_ascii_case(media_type) => 3,
        Some((of, "*")) if of.eq_ignore_ascii_case(kind) => 2,
        Some(("*", "*")) => 1,
        // Some clients have always written it so.
        None if range == "*" => 1,
        _ => 0,
    }
}

/// Whether the weight among the parameters is more than nothing; `None` if it is no weight.
fn is_wanted(parameters: &str) -> Option<bool> {
    let weight = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("q").then(|| value.trim())
    });
    let Some(weight) = weight else {
        return Some(true);
    };
    let is_plain = weight.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let weight: f32 = weight.parse().ok().filter(|_| is_plain)?;
    (0.0..=1.0).contains(&weight).then_some(weight > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_send_is_accepted() {
        for accepted in [
            "*/*",
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/*",
            "application/json, text/plain, */*",
            "application/json;odata.metadata=minimal;IEEE754Compatible=true",
            "text/html, image/gif, *; q=.2, */*; q=.2",
            "text/csv, application/json;q=0.001",
        ] {
            assert_eq!(allows(accepted, JSON), Ok(true), "{accepted}");
        }
    }

    #[test]
    fn what_is_left_out_or_excluded_is_not_sent() {
        for accepted in [
            "text/csv",
            "text/*",
            "application/json;q=0",
            "application/json;q=0.000, */*",
            "application/json; Q=0 , application/*",
            "application/*;q=0, */*;q=1",
            "application/xml, text/json",
            "json",
            "*/json",
        ] {
            assert_eq!(allows(accepted, JSON), Ok(false), "{accepted}");
        }
    }

    #[test]
    fn a_weight_is_a_number_from_0_to_1() {
        for accepted in [
            "*/*;q=x",
            "*/*;q=",
            "*/*;q=2",
            "*/*;q=-1",
            "*/*;q=NaN",
            "*/*;q=1e0",
            "text/csv;q=high",
        ] {
            assert!(allows(accepted, JSON).is_err(), "{accepted}");
        }
    }
}
