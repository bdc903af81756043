//! Lines as people and machines read them.

use super::*;
use crate::telemetry::tests::logged;
use serde_json::{Value, json};

/// A request as the service tells of it, with all kinds of fields.
fn speak() {
    let request = tracing::error_span!(
        "request",
        correlation = %1,
        method = "GET",
        route = tracing::field::Empty,
        principal = tracing::field::Empty,
    );
    request.record("route", "/things/{id}");
    request.record("principal", "Application/7");
    let _entered = request.enter();
    let _inner = tracing::error_span!("job", job = "sweeper").entered();
    tracing::warn!(target: "fame::spoken", parent: &request, count = 3_u64, left = -1, share = 0.5, whole = true, "first");
    tracing::info!(target: "fame::spoken", error = %"line\nbreak", lost = f64::NAN, quoted = "a \"b\"\n", "second");
}

fn without_moment(line: &str) -> &str {
    let (moment, rest) = line.split_once(' ').unwrap();
    moment.parse::<Instant>().unwrap();
    rest
}

#[test]
fn people_read_the_spans_and_then_what_happened() {
    let text = logged("info", LogFormat::Text, speak);
    let lines: Vec<_> = text.lines().map(without_moment).collect();
    let request = r#"request{correlation=1 method="GET" route="/things/{id}" principal="Application/7"}:"#;
    let expected = [
        format!(" WARN {request} fame::spoken: first count=3 left=-1 share=0.5 whole=true"),
        format!(
            r#" INFO {request}job{{job="sweeper"}}: fame::spoken: second error=line\nbreak lost=NaN quoted="a \"b\"\n""#
        ),
    ];
    assert_eq!(lines, expected);
}

#[test]
fn machines_read_objects_with_the_innermost_span() {
    let text = logged("info", LogFormat::Json, speak);
    let mut lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for line in &mut lines {
        let moment = line.as_object_mut().unwrap().remove("timestamp").unwrap();
        moment.as_str().unwrap().parse::<Instant>().unwrap();
    }
    let expected = [
        json!({
            "level": "WARN", "target": "fame::spoken", "message": "first",
            "count": 3, "left": -1, "share": 0.5, "whole": true,
            "span": {
                "name": "request", "correlation": "1", "method": "GET", "route": "/things/{id}",
                "principal": "Application/7",
            },
        }),
        json!({
            "level": "INFO", "target": "fame::spoken", "message": "second",
            "error": "line\nbreak", "lost": "NaN", "quoted": "a \"b\"\n",
            "span": { "name": "job", "job": "sweeper" },
        }),
    ];
    assert_eq!(lines, expected);
}

#[test]
fn what_is_in_no_span_stands_alone() {
    let alone = || tracing::error!(target: "fame::spoken", "alone");
    let text = logged("info", LogFormat::Text, alone);
    assert_eq!(without_moment(text.trim_end()), "ERROR fame::spoken: alone");
    let json: Value = serde_json::from_str(&logged("info", LogFormat::Json, alone)).unwrap();
    assert_eq!((&json["message"], &json["span"]), (&"alone".into(), &Value::Null));
}

#[test]
fn a_terminal_shows_levels_in_colours_and_takes_no_orders_from_values() {
    let settings = crate::config::LogSettings {
        level: "info".parse().unwrap(),
        format: LogFormat::Text,
        access: true,
        security: crate::config::SecurityLog::Off,
    };
    let (sender, lines) = std::sync::mpsc::channel();
    let layer = crate::telemetry::log_layer(&settings, true, move |_, line| {
        sender.send(String::from_utf8(line.to_vec()).unwrap()).unwrap();
    });
    let subscriber = tracing_subscriber::layer::SubscriberExt::with(tracing_subscriber::registry(), layer);
    tracing::subscriber::with_default(subscriber, || {
        tracing::warn!(target: "fame::spoken", error = %"\u{1b}[2J\u{202e}\u{7f}\u{9b}", "careful");
    });
    let line = lines.recv().unwrap();
    let shown = "\u{1b}[33m WARN\u{1b}[0m \u{1b}[2mfame::spoken:\u{1b}[0m careful error=\\u{1b}[2J\\u{202e}\\u{7f}\\u{9b}\n";
    assert!(line.ends_with(shown), "{line:?}");
}
