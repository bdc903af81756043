//! The things that the services are full of: a few apps in a few countries, their packages, customers' environments.

use super::{Caller, Person};
use navx::PackageBuilder;
use serde_json::{Value, json};
use test_support::issuer::HOME_TENANT;
use uuid::{Uuid, uuid};

/// The apps.
pub(crate) const APPS: [Uuid; 3] = [
    uuid!("aaaaaaaa-0000-1111-2222-bbbbbbbbbbbb"),
    uuid!("44445555-eeee-6666-ffff-7777aaaa8888"),
    uuid!("55556666-ffff-7777-aaaa-8888bbbb9999"),
];
/// The countries of every app.
pub(crate) const COUNTRIES: [&str; 3] = ["US", "DE", "DK"];
/// The customers' tenant.
const CUSTOMER: Uuid = uuid!("ccccdddd-2222-eeee-3333-ffff4444aaaa");

/// The registration of an app, which belongs to the application `owner`.
fn registration() -> Value {
    json!({
        "publisher": "Contoso",
        "publisherAadTenantId": HOME_TENANT,
        "publisherContactEmail": "publisher@contoso.com",
        "storageLocation": "West Europe",
        "owner": { "type": "Application", "id": Person::OWNER.id },
    })
}

/// The body that gives an application roles.
pub(crate) fn principal_body(roles: &[&str]) -> Value {
    json!({ "type": "Application", "roles": roles })
}

/// How much filler the package of that number has, in bytes: mostly little, sometimes megabytes.
fn payload_of(number: u32) -> u64 {
    let spread = u64::from(number.wrapping_mul(2_654_435_761) >> 8);
    match number % 16 {
        0 => 1_000_000 + spread % 1_500_000,
        4 | 8 | 12 => 100_000 + spread % 200_000,
        _ => 1_000 + spread % 30_000,
    }
}

/// The package of an app's version 1.0.NUMBER.0: the same bytes whenever it is asked for.
pub(crate) fn package(app: Uuid, number: u32) -> Vec<u8> {
    let version = format!("1.0.{number}.0");
    let builder = PackageBuilder::new(app, "Sales Pack", "Contoso", version.parse().unwrap());
    builder
        .package_id(Uuid::new_v5(&app, version.as_bytes()))
        .payload_bytes(payload_of(number))
        .to_bytes()
        .unwrap()
}

/// A customer's environment that has all apps.
#[derive(Clone, Debug)]
pub(crate) struct Environment {
    pub name: String,
    pub country: &'static str,
    pub window: Value,
}

impl Environment {
    /// One with the usual window.
    pub(crate) fn new(name: impl Into<String>, country: &'static str) -> Self {
        Self {
            name: name.into(),
            country,
            window: json!({ "start": "20:00", "end": "06:00", "timeZone": "UTC" }),
        }
    }

    /// Whose all of them are.
    pub(crate) fn tenant() -> Uuid {
        CUSTOMER
    }

    /// Where the operator finds it.
    pub(crate) fn path(&self) -> String {
        format!(
            "/operator/v1/environments/{CUSTOMER}/Business%20Central/{}",
            self.name
        )
    }

    /// What the operator reports; `mark` stands in it to be found again.
    pub(crate) fn report(&self, version: &str, mark: &str) -> Value {
        let apps: Vec<_> = APPS
            .iter()
            .map(|id| json!({ "id": id, "version": version }))
            .collect();
        json!({
            "countryCode": self.country,
            "type": "Production",
            "locationName": mark,
            "window": self.window,
            "inventoryComplete": false,
            "apps": apps,
        })
    }

    /// The body that asks for a hotfix as soon as may be.
    pub(crate) fn hotfix(&self, target: &str) -> Value {
        json!({
            "environmentAadTenantId": CUSTOMER,
            "environmentApplicationFamily": "Business Central",
            "environmentName": self.name,
            "targetAppVersion": target,
            "ignoreUpgradeWindow": true,
        })
    }
}

/// Registers the apps with their countries.
pub(crate) async fn fill(operator: &Caller, owner: &Caller) {
    for app in APPS {
        let path = format!("/operator/v1/apps/{app}");
        operator.put(&path, &registration()).await.unwrap().expect(201);
        for country in COUNTRIES {
            let path = format!("/v1.4/apps/{app}/countries/{country}");
            let body = json!({ "countryCode": country });
            owner.patch(&path, &body).await.unwrap().expect(200);
        }
    }
}
