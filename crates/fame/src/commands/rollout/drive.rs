//! Drives a rollout at a service that knows none: looks, asks the engine what follows, writes down what is about to be done,
//! and does it by documented calls.
//!
//! Whatever is in doubt is looked up before it is done again: a post whose answer was lost, a hotfix that was being called off
//! when the process died. What such a service was sent it starts when it wants to, so a pause, a stop rule and a freeze call
//! off what has not started, and the pause is not told as done before the service has answered for each. Who asks too often or
//! finds nobody there waits, with everything; who is not let in stops.

use super::{
    file::RolloutFile,
    journal::Journal,
    members::{Ledger, Member},
    news::{Look, became, reason},
    record::{Chosen, FORM, Id, Kind, Reason, Record, Took, Version},
    remote::{Hotfix, Remote},
    snapshot::Snapshot,
    stop::Stop,
    story,
};
use crate::{commands::hotfixes::selection::Environment, exit::Exit, failure::Failure};
use client::spread;
use domain::{
    country::CountryCode,
    environment::EnvironmentKey,
    instant::Instant,
    rollout::{
        Action, Driver, Facts, MemberReason, MemberState, Rollout, State, Step, TargetOffered,
        definition::Take, step,
    },
    version::Availability,
};
use server::clock::Clock;
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

/// The most hotfixes that are posted between two looks, so that what fails is heard of before many more are sent.
const POSTS_BETWEEN_LOOKS: usize = 20;
/// The most names in one filter.
const NAMES_IN_A_FILTER: usize = 20;

/// A rollout under way.
pub(super) struct Drive<'s> {
    pub remote: Remote<'s>,
    pub file: &'s RolloutFile,
    pub journal: Journal,
    pub ledger: Ledger,
    pub clock: Clock,
    /// By what waves are ordered that are ordered by lot and name no seed.
    pub seed: u64,
    /// How long to pause between looks.
    pub poll_interval: Duration,
    pub stop: Stop,
    /// The hotfixes of each environment, as they were last read.
    seen: HashMap<EnvironmentKey, Vec<Hotfix>>,
    /// Where the target is offered, of the countries that are to be done.
    offered: BTreeMap<CountryCode, bool>,
    /// What was last told of how it goes.
    told: String,
}

/// How driving ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Nothing more comes about by itself.
    Rests,
    /// Somebody asked to stop, or the time to wait was over.
    Interrupted,
}

/// What follows a round.
enum Round {
    /// Another, at once.
    GoesOn,
    /// Another after a while; at this time at the latest.
    Waits(Option<Instant>),
    /// None: nothing more comes about by itself.
    Rests,
}

/// What people ask of a rollout before it is driven on.
#[derive(Clone, Debug, Default)]
pub(super) struct Verbs {
    pub pause: bool,
    pub abort: bool,
    pub retry: bool,
    /// The place of the wave whose gate is opened.
    pub advance: Option<usize>,
    pub resume: bool,
    pub reason: Option<String>,
}

impl<'s> Drive<'s> {
    /// One of which the journal says all that is known.
    pub(super) fn new(
        remote: Remote<'s>,
        file: &'s RolloutFile,
        journal: Journal,
        records: &[Record],
        stop: Stop,
    ) -> Self {
        let mut ledger = Ledger::default();
        for record in records {
            ledger.take(record);
        }
        let seed = journal.identity().seed();
        Self {
            remote,
            file,
            journal,
            ledger,
            clock: Clock::system(),
            seed,
            poll_interval: Duration::from_secs(30),
            stop,
            seen: HashMap::new(),
            offered: BTreeMap::new(),
            told: String::new(),
        }
    }

    /// Whether the journal holds a rollout.
    pub(super) fn has_begun(&self) -> bool {
        self.ledger.rollout.is_some()
    }

    /// Selects the environments, and writes down that the rollout begins with them.
    ///
    /// # Errors
    /// [`Failure::NotFound`] where there is nothing to do, [`Failure::Usage`] for an environment that is excepted and not
    /// there, and [`Failure::Service`]. Nothing was written then.
    pub(super) async fn begin(&mut self) -> Result<(), Failure> {
        let definition = &self.file.definition;
        let countries = match &definition.select.countries {
            Some(countries) => countries.clone(),
            None => self.remote.countries().await?,
        };
        let mut chosen: BTreeMap<EnvironmentKey, Chosen> = BTreeMap::new();
        let mut known = HashSet::new();
        for country in countries {
            let found = self
                .remote
                .environments(&country, definition.select.filter.clone())
                .await?;
            if !definition.select.except.is_empty() {
                let all = self.remote.environments(&country, None).await?;
                known.extend(all.iter().map(Environment::key));
            }
            for environment in found {
                let key = environment.key();
                if !definition.select.except.contains(&key) {
                    chosen
                        .entry(key)
                        .or_insert_with(|| chosen_of(&environment, country));
                }
            }
        }
        self.check_excepted(&known)?;
        let members: Vec<Chosen> = chosen.into_values().collect();
        self.check_eligible(&members)?;
        let now = self.clock.now();
        let rollout = Rollout::new(definition, false, now);
        self.keep(vec![
            Record::Begun {
                form: FORM,
                on: now,
                app: self.remote.app,
                members,
            },
            stood(&rollout, None, Vec::new()),
        ])?;
        Ok(())
    }

    fn check_excepted(&self, known: &HashSet<EnvironmentKey>) -> Result<(), Failure> {
        let except = &self.file.definition.select.except;
        let Some(unknown) = except.iter().find(|key| !known.contains(key)) else {
            return Ok(());
        };
        let written = unknown.to_string();
        let mut near: Vec<String> = known.iter().map(ToString::to_string).collect();
        near.sort_by_cached_key(|other| (strsim::damerau_levenshtein(&written, other), other.clone()));
        near.truncate(3);
        Err(Failure::Usage(format!(
            "UnknownEnvironment: `except` names {written}, which no country of the selection has.{}",
            match near.is_empty() {
                true => String::new(),
                false => format!(" The nearest are {}.", near.join(", ")),
            }
        )))
    }

    fn check_eligible(&self, members: &[Chosen]) -> Result<(), Failure> {
        let target = self.remote.target;
        let is_eligible = |member: &&Chosen| {
            member
                .installed
                .is_none_or(|installed| installed.0 < target && installed.0.same_line(target))
        };
        if members.iter().any(|member| is_eligible(&member)) {
            return Ok(());
        }
        let there = members
            .iter()
            .filter(|member| member.installed.is_some_and(|version| version.0 >= target));
        let there = there.count();
        Err(Failure::NotFound(format!(
            "NothingSelected: of {} environments that are selected, {there} have {target} or a newer version already, and {} \
             are on another line.",
            members.len(),
            members.len() - there
        )))
    }

    /// Does what people ask of the rollout, on facts that are newly read.
    ///
    /// # Errors
    /// [`Failure::Rule`] where the rollout is not such that it can be done; nothing has changed then.
    pub(super) async fn obey(&mut self, verbs: &Verbs) -> Result<(), Failure> {
        let as_of = self.clock.now();
        self.look().await?;
        let refused = |error: domain::problem::RuleError| Failure::Rule(error.message);
        if verbs.retry {
            self.retry(as_of)?;
        }
        let rollout = self.rollout()?.clone();
        let now = self.clock.now();
        let mut next = rollout.clone();
        if let Some(wave) = verbs.advance {
            next = domain::rollout::advance(&next, wave, now)
                .map_err(refused)?
                .rollout;
        }
        if verbs.resume {
            let facts = self.facts(&next, as_of);
            let reason = verbs.reason.as_deref();
            let resumed = domain::rollout::resume(&self.file.definition, &next, &facts, reason, now);
            next = resumed.map_err(refused)?.rollout;
        }
        if verbs.pause {
            next = domain::rollout::pause(&next, true, now).map_err(refused)?.rollout;
        }
        if verbs.abort {
            next = domain::rollout::abort(&next, now).map_err(refused)?.rollout;
        }
        match next.revision == rollout.revision {
            true => Ok(()),
            false => self.keep(vec![stood(&next, None, Vec::new())]),
        }
    }

    fn retry(&mut self, as_of: Instant) -> Result<(), Failure> {
        let rollout = self.rollout()?.clone();
        let retried = self.ledger.places(|member| member.state.is_retried());
        let mut ledger = self.ledger.clone();
        ledger.take(&stood(&rollout, None, retried.clone()));
        let waves = retried
            .iter()
            .filter_map(|place| self.ledger.members.get(*place)?.wave);
        let mut waves: Vec<usize> = waves.collect();
        waves.sort_unstable();
        waves.dedup();
        let facts = facts(&ledger, &rollout, self.file, as_of, self.target());
        let change = domain::rollout::retry(&rollout, &facts, &waves, self.clock.now());
        let change = change.map_err(|error| Failure::Rule(error.message))?;
        match change.is_changed {
            true => self.keep(vec![stood(&change.rollout, None, retried)]),
            false => Ok(()),
        }
    }

    /// Drives the rollout until nothing more comes about by itself, or somebody asks to stop.
    ///
    /// # Errors
    /// What nobody can wait out: not to be let in, a journal that cannot be written, a clock that went back.
    pub(super) async fn run(&mut self) -> Result<Ending, Failure> {
        while !self.stop.is_asked() {
            let wait = match self.round().await {
                Ok(Round::GoesOn) => continue,
                Ok(Round::Rests) => return Ok(Ending::Rests),
                Ok(Round::Waits(until)) => {
                    let until = until.map(|until| until.since(self.clock.now()));
                    let pause = spread(self.poll_interval);
                    until.map_or(pause, |until| until.min(pause))
                }
                Err(failure) if failure.exit() == Exit::Unavailable => {
                    self.remote.session.printer.note(failure.to_string());
                    asked_pause(&failure)
                        .unwrap_or_default()
                        .max(spread(self.poll_interval))
                }
                Err(failure) => return Err(failure),
            };
            self.stop.pause(wait).await;
        }
        Ok(Ending::Interrupted)
    }

    async fn round(&mut self) -> Result<Round, Failure> {
        let as_of = self.clock.now();
        self.look().await?;
        let before = self.rollout()?.clone();
        let facts = self.facts(&before, as_of);
        let step = step(&self.file.definition, &before, &facts, self.clock.now());
        let step = step.map_err(|behind| {
            Failure::Unexpected(format!(
                "ClockBehind: {behind}. Nothing is decided before the clock of this machine is right; if it is, and was wrong \
                 before, wait until it has caught up."
            ))
        })?;
        let took = self.take(&step).await?;
        let mut has_moved = step.rollout.revision != before.revision || took.is_some();
        match has_moved {
            true => self.keep(vec![stood(&step.rollout, took, Vec::new())])?,
            false => self.ledger.rollout = Some(step.rollout.clone()),
        }
        for happening in &step.happened {
            let printer = self.remote.session.printer;
            printer.note(story::happening(happening, &self.file.definition));
        }
        for action in &step.actions {
            has_moved |= self.act(*action).await?;
        }
        has_moved |= self.withdraw_frozen().await?;
        self.tell();
        Ok(match (has_moved, self.rests(&step)) {
            (true, _) => Round::GoesOn,
            (false, true) => Round::Rests,
            (false, false) => Round::Waits(step.wake_at),
        })
    }

    /// Whether nothing more comes about by itself: nothing is to be heard of, and time changes nothing.
    fn rests(&self, step: &Step) -> bool {
        let is_heard = |member: &Member| {
            member.intent.is_some() || matches!(member.state, MemberState::Scheduled | MemberState::Running)
        };
        let is_active = step.rollout.state == State::Active;
        let is_to_come = |member: &Member| {
            is_heard(member)
                || (is_active && matches!(member.state, MemberState::Taken | MemberState::Blocked))
        };
        let waits = is_active && step.wake_at.is_some();
        !waits && !self.ledger.members.iter().any(is_to_come)
    }

    /// Reads what has become of the hotfixes, and writes down what is news.
    async fn look(&mut self) -> Result<(), Failure> {
        self.seen.clear();
        for country in self.ledger.countries_to_hear_of() {
            for hotfix in self.remote.hotfixes(&country).await? {
                self.seen
                    .entry(hotfix.environment.clone())
                    .or_default()
                    .push(hotfix);
            }
        }
        let mut offered = BTreeMap::new();
        for country in self.ledger.countries_to_do() {
            let availability = self.remote.offered(&country).await?;
            offered.insert(
                country,
                availability.is_some_and(|word| word != Availability::Deprecated),
            );
        }
        self.offered = offered;
        let look = self.eyes();
        let members = self.ledger.members.iter().enumerate();
        let news = members.flat_map(|(place, member)| look.news(place, member, self.seen_of(member)));
        let news: Vec<Record> = news.collect();
        let news = self.with_those_already_there(news).await?;
        self.keep(news)
    }

    /// The same news, in which an environment whose hotfix was skipped because it has the target says so.
    async fn with_those_already_there(&self, mut news: Vec<Record>) -> Result<Vec<Record>, Failure> {
        let skipped = news.iter().filter_map(|record| match record {
            Record::Became {
                member,
                state: MemberState::Skipped,
                ..
            } => Some(*member),
            _ => None,
        });
        let skipped: Vec<usize> = skipped.collect();
        let found = self.installed(&skipped).await?;
        for record in &mut news {
            if let Record::Became {
                member,
                state,
                reason,
                ..
            } = record
                && skipped.contains(member)
                && self.has_target(*member, &found)
            {
                (*state, *reason) = (MemberState::AlreadyThere, None);
            }
        }
        Ok(news)
    }

    fn has_target(&self, place: usize, found: &HashMap<EnvironmentKey, Environment>) -> bool {
        let environment = self
            .ledger
            .members
            .get(place)
            .and_then(|member| found.get(&member.key()));
        let installed = environment.and_then(Environment::installed);
        installed.is_some_and(|installed| installed >= self.remote.target)
    }

    fn eyes(&self) -> Look {
        Look {
            target: self.remote.target,
            now: self.now(),
            unknown_after: self.file.unknown_after,
        }
    }

    fn seen_of(&self, member: &Member) -> &[Hotfix] {
        self.seen
            .get(&member.key())
            .map(Vec::as_slice)
            .unwrap_or_default()
    }

    /// The time, which never goes back.
    fn now(&self) -> Instant {
        let now = self.clock.now();
        self.ledger
            .rollout
            .as_ref()
            .map_or(now, |rollout| rollout.engine_time.max(now))
    }

    fn rollout(&self) -> Result<&Rollout, Failure> {
        let rollout = self.ledger.rollout.as_ref();
        rollout.ok_or_else(|| Failure::Unexpected("The journal holds no rollout.".to_owned()))
    }

    fn facts(&self, rollout: &Rollout, as_of: Instant) -> Facts {
        facts(&self.ledger, rollout, self.file, as_of, self.target())
    }

    fn target(&self) -> TargetOffered {
        let places = self.offered.values().filter(|offered| **offered).count();
        match places {
            0 if !self.offered.is_empty() => TargetOffered::Nowhere,
            some if some < self.offered.len() => TargetOffered::Partly,
            _ => TargetOffered::Everywhere,
        }
    }

    /// Writes records down, and only then takes them for true.
    fn keep(&mut self, records: Vec<Record>) -> Result<(), Failure> {
        self.journal.append(&records)?;
        for record in &records {
            self.ledger.take(record);
        }
        Ok(())
    }

    /// What the wave takes that begins in this step, if one does.
    async fn take(&self, step: &Step) -> Result<Option<Took>, Failure> {
        let begins = step.actions.iter().find_map(|action| match action {
            Action::BeginWave { wave, most } => Some((*wave, *most)),
            _ => None,
        });
        let Some((wave, most)) = begins else {
            return Ok(None);
        };
        let Some(rules) = self.file.definition.waves.get(wave) else {
            return Ok(None);
        };
        let untaken = self.ledger.places(|member| member.state == MemberState::Untaken);
        let still = self.still_selected(&untaken).await?;
        let candidates = match &rules.take {
            Take::Filter(filter) => {
                let fit = self.matching(&untaken, filter).await?;
                untaken.into_iter().filter(|place| fit.contains(place)).collect()
            }
            Take::Count(_) | Take::Percent(_) => untaken
                .into_iter()
                .filter(|place| still.contains(place))
                .collect(),
            Take::Rest => untaken,
        };
        let mut members = self.ledger.ordered(candidates, rules.order, self.seed);
        members.truncate(
            most.and_then(|most| usize::try_from(most).ok())
                .unwrap_or(usize::MAX),
        );
        let left = members.iter().copied().filter(|place| !still.contains(place));
        Ok(Some(Took {
            wave,
            left: left.collect(),
            members,
        }))
    }

    /// Those of the members that are still of the selection, or have what it is to bring.
    async fn still_selected(&self, places: &[usize]) -> Result<HashSet<usize>, Failure> {
        let Some(filter) = &self.file.definition.select.filter else {
            let there = self.listed(places, None).await?;
            return Ok(places
                .iter()
                .copied()
                .filter(|place| there.contains_key(place))
                .collect());
        };
        let mut still = self.matching(places, filter).await?;
        let all = self.listed(places, None).await?;
        let has_target = |environment: &Environment| {
            environment
                .installed()
                .is_some_and(|installed| installed >= self.remote.target)
        };
        still.extend(
            all.iter()
                .filter(|(_, environment)| has_target(environment))
                .map(|(place, _)| *place),
        );
        Ok(still)
    }

    async fn matching(&self, places: &[usize], filter: &str) -> Result<HashSet<usize>, Failure> {
        Ok(self.listed(places, Some(filter)).await?.into_keys().collect())
    }

    /// Those of the members that are listed in their countries, as they are there.
    async fn listed(
        &self,
        places: &[usize],
        filter: Option<&str>,
    ) -> Result<HashMap<usize, Environment>, Failure> {
        let mut of_country: BTreeMap<CountryCode, HashMap<EnvironmentKey, usize>> = BTreeMap::new();
        for place in places {
            if let Some(member) = self.ledger.members.get(*place) {
                of_country
                    .entry(member.country)
                    .or_default()
                    .insert(member.key(), *place);
            }
        }
        let mut listed = HashMap::new();
        for (country, members) in of_country {
            for environment in self
                .remote
                .environments(&country, filter.map(str::to_owned))
                .await?
            {
                if let Some(place) = members.get(&environment.key()) {
                    listed.insert(*place, environment);
                }
            }
        }
        Ok(listed)
    }

    /// Some of the members' environments, as they are now.
    async fn installed(&self, places: &[usize]) -> Result<HashMap<EnvironmentKey, Environment>, Failure> {
        let mut names: BTreeMap<CountryCode, Vec<String>> = BTreeMap::new();
        for place in places {
            if let Some(member) = self.ledger.members.get(*place) {
                let name = client::literal(&member.environment.name);
                names
                    .entry(member.country)
                    .or_default()
                    .push(format!("name eq {name}"));
            }
        }
        let mut installed = HashMap::new();
        for (country, names) in names {
            for some in names.chunks(NAMES_IN_A_FILTER) {
                let found = self
                    .remote
                    .environments(&country, Some(some.join(" or ")))
                    .await?;
                installed.extend(
                    found
                        .into_iter()
                        .map(|environment| (environment.key(), environment)),
                );
            }
        }
        Ok(installed)
    }

    /// Does what the engine asks for; whether anything came of it.
    async fn act(&mut self, action: Action) -> Result<bool, Failure> {
        match action {
            Action::CreateNext { wave, count } => self.create(wave, count).await,
            Action::Expire { wave } => {
                let places = self
                    .ledger
                    .places(|member| member.wave == Some(wave) && member.state.has_not_begun());
                self.call_off(&places, MemberState::Expired).await
            }
            Action::Withdraw => {
                let places = self
                    .ledger
                    .places(|member| member.state == MemberState::Scheduled);
                self.call_off(&places, MemberState::Taken).await
            }
            Action::Cancel => {
                let places = self.ledger.places(|member| member.state.has_not_begun());
                self.call_off(&places, MemberState::Canceled).await
            }
            // Taken already, or nothing that a client is asked for.
            Action::BeginWave { .. }
            | Action::IncludeLater
            | Action::IncludeInWave { .. }
            | Action::Hold
            | Action::Release => Ok(false),
        }
    }

    /// Calls off what waits in an environment that is frozen by now.
    async fn withdraw_frozen(&mut self) -> Result<bool, Failure> {
        let (now, freezes) = (self.now(), &self.file.freezes);
        let is_frozen = |member: &Member| {
            member.state == MemberState::Scheduled && member.frozen_until(now, freezes).is_some()
        };
        let places = self.ledger.places(is_frozen);
        self.call_off(&places, MemberState::Taken).await
    }

    /// Calls off what has not begun in these environments, which are somewhere else then.
    async fn call_off(&mut self, places: &[usize], then: MemberState) -> Result<bool, Failure> {
        let has_hotfix = |place: &&usize| {
            let member = self.ledger.members.get(**place);
            member.is_some_and(|member| member.hotfix.is_some() && member.calling_off.is_none())
        };
        let called = places.iter().filter(has_hotfix);
        let called = called.map(|place| Record::CallsOff { member: *place, then });
        self.keep(called.collect())?;
        let mut has_moved = false;
        for place in places {
            if self.stop.is_asked() {
                break;
            }
            has_moved |= self.call_off_one(*place, then).await?;
        }
        Ok(has_moved)
    }

    async fn call_off_one(&mut self, place: usize, then: MemberState) -> Result<bool, Failure> {
        let Some(member) = self.ledger.members.get(place).cloned() else {
            return Ok(false);
        };
        let is = match member.hotfix {
            Some(hotfix) => {
                let is = self.remote.cancel(&member.country, hotfix).await?;
                is.and_then(|is| became(&member, &is))
            }
            None if then == MemberState::Taken => None,
            None => Some((then, reason(then, None))),
        };
        match is {
            Some((state, reason)) => self.keep(vec![self.became(place, state, reason)]).map(|()| true),
            None => Ok(false),
        }
    }

    fn became(&self, place: usize, state: MemberState, reason: Option<Reason>) -> Record {
        Record::Became {
            member: place,
            state,
            on: self.now(),
            reason,
        }
    }

    /// Posts hotfixes for the next environments of a wave, or finds out what they have instead.
    async fn create(&mut self, wave: usize, count: u64) -> Result<bool, Failure> {
        let (now, freezes) = (self.now(), &self.file.freezes);
        let Some(rules) = self.file.definition.waves.get(wave) else {
            return Ok(false);
        };
        let is_next = |member: &Member| {
            member.wave == Some(wave)
                && member.state == MemberState::Taken
                && member.frozen_until(now, freezes).is_none()
        };
        let mut places = self
            .ledger
            .ordered(self.ledger.places(is_next), rules.order, self.seed);
        let most = usize::try_from(count)
            .unwrap_or(usize::MAX)
            .min(POSTS_BETWEEN_LOOKS);
        places.truncate(most);
        let found = self.installed(&places).await?;
        let mut has_moved = false;
        for place in places {
            if self.stop.is_asked() {
                break;
            }
            has_moved |= self.create_one(place, &found).await?;
        }
        Ok(has_moved)
    }

    async fn create_one(
        &mut self,
        place: usize,
        found: &HashMap<EnvironmentKey, Environment>,
    ) -> Result<bool, Failure> {
        let Some(member) = self.ledger.members.get(place).cloned() else {
            return Ok(false);
        };
        if let Some((state, reason)) = self.obstacle(place, &member, found) {
            self.keep(vec![self.became(place, state, reason)])?;
            return Ok(true);
        }
        let seen = self.seen_of(&member);
        let known = match &member.intent {
            Some(known) => known.iter().copied().map(Id).collect(),
            None => known_in(seen, &self.eyes()),
        };
        let intends = Record::Intends {
            member: place,
            attempt: member.attempt + u32::from(member.intent.is_none()),
            known,
            on: self.now(),
        };
        self.keep(vec![intends])?;
        match self.remote.post(&member.country, &member.environment).await {
            Ok(row) => match Hotfix::read(&row) {
                Some(made) => self.adopt(place, &made),
                None => self.look_up(place).await,
            },
            Err(error) => self.after(place, error).await,
        }
    }

    /// What an environment has instead of a hotfix of the rollout, if anything is in the way of one.
    fn obstacle(
        &self,
        place: usize,
        member: &Member,
        found: &HashMap<EnvironmentKey, Environment>,
    ) -> Option<(MemberState, Option<Reason>)> {
        let refused = |code: &str, text: String| {
            let code = code.to_owned();
            Some((MemberState::Refused, Some(Reason { code, text })))
        };
        if !found.contains_key(&member.key()) {
            return refused(
                "EnvironmentGone",
                "The environment does not have the app any more.".to_owned(),
            );
        }
        if self.has_target(place, found) {
            return Some((MemberState::AlreadyThere, None));
        }
        if self.offered.get(&member.country) == Some(&false) {
            let text = format!("{} is not offered in {}.", self.remote.target, member.country);
            return refused(MemberReason::TargetNotOffered.as_str(), text);
        }
        let is_busy = self.seen_of(member).iter().any(|hotfix| !hotfix.has_ended());
        is_busy.then_some((MemberState::Blocked, None))
    }

    fn adopt(&mut self, place: usize, made: &Hotfix) -> Result<bool, Failure> {
        let posted = Record::Posted {
            member: place,
            hotfix: Id(made.id),
        };
        let member = self.ledger.members.get(place);
        let is = member.and_then(|member| became(member, made));
        let became = is.map(|(state, reason)| self.became(place, state, reason));
        self.keep([posted].into_iter().chain(became).collect())?;
        Ok(true)
    }

    /// Takes the hotfix for the rollout's that turned up after it was posted; whether there is one.
    async fn look_up(&mut self, place: usize) -> Result<bool, Failure> {
        let Some(member) = self.ledger.members.get(place).cloned() else {
            return Ok(false);
        };
        let seen = self
            .remote
            .hotfixes_of(&member.country, &member.environment.name)
            .await?;
        let seen: Vec<Hotfix> = seen
            .into_iter()
            .filter(|hotfix| hotfix.environment == member.key())
            .collect();
        let ours = self.eyes().ours(&member, &seen).cloned();
        self.seen.insert(member.key(), seen);
        match ours {
            Some(ours) => self.adopt(place, &ours),
            None => Ok(false),
        }
    }

    /// What follows a post that was not answered with a hotfix. Only a rule's no is an answer about the environment.
    async fn after(&mut self, place: usize, error: client::Error) -> Result<bool, Failure> {
        let refusal = match &error {
            client::Error::Refused(refusal) if is_of_a_rule(refusal.status.as_u16()) => Some(refusal.clone()),
            _ => None,
        };
        let Some(refusal) = refusal else {
            let is_in_doubt = error.is_open() || matches!(error, client::Error::Unreadable { .. });
            return match is_in_doubt && self.look_up(place).await? {
                true => Ok(true),
                false => Err(error.into()),
            };
        };
        if self.look_up(place).await? {
            return Ok(true);
        }
        let member = self.ledger.members.get(place);
        let is_busy =
            member.is_some_and(|member| self.seen_of(member).iter().any(|hotfix| !hotfix.has_ended()));
        let (state, reason) = match is_busy {
            true => (MemberState::Blocked, None),
            false => {
                let said = Reason {
                    code: refusal.code().to_owned(),
                    text: refusal.message().to_owned(),
                };
                (MemberState::Refused, Some(said))
            }
        };
        self.keep(vec![self.became(place, state, reason)])?;
        Ok(true)
    }

    fn tell(&mut self) {
        let printer = self.remote.session.printer;
        let Some(rollout) = &self.ledger.rollout else {
            return;
        };
        let told = story::progress(rollout, &self.ledger.waves(rollout), &self.file.definition);
        if told != self.told {
            printer.note(&told);
            self.told = told;
        }
    }
}

fn facts(
    ledger: &Ledger,
    rollout: &Rollout,
    file: &RolloutFile,
    as_of: Instant,
    target: TargetOffered,
) -> Facts {
    let now = rollout.engine_time.max(as_of);
    Facts {
        as_of,
        driver: Driver::Client,
        untaken: ledger.untaken(),
        later: 0,
        waves: ledger.waves(rollout),
        target,
        approver_may: true,
        used: ledger.used(now),
        held: 0,
        frozen_until: ledger.frozen_until(now, &file.freezes),
    }
}

fn stood(rollout: &Rollout, took: Option<Took>, retried: Vec<usize>) -> Record {
    Record::Stood {
        rollout: Box::new(Snapshot::of(rollout)),
        took,
        retried,
    }
}

fn chosen_of(environment: &Environment, country: CountryCode) -> Chosen {
    Chosen {
        tenant: environment.aad_tenant_id,
        family: environment.application_family.clone(),
        name: environment.name.clone(),
        country,
        kind: environment
            .kind
            .as_ref()
            .and_then(|word| word.parse().ok())
            .map(Kind),
        installed: environment.installed().map(Version),
    }
}

/// The hotfixes to the target that an environment has before another is posted.
fn known_in(seen: &[Hotfix], look: &Look) -> Vec<Id> {
    let to_target = seen.iter().filter(|hotfix| hotfix.target == Some(look.target));
    to_target.map(|hotfix| Id(hotfix.id)).collect()
}

/// Whether a status says that a rule speaks against what was asked, and not who asks, how often, or that nobody can tell.
fn is_of_a_rule(status: u16) -> bool {
    matches!(status, 400..=499) && !matches!(status, 401 | 403 | 408 | 429)
}

/// How long the service wants to be left alone.
fn asked_pause(failure: &Failure) -> Option<Duration> {
    match failure {
        Failure::Service(client::Error::Refused(answer) | client::Error::Gateway(answer)) => {
            answer.retry_after
        }
        _ => None,
    }
}
