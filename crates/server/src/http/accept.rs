//! What callers accept as an answer (RFC 9110, 12.5.1).

use super::{
    address::{is_event_stream, is_package},
    request_info::names_format,
};
use crate::admin_center;
use axum::{
    extract::Request,
    http::{HeaderMap, Method, header},
    response::Response,
};
use domain::problem::{Code, RuleError};

/// In this every failure is told, and most of what there is. Whoever accepts it gets what is made of nothing else, too:
/// clients ask for JSON wherever they ask.
const JSON: &str = "application/json";

/// What lists come in besides.
const CSV: &str = "text/csv";
/// A JSON value on each line: how the rows of a plan of a rollout stream for whoever asks for it.
pub(super) const NDJSON: &str = "application/x-ndjson";
const PLAN_OF_ROLLOUT: &str = "/rollouts/plan";

/// Refuses to answer somebody who does not accept what there is at an address.
///
/// # Errors
/// `NotAcceptable`, with what there is.
pub(super) fn check(request: &Request, routed: &str) -> Result<(), RuleError> {
    let accepted = accepted(request.headers());
    // The option says it in place of the header.
    if accepted.trim().is_empty() || names_format(request.uri().query().unwrap_or_default()) {
        return Ok(());
    }
    let media_type = media_type_at(routed);
    let streams = routed.ends_with(PLAN_OF_ROLLOUT) && allows(&accepted, NDJSON)?;
    let comes = streams || wants_csv(request, routed);
    if comes || allows(&accepted, media_type)? || allows(&accepted, JSON)? {
        return Ok(());
    }
    Err(refused(media_type, &accepted))
}

/// All that the header says.
pub(super) fn accepted(headers: &HeaderMap) -> String {
    let values = headers.get_all(header::ACCEPT).iter();
    let accepted: Vec<_> = values.filter_map(|value| value.to_str().ok()).collect();
    accepted.join(",")
}

fn refused(media_type: &str, accepted: &str) -> RuleError {
    let message = format!("What there is is {media_type}, and '{accepted}' does not accept it.");
    RuleError::new(Code::NotAcceptable, message).about("Accept")
}

/// Whether somebody would rather have a list as CSV: they name that, and do not name JSON, or like it less. What comes in
/// JSON alone is no list.
pub(super) fn wants_csv(request: &Request, routed: &str) -> bool {
    let may_be_list = matches!(*request.method(), Method::GET | Method::HEAD)
        && media_type_at(routed) == JSON
        && !admin_center::address::is_below_root(routed)
        && !names_format(request.uri().query().unwrap_or_default());
    may_be_list && prefers_csv(&accepted(request.headers()))
}

fn prefers_csv(accepted: &str) -> bool {
    let (Ok(csv), Ok(json)) = (closest(accepted, CSV), closest(accepted, JSON)) else {
        return false;
    };
    csv.closeness == NAMED && csv.weight > 0.0 && (json.closeness < NAMED || csv.weight > json.weight)
}

/// What is said to somebody who accepts CSV alone, where this is the answer; nothing where it is one they accept.
pub(super) fn check_answer(accepted: &str, answer: &Response) -> Result<(), RuleError> {
    let media_type = answer.headers().get(header::CONTENT_TYPE);
    let is_json = media_type.is_some_and(|media_type| media_type.as_bytes().starts_with(JSON.as_bytes()));
    match is_json && answer.status().is_success() && !allows(accepted, JSON)? {
        true => Err(refused(JSON, accepted)),
        false => Ok(()),
    }
}

/// What there is at an address.
fn media_type_at(routed: &str) -> &'static str {
    if is_package(routed) {
        return "application/octet-stream";
    }
    if is_event_stream(routed) {
        return "text/event-stream";
    }
    match routed.rsplit('/').next().unwrap_or_default() {
        "" => "text/html",
        "$metadata" => "application/xml",
        "$count" => "text/plain",
        _ => JSON,
    }
}

/// The range that names a media type most closely, and how much it is liked.
struct Closest {
    closeness: u8,
    weight: f32,
}

/// Whether a media type is accepted: what names it most closely decides.
fn allows(accepted: &str, media_type: &str) -> Result<bool, RuleError> {
    let closest = closest(accepted, media_type)?;
    Ok(closest.closeness > 0 && closest.weight > 0.0)
}

fn closest(accepted: &str, media_type: &str) -> Result<Closest, RuleError> {
    let mut closest = Closest {
        closeness: 0,
        weight: 0.0,
    };
    for range in accepted
        .split(',')
        .map(str::trim)
        .filter(|range| !range.is_empty())
    {
        let (name, parameters) = range.split_once(';').unwrap_or((range, ""));
        let weight = weight(parameters).ok_or_else(|| {
            let message =
                format!("'{range}' in the header Accept cannot be read: q is a number from 0 to 1.");
            RuleError::invalid("Accept", message)
        })?;
        let closeness = closeness(name.trim(), media_type);
        if closeness > closest.closeness {
            closest = Closest { closeness, weight };
        } else if closeness == closest.closeness {
            closest.weight = closest.weight.max(weight);
        }
    }
    Ok(closest)
}

/// How closely a media type is named by itself.
const NAMED: u8 = 3;

/// How closely a range names a media type; 0 if it does not.
fn closeness(range: &str, media_type: &str) -> u8 {
    let kind = media_type.split('/').next().unwrap_or_default();
    match range.split_once('/') {
        _ if range.eq_ignore_ascii_case(media_type) => NAMED,
        Some((of, "*")) if of.eq_ignore_ascii_case(kind) => 2,
        Some(("*", "*")) => 1,
        // Some clients have always written it so.
        None if range == "*" => 1,
        _ => 0,
    }
}

/// The weight among the parameters; `None` if it is no weight.
fn weight(parameters: &str) -> Option<f32> {
    let weight = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("q").then(|| value.trim())
    });
    let Some(weight) = weight else {
        return Some(1.0);
    };
    let is_plain = weight.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let weight: f32 = weight.parse().ok().filter(|_| is_plain)?;
    (0.0..=1.0).contains(&weight).then_some(weight)
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
    fn csv_is_for_those_who_name_it_and_like_json_less() {
        for accepted in [
            "text/csv",
            "TEXT/CSV; charset=utf-8",
            "text/csv, */*",
            "text/csv, application/*;q=1",
            "text/csv, application/json;q=0.9",
        ] {
            assert!(prefers_csv(accepted), "{accepted}");
        }
        for accepted in [
            "",
            "*/*",
            "text/*",
            "text/csv;q=0",
            "text/csv, application/json",
            "text/csv;q=0.5, application/json",
            "text/csv;q=x",
        ] {
            assert!(!prefers_csv(accepted), "{accepted}");
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
