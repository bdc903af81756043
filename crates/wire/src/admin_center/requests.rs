//! What customers ask for, read as their clients send it.
//!
//! They send members that mean nothing here, so these are passed over; but one that is a letter or two away from a member that
//! is known is a misspelt one, and an update that was to wait for the window must not start at once for that.

use crate::{
    hotfixes::required_text,
    lenient::{self, Object},
};
use domain::{
    ids::OperationId,
    instant::Instant,
    postponement::LONGEST_REASON,
    problem::{Code, RuleError},
    text::check_text,
    version::AppVersion,
};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// What clients are known to send where it means nothing.
const SENT_IN_VAIN: &[&str] = &[
    "doNotSaveData",
    "acceptIsvEula",
    "allowPreviewVersion",
    "languageId",
    "targetVersion",
];

/// What a member speaks of that says when something starts: it is never passed over.
const CRUCIAL: &[&str] = &["window", "runafter", "schedule"];

/// Reads a body of which `known` are the members, and the names of those that mean nothing here.
fn read(body: &[u8], known: &[&str]) -> Result<(Object, Vec<String>), RuleError> {
    let object = lenient::object(body)?;
    let ignored = object.passing_over(known, SENT_IN_VAIN, CRUCIAL)?;
    Ok((object, ignored))
}

/// A request to install an app, as a client sends it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct InstallBody {
    /// Which version; the highest that is offered if nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_version: Option<String>,
    /// Whether that may be a preview: in a sandbox.
    #[schema(required = false, nullable)]
    pub allow_preview_version: bool,
    /// Whether other apps may be installed or updated for it.
    #[schema(required = false, nullable)]
    pub install_or_update_needed_dependencies: bool,
    /// Whether it waits for the update window.
    #[schema(required = false, nullable)]
    pub use_environment_update_window: bool,
    /// Has to be true: the terms of the app's publisher are accepted.
    pub accept_isv_eula: bool,
    /// The language, as `da-DK`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language_id: Option<String>,
}

/// A request to install an app, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstallRequest {
    /// Which version.
    pub target_version: Option<AppVersion>,
    /// Whether that may be a preview.
    pub allow_preview: bool,
    /// Whether other apps may be installed or updated for it.
    pub allow_dependencies: bool,
    /// Whether it waits for the update window.
    pub use_window: bool,
    /// Whether the terms are accepted.
    pub accept_eula: bool,
    /// The language.
    pub language_id: Option<String>,
    /// The names of members that mean nothing here.
    pub ignored: Vec<String>,
}

impl InstallRequest {
    const KNOWN: &'static [&'static str] = &[
        "targetVersion",
        "allowPreviewVersion",
        "installOrUpdateNeededDependencies",
        "useEnvironmentUpdateWindow",
        "acceptIsvEula",
        "languageId",
    ];

    /// Reads a request body.
    ///
    /// # Errors
    /// `RequestBodyRequired`, or `InvalidInput` naming what is malformed or misspelt.
    pub fn read(body: &[u8]) -> Result<Self, RuleError> {
        let (object, ignored) = read(body, Self::KNOWN)?;
        Ok(Self {
            target_version: object.parsed("targetVersion")?,
            allow_preview: flag(&object, "allowPreviewVersion")?,
            allow_dependencies: flag(&object, "installOrUpdateNeededDependencies")?,
            use_window: flag(&object, "useEnvironmentUpdateWindow")?,
            accept_eula: flag(&object, "acceptIsvEula")?,
            language_id: object.understood("languageId", language)?,
            ignored,
        })
    }
}

/// A request to update an app, as a client sends it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UpdateBody {
    /// Which version.
    pub target_version: String,
    /// Whether that may be a preview: in a sandbox.
    #[schema(required = false, nullable)]
    pub allow_preview_version: bool,
    /// Whether other apps may be installed or updated for it.
    #[schema(required = false, nullable)]
    pub install_or_update_needed_dependencies: bool,
    /// Whether it waits for the update window.
    #[schema(required = false, nullable)]
    pub use_environment_update_window: bool,
}

/// A request to update an app, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdateRequest {
    /// Which version.
    pub target_version: AppVersion,
    /// Whether that may be a preview.
    pub allow_preview: bool,
    /// Whether other apps may be installed or updated for it.
    pub allow_dependencies: bool,
    /// Whether it waits for the update window.
    pub use_window: bool,
    /// The names of members that mean nothing here.
    pub ignored: Vec<String>,
}

impl UpdateRequest {
    const KNOWN: &'static [&'static str] = &[
        "targetVersion",
        "allowPreviewVersion",
        "installOrUpdateNeededDependencies",
        "useEnvironmentUpdateWindow",
    ];

    /// Reads a request body.
    ///
    /// # Errors
    /// `RequestBodyRequired`, or `InvalidInput` naming what is missing, malformed or misspelt.
    pub fn read(body: &[u8]) -> Result<Self, RuleError> {
        let (object, ignored) = read(body, Self::KNOWN)?;
        let target_version = object.parsed("targetVersion")?;
        Ok(Self {
            target_version: target_version.ok_or_else(|| object.required("targetVersion"))?,
            allow_preview: flag(&object, "allowPreviewVersion")?,
            allow_dependencies: flag(&object, "installOrUpdateNeededDependencies")?,
            use_window: flag(&object, "useEnvironmentUpdateWindow")?,
            ignored,
        })
    }
}

/// A request to take an app out, as a client sends it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UninstallBody {
    /// Whether apps that depend on it go too.
    #[schema(required = false, nullable)]
    pub uninstall_dependents: bool,
    /// Whether its data goes too.
    #[schema(required = false, nullable)]
    pub delete_data: bool,
    /// Whether it waits for the update window.
    #[schema(required = false, nullable)]
    pub use_environment_update_window: bool,
}

/// A request to take an app out, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UninstallRequest {
    /// Whether apps that depend on it go too.
    pub allow_dependents: bool,
    /// Whether its data goes too.
    pub delete_data: bool,
    /// Whether it waits for the update window.
    pub use_window: bool,
    /// The names of members that mean nothing here.
    pub ignored: Vec<String>,
}

impl UninstallRequest {
    const KNOWN: &'static [&'static str] =
        &["uninstallDependents", "deleteData", "useEnvironmentUpdateWindow"];

    /// Reads a request body.
    ///
    /// # Errors
    /// `RequestBodyRequired`, or `InvalidInput` naming what is malformed or misspelt.
    pub fn read(body: &[u8]) -> Result<Self, RuleError> {
        let (object, ignored) = read(body, Self::KNOWN)?;
        Ok(Self {
            allow_dependents: flag(&object, "uninstallDependents")?,
            delete_data: flag(&object, "deleteData")?,
            use_window: flag(&object, "useEnvironmentUpdateWindow")?,
            ignored,
        })
    }
}

/// A request to call an operation off, as a client sends it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct CancelBody {
    /// The operation.
    #[serde(rename = "ScheduledOperationId", skip_serializing_if = "Option::is_none")]
    pub scheduled_operation_id: Option<Uuid>,
}

/// A request to call an operation off, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CancelRequest {
    /// The operation; if nothing is said, the only update of the app that waits.
    pub operation: Option<OperationId>,
    /// The names of members that mean nothing here.
    pub ignored: Vec<String>,
}

impl CancelRequest {
    /// Reads a request body.
    ///
    /// # Errors
    /// `RequestBodyRequired`, or `InvalidInput` naming what is malformed or misspelt.
    pub fn read(body: &[u8]) -> Result<Self, RuleError> {
        let (object, ignored) = read(body, &["scheduledOperationId"])?;
        Ok(Self {
            operation: object.parsed("scheduledOperationId")?,
            ignored,
        })
    }
}

/// A request to put a vendor's hotfix off, as a client sends it. Ours: the original knows none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct PostponeBody {
    /// Until when.
    #[schema(format = DateTime)]
    pub until: String,
    /// Why, for its vendor.
    pub reason: String,
}

/// The same, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostponeRequest {
    /// Until when.
    pub until: Instant,
    /// Why.
    pub reason: String,
}

impl PostponeRequest {
    /// Reads a request body, which has nothing that is not known.
    ///
    /// # Errors
    /// `RequestBodyRequired`, or `InvalidInput` naming what is missing, malformed or unknown.
    pub fn read(body: &[u8]) -> Result<Self, RuleError> {
        let object = lenient::object(body)?;
        object.only(&["until", "reason"])?;
        let until = object.parsed("until")?.ok_or_else(|| object.required("until"))?;
        let reason = required_text(&object, "reason")?;
        check_text("reason", &reason, LONGEST_REASON)?;
        Ok(Self { until, reason })
    }
}

/// When updates may start, as a client sends it: either by the environment's clock with a time zone, or in UTC.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UpgradeSettingsBody {
    /// The start by the environment's clock, as `HH:mm`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferred_start_time: Option<String>,
    /// The end by the environment's clock, as `HH:mm`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferred_end_time: Option<String>,
    /// The time zone, by its Windows id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone_id: Option<String>,
    /// The start in UTC, on any day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferred_start_time_utc: Option<String>,
    /// The end in UTC, on any day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferred_end_time_utc: Option<String>,
}

/// When updates may start, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpgradeSettingsRequest {
    /// The hours.
    pub hours: Hours,
    /// The names of members that mean nothing here.
    pub ignored: Vec<String>,
}

/// The hours of a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hours {
    /// By the clock of a time zone, as `HH:mm`.
    Local {
        /// Its start.
        start: String,
        /// Its end.
        end: String,
        /// The time zone.
        zone: String,
    },
    /// In UTC, as `HH:mm`, by the clock of the environment's country.
    Utc {
        /// Its start.
        start: String,
        /// Its end.
        end: String,
    },
}

const START: &str = "preferredStartTime";
const END: &str = "preferredEndTime";
const ZONE: &str = "timeZoneId";
const START_UTC: &str = "preferredStartTimeUtc";
const END_UTC: &str = "preferredEndTimeUtc";

impl UpgradeSettingsRequest {
    /// Reads a request body.
    ///
    /// # Errors
    /// `RequestBodyRequired`, or `InvalidInput` for half of it, for both ways at once, and for what is malformed or misspelt.
    pub fn read(body: &[u8]) -> Result<Self, RuleError> {
        let (object, ignored) = read(body, &[START, END, ZONE, START_UTC, END_UTC])?;
        let is_said = |names: &[&str]| names.iter().any(|name| object.get(name).is_some());
        let (local, utc) = (is_said(&[START, END, ZONE]), is_said(&[START_UTC, END_UTC]));
        let hours = match (local, utc) {
            (true, false) => Hours::Local {
                start: needed(&object, START, clock)?,
                end: needed(&object, END, clock)?,
                zone: needed(&object, ZONE, |text| Ok(text.to_owned()))?,
            },
            (false, true) => Hours::Utc {
                start: needed(&object, START_UTC, clock_of_instant)?,
                end: needed(&object, END_UTC, clock_of_instant)?,
            },
            (false, false) => {
                let message = format!("Say either {START}, {END} and {ZONE}, or {START_UTC} and {END_UTC}.");
                return Err(RuleError::invalid(START, message));
            }
            (true, true) => {
                let message = format!(
                    "Say either {START}, {END} and {ZONE}, or {START_UTC} and {END_UTC}: which of both would count?"
                );
                return Err(RuleError::invalid(START_UTC, message));
            }
        };
        Ok(Self { hours, ignored })
    }
}

fn needed(
    object: &Object,
    name: &str,
    read: impl Fn(&str) -> Result<String, String>,
) -> Result<String, RuleError> {
    object
        .understood(name, read)?
        .ok_or_else(|| object.required(name))
}

/// A time of day in two digits each, from one in one or two, perhaps with seconds that are none.
fn clock(text: &str) -> Result<String, String> {
    let wrong = || {
        let shown: String = text.chars().take(40).collect();
        format!("'{shown}' is not a time of day such as 20:00 or 6:30")
    };
    let mut parts = text.trim().split(':');
    let (hour, minute) = (parts.next().ok_or_else(wrong)?, parts.next().ok_or_else(wrong)?);
    let seconds = parts.next().unwrap_or("00");
    let is_number = |part: &str, length: std::ops::RangeInclusive<usize>| {
        length.contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    let reads =
        is_number(hour, 1..=2) && is_number(minute, 2..=2) && seconds == "00" && parts.next().is_none();
    match reads {
        true => Ok(format!("{hour:0>2}:{minute}")),
        false => Err(wrong()),
    }
}

/// The time of day of an instant; its day does not matter.
fn clock_of_instant(text: &str) -> Result<String, String> {
    let instant: Instant = text.parse().map_err(|error| format!("{error}"))?;
    let minutes = instant.unix_seconds().rem_euclid(24 * 3_600) / 60;
    Ok(format!("{:02}:{:02}", minutes / 60, minutes % 60))
}

/// How often apps are updated together with the platform, as a client sends it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct CadenceBody {
    /// `Default`, `DuringMajorUpgrade` or `DuringMajorMinorUpgrade`.
    #[schema(value_type = crate::words::UpdateCadence)]
    pub value: String,
}

/// The same, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CadenceRequest {
    /// The word.
    pub cadence: domain::environment::UpdateCadence,
    /// The names of members that mean nothing here.
    pub ignored: Vec<String>,
}

impl CadenceRequest {
    /// Reads a request body.
    ///
    /// # Errors
    /// `RequestBodyRequired`, or `InvalidInput` for what is missing, misspelt or no such word.
    pub fn read(body: &[u8]) -> Result<Self, RuleError> {
        let (object, ignored) = read(body, &["value"])?;
        let cadence = object.parsed("value")?.ok_or_else(|| object.required("value"))?;
        Ok(Self { cadence, ignored })
    }
}

fn flag(object: &Object, name: &str) -> Result<bool, RuleError> {
    Ok(object.flag(name)?.unwrap_or(false))
}

/// A language by its tag: letters, digits and dashes.
fn language(text: &str) -> Result<String, String> {
    const LONGEST: usize = 35;
    let is_tag = (2..=LONGEST).contains(&text.len())
        && text
            .split('-')
            .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    match is_tag {
        true => Ok(text.to_owned()),
        false => {
            let shown: String = text.chars().take(40).collect();
            Err(format!("'{shown}' is not a language such as da-DK"))
        }
    }
}

/// What is wrong with a window, in the words of this API.
#[must_use]
pub fn window_problem(problem: RuleError) -> RuleError {
    let renamed = match problem.target.as_deref() {
        Some("start") => START,
        Some("end") => END,
        Some("timeZone") => ZONE,
        _ => {
            return RuleError::new(Code::InvalidRange, problem.message).about("Preferred Upgrade Window");
        }
    };
    problem.about(renamed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_as_long_as_postponing_lets_it_be() {
        let read = |length: usize| {
            let body = format!(
                r#"{{"until":"2026-03-08T20:00:00Z","reason":"{}"}}"#,
                "é".repeat(length)
            );
            PostponeRequest::read(body.as_bytes()).map_err(|error| error.target)
        };
        assert!(read(LONGEST_REASON).is_ok());
        assert_eq!(read(LONGEST_REASON + 1), Err(Some("reason".into())));
    }

    #[test]
    fn members_are_read_as_clients_spell_them() {
        let sent = br#"{"AcceptIsvEula":"True","targetversion":"1.2.0.0","languageId":"da-DK","useEnvironmentUpdateWindow":null}"#;
        let sent = [b"\xEF\xBB\xBF".as_slice(), sent].concat();
        let request = InstallRequest::read(&sent).unwrap();
        assert!(request.accept_eula && !request.use_window);
        assert_eq!(request.target_version, Some("1.2.0.0".parse().unwrap()));
        assert_eq!(request.language_id.as_deref(), Some("da-DK"));
        assert_eq!(request.ignored, Vec::<String>::new());
    }

    #[test]
    fn what_means_nothing_is_passed_over_and_told() {
        let request = UninstallRequest::read(br#"{"doNotSaveData":true,"elsewhere":1,"$type":"x"}"#).unwrap();
        assert!(!request.delete_data);
        assert_eq!(request.ignored, ["doNotSaveData", "elsewhere", "$type"]);
        let request = UpdateRequest::read(br#"{"targetVersion":"2.0.0.0","acceptIsvEula":true}"#).unwrap();
        assert_eq!(request.ignored, ["acceptIsvEula"]);
    }

    #[test]
    fn a_misspelt_member_is_none_that_means_nothing() {
        let misspelt = [
            (
                r#"{"targetVersion":"1.0","useEnviromentUpdateWindow":true}"#,
                "useEnviromentUpdateWindow",
            ),
            (
                r#"{"targetVersion":"1.0","useEnvironmentUpdateWindows":true}"#,
                "useEnvironmentUpdateWindows",
            ),
            (
                r#"{"targetVersion":"1.0","USEENVIRONMENTUPDATEWINDO":null}"#,
                "USEENVIRONMENTUPDATEWINDO",
            ),
            (r#"{"targetVersoin":"1.0"}"#, "targetVersoin"),
            (
                r#"{"targetVersion":"1.0","useEnvironmentUpgradeWindow":true}"#,
                "useEnvironmentUpgradeWindow",
            ),
            (
                r#"{"targetVersion":"1.0","use_environment_update_window":true}"#,
                "use_environment_update_window",
            ),
            (
                r#"{"targetVersion":"1.0","use-environment-update-window":true}"#,
                "use-environment-update-window",
            ),
            (
                r#"{"targetVersion":"1.0","useUpdateWindow":true}"#,
                "useUpdateWindow",
            ),
            (
                r#"{"targetVersion":"1.0","runAfter":"2026-12-01T00:00:00Z"}"#,
                "runAfter",
            ),
        ];
        for (body, name) in misspelt {
            let problem = UpdateRequest::read(body.as_bytes()).unwrap_err();
            assert_eq!(
                (problem.code, problem.target.as_deref()),
                (Code::InvalidInput, Some(name)),
                "{body}"
            );
            assert!(problem.message.contains(name), "{problem}");
        }
        for body in [r#"{"deletData":true}"#, r#"{"uninstallDependent":true}"#] {
            assert!(UninstallRequest::read(body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn so_much_means_nothing_and_no_more() {
        let body = |count: usize| {
            let members: String = (0..count).map(|number| format!(",\"other{number}\":1")).collect();
            format!(r#"{{"targetVersion":"1.0"{members}}}"#)
        };
        assert_eq!(
            UpdateRequest::read(body(20).as_bytes()).unwrap().ignored.len(),
            20
        );
        let problem = UpdateRequest::read(body(21).as_bytes()).unwrap_err();
        assert_eq!(
            (problem.code, problem.target.as_deref()),
            (Code::BadArgument, Some("body"))
        );
    }

    #[test]
    fn a_body_is_needed_and_an_empty_object_is_one() {
        for empty in ["", " \r\n", "\u{feff}"] {
            let problem = UninstallRequest::read(empty.as_bytes()).unwrap_err();
            assert_eq!(problem.code, Code::RequestBodyRequired);
        }
        assert!(UninstallRequest::read(b"{}").is_ok() && CancelRequest::read(b"{}").is_ok());
        let problem = UpdateRequest::read(b"{}").unwrap_err();
        assert_eq!(
            (problem.code, problem.target.as_deref()),
            (Code::InvalidInput, Some("targetVersion"))
        );
    }

    #[test]
    fn a_window_is_said_in_one_of_two_ways() {
        let read = |body: &str| UpgradeSettingsRequest::read(body.as_bytes()).map(|request| request.hours);
        let local = |start: &str, end: &str| Hours::Local {
            start: start.into(),
            end: end.into(),
            zone: "Romance Standard Time".into(),
        };
        for (start, end) in [("7:30", "19:00"), ("07:30:00", "19:00:00"), ("07:30", "19:00")] {
            let body = format!(
                r#"{{"preferredStartTime":"{start}","preferredEndTime":"{end}","timeZoneId":"Romance Standard Time","preferredStartTimeUtc":null}}"#
            );
            assert_eq!(read(&body).unwrap(), local("07:30", "19:00"));
        }
        let utc = r#"{"preferredStartTimeUtc":"2000-01-01T22:00:00Z","preferredEndTimeUtc":"1999-12-31T06:30:00.0000000Z"}"#;
        let expected = Hours::Utc {
            start: "22:00".into(),
            end: "06:30".into(),
        };
        assert_eq!(read(utc).unwrap(), expected);
        let wrong = [
            ("{}", START),
            (
                r#"{"preferredStartTime":"20:00","preferredEndTime":"06:00"}"#,
                ZONE,
            ),
            (r#"{"timeZoneId":"UTC"}"#, START),
            (r#"{"preferredStartTimeUtc":"2000-01-01T22:00:00Z"}"#, END_UTC),
            (
                r#"{"preferredStartTime":"24:0","preferredEndTime":"06:00","timeZoneId":"UTC"}"#,
                START,
            ),
            (
                r#"{"preferredStartTime":"20:00:30","preferredEndTime":"06:00","timeZoneId":"UTC"}"#,
                START,
            ),
            (
                r#"{"preferredStartTimeUtc":"22:00","preferredEndTimeUtc":"2000-01-01T06:00:00Z"}"#,
                START_UTC,
            ),
            (
                r#"{"timeZoneId":"UTC","preferredStartTimeUtc":"2000-01-01T22:00:00Z"}"#,
                START_UTC,
            ),
        ];
        for (body, target) in wrong {
            let problem = read(body).unwrap_err();
            assert_eq!(
                (problem.code, problem.target.as_deref()),
                (Code::InvalidInput, Some(target)),
                "{body}"
            );
        }
    }
}
