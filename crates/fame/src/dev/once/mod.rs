//! `--once`: the main job from end to end, told step by step. An app is registered and uploaded in two versions, and
//! two environments get the new one: one at once, one in its update window.
//!
//! It believes no answer that it can check: what it says at the end is read back from the service.

mod transcript;

use super::{
    demo::FAMILY,
    people::{self, CONTRIBUTOR, OPERATOR, OWNER, READER},
    ready::Addresses,
    running::Running,
    seed::first_owner,
};
use crate::exit::Exit;
use anyhow::{Context, bail, ensure};
use client::{EnvironmentPath, Narrowing, Query, Request, Upload};
use domain::{
    ids::{AppId, OperationId, TenantId},
    instant::{Instant, TICKS_PER_SECOND},
    operation::OperationStatus,
    version::{AppVersion, Availability, VersionStatus},
};
use jiff::tz::Offset;
use navx::PackageBuilder;
use reqwest::{Method, Url};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{process::ExitCode, time::Duration};
use transcript::{Participant, Transcript};
use wire::{
    environments::Environment,
    hotfixes::{EnvironmentHotfix, HotfixRequestBody},
    operator::{AppRegistrationBody, EnvironmentRegistrationBody, InstalledAppBody, WindowBody},
    versions::VersionPatchBody,
};

/// The promise is thirty seconds with the start.
const DEADLINE: Duration = Duration::from_secs(25);
/// Between two looks at a hotfix.
const LOOK_AGAIN: Duration = Duration::from_millis(40);

const NAME: &str = "Contoso Order Desk";
const COUNTRY: &str = "US";
const OLD: AppVersion = AppVersion([16, 0, 0, 5]);
const NEW: AppVersion = AppVersion([16, 0, 1, 2]);
const AT_ONCE: &str = "CRONUS-Main";
const IN_WINDOW: &str = "CRONUS-Warehouse";

/// Runs the job against `running`. `to_stderr` leaves standard output to somebody else.
///
/// # Errors
/// When the story cannot be told; that a step failed is part of it, and answered by the exit code.
pub(super) async fn run(
    running: &Running,
    addresses: &Addresses,
    to_stderr: bool,
) -> anyhow::Result<ExitCode> {
    let mut transcript = Transcript { to_stderr, steps: 0 };
    let job = Job::new(running, addresses, &mut transcript).await;
    let done = match job {
        Ok(job) => tokio::time::timeout(DEADLINE, job.run(&mut transcript)).await,
        Err(error) => Ok(Err(error)),
    };
    let failure = match done {
        Ok(Ok(())) => {
            transcript.say("\nDone: both environments are on the new version.")?;
            return Ok(Exit::Done.into());
        }
        Ok(Err(error)) => format!("{error:#}"),
        Err(_) => format!("it was not done within {} seconds", DEADLINE.as_secs()),
    };
    transcript.say(&format!("\nFailed at step {}: {failure}", transcript.steps))?;
    Ok(Exit::Unexpected.into())
}

/// The job and everybody who takes part.
struct Job<'a> {
    http: &'a reqwest::Client,
    addresses: &'a Addresses,
    operator: Participant,
    owner: Participant,
    contributor: Participant,
    reader: Participant,
    app: AppId,
    tenant: TenantId,
}

impl<'a> Job<'a> {
    async fn new(
        running: &'a Running,
        addresses: &'a Addresses,
        transcript: &mut Transcript,
    ) -> anyhow::Result<Self> {
        transcript.step("Everybody signs in with the issuer")?;
        Ok(Self {
            http: running.http(),
            addresses,
            operator: Participant::sign_in(running, addresses, transcript, OPERATOR).await?,
            owner: Participant::sign_in(running, addresses, transcript, OWNER).await?,
            contributor: Participant::sign_in(running, addresses, transcript, CONTRIBUTOR).await?,
            reader: Participant::sign_in(running, addresses, transcript, READER).await?,
            app: people::id(&format!("app {NAME}")).into(),
            tenant: people::id("tenant CRONUS USA").into(),
        })
    }

    async fn run(&self, transcript: &mut Transcript) -> anyhow::Result<()> {
        self.register(transcript).await?;
        let package = self.upload(transcript).await?;
        self.report_environments(transcript).await?;
        let window = self.look_ahead(transcript).await?;
        let first = self.update_at_once(transcript).await?;
        let second = self.update_in_window(transcript, window).await?;
        self.read_back(transcript, [first, second], window, &package)
            .await
    }

    async fn register(&self, transcript: &mut Transcript) -> anyhow::Result<()> {
        transcript.step("The operator registers an app, and names its owner")?;
        let registration = AppRegistrationBody {
            publisher: Some("Contoso".to_owned()),
            publisher_aad_tenant_id: Some(people::home_tenant()),
            publisher_contact_email: Some("apps@contoso.com".to_owned()),
            storage_location: Some("West Europe".to_owned()),
            signer_rule: None,
            owner: Some(first_owner()),
        };
        let put = self.operator.client.put_app(self.app, &registration);
        self.operator.ask(transcript, put).await?;

        transcript.step("The owner lets two others in")?;
        for person in [CONTRIBUTOR, READER] {
            let principal = person.principal().context("somebody has no role")?;
            let id = person.principal_id().into();
            let patch = self.owner.client.patch_principal(self.app, id, &principal);
            self.owner.ask(transcript, patch).await?;
        }
        Ok(())
    }

    /// Uploads both versions, and answers the bytes of the new one.
    async fn upload(&self, transcript: &mut Transcript) -> anyhow::Result<Vec<u8>> {
        let Participant { client, .. } = &self.contributor;
        transcript.step("The contributor makes the app available in a country")?;
        let country = client.patch_country(self.app, COUNTRY);
        self.contributor.ask(transcript, country).await?;

        transcript.step("The contributor uploads the old version and the new one")?;
        let old = self.package(OLD)?;
        let new = self.package(NEW)?;
        for (bytes, availability) in [(&old, Availability::Available), (&new, Availability::Preview)] {
            let upload = Upload::bytes(bytes.clone()).availability(availability);
            let upload = client.upload_version(self.app, COUNTRY, upload);
            let version = self.contributor.ask(transcript, upload).await?;
            ensure!(
                version.status == VersionStatus::Uploaded,
                "the version was not stored"
            );
        }

        transcript.step("The contributor releases the new version")?;
        let change = VersionPatchBody {
            availability: Some(Availability::Available.to_string()),
            ..VersionPatchBody::default()
        };
        let release = client.patch_version(self.app, COUNTRY, NEW, &change);
        let released = self.contributor.ask(transcript, release).await?;
        ensure!(
            released.availability == Availability::Available,
            "the version was not released"
        );
        Ok(new)
    }

    fn package(&self, version: AppVersion) -> anyhow::Result<Vec<u8>> {
        let version = version.to_string();
        let version = version.parse().context("the version of the package")?;
        Ok(PackageBuilder::new(self.app.0, NAME, "Contoso", version)
            .id_range(50_200, 50_249)
            .to_bytes()?)
    }

    /// Two environments with the old version, in whose window it is not now.
    async fn report_environments(&self, transcript: &mut Transcript) -> anyhow::Result<()> {
        transcript.step("The operator reports two environments that have the old version")?;
        let (start, end) = window_ahead(self.now().await?);
        let registration = EnvironmentRegistrationBody {
            country_code: COUNTRY.to_owned(),
            kind: "Production".to_owned(),
            location_name: Some("East US".to_owned()),
            application_version: Some("27.1.41698.0".to_owned()),
            platform_version: Some("27.0.41698.0".to_owned()),
            window: Some(WindowBody {
                start,
                end,
                time_zone: "UTC".to_owned(),
            }),
            inventory_complete: false,
            apps: vec![InstalledAppBody {
                id: self.app.0,
                name: Some(NAME.to_owned()),
                publisher: Some("Contoso".to_owned()),
                version: OLD.to_string(),
            }],
        };
        for name in [AT_ONCE, IN_WINDOW] {
            let path = self.environment(name);
            let put = self.operator.client.put_environment(path, &registration);
            self.operator.ask(transcript, put).await?;
        }
        Ok(())
    }

    fn environment(&self, name: &'static str) -> EnvironmentPath<'static> {
        EnvironmentPath {
            aad_tenant_id: self.tenant,
            application_family: FAMILY,
            name,
        }
    }

    /// The environments that are on an older version.
    async fn old_environments(&self, transcript: &Transcript) -> anyhow::Result<Vec<Environment>> {
        let older = Query::default().filter(format!("version lt '{NEW}'"));
        let list = self.reader.client.list_environments(self.app, COUNTRY);
        let list = list.query(older).first_page();
        Ok(self.reader.ask(transcript, list).await?.value)
    }

    /// Which environments are old, and when their window begins.
    async fn look_ahead(&self, transcript: &mut Transcript) -> anyhow::Result<Instant> {
        transcript.step("The reader lists the environments that are on an older version")?;
        let old = self.old_environments(transcript).await?;
        ensure!(old.len() == 2, "{} environments are listed, not 2", old.len());
        transcript.checked("both are listed")?;

        transcript.step("The contributor asks what an update would come to")?;
        let plan = self.contributor.client.plan_hotfixes(self.app, COUNTRY, NEW);
        let plan = self.contributor.ask(transcript, plan.first_page()).await?.value;
        let eligible = plan.iter().filter(|row| row.eligible);
        ensure!(eligible.count() == 2, "not both environments can be updated");
        let row = plan.iter().find(|row| row.name == IN_WINDOW);
        let window = row.context("the plan lacks an environment")?.starts_at;
        let window = window.context("the plan says no time")?;
        ensure!(self.now().await? < window, "the window is open already");
        transcript.checked(&format!("the update windows begin at {window}"))?;
        Ok(window)
    }

    async fn update_at_once(&self, transcript: &mut Transcript) -> anyhow::Result<OperationId> {
        transcript.step("The contributor updates the first environment at once, ignoring its window")?;
        let id = self.schedule(transcript, AT_ONCE, true).await?;
        self.wait_for_success(transcript, id).await?;
        Ok(id)
    }

    async fn update_in_window(
        &self,
        transcript: &mut Transcript,
        window: Instant,
    ) -> anyhow::Result<OperationId> {
        transcript.step("The contributor updates the second environment, in its window")?;
        let id = self.schedule(transcript, IN_WINDOW, false).await?;
        // A move of the clock is answered once all that is due was taken on: what still waits then, waits for its
        // window.
        self.move_clock(transcript, &json!({ "advance": "PT1M" })).await?;
        let waiting = self.contributor.ask(transcript, self.hotfix(id)).await?;
        ensure!(
            waiting.status == OperationStatus::Scheduled,
            "it did not wait for its window"
        );
        transcript.checked("it waits for its window")?;

        transcript.step("The clock is moved to where the window begins")?;
        self.move_clock(transcript, &json!({ "now": window.to_string() }))
            .await?;
        self.wait_for_success(transcript, id).await?;
        Ok(id)
    }

    fn hotfix(&self, id: OperationId) -> Request<EnvironmentHotfix> {
        self.contributor.client.get_hotfix(self.app, COUNTRY, id)
    }

    async fn schedule(
        &self,
        transcript: &Transcript,
        name: &str,
        ignores_window: bool,
    ) -> anyhow::Result<OperationId> {
        let body = HotfixRequestBody {
            environment_aad_tenant_id: self.tenant.0,
            target_app_version: NEW.to_string(),
            run_after: None,
            ignore_upgrade_window: ignores_window,
            environment_application_family: FAMILY.to_owned(),
            environment_name: name.to_owned(),
            environment_type: None,
            despite_forecast: false,
        };
        let schedule = self.contributor.client.schedule_hotfix(self.app, COUNTRY, &body);
        let made = self.contributor.ask(transcript, schedule).await?;
        ensure!(made.status == OperationStatus::Scheduled, "it was not scheduled");
        Ok(made.id)
    }

    /// Looks until the hotfix has ended, and shows it whenever its status is another.
    async fn wait_for_success(&self, transcript: &Transcript, id: OperationId) -> anyhow::Result<()> {
        let mut seen = OperationStatus::Scheduled;
        loop {
            let row = self.hotfix(id).json().await?;
            let hotfix = EnvironmentHotfix::deserialize(&row)?;
            let status = hotfix.status;
            if status != seen {
                let url = self.hotfix(id).url().clone();
                transcript.request(self.contributor.name, &Method::GET, &url, None)?;
                transcript.answer("200 OK", &row)?;
                transcript.checked(&format!("{seen} -> {status}"))?;
                seen = status;
            }
            match status {
                OperationStatus::Succeeded => return Ok(()),
                OperationStatus::Scheduled | OperationStatus::Running => {
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
                other => {
                    let why = hotfix.error_message.unwrap_or_default();
                    bail!("the hotfix ended as {other}: {why}")
                }
            }
        }
    }

    async fn now(&self) -> anyhow::Result<Instant> {
        let url = format!("{}/clock", self.addresses.control_url);
        let answer: Value = self
            .http
            .get(url)
            .send()
            .await?
            .error_for_status()?
            .json()
            .await?;
        let now = answer.get("now").and_then(Value::as_str);
        Ok(now.unwrap_or_default().parse()?)
    }

    async fn move_clock(&self, transcript: &Transcript, to: &Value) -> anyhow::Result<()> {
        let url: Url = format!("{}/clock", self.addresses.control_url).parse()?;
        transcript.request("anybody", &Method::POST, &url, Some(to))?;
        let response = self.http.post(url).json(to).send().await?;
        let (status, answer) = (response.status(), response.json::<Value>().await?);
        transcript.answer(status, &answer)?;
        ensure!(status.is_success(), "the clock was not moved");
        Ok(())
    }

    /// What is true in the end, whatever was answered before.
    async fn read_back(
        &self,
        transcript: &mut Transcript,
        ids: [OperationId; 2],
        window: Instant,
        package: &[u8],
    ) -> anyhow::Result<()> {
        let Participant { name: reader, client } = &self.reader;
        transcript.step("All is read back: the environments, as the vendor and as the operator see them")?;
        let old = self.old_environments(transcript).await?;
        ensure!(old.is_empty(), "{} environments are still old", old.len());
        for name in [AT_ONCE, IN_WINDOW] {
            let seen = client.get_environment(self.app, COUNTRY, name, &Narrowing::default());
            let seen = self.reader.ask(transcript, seen).await?.version;
            let known = self
                .operator
                .client
                .get_registered_environment(self.environment(name));
            let known = self.operator.ask(transcript, known).await?;
            let known = known.apps.first().context("an environment has no app")?.version;
            ensure!(seen == NEW && known == NEW, "{name} is on {seen} and {known}");
            transcript.checked(&format!("{name} is on {NEW}"))?;
        }

        transcript.step("The hotfixes, and when they ran")?;
        let list = client.list_hotfixes(self.app, COUNTRY).first_page();
        let list = self.reader.ask(transcript, list).await?.value;
        let [first, second] = ids.map(|id| list.iter().find(|hotfix| hotfix.id == id));
        let first = started_on(first.context("the first hotfix is gone")?)?;
        let second = started_on(second.context("the second hotfix is gone")?)?;
        ensure!(
            first < window && second >= window,
            "they started at {first} and {second}"
        );
        transcript.checked("the first ran before the window, the second within it")?;

        transcript.step("The package comes back as it was sent")?;
        let stored = client.get_package_contents(self.app, COUNTRY, NEW);
        transcript.request(reader, &Method::POST, stored.url(), None)?;
        let bytes = stored.bytes().await?;
        transcript.say(&format!("    => 200 OK ({} bytes)", bytes.len()))?;
        ensure!(bytes == package, "the bytes differ from what was uploaded");
        Ok(transcript.checked("the very bytes that were uploaded")?)
    }
}

fn started_on(hotfix: &EnvironmentHotfix) -> anyhow::Result<Instant> {
    ensure!(
        hotfix.status == OperationStatus::Succeeded,
        "a hotfix is {}",
        hotfix.status
    );
    ensure!(hotfix.completed_on.is_some(), "a hotfix has no end");
    hotfix.started_on.context("a hotfix has no beginning")
}

/// Six hours, in UTC, that begin between one and two hours from now.
fn window_ahead(now: Instant) -> (String, String) {
    let hour = |hours: i64| {
        let then = Instant(now.0 + hours * 3_600 * TICKS_PER_SECOND);
        format!("{:02}:00", Offset::UTC.to_datetime(then.to_timestamp()).hour())
    };
    (hour(2), hour(8))
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::window::UpdateWindow;

    #[test]
    fn the_window_is_never_open_yet() {
        for text in [
            "2027-01-31T00:00:00Z",
            "2027-01-31T17:59:59Z",
            "2027-01-31T21:30:00Z",
            "2027-12-31T23:59:59Z",
        ] {
            let now: Instant = text.parse().unwrap();
            let (start, end) = window_ahead(now);
            let window = UpdateWindow::new(&start, &end, "UTC").unwrap();
            assert!(!window.contains(now), "{text}");
            let wait = window.next_start(now).since(now);
            assert!(
                wait > Duration::from_secs(3_600) && wait <= Duration::from_secs(7_200),
                "{text}: {wait:?}"
            );
        }
    }
}
