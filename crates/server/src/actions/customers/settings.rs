//! What an administrator of a tenant chooses for an environment.

use super::{
    Customer, carry_out, changes, lock_environment,
    reading::{self, EnvironmentName},
};
use crate::{
    actions::{
        Service,
        audit::{self, Actor, Change},
        environments::{target, window_text},
        events::{self, EnvironmentNews, EnvironmentStep},
        execution::{reschedule, window_of},
    },
    error::{Error, Result},
    telemetry::{WindowEvent, window_not_modified},
};
use domain::{
    country::CountryCode, environment::UpdateCadence, ids::Etag, instant::Instant, problem::RuleError,
    window::UpdateWindow,
};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use store::{
    Tx,
    environments::{self, Environment},
};
use wire::admin_center::{CadenceRequest, Hours, UpgradeSettingsRequest, window_problem};

/// An environment's update window.
pub(crate) async fn get_window(
    service: &Service,
    customer: &Customer,
    name: &EnvironmentName,
) -> Result<UpdateWindow> {
    let environment = reading::get_environment(service, customer, name).await?;
    window_of(&environment).cloned()
}

/// Sets an environment's update window to what was asked for, as far as that could be read; what waits there is timed anew.
pub(crate) async fn put_window(
    service: &Arc<Service>,
    customer: &Customer,
    environment: &Environment,
    read: Result<UpgradeSettingsRequest, RuleError>,
) -> Result<UpdateWindow> {
    let now = service.clock.now();
    let understood = read.and_then(|request| {
        let window = window_asked(&request.hours, environment.country_code, now)?;
        Ok((window, request.ignored))
    });
    let changed = match understood {
        Ok((window, ignored)) => {
            change(service, customer, environment, Choice::Window(window), ignored).await
        }
        Err(problem) => Err(problem.into()),
    };
    // Told at once, as the refusal of a hotfix is: what does not happen is not committed either.
    if let Err(Error::Rule(problem)) = &changed {
        window_not_modified(&WindowEvent {
            aad_tenant_id: environment.tenant_id.0,
            application_family: &environment.family,
            country_code: environment.country_code.as_str(),
            environment_name: &environment.name,
            environment_type: environment.kind.as_str(),
            environment_version: environment.application_version.map(|version| version.to_string()),
            new_window: [None; 2],
            old_window: [None; 2],
            failure_reason: Some(&problem.message),
        });
    }
    window_of(&changed?).cloned()
}

fn window_asked(hours: &Hours, country: CountryCode, now: Instant) -> Result<UpdateWindow, RuleError> {
    match hours {
        Hours::Local { start, end, zone } => UpdateWindow::new(start, end, zone),
        Hours::Utc { start, end } => UpdateWindow::of_utc(start, end, country, now),
    }
    .map_err(window_problem)
}

/// Keeps when the customer wants their apps updated together with the platform.
pub(crate) async fn put_cadence(
    service: &Arc<Service>,
    customer: &Customer,
    environment: &Environment,
    request: CadenceRequest,
) -> Result<UpdateCadence> {
    let choice = Choice::Cadence(request.cadence);
    change(service, customer, environment, choice, request.ignored).await?;
    Ok(request.cadence)
}

enum Choice {
    Window(UpdateWindow),
    Cadence(UpdateCadence),
}

struct Choosing {
    customer: Customer,
    name: EnvironmentName,
    choice: Choice,
    /// Members of the request that meant nothing.
    ignored: Vec<String>,
    now: Instant,
}

async fn change(
    service: &Arc<Service>,
    customer: &Customer,
    environment: &Environment,
    choice: Choice,
    ignored: Vec<String>,
) -> Result<Environment> {
    let input = Choosing {
        customer: customer.clone(),
        name: EnvironmentName::of(environment),
        choice,
        ignored,
        now: service.clock.now(),
    };
    changes::admit(service, customer)?;
    carry_out(service, input, |tx, input| Box::pin(change_in(tx, input))).await
}

async fn change_in(mut tx: Tx<'_>, input: &Choosing) -> Result<Environment> {
    let before = lock_environment(&mut tx, &input.customer, &input.name, input.now).await?;
    let mut after = before.clone();
    let action = match &input.choice {
        Choice::Window(window) => {
            // What was reported before the customer's first choice is what a report has to differ from.
            after.reported_window = before
                .reported_window
                .clone()
                .or_else(|| before.window.as_ref().ok().map(window_text));
            after.window = Ok(window.clone());
            "environments/window"
        }
        Choice::Cadence(cadence) => {
            after.update_cadence = Some(*cadence);
            "environments/cadence"
        }
    };
    after.etag = Etag::random();
    environments::update_environments(&mut tx, std::slice::from_ref(&after)).await?;
    if let Choice::Window(window) = &input.choice {
        reschedule(&mut tx, &[&after], input.now).await?;
        let told = news(&before, &after, window, input.now);
        events::emit_environments(&mut tx, Actor::Customer(&input.customer), input.now, [told]).await?;
    }
    let change = Change {
        action,
        target: target(&before.key()),
        before: Some(state(&before, &[])),
        after: Some(state(&after, &input.ignored)),
    };
    audit::record(&mut tx, Actor::Customer(&input.customer), input.now, change).await?;
    Ok(after)
}

fn news<'e>(
    before: &Environment,
    after: &'e Environment,
    window: &UpdateWindow,
    now: Instant,
) -> EnvironmentNews<'e> {
    let mut facts = Map::new();
    let mut add = |which: &str, window: &UpdateWindow| {
        if let Some(occurrence) = window.occurrence(now) {
            facts.insert(
                format!("{which}UpdateWindowStartTimeUtc"),
                occurrence.start.to_string().into(),
            );
            facts.insert(
                format!("{which}UpdateWindowEndTimeUtc"),
                occurrence.end.to_string().into(),
            );
        }
    };
    add("new", window);
    if let Ok(old) = &before.window {
        add("old", old);
    }
    if let Some(version) = after.application_version {
        facts.insert("environmentVersion".to_owned(), version.to_string().into());
    }
    EnvironmentNews {
        step: EnvironmentStep::WindowModified,
        environment: after,
        app_id: None,
        facts,
    }
}

fn state(environment: &Environment, ignored: &[String]) -> Value {
    let [start, end, zone] = environment.window_texts();
    let mut shown = json!({
        "window": { "start": start, "end": end, "timeZone": zone },
        "cadence": environment.update_cadence.map(UpdateCadence::as_str),
    });
    if let (false, Some(members)) = (ignored.is_empty(), shown.as_object_mut()) {
        members.insert("ignored".to_owned(), json!(ignored));
    }
    shown
}
