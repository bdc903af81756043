//! How long it takes to find out what has to change in an environment: `cargo run --release -p domain --example resolution`.
//!
//! Each figure is the median of so many rounds, in milliseconds. What came out stands in `bench/RESULTS.md`.
#![allow(clippy::print_stdout, reason = "it prints figures")]

use domain::{
    country::CountryCode,
    environment::EnvironmentKind,
    ids::AppId,
    resolution::{App, Catalogue, Environment, Offer, Request, available_updates, plan},
    version::{AppVersion, Availability, Dependency},
};
use std::{collections::HashMap, error::Error, time::Instant};
use uuid::Uuid;

const APPS: u32 = 1_000;
const VERSIONS: u32 = 20;
const ROUNDS: usize = 21;

/// The apps that an app needs, each from some version on.
type Needs<'n> = &'n dyn Fn(u32) -> Vec<(u32, u32)>;

fn app(number: u32) -> AppId {
    AppId(Uuid::from_u128(u128::from(number) + 1))
}

fn version(major: u32) -> AppVersion {
    AppVersion([major, 0, 0, 0])
}

fn rows(needs: &[(u32, u32)]) -> Vec<Dependency> {
    let row = |&(number, least): &(u32, u32)| Dependency {
        app_id: app(number),
        name: format!("App {number}"),
        publisher: "Contoso".into(),
        min_version: version(least),
        incompatible_from: None,
        is_implied: false,
    };
    needs.iter().map(row).collect()
}

fn offers(needs: Needs<'_>) -> Catalogue {
    let versions = |number: u32| {
        let dependencies = rows(&needs(number));
        (1..=VERSIONS).map(move |major| Offer {
            app_id: app(number),
            version: version(major),
            name: format!("App {number}"),
            publisher: "Contoso".into(),
            availability: Availability::Available,
            dependencies: dependencies.clone(),
            application: Some(version(26)),
            platform: None,
            runtime: None,
            signer: None,
        })
    };
    (0..APPS).flat_map(versions).collect()
}

fn environment(country: CountryCode, there: u32, needs: Needs<'_>) -> Environment {
    let installed = |number: u32| {
        let there = App {
            version: version(1),
            name: format!("App {number}"),
            publisher: "Contoso".into(),
            availability: Some(Availability::Available),
            dependencies: Some(rows(&needs(number))),
            can_be_uninstalled: None,
        };
        (app(number), there)
    };
    Environment {
        family: "BusinessCentral".into(),
        name: "Production".into(),
        country,
        kind: EnvironmentKind::Production,
        application_version: Some(version(26)),
        platform_version: Some(version(26)),
        apps: (0..there).map(installed).collect(),
        inventory_complete: true,
        occupied: HashMap::new(),
    }
}

fn told(what: &str, mut work: impl FnMut() -> usize) {
    let mut took = Vec::with_capacity(ROUNDS);
    let mut found = 0;
    for _ in 0..ROUNDS {
        let from = Instant::now();
        found = work();
        took.push(from.elapsed().as_secs_f64() * 1e3);
    }
    took.sort_by(f64::total_cmp);
    let at = |index: usize| took.get(index).copied().unwrap_or_default();
    println!(
        "{what}: {:.2} ms ({:.2}\u{2013}{:.2}), {found} changes",
        at(ROUNDS / 2),
        at(0),
        at(ROUNDS - 1)
    );
}

fn main() -> Result<(), Box<dyn Error>> {
    let country: CountryCode = "DK".parse()?;
    let deep = |number: u32| match number + 1 {
        next if next < APPS => vec![(next, 1)],
        _ => Vec::new(),
    };
    let wide = |number: u32| match number {
        0 => (1..APPS).map(|other| (other, 1)).collect(),
        _ => Vec::new(),
    };
    // Layers of twenty apps, each of which needs all of the next layer.
    let both = |number: u32| {
        let next = (number / 20 + 1) * 20;
        (next..(next + 20).min(APPS)).map(|other| (other, 2)).collect()
    };
    // Everything needs everything after it.
    let dense = |number: u32| (number + 1..APPS).map(|other| (other, 1)).collect();
    let install = Request::Install {
        app: app(0),
        target: None,
        allow_preview: false,
        allow_dependencies: true,
    };
    let shapes: [(&str, Needs<'_>); 4] = [
        ("1,000 apps in a chain", &deep),
        ("1,000 apps beside each other", &wide),
        ("1,000 apps in 50 layers of 20", &both),
        ("1,000 apps, each needing all after it", &dense),
    ];
    for (what, needs) in shapes {
        let (empty, catalogue) = (environment(country, 0, needs), offers(needs));
        let count = || plan(&empty, &catalogue, &install).map_or(0, |plan| plan.steps.len());
        told(&format!("install of {what}"), count);
        // The answer alone would be half a million requirements.
        if what.contains("layers") || what.contains("after it") {
            continue;
        }
        let full = environment(country, APPS, needs);
        let count = || available_updates(&full, &catalogue).available.len();
        told(&format!("updates of {what}"), count);
    }
    let (empty, catalogue) = (environment(country, 0, &deep), pigeons());
    told("a catalogue made to be hard, given up on", || {
        plan(&empty, &catalogue, &install).map_or(0, |plan| plan.steps.len())
    });
    Ok(())
}

/// Thirteen apps that have to share twelve places, of which each takes one.
fn pigeons() -> Catalogue {
    let (apps, places) = (13, 12);
    let one = |number: u32, major: u32, dependencies: Vec<Dependency>| Offer {
        app_id: app(number),
        version: version(major),
        name: format!("App {number}"),
        publisher: "Contoso".into(),
        availability: Availability::Available,
        dependencies,
        application: None,
        platform: None,
        runtime: None,
        signer: None,
    };
    let all: Vec<_> = (1..=apps).map(|number| (number, 1)).collect();
    let mut offers = vec![one(0, 1, rows(&all))];
    for place in 1..=places {
        for number in 1..=apps {
            let mut taken = rows(&[(apps + place, number)]);
            for row in &mut taken {
                row.incompatible_from = Some(version(number + 1));
            }
            offers.push(one(number, place, taken));
            offers.push(one(apps + place, number, Vec::new()));
        }
    }
    offers.into_iter().collect()
}
