//! Rows as the APIs show them: one function for each entity of `wire`, named by it.

use crate::{
    actions::{
        execution::window_of,
        forecasts::{Missing, Told},
        rollouts::{Example, Judged, PlanRollout, RolloutEntry, Summary, Verdict},
        waits::Waiting,
        work::given::{Given, Work},
    },
    error::{Error, Result},
};
use data_encoding::HEXLOWER;
use domain::{
    agent::{AgentState, is_silent},
    country::CountryCode,
    instant::Instant,
    principal::PrincipalKind,
    problem::Detail,
    publisher::{Grant, Right},
    rollout::{ApprovalPolicy, Counts, MemberState},
    version::{AppVersion, SyncMode},
    waiting::Wait,
};
use serde_json::json;
use std::time::Duration;
use store::{
    agents::{Agent, AgentEntry},
    apps::App,
    audit::AuditRow,
    countries::Country,
    customers::Customer,
    environments,
    environments::EnvironmentEntry,
    freezes::Freeze,
    hotfixes::Operation,
    principals::AppPrincipal,
    publishers::TrustedPublisher,
    rollouts::{MemberEntry, Policy},
    selections::SelectedEnvironment,
    versions::{Version, VersionEntry},
    webhooks::{DeliveryEntry, Webhook},
};
use uuid::Uuid;
use wire::value::{Flag, Json};

/// An app as its principals see it.
pub(crate) fn app(app: App) -> Result<wire::apps::App> {
    Ok(wire::apps::App {
        id: app.id,
        publisher: app.publisher,
        publisher_aad_tenant_id: Some(app.publisher_tenant_id),
        publisher_contact_email: app.publisher_contact_email,
        storage_location: app.storage_location,
        name: app.name,
        etag: app.etag,
    })
}

/// An app as the operator sees it; a list shows it without owners.
pub(crate) fn registered_app(app: App, owners: Vec<AppPrincipal>) -> Result<wire::operator::RegisteredApp> {
    let owners = owners
        .into_iter()
        .map(|owner| wire::operator::Owner {
            kind: owner.kind,
            id: owner.id,
            aad_tenant_id: owner.tenant_id,
        })
        .collect();
    Ok(wire::operator::RegisteredApp {
        id: app.id,
        publisher: app.publisher,
        publisher_aad_tenant_id: Some(app.publisher_tenant_id),
        publisher_contact_email: app.publisher_contact_email,
        storage_location: app.storage_location,
        name: app.name,
        created_on: Some(app.created_on),
        signer_rule: app.signer_rule.to_string(),
        owners,
        etag: app.etag,
    })
}

/// A country of an app.
pub(crate) fn country(country: Country) -> Result<wire::countries::Country> {
    Ok(wire::countries::Country {
        country_code: country.code,
        etag: country.etag,
    })
}

/// A principal of an app.
pub(crate) fn principal(principal: AppPrincipal) -> Result<wire::principals::Principal> {
    Ok(wire::principals::Principal {
        id: principal.id,
        kind: principal.kind,
        aad_tenant_id: principal.tenant_id,
        roles: principal.roles,
        etag: principal.etag,
    })
}

/// A principal as the operator sees it.
pub(crate) fn registered_principal(principal: AppPrincipal) -> wire::operator::RegisteredPrincipal {
    wire::operator::RegisteredPrincipal {
        id: principal.id,
        kind: principal.kind,
        aad_tenant_id: principal.tenant_id,
        roles: principal.roles,
        token_tenant: (principal.kind == PrincipalKind::Application)
            .then(|| principal.token_tenant.to_string()),
        etag: principal.etag,
    }
}

/// A customer as the operator sees it.
pub(crate) fn registered_customer(customer: Customer) -> Result<wire::operator::RegisteredCustomer> {
    let administration = customer.administration;
    let partners = administration
        .partners
        .into_iter()
        .map(|partner| wire::operator::Partner {
            tenant_id: partner.tenant_id,
            object_id: partner.object_id,
            expires_on: partner.expires_on,
        });
    Ok(wire::operator::RegisteredCustomer {
        aad_tenant_id: customer.tenant_id,
        administrators: administration.administrators.into_iter().collect(),
        clients: administration.clients.into_iter().collect(),
        partners: partners.collect(),
        etag: customer.etag,
    })
}

/// Something that the operator has stopped.
pub(crate) fn freeze(freeze: Freeze) -> Result<wire::operator::Freeze> {
    Ok(wire::operator::Freeze {
        subject: freeze.subject.to_string(),
        reason: freeze.reason,
        frozen_on: freeze.frozen_on,
        frozen_by: freeze.frozen_by,
        etag: freeze.etag,
    })
}

/// Somebody who is told of events.
pub(crate) fn webhook(webhook: Webhook) -> Result<wire::webhooks::Webhook> {
    Ok(wire::webhooks::Webhook {
        id: webhook.id,
        app_id: webhook.app_id,
        aad_tenant_id: webhook.tenant_id,
        url: webhook.url,
        events: webhook.events.split_whitespace().map(str::to_owned).collect(),
        format: webhook.format,
        enabled: webhook.disabled_on.is_none(),
        disabled_on: webhook.disabled_on,
        disabled_reason: webhook.disabled_reason,
        paused_until: webhook.paused_until,
        delivered_on: webhook.delivered_on,
        created_on: Some(webhook.created_on),
        created_by: Some(webhook.created_by),
        secret: None,
        former_secret_until: webhook.former_secret_until,
        etag: webhook.etag,
    })
}

/// The runs of a pipeline that may act for an app.
pub(crate) fn trusted_publisher(publisher: TrustedPublisher) -> Result<wire::publishers::TrustedPublisher> {
    let events = publisher.binding().events;
    let Grant { may, countries, .. } = publisher.grant();
    Ok(wire::publishers::TrustedPublisher {
        id: publisher.id,
        provider: publisher.provider,
        issuer: publisher.issuer,
        repository: publisher.repository,
        repository_id: publisher.repository_id,
        owner_id: publisher.owner_id,
        workflow: publisher.workflow,
        job_workflow: publisher.job_workflow,
        environment: publisher.environment,
        ref_pattern: publisher.ref_pattern,
        events,
        runner_environment: publisher.runner_environment,
        may: may.iter().map(Right::to_string).collect(),
        max_availability: publisher.max_availability,
        countries: countries.iter().flatten().map(CountryCode::to_string).collect(),
        lifetime_seconds: publisher.lifetime_seconds,
        state: publisher.state,
        pending_until: publisher.pending_until,
        locked_on: publisher.locked_on,
        used_on: publisher.used_on,
        created_on: Some(publisher.created_on),
        created_by: Some(publisher.created_by),
        etag: publisher.etag,
    })
}

/// A rollout, with what is looked up of it.
pub(crate) fn rollout(entry: RolloutEntry) -> Result<wire::rollouts::Rollout> {
    let RolloutEntry {
        rollout,
        waves,
        tally,
        failures,
        superseded_by,
    } = entry;
    let mut counts = tally.untaken;
    for state in MemberState::ALL {
        counts[*state] += tally.waves.values().map(|counts| counts[*state]).sum::<u64>();
    }
    let waves = waves.into_iter().zip(definition_waves(&rollout.definition)?);
    let waves = waves.map(|(wave, deadline)| wire::rollouts::RolloutWave {
        name: wave.name,
        state: wave.state.to_string(),
        begun_on: wave.begun_on,
        soak_until: wave.proceeds_since.map(|since| since + deadline.1),
        deadline_on: wave.deadline_from.zip(deadline.0).map(|(from, span)| from + span),
        counts: rollout_counts(&tally.waves.get(&wave.wave).copied().unwrap_or_default()),
    });
    let failures = failures.into_iter().map(|group| wire::rollouts::RolloutFailure {
        text: group.text,
        reason_code: group.reason,
        environments: whole(group.members),
    });
    Ok(wire::rollouts::Rollout {
        id: rollout.id,
        name: rollout.name,
        note: rollout.note,
        target_app_version: rollout.target_version,
        state: rollout.state.to_string(),
        outcome: rollout.outcome.map(|outcome| outcome.to_string()),
        reason_code: rollout.reason.map(|reason| reason.to_string()),
        reason: rollout.reason_text,
        created_on: rollout.created_on,
        created_by: rollout.created_by,
        ended_on: rollout.ended_on,
        environments: whole(rollout.environments),
        fingerprint: HEXLOWER.encode(&rollout.fingerprint),
        approval: wire::rollouts::RolloutApproval {
            required: rollout.needs_approval,
            approved_on: rollout.approved_on,
            approved_by: rollout.approved_by,
            approved_by_name: rollout.approved_by_name,
            remark: rollout.approval_remark,
        },
        counts: rollout_counts(&counts),
        waves: waves.collect(),
        failures: failures.collect(),
        superseded_by,
        warnings: Vec::new(),
        etag: rollout.etag,
        definition: Json::parse(&rollout.definition),
    })
}

/// The deadline and the soak of each wave of a definition.
fn definition_waves(text: &str) -> Result<Vec<(Option<Duration>, Duration)>> {
    let definition = wire::rollouts::parse_definition(text).map_err(Error::fault)?;
    let waves = definition.waves.iter();
    Ok(waves.map(|wave| (wave.deadline, wave.proceed.soak)).collect())
}

fn rollout_counts(counts: &Counts) -> wire::rollouts::RolloutCounts {
    let of = |state| whole(counts[state]);
    wire::rollouts::RolloutCounts {
        untaken: of(MemberState::Untaken),
        taken: of(MemberState::Taken),
        blocked: of(MemberState::Blocked),
        scheduled: of(MemberState::Scheduled),
        running: of(MemberState::Running),
        updated: of(MemberState::Updated),
        already_there: of(MemberState::AlreadyThere),
        failed: of(MemberState::Failed),
        unknown: of(MemberState::Unknown),
        skipped: of(MemberState::Skipped),
        refused: of(MemberState::Refused),
        canceled: of(MemberState::Canceled),
        expired: of(MemberState::Expired),
        left: of(MemberState::Left),
    }
}

fn whole(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// An environment of a rollout, with what its hotfix waits for where that was looked up.
pub(crate) fn rollout_environment(
    (entry, wait): (MemberEntry, Wait),
) -> Result<wire::rollouts::RolloutEnvironment> {
    let member = entry.member;
    Ok(wire::rollouts::RolloutEnvironment {
        aad_tenant_id: member.tenant_id,
        application_family: member.family,
        name: member.name,
        country_code: member.country_code,
        kind: member.kind,
        version: member.version,
        wave: entry.wave,
        state: member.state.to_string(),
        attempt: whole(member.attempt),
        hotfix_id: member.operation_id,
        reason_code: member.reason,
        reason: member.reason_text,
        changed_on: member.changed_on,
        expected_start: wait.expected_start,
        waiting_for: wait.waiting_for,
    })
}

/// Which rollouts of an app somebody else has to approve.
pub(crate) fn approval_policy(policy: Policy) -> Result<wire::rollouts::ApprovalPolicy> {
    let (approval, production_above) = match policy.approval {
        ApprovalPolicy::Never => ("Never", None),
        ApprovalPolicy::Always => ("Always", None),
        ApprovalPolicy::ProductionAbove(above) => ("ProductionAbove", Some(whole(above))),
    };
    Ok(wire::rollouts::ApprovalPolicy {
        approval: approval.to_owned(),
        production_above,
        etag: policy.etag,
    })
}

/// What a rollout would come to.
pub(crate) fn rollout_plan(plan: PlanRollout) -> wire::rollouts::RolloutPlan {
    let summary = plan.summary;
    let reasons = summary.reasons.iter().map(|((verdict, code), group)| {
        let row = |example: &Example| {
            rollout_plan_row(&example.environment, *verdict, code, example.message.clone())
        };
        wire::rollouts::RolloutPlanReason {
            code: (*code).to_owned(),
            verdict: verdict.as_str().to_owned(),
            environments: group.count,
            sample: group.sample.iter().map(row).collect(),
        }
    });
    let starts = summary
        .starts
        .iter()
        .map(|(hour, environments)| wire::rollouts::RolloutPlanStart {
            hour: hour.to_string(),
            environments: *environments,
        });
    let waves = plan
        .waves
        .into_iter()
        .map(|wave| wire::rollouts::RolloutPlanWave {
            name: wave.name,
            environments: wave.environments,
            overlap: wave.overlap,
        });
    wire::rollouts::RolloutPlan {
        as_of: plan.as_of.to_string(),
        fingerprint: HEXLOWER.encode(&summary.fingerprint()),
        environments: summary.environments,
        production: summary.production,
        eligible: summary.count(Verdict::Eligible),
        already_there: summary.count(Verdict::AlreadyThere),
        blocked: summary.count(Verdict::Blocked),
        refused: summary.count(Verdict::Refused),
        reasons: reasons.collect(),
        starts: starts.collect(),
        without_start: summary.without_start,
        waves: waves.collect(),
        needs_approval: plan.needs_approval,
        warnings: rollout_warnings(plan.warnings),
    }
}

/// What may not be meant so.
pub(crate) fn rollout_warnings(warnings: Vec<Detail>) -> Vec<wire::rollouts::RolloutWarning> {
    let warning = |warning: Detail| wire::rollouts::RolloutWarning {
        code: warning.code,
        message: warning.message,
    };
    warnings.into_iter().map(warning).collect()
}

/// What the rows of a plan come to: the last of them, as it streams.
pub(crate) fn rollout_summary(summary: &Summary) -> serde_json::Value {
    json!({ "summary": {
        "fingerprint": HEXLOWER.encode(&summary.fingerprint()),
        "environments": summary.environments,
        "eligible": summary.count(Verdict::Eligible),
        "alreadyThere": summary.count(Verdict::AlreadyThere),
        "blocked": summary.count(Verdict::Blocked),
        "refused": summary.count(Verdict::Refused),
    }})
}

/// A row of a plan, as it streams.
pub(crate) fn judged(row: &Judged) -> wire::rollouts::RolloutPlanRow {
    wire::rollouts::RolloutPlanRow {
        starts_at: row.wait.expected_start.map(|start| start.to_string()),
        waiting_for: row.wait.waiting_for.map(|what| what.to_string()),
        ..rollout_plan_row(&row.environment, row.verdict, row.code, row.message.clone())
    }
}

fn rollout_plan_row(
    environment: &SelectedEnvironment,
    verdict: Verdict,
    code: &str,
    message: Option<String>,
) -> wire::rollouts::RolloutPlanRow {
    let installation = &environment.installation;
    wire::rollouts::RolloutPlanRow {
        aad_tenant_id: installation.tenant_id.0,
        application_family: installation.family.clone(),
        name: installation.name.clone(),
        country_code: installation.country_code.to_string(),
        kind: installation.kind.to_string(),
        installed_version: installation.version.to_string(),
        verdict: verdict.as_str().to_owned(),
        reason_code: (verdict != Verdict::Eligible).then(|| code.to_owned()),
        reason: message,
        starts_at: None,
        waiting_for: None,
    }
}

/// What a webhook was told.
pub(crate) fn webhook_delivery(delivery: DeliveryEntry) -> Result<wire::webhooks::WebhookDelivery> {
    Ok(wire::webhooks::WebhookDelivery {
        event_id: delivery.event_id,
        kind: delivery.kind,
        operation_id: delivery.operation_id,
        occurred_on: delivery.occurred_on,
        status: delivery.status,
        attempts: delivery.attempts,
        next_attempt_on: delivery.next_on,
        last_attempt_on: delivery.last_on,
        last_result: delivery.last_result,
        last_status: delivery.last_status,
        last_milliseconds: delivery.last_milliseconds,
    })
}

/// A version as its publisher sees it.
pub(crate) fn version(version: impl Into<VersionEntry>) -> Result<wire::versions::Version> {
    let version = version.into();
    let [major, minor, build, revision] = version.version.0;
    Ok(wire::versions::Version {
        version: version.version,
        app_id: version.app_id,
        country_code: version.country_code,
        package_id: Some(version.package_id),
        publisher: version.publisher,
        name: version.name,
        uploaded_on: Some(version.uploaded_on),
        availability: version.availability,
        status: version.status,
        dependencies: version.dependencies.into_iter().map(Into::into).collect(),
        major_version: major,
        minor_version: minor,
        build_version: build,
        revision_version: revision,
        sync_mode: version.sync_mode,
        etag: version.etag,
        warnings: None,
        missing_dependencies: None,
    })
}

/// A version, with what is told of it to whoever selects that.
pub(crate) fn told_version((version, told): (Version, Told)) -> Result<wire::versions::Version> {
    let missing = |missing: Missing| wire::versions::MissingDependency {
        app_id: missing.needed.app_id,
        name: missing.needed.name,
        version: missing.needed.min_version,
        countries: missing.countries,
    };
    Ok(wire::versions::Version {
        warnings: told.warnings.and_then(|foretold| Json::parse(foretold.json())),
        missing_dependencies: told.missing.map(|rows| rows.into_iter().map(missing).collect()),
        ..self::version(version)?
    })
}

/// An environment as the publisher of an app sees it that is installed there.
pub(crate) fn environment(row: environments::Installation) -> Result<wire::environments::Environment> {
    Ok(wire::environments::Environment {
        aad_tenant_id: row.tenant_id,
        version: row.version,
        app_id: row.app_id,
        country_code: row.country_code,
        application_family: row.family,
        location_name: Some(row.location_name).filter(|name| !name.is_empty()),
        name: row.name,
        kind: row.kind,
    })
}

/// An environment as the operator sees it; a list shows it without what is installed.
pub(crate) fn registered_environment(
    EnvironmentEntry { environment, agent }: EnvironmentEntry,
    apps: Vec<environments::InstalledApp>,
) -> Result<wire::operator::RegisteredEnvironment> {
    let window = window_of(&environment)?.into();
    let apps = apps
        .into_iter()
        .map(|app| wire::operator::InstalledApp {
            id: app.app_id,
            name: app.name,
            publisher: app.publisher,
            version: app.version,
        })
        .collect();
    Ok(wire::operator::RegisteredEnvironment {
        aad_tenant_id: environment.tenant_id,
        application_family: environment.family,
        name: environment.name,
        country_code: environment.country_code,
        kind: environment.kind,
        location_name: Some(environment.location_name).filter(|name| !name.is_empty()),
        application_version: environment.application_version,
        platform_version: environment.platform_version,
        window,
        inventory_complete: environment.inventory_complete,
        apps,
        held_since: environment.held_since,
        agent,
        inventory_on: Some(environment.inventory_on),
        missing_since: environment.missing_since,
        disputed_since: environment.disputed_since,
    })
}

/// An agent as the operator sees it at an instant, with a code where one was just made for it.
pub(crate) fn registered_agent(entry: AgentEntry, now: Instant) -> Result<wire::operator::RegisteredAgent> {
    let state = state_of(&entry.agent, now);
    let agent = entry.agent;
    let count = |number: i64| u32::try_from(number).unwrap_or(u32::MAX);
    Ok(wire::operator::RegisteredAgent {
        scope: wire::operator::Scope {
            all_tenants: agent.scope.tenants.is_none(),
            tenants: agent.scope.tenants.map(|all| all.into_iter().collect()),
            reason: agent.scope_reason,
            families: agent.scope.families.map(|all| all.into_iter().collect()),
            names: agent
                .scope
                .names
                .map(|all| all.iter().map(|name| name.as_str().to_owned()).collect()),
        },
        name: agent.name,
        serves_unreported: agent.serves_unreported,
        identity: agent.identity.map(identity),
        state,
        created_on: Some(agent.created_on),
        last_seen_on: agent.last_seen_on,
        software: agent.software,
        ready: agent.is_ready,
        token_expires_on: agent.token_until,
        enrolment_code: None,
        enrolment_code_expires_on: agent.code_until,
        overlaps: None,
        frozen_on: agent.frozen_on,
        frozen_reason: agent.frozen_reason,
        environments: count(entry.environments),
        running: count(entry.running),
        due_on: entry.due_on,
        inventory_on: agent.inventory_on,
        etag: agent.etag,
    })
}

fn state_of(agent: &Agent, now: Instant) -> AgentState {
    let has_token = agent.token_until.is_some_and(|until| now < until);
    if agent.frozen_on.is_some() {
        AgentState::Frozen
    } else if !has_token && agent.identity.is_none() {
        AgentState::Enrolling
    } else if is_silent(agent.last_seen_on, now) {
        AgentState::Silent
    } else {
        AgentState::Active
    }
}

fn identity(identity: domain::agent::Identity) -> wire::operator::Identity {
    wire::operator::Identity {
        tenant_id: identity.tenant,
        client_id: identity.client,
        object_id: identity.object,
    }
}

/// An operation as the publisher sees it who asked for it.
pub(crate) fn hotfix(operation: Operation) -> Result<wire::hotfixes::EnvironmentHotfix> {
    Ok(wire::hotfixes::EnvironmentHotfix {
        id: operation.id,
        environment_aad_tenant_id: operation.tenant_id,
        source_app_version: operation.source_version,
        target_app_version: operation
            .target_version
            .ok_or_else(|| Error::fault("a hotfix that leads nowhere"))?,
        status: operation.status,
        created_on: operation.created_on,
        run_after: Some(operation.run_after),
        started_on: operation.started_on,
        completed_on: operation.completed_on,
        error_message: operation.error_message,
        ignore_upgrade_window: Flag(operation.ignore_window),
        app_id: operation.app_id,
        country_code: operation.country_code,
        environment_application_family: operation.family,
        environment_name: operation.environment_name,
        environment_type: Some(operation.environment_kind),
        progress_percent: percent(operation.progress_percent),
        progress_step: operation.progress_step,
        progress_text: operation.progress_text,
        progress_on: operation.progress_on,
        agent_name: operation.agent_name,
        failure_cause: operation.failure_cause,
        asked_run_after: operation.asked_run_after,
        postponed_on: operation.postponed_on,
        postpone_reason: operation.postpone_reason,
        expected_start: None,
        waiting_for: None,
        rollout_id: operation.rollout_id,
    })
}

/// The same with what it waits for, where that was looked up.
pub(crate) fn waiting_hotfix((operation, wait): Waiting) -> Result<wire::hotfixes::EnvironmentHotfix> {
    Ok(wire::hotfixes::EnvironmentHotfix {
        expected_start: wait.expected_start,
        waiting_for: wait.waiting_for,
        ..hotfix(operation)?
    })
}

fn percent(kept: Option<i64>) -> Option<u32> {
    kept.and_then(|percent| u32::try_from(percent).ok())
}

/// An operation as the operator sees it.
pub(crate) fn operation(operation: Operation) -> Result<wire::operator::OperationRow> {
    Ok(wire::operator::OperationRow {
        id: operation.id,
        kind: operation.kind,
        status: operation.status,
        app_id: operation.app_id,
        country_code: operation.country_code,
        environment_aad_tenant_id: operation.tenant_id,
        environment_application_family: operation.family,
        environment_name: operation.environment_name,
        environment_type: Some(operation.environment_kind),
        source_app_version: operation.source_version,
        target_app_version: operation.target_version,
        created_on: operation.created_on,
        run_after: Some(operation.run_after),
        ignore_upgrade_window: Flag(operation.ignore_window),
        started_on: operation.started_on,
        completed_on: operation.completed_on,
        error_message: operation.error_message,
        failure_cause: operation.failure_cause,
        progress_percent: percent(operation.progress_percent),
        progress_step: operation.progress_step,
        progress_text: operation.progress_text,
        progress_on: operation.progress_on,
        agent_name: operation.agent_name,
    })
}

/// What an agent has been given.
pub(crate) fn claim(work: Work) -> wire::agent::Claim {
    let lease_seconds = seconds(work.lease);
    let given = work.given.into_iter();
    wire::agent::Claim {
        operations: given.map(|given| claimed(given, lease_seconds)).collect(),
    }
}

fn claimed(given: Given, lease_seconds: u32) -> wire::agent::ClaimedOperation {
    let operation = given.operation;
    let text = |version: Option<AppVersion>| version.map(|version| version.to_string());
    let environment = wire::agent::EnvironmentName {
        aad_tenant_id: operation.tenant_id.0,
        application_family: operation.family,
        name: operation.environment_name,
    };
    let package = operation.target_version.map(|_| wire::agent::ClaimedPackage {
        sha256: HEXLOWER.encode(&operation.package_sha256.unwrap_or_default()),
        size: operation.package_size.unwrap_or_default(),
        differs_elsewhere: given.differs_elsewhere,
    });
    wire::agent::ClaimedOperation {
        operation_id: operation.id.0,
        lease_id: given.lease_id,
        lease_seconds,
        kind: operation.kind.to_string(),
        environment,
        environment_type: operation.environment_kind.to_string(),
        country_code: operation.country_code.to_string(),
        app_id: operation.app_id.0,
        app_name: operation.app_name,
        app_publisher: operation.app_publisher,
        source_version: text(operation.source_version),
        target_version: text(operation.target_version),
        sync_mode: SyncMode::Sync.to_string(),
        package,
        delete_data: operation.delete_data,
        language_id: operation.language_id,
    }
}

/// A span in whole seconds.
pub(crate) fn seconds(span: Duration) -> u32 {
    u32::try_from(span.as_secs()).unwrap_or(u32::MAX)
}

/// A change. A part of the service that acted by itself has a name in place of an id.
pub(crate) fn audit_row(row: AuditRow) -> Result<wire::operator::AuditRow> {
    let id = row.shown_id().and_then(|id| Uuid::try_parse(id).ok());
    let name = row.shown_name().map(str::to_owned);
    Ok(wire::operator::AuditRow {
        id: row.id,
        at: row.recorded_on,
        actor: wire::operator::Actor {
            kind: row.actor_kind,
            id,
            tenant_id: row.actor_tenant_id,
            object_id: row.actor_object_id,
            name,
        },
        action: row.action,
        target: row.target,
        correlation_id: Some(row.correlation_id),
        before: row.before.as_deref().and_then(Json::parse),
        after: row.after.as_deref().and_then(Json::parse),
    })
}

#[cfg(test)]
mod tests;
