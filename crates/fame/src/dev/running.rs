//! The parts put together: issuer, service, clock and listeners, from start to end.

use super::{
    control::{self, Timekeeper},
    demo,
    examples::{self, Example},
    listeners::{Listeners, Serving, http_router, https_router},
    people::{self, PEOPLE, Person, SCOPE},
    ready::{self, Addresses, Ready, SignedIn},
    seed::{self, Actors},
    simulator::Simulator,
    state_dir::{Beginning, SavedState, StateDir},
};
use anyhow::{Context, anyhow};
use client::{Client, ClientCredentials, Credentials, Proof, RetryPolicy};
use domain::instant::Instant;
use entra_local::{Issuer, Secret, TokenVersion};
use secrecy::SecretString;
use serde_json::json;
use server::{
    Server,
    clock::{Clock, wall_seconds},
    config::{Settings, Sources},
    telemetry::init_logging,
};
use std::{ffi::OsString, sync::Arc, time::Duration};

/// Longer than any answer here can take; only a defect is slower.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

/// `fame dev`, answering.
pub(super) struct Running {
    state: Arc<StateDir>,
    issuer: Issuer,
    server: Arc<Server>,
    time: Arc<Timekeeper>,
    serving: Serving,
    addresses: Addresses,
    http: reqwest::Client,
    /// When the machine says it is, for sample data that is still to come.
    today: Instant,
}

impl Running {
    /// Starts everything in `state`; a new one begins as `beginning` says. It also answers to the names `hosts`.
    ///
    /// # Errors
    /// What kept it from starting.
    pub(super) async fn start(
        listeners: Listeners,
        state: Arc<StateDir>,
        beginning: Beginning,
        hosts: &[String],
    ) -> anyhow::Result<Self> {
        let issuer = issuer(&state, listeners.https_url(), beginning, hosts)?;
        state.write_authority(issuer.certificates().authority_pem())?;
        let settings = settings(&state, &issuer, listeners.https_url(), hosts)?;
        // Whoever started this process may have said already where logs go.
        drop(init_logging(&settings.log));

        let clock = Clock::system();
        let today = clock.now();
        clock.set_offset(first_offset(&state, today));
        let limits = settings.limits.clone();
        let server = Arc::new(Server::start(settings, clock).await?);
        let time = Arc::new(Timekeeper::new(Arc::clone(&server)));

        let addresses = Addresses::new(listeners.http_url(), listeners.https_url(), state.ca_file());
        let control = control::router(Arc::clone(&time), issuer.clone(), Arc::clone(&state));
        let http = http_router(server.router("http"), &issuer, control);
        let https = https_router(server.router("https"), &issuer);
        let serving = listeners.serve(http, https, issuer.certificates().clone(), limits)?;
        Ok(Self {
            state,
            issuer,
            server,
            time,
            serving,
            addresses,
            // No proxy has any business with this very machine.
            http: reqwest::Client::builder()
                .no_proxy()
                .timeout(REQUEST_TIMEOUT)
                .build()?,
            today,
        })
    }

    /// Sets the agent to work, and completes what a new folder begins with.
    ///
    /// # Errors
    /// When the service does not take the agent or the sample data in.
    pub(super) async fn prepare(&self) -> anyhow::Result<()> {
        let operator = self.sign_in(&people::OPERATOR).await?;
        let (base_url, clock) = (&self.addresses.base_url, self.server.clock().clone());
        let simulator = Simulator::start(operator.clone(), base_url, clock, demo::script()).await?;
        self.time.hires(simulator);
        let Some(kept) = self.state.kept().filter(|kept| !kept.complete) else {
            return Ok(());
        };
        if kept.beginning == Beginning::Demo {
            let actors = Actors {
                operator,
                owner: self.sign_in(&people::OWNER).await?,
                contributor: self.sign_in(&people::CONTRIBUTOR).await?,
            };
            seed::take_in(&actors, &self.time, self.today).await?;
        }
        Ok(self.state.change(|kept| kept.complete = true)?)
    }

    /// Says what there is.
    ///
    /// # Errors
    /// When the service does not answer as it should.
    pub(super) async fn look_around(&self) -> anyhow::Result<Ready> {
        let operator = self.sign_in(&people::OPERATOR).await?;
        let mut others = Vec::new();
        for person in PEOPLE.iter().filter(|person| person.role.is_some()) {
            others.push(SignedIn {
                person: *person,
                client: self.sign_in(person).await?,
            });
        }
        let folder = self.state.folder().to_owned();
        ready::look_around(
            self.addresses.clone(),
            folder,
            &self.issuer.directory(),
            &operator,
            &others,
        )
        .await
    }

    /// Where the guide may show a hotfix.
    ///
    /// # Errors
    /// When the service does not answer as it should.
    pub(super) async fn examples(&self) -> anyhow::Result<Vec<Example>> {
        let contributor = self.sign_in(&people::CONTRIBUTOR).await?;
        Ok(examples::find(&contributor).await?)
    }

    /// Signs somebody in as everybody does: over HTTP, with what they have. The sample data and the main job go in by
    /// the same APIs as a vendor's and an operator's would, and so prove those APIs at every start.
    ///
    /// # Errors
    /// The issuer's refusal.
    pub(super) async fn sign_in(&self, person: &Person) -> anyhow::Result<Client> {
        let credentials = people::credentials(&self.issuer.directory(), person)
            .with_context(|| format!("the client '{}' is gone from the data folder", person.name))?;
        let secret = |secret: &Secret| SecretString::from(secret.reveal());
        let client = Client::new(client::Settings {
            url: self.addresses.base_url.parse()?,
            api_version: "v1.0".to_owned(),
            credentials: Credentials::Client(ClientCredentials {
                token_url: self.addresses.token_url.parse()?,
                client_id: credentials.client_id.to_string(),
                proof: Proof::Secret(secret(&credentials.client_secret)),
                scope: SCOPE.to_owned(),
                user: credentials.user.map(|(name, password)| (name, secret(&password))),
            }),
            trusted: Vec::new(),
            timeout: REQUEST_TIMEOUT,
            retry: RetryPolicy::new(0),
        })?;
        client.sign_in().await?;
        Ok(client)
    }

    /// Somebody without a token, for the control endpoint.
    pub(super) fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// Ends everything, the agent first and the service last.
    pub(super) async fn stop(self) {
        self.time.dismiss().await;
        self.serving.close().await;
        self.server.stop().await;
    }
}

/// The issuer as it was left, or a new one that is written down before anybody sees it.
fn issuer(
    state: &StateDir,
    base_url: &str,
    beginning: Beginning,
    hosts: &[String],
) -> anyhow::Result<Issuer> {
    let settings = entra_local::Settings {
        base_url: base_url.to_owned(),
        hosts: hosts.to_vec(),
        clock: Arc::new(wall_seconds),
    };
    if let Some(kept) = state.kept() {
        let issuer = Issuer::load(settings, kept.issuer)?;
        issuer.change_directory(|kept| people::complete(kept, people::directory(hosts)));
        // Names that it did not have come with another certificate.
        let issuer_state = issuer.state()?;
        state.change(|kept| kept.issuer = issuer_state)?;
        return Ok(issuer);
    }
    let issuer = Issuer::new(settings, people::directory(hosts))?;
    state.begin(SavedState {
        beginning,
        complete: false,
        clock_offset: 0,
        issuer: issuer.state()?,
    })?;
    Ok(issuer)
}

/// How far the service's clock is ahead of the machine's when it starts: as far as it was moved, or as the beginning of the
/// sample data is away.
fn first_offset(state: &StateDir, today: Instant) -> i64 {
    match state.kept() {
        Some(kept) if kept.complete => kept.clock_offset,
        Some(kept) if kept.beginning == Beginning::Demo => seed::begins_on(today).0 - today.0,
        _ => 0,
    }
}

/// The service's settings: its defaults, what makes it one with this issuer, and the log settings of this process's
/// environment. A configuration meant for production has no say here.
fn settings(
    state: &StateDir,
    issuer: &Issuer,
    authority: &str,
    hosts: &[String],
) -> anyhow::Result<Settings> {
    let mut audiences = people::identifier_uris(hosts);
    audiences.push(people::api_id().to_string());
    let trusted = |tenant, doors: &[&str]| {
        json!({
            "kind": "entra",
            "authority": authority,
            "tenants": [tenant],
            "doors": doors,
            "audiences": audiences,
            "v1_issuer": issuer.issuer_template(TokenVersion::V1),
            "v2_issuer": issuer.issuer_template(TokenVersion::V2),
        })
    };
    let issuers = json!([
        trusted(
            people::home_tenant(),
            &["vendor", "operator", "agent", "customer"]
        ),
        trusted(people::customers_tenant(), &["customer"]),
    ]);
    let publishers = json!([{
        "provider": "custom",
        "issuer": issuer.issuer_of(people::pipelines_tenant(), TokenVersion::V2),
    }]);
    let operators = json!([{ "type": "Application", "id": people::OPERATOR.principal_id() }]);
    let overrides = [
        ("server.data_dir", state.service_folder().display().to_string()),
        ("identity.issuers", issuers.to_string()),
        ("identity.publishers", publishers.to_string()),
        // Keys are fetched by https; this keeps proxies out of the way to our own machine.
        ("identity.allow_insecure_loopback", "true".to_owned()),
        ("identity.ca_file", state.ca_file().display().to_string()),
        ("operators.principals", operators.to_string()),
        ("customers.deployment_url", "true".to_owned()),
        ("secrets.keys", state.secret_key()?.display().to_string()),
        ("destinations.allow_loopback", "true".to_owned()),
    ];
    let sources = Sources {
        file: None,
        environment: log_environment(),
        overrides: overrides.map(|(key, value)| (key.to_owned(), value)).into(),
    };
    let loaded = Settings::load(&sources).map_err(|problems| {
        let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
        anyhow!(problems.join("\n"))
    })?;
    Ok(loaded.settings)
}

/// What is worth a line to people who came for the guide. That hotfixes fail is part of the sample data.
const QUIET: &str = "warn,fame::telemetry=off";

/// How this process was told to log; quietly, unless it was told.
fn log_environment() -> Vec<(String, OsString)> {
    let mut variables = vec![("FAME_LOG__LEVEL".to_owned(), OsString::from(QUIET))];
    let ours = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    variables.extend(ours.filter(|(name, _)| name.starts_with("FAME_LOG__")));
    variables
}
