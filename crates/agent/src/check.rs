//! What an agent would be able to do, found out without changing anything.
//!
//! The service is only asked whether it is there: a second process under one token is taken for a copy of the agent, and
//! would freeze it. Whether it knows the token, and which environments it lets the agent serve, shows when the agent runs.

use crate::{
    config::{Config, Identity},
    driver::{Driver, Finding, Weight},
    drivers::Surroundings,
    folder, service,
};
use domain::{chain::Chain, instant::Instant};
use futures::{StreamExt, stream};

/// What was found out about something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// What it is about: `agent`, or an environment.
    pub about: String,
    /// What was found, the worst first.
    pub findings: Vec<Finding>,
}

fn finding(weight: Weight, text: impl Into<String>) -> Finding {
    Finding {
        weight,
        text: text.into(),
    }
}

/// Checks the agent and each of its environments, several at once.
pub async fn check(config: &Config, around: &Surroundings) -> Vec<Checked> {
    let mut findings = vec![token(config, around.clock.now()).await, of_service(config).await];
    findings.extend(of_folder(config).into_iter().chain(of_policy(config)));
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.weight));
    let agent = Checked {
        about: "agent".into(),
        findings,
    };
    let environments = stream::iter(&config.environments)
        .map(|environment| async move {
            let mut findings = match environment
                .driver
                .open(&environment.name, environment.kind, around)
            {
                Ok(driver) => of_target(&*driver).await,
                Err(failure) => vec![finding(Weight::Problem, failure.to_string())],
            };
            findings.sort_by_key(|finding| std::cmp::Reverse(finding.weight));
            Checked {
                about: environment.key().to_string(),
                findings,
            }
        })
        .buffered(config.parallel.max(1))
        .collect::<Vec<_>>();
    [agent].into_iter().chain(environments.await).collect()
}

async fn token(config: &Config, now: Instant) -> Finding {
    if let Some(identity) = &config.service.identity {
        return of_identity(identity).await;
    }
    match folder::kept_token(&config.folder) {
        Ok(Some(kept)) if kept.expires_on > now => finding(
            Weight::Good,
            format!("It is enrolled as {} until {}.", kept.name, kept.expires_on),
        ),
        Ok(Some(kept)) => finding(
            Weight::Problem,
            format!("Its token ended on {}: enrol it again.", kept.expires_on),
        ),
        Ok(None) => finding(Weight::Problem, "It is not enrolled: fame agent enrol."),
        Err(error) => finding(Weight::Problem, error.to_string()),
    }
}

/// Whether what the application proves itself with is there; its issuer is not asked.
async fn of_identity(identity: &Identity) -> Finding {
    let proof = match identity.proof.read() {
        Ok(proof) => proof,
        Err(error) => return finding(Weight::Problem, error.to_string()),
    };
    match proof.fields().await {
        Ok(_) => finding(
            Weight::Good,
            format!("It signs in as application {}.", identity.client_id),
        ),
        Err(error) => finding(Weight::Problem, Chain(&error).to_string()),
    }
}

/// Whether the service answers at all.
async fn of_service(config: &Config) -> Finding {
    let service = &config.service;
    match service::reach(service).await {
        Ok(()) => finding(
            Weight::Good,
            format!(
                "The service at {} answers. Whether it knows the agent shows when the agent runs.",
                service.url.as_str()
            ),
        ),
        Err(error) => finding(
            Weight::Problem,
            format!(
                "The service at {} does not answer: {}.",
                service.url.as_str(),
                Chain(&error)
            ),
        ),
    }
}

/// What would keep the agent from starting.
fn of_folder(config: &Config) -> Option<Finding> {
    let wrong = folder::check(&config.folder).err();
    wrong.map(|wrong| finding(Weight::Problem, wrong.to_string()))
}

/// What the policy lets through. That may be nothing, and may be meant.
fn of_policy(config: &Config) -> Option<Finding> {
    let none = config.policy.lets_nothing_through();
    none.map(|why| finding(Weight::Warning, format!("Nothing will be begun: {why}.")))
}

async fn of_target(driver: &dyn Driver) -> Vec<Finding> {
    let mut findings = driver.check().await;
    findings.push(match driver.inventory().await {
        Ok(found) if found.is_gone => finding(Weight::Problem, "The environment is not there."),
        Ok(found) if !found.is_complete => {
            let text = format!(
                "Only a part of the installed apps can be read: {}.",
                found.apps.len()
            );
            finding(Weight::Warning, text)
        }
        Ok(found) => finding(Weight::Good, format!("{} apps are installed.", found.apps.len())),
        Err(failure) => finding(
            Weight::Problem,
            format!("What is installed cannot be read: {failure}"),
        ),
    });
    findings
}
