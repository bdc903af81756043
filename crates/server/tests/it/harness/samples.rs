//! The things that tests are about: an app of Contoso's, its packages, and a customer's environment.

use super::{CUSTOMER_TENANTS, HOME_TENANT, Person};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::{environment::EnvironmentKey, ids::TenantId};
use navx::PackageBuilder;
use serde_json::{Value, json};
use uuid::{Uuid, uuid};

/// The app that most tests are about.
pub(crate) const APP: Uuid = uuid!("aaaaaaaa-0000-1111-2222-bbbbbbbbbbbb");
/// Another app, which the first may depend on.
pub(crate) const LIBRARY: Uuid = uuid!("44445555-eeee-6666-ffff-7777aaaa8888");
/// A customer's tenant.
pub(crate) const CUSTOMER: Uuid = CUSTOMER_TENANTS[0];
/// Another customer's tenant.
pub(crate) const OTHER_CUSTOMER: Uuid = CUSTOMER_TENANTS[1];

/// The registration of the sample app, owned by the application `owner`.
pub(crate) fn registration() -> Value {
    json!({
        "publisher": "Contoso",
        "publisherAadTenantId": HOME_TENANT,
        "publisherContactEmail": "publisher@contoso.com",
        "storageLocation": "West Europe",
        "owner": { "type": "Application", "id": Person::OWNER.id },
    })
}

/// `/v1.4/apps/{app}/countries/{country}/{rest}`
pub(crate) fn country_path(app: Uuid, country: &str, rest: &str) -> String {
    format!("/v1.4/apps/{app}/countries/{country}/{rest}")
}

/// A package of the sample app.
pub(crate) fn package(version: &str) -> PackageBuilder {
    package_of(APP, version)
}

/// A package of that app.
pub(crate) fn package_of(app: Uuid, version: &str) -> PackageBuilder {
    let name = if app == LIBRARY {
        "Example Library"
    } else {
        "ExampleApp"
    };
    PackageBuilder::new(app, name, "Contoso", version.parse().unwrap())
}

/// A package of the sample app that needs the library in this version.
pub(crate) fn package_needing_library(version: &str, library: &str) -> PackageBuilder {
    package(version).dependency(LIBRARY, "Example Library", "Contoso", library.parse().unwrap())
}

/// The package as bytes.
pub(crate) fn bytes_of(package: &PackageBuilder) -> Vec<u8> {
    package.to_bytes().unwrap()
}

/// The bytes as an upload carries them.
pub(crate) fn base64_of(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// The body that uploads a package.
pub(crate) fn upload_body(package: &PackageBuilder, availability: &str) -> Value {
    json!({ "initialAvailability": availability, "packageContents": base64_of(&bytes_of(package)) })
}

/// An environment as its operator reports it.
#[derive(Clone, Debug)]
pub(crate) struct Environment {
    pub tenant: Uuid,
    pub family: String,
    pub name: String,
    pub country: String,
    pub kind: String,
    pub window: Value,
    pub application: Option<String>,
    pub inventory_complete: bool,
    pub apps: Vec<(Uuid, String)>,
}

impl Environment {
    /// A production environment of the customer's in US that may be updated from 20:00 to 06:00 UTC.
    pub(crate) fn named(name: &str) -> Self {
        Self {
            tenant: CUSTOMER,
            family: "Business Central".into(),
            name: name.into(),
            country: "US".into(),
            kind: "Production".into(),
            window: json!({ "start": "20:00", "end": "06:00", "timeZone": "UTC" }),
            application: None,
            inventory_complete: false,
            apps: Vec::new(),
        }
    }

    /// `MyCustomer` with the sample app in this version.
    pub(crate) fn my_customer(version: &str) -> Self {
        Self::named("MyCustomer").has(APP, version)
    }

    /// The app is installed in this version, and in no other.
    pub(crate) fn has(mut self, app: Uuid, version: &str) -> Self {
        self.apps.retain(|(installed, _)| *installed != app);
        self.apps.push((app, version.into()));
        self
    }

    /// The app is not installed.
    pub(crate) fn without(mut self, app: Uuid) -> Self {
        self.apps.retain(|(installed, _)| *installed != app);
        self
    }

    pub(crate) fn of(mut self, tenant: Uuid) -> Self {
        self.tenant = tenant;
        self
    }

    pub(crate) fn in_country(mut self, country: &str) -> Self {
        self.country = country.into();
        self
    }

    pub(crate) fn in_family(mut self, family: &str) -> Self {
        self.family = family.into();
        self
    }

    pub(crate) fn sandbox(mut self) -> Self {
        self.kind = "Sandbox".into();
        self
    }

    pub(crate) fn with_window(mut self, start: &str, end: &str, time_zone: &str) -> Self {
        self.window = json!({ "start": start, "end": end, "timeZone": time_zone });
        self
    }

    /// Nothing is installed but what was named.
    pub(crate) fn with_complete_inventory(mut self) -> Self {
        self.inventory_complete = true;
        self
    }

    pub(crate) fn on_application(mut self, version: &str) -> Self {
        self.application = Some(version.into());
        self
    }

    /// Where the operator finds it.
    pub(crate) fn operator_path(&self) -> String {
        format!(
            "/operator/v1/environments/{}/{}/{}",
            self.tenant, self.family, self.name
        )
    }

    /// What the audit calls it.
    pub(crate) fn audited_as(&self) -> String {
        let tenant = TenantId(self.tenant);
        format!(
            "environments/{}",
            EnvironmentKey::new(tenant, &self.family, &self.name)
        )
    }

    /// What the operator reports.
    pub(crate) fn report(&self) -> Value {
        let apps: Vec<_> = self
            .apps
            .iter()
            .map(|(id, version)| json!({ "id": id, "version": version }))
            .collect();
        json!({
            "countryCode": self.country,
            "type": self.kind,
            "locationName": "West Europe",
            "applicationVersion": self.application,
            "window": self.window,
            "inventoryComplete": self.inventory_complete,
            "apps": apps,
        })
    }

    /// The body that asks for a hotfix.
    pub(crate) fn hotfix(&self, target: &str) -> Value {
        json!({
            "environmentAadTenantId": self.tenant,
            "environmentApplicationFamily": self.family,
            "environmentName": self.name,
            "targetAppVersion": target,
        })
    }
}
