//! Taking the sample data in, by the doors that everybody uses, while the service's clock goes through the four weeks
//! in which it would have come about: so that the lists have a past, and the doors are proven at every first start.

use super::{
    cast::{CLIENTS, CONTRIBUTOR, Client, OPERATOR, OWNER},
    control::Timekeeper,
    demo::{self, DemoApp, DemoEnvironment, DemoHotfix, DemoVersion, FAMILY, SALES_PACK},
    visitor::Visitor,
};
use anyhow::Context;
use base64::{Engine, engine::general_purpose::STANDARD};
use domain::{
    instant::{Instant, TICKS_PER_SECOND},
    principal::PrincipalKind,
};
use futures::{StreamExt, TryStreamExt, stream};
use navx::PackageBuilder;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

/// Requests under way at the same time.
const AT_ONCE: usize = 8;
/// Longer than the simulated executor takes for anything.
const WORK: i64 = 5 * TICKS_PER_SECOND;
const DAY: i64 = 86_400 * TICKS_PER_SECOND;

/// Those who bring the sample data in.
pub struct Hands {
    /// Registers apps and environments.
    pub operator: Visitor,
    /// Gives the other clients their roles.
    pub owner: Visitor,
    /// Uploads, and schedules hotfixes.
    pub contributor: Visitor,
}

/// The clients that [`Hands`] needs, in the order of its fields.
pub const HANDS: [Client; 3] = [OPERATOR, OWNER, CONTRIBUTOR];

/// When the service's clock has to stand at the beginning of the sample data, if it is `today` now.
pub fn begins_on(today: Instant) -> Instant {
    let longest_ago = demo::upload_days().first().copied().unwrap_or_default();
    days_before(today, longest_ago)
}

fn days_before(today: Instant, days: i64) -> Instant {
    Instant(today.0 - days * DAY)
}

/// Takes the sample data into an empty service. The clock goes from [`begins_on`] to a moment of today.
///
/// # Errors
/// The first request that was not answered as it should be.
pub async fn take_in(hands: &Hands, time: &Timekeeper, today: Instant) -> anyhow::Result<()> {
    register_apps(hands)
        .await
        .context("registering the sample apps")?;
    let (earlier, later): (Vec<_>, Vec<_>) = demo::upload_days()
        .into_iter()
        .partition(|day| *day > demo::HOTFIX_DAY);
    upload_versions(hands, time, today, &earlier).await?;
    live_the_past(hands, time, today).await?;
    upload_versions(hands, time, today, &later).await?;
    time.set(Instant(today.0 + WORK)).await?;
    schedule_the_future(hands, time.now())
        .await
        .context("scheduling the waiting sample hotfixes")
}

async fn register_apps(hands: &Hands) -> anyhow::Result<()> {
    for app in demo::APPS {
        let registration = json!({
            "publisher": app.publisher,
            "publisherAadTenantId": app.publisher_tenant(),
            "publisherContactEmail": app.contact(),
            "storageLocation": app.location,
            "owner": { "type": "Application", "id": OWNER.principal_id() },
        });
        hands
            .operator
            .send(
                Method::PUT,
                &format!("/operator/v1/apps/{}", app.id()),
                &registration,
            )
            .await?;
        for country in app.countries {
            let path = format!("/v1.0/apps/{}/countries/{country}", app.id());
            hands.owner.send(Method::PATCH, &path, &json!({})).await?;
        }
        give_roles(&hands.owner, app.id(), &CLIENTS).await?;
    }
    Ok(())
}

/// Gives those of `clients` who are meant to have one their role on an app.
///
/// # Errors
/// When the service refuses.
pub async fn give_roles(owner: &Visitor, app: Uuid, clients: &[Client]) -> anyhow::Result<()> {
    for client in clients {
        let Some(role) = client.role else { continue };
        let mut principal = json!({ "type": client.kind.as_str(), "roles": [role.as_str()] });
        if client.kind == PrincipalKind::User {
            principal["aadTenantId"] = json!(super::cast::home_tenant());
        }
        let path = format!("/v1.0/apps/{app}/principals/{}", client.principal_id());
        owner.send(Method::PATCH, &path, &principal).await?;
    }
    Ok(())
}

async fn upload_versions(
    hands: &Hands,
    time: &Timekeeper,
    today: Instant,
    days: &[i64],
) -> anyhow::Result<()> {
    for day in days {
        time.set(days_before(today, *day)).await?;
        upload_versions_of(hands, *day)
            .await
            .context("uploading the sample versions")?;
    }
    Ok(())
}

async fn upload_versions_of(hands: &Hands, day: i64) -> anyhow::Result<()> {
    let mut uploads = Vec::new();
    for app in demo::APPS {
        for version in app.versions.iter().filter(|version| version.days_ago == day) {
            let contents = STANDARD.encode(package(app, version)?);
            uploads.extend(
                app.countries
                    .iter()
                    .map(|country| (app, *country, version, contents.clone())),
            );
        }
    }
    at_once(uploads.into_iter().map(|(app, country, version, contents)| {
        let contributor = &hands.contributor;
        async move { upload(contributor, app, country, version, contents).await }
    }))
    .await
}

/// Does several things at the same time, and stops at the first that fails.
async fn at_once(work: impl Iterator<Item = impl Future<Output = anyhow::Result<()>>>) -> anyhow::Result<()> {
    stream::iter(work).buffer_unordered(AT_ONCE).try_collect().await
}

async fn upload(
    contributor: &Visitor,
    app: &DemoApp,
    country: &str,
    version: &DemoVersion,
    contents: String,
) -> anyhow::Result<()> {
    let versions = format!("/v1.0/apps/{}/countries/{country}/versions", app.id());
    let is_deprecated = version.availability == "Deprecated";
    let at_first = if is_deprecated {
        "Available"
    } else {
        version.availability
    };
    let body = json!({ "initialAvailability": at_first, "packageContents": contents });
    contributor.send(Method::POST, &versions, &body).await?;
    if is_deprecated {
        let change = json!({ "availability": "Deprecated" });
        contributor
            .send(Method::PATCH, &format!("{versions}/{}", version.number), &change)
            .await?;
    }
    Ok(())
}

fn package(app: &DemoApp, version: &DemoVersion) -> anyhow::Result<Vec<u8>> {
    let number = version
        .number
        .parse()
        .with_context(|| format!("the sample version {}", version.number))?;
    let mut package = PackageBuilder::new(app.id(), app.name, app.publisher, number).id_range(50_100, 50_149);
    if let Some(least) = version.sales_pack {
        let least = least
            .parse()
            .with_context(|| format!("the sample dependency {least}"))?;
        package = package.dependency(SALES_PACK.id(), SALES_PACK.name, SALES_PACK.publisher, least);
    }
    Ok(package.to_bytes()?)
}

async fn live_the_past(hands: &Hands, time: &Timekeeper, today: Instant) -> anyhow::Result<()> {
    time.set(days_before(today, demo::HOTFIX_DAY + 1)).await?;
    let environments = demo::environments();
    at_once(
        environments
            .iter()
            .map(|environment| report(&hands.operator, environment)),
    )
    .await
    .context("registering the sample environments")?;

    let day = days_before(today, demo::HOTFIX_DAY);
    time.set(day).await?;
    for hotfix in &demo::CARRIED_OUT {
        schedule(
            hands,
            &environments,
            hotfix,
            json!({ "ignoreUpgradeWindow": true }),
        )
        .await?;
    }
    let later = json!({ "runAfter": Instant(day.0 + DAY).to_string() });
    let regretted = schedule(hands, &environments, &demo::CANCELED, later).await?;
    let cancel = json!({ "status": "Canceled" });
    hands.contributor.send(Method::PATCH, &regretted, &cancel).await?;
    // Once to begin what is due, once to end it.
    time.set(Instant(day.0 + TICKS_PER_SECOND)).await?;
    time.set(Instant(day.0 + TICKS_PER_SECOND + WORK)).await
}

async fn report(operator: &Visitor, environment: &DemoEnvironment) -> anyhow::Result<()> {
    let installed = environment.apps.iter().map(|(app, version)| {
        json!({ "id": app.id(), "name": app.name, "publisher": app.publisher, "version": version })
    });
    let (start, end, zone) = environment.window;
    let registration = json!({
        "countryCode": environment.country,
        "type": environment.kind,
        "locationName": location_of(environment.country),
        "applicationVersion": environment.application,
        "platformVersion": "27.0.41698.0",
        "window": { "start": start, "end": end, "timeZone": zone },
        "apps": installed.collect::<Vec<_>>(),
    });
    let name = &environment.name;
    let path = format!(
        "/operator/v1/environments/{}/Business%20Central/{name}",
        environment.tenant
    );
    operator.send(Method::PUT, &path, &registration).await.map(drop)
}

fn location_of(country: &str) -> &'static str {
    match country {
        "US" => "East US",
        "DK" => "North Europe",
        _ => "West Europe",
    }
}

async fn schedule_the_future(hands: &Hands, now: Instant) -> anyhow::Result<()> {
    let environments = demo::environments();
    for (hotfix, days) in &demo::WAITING {
        let run_after = json!({ "runAfter": Instant(now.0 + days * DAY).to_string() });
        schedule(hands, &environments, hotfix, run_after).await?;
    }
    Ok(())
}

/// Schedules a hotfix, and answers its address.
async fn schedule(
    hands: &Hands,
    environments: &[DemoEnvironment],
    hotfix: &DemoHotfix,
    when: Value,
) -> anyhow::Result<String> {
    let environment = environments
        .iter()
        .find(|environment| environment.name == hotfix.environment);
    let environment = environment.with_context(|| format!("no sample environment {}", hotfix.environment))?;
    let mut body = json!({
        "environmentAadTenantId": environment.tenant,
        "environmentApplicationFamily": FAMILY,
        "environmentName": environment.name,
        "environmentType": environment.kind,
        "targetAppVersion": hotfix.target,
    });
    if let (Some(body), Value::Object(when)) = (body.as_object_mut(), when) {
        body.extend(when);
    }
    let hotfixes = format!(
        "/v1.0/apps/{}/countries/{}/environmentHotfixes",
        SALES_PACK.id(),
        environment.country
    );
    let made = hands.contributor.send(Method::POST, &hotfixes, &body).await?;
    Ok(format!("{hotfixes}/{}", super::visitor::text(&made, "id")))
}
