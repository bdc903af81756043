//! Does what [`super::plan`] says, step by step, and reads back what became of it: what was sent counts for nothing until it is
//! seen.

use super::{
    look::offered,
    plan::{Cell, Goal, Site, Stage, State, Step, There},
    policy::Rollout,
    sites::Candidate,
    transfers::Transfers,
};
use crate::{
    args::{AppInCountry, Country},
    commands::{
        hotfixes::{
            progress::View,
            request::Asking,
            seen::{Reader, status_of},
            wait::{Patience, Verdict, Waited},
            which::Meant,
        },
        versions::{
            packages::Judged,
            target::{Sending, Target},
        },
    },
    exit::Exit,
    failure::Failure,
    session::Session,
};
use domain::{
    ids::{AppId, OperationId},
    operation::OperationStatus,
    version::Availability,
};
use futures::{StreamExt, stream};
use indicatif::ProgressBar;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};
use uuid::Uuid;
use wire::versions::VersionPatchBody;

/// How often to look whether the uploads are somewhere else by now.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How much at once, and how often.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Uploads and requests at the same time.
    pub concurrency: usize,
    /// The first pause between two looks.
    pub poll_interval: Duration,
}

/// What became of a step.
#[derive(Debug)]
pub(super) enum Became {
    /// It was done, and read back.
    Done,
    /// It did not come about.
    Failed(Failure),
}

/// A release under way.
pub(super) struct Release<'s> {
    /// The conversation with the service.
    pub session: &'s Session,
    /// What is to be the case at the end.
    pub goal: Goal,
    /// The packages of the goal's items.
    pub packages: Vec<Judged>,
    /// Which environments get them.
    pub rollout: Option<Rollout>,
    /// How much at once.
    pub pace: Pace,
    /// What is the case by now.
    pub state: State,
    /// What there was of each item before.
    pub before: BTreeMap<Cell, There>,
    /// What became of the steps that were tried, and of those that are hindered.
    pub became: BTreeMap<Step, Became>,
    /// How long they took.
    pub took: BTreeMap<Step, Duration>,
    /// The environments of each item.
    pub candidates: BTreeMap<usize, Vec<Candidate>>,
    /// How the hotfixes that were waited for ended.
    pub verdicts: BTreeMap<Site, Verdict>,
    /// Whether anything was sent that can change something.
    pub has_begun: bool,
    /// When waiting ends, once it has begun.
    patience: Option<Patience>,
    /// What tells the requests of this run from those of others.
    run: String,
}

/// What was read after a step.
enum Seen {
    Country,
    Version(There),
    Environments(Vec<Candidate>),
    Hotfix(Value),
}

impl<'s> Release<'s> {
    /// One of which nothing is known yet.
    pub(super) fn new(
        session: &'s Session,
        goal: Goal,
        packages: Vec<Judged>,
        rollout: Option<Rollout>,
        pace: Pace,
    ) -> Self {
        Self {
            session,
            goal,
            packages,
            rollout,
            pace,
            state: State::default(),
            before: BTreeMap::new(),
            became: BTreeMap::new(),
            took: BTreeMap::new(),
            candidates: BTreeMap::new(),
            verdicts: BTreeMap::new(),
            has_begun: false,
            patience: None,
            run: Uuid::new_v4().to_string(),
        }
    }

    /// Whether anything speaks against beginning.
    pub(super) fn is_hindered(&self) -> bool {
        !self.goal.obstacles(&self.state).is_empty()
    }

    /// What people call an app of the release.
    pub(super) fn called(&self, app: AppId) -> String {
        let item = self.goal.items.iter().position(|item| item.app == app);
        item.map_or_else(|| app.to_string(), |item| self.name(item))
    }

    /// The name of an item's app, as its package says.
    pub(super) fn name(&self, item: usize) -> String {
        let manifest = self
            .packages
            .get(item)
            .and_then(|package| package.contents.manifest.as_ref());
        manifest.map_or_else(String::new, |manifest| manifest.name.clone())
    }

    /// What is spoken of, in words.
    pub(super) fn about(&self, cell: &Cell) -> String {
        let version = self
            .goal
            .items
            .get(cell.item)
            .map(|item| item.version.to_string());
        let version = version.unwrap_or_default();
        format!("{} {version} in {}", self.name(cell.item), cell.country)
    }

    /// Goes on until the goal is reached, or nothing more can be done.
    pub(super) async fn carry_out(&mut self) {
        loop {
            let steps = self.goal.next(&self.state);
            match steps.first() {
                None => return,
                Some(Step::Wait(_)) => self.wait(steps).await,
                Some(_) => self.take(steps).await,
            }
        }
    }

    /// Takes several steps at the same time, as far as that is allowed.
    async fn take(&mut self, steps: Vec<Step>) {
        self.has_begun |= !matches!(steps.first(), Some(Step::Find(_)));
        let uploads = steps.iter().filter_map(|step| match step {
            Step::Upload(cell) => self.packages.get(cell.item).map(|package| package.contents.size),
            _ => None,
        });
        let sizes: Vec<u64> = uploads.collect();
        let mut transfers = Transfers::new(self.session.printer, &sizes);
        let hotfixes = match steps.first() {
            Some(Step::Schedule(_)) => self
                .session
                .printer
                .counter(Some(steps.len() as u64), "Scheduling"),
            _ => ProgressBar::hidden(),
        };
        let mut ended = Vec::new();
        {
            let this = &*self;
            let tries = steps.into_iter().enumerate().map(|(number, step)| {
                let listener = transfers.listener(number);
                async move {
                    let begun = Instant::now();
                    let seen = this.try_step(&step, listener).await;
                    (step, seen, begun.elapsed())
                }
            });
            let tries: Vec<_> = tries.collect();
            let mut tries = stream::iter(tries).buffer_unordered(this.pace.concurrency);
            loop {
                tokio::select! {
                    next = tries.next() => match next {
                        Some((step, seen, took)) => {
                            this.note(&step, &seen, took);
                            hotfixes.inc(1);
                            ended.push((step, seen, took));
                        }
                        None => break,
                    },
                    () = tokio::time::sleep(LOOK_EVERY), if !sizes.is_empty() => transfers.tell(),
                }
            }
        }
        transfers.end();
        hotfixes.finish_and_clear();
        for (step, seen, took) in ended {
            self.took.insert(step.clone(), took);
            self.learn(step, seen);
        }
    }

    /// Says what became of one that takes long.
    fn note(&self, step: &Step, seen: &Result<Seen, Failure>, took: Duration) {
        let (cell, what) = match step {
            Step::Upload(cell) => (cell, "uploaded"),
            Step::Offer(cell) => (cell, self.goal.availability.as_str()),
            _ => return,
        };
        if seen.is_ok() {
            let seconds = took.as_secs_f32();
            self.session
                .printer
                .note(format!("{}: {what}, {seconds:.1} s.", self.about(cell)));
        }
    }

    async fn try_step(&self, step: &Step, listener: Box<dyn Fn(u64) + Send + Sync>) -> Result<Seen, Failure> {
        match step {
            Step::AddCountry { app, country } => self.add_country(*app, country).await,
            Step::Upload(cell) => self.upload(cell, listener).await.map(Seen::Version),
            Step::Offer(cell) => self.offer(cell).await.map(Seen::Version),
            Step::Find(item) => self.candidates(*item).await.map(Seen::Environments),
            Step::Schedule(site) => self.schedule(*site).await.map(Seen::Hotfix),
            Step::Wait(_) => Err(Failure::Unexpected("A wait is no request.".to_owned())),
        }
    }

    async fn add_country(&self, app: AppId, country: &str) -> Result<Seen, Failure> {
        let client = &self.session.client;
        client.patch_country(app, country).json().await?;
        client.get_country(app, country).json().await?;
        Ok(Seen::Country)
    }

    async fn upload(&self, cell: &Cell, listener: Box<dyn Fn(u64) + Send + Sync>) -> Result<There, Failure> {
        let target = self.target(cell)?;
        let sending = Sending {
            availability: Some(Availability::Preview),
            skip_existing: true,
            on_progress: listener,
        };
        match target.publish(sending).await {
            Ok(published) => {
                let there = self.stored(&target).await?;
                if published.is_foretold {
                    self.tell_forecast(cell, &target).await;
                }
                Ok(there)
            }
            // Who cannot answer may have done it.
            Err(failure) if failure.exit() == Exit::Unavailable => match self.look_at(cell).await {
                Ok((there @ There::Same(_), _)) => Ok(there),
                _ => Err(failure),
            },
            Err(failure) => Err(failure),
        }
    }

    /// Warns of what schema synchronisation would refuse; what countries lack was told before.
    async fn tell_forecast(&self, cell: &Cell, target: &Target<'_>) {
        if let Some(forecast) = target.foretold().await.and_then(|foretold| foretold.forecast) {
            let about = self.about(cell);
            self.session.printer.warning(format!("{about}: {forecast}"));
        }
    }

    /// Reads an upload back, once the service has stored it.
    async fn stored(&self, target: &Target<'_>) -> Result<There, Failure> {
        let row = target.until_stored(self.pace.poll_interval).await?;
        self.check_stored(target, &row).await?;
        Ok(There::Same(offered(&row)?))
    }

    /// Makes sure that what was stored is what was sent: by its digest, or where the service has none by the id in the
    /// package's header.
    async fn check_stored(&self, target: &Target<'_>, row: &Value) -> Result<(), Failure> {
        let told = target.stored().facts().await.ok().and_then(|facts| facts.sha256);
        if told.is_some() {
            return target.check_same_bytes().await;
        }
        let ours = target.package.contents.package_id.to_string();
        match row["packageId"].as_str() {
            Some(theirs) if !theirs.eq_ignore_ascii_case(&ours) => Err(Failure::DifferentContent(format!(
                "The version that is there is the package {theirs}, and {ours} was sent."
            ))),
            _ => Ok(()),
        }
    }

    async fn offer(&self, cell: &Cell) -> Result<There, Failure> {
        let target = self.target(cell)?;
        let change = VersionPatchBody {
            availability: Some(self.goal.availability.to_string()),
            ..VersionPatchBody::default()
        };
        let client = &self.session.client;
        let package = target.package;
        let change = client.patch_version(package.app, &cell.country, package.version, &change);
        change.json().await?;
        let there = There::Same(offered(&target.version().await?)?);
        match self.goal.is_offered(there) {
            true => Ok(there),
            false => Err(Failure::Unexpected(format!(
                "{}: the service said yes, but the version is not {}.",
                self.about(cell),
                self.goal.availability
            ))),
        }
    }

    /// Schedules a hotfix unless there is one to the same version, whoever asked for it.
    async fn schedule(&self, site: Site) -> Result<Value, Failure> {
        let (Some(rollout), Some(item), Some(candidate)) = (
            &self.rollout,
            self.goal.items.get(site.item),
            self.candidate(site),
        ) else {
            return Err(Failure::Unexpected("An environment is gone.".to_owned()));
        };
        let asking = Asking {
            target: item.version,
            run_after: rollout.run_after,
            ignores_window: rollout.ignores_window,
            despite_forecast: rollout.despite_forecast,
        };
        let place = &candidate.place;
        let made = match asking.schedule(self.session, place, &self.run).await {
            Ok(row) => row,
            // Its answer was lost, or somebody else was faster.
            Err(failure) => self
                .made_meanwhile(candidate, item.version)
                .await
                .ok_or(failure)?,
        };
        let Some(id) = id_of(&made) else {
            return Err(Failure::Unexpected(
                "A hotfix was scheduled without an id.".to_owned(),
            ));
        };
        Ok(Reader::new(self.session).one(&place.scope, id).await?)
    }

    /// One of the environments.
    pub(super) fn candidate(&self, site: Site) -> Option<&Candidate> {
        self.candidates.get(&site.item)?.get(site.number)
    }

    /// Takes in what was read after a step; what did not come about is not tried again.
    fn learn(&mut self, step: Step, seen: Result<Seen, Failure>) {
        let seen = match seen {
            Ok(seen) => seen,
            Err(failure) => {
                if let (Step::Upload(cell), Failure::DifferentContent(_)) = (&step, &failure) {
                    self.state.cells.insert(cell.clone(), There::Different);
                }
                self.state.given_up.insert(step.clone());
                self.became.insert(step, Became::Failed(failure));
                return;
            }
        };
        match (&step, seen) {
            (Step::AddCountry { .. }, Seen::Country) => self.learn_country(&step),
            (Step::Upload(cell) | Step::Offer(cell), Seen::Version(there)) => {
                self.state.cells.insert(cell.clone(), there);
            }
            (Step::Find(item), Seen::Environments(found)) => {
                let stages = found.iter().map(|candidate| candidate.stage).collect();
                self.state.sites.insert(*item, stages);
                self.candidates.insert(*item, found);
            }
            (Step::Schedule(site), Seen::Hotfix(row)) => {
                self.settle(*site, stage_of(status_of(&row)), Some(row));
            }
            _ => {}
        }
        self.became.insert(step, Became::Done);
    }

    fn learn_country(&mut self, added: &Step) {
        let cells: Vec<Cell> = self.goal.cells().collect();
        for cell in cells {
            let is_added = self.goal.addition(&cell).as_ref() == Some(added);
            if is_added && self.state.there(&cell) == There::NoCountry {
                self.state.cells.insert(cell, There::Nothing);
            }
        }
    }

    fn settle(&mut self, site: Site, stage: Stage, hotfix: Option<Value>) {
        let known = self.state.sites.get_mut(&site.item);
        if let Some(known) = known.and_then(|stages| stages.get_mut(site.number)) {
            *known = stage;
        }
        let candidates = self.candidates.get_mut(&site.item);
        if let Some(candidate) = candidates.and_then(|candidates| candidates.get_mut(site.number)) {
            candidate.stage = stage;
            candidate.hotfix = hotfix.or(candidate.hotfix.take());
        }
    }

    /// Waits for the hotfixes of several items together.
    async fn wait(&mut self, steps: Vec<Step>) {
        let items: Vec<usize> = steps
            .iter()
            .filter_map(|step| match step {
                Step::Wait(item) => Some(*item),
                _ => None,
            })
            .collect();
        let pending: Vec<(Site, Meant)> = items.iter().flat_map(|item| self.pending(*item)).collect();
        let timeout = self
            .rollout
            .as_ref()
            .map_or(Duration::ZERO, |rollout| rollout.timeout);
        let interval = self.pace.poll_interval;
        let patience = *self
            .patience
            .get_or_insert_with(|| Patience::new(timeout, interval));
        let begun = Instant::now();
        let (sites, meant): (Vec<Site>, Vec<Meant>) = pending.into_iter().unzip();
        let Waited {
            watched, verdicts, ..
        } = patience.wait(self.session, meant, View::Counted).await;
        for ((site, hotfix), verdict) in sites.into_iter().zip(watched).zip(verdicts) {
            let stage = match verdict.exit {
                Exit::Done => Stage::Reached,
                Exit::WaitedTooLong => Stage::Pending,
                _ => Stage::Missed,
            };
            self.took.insert(Step::Schedule(site), begun.elapsed());
            self.settle(site, stage, Some(hotfix.row).filter(|row| !row.is_null()));
            self.verdicts.insert(site, verdict);
        }
        // What has not ended by now is not waited for again.
        self.state.given_up.extend(steps);
    }

    fn pending(&self, item: usize) -> Vec<(Site, Meant)> {
        let candidates = self.candidates.get(&item).into_iter().flatten().enumerate();
        let pending = candidates.filter(|(_, candidate)| candidate.stage == Stage::Pending);
        let meant = |(number, candidate): (usize, &Candidate)| {
            let id = id_of(candidate.hotfix.as_ref()?)?;
            let AppInCountry { app, country } = &candidate.place.scope;
            let scope = AppInCountry {
                app: *app,
                country: Country(country.0.clone()),
            };
            Some((Site { item, number }, Meant { scope, id }))
        };
        pending.filter_map(meant).collect()
    }
}

/// The id of a hotfix.
fn id_of(row: &Value) -> Option<OperationId> {
    row["id"].as_str()?.parse().ok()
}

/// How far an environment is whose hotfix has that status; a word that nobody knows is no end.
fn stage_of(status: Option<OperationStatus>) -> Stage {
    match status {
        // Whether it did what it was to do is read when it is waited for.
        Some(OperationStatus::Failed | OperationStatus::Canceled | OperationStatus::Skipped) => Stage::Missed,
        _ => Stage::Pending,
    }
}
