//! The agent that pretends to carry out what is scheduled. It is an agent like any other to the service: made by the
//! operator, enrolled, and asking for work by the same API; only that it is told when somebody moved the clock.

use agent::{
    clock::SharedClock,
    simulated::{Script, SimulatedAgent},
};
use anyhow::Context;
use client::{Client, Credentials, Error, RetryPolicy};
use domain::{chain::Chain, instant::Instant};
use futures::future::BoxFuture;
use reqwest::StatusCode;
use server::clock::Clock;
use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};
use tokio::task::JoinHandle;
use wire::operator::{AgentRegistrationBody, RotationBody, ScopeBody};

const NAME: &str = "simulator";
const REASON: &str = "fame dev pretends to carry out what is scheduled";

/// How long simulated work, which takes two seconds at most, may go on when all is to end.
const DRAIN: Duration = Duration::from_secs(3);

/// No answer here, a claim's wait apart, takes longer.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The agent, at work.
pub(super) struct Simulator {
    operator: Client,
    base_url: String,
    clock: Clock,
    /// When its token ends on the service's clock, which may be moved there at once.
    good_until: AtomicI64,
    agent: Arc<SimulatedAgent>,
    job: JoinHandle<()>,
}

impl Simulator {
    /// Enrols the agent, which is made if it is not there, and sets it to work.
    ///
    /// # Errors
    /// When the service does not take it.
    pub(super) async fn start(
        operator: Client,
        base_url: &str,
        clock: Clock,
        script: Script,
    ) -> anyhow::Result<Self> {
        let (client, good_until) = enrol(&operator, base_url).await?;
        let agent = Arc::new(SimulatedAgent::new(client, script));
        let working = Arc::clone(&agent);
        let shared: SharedClock = Arc::new(ServiceClock(clock.clone()));
        Ok(Self {
            operator,
            base_url: base_url.to_owned(),
            clock,
            good_until: AtomicI64::new(good_until.0),
            agent,
            job: tokio::spawn(async move { working.run(&shared).await }),
        })
    }

    /// Does everything that can be done at this moment. An agent that the operator has frozen or removed does nothing.
    ///
    /// # Errors
    /// When the service does not answer.
    pub(super) async fn catch_up(&self) -> anyhow::Result<()> {
        let now = self.clock.now();
        if self.good_until.load(Ordering::SeqCst) <= now.0 {
            let (client, good_until) = enrol(&self.operator, &self.base_url).await?;
            self.agent.replace(client);
            self.good_until.store(good_until.0, Ordering::SeqCst);
        }
        match self.agent.catch_up(now).await {
            Err(error) if is_dismissal(&error) => {
                tracing::warn!("the simulator does nothing: {}", Chain(&error));
                Ok(())
            }
            caught_up => Ok(caught_up?),
        }
    }

    /// When there is something to do next, of what is being carried out.
    pub(super) async fn next_step(&self) -> Option<Instant> {
        self.agent.next_step().await
    }

    /// Ends what is being carried out, if it does not take too long, and then the agent.
    pub(super) async fn stop(&self) {
        self.agent.drain(DRAIN).await;
        self.job.abort();
    }
}

/// Exchanges a new code for a token; a client with it, and when it ends.
async fn enrol(operator: &Client, base_url: &str) -> anyhow::Result<(Client, Instant)> {
    let rotated = operator.rotate_agent(NAME, &RotationBody::default()).await;
    let registered = match rotated {
        Err(error) if error.refusal(StatusCode::NOT_FOUND).is_some() => {
            operator.put_agent(NAME, &registration()).await
        }
        rotated => rotated,
    };
    let code = registered
        .context("making the simulator an agent")?
        .enrolment_code;
    let code = code.context("the simulator got no enrolment code")?;
    let sign_in = |credentials| {
        Client::new(client::Settings {
            url: base_url.parse()?,
            api_version: String::new(),
            credentials,
            trusted: Vec::new(),
            timeout: TIMEOUT,
            retry: RetryPolicy::new(0),
        })
        .map_err(anyhow::Error::from)
    };
    let token = sign_in(Credentials::Nobody)?.enrol_agent(&code).await?;
    let good_until = token.expires_on.parse()?;
    Ok((sign_in(Credentials::Token(token.token.into()))?, good_until))
}

/// It serves all environments that no other agent does, whoever registers them.
fn registration() -> AgentRegistrationBody {
    AgentRegistrationBody {
        scope: ScopeBody {
            all_tenants: true,
            reason: Some(REASON.to_owned()),
            ..ScopeBody::default()
        },
        serves_unreported: true,
        identity: None,
    }
}

fn is_dismissal(error: &Error) -> bool {
    let refused = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN];
    refused.iter().any(|status| error.refusal(*status).is_some())
}

/// The service's clock, as the agent reads it.
struct ServiceClock(Clock);

impl agent::clock::Clock for ServiceClock {
    fn now(&self) -> Instant {
        self.0.now()
    }

    fn reach(&self, moment: Instant) -> BoxFuture<'_, ()> {
        Box::pin(self.0.reach(moment))
    }
}
