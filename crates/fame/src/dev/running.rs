//! The parts put together: issuer, service, clock and doors, from start to end.

use super::{
    cast::{self, CLIENTS, Client},
    control::{self, Timekeeper},
    demo,
    doors::{Doors, OpenDoors, behind_http, behind_https},
    home::{Beginning, Home, Kept},
    ready::{self, Addresses, Ready, SignedIn},
    seed::{self, HANDS, Hands},
    visitor::{Place, Visitor, connection},
};
use anyhow::{Context, anyhow};
use domain::instant::Instant;
use entra_local::{Issuer, TokenVersion};
use serde_json::json;
use server::{
    Server,
    clock::{Clock, wall_seconds},
    config::{Settings, Sources},
    telemetry::init_logging,
};
use std::{ffi::OsString, sync::Arc, time::Duration};

/// How long simulated work, which takes two seconds at most, may go on when all is to end.
const DRAIN: Duration = Duration::from_secs(3);

/// `fame dev` with its doors open.
pub struct Running {
    home: Arc<Home>,
    issuer: Issuer,
    server: Arc<Server>,
    time: Arc<Timekeeper>,
    doors: OpenDoors,
    addresses: Addresses,
    http: reqwest::Client,
    /// When the machine says it is, for sample data that is still to come.
    today: Instant,
}

impl Running {
    /// Starts everything in `home`; a new one begins as `beginning` says.
    ///
    /// # Errors
    /// What kept it from starting.
    pub async fn start(doors: Doors, home: Arc<Home>, beginning: Beginning) -> anyhow::Result<Self> {
        let issuer = issuer(&home, doors.https_url(), beginning)?;
        home.write_authority(issuer.certificates().authority_pem())?;
        let settings = settings(&home, &issuer, doors.https_url())?;
        // Whoever started this process may have said already where logs go.
        drop(init_logging(&settings.log.level, settings.log.format));

        let clock = Clock::system();
        let today = clock.now();
        clock.set(first_moment(&home, today));
        let limits = settings.limits.clone();
        let server = Arc::new(Server::start(settings, clock, demo::script()).await?);
        let time = Arc::new(Timekeeper::new(Arc::clone(&server)));

        let addresses = Addresses::new(doors.http_url(), doors.https_url(), home.ca_file());
        let control = control::router(Arc::clone(&time), issuer.clone(), Arc::clone(&home));
        let http = behind_http(server.router("http"), &issuer, control);
        let https = behind_https(server.router("https"), &issuer);
        let doors = doors.open(http, https, issuer.certificates().clone(), limits)?;
        Ok(Self {
            home,
            issuer,
            server,
            time,
            doors,
            addresses,
            http: connection()?,
            today,
        })
    }

    /// Completes the beginning of a new home.
    ///
    /// # Errors
    /// When the service does not take the sample data in.
    pub async fn prepare(&self) -> anyhow::Result<()> {
        let Some(kept) = self.home.kept().filter(|kept| !kept.complete) else {
            return Ok(());
        };
        if kept.beginning == Beginning::Demo {
            let [operator, owner, contributor] = HANDS;
            let hands = Hands {
                operator: self.sign_in(&operator).await?,
                owner: self.sign_in(&owner).await?,
                contributor: self.sign_in(&contributor).await?,
            };
            seed::take_in(&hands, &self.time, self.today).await?;
        }
        Ok(self.home.change(|kept| kept.complete = true)?)
    }

    /// Says what there is.
    ///
    /// # Errors
    /// When the service does not answer as it should.
    pub async fn look_around(&self) -> anyhow::Result<Ready> {
        let operator = self.sign_in(&cast::OPERATOR).await?;
        let mut others = Vec::new();
        for client in CLIENTS.iter().filter(|client| client.role.is_some()) {
            others.push(SignedIn {
                client: *client,
                visitor: self.sign_in(client).await?,
            });
        }
        let folder = self.home.folder().to_owned();
        ready::look_around(
            self.addresses.clone(),
            folder,
            &self.issuer.directory(),
            &operator,
            &others,
        )
        .await
    }

    /// Signs a client in, at the doors like everybody.
    ///
    /// # Errors
    /// The issuer's refusal.
    pub async fn sign_in(&self, client: &Client) -> anyhow::Result<Visitor> {
        let credentials = cast::credentials(&self.issuer.directory(), client)
            .with_context(|| format!("the client '{}' is gone from the data folder", client.name))?;
        let place = Place {
            base_url: self.addresses.base_url.clone(),
            token_url: self.addresses.token_url.clone(),
        };
        Visitor::sign_in(&self.http, &place, &credentials).await
    }

    /// Somebody without a token, for the control endpoint.
    pub fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// Ends everything, in the order in which nobody misses anybody.
    pub async fn stop(self) {
        self.doors.close().await;
        self.server.drain(DRAIN).await;
        self.server.stop().await;
    }
}

/// The issuer as it was left, or a new one that is written down before anybody sees it.
fn issuer(home: &Home, base_url: &str, beginning: Beginning) -> anyhow::Result<Issuer> {
    let settings = entra_local::Settings {
        base_url: base_url.to_owned(),
        clock: Arc::new(wall_seconds),
    };
    if let Some(kept) = home.kept() {
        return Ok(Issuer::load(settings, kept.issuer)?);
    }
    let issuer = Issuer::new(settings, cast::directory()?)?;
    home.begin(Kept {
        beginning,
        complete: false,
        clock_offset: 0,
        issuer: issuer.state()?,
    })?;
    Ok(issuer)
}

/// Where the service's clock stands when it starts: where it was moved to, or at the beginning of the sample data.
fn first_moment(home: &Home, today: Instant) -> Instant {
    match home.kept() {
        Some(kept) if kept.complete => Instant(today.0 + kept.clock_offset),
        Some(kept) if kept.beginning == Beginning::Demo => seed::begins_on(today),
        _ => today,
    }
}

/// The service's settings: its defaults, what makes it one with this issuer, and the log settings of this process's
/// environment. A configuration meant for production has no say here.
fn settings(home: &Home, issuer: &Issuer, authority: &str) -> anyhow::Result<Settings> {
    let issuers = json!([{
        "kind": "entra",
        "authority": authority,
        "tenants": [cast::home_tenant()],
        "audiences": [cast::API_URI, cast::api_id()],
        "audience_presets": ["business_central"],
        "v1_issuer": issuer.issuer_template(TokenVersion::V1),
        "v2_issuer": issuer.issuer_template(TokenVersion::V2),
    }]);
    let operators = json!([{ "type": "Application", "id": cast::OPERATOR.principal_id() }]);
    let overrides = [
        ("server.data_dir", home.service_folder().display().to_string()),
        ("identity.issuers", issuers.to_string()),
        // Keys are fetched by https; this keeps proxies out of the way to our own machine.
        ("identity.allow_insecure_loopback", "true".to_owned()),
        ("identity.ca_file", home.ca_file().display().to_string()),
        ("operators.principals", operators.to_string()),
        ("executor.kind", "simulate".to_owned()),
        // As many as can be due: whoever moves the clock wants to see all of them taken on.
        ("executor.slots", "1024".to_owned()),
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
