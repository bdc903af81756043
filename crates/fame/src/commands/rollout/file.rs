//! A rollout as a file, in TOML or JSON, that can live beside the code that it rolls out.
//!
//! It says what the API's `POST …/rollouts` says, in the same words, and besides which app it is about. Whoever can change a
//! repository can change this file, so it may name a profile, and never a service, nor who signs in there. What is wrong with
//! it is told with the line and the column, before anything is read or sent.

use super::{
    cursor::{Table, count, instant, list, parsed, percent, span, text, truth, word},
    written::{Format, Is, Part, Wrong, place},
};
use crate::{args::AppArg, failure::Failure, profiles};
use domain::{
    country::CountryCode,
    environment::{EnvironmentKey, EnvironmentKind},
    instant::Instant,
    rollout::definition::{
        Consequence, Definition, Gate, Later, Limits, Order, Proceed, ProceedWhen, Selection, StopRule, Take,
        Threshold, Wave,
    },
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

/// The largest file that is read, in bytes.
const MAX_BYTES: u64 = 1 << 20;
/// How long a hotfix may run at a service without leases before nobody counts on its end, where nothing else is said.
const UNKNOWN_AFTER: Duration = Duration::from_hours(24);

/// Members of the file that are not of the rollout's definition.
const OF_THE_FILE: [&str; 4] = ["app", "profile", "unknownAfter", "freezes"];
/// Members of the definition.
const OF_THE_DEFINITION: [&str; 8] = [
    "name",
    "targetAppVersion",
    "note",
    "runAfter",
    "ignoreUpgradeWindow",
    "select",
    "waves",
    "approval",
];

/// A rollout as it is written down.
#[derive(Debug)]
pub(super) struct RolloutFile {
    path: PathBuf,
    part: Part,
    /// The app.
    pub app: AppArg,
    /// The profile to sign in with.
    pub profile: Option<String>,
    /// What is to be done.
    pub definition: Definition,
    /// After how long a hotfix that runs counts as one of which nobody knows how it ended.
    pub unknown_after: Duration,
    /// When nothing starts, for drivers of services that know no freezes.
    pub freezes: Vec<Freeze>,
}

/// A time in which nothing starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Freeze {
    /// When it begins.
    pub from: Instant,
    /// When it is over.
    pub to: Instant,
    /// The countries that it is for; none for all.
    pub countries: Vec<CountryCode>,
    /// The types of environments that it is for; none for all.
    pub types: Vec<EnvironmentKind>,
}

impl Freeze {
    /// Whether an environment is frozen then. One of which nobody knows what it is for is.
    pub(super) fn covers(&self, at: Instant, country: CountryCode, kind: Option<EnvironmentKind>) -> bool {
        let is_of_kind = kind.is_none_or(|kind| self.types.is_empty() || self.types.contains(&kind));
        let is_there = self.countries.is_empty() || self.countries.contains(&country);
        self.from <= at && at < self.to && is_there && is_of_kind
    }
}

impl RolloutFile {
    /// Reads a file: JSON where it is called so or begins with a brace, else TOML.
    ///
    /// # Errors
    /// [`Failure::Usage`] with the line and the column of what is wrong.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let facts = fs::metadata(path).map_err(|error| Failure::unreadable(path, &error))?;
        if facts.len() > MAX_BYTES {
            let shown = path.display();
            return Err(Failure::Usage(format!(
                "{shown} is no rollout: it has more than {MAX_BYTES} bytes"
            )));
        }
        let text = fs::read_to_string(path).map_err(|error| Failure::unreadable(path, &error))?;
        Self::understood(path, &text).map_err(|wrong| {
            let (line, column) = place(&text, wrong.at);
            Failure::Usage(format!(
                "{}, line {line}, column {column}: {}",
                path.display(),
                wrong.what
            ))
        })
    }

    fn understood(path: &Path, text: &str) -> Result<Self, Wrong> {
        let is_json = path
            .extension()
            .is_some_and(|end| end.eq_ignore_ascii_case("json"));
        let format = match is_json || text.trim_start().starts_with('{') {
            true => Format::Json,
            false => Format::Toml,
        };
        let part = Part::read(text, format)?;
        let table = Table::of(&part, &[&OF_THE_FILE[..], &OF_THE_DEFINITION].concat())?;
        let definition = definition(&table)?;
        definition.check().map_err(|error| {
            let way = error.target.as_deref().unwrap_or_default();
            part.along(way).wrong(error.message.clone())
        })?;
        Ok(Self {
            path: path.to_owned(),
            app: AppArg {
                app: parsed(table.need("app")?)?,
            },
            profile: table.read("profile", profile)?,
            definition,
            unknown_after: table.read("unknownAfter", span)?.unwrap_or(UNKNOWN_AFTER),
            freezes: table
                .read("freezes", |part| list(part, freeze))?
                .unwrap_or_default(),
            part,
        })
    }

    /// What the file says of the rollout alone, in a form that does not depend on how it is written. Freezes may come and go.
    pub(super) fn digestible(&self) -> String {
        let mut whole = self.part.to_json();
        if let Some(members) = whole.as_object_mut() {
            members.retain(|name, _| !["app", "profile", "freezes"].contains(&name.as_str()));
        }
        sorted(whole).to_string()
    }

    /// The body of a request about the rollout.
    ///
    /// # Errors
    /// [`Failure::Usage`] for what a service that drives rollouts knows by itself.
    pub(super) fn body(&self) -> Result<Value, Failure> {
        if !self.freezes.is_empty() {
            return Err(Failure::Usage(format!(
                "{}: `freezes` are for `fame rollout run` alone: this service has its own, which hold for everything of the \
                 app.",
                self.path.display()
            )));
        }
        let mut body = self.part.to_json();
        if let Some(members) = body.as_object_mut() {
            members.retain(|name, _| !OF_THE_FILE.contains(&name.as_str()));
        }
        Ok(body)
    }

    /// Makes sure that nothing is asked for which a client cannot see to.
    ///
    /// # Errors
    /// [`Failure::Usage`] with the first.
    pub(super) fn check_for_client(&self) -> Result<(), Failure> {
        let refused = match &self.definition {
            definition if definition.approval_required => {
                "`approval` needs a service that knows who approves; have the file reviewed instead"
            }
            definition if definition.select.later == Later::Include => {
                "`later` is include, and `fame rollout run` keeps to the environments that there are when it begins"
            }
            _ => return Ok(()),
        };
        Err(Failure::Usage(format!("{}: {refused}.", self.path.display())))
    }
}

/// The same with the members of every table in the order of their names.
fn sorted(value: Value) -> Value {
    match value {
        Value::Array(parts) => parts.into_iter().map(sorted).collect(),
        Value::Object(members) => {
            let members: BTreeMap<String, Value> = members.into_iter().collect();
            members
                .into_iter()
                .map(|(name, part)| (name, sorted(part)))
                .collect()
        }
        other => other,
    }
}

fn profile(part: &Part) -> Result<String, Wrong> {
    profiles::name(text(part)?).map_err(|error| part.wrong(error.to_string()))
}

fn definition(table: &Table<'_>) -> Result<Definition, Wrong> {
    let waves = table.read("waves", |part| list(part, wave))?.unwrap_or_default();
    Ok(Definition {
        name: text(table.need("name")?)?.to_owned(),
        target: parsed(table.need("targetAppVersion")?)?,
        note: table.read("note", text)?.map(str::to_owned),
        run_after: table.read("runAfter", instant)?,
        ignore_upgrade_window: table.read("ignoreUpgradeWindow", reason_in)?,
        select: selection(table.need("select")?)?,
        waves: match waves.is_empty() {
            true => vec![Wave::default()],
            false => waves,
        },
        approval_required: table.read("approval", required)?.unwrap_or(false),
    })
}

fn reason_in(part: &Part) -> Result<String, Wrong> {
    let table = Table::of(part, &["reason"])?;
    Ok(text(table.need("reason")?)?.to_owned())
}

fn required(part: &Part) -> Result<bool, Wrong> {
    let table = Table::of(part, &["required"])?;
    truth(table.need("required")?)
}

fn selection(part: &Part) -> Result<Selection, Wrong> {
    let table = Table::of(part, &["countries", "filter", "except", "later"])?;
    Ok(Selection {
        countries: countries(table.need("countries")?)?,
        filter: table.read("filter", text)?.map(str::to_owned),
        except: table.read("except", |part| list(part, key))?.unwrap_or_default(),
        later: table
            .read("later", |part| {
                word(part, &[("ignore", Later::Ignore), ("include", Later::Include)])
            })?
            .unwrap_or(Later::Ignore),
    })
}

fn countries(part: &Part) -> Result<Option<Vec<CountryCode>>, Wrong> {
    match &part.is {
        Is::Text(all) if all == "all" => Ok(None),
        Is::List(_) => list(part, parsed).map(Some),
        _ => Err(part.wrong("\"all\" is wanted here, or a list of countries")),
    }
}

/// `tenant/family/name`; a name may have a slash, and a family has none.
fn key(part: &Part) -> Result<EnvironmentKey, Wrong> {
    let written = text(part)?;
    let mut pieces = written.splitn(3, '/');
    let read = match (pieces.next(), pieces.next(), pieces.next()) {
        (Some(tenant), Some(family), Some(name)) => {
            let tenant = tenant.parse().ok();
            tenant.map(|tenant| EnvironmentKey::new(tenant, family, name))
        }
        _ => None,
    };
    read.ok_or_else(|| {
        part.wrong(format!(
            "'{written}' is no environment: it is written TENANT/FAMILY/NAME, the tenant by its id"
        ))
    })
}

fn wave(part: &Part) -> Result<Wave, Wrong> {
    const MEMBERS: [&str; 7] = ["name", "take", "order", "proceed", "stop", "limits", "deadline"];
    let table = Table::of(part, &MEMBERS)?;
    Ok(Wave {
        name: text(table.need("name")?)?.to_owned(),
        take: take(table.need("take")?)?,
        order: table.read("order", order)?.unwrap_or(Order::Name),
        proceed: table.read("proceed", proceed)?.unwrap_or_default(),
        stop: match table.get("stop") {
            Some(part) => stop(part)?,
            None => Some(StopRule::default()),
        },
        limits: table.read("limits", limits)?.unwrap_or_default(),
        deadline: table.read("deadline", span)?,
    })
}

/// The one member that a table of choices has.
fn only<'p>(
    part: &'p Part,
    table: &Table<'p>,
    choices: [&'static str; 3],
) -> Result<(&'static str, &'p Part), Wrong> {
    let mut there = choices.iter().filter_map(|name| Some((*name, table.get(name)?)));
    match (there.next(), there.next()) {
        (Some(one), None) => Ok(one),
        _ => Err(part.wrong(format!(
            "exactly one of {} is wanted here",
            choices.map(|name| format!("`{name}`")).join(", ")
        ))),
    }
}

fn take(part: &Part) -> Result<Take, Wrong> {
    const CHOICES: [&str; 3] = ["count", "percent", "filter"];
    if let Is::Text(_) = part.is {
        word(part, &[("rest", ())])?;
        return Ok(Take::Rest);
    }
    let table = Table::of(part, &CHOICES)?;
    match only(part, &table, CHOICES)? {
        ("count", number) => count(number).map(Take::Count),
        ("percent", share) => percent(share).map(Take::Percent),
        (_, filter) => Ok(Take::Filter(text(filter)?.to_owned())),
    }
}

fn order(part: &Part) -> Result<Order, Wrong> {
    let written = text(part)?;
    let seed = written
        .strip_prefix("random(")
        .and_then(|rest| rest.strip_suffix(')'));
    match (written, seed.map(str::parse)) {
        ("name", _) => Ok(Order::Name),
        ("oldest", _) => Ok(Order::Oldest),
        ("random", _) => Ok(Order::Random(None)),
        (_, Some(Ok(seed))) => Ok(Order::Random(Some(seed))),
        _ => Err(part.wrong(format!(
            "'{written}' is none of `name`, `oldest`, `random` and `random(7)`"
        ))),
    }
}

fn proceed(part: &Part) -> Result<Proceed, Wrong> {
    let table = Table::of(part, &["when", "soak", "gate"])?;
    let unsaid = Proceed::default();
    Ok(Proceed {
        when: table.read("when", proceed_when)?.unwrap_or(unsaid.when),
        soak: table.read("soak", span)?.unwrap_or(unsaid.soak),
        gate: table
            .read("gate", |part| {
                word(part, &[("auto", Gate::Auto), ("manual", Gate::Manual)])
            })?
            .unwrap_or(unsaid.gate),
    })
}

fn proceed_when(part: &Part) -> Result<ProceedWhen, Wrong> {
    if let Is::Text(_) = part.is {
        word(part, &[("all ended", ())])?;
        return Ok(ProceedWhen::AllEnded);
    }
    let table = Table::of(part, &["succeeded", "of"])?;
    table.read("of", |part| word(part, &[("percent", ())]))?;
    percent(table.need("succeeded")?).map(ProceedWhen::Succeeded)
}

fn stop(part: &Part) -> Result<Option<StopRule>, Wrong> {
    if let Is::Text(_) = part.is {
        word(part, &[("never", ())])?;
        return Ok(None);
    }
    let table = Table::of(part, &["failed", "then"])?;
    let consequences = [("pause", Consequence::Pause), ("abort", Consequence::Abort)];
    Ok(Some(StopRule {
        failed: threshold(table.need("failed")?)?,
        then: table
            .read("then", |part| word(part, &consequences))?
            .unwrap_or(Consequence::Pause),
    }))
}

fn threshold(part: &Part) -> Result<Threshold, Wrong> {
    let table = Table::of(part, &["count", "percent", "min"])?;
    match (table.get("count"), table.get("percent")) {
        (Some(number), None) if table.get("min").is_none() => count(number).map(Threshold::Count),
        (None, Some(share)) => Ok(Threshold::Percent {
            percent: percent(share)?,
            min: table.read("min", count)?.unwrap_or(1),
        }),
        _ => Err(part.wrong("either `count` is wanted here, or `percent` with `min`")),
    }
}

fn limits(part: &Part) -> Result<Limits, Wrong> {
    let table = Table::of(part, &["running", "perHour"])?;
    Ok(Limits {
        running: table.read("running", count)?,
        per_hour: table.read("perHour", count)?,
    })
}

fn freeze(part: &Part) -> Result<Freeze, Wrong> {
    let table = Table::of(part, &["from", "to", "countries", "types", "reason"])?;
    let freeze = Freeze {
        from: instant(table.need("from")?)?,
        to: instant(table.need("to")?)?,
        countries: table
            .read("countries", |part| list(part, parsed))?
            .unwrap_or_default(),
        types: table
            .read("types", |part| list(part, parsed))?
            .unwrap_or_default(),
    };
    table.read("reason", text)?;
    match freeze.from < freeze.to {
        true => Ok(freeze),
        false => Err(table.need("to")?.wrong("it ends before it begins")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const TOML: &str = r#"
app = "aaaaaaaa-0000-1111-2222-bbbbbbbbbbbb"
name = "Sales Pack 16.0.2"
targetAppVersion = "16.0.2.0"
runAfter = 2026-12-01T18:00:00Z

[select]
countries = ["us", "DE"]
filter = "type eq 'Production'"
except = ["aaaabbbb-0000-cccc-1111-dddd2222eeee/Business Central/Old/Home"]

[[waves]]
name = "canary"
take = { count = 2 }
proceed = { when = { succeeded = 95.5, of = "percent" }, soak = "PT4H", gate = "manual" }
stop = { failed = { count = 1 } }

[[waves]]
name = "rest"
take = "rest"
order = "random(7)"
stop = { failed = { percent = 5, min = 3 }, then = "abort" }
limits = { running = 50, perHour = 500 }
deadline = "P2D"

[[freezes]]
from = 2026-12-20T00:00:00Z
to = "2027-01-06T00:00:00+01:00"
countries = "DE"
reason = "Christmas"
"#;

    const LEAST: &str =
        "app = 'x'\nname = 'n'\ntargetAppVersion = '1.0.1.0'\nselect = { countries = 'all' }\n";

    fn read(text: &str) -> Result<RolloutFile, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rollout");
        fs::write(&path, text).unwrap();
        RolloutFile::read(&path).map_err(|failure| failure.to_string())
    }

    #[test]
    fn a_rollout_is_read_from_toml_and_from_json_alike() {
        let toml = read(TOML).unwrap();
        let definition = &toml.definition;
        assert_eq!(definition.waves.len(), 2);
        assert_eq!(definition.waves[0].take, Take::Count(2));
        assert_eq!(definition.waves[1].name, "rest");
        assert_eq!(definition.waves[1].order, Order::Random(Some(7)));
        assert_eq!(definition.select.except[0].name_key, "old/home");
        assert_eq!(toml.unknown_after, UNKNOWN_AFTER);
        let mut whole = toml.part.to_json();
        let json = read(&whole.to_string()).unwrap();
        assert_eq!(json.digestible(), toml.digestible());
        assert_eq!(json.freezes, toml.freezes);
        whole["waves"][0]["take"]["count"] = 3.into();
        assert_ne!(read(&whole.to_string()).unwrap().digestible(), toml.digestible());
    }

    #[test]
    fn a_rollout_without_waves_has_one_and_a_wave_without_a_rule_the_usual_one() {
        let file = read(LEAST).unwrap();
        assert_eq!(file.definition.waves, [Wave::default()]);
        let never = "[[waves]]\nname = 'all'\ntake = 'rest'\nstop = 'never'";
        let file = read(&format!("{LEAST}{never}")).unwrap();
        assert_eq!(file.definition.waves[0].stop, None);
    }

    #[test]
    fn what_the_documentation_shows_is_a_rollout() {
        let page = include_str!("../../../../../docs/guide/rollout.md");
        let samples = page.split("```toml\n").skip(1);
        let samples: String = samples.map(|rest| rest.split("```").next().unwrap()).collect();
        let file = read(&samples).unwrap();
        assert_eq!((file.definition.waves.len(), file.freezes.len()), (2, 1));
    }

    #[test]
    fn a_freeze_holds_from_its_begin_to_before_its_end() {
        let freeze = read(TOML).unwrap().freezes.remove(0);
        let covers = |at: &str, country: &str| {
            freeze.covers(
                at.parse().unwrap(),
                country.parse().unwrap(),
                Some(EnvironmentKind::Production),
            )
        };
        assert!(covers("2026-12-20T00:00:00Z", "DE") && covers("2027-01-05T22:59:59Z", "DE"));
        assert!(!covers("2027-01-05T23:00:00Z", "DE") && !covers("2026-12-25T00:00:00Z", "US"));
    }

    #[test]
    fn the_request_has_what_the_rollout_is_and_no_more() {
        let freezes = read(TOML).unwrap();
        assert!(freezes.body().unwrap_err().to_string().contains("its own"));
        let text = TOML.split("[[freezes]]").next().unwrap();
        let body = read(text).unwrap().body().unwrap();
        let names: Vec<&String> = body.as_object().unwrap().keys().collect();
        assert_eq!(names, ["name", "targetAppVersion", "runAfter", "select", "waves"]);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (from, to, place, fact) in [
            (
                "targetAppVersion",
                "targetAppVersoin",
                "line 4, column 1",
                "did you mean `targetAppVersion`?",
            ),
            ("16.0.2.0", "16.x", "line 4, column 20", "'16.x'"),
            (
                "runAfter = 2026-12-01T18:00:00Z",
                "runAfter = 2026-12-01T18:00:00",
                "line 5, column 12",
                "offset",
            ),
            (
                "\"us\", \"DE\"",
                "\"us\", \"Denmark\"",
                "line 8, column 20",
                "Denmark",
            ),
            (
                "Business Central/Old/Home",
                "Old",
                "line 10, column 11",
                "TENANT/FAMILY/NAME",
            ),
            ("count = 2", "count = 0", "line 14, column 18", "from 1 on"),
            (
                "count = 2",
                "count = 2, percent = 3",
                "line 14, column 8",
                "exactly one",
            ),
            ("95.5", "95.555", "line 15, column 34", "95.555"),
            ("PT4H", "P1M", "line 15, column 65", "P1M"),
            ("\"manual\"", "\"sometimes\"", "line 15, column 80", "`manual`"),
            ("{ count = 1 }", "{ min = 1 }", "line 16, column 19", "`percent`"),
            ("random(7)", "random(x)", "line 21, column 9", "random(7)"),
            (
                "take = \"rest\"",
                "take = \"Rest\"",
                "line 20, column 8",
                "`rest`",
            ),
            (
                "app = \"aaaaaaaa",
                "url = 'x'\napp = \"aaaaaaaa",
                "line 2, column 1",
                "`url`",
            ),
            (
                "2027-01-06",
                "2026-01-06",
                "line 28, column 6",
                "before it begins",
            ),
        ] {
            assert!(TOML.contains(from), "{from}");
            let told = read(&TOML.replacen(from, to, 1)).unwrap_err();
            assert!(told.contains(place) && told.contains(fact), "{to}: {told}");
        }
    }

    #[test]
    fn a_rule_of_the_whole_is_told_at_the_part_that_breaks_it() {
        let told = read(&TOML.replacen("{ count = 2 }", "\"rest\"", 1)).unwrap_err();
        assert!(
            told.contains("line 14, column 8") && told.contains("waves[0].take"),
            "{told}"
        );
        let told = read(&TOML.replacen("name = \"rest\"", "name = \"canary\"", 1)).unwrap_err();
        assert!(
            told.contains("line 19, column 8") && told.contains("earlier wave"),
            "{told}"
        );
    }

    #[test]
    fn a_client_says_what_it_cannot_see_to() {
        let approved = format!("approval = {{ required = true }}\n{TOML}");
        let told = read(&approved)
            .unwrap()
            .check_for_client()
            .unwrap_err()
            .to_string();
        assert!(told.contains("who approves"), "{told}");
        let later = TOML.replacen("[select]", "[select]\nlater = 'include'", 1);
        assert!(read(&later).unwrap().check_for_client().is_err());
        assert!(read(TOML).unwrap().check_for_client().is_ok());
    }
}
