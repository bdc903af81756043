//! `--once`: the main job from end to end, told step by step. An app is registered and uploaded in two versions, and
//! two environments get the new one: one at once, one in its update window.
//!
//! It believes no answer that it can check: what it says at the end is read back from the service.

mod telling;

use super::{
    cast::{self, CONTRIBUTOR, OPERATOR, OWNER, READER},
    ready::Addresses,
    running::Running,
    visitor::{rows, text},
};
use crate::exit::Exit;
use anyhow::{Context, bail, ensure};
use base64::{Engine, engine::general_purpose::STANDARD};
use domain::instant::{Instant, TICKS_PER_SECOND};
use jiff::tz::Offset;
use navx::PackageBuilder;
use reqwest::Method;
use serde_json::{Value, json};
use std::{process::ExitCode, time::Duration};
use telling::{Player, Teller, player};
use uuid::Uuid;

/// The promise is thirty seconds with the start.
const DEADLINE: Duration = Duration::from_secs(25);
/// Between two looks at a hotfix.
const LOOK_AGAIN: Duration = Duration::from_millis(40);

const NAME: &str = "Contoso Order Desk";
const OLD: &str = "16.0.0.5";
const NEW: &str = "16.0.1.2";
const AT_ONCE: &str = "CRONUS-Main";
const IN_WINDOW: &str = "CRONUS-Warehouse";

/// Runs the job against `running`. `to_stderr` leaves standard output to somebody else.
///
/// # Errors
/// When the story cannot be told; that a step failed is part of it, and answered by the exit code.
pub async fn run(running: &Running, addresses: &Addresses, to_stderr: bool) -> anyhow::Result<ExitCode> {
    let mut teller = Teller { to_stderr, steps: 0 };
    let job = Job::new(running, addresses, &mut teller).await;
    let done = match job {
        Ok(job) => tokio::time::timeout(DEADLINE, job.run(&mut teller)).await,
        Err(error) => Ok(Err(error)),
    };
    let failure = match done {
        Ok(Ok(())) => {
            teller.say("\nDone: both environments are on the new version.")?;
            return Ok(Exit::Done.into());
        }
        Ok(Err(error)) => format!("{error:#}"),
        Err(_) => format!("it was not done within {} seconds", DEADLINE.as_secs()),
    };
    teller.say(&format!("\nFailed at step {}: {failure}", teller.steps))?;
    Ok(Exit::Unexpected.into())
}

/// The job and everybody who takes part.
struct Job<'a> {
    http: &'a reqwest::Client,
    addresses: &'a Addresses,
    operator: Player,
    owner: Player,
    contributor: Player,
    reader: Player,
    app: Uuid,
    tenant: Uuid,
}

impl<'a> Job<'a> {
    async fn new(
        running: &'a Running,
        addresses: &'a Addresses,
        teller: &mut Teller,
    ) -> anyhow::Result<Self> {
        teller.step("Everybody signs in with the issuer")?;
        Ok(Self {
            http: running.http(),
            addresses,
            operator: player(running, addresses, teller, OPERATOR).await?,
            owner: player(running, addresses, teller, OWNER).await?,
            contributor: player(running, addresses, teller, CONTRIBUTOR).await?,
            reader: player(running, addresses, teller, READER).await?,
            app: cast::id(&format!("app {NAME}")),
            tenant: cast::id("tenant CRONUS USA"),
        })
    }

    async fn run(&self, teller: &mut Teller) -> anyhow::Result<()> {
        self.register(teller).await?;
        let package = self.upload(teller).await?;
        self.report_environments(teller).await?;
        let window = self.look_ahead(teller).await?;
        let first = self.update_at_once(teller).await?;
        let second = self.update_in_window(teller, window).await?;
        self.read_back(teller, [first, second], window, &package).await
    }

    async fn register(&self, teller: &mut Teller) -> anyhow::Result<()> {
        teller.step("The operator registers an app, and names its owner")?;
        let registration = json!({
            "publisher": "Contoso",
            "publisherAadTenantId": cast::home_tenant(),
            "publisherContactEmail": "apps@contoso.com",
            "storageLocation": "West Europe",
            "owner": { "type": "Application", "id": OWNER.principal_id() },
        });
        let path = format!("/operator/v1/apps/{}", self.app);
        self.operator
            .ask(teller, Method::PUT, &path, Some(&registration))
            .await?;

        teller.step("The owner lets two others in")?;
        for (client, role) in [(CONTRIBUTOR, "Contributor"), (READER, "Reader")] {
            let path = format!("/v1.0/apps/{}/principals/{}", self.app, client.principal_id());
            let body = json!({ "type": "Application", "roles": [role] });
            self.owner.ask(teller, Method::PATCH, &path, Some(&body)).await?;
        }
        Ok(())
    }

    /// Uploads both versions, and answers the bytes of the new one.
    async fn upload(&self, teller: &mut Teller) -> anyhow::Result<Vec<u8>> {
        teller.step("The contributor makes the app available in a country")?;
        self.contributor
            .ask(teller, Method::PATCH, &self.shelf(""), Some(&json!({})))
            .await?;

        teller.step("The contributor uploads the old version and the new one")?;
        let old = self.package(OLD)?;
        let new = self.package(NEW)?;
        for (bytes, availability) in [(&old, "Available"), (&new, "Preview")] {
            let body =
                json!({ "initialAvailability": availability, "packageContents": STANDARD.encode(bytes) });
            let version = self
                .contributor
                .ask(teller, Method::POST, &self.shelf("/versions"), Some(&body))
                .await?;
            ensure!(
                text(&version, "status") == "Uploaded",
                "the version was not stored"
            );
        }

        teller.step("The contributor releases the new version")?;
        let path = self.shelf(&format!("/versions/{NEW}"));
        let released = self
            .contributor
            .ask(
                teller,
                Method::PATCH,
                &path,
                Some(&json!({ "availability": "Available" })),
            )
            .await?;
        ensure!(
            text(&released, "availability") == "Available",
            "the version was not released"
        );
        Ok(new)
    }

    /// An address below the app in its country.
    fn shelf(&self, rest: &str) -> String {
        format!("/v1.0/apps/{}/countries/US{rest}", self.app)
    }

    fn package(&self, version: &str) -> anyhow::Result<Vec<u8>> {
        let version = version.parse().context("the version of the package")?;
        Ok(PackageBuilder::new(self.app, NAME, "Contoso", version)
            .id_range(50_200, 50_249)
            .to_bytes()?)
    }

    /// Two environments with the old version, in whose window it is not now.
    async fn report_environments(&self, teller: &mut Teller) -> anyhow::Result<()> {
        teller.step("The operator reports two environments that have the old version")?;
        let (start, end) = window_ahead(self.now().await?);
        for name in [AT_ONCE, IN_WINDOW] {
            let registration = json!({
                "countryCode": "US",
                "type": "Production",
                "locationName": "East US",
                "applicationVersion": "27.1.41698.0",
                "platformVersion": "27.0.41698.0",
                "window": { "start": start, "end": end, "timeZone": "UTC" },
                "apps": [{ "id": self.app, "name": NAME, "publisher": "Contoso", "version": OLD }],
            });
            let path = self.environment(name);
            self.operator
                .ask(teller, Method::PUT, &path, Some(&registration))
                .await?;
        }
        Ok(())
    }

    fn environment(&self, name: &str) -> String {
        format!(
            "/operator/v1/environments/{}/Business%20Central/{name}",
            self.tenant
        )
    }

    /// Which environments are old, and when their window begins.
    async fn look_ahead(&self, teller: &mut Teller) -> anyhow::Result<Instant> {
        teller.step("The reader lists the environments that are on an older version")?;
        let old = self.reader.get(teller, &self.shelf(&older_than_new())).await?;
        ensure!(
            rows(&old).len() == 2,
            "{} environments are listed, not 2",
            rows(&old).len()
        );
        teller.checked("both are listed")?;

        teller.step("The contributor asks what an update would come to")?;
        let path = self.shelf(&format!("/environmentHotfixes/plan?targetAppVersion={NEW}"));
        let plan = self.contributor.get(teller, &path).await?;
        let eligible = rows(&plan).iter().filter(|row| row["eligible"] == json!(true));
        ensure!(eligible.count() == 2, "not both environments can be updated");
        let row = rows(&plan).iter().find(|row| text(row, "name") == IN_WINDOW);
        let window = text(row.context("the plan lacks an environment")?, "startsAt").parse()?;
        ensure!(self.now().await? < window, "the window is open already");
        teller.checked(&format!("the update windows begin at {window}"))?;
        Ok(window)
    }

    async fn update_at_once(&self, teller: &mut Teller) -> anyhow::Result<String> {
        teller.step("The contributor updates the first environment at once, ignoring its window")?;
        let id = self
            .schedule(teller, AT_ONCE, json!({ "ignoreUpgradeWindow": true }))
            .await?;
        self.wait_for_success(teller, &id).await?;
        Ok(id)
    }

    async fn update_in_window(&self, teller: &mut Teller, window: Instant) -> anyhow::Result<String> {
        teller.step("The contributor updates the second environment, in its window")?;
        let id = self.schedule(teller, IN_WINDOW, json!({})).await?;
        // A move of the clock is answered once all that is due was taken on: what still waits then, waits for its
        // window.
        self.move_clock(teller, &json!({ "advance": "PT1M" })).await?;
        let waiting = self.contributor.get(teller, &self.hotfix(&id)).await?;
        ensure!(
            text(&waiting, "status") == "Scheduled",
            "it did not wait for its window"
        );
        teller.checked("it waits for its window")?;

        teller.step("The clock is moved to where the window begins")?;
        self.move_clock(teller, &json!({ "now": window.to_string() }))
            .await?;
        self.wait_for_success(teller, &id).await?;
        Ok(id)
    }

    fn hotfix(&self, id: &str) -> String {
        self.shelf(&format!("/environmentHotfixes/{id}"))
    }

    async fn schedule(&self, teller: &Teller, name: &str, how: Value) -> anyhow::Result<String> {
        let mut body = json!({
            "environmentAadTenantId": self.tenant,
            "environmentApplicationFamily": "Business Central",
            "environmentName": name,
            "targetAppVersion": NEW,
        });
        if let (Some(body), Value::Object(how)) = (body.as_object_mut(), how) {
            body.extend(how);
        }
        let path = self.shelf("/environmentHotfixes");
        let made = self
            .contributor
            .ask(teller, Method::POST, &path, Some(&body))
            .await?;
        ensure!(text(&made, "status") == "Scheduled", "it was not scheduled");
        Ok(text(&made, "id").to_owned())
    }

    /// Looks until the hotfix has ended, and shows it whenever its status is another.
    async fn wait_for_success(&self, teller: &Teller, id: &str) -> anyhow::Result<()> {
        let path = self.hotfix(id);
        let mut seen = "Scheduled".to_owned();
        loop {
            let answer = self.contributor.visitor.get(&path).await?;
            let status = text(&answer, "status");
            if status != seen {
                teller.request(self.contributor.name, &Method::GET, &path, None)?;
                teller.answer("200 OK", &answer)?;
                teller.checked(&format!("{seen} -> {status}"))?;
                status.clone_into(&mut seen);
            }
            match status {
                "Succeeded" => return Ok(()),
                "Scheduled" | "Running" => tokio::time::sleep(LOOK_AGAIN).await,
                other => bail!("the hotfix ended as {other}: {}", text(&answer, "errorMessage")),
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
        Ok(text(&answer, "now").parse()?)
    }

    async fn move_clock(&self, teller: &Teller, to: &Value) -> anyhow::Result<()> {
        let path = format!("{}/clock", super::doors::CONTROL);
        teller.request("anybody", &Method::POST, &path, Some(to))?;
        let url = format!("{}/clock", self.addresses.control_url);
        let response = self.http.post(url).json(to).send().await?;
        let (status, answer) = (response.status(), response.json::<Value>().await?);
        teller.answer(status, &answer)?;
        ensure!(status.is_success(), "the clock was not moved");
        Ok(())
    }

    /// What is true in the end, whatever was answered before.
    async fn read_back(
        &self,
        teller: &mut Teller,
        ids: [String; 2],
        window: Instant,
        package: &[u8],
    ) -> anyhow::Result<()> {
        teller.step("All is read back: the environments, as the vendor and as the operator see them")?;
        let old = self.reader.get(teller, &self.shelf(&older_than_new())).await?;
        ensure!(
            rows(&old).is_empty(),
            "{} environments are still old",
            rows(&old).len()
        );
        for name in [AT_ONCE, IN_WINDOW] {
            let seen = self
                .reader
                .get(teller, &self.shelf(&format!("/environments/{name}")))
                .await?;
            let known = self.operator.get(teller, &self.environment(name)).await?;
            let versions = [text(&seen, "version"), text(&known["apps"][0], "version")];
            ensure!(versions == [NEW, NEW], "{name} is on {}", versions.join(" and "));
            teller.checked(&format!("{name} is on {NEW}"))?;
        }

        teller.step("The hotfixes, and when they ran")?;
        let list = self
            .reader
            .get(teller, &self.shelf("/environmentHotfixes"))
            .await?;
        let [first, second] = ids
            .each_ref()
            .map(|id| rows(&list).iter().find(|row| text(row, "id") == id));
        let first = started_on(first.context("the first hotfix is gone")?)?;
        let second = started_on(second.context("the second hotfix is gone")?)?;
        ensure!(
            first < window && second >= window,
            "they started at {first} and {second}"
        );
        teller.checked("the first ran before the window, the second within it")?;

        teller.step("The package comes back as it was sent")?;
        let path = self.shelf(&format!("/versions/{NEW}/getPackageContents"));
        teller.request(self.reader.name, &Method::POST, &path, None)?;
        let bytes = self.reader.visitor.download(&path).await?;
        teller.say(&format!("    => 200 OK ({} bytes)", bytes.len()))?;
        ensure!(bytes == package, "the bytes differ from what was uploaded");
        Ok(teller.checked("the very bytes that were uploaded")?)
    }
}

fn older_than_new() -> String {
    format!("/environments?$filter=version%20lt%20'{NEW}'")
}

fn started_on(hotfix: &Value) -> anyhow::Result<Instant> {
    ensure!(
        text(hotfix, "status") == "Succeeded",
        "a hotfix is {}",
        text(hotfix, "status")
    );
    ensure!(!text(hotfix, "completedOn").is_empty(), "a hotfix has no end");
    Ok(text(hotfix, "startedOn").parse()?)
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
