//! The next hotfixes of a wave: the rules are asked about each of its members anew, and what they say is kept.

use super::{carry_out::Locked, step::DRIVER};
use crate::{
    actions::{
        Service,
        audit::{self, Change},
        events,
        execution::{Inventories, address},
        facts::InstallationFacts,
        forecasts,
        hotfixes::{Wanted, described},
        versions::key,
    },
    error::{Error, Result},
};
use domain::{
    country::CountryCode,
    hotfix::{self, Facts},
    ids::OperationId,
    instant::Instant,
    rollout::{Definition, MemberReason, MemberState, definition::Order},
    signer::SignerRule,
    version::{AppVersion, VersionStatus},
};
use serde_json::json;
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};
use store::{
    Tx, apps, driving,
    hotfixes::{self, Operation},
    rollouts::{self as rows, Member, MemberOrder, Rollout},
    versions::{self, VersionKey},
};
use uuid::Uuid;
use wire::rollouts::parse_definition;

/// What is the same for all hotfixes of a rollout.
#[derive(Clone)]
pub(super) struct Rules {
    definition: Arc<Definition>,
    /// What is forecast to be refused, by country and the version installed.
    forecasts: Arc<HashMap<(CountryCode, AppVersion), Arc<str>>>,
    allow_preview_in_sandbox: bool,
    now: Instant,
}

impl Rules {
    /// What there is to know beforehand, outside of any transaction.
    pub(super) async fn read(service: &Service, rollout: Uuid) -> Result<Self> {
        let found = driving::rollout(&service.db, rollout).await?;
        let row = found.ok_or_else(|| Error::fault("a rollout went away while it was driven"))?;
        let definition = parse_definition(&row.definition).map_err(Error::fault)?;
        Ok(Self {
            forecasts: Arc::new(forecasts_of(service, &row, &definition).await?),
            definition: Arc::new(definition),
            allow_preview_in_sandbox: service.settings.hotfixes.preview_in_sandbox,
            now: service.clock.now(),
        })
    }

    /// Time goes on.
    pub(super) fn see(&mut self, now: Instant) {
        self.now = now;
    }

    /// In which order a wave goes.
    pub(super) fn order(&self, wave: usize) -> MemberOrder {
        order_of(&self.definition, wave)
    }
}

/// In which order a wave goes.
pub(super) fn order_of(definition: &Definition, wave: usize) -> MemberOrder {
    match definition.waves.get(wave).map(|wave| wave.order) {
        None | Some(Order::Name) => MemberOrder::Name,
        Some(Order::Oldest) => MemberOrder::Oldest,
        Some(Order::Random(_)) => MemberOrder::Lot,
    }
}

async fn forecasts_of(
    service: &Service,
    row: &Rollout,
    definition: &Definition,
) -> Result<HashMap<(CountryCode, AppVersion), Arc<str>>> {
    let countries = match &definition.select.countries {
        Some(countries) => countries.clone(),
        None => store::countries::countries_of(&service.db, row.app_id).await?,
    };
    let mut forecast = HashMap::new();
    for country in countries {
        let found = versions::version(&service.db, &key(row.app_id, country, row.target_version)).await?;
        let Some(target) = found.filter(|version| version.status == VersionStatus::Uploaded) else {
            continue;
        };
        let known = store::selections::known_versions(&service.db, row.app_id, country).await?;
        let breaks = forecasts::schema_breaks(service, &known, &target).await?;
        forecast.extend(
            breaks
                .into_iter()
                .map(|(installed, refused)| ((country, installed), refused)),
        );
    }
    Ok(forecast)
}

/// Where a member goes, and the hotfix that it gets.
struct Verdict {
    state: MemberState,
    reason: Option<String>,
    message: Option<String>,
    hotfix: Option<Operation>,
}

impl Verdict {
    fn ends(state: MemberState, reason: &str, message: Option<String>) -> Self {
        Self {
            state,
            reason: Some(reason.to_owned()),
            message,
            hotfix: None,
        }
    }
}

/// Gives members their hotfixes, or keeps what the rules say instead.
pub(super) async fn create_next(tx: &mut Tx<'_>, mut locked: Locked, rules: &Rules) -> Result<()> {
    let (now, app) = (locked.now, locked.loaded.row.app_id);
    let places = locked.environments.values();
    let targets = places.map(|place| key(app, place.country_code, locked.loaded.row.target_version));
    let targets: HashSet<VersionKey> = targets.collect();
    let inventories = Inventories::read(tx, locked.environments.keys().copied(), targets).await?;
    let signer_rule = apps::signer_rule(tx, app).await?;
    let slots = locked
        .operations
        .iter()
        .filter(|operation| operation.app_id == app);
    let slots: HashMap<Uuid, OperationId> = slots.map(|one| (one.environment_id, one.id)).collect();
    let around = Around {
        inventories,
        signer_rule,
        slots,
        rules,
    };
    let mut moved = Vec::with_capacity(locked.members.len());
    let mut created = Vec::new();
    for member in std::mem::take(&mut locked.members) {
        let verdict = around.verdict(&locked, &member);
        let hotfix = verdict.hotfix.as_ref();
        moved.push(member.moved(|member| Member {
            state: verdict.state,
            attempt: member.attempt + u64::from(hotfix.is_some()),
            operation_id: hotfix.map(|hotfix| hotfix.id).or(member.operation_id),
            country_code: hotfix.map_or(member.country_code, |hotfix| hotfix.country_code),
            reason: verdict.reason,
            reason_text: verdict.message,
            reason_key: None,
            changed_on: now,
            ..member
        }));
        created.extend(verdict.hotfix);
    }
    hotfixes::insert_operations(tx, &created).await?;
    rows::move_members(tx, &moved).await?;
    audit::record_all(tx, DRIVER, now, created.iter().map(scheduled)).await?;
    events::emit(tx, DRIVER, now, &created).await?;
    locked.reschedule(tx).await
}

/// What the rules look at besides a member and its environment.
struct Around<'r> {
    inventories: Inventories,
    signer_rule: SignerRule,
    /// The operation that waits or runs for the app in each environment.
    slots: HashMap<Uuid, OperationId>,
    rules: &'r Rules,
}

impl Around<'_> {
    fn verdict(&self, locked: &Locked, member: &Member) -> Verdict {
        let row = &locked.loaded.row;
        let Some(environment) = locked.environments.get(&member.environment_id) else {
            let message = format!("Environment '{}' no longer exists.", member.name);
            return Verdict::ends(MemberState::Skipped, "EnvironmentGone", Some(message));
        };
        let country = environment.country_code;
        let selected = &self.rules.definition.select.countries;
        if selected
            .as_ref()
            .is_some_and(|selected| !selected.contains(&country))
        {
            let message = format!("Environment '{}' is in country {country} now.", member.name);
            return Verdict::ends(
                MemberState::Left,
                MemberReason::NoLongerSelected.as_str(),
                Some(message),
            );
        }
        if environment.is_held() {
            return Verdict::ends(MemberState::Blocked, "EnvironmentHeld", None);
        }
        let apps = self.inventories.apps_in(environment.id);
        let Some(gathered) = InstallationFacts::new(environment, &apps, row.app_id) else {
            let message = format!("The app is no longer installed in environment '{}'.", member.name);
            return Verdict::ends(MemberState::Skipped, "AppUninstalled", Some(message));
        };
        if gathered.installed() >= row.target_version {
            return Verdict::ends(MemberState::AlreadyThere, "NotNewer", None);
        }
        let target = key(row.app_id, country, row.target_version);
        let Some(target) = self.inventories.uploaded(&target) else {
            let message = format!("Version {} is not uploaded for {country}.", row.target_version);
            return Verdict::ends(
                MemberState::Refused,
                MemberReason::TargetNotOffered.as_str(),
                Some(message),
            );
        };
        let slot = self.slots.get(&environment.id).copied();
        // What a vendor reads of it tells nothing of other apps.
        let visible = HashSet::new();
        let forecast = self.rules.forecasts.get(&(country, gathered.installed()));
        let facts = Facts {
            schema_break: forecast.map(|refused| &**refused),
            ..gathered.facts(
                (target, &self.signer_rule),
                slot,
                self.rules.allow_preview_in_sandbox,
                Some(&visible),
            )
        };
        let findings = hotfix::reasons(&facts);
        match (MemberState::of_findings(&findings), findings.into_iter().next()) {
            (Some(state), Some(finding)) => {
                Verdict::ends(state, finding.reason.code(), Some(finding.message))
            }
            _ => Verdict {
                state: MemberState::Scheduled,
                reason: None,
                message: None,
                hotfix: Some(described(
                    &wanted(row, &self.rules.definition, locked.now),
                    environment,
                    target,
                    gathered.installed(),
                )),
            },
        }
    }
}

/// A hotfix is asked for by whoever made the rollout.
fn wanted<'r>(row: &'r Rollout, definition: &Definition, now: Instant) -> Wanted<'r> {
    Wanted {
        app: row.app_id,
        by: row.created_by.clone(),
        by_kind: row.created_by_kind,
        by_name: row.created_by_name.as_deref(),
        by_object_id: row.created_by_object_id,
        run_after: definition.run_after.map_or(now, |run_after| run_after.max(now)),
        ignore_window: definition.ignore_upgrade_window.is_some(),
        rollout_id: Some(row.id),
        now,
    }
}

fn scheduled(operation: &Operation) -> Change<'static> {
    Change {
        action: "environmentHotfixes/write",
        target: address(operation),
        before: None,
        after: Some(json!({
            "status": operation.status.as_str(),
            "rolloutId": operation.rollout_id,
            "environmentAadTenantId": operation.tenant_id.to_string(),
            "environmentName": operation.environment_name,
            "sourceAppVersion": operation.source_version.map(|version| version.to_string()),
            "targetAppVersion": operation.target_version.map(|version| version.to_string()),
        })),
    }
}
