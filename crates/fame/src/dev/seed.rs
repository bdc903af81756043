//! Taking the sample data in, by the APIs that everybody uses, while the service's clock goes through the four weeks
//! in which it would have come about: so that the lists have a past, and the APIs are proven at every first start.

use super::{
    control::Timekeeper,
    demo::{self, DemoApp, DemoEnvironment, DemoHotfix, DemoVersion, FAMILY, SALES_PACK},
    people::{CUSTOMER_ADMIN, OWNER, PEOPLE},
};
use anyhow::Context;
use bytes::Bytes;
use client::{Client, EnvironmentPath, Upload};
use domain::{
    instant::{Instant, TICKS_PER_SECOND},
    version::Availability,
};
use futures::{StreamExt, TryStreamExt, stream};
use wire::{
    freezes::AppFreezeBody,
    hotfixes::{EnvironmentHotfix, HotfixRequestBody},
    operator::{
        AppRegistrationBody, CustomerBody, EnvironmentRegistrationBody, InstalledAppBody, OwnerBody,
        WindowBody,
    },
    tags::TagsChangeBody,
    versions::VersionPatchBody,
};

/// Requests under way at the same time.
const AT_ONCE: usize = 8;
/// Longer than the simulator takes for anything.
const WORK: i64 = 5 * TICKS_PER_SECOND;
const DAY: i64 = 86_400 * TICKS_PER_SECOND;

/// Those who bring the sample data in.
pub(super) struct Actors {
    /// Registers apps and environments.
    pub operator: Client,
    /// Gives everybody else their roles.
    pub owner: Client,
    /// Uploads, and schedules hotfixes.
    pub contributor: Client,
}

/// When the service's clock has to stand at the beginning of the sample data, if it is `today` now.
pub(super) fn begins_on(today: Instant) -> Instant {
    let longest_ago = demo::upload_days().first().copied().unwrap_or_default();
    days_before(today, longest_ago)
}

fn days_before(today: Instant, days: i64) -> Instant {
    Instant(today.0 - days * DAY)
}

/// Takes the sample data into an empty service. The clock goes from [`begins_on`] to what the machine's says.
///
/// # Errors
/// The first request that was not answered as it should be.
pub(super) async fn take_in(actors: &Actors, time: &Timekeeper, today: Instant) -> anyhow::Result<()> {
    register_apps(actors)
        .await
        .context("registering the sample apps")?;
    let (earlier, later): (Vec<_>, Vec<_>) = demo::upload_days()
        .into_iter()
        .partition(|day| *day > demo::HOTFIX_DAY);
    upload_versions(actors, time, today, &earlier).await?;
    live_the_past(actors, time, today).await?;
    upload_versions(actors, time, today, &later).await?;
    time.set_to_machine().await?;
    schedule_the_future(actors, time.now())
        .await
        .context("scheduling the waiting sample hotfixes")
}

async fn register_apps(actors: &Actors) -> client::Result<()> {
    for app in demo::APPS {
        let registration = AppRegistrationBody {
            publisher: Some(app.publisher.to_owned()),
            publisher_aad_tenant_id: Some(app.publisher_tenant()),
            publisher_contact_email: Some(app.contact()),
            storage_location: Some(app.location.to_owned()),
            signer_rule: None,
            owner: Some(first_owner()),
        };
        actors.operator.put_app(app.id(), &registration).await?;
        for country in app.countries {
            actors.owner.patch_country(app.id(), country).await?;
        }
        for person in PEOPLE {
            if let Some(principal) = person.principal() {
                let id = person.principal_id().into();
                actors.owner.patch_principal(app.id(), id, &principal).await?;
            }
        }
    }
    Ok(())
}

/// Whom every app belongs to at first.
pub(super) fn first_owner() -> OwnerBody {
    OwnerBody {
        kind: OWNER.kind.to_string(),
        id: OWNER.principal_id(),
        aad_tenant_id: None,
    }
}

async fn upload_versions(
    actors: &Actors,
    time: &Timekeeper,
    today: Instant,
    days: &[i64],
) -> anyhow::Result<()> {
    for day in days {
        time.set(days_before(today, *day)).await?;
        upload_versions_of(actors, *day)
            .await
            .context("uploading the sample versions")?;
    }
    Ok(())
}

async fn upload_versions_of(actors: &Actors, day: i64) -> anyhow::Result<()> {
    let mut uploads = Vec::new();
    for app in demo::APPS {
        for version in app.versions.iter().filter(|version| version.days_ago == day) {
            let contents = Bytes::from(package(app, version)?);
            uploads.extend(
                app.countries
                    .iter()
                    .map(|country| (app, *country, version, contents.clone())),
            );
        }
    }
    at_once(uploads.into_iter().map(|(app, country, version, contents)| {
        let contributor = &actors.contributor;
        async move { upload(contributor, app, country, version, contents).await }
    }))
    .await
}

/// Does several things at the same time, and stops at the first that fails.
async fn at_once(work: impl Iterator<Item = impl Future<Output = anyhow::Result<()>>>) -> anyhow::Result<()> {
    stream::iter(work).buffer_unordered(AT_ONCE).try_collect().await
}

async fn upload(
    contributor: &Client,
    app: &DemoApp,
    country: &str,
    version: &DemoVersion,
    contents: Bytes,
) -> anyhow::Result<()> {
    let is_deprecated = version.availability == Availability::Deprecated;
    let at_first = match is_deprecated {
        true => Availability::Available,
        false => version.availability,
    };
    let upload = Upload::bytes(contents).availability(at_first);
    let uploaded = contributor.upload_version(app.id(), country, upload).await?;
    if is_deprecated {
        let change = VersionPatchBody {
            availability: Some(Availability::Deprecated.to_string()),
            ..VersionPatchBody::default()
        };
        contributor
            .patch_version(app.id(), country, uploaded.version, &change)
            .await?;
    }
    Ok(())
}

fn package(app: &DemoApp, version: &DemoVersion) -> anyhow::Result<Vec<u8>> {
    let number = version
        .number
        .parse()
        .with_context(|| format!("the sample version {}", version.number))?;
    let mut package = app.package(number);
    if let Some(least) = version.sales_pack {
        let least = least
            .parse()
            .with_context(|| format!("the sample dependency {least}"))?;
        package = package.dependency(SALES_PACK.id().0, SALES_PACK.name, SALES_PACK.publisher, least);
    }
    Ok(package.to_bytes()?)
}

async fn live_the_past(actors: &Actors, time: &Timekeeper, today: Instant) -> anyhow::Result<()> {
    time.set(days_before(today, demo::HOTFIX_DAY + 1)).await?;
    let environments = demo::environments();
    at_once(
        environments
            .iter()
            .map(|environment| report(&actors.operator, environment)),
    )
    .await
    .context("registering the sample environments")?;
    for (tenant, name) in demo::customers() {
        let clients = (tenant == CUSTOMER_ADMIN.tenant()).then(|| CUSTOMER_ADMIN.principal_id());
        let customer = CustomerBody {
            clients: clients.into_iter().collect(),
            display_name: Some(name),
            ..CustomerBody::default()
        };
        actors.operator.put_customer(tenant.into(), &customer).await?;
    }
    for (tag, filter) in demo::TAGS {
        let change = TagsChangeBody {
            filter: filter.to_owned(),
            add: vec![tag.to_owned()],
            remove: Vec::new(),
        };
        actors.contributor.change_tags(SALES_PACK.id(), &change).await?;
    }

    let day = days_before(today, demo::HOTFIX_DAY);
    time.set(day).await?;
    for hotfix in &demo::CARRIED_OUT {
        schedule(actors, &environments, hotfix, None).await?;
    }
    let later = Some(Instant(day.0 + DAY));
    let regretted = schedule(actors, &environments, &demo::CANCELED, later).await?;
    let country = regretted.country_code.as_str();
    actors
        .contributor
        .update_hotfix(regretted.app_id, country, regretted.id)
        .await?;
    // Once to begin what is due, once to end it.
    time.set(Instant(day.0 + TICKS_PER_SECOND)).await?;
    time.set(Instant(day.0 + TICKS_PER_SECOND + WORK)).await
}

async fn report(operator: &Client, environment: &DemoEnvironment) -> anyhow::Result<()> {
    let installed = |(app, version): &(&DemoApp, &str)| InstalledAppBody {
        id: app.id().0,
        name: Some(app.name.to_owned()),
        publisher: Some(app.publisher.to_owned()),
        version: (*version).to_owned(),
    };
    let (start, end, time_zone) = environment.window;
    let registration = EnvironmentRegistrationBody {
        country_code: environment.country.to_owned(),
        kind: environment.kind.to_owned(),
        location_name: Some(location_of(environment.country).to_owned()),
        application_version: Some(environment.application.to_owned()),
        platform_version: Some("27.0.41698.0".to_owned()),
        window: Some(WindowBody {
            start: start.to_owned(),
            end: end.to_owned(),
            time_zone: time_zone.to_owned(),
        }),
        inventory_complete: false,
        apps: environment.apps.iter().map(installed).collect(),
    };
    let path = EnvironmentPath {
        aad_tenant_id: environment.tenant.into(),
        application_family: FAMILY,
        name: &environment.name,
    };
    operator.put_environment(path, &registration).await?;
    Ok(())
}

fn location_of(country: &str) -> &'static str {
    match country {
        "US" => "East US",
        "DK" => "North Europe",
        _ => "West Europe",
    }
}

async fn schedule_the_future(actors: &Actors, now: Instant) -> anyhow::Result<()> {
    let environments = demo::environments();
    for (hotfix, days) in &demo::WAITING {
        let run_after = Some(Instant(now.0 + days * DAY));
        schedule(actors, &environments, hotfix, run_after).await?;
    }
    let in_days = |days: i64| Instant(now.0 + days * DAY).to_string();
    let freeze = AppFreezeBody {
        from: in_days(demo::FREEZE_DAYS.0),
        to: in_days(demo::FREEZE_DAYS.1),
        countries: Vec::new(),
        types: vec!["Production".to_owned()],
        reason: "Stocktaking: nobody is there to help.".to_owned(),
    };
    let request = actors
        .owner
        .put_app_freeze(SALES_PACK.id(), demo::freeze(), &freeze);
    request.await?;
    Ok(())
}

/// Schedules a hotfix: for after a certain moment, or for now, whatever the window.
async fn schedule(
    actors: &Actors,
    environments: &[DemoEnvironment],
    hotfix: &DemoHotfix,
    run_after: Option<Instant>,
) -> anyhow::Result<EnvironmentHotfix> {
    let environment = environments
        .iter()
        .find(|environment| environment.name == hotfix.environment);
    let environment = environment.with_context(|| format!("no sample environment {}", hotfix.environment))?;
    let body = HotfixRequestBody {
        environment_aad_tenant_id: environment.tenant,
        target_app_version: hotfix.target.to_owned(),
        run_after: run_after.map(|at| at.to_string()),
        ignore_upgrade_window: run_after.is_none(),
        environment_application_family: FAMILY.to_owned(),
        environment_name: environment.name.clone(),
        environment_type: Some(environment.kind.to_owned()),
        despite_forecast: false,
    };
    let contributor = &actors.contributor;
    Ok(contributor
        .schedule_hotfix(SALES_PACK.id(), environment.country, &body)
        .await?)
}
