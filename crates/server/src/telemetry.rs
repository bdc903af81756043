//! What operators and partners can watch.
//!
//! A partner who already follows their customers in the cloud has queries over the events of hotfixes (LC0155 to
//! LC0160), of installs, updates and uninstalls (LC0161 to LC0174) and of update windows (LC0146, LC0147), and their
//! dimensions. The same events leave here under the same names and in the same notation, so that those queries go on
//! working; how they travel is the business of whichever tracing layer listens to [`TARGET`].

mod changes;
mod gathered;
mod lines;
pub(crate) mod metrics;
mod told;

pub use changes::{ChangeEvent, ChangeStep, Dependency, change};
pub use gathered::{flush_log, rewrite_log};
pub(crate) use told::{Told, listen};

use crate::config::{LogFormat, LogSettings, SecurityLog};
use domain::{
    instant::{Instant, TICKS_PER_SECOND},
    text::is_invisible,
};
use lines::Lines;
use std::{io::IsTerminal, time::Duration};
use tracing::{Metadata, level_filters::LevelFilter};
use tracing_subscriber::{
    Layer, Registry,
    layer::SubscriberExt,
    util::{SubscriberInitExt, TryInitError},
};
use uuid::Uuid;

/// The tracing target of the events that partners know: of operations of all kinds, and of update windows.
pub const TARGET: &str = "fame::telemetry";

/// The tracing target of the access log: one line for each request, when its answer has been sent.
pub(crate) const ACCESS: &str = "fame::access";

/// The tracing target of the events that a security team collects: sign-ins and calls that were refused, as warnings, and
/// packages that were handed out.
pub(crate) const SECURITY: &str = "fame::security";

/// The scope of every app that is managed here: published for all tenants, as apps of the marketplace are.
const EXTENSION_SCOPE: &str = "Global";

/// One step in the life of a hotfix; each field is the documented dimension of the same name.
#[derive(Clone, Copy, Debug)]
pub struct HotfixEvent<'a> {
    /// The customer's Microsoft Entra tenant.
    pub aad_tenant_id: Uuid,
    /// The environment's application family, `BusinessCentral` for most.
    pub application_family: &'a str,
    /// The environment's localisation, such as `US`.
    pub country_code: &'a str,
    /// The environment's name.
    pub environment_name: &'a str,
    /// `Production` or `Sandbox`.
    pub environment_type: &'a str,
    /// The environment's application version, where known.
    pub environment_version: Option<&'a str>,
    /// The app.
    pub extension_id: Uuid,
    /// The app's name, where known.
    pub extension_name: Option<&'a str>,
    /// The app's publisher, where known.
    pub extension_publisher: Option<&'a str>,
    /// The version that was installed, where known.
    pub extension_source_version: Option<&'a str>,
    /// The version that the hotfix brings.
    pub extension_destination_version: &'a str,
    /// The moment before which the hotfix does not start (`runAfterDateUtc`).
    pub run_after: Instant,
    /// Whether the hotfix waits for the environment's update window.
    pub use_environment_update_window: bool,
    /// Why it did not work; for the events of failure.
    pub failure_reason: Option<&'a str>,
    /// From start to end; for the events of an end.
    pub total_time: Option<Duration>,
}

/// Emits one event with all its dimensions. A macro, because tracing fixes the level of an event where it is written.
macro_rules! emit {
    ($level:ident, $event_id:literal, $step:literal, $event:ident) => {
        tracing::event!(
            target: TARGET,
            tracing::Level::$level,
            eventId = $event_id,
            aadTenantId = $event.aad_tenant_id.to_string().as_str(),
            applicationFamily = $event.application_family,
            countryCode = $event.country_code,
            environmentName = $event.environment_name,
            environmentType = $event.environment_type,
            environmentVersion = $event.environment_version,
            extensionId = $event.extension_id.to_string().as_str(),
            extensionName = $event.extension_name,
            extensionPublisher = $event.extension_publisher,
            extensionScope = EXTENSION_SCOPE,
            extensionDestinationVersion = $event.extension_destination_version,
            extensionSourceVersion = $event.extension_source_version,
            runAfterDateUtc = $event.run_after.to_string().as_str(),
            useEnvironmentUpdateWindow = truth($event.use_environment_update_window),
            failureReason = $event.failure_reason,
            totalTime = $event.total_time.map(time_span).as_deref(),
            "{}",
            message($event, $step)
        )
    };
}

/// LC0155: a hotfix was scheduled.
pub fn hotfix_scheduled(event: &HotfixEvent<'_>) {
    emit!(INFO, "LC0155", "scheduled", event);
}

/// LC0156: a hotfix was not scheduled, for the `failure_reason` of the event.
pub fn hotfix_scheduling_failed(event: &HotfixEvent<'_>) {
    emit!(ERROR, "LC0156", "scheduling failed", event);
}

/// LC0157: a scheduled hotfix was cancelled.
pub fn hotfix_cancelled(event: &HotfixEvent<'_>) {
    emit!(INFO, "LC0157", "cancelled", event);
}

/// LC0158: a hotfix started.
pub fn hotfix_started(event: &HotfixEvent<'_>) {
    emit!(INFO, "LC0158", "started", event);
}

/// LC0159: a hotfix was applied, in the `total_time` of the event.
pub fn hotfix_applied(event: &HotfixEvent<'_>) {
    emit!(INFO, "LC0159", "applied", event);
}

/// LC0160: a hotfix failed, for the `failure_reason` and after the `total_time` of the event.
pub fn hotfix_failed(event: &HotfixEvent<'_>) {
    emit!(ERROR, "LC0160", "failed", event);
}

/// A change of an environment's update window; each field is the documented dimension of the same name.
#[derive(Clone, Debug)]
pub struct WindowEvent<'a> {
    /// The customer's Microsoft Entra tenant.
    pub aad_tenant_id: Uuid,
    /// The environment's application family.
    pub application_family: &'a str,
    /// The environment's localisation.
    pub country_code: &'a str,
    /// The environment's name.
    pub environment_name: &'a str,
    /// `Production` or `Sandbox`.
    pub environment_type: &'a str,
    /// The environment's application version, where known.
    pub environment_version: Option<String>,
    /// Start and end from now on.
    pub new_window: [Option<&'a str>; 2],
    /// Start and end before.
    pub old_window: [Option<&'a str>; 2],
    /// Why it did not work; for the event of failure.
    pub failure_reason: Option<&'a str>,
}

/// The same as for hotfixes, of windows.
macro_rules! emit_window {
    ($level:ident, $event_id:literal, $step:literal, $event:ident) => {
        tracing::event!(
            target: TARGET,
            tracing::Level::$level,
            eventId = $event_id,
            aadTenantId = $event.aad_tenant_id.to_string().as_str(),
            applicationFamily = $event.application_family,
            countryCode = $event.country_code,
            environmentName = $event.environment_name,
            environmentType = $event.environment_type,
            environmentVersion = $event.environment_version.as_deref(),
            newUpdateWindowStartTimeUtc = $event.new_window[0],
            newUpdateWindowEndTimeUtc = $event.new_window[1],
            oldUpdateWindowStartTimeUtc = $event.old_window[0],
            oldUpdateWindowEndTimeUtc = $event.old_window[1],
            failureReason = $event.failure_reason,
            "{}",
            one_line(&format!("Environment update window {} for environment: {}", $step, $event.environment_name))
        )
    };
}

/// LC0146: an update window was modified.
pub fn window_modified(event: &WindowEvent<'_>) {
    emit_window!(INFO, "LC0146", "modified", event);
}

/// LC0147: an update window was not modified, for the `failure_reason` of the event.
pub fn window_not_modified(event: &WindowEvent<'_>) {
    emit_window!(ERROR, "LC0147", "modification failed", event);
}

fn message(event: &HotfixEvent<'_>, step: &str) -> String {
    let id = event.extension_id.to_string();
    let text = format!(
        "Environment app '{}' hotfix to version {} {step} for environment: {}",
        event.extension_name.unwrap_or(&id),
        event.extension_destination_version,
        event.environment_name
    );
    one_line(&text)
}

/// Longest text of a caller's that a line of the log holds, in characters.
const MAX_TEXT: usize = 1_000;

/// A text in which something may come from callers or packages, as it can stand in the log: a line break in it must not
/// begin a line, nor may anything turn what is shown around, and it has an end.
pub(crate) fn one_line(text: &str) -> String {
    let mut fit: String = text.chars().take(MAX_TEXT).collect();
    if fit.len() < text.len() {
        fit.push('…');
    }
    fit.replace(is_invisible, " ")
}

/// Booleans as the documented events write them.
fn truth(value: bool) -> &'static str {
    if value { "True" } else { "False" }
}

/// Time spans as the documented events write them: `[d.]hh:mm:ss.fffffff`.
fn time_span(span: Duration) -> String {
    let (days, rest) = (span.as_secs() / 86_400, span.as_secs() % 86_400);
    let ticks = u64::from(span.subsec_nanos()) * TICKS_PER_SECOND.unsigned_abs() / 1_000_000_000;
    let time = format!(
        "{:02}:{:02}:{:02}.{ticks:07}",
        rest / 3_600,
        rest / 60 % 60,
        rest % 60
    );
    if days == 0 { time } else { format!("{days}.{time}") }
}

/// Sends what the service logs to standard error. Lines of the access log wait there for [`flush_log`].
///
/// # Errors
/// When something in this process listens already.
pub fn init_logging(settings: &LogSettings) -> Result<(), TryInitError> {
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    tracing_subscriber::registry()
        .with(log_layer(settings, colours, gathered::write))
        .try_init()
}

fn log_layer<W>(settings: &LogSettings, has_colours: bool, write: W) -> impl Layer<Registry> + Send + Sync
where
    W: Fn(&Metadata<'_>, &[u8]) + Send + Sync + 'static,
{
    let mut filter = settings.level.targets().clone();
    if !settings.access {
        filter = filter.with_target(ACCESS, LevelFilter::OFF);
    }
    filter = filter.with_target(
        SECURITY,
        match settings.security {
            SecurityLog::Off => LevelFilter::OFF,
            SecurityLog::Refusals => LevelFilter::WARN,
            SecurityLog::All => LevelFilter::INFO,
        },
    );
    let format = settings.format;
    filter.and_then(Lines {
        format,
        has_colours,
        write,
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::config::LogFilter;
    use serde_json::{Value, json};
    use std::sync::{Arc, Mutex};

    /// What this thread logs.
    #[derive(Clone, Default)]
    pub(crate) struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Captured {
        /// Listens to this thread, in JSON, as long as the guard is kept.
        pub(crate) fn listening() -> (Self, tracing::subscriber::DefaultGuard) {
            Self::listening_for(SecurityLog::Off)
        }

        /// The same with some of the security events.
        pub(crate) fn listening_for(security: SecurityLog) -> (Self, tracing::subscriber::DefaultGuard) {
            let captured = Self::default();
            let writer = captured.clone();
            let settings = LogSettings {
                level: LogFilter::default(),
                format: LogFormat::Json,
                access: true,
                security,
            };
            let layer = log_layer(&settings, false, move |_, line| writer.add(line));
            let guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
            (captured, guard)
        }

        fn add(&self, line: &[u8]) {
            self.0.lock().unwrap().extend_from_slice(line);
        }

        pub(crate) fn lines(&self) -> Vec<Value> {
            let bytes = self.0.lock().unwrap();
            let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
            lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
        }
    }

    pub(super) fn logged(filter: &str, format: LogFormat, act: impl FnOnce()) -> String {
        let captured = Captured::default();
        let writer = captured.clone();
        let settings = LogSettings {
            level: filter.parse().unwrap(),
            format,
            access: true,
            security: SecurityLog::Off,
        };
        let layer = log_layer(&settings, false, move |_, line| writer.add(line));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), act);
        String::from_utf8(captured.0.lock().unwrap().clone()).unwrap()
    }

    pub(super) fn the_event(act: impl FnOnce()) -> Value {
        let mut event: Value = serde_json::from_str(&logged("info", LogFormat::Json, act)).unwrap();
        event.as_object_mut().unwrap().remove("timestamp").unwrap();
        event
    }

    pub(super) fn sample() -> HotfixEvent<'static> {
        HotfixEvent {
            aad_tenant_id: Uuid::from_u128(1),
            application_family: "BusinessCentral",
            country_code: "US",
            environment_name: "CRONUS-PROD",
            environment_type: "Production",
            environment_version: Some("26.1.0.0"),
            extension_id: Uuid::from_u128(2),
            extension_name: Some("Contoso Rental"),
            extension_publisher: Some("Contoso"),
            extension_source_version: Some("1.0.0.0"),
            extension_destination_version: "1.0.1.0",
            run_after: "2026-03-05T17:30:00Z".parse().unwrap(),
            use_environment_update_window: true,
            failure_reason: None,
            total_time: None,
        }
    }

    #[test]
    fn what_callers_write_begins_no_line_and_has_an_end() {
        let forged = "Evil\nERROR fame::telemetry: \u{202E}forged\u{2028}";
        assert_eq!(one_line(forged), "Evil ERROR fame::telemetry:  forged ");
        let long = "é".repeat(MAX_TEXT + 1);
        assert_eq!(one_line(&long), format!("{}…", "é".repeat(MAX_TEXT)));
        assert_eq!(one_line(&long[2..]), long[2..]);
    }

    #[test]
    fn a_scheduled_hotfix_has_every_documented_dimension() {
        let expected = json!({
            "level": "INFO",
            "target": "fame::telemetry",
            "message": "Environment app 'Contoso Rental' hotfix to version 1.0.1.0 scheduled for environment: CRONUS-PROD",
            "eventId": "LC0155",
            "aadTenantId": "00000000-0000-0000-0000-000000000001",
            "applicationFamily": "BusinessCentral",
            "countryCode": "US",
            "environmentName": "CRONUS-PROD",
            "environmentType": "Production",
            "environmentVersion": "26.1.0.0",
            "extensionId": "00000000-0000-0000-0000-000000000002",
            "extensionName": "Contoso Rental",
            "extensionPublisher": "Contoso",
            "extensionScope": "Global",
            "extensionDestinationVersion": "1.0.1.0",
            "extensionSourceVersion": "1.0.0.0",
            "runAfterDateUtc": "2026-03-05T17:30:00.0000000Z",
            "useEnvironmentUpdateWindow": "True",
        });
        assert_eq!(the_event(|| hotfix_scheduled(&sample())), expected);
    }

    #[test]
    fn a_failed_hotfix_says_why_and_after_how_long() {
        let total_time = Some(Duration::new(3_725, 671_906_700));
        let failed = HotfixEvent {
            failure_reason: Some("table is locked"),
            total_time,
            ..sample()
        };
        let event = the_event(|| hotfix_failed(&failed));
        assert_eq!(event["eventId"], "LC0160");
        assert_eq!(event["level"], "ERROR");
        assert_eq!(event["failureReason"], "table is locked");
        assert_eq!(event["totalTime"], "01:02:05.6719067");
    }

    #[test]
    fn each_step_has_its_id_level_and_words() {
        type Step = fn(&HotfixEvent<'_>);
        let steps: [(Step, &str, &str, &str); 6] = [
            (
                hotfix_scheduled,
                "LC0155",
                "INFO",
                "1.0.1.0 scheduled for environment",
            ),
            (
                hotfix_scheduling_failed,
                "LC0156",
                "ERROR",
                "1.0.1.0 scheduling failed for environment",
            ),
            (
                hotfix_cancelled,
                "LC0157",
                "INFO",
                "1.0.1.0 cancelled for environment",
            ),
            (
                hotfix_started,
                "LC0158",
                "INFO",
                "1.0.1.0 started for environment",
            ),
            (
                hotfix_applied,
                "LC0159",
                "INFO",
                "1.0.1.0 applied for environment",
            ),
            (hotfix_failed, "LC0160", "ERROR", "1.0.1.0 failed for environment"),
        ];
        for (step, id, level, words) in steps {
            let event = the_event(|| step(&sample()));
            assert_eq!((&event["eventId"], &event["level"]), (&json!(id), &json!(level)));
            assert!(event["message"].as_str().unwrap().contains(words), "{event}");
        }
    }

    #[test]
    fn what_is_unknown_is_left_out() {
        let bare = HotfixEvent {
            environment_version: None,
            extension_name: None,
            extension_publisher: None,
            extension_source_version: None,
            ..sample()
        };
        let event = the_event(|| hotfix_started(&bare));
        for absent in [
            "environmentVersion",
            "extensionName",
            "extensionPublisher",
            "extensionSourceVersion",
            "failureReason",
            "totalTime",
        ] {
            assert!(event.get(absent).is_none(), "{absent}");
        }
    }

    #[test]
    fn a_changed_window_has_every_documented_dimension() {
        let changed = WindowEvent {
            aad_tenant_id: Uuid::from_u128(1),
            application_family: "BusinessCentral",
            country_code: "US",
            environment_name: "CRONUS-PROD",
            environment_type: "Production",
            environment_version: Some("26.1.0.0".to_owned()),
            new_window: [
                Some("2026-03-05T20:00:00.0000000Z"),
                Some("2026-03-06T06:00:00.0000000Z"),
            ],
            old_window: [
                Some("2026-03-05T19:00:00.0000000Z"),
                Some("2026-03-06T05:00:00.0000000Z"),
            ],
            failure_reason: None,
        };
        let expected = json!({
            "level": "INFO",
            "target": "fame::telemetry",
            "message": "Environment update window modified for environment: CRONUS-PROD",
            "eventId": "LC0146",
            "aadTenantId": "00000000-0000-0000-0000-000000000001",
            "applicationFamily": "BusinessCentral",
            "countryCode": "US",
            "environmentName": "CRONUS-PROD",
            "environmentType": "Production",
            "environmentVersion": "26.1.0.0",
            "newUpdateWindowStartTimeUtc": "2026-03-05T20:00:00.0000000Z",
            "newUpdateWindowEndTimeUtc": "2026-03-06T06:00:00.0000000Z",
            "oldUpdateWindowStartTimeUtc": "2026-03-05T19:00:00.0000000Z",
            "oldUpdateWindowEndTimeUtc": "2026-03-06T05:00:00.0000000Z",
        });
        assert_eq!(the_event(|| window_modified(&changed)), expected);
        let refused = WindowEvent {
            new_window: [None; 2],
            old_window: [None; 2],
            failure_reason: Some("too short"),
            ..changed
        };
        let event = the_event(|| window_not_modified(&refused));
        assert_eq!(
            (&event["eventId"], &event["failureReason"]),
            (&json!("LC0147"), &json!("too short"))
        );
        assert_eq!(event["level"], "ERROR");
        assert!(event.get("newUpdateWindowStartTimeUtc").is_none());
    }

    #[test]
    fn a_name_with_a_line_break_stays_on_its_line() {
        let forged = "Rental\n2026-01-01T00:00:00Z ERROR forged\r\u{1b}[31m";
        let event = HotfixEvent {
            extension_name: Some(forged),
            failure_reason: Some(forged),
            ..sample()
        };
        let text = logged("info", LogFormat::Text, || hotfix_failed(&event));
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(!text.contains('\r') && !text.contains('\u{1b}'), "{text:?}");
    }

    #[test]
    fn spans_longer_than_a_day_name_the_days() {
        assert_eq!(
            time_span(Duration::from_secs(2 * 86_400 + 61)),
            "2.00:01:01.0000000"
        );
        assert_eq!(time_span(Duration::ZERO), "00:00:00.0000000");
    }

    #[test]
    fn a_plain_level_opens_only_our_own_crates_beyond_info() {
        let speak = || {
            tracing::debug!(target: "server::http", "ours");
            tracing::debug!(target: "hyper::proto", "of a library");
            tracing::info!(target: "hyper::proto", "at info");
        };
        let text = logged("debug", LogFormat::Text, speak);
        assert!(
            text.contains("ours") && text.contains("at info") && !text.contains("of a library"),
            "{text}"
        );
        assert!(logged("info,hyper=debug", LogFormat::Text, speak).contains("of a library"));
        assert_eq!(logged("off", LogFormat::Text, speak), "");
    }

    #[test]
    fn what_is_tried_again_is_told_by_libraries_only_when_they_are_named() {
        let speak = || {
            tracing::warn!(target: "deadpool.postgres", "a connection broke");
            tracing::info!(target: "object_store::client::retry", "a request is tried again");
            tracing::warn!(target: "object_store::client", "something else");
        };
        for level in ["info", "debug"] {
            let text = logged(level, LogFormat::Text, speak);
            assert!(
                text.contains("something else") && text.lines().count() == 1,
                "{text}"
            );
        }
        for named in [
            "info,deadpool=info,object_store=info",
            "object_store=info,deadpool=info,info",
        ] {
            assert_eq!(
                logged(named, LogFormat::Text, speak).lines().count(),
                3,
                "{named}"
            );
        }
    }
}
