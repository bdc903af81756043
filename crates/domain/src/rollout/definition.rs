//! What a rollout is asked to do: it never changes after the rollout was created, for otherwise neither an approval nor
//! a plan's fingerprint would mean anything.

use crate::{
    country::CountryCode,
    environment::EnvironmentKey,
    instant::Instant,
    problem::{Detail, RuleError},
    text::check_text,
    version::AppVersion,
    vocabulary::vocabulary,
};
use jiff::{SignedDuration, Span, SpanRelativeTo};
use std::{fmt, str::FromStr, time::Duration};

/// Longest name of a rollout or of a wave, in characters.
pub const LONGEST_NAME: usize = 100;
/// Longest note, and longest reason, in characters.
pub const LONGEST_TEXT: usize = 1_000;
/// Longest filter, in characters.
pub const LONGEST_FILTER: usize = 4_000;
/// Most waves of one rollout.
pub const MOST_WAVES: usize = 100;
/// Most environments that `except` may name.
pub const MOST_EXCEPTED: usize = 10_000;
/// Longest soak and deadline.
pub const LONGEST_SPAN: Duration = Duration::from_secs(366 * 24 * 3_600);

/// What a rollout is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// What it is called.
    pub name: String,
    /// The version to bring.
    pub target: AppVersion,
    /// What its makers want to remember of it.
    pub note: Option<String>,
    /// When its first wave begins at the earliest.
    pub run_after: Option<Instant>,
    /// Why environments' update windows are not waited for; `None` where they are.
    pub ignore_upgrade_window: Option<String>,
    /// The environments that it is for.
    pub select: Selection,
    /// In which order; at least one.
    pub waves: Vec<Wave>,
    /// Whether somebody else has to approve it, whatever the app's policy.
    pub approval_required: bool,
}

/// The environments that a rollout is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// The countries; `None` for all in which the target is offered.
    pub countries: Option<Vec<CountryCode>>,
    /// A `$filter` over environments, as it was written.
    pub filter: Option<String>,
    /// Environments that are left out.
    pub except: Vec<EnvironmentKey>,
    /// What becomes of environments that fit only later.
    pub later: Later,
}

vocabulary! {
    /// What becomes of environments that fit the selection only after the rollout was created.
    Later {
        /// They are no part of it.
        Ignore,
        /// They join a wave that has not begun, or the last one until it may proceed.
        Include,
    }
}

/// Some of the environments, together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wave {
    /// What it is called.
    pub name: String,
    /// Which environments it takes of those that no wave has.
    pub take: Take,
    /// Which it takes first, and which begin first.
    pub order: Order,
    /// When the next wave may begin.
    pub proceed: Proceed,
    /// What stops the rollout; `None` where nothing does.
    pub stop: Option<StopRule>,
    /// How much may happen at once.
    pub limits: Limits,
    /// How long after it began what has not begun in it is called off.
    pub deadline: Option<Duration>,
}

/// Which environments a wave takes; decided when it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Take {
    /// So many.
    Count(u64),
    /// This share of the whole selection, rounded up, and at least one.
    Percent(Percent),
    /// Those that fit a `$filter` over environments.
    Filter(String),
    /// All that are left.
    Rest,
}

/// The order of environments in a wave. Each is total: equals are ordered by name, tenant and family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// By the normal form of the name.
    Name,
    /// Those with the lowest installed version first.
    Oldest,
    /// By lot: [`lot`] of the seed, or of the rollout's own identity where there is none, and the environment's key.
    Random(Option<u64>),
}

/// When the next wave may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proceed {
    /// What must have come about.
    pub when: ProceedWhen,
    /// How long after that it is waited for late failures.
    pub soak: Duration,
    /// Whether somebody has to open the way.
    pub gate: Gate,
}

/// What must have come about in a wave before the next may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProceedWhen {
    /// Every member has ended, however it did.
    AllEnded,
    /// This share of the members that count has succeeded. Those that ended and say nothing about the target do not
    /// count.
    Succeeded(Percent),
}

vocabulary! {
    /// Whether somebody has to open the way to the next wave.
    Gate {
        /// It opens by itself.
        Auto,
        /// It opens by `advance`.
        Manual,
    }
}

/// What stops a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopRule {
    /// How much must have failed.
    pub failed: Threshold,
    /// What follows.
    pub then: Consequence,
}

/// How much must have failed in a wave. Reached is enough, and without a failure nothing stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threshold {
    /// So many members.
    Count(u64),
    /// This share of the members that were tried.
    Percent {
        /// The share.
        percent: Percent,
        /// How many must have been tried before a share says anything; with the wave's end it does in any case.
        min: u64,
    },
}

vocabulary! {
    /// What follows when too much has failed.
    Consequence {
        /// The rollout is paused.
        Pause,
        /// The rollout is aborted.
        Abort,
    }
}

/// How much of a rollout may happen at once. The limits of the wave that began last bind all of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// How many hotfixes may run at the same time.
    pub running: Option<u64>,
    /// How many may start within any sixty minutes.
    pub per_hour: Option<u64>,
}

/// A share in hundredths of a percent, so that it can be compared exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Percent(u16);

/// A text that is no share.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a number from 0 to 100 with at most two decimals")]
pub struct InvalidPercent(pub String);

/// The whole, in hundredths of a percent.
const WHOLE: u16 = 10_000;

impl Percent {
    /// So many hundredths of a percent, as far as that is a share.
    #[must_use]
    pub const fn of_hundredths(hundredths: u16) -> Option<Self> {
        if hundredths <= WHOLE {
            Some(Self(hundredths))
        } else {
            None
        }
    }

    /// In hundredths of a percent.
    #[must_use]
    pub const fn hundredths(self) -> u16 {
        self.0
    }

    /// Whether `part` is this share of `whole`, or more.
    #[must_use]
    pub fn is_reached(self, part: u64, whole: u64) -> bool {
        u128::from(part) * u128::from(WHOLE) >= u128::from(self.0) * u128::from(whole)
    }

    /// This share of `whole`, rounded up.
    #[must_use]
    pub fn of(self, whole: u64) -> u64 {
        let share = (u128::from(self.0) * u128::from(whole)).div_ceil(u128::from(WHOLE));
        u64::try_from(share).unwrap_or(u64::MAX)
    }
}

impl FromStr for Percent {
    type Err = InvalidPercent;

    fn from_str(text: &str) -> Result<Self, InvalidPercent> {
        let read = || {
            let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
            let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            if !is_number(whole) || !is_number(decimals) || decimals.len() > 2 {
                return None;
            }
            let hundredths = format!("{decimals:0<2}").parse::<u16>().ok()?;
            Self::of_hundredths(
                whole
                    .parse::<u16>()
                    .ok()?
                    .checked_mul(100)?
                    .checked_add(hundredths)?,
            )
        };
        read().ok_or_else(|| InvalidPercent(text.chars().take(80).collect()))
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, decimals) = (self.0 / 100, self.0 % 100);
        match (decimals, decimals % 10) {
            (0, _) => write!(f, "{whole}"),
            (_, 0) => write!(f, "{whole}.{}", decimals / 10),
            _ => write!(f, "{whole}.{decimals:02}"),
        }
    }
}

/// A text that is no span of time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a duration such as PT4H or P2D; months and years have no length of their own")]
pub struct InvalidSpan(pub String);

/// Reads a span of elapsed time as ISO 8601 writes it; a day has 24 hours.
///
/// # Errors
/// [`InvalidSpan`] for what is none, is less than nothing, or names months or years.
pub fn read_span(text: &str) -> Result<Duration, InvalidSpan> {
    let read = || {
        let span: Span = text.starts_with('P').then(|| text.parse().ok())??;
        let is_elapsed = span.get_years() == 0 && span.get_months() == 0;
        let elapsed = is_elapsed.then(|| span.to_duration(SpanRelativeTo::days_are_24_hours()))?;
        Duration::try_from(elapsed.ok()?).ok()
    };
    read().ok_or_else(|| InvalidSpan(text.chars().take(80).collect()))
}

/// Writes a span of elapsed time as ISO 8601 does.
#[must_use]
pub fn write_span(span: Duration) -> String {
    SignedDuration::try_from(span)
        .unwrap_or(SignedDuration::MAX)
        .to_string()
}

/// Where an environment stands when a wave is ordered by lot: environments that join later leave the others in the
/// order that they had.
#[must_use]
pub fn lot(seed: u64, environment: &EnvironmentKey) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64 ^ seed;
    let tenant = environment.tenant_id.0;
    let family = environment.family_key.bytes();
    let key = tenant.as_bytes().iter().copied().chain(family).chain([0]);
    for byte in key.chain(environment.name_key.bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    // Of keys that differ only in their last letters the upper half would hardly differ.
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

impl Default for StopRule {
    /// What stops a wave of which nothing else is said.
    fn default() -> Self {
        Self {
            failed: Threshold::Percent {
                percent: Percent(1_000),
                min: 5,
            },
            then: Consequence::Pause,
        }
    }
}

impl Default for Proceed {
    fn default() -> Self {
        Self {
            when: ProceedWhen::AllEnded,
            soak: Duration::ZERO,
            gate: Gate::Auto,
        }
    }
}

impl Default for Wave {
    /// The wave of a rollout that names none: all that are left, with everything else as it is where nothing is said.
    fn default() -> Self {
        Self {
            name: "rest".to_owned(),
            take: Take::Rest,
            order: Order::Name,
            proceed: Proceed::default(),
            stop: Some(StopRule::default()),
            limits: Limits::default(),
            deadline: None,
        }
    }
}

impl Take {
    /// How many members a wave takes at most of a selection of this size; `None` for all that fit.
    #[must_use]
    pub fn most(&self, selection: u64) -> Option<u64> {
        match self {
            Self::Count(count) => Some(*count),
            Self::Percent(percent) => Some(percent.of(selection).max(1)),
            Self::Filter(_) | Self::Rest => None,
        }
    }
}

/// What a plan of a rollout found, as far as warnings depend on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Planned {
    /// How many members no wave would take.
    pub untaken: u64,
    /// How many members more than one wave would take, if an earlier one did not.
    pub overlapping: u64,
    /// For each wave, how many members would first start after its deadline.
    pub after_deadline: Vec<u64>,
    /// For each wave, how many members have no start that anybody could expect.
    pub without_start: Vec<u64>,
}

impl Definition {
    /// Whether it can be carried out by anybody.
    ///
    /// # Errors
    /// `InvalidInput` about the member that is wrong, by its way through the definition (`waves[1].take.count`).
    pub fn check(&self) -> Result<(), RuleError> {
        check_filled("name", &self.name, LONGEST_NAME)?;
        if let Some(note) = &self.note {
            check_text("note", note, LONGEST_TEXT)?;
        }
        if let Some(reason) = &self.ignore_upgrade_window {
            check_filled("ignoreUpgradeWindow.reason", reason, LONGEST_TEXT)?;
        }
        self.select.check()?;
        if self.waves.is_empty() || self.waves.len() > MOST_WAVES {
            let message = format!(
                "'waves' has {} waves, of which there may be 1 to {MOST_WAVES}.",
                self.waves.len()
            );
            return Err(RuleError::invalid("waves", message));
        }
        for (number, wave) in self.waves.iter().enumerate() {
            wave.check(number)?;
            self.check_name_of(number, wave)?;
        }
        self.check_seeds()
    }

    /// A member has one lot, whichever wave takes it.
    fn check_seeds(&self) -> Result<(), RuleError> {
        let random = self
            .waves
            .iter()
            .enumerate()
            .filter_map(|(number, wave)| match wave.order {
                Order::Random(seed) => Some((number, seed)),
                Order::Name | Order::Oldest => None,
            });
        let mut random = random.peekable();
        let first = random.peek().map(|(_, seed)| *seed);
        match random.find(|(_, seed)| Some(*seed) != first) {
            None => Ok(()),
            Some((number, _)) => {
                let target = format!("waves[{number}].order");
                let message = format!("'{target}' has another seed than an earlier wave; all have the same.");
                Err(RuleError::invalid(target, message))
            }
        }
    }

    fn check_name_of(&self, number: usize, wave: &Wave) -> Result<(), RuleError> {
        let earlier = self.waves.iter().take(number);
        if earlier.into_iter().any(|other| other.name == wave.name) {
            let target = format!("waves[{number}].name");
            let message = format!(
                "'{target}' is '{}', as an earlier wave is called already.",
                wave.name
            );
            return Err(RuleError::invalid(target, message));
        }
        if let Some(rest) = self.waves.iter().position(|wave| wave.take == Take::Rest)
            && rest < number
        {
            let target = format!("waves[{rest}].take");
            let message = format!(
                "'{target}' is rest, which leaves nothing to the wave '{}'.",
                wave.name
            );
            return Err(RuleError::invalid(target, message));
        }
        Ok(())
    }

    /// What its makers should know before they create it.
    #[must_use]
    pub fn warnings(&self, planned: &Planned) -> Vec<Detail> {
        let mut warnings = Vec::new();
        let mut warn = |code: &str, target: Option<String>, message: String| {
            warnings.push(Detail {
                code: code.to_owned(),
                message,
                target,
            });
        };
        if planned.untaken > 0 {
            let message = format!("No wave takes {} environments of the selection.", planned.untaken);
            warn("NotCovered", Some("waves".to_owned()), message);
        }
        if planned.overlapping > 0 {
            let message = format!(
                "{} environments fit several waves; the first that begins takes them.",
                planned.overlapping
            );
            warn("WavesOverlap", Some("waves".to_owned()), message);
        }
        for (number, wave) in self.waves.iter().enumerate() {
            let about = |member: &str| Some(format!("waves[{number}].{member}"));
            let name = &wave.name;
            if let Some(Threshold::Percent { percent, min }) = wave.stop.map(|stop| stop.failed)
                && percent.is_reached(1, min)
            {
                let message = format!(
                    "In the wave '{name}' a single failure stops the rollout: of {min} environments one is {percent} % or more."
                );
                warn("SingleFailureStops", about("stop"), message);
            }
            let late = planned.after_deadline.get(number).copied().unwrap_or(0);
            if wave.deadline.is_some() && late > 0 {
                let message =
                    format!("In the wave '{name}' {late} environments first start after its deadline.");
                warn("StartsAfterDeadline", about("deadline"), message);
            }
            let without = planned.without_start.get(number).copied().unwrap_or(0);
            if wave.deadline.is_none() && without > 0 {
                let message = format!(
                    "In the wave '{name}' nobody can say when {without} environments start, and it has no deadline: it may never end."
                );
                warn("NoDeadline", about("deadline"), message);
            }
        }
        warnings
    }
}

impl Selection {
    fn check(&self) -> Result<(), RuleError> {
        if self.countries.as_ref().is_some_and(Vec::is_empty) {
            let message = "'select.countries' is empty: name countries, or say \"all\".";
            return Err(RuleError::invalid("select.countries", message));
        }
        if let Some(filter) = &self.filter {
            check_filled("select.filter", filter, LONGEST_FILTER)?;
        }
        if self.except.len() > MOST_EXCEPTED {
            let message = format!(
                "'select.except' names {} environments, of which there may be {MOST_EXCEPTED}.",
                self.except.len()
            );
            return Err(RuleError::invalid("select.except", message));
        }
        Ok(())
    }
}

impl Wave {
    fn check(&self, number: usize) -> Result<(), RuleError> {
        let at = |member: &str| format!("waves[{number}].{member}");
        check_filled(&at("name"), &self.name, LONGEST_NAME)?;
        match &self.take {
            Take::Count(count) => check_positive(&at("take.count"), Some(*count))?,
            Take::Percent(percent) => check_positive(&at("take.percent"), Some(percent.0.into()))?,
            Take::Filter(filter) => check_filled(&at("take.filter"), filter, LONGEST_FILTER)?,
            Take::Rest => {}
        }
        if let ProceedWhen::Succeeded(percent) = self.proceed.when {
            check_positive(&at("proceed.when.succeeded"), Some(percent.0.into()))?;
        }
        check_span(&at("proceed.soak"), self.proceed.soak)?;
        match self.stop.map(|stop| stop.failed) {
            Some(Threshold::Count(count)) => check_positive(&at("stop.failed.count"), Some(count))?,
            Some(Threshold::Percent { min, .. }) => check_positive(&at("stop.failed.min"), Some(min))?,
            None => {}
        }
        check_positive(&at("limits.running"), self.limits.running)?;
        check_positive(&at("limits.perHour"), self.limits.per_hour)?;
        if let Some(deadline) = self.deadline {
            check_positive(&at("deadline"), Some(deadline.as_secs()))?;
            check_span(&at("deadline"), deadline)?;
        }
        Ok(())
    }
}

fn check_filled(what: &str, text: &str, longest: usize) -> Result<(), RuleError> {
    if text.trim().is_empty() {
        let message = format!("'{what}' must have more than blanks.");
        return Err(RuleError::invalid(what, message));
    }
    check_text(what, text, longest)
}

fn check_positive(what: &str, number: Option<u64>) -> Result<(), RuleError> {
    match number {
        Some(0) => Err(RuleError::invalid(what, format!("'{what}' must be more than 0."))),
        _ => Ok(()),
    }
}

fn check_span(what: &str, span: Duration) -> Result<(), RuleError> {
    if span > LONGEST_SPAN {
        let message = format!(
            "'{what}' is {}, of which there may be {} at most.",
            write_span(span),
            write_span(LONGEST_SPAN)
        );
        return Err(RuleError::invalid(what, message));
    }
    Ok(())
}
