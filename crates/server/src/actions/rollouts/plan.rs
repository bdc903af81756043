//! Explaining a rollout before it is made: what the rules say of each environment that it selects, added up.

use super::{
    READ,
    selection::{Asked, Judged, Selection, Verdict},
    summary::Summary,
};
use crate::{
    actions::{Principal, Service, access},
    error::{Error, Result},
};
use domain::{
    environment::EnvironmentKey,
    ids::AppId,
    instant::Instant,
    problem::{Code, Detail, RuleError},
    rollout::definition::{Definition, Order, Planned, Take, lot},
};
use futures::{StreamExt, TryStreamExt, stream, stream::BoxStream};
use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};
use store::{
    countries,
    entity_sets::ENVIRONMENTS,
    environments,
    list::{self, ListRequest, Page, Scope},
    rollouts as rows,
    selections::SelectedEnvironment,
};
use uuid::Uuid;
use wire::rollouts::write_definition;

/// Environments of a plan that are remembered, so that it can be told what changed since; of larger ones none is.
const MOST_REMEMBERED: usize = 200_000;
/// Environments of all plans that are remembered.
const MOST_OF_ALL: usize = 1_000_000;

/// What somebody wants to know beforehand.
pub(crate) struct PlanRollout {
    pub(crate) summary: Summary,
    pub(crate) waves: Vec<PlannedWave>,
    pub(crate) needs_approval: bool,
    pub(crate) warnings: Vec<Detail>,
    pub(crate) as_of: Instant,
}

/// What a wave would take.
pub(crate) struct PlannedWave {
    pub(crate) name: String,
    pub(crate) environments: u64,
    pub(crate) overlap: u64,
}

/// An environment of a plan, as far as it is needed to make members of it and to tell what changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) environment: Uuid,
    /// What the rules say of it.
    pub(super) verdict: Verdict,
    /// Where it stands in waves that are ordered by lot.
    pub(super) lot: i64,
}

/// Plans that were made of late, by their fingerprints.
#[derive(Default)]
pub(crate) struct Plans(Mutex<VecDeque<Remembered>>);

type Remembered = ([u8; 32], Arc<Plan>);

/// A plan that was made.
pub(super) struct Plan {
    /// [`Summary::premises`].
    pub(super) premises: [u8; 32],
    pub(super) seen: Vec<Seen>,
}

impl Plans {
    fn remember(&self, summary: &Summary, seen: Vec<Seen>) {
        if seen.len() > MOST_REMEMBERED {
            return;
        }
        let mut plans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (fingerprint, premises) = (summary.fingerprint(), summary.premises());
        plans.retain(|(known, _)| *known != fingerprint);
        plans.push_front((fingerprint, Arc::new(Plan { premises, seen })));
        let mut room = MOST_OF_ALL;
        plans.retain(|(_, plan)| {
            // Each takes some room, however small it is.
            let taken = plan.seen.len().max(1_000);
            let fits = taken <= room;
            room = room.saturating_sub(taken);
            fits
        });
    }

    pub(super) fn recall(&self, fingerprint: &[u8; 32]) -> Option<Arc<Plan>> {
        let plans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = plans.iter().find(|(known, _)| known == fingerprint);
        found.map(|(_, plan)| Arc::clone(plan))
    }
}

/// What comes of walking through a selection.
pub(crate) enum Piece {
    /// Environments.
    Rows(Vec<Judged>),
    /// What they come to: the last.
    End(Box<Summary>),
}

/// A selection that is being walked through.
struct Walk {
    selection: Selection,
    country: usize,
    page: Option<Page<SelectedEnvironment, Error>>,
    summary: Option<Box<Summary>>,
}

/// The environments of a selection as they are read, and at the end what they come to.
fn walk(selection: Selection, definition: &Definition) -> BoxStream<'static, Result<Piece>> {
    let identity = identity(selection.app(), definition);
    let walk = Walk {
        selection,
        country: 0,
        page: None,
        summary: Some(Box::new(Summary::of(&identity))),
    };
    stream::try_unfold(walk, Walk::next).boxed()
}

/// What of a definition tells a plan from others: the app, and all of it but what it is called.
fn identity(app: AppId, definition: &Definition) -> Vec<u8> {
    let unnamed = Definition {
        name: String::new(),
        note: None,
        ..definition.clone()
    };
    format!("{app} {}", write_definition(&unnamed)).into_bytes()
}

impl Walk {
    async fn next(mut self) -> Result<Option<(Piece, Self)>> {
        loop {
            if let Some(page) = &mut self.page {
                match page.next().await? {
                    Some(rows) => {
                        let rows = self.selection.judge_all(self.country, rows)?;
                        if let Some(summary) = &mut self.summary {
                            rows.iter().for_each(|row| summary.add(row));
                        }
                        return Ok(Some((Piece::Rows(rows), self)));
                    }
                    None => {
                        self.page = None;
                        self.country += 1;
                    }
                }
            }
            let Some(target) = self.selection.targets().get(self.country) else {
                let summary = self.summary.take();
                return Ok(summary.map(|summary| (Piece::End(summary), self)));
            };
            if let Some(summary) = &mut self.summary {
                let package = target.version.as_ref().map(|version| &version.sha256);
                summary.begin(target.country.as_str(), package);
            }
            self.page = Some(self.selection.read(target).await?);
        }
    }
}

/// A selection that has been walked through.
pub(super) struct Walked {
    pub(super) summary: Summary,
    pub(super) seen: Vec<Seen>,
    pub(super) as_of: Instant,
    /// Environments that are to be left out and were not selected anyway.
    pub(super) left_out_in_vain: Vec<EnvironmentKey>,
}

fn asked(definition: &Definition) -> Asked {
    Asked {
        target: definition.target,
        countries: definition.select.countries.clone(),
        filter: definition.select.filter.clone(),
        except: definition.select.except.clone(),
        run_after: definition.run_after,
        ignores_window: definition.ignore_upgrade_window.is_some(),
    }
}

async fn gather(
    service: &Arc<Service>,
    principal: &Principal,
    app: AppId,
    definition: &Definition,
) -> Result<Selection> {
    for (number, wave) in definition.waves.iter().enumerate() {
        if let Take::Filter(filter) = &wave.take {
            ListRequest::filtered(&ENVIRONMENTS, Some(filter)).map_err(|error| {
                RuleError::new(Code::InvalidFilter, error.message)
                    .about(format!("waves[{number}].take.filter"))
            })?;
        }
    }
    Selection::gather(service, principal, app, asked(definition)).await
}

/// Walks through a selection, keeping what is needed of each environment; `most` of them at most are kept.
pub(super) async fn walk_through(
    service: &Arc<Service>,
    principal: &Principal,
    app: AppId,
    (definition, seed): (&Definition, u64),
    most: usize,
) -> Result<Walked> {
    let selection = gather(service, principal, app, definition).await?;
    let as_of = selection.now;
    let seed = definition.waves.iter().find_map(|wave| match wave.order {
        Order::Random(own) => Some(own.unwrap_or(seed)),
        Order::Name | Order::Oldest => None,
    });
    let mut pieces = walk(selection, definition);
    let mut seen = Vec::new();
    let mut summary = None;
    while let Some(piece) = pieces.try_next().await? {
        match piece {
            Piece::Rows(rows) => {
                let kept = rows.iter().take((most + 1).saturating_sub(seen.len()));
                seen.extend(kept.map(|row| Seen {
                    environment: row.environment.installation.environment_id,
                    verdict: row.verdict,
                    // Half of it keeps the order.
                    lot: seed.map_or(0, |seed| {
                        i64::try_from(lot(seed, &row.key()) >> 1).unwrap_or(i64::MAX)
                    }),
                }));
            }
            Piece::End(end) => summary = Some(*end),
        }
    }
    let left_out_in_vain = check_left_out(service, principal, app, definition).await?;
    Ok(Walked {
        summary: summary.ok_or_else(|| Error::fault("a selection without an end"))?,
        seen,
        as_of,
        left_out_in_vain,
    })
}

/// The environments that are to be left out and do not have the app, or not in a selected country.
///
/// # Errors
/// `UnknownEnvironment` for one that nobody knows, with those whose names are nearest.
async fn check_left_out(
    service: &Service,
    principal: &Principal,
    app: AppId,
    definition: &Definition,
) -> Result<Vec<EnvironmentKey>> {
    let mut in_vain = Vec::new();
    let selected = &definition.select.countries;
    for (number, key) in definition.select.except.iter().enumerate() {
        let known = environments::find_installation(&service.db, principal.reference, app, key).await?;
        match known {
            Some(found) => {
                let is_selected = selected
                    .as_ref()
                    .is_none_or(|named| named.contains(&found.country_code));
                if !is_selected {
                    in_vain.push(key.clone());
                }
            }
            None => {
                return Err(unknown_environment(service, principal, app, number, key)
                    .await?
                    .into());
            }
        }
    }
    Ok(in_vain)
}

async fn unknown_environment(
    service: &Service,
    principal: &Principal,
    app: AppId,
    number: usize,
    key: &EnvironmentKey,
) -> Result<RuleError> {
    let same_tenant =
        environments::installations_in_tenant(&service.db, principal.reference, app, key.tenant_id).await?;
    let mut nearest: Vec<_> = same_tenant
        .into_iter()
        .map(|found| {
            let other = EnvironmentKey::new(found.tenant_id, &found.family, &found.name);
            (
                strsim::osa_distance(&other.name_key, &key.name_key),
                other.to_string(),
            )
        })
        .collect();
    nearest.sort();
    let nearest: Vec<_> = nearest.into_iter().take(3).map(|(_, name)| name).collect();
    let hint = match nearest.as_slice() {
        [] => "Its tenant has none that has the app".to_owned(),
        some => format!("Nearest are {}", some.join(", ")),
    };
    let message = format!("There is no environment {key} that has app {app} installed. {hint}.");
    Ok(RuleError::broken("UnknownEnvironment", message).about(format!("select.except[{number}]")))
}

/// What a rollout would come to.
pub(crate) async fn plan_rollout(
    service: &Arc<Service>,
    principal: &Principal,
    app: AppId,
    definition: &Definition,
) -> Result<PlanRollout> {
    access::preview(service, principal, app, None, READ).await?;
    let Walked {
        summary,
        seen,
        as_of,
        left_out_in_vain,
    } = walk_through(service, principal, app, (definition, 0), MOST_REMEMBERED).await?;
    let waves = planned_waves(service, principal, app, definition, &summary).await?;
    let policy = rows::find_policy(&service.db, app).await?;
    let needs_approval = policy
        .map(|policy| policy.approval)
        .unwrap_or_default()
        .requires(definition, summary.production);
    let planned = Planned {
        untaken: summary
            .environments
            .saturating_sub(waves.iter().map(|wave| wave.environments).sum()),
        overlapping: waves.iter().map(|wave| wave.overlap).sum(),
        after_deadline: Vec::new(),
        without_start: match waves.len() {
            // Of several waves nobody knows beforehand which would have them.
            1 => vec![summary.without_start],
            _ => Vec::new(),
        },
    };
    let mut warnings = definition.warnings(&planned);
    warnings.extend(left_out_in_vain.iter().map(|key| Detail {
        code: "ExceptNotSelected".to_owned(),
        message: format!("Environment {key} is left out, and was not selected anyway."),
        target: Some("select.except".to_owned()),
    }));
    service.plans.remember(&summary, seen);
    Ok(PlanRollout {
        summary,
        waves,
        needs_approval,
        warnings,
        as_of,
    })
}

/// The environments of a plan as they are read, and at the end what they come to.
pub(crate) async fn rows_of_plan(
    service: &Arc<Service>,
    principal: &Principal,
    app: AppId,
    definition: &Definition,
) -> Result<BoxStream<'static, Result<Piece>>> {
    access::preview(service, principal, app, None, READ).await?;
    Ok(walk(
        gather(service, principal, app, definition).await?,
        definition,
    ))
}

/// What each wave would take: those with a filter what it finds and no earlier one does, the others of what is left then.
async fn planned_waves(
    service: &Service,
    principal: &Principal,
    app: AppId,
    definition: &Definition,
    summary: &Summary,
) -> Result<Vec<PlannedWave>> {
    let mut counted: HashMap<String, u64> = HashMap::new();
    let mut earlier: Vec<&str> = Vec::new();
    let mut by_filter = HashMap::new();
    for (number, wave) in definition.waves.iter().enumerate() {
        let Take::Filter(filter) = &wave.take else {
            continue;
        };
        let base = definition.select.filter.as_deref();
        let found = all_of(base.into_iter().chain([filter.as_str()]), &[]);
        let own = all_of(base.into_iter().chain([filter.as_str()]), &earlier);
        for text in [&found, &own] {
            if !counted.contains_key(text) {
                let count = count(service, principal, app, definition, text).await?;
                counted.insert(text.clone(), count);
            }
        }
        let (found, own) = (counted.get(&found).copied(), counted.get(&own).copied());
        by_filter.insert(number, (found.unwrap_or_default(), own.unwrap_or_default()));
        earlier.push(filter);
    }
    let mut left = summary.environments
        - by_filter
            .values()
            .map(|(_, own)| *own)
            .sum::<u64>()
            .min(summary.environments);
    let planned = definition.waves.iter().enumerate().map(|(number, wave)| {
        let (environments, overlap) = match by_filter.get(&number) {
            Some((found, own)) => (*own, found - own),
            None => {
                let taken = wave
                    .take
                    .most(summary.environments)
                    .map_or(left, |most| most.min(left));
                left -= taken;
                (taken, 0)
            }
        };
        PlannedWave {
            name: wave.name.clone(),
            environments,
            overlap,
        }
    });
    Ok(planned.collect())
}

fn all_of<'f>(all: impl Iterator<Item = &'f str>, none: &[&str]) -> String {
    let all = all.map(|filter| format!("({filter})"));
    let none = none.iter().map(|filter| format!("not ({filter})"));
    all.chain(none).collect::<Vec<_>>().join(" and ")
}

async fn count(
    service: &Service,
    principal: &Principal,
    app: AppId,
    definition: &Definition,
    filter: &str,
) -> Result<u64> {
    let request = ListRequest::filtered(&ENVIRONMENTS, Some(filter))?;
    let selected = match &definition.select.countries {
        Some(named) => named.iter().copied().collect::<HashSet<_>>(),
        None => countries::countries_of(&service.db, app)
            .await?
            .into_iter()
            .collect(),
    };
    let mut counted = 0;
    for country in selected {
        let scope = Scope::in_country(principal.reference, app, country);
        counted += list::count_only(&service.db, &ENVIRONMENTS, scope, &request, service.clock.now()).await?;
    }
    Ok(counted)
}
