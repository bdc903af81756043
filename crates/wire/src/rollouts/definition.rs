//! A rollout's definition as JSON: read from requests and from files, and written as it is kept, with all that was left out.

use crate::lenient::{self, Object};
use domain::{
    country::CountryCode,
    environment::{EnvironmentKey, check_name},
    ids::TenantId,
    instant::Instant,
    problem::RuleError,
    rollout::definition::{
        Consequence, Definition, Gate, Later, Limits, Order, Percent, Proceed, ProceedWhen, Selection,
        StopRule, Take, Threshold, Wave, read_span, write_span,
    },
    version::AppVersion,
};
use serde_json::{Value, json};
use std::time::Duration;

/// What a definition may say.
const KNOWN: &[&str] = &[
    "name",
    "targetAppVersion",
    "note",
    "runAfter",
    "ignoreUpgradeWindow",
    "select",
    "waves",
    "approval",
];

/// Reads a definition, beside which the members `besides` may stand.
///
/// # Errors
/// `InvalidInput` about the member that is wrong, by its way through the definition (`waves[1].take.count`).
pub fn read_definition(object: &Object, besides: &[&str]) -> Result<Definition, RuleError> {
    let known: Vec<_> = KNOWN.iter().chain(besides).copied().collect();
    object.only(&known)?;
    let waves = object.objects("waves")?.unwrap_or_default();
    let waves = waves.iter().map(read_wave).collect::<Result<Vec<_>, _>>()?;
    let definition = Definition {
        name: object.text("name")?.ok_or_else(|| object.required("name"))?,
        target: object
            .parsed::<AppVersion>("targetAppVersion")?
            .ok_or_else(|| object.required("targetAppVersion"))?,
        note: object.text("note")?,
        run_after: object.parsed::<Instant>("runAfter")?,
        ignore_upgrade_window: read_ignored_window(object)?,
        select: read_selection(object)?,
        waves: match waves.is_empty() {
            true => vec![Wave::default()],
            false => waves,
        },
        approval_required: match object.object("approval")? {
            Some(approval) => {
                approval.only(&["required"])?;
                approval.flag("required")?.unwrap_or(false)
            }
            None => false,
        },
    };
    definition.check()?;
    Ok(definition)
}

/// Reads a definition that stands alone, as it is kept.
///
/// # Errors
/// Those of [`read_definition`], and `InvalidInput` for what is no JSON object.
pub fn parse_definition(text: &str) -> Result<Definition, RuleError> {
    read_definition(&lenient::object(text.as_bytes())?, &[])
}

fn read_ignored_window(object: &Object) -> Result<Option<String>, RuleError> {
    let Some(ignored) = object.object("ignoreUpgradeWindow")? else {
        return Ok(None);
    };
    ignored.only(&["reason"])?;
    ignored
        .text("reason")?
        .map(Some)
        .ok_or_else(|| ignored.required("reason"))
}

fn read_selection(object: &Object) -> Result<Selection, RuleError> {
    let select = object
        .object("select")?
        .ok_or_else(|| object.required("select"))?;
    select.only(&["countries", "filter", "except", "later"])?;
    let countries = match select.get("countries") {
        None => return Err(select.required("countries")),
        Some(Value::String(word)) if word.eq_ignore_ascii_case("all") => None,
        Some(Value::String(_)) => {
            return Err(select.invalid("countries", "it is \"all\", or a list of countries"));
        }
        Some(_) => select.understood_list("countries", |text| {
            CountryCode::parse(text, true).map_err(|error| error.to_string())
        })?,
    };
    Ok(Selection {
        countries,
        filter: select.text("filter")?,
        except: read_keys(&select, "except")?,
        later: select.parsed("later")?.unwrap_or(Later::Ignore),
    })
}

/// Reads a list of environments, each as `TENANT/FAMILY/NAME` or as an object of the three.
///
/// # Errors
/// `InvalidInput` for what is no such list.
pub fn read_keys(object: &Object, name: &str) -> Result<Vec<EnvironmentKey>, RuleError> {
    let is_text = matches!(object.get(name), Some(Value::Array(items)) if items.iter().all(Value::is_string));
    if is_text {
        let keys = object.understood_list(name, |text| {
            read_key(text).ok_or_else(|| format!("'{text}' is not TENANT/FAMILY/NAME"))
        })?;
        return Ok(keys.unwrap_or_default());
    }
    let rows = object.objects(name)?.unwrap_or_default();
    let read = |row: &Object| {
        row.only(&["aadTenantId", "applicationFamily", "name"])?;
        let tenant: TenantId = row
            .parsed("aadTenantId")?
            .ok_or_else(|| row.required("aadTenantId"))?;
        let family = row.text("applicationFamily")?;
        let family = family.ok_or_else(|| row.required("applicationFamily"))?;
        let environment = row.text("name")?.ok_or_else(|| row.required("name"))?;
        check_name(&row.place("applicationFamily"), &family)?;
        check_name(&row.place("name"), &environment)?;
        Ok(EnvironmentKey::new(tenant, &family, &environment))
    };
    rows.iter().map(read).collect()
}

/// The environment that `TENANT/FAMILY/NAME` names.
#[must_use]
pub fn read_key(text: &str) -> Option<EnvironmentKey> {
    let (tenant, rest) = text.split_once('/')?;
    let (family, name) = rest.split_once('/')?;
    check_name("family", family).ok()?;
    check_name("name", name).ok()?;
    Some(EnvironmentKey::new(tenant.parse().ok()?, family, name))
}

fn read_wave(wave: &Object) -> Result<Wave, RuleError> {
    wave.only(&["name", "take", "order", "proceed", "stop", "limits", "deadline"])?;
    Ok(Wave {
        name: wave.text("name")?.ok_or_else(|| wave.required("name"))?,
        take: read_take(wave)?,
        order: read_order(wave)?,
        proceed: read_proceed(wave)?,
        stop: read_stop(wave)?,
        limits: match wave.object("limits")? {
            Some(limits) => {
                limits.only(&["running", "perHour"])?;
                Limits {
                    running: number(&limits, "running")?,
                    per_hour: number(&limits, "perHour")?,
                }
            }
            None => Limits::default(),
        },
        deadline: span(wave, "deadline")?,
    })
}

fn read_take(wave: &Object) -> Result<Take, RuleError> {
    const FORMS: &str = "it is {\"count\":n}, {\"percent\":n}, {\"filter\":\"…\"} or \"rest\"";
    match wave.get("take") {
        None => return Err(wave.required("take")),
        Some(Value::String(word)) if word.eq_ignore_ascii_case("rest") => return Ok(Take::Rest),
        Some(Value::Object(_)) => {}
        Some(_) => return Err(wave.invalid("take", FORMS)),
    }
    let take = wave.object("take")?.unwrap_or_default();
    take.only(&["count", "percent", "filter"])?;
    let forms = (
        number(&take, "count")?,
        percent(&take, "percent")?,
        take.text("filter")?,
    );
    match forms {
        (Some(count), None, None) => Ok(Take::Count(count)),
        (None, Some(percent), None) => Ok(Take::Percent(percent)),
        (None, None, Some(filter)) => Ok(Take::Filter(filter)),
        _ => Err(wave.invalid("take", FORMS)),
    }
}

fn read_order(wave: &Object) -> Result<Order, RuleError> {
    let read = |text: &str| {
        let word = text.to_ascii_lowercase();
        let seed = word
            .strip_prefix("random(")
            .and_then(|rest| rest.strip_suffix(')'));
        match (word.as_str(), seed.map(str::parse)) {
            ("name", _) => Ok(Order::Name),
            ("oldest", _) => Ok(Order::Oldest),
            ("random", _) => Ok(Order::Random(None)),
            (_, Some(Ok(seed))) => Ok(Order::Random(Some(seed))),
            _ => Err("it is name, oldest, random or random(NUMBER)".to_owned()),
        }
    };
    Ok(wave.understood("order", read)?.unwrap_or(Order::Name))
}

fn read_proceed(wave: &Object) -> Result<Proceed, RuleError> {
    const FORMS: &str = "it is \"all ended\" or {\"succeeded\":n,\"of\":\"percent\"}";
    let usual = Proceed::default();
    let Some(proceed) = wave.object("proceed")? else {
        return Ok(usual);
    };
    proceed.only(&["when", "soak", "gate"])?;
    let when = match proceed.get("when") {
        None => usual.when,
        Some(Value::String(word)) if word.eq_ignore_ascii_case("all ended") => ProceedWhen::AllEnded,
        Some(Value::Object(_)) => {
            let when = proceed.object("when")?.unwrap_or_default();
            when.only(&["succeeded", "of"])?;
            if when
                .text("of")?
                .is_some_and(|of| !of.eq_ignore_ascii_case("percent"))
            {
                return Err(when.invalid("of", "it is percent"));
            }
            let share = percent(&when, "succeeded")?;
            ProceedWhen::Succeeded(share.ok_or_else(|| when.required("succeeded"))?)
        }
        Some(_) => return Err(proceed.invalid("when", FORMS)),
    };
    Ok(Proceed {
        when,
        soak: span(&proceed, "soak")?.unwrap_or_default(),
        gate: proceed.parsed("gate")?.unwrap_or(usual.gate),
    })
}

fn read_stop(wave: &Object) -> Result<Option<StopRule>, RuleError> {
    const FORMS: &str = "it is {\"percent\":n,\"min\":n} or {\"count\":n}";
    match wave.get("stop") {
        None => return Ok(Some(StopRule::default())),
        Some(Value::String(word)) if word.eq_ignore_ascii_case("never") => return Ok(None),
        Some(Value::Object(_)) => {}
        Some(_) => return Err(wave.invalid("stop", "it is an object, or \"never\"")),
    }
    let stop = wave.object("stop")?.unwrap_or_default();
    stop.only(&["failed", "then"])?;
    let failed = stop.object("failed")?.ok_or_else(|| stop.required("failed"))?;
    failed.only(&["percent", "min", "count"])?;
    let forms = (
        number(&failed, "count")?,
        percent(&failed, "percent")?,
        number(&failed, "min")?,
    );
    let failed = match forms {
        (Some(count), None, None) => Threshold::Count(count),
        (None, Some(percent), min) => Threshold::Percent {
            percent,
            min: min.unwrap_or(1),
        },
        _ => return Err(stop.invalid("failed", FORMS)),
    };
    Ok(Some(StopRule {
        failed,
        then: stop.parsed("then")?.unwrap_or(Consequence::Pause),
    }))
}

pub(super) fn number(object: &Object, name: &str) -> Result<Option<u64>, RuleError> {
    let Some(value) = object.get(name) else {
        return Ok(None);
    };
    let number = value.as_u64();
    number
        .map(Some)
        .ok_or_else(|| object.invalid(name, "it is a whole number from 0 on"))
}

fn percent(object: &Object, name: &str) -> Result<Option<Percent>, RuleError> {
    let text = match object.get(name) {
        None => return Ok(None),
        Some(Value::Number(number)) => match number.to_string() {
            // A file's number of the form 5.0.
            whole if whole.ends_with(".0") => whole.trim_end_matches(".0").to_owned(),
            text => text,
        },
        Some(Value::String(text)) => text.clone(),
        Some(_) => return Err(object.invalid(name, "it is a number")),
    };
    let read = text.parse::<Percent>();
    read.map(Some)
        .map_err(|error| object.invalid(name, &error.to_string()))
}

fn span(object: &Object, name: &str) -> Result<Option<Duration>, RuleError> {
    object.understood(name, |text| read_span(text).map_err(|error| error.to_string()))
}

/// A definition as JSON, with all that may be left out: equal definitions make equal texts.
#[must_use]
pub fn write_definition(definition: &Definition) -> Value {
    let mut written = json!({
        "name": definition.name,
        "targetAppVersion": definition.target.to_string(),
        "select": write_selection(&definition.select),
        "waves": definition.waves.iter().map(write_wave).collect::<Vec<_>>(),
        "approval": { "required": definition.approval_required },
    });
    let others = [
        ("note", definition.note.clone().map(Value::from)),
        ("runAfter", definition.run_after.map(|at| at.to_string().into())),
        (
            "ignoreUpgradeWindow",
            definition
                .ignore_upgrade_window
                .as_ref()
                .map(|reason| json!({ "reason": reason })),
        ),
    ];
    put(&mut written, others);
    written
}

fn put<const N: usize>(object: &mut Value, members: [(&str, Option<Value>); N]) {
    if let Some(object) = object.as_object_mut() {
        let said = members
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)));
        object.extend(said);
    }
}

fn write_selection(select: &Selection) -> Value {
    let countries: Value = match &select.countries {
        None => "all".into(),
        Some(countries) => countries
            .iter()
            .map(|country| country.as_str())
            .collect::<Vec<_>>()
            .into(),
    };
    let except: Vec<_> = select.except.iter().map(ToString::to_string).collect();
    let mut written = json!({
        "countries": countries,
        "except": except,
        "later": select.later.as_str().to_ascii_lowercase(),
    });
    put(&mut written, [("filter", select.filter.clone().map(Value::from))]);
    written
}

fn write_wave(wave: &Wave) -> Value {
    let take = match &wave.take {
        Take::Count(count) => json!({ "count": count }),
        Take::Percent(percent) => json!({ "percent": percent_value(*percent) }),
        Take::Filter(filter) => json!({ "filter": filter }),
        Take::Rest => "rest".into(),
    };
    let order = match wave.order {
        Order::Name => "name".to_owned(),
        Order::Oldest => "oldest".to_owned(),
        Order::Random(None) => "random".to_owned(),
        Order::Random(Some(seed)) => format!("random({seed})"),
    };
    let when = match wave.proceed.when {
        ProceedWhen::AllEnded => "all ended".into(),
        ProceedWhen::Succeeded(percent) => json!({ "succeeded": percent_value(percent), "of": "percent" }),
    };
    let stop = match wave.stop {
        None => "never".into(),
        Some(StopRule { failed, then }) => {
            let failed = match failed {
                Threshold::Count(count) => json!({ "count": count }),
                Threshold::Percent { percent, min } => {
                    json!({ "percent": percent_value(percent), "min": min })
                }
            };
            json!({ "failed": failed, "then": then.as_str().to_ascii_lowercase() })
        }
    };
    let gate = match wave.proceed.gate {
        Gate::Auto => "auto",
        Gate::Manual => "manual",
    };
    let mut limits = json!({});
    put(
        &mut limits,
        [
            ("running", wave.limits.running.map(Value::from)),
            ("perHour", wave.limits.per_hour.map(Value::from)),
        ],
    );
    let mut written = json!({
        "name": wave.name,
        "take": take,
        "order": order,
        "proceed": { "when": when, "soak": write_span(wave.proceed.soak), "gate": gate },
        "stop": stop,
        "limits": limits,
    });
    let deadline = wave.deadline.map(|deadline| write_span(deadline).into());
    put(&mut written, [("deadline", deadline)]);
    written
}

/// A share as a number where it is a whole one, and else as a text, which loses nothing.
fn percent_value(percent: Percent) -> Value {
    let text = percent.to_string();
    text.parse::<u64>()
        .map_or_else(|_| Value::from(text), Value::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Definition, RuleError> {
        parse_definition(text)
    }

    const WHOLE: &str = r#"{
        "name": "16.0.1.2 to everybody", "targetAppVersion": "16.0.1.2", "note": "the tax fix",
        "runAfter": "2026-12-01T20:00:00Z", "ignoreUpgradeWindow": {"reason": "it is urgent"},
        "select": {"countries": ["US", "DE"], "filter": "type eq 'Production'",
                   "except": ["11111111-2222-3333-4444-555555555555/BusinessCentral/Prod"], "later": "include"},
        "waves": [
            {"name": "canary", "take": {"count": 1}, "order": "oldest",
             "proceed": {"when": {"succeeded": 97.5, "of": "percent"}, "soak": "PT4H", "gate": "manual"},
             "stop": {"failed": {"percent": 5, "min": 3}, "then": "abort"},
             "limits": {"running": 50, "perHour": 500}, "deadline": "P2D"},
            {"name": "tenth", "take": {"percent": 10}, "order": "random(7)", "stop": "never"},
            {"name": "ring", "take": {"filter": "name eq 'a'"}, "stop": {"failed": {"count": 2}}},
            {"name": "rest", "take": "rest"}],
        "approval": {"required": true}}"#;

    #[test]
    fn a_definition_is_read_as_it_is_written() {
        let whole = read(WHOLE).unwrap();
        assert_eq!(whole.waves.len(), 4);
        assert_eq!(whole.waves[0].deadline, Some(Duration::from_secs(2 * 86_400)));
        assert_eq!(whole.waves[1].order, Order::Random(Some(7)));
        assert_eq!(
            (whole.waves[1].stop, whole.waves[3].stop),
            (None, Some(StopRule::default()))
        );
        assert_eq!(whole.select.except.len(), 1);
        let written = write_definition(&whole).to_string();
        assert_eq!(read(&written).unwrap(), whole);
        assert_eq!(write_definition(&read(&written).unwrap()).to_string(), written);
    }

    #[test]
    fn without_waves_there_is_one_with_the_rest() {
        let short = r#"{"name":"a","targetAppVersion":"1.0","select":{"countries":"all"}}"#;
        let definition = read(short).unwrap();
        assert_eq!(definition.waves, [Wave::default()]);
        assert_eq!(definition.select.countries, None);
    }

    #[test]
    fn what_is_wrong_is_named_by_its_way() {
        let with_wave = |wave: &str| {
            format!(
                r#"{{"name":"a","targetAppVersion":"1.0","select":{{"countries":"all"}},"waves":[{{"name":"x","take":"rest"}},{wave}]}}"#
            )
        };
        for (wave, target) in [
            (r#"{"name":"y"}"#, "waves[1].take"),
            (r#"{"name":"y","take":{"count":0}}"#, "waves[1].take.count"),
            (r#"{"name":"y","take":{"count":1,"percent":5}}"#, "waves[1].take"),
            (r#"{"name":"y","take":{"percent":101}}"#, "waves[1].take.percent"),
            (
                r#"{"name":"y","take":"rest","order":"shuffled"}"#,
                "waves[1].order",
            ),
            (
                r#"{"name":"y","take":"rest","proceed":{"soak":"P1M"}}"#,
                "waves[1].proceed.soak",
            ),
            (
                r#"{"name":"y","take":"rest","stop":{"failed":{}}}"#,
                "waves[1].stop.failed",
            ),
            (r#"{"name":"y","take":"rest","limit":1}"#, "waves[1].limit"),
            (r#"{"name":"x","take":"rest"}"#, "waves[1].name"),
        ] {
            let error = read(&with_wave(wave)).unwrap_err();
            assert_eq!(error.target.as_deref(), Some(target), "{wave}: {error}");
        }
    }
}
