//! The sample data: two publishers, three apps, ten customers with four environments each. Pure tables; [`super::seed`]
//! takes them in.
//!
//! The tables are small enough to remember and rich enough to try every rule on: two release lines that a hotfix may
//! not cross, a deprecated and a preview version, an app that depends on another, windows in six time zones, two
//! environments in which hotfixes fail, and one of which nothing is ever heard again.

use super::people::{customer_tenant, home_tenant, id};
use agent::{drivers::simulate::Settings as Simulated, simulated::Script};
use domain::{
    environment::EnvironmentKey,
    ids::{AppId, TenantId},
    version::Availability,
};
use navx::{PackageBuilder, Version};
use std::collections::BTreeSet;
use uuid::Uuid;

/// The family of all sample environments.
pub(super) const FAMILY: &str = "Business Central";

/// An app of the sample data.
pub(super) struct DemoApp {
    /// What it is called.
    pub name: &'static str,
    /// Who makes it.
    pub publisher: &'static str,
    /// Where its packages are kept.
    pub location: &'static str,
    /// Where it is available.
    pub countries: &'static [&'static str],
    /// What was uploaded, oldest first, in each of its countries.
    pub versions: &'static [DemoVersion],
}

/// An uploaded version.
pub(super) struct DemoVersion {
    /// Its number.
    pub number: &'static str,
    /// What it is offered as by now.
    pub availability: Availability,
    /// How many days ago it was uploaded.
    pub days_ago: i64,
    /// The lowest version of the Sales Pack that it needs, if it builds on that.
    pub sales_pack: Option<&'static str>,
}

const fn version(number: &'static str, availability: Availability, days_ago: i64) -> DemoVersion {
    DemoVersion {
        number,
        availability,
        days_ago,
        sales_pack: None,
    }
}

const fn building_on(sales_pack: &'static str, version: DemoVersion) -> DemoVersion {
    DemoVersion {
        sales_pack: Some(sales_pack),
        ..version
    }
}

/// The app that most environments have.
pub(super) const SALES_PACK: DemoApp = DemoApp {
    name: "Contoso Sales Pack",
    publisher: "Contoso",
    location: "West Europe",
    countries: &["US", "DK", "DE"],
    versions: &[
        version("16.0.0.5", Availability::Available, 28),
        version("16.0.1.2", Availability::Deprecated, 24),
        version("16.0.2.0", Availability::Available, 20),
        version("16.1.0.0", Availability::Available, 16),
        version("16.1.1.0", Availability::Available, 9),
        version("16.1.2.0", Availability::Preview, 8),
    ],
};

const SALES_REPORTS: DemoApp = DemoApp {
    name: "Contoso Sales Reports",
    publisher: "Contoso",
    location: "North Europe",
    countries: &["US", "DK"],
    versions: &[
        building_on("16.0.0.0", version("16.0.0.5", Availability::Available, 28)),
        building_on("16.0.0.0", version("16.0.1.0", Availability::Available, 20)),
        building_on("16.1.0.0", version("16.1.0.0", Availability::Available, 16)),
        building_on("16.1.0.0", version("16.1.1.0", Availability::Preview, 2)),
    ],
};

const FREIGHT: DemoApp = DemoApp {
    name: "Fabrikam Freight",
    publisher: "Fabrikam",
    location: "East US",
    countries: &["US", "DE"],
    versions: &[
        version("5.0.0.0", Availability::Available, 28),
        version("5.0.1.0", Availability::Available, 16),
        version("5.0.2.0", Availability::Available, 9),
    ],
};

/// All apps.
pub(super) const APPS: [&DemoApp; 3] = [&SALES_PACK, &SALES_REPORTS, &FREIGHT];

impl DemoApp {
    /// Its id.
    pub(super) fn id(&self) -> AppId {
        id(&format!("app {}", self.name)).into()
    }

    /// The tenant of its publisher.
    pub(super) fn publisher_tenant(&self) -> Uuid {
        match self.publisher {
            "Contoso" => home_tenant(),
            other => id(&format!("tenant {other}")),
        }
    }

    /// A package of it, to be completed and written.
    pub(super) fn package(&self, version: Version) -> PackageBuilder {
        PackageBuilder::new(self.id().0, self.name, self.publisher, version).id_range(50_100, 50_149)
    }

    /// Where its publisher is reached.
    pub(super) fn contact(&self) -> String {
        format!("apps@{}.com", self.publisher.to_lowercase())
    }
}

/// How many days ago versions were uploaded, the longest ago first.
pub(super) fn upload_days() -> Vec<i64> {
    let versions = APPS.iter().flat_map(|app| app.versions);
    let days: BTreeSet<_> = versions.map(|version| version.days_ago).collect();
    days.into_iter().rev().collect()
}

/// A customer of the sample data, at home in one place.
struct Customer {
    city: &'static str,
    country: &'static str,
    /// Hours of the window, and the Windows id of its time zone.
    window: (&'static str, &'static str, &'static str),
}

const fn customer(
    city: &'static str,
    country: &'static str,
    start: &'static str,
    end: &'static str,
    zone: &'static str,
) -> Customer {
    Customer {
        city,
        country,
        window: (start, end, zone),
    }
}

const CUSTOMERS: [Customer; 10] = [
    customer("Seattle", "US", "20:00", "06:00", "Pacific Standard Time"),
    customer("Denver", "US", "22:00", "05:00", "Mountain Standard Time"),
    customer("Atlanta", "US", "19:00", "05:00", "Eastern Standard Time"),
    customer("Chicago", "US", "00:00", "06:00", "Central Standard Time"),
    customer("Copenhagen", "DK", "20:00", "06:00", "Romance Standard Time"),
    customer("Aarhus", "DK", "22:00", "04:00", "Romance Standard Time"),
    customer("Odense", "DK", "18:00", "03:00", "Romance Standard Time"),
    customer("Berlin", "DE", "21:00", "05:00", "W. Europe Standard Time"),
    customer("Hamburg", "DE", "23:00", "06:00", "W. Europe Standard Time"),
    customer("Munich", "DE", "01:00", "07:00", "W. Europe Standard Time"),
];

/// Each customer's tenant, and what it is called.
pub(super) fn customers() -> impl Iterator<Item = (Uuid, String)> {
    let named = |customer: &Customer| {
        (
            customer_tenant(customer.city),
            format!("CRONUS {}", customer.city),
        )
    };
    CUSTOMERS.iter().map(named)
}

/// Tags of the Sales Pack, and the environments that have them.
pub(super) const TAGS: [(&str, &str); 2] = [
    ("ring0", "type eq 'Sandbox'"),
    ("early adopter", "startswith(name,'Seattle')"),
];

/// Days from now on when a freeze of the Sales Pack begins and ends: behind everything that waits.
pub(super) const FREEZE_DAYS: (i64, i64) = (200, 207);

/// That freeze.
pub(super) fn freeze() -> Uuid {
    id("freeze")
}

/// The environments of each customer: what follows the city in the name, and the type.
const PLACES: [(&str, &str); 4] = [
    ("Production", "Production"),
    ("Branch", "Production"),
    ("Sandbox", "Sandbox"),
    ("Training", "Sandbox"),
];

const SYNC_FAILS: &str = "Atlanta-SyncFails";
const DEPENDENCY_FAILS: &str = "Aarhus-DependencyFails";
const GETS_LOST: &str = "Hamburg-GetsLost";

/// Environments in which something goes wrong, by the customer whose branch they are.
const TROUBLED: [(&str, &str); 3] = [
    ("Atlanta", SYNC_FAILS),
    ("Aarhus", DEPENDENCY_FAILS),
    ("Hamburg", GETS_LOST),
];

const SYNC_ERROR: &str = "The app could not be synchronized with the database of the environment. Table 50100 'Sales \
    Pack Setup', field 12 'Discount Code': the length of the field was reduced from Code[20] to Code[10], which would \
    lose data. Only additive changes of the schema are possible in the sync mode 'Add'. Undo the change, or mark the \
    field as obsolete, add a new one and move the data with upgrade code.";

const DEPENDENCY_ERROR: &str = "The app could not be installed because it depends on an app that is not installed in \
    this environment: 'Fabrikam Freight' by 'Fabrikam', version 5.0.2.0 or later. Install that app first, then try \
    again.";

/// An environment of the sample data.
pub(super) struct DemoEnvironment {
    /// Whose it is.
    pub tenant: Uuid,
    /// Its name, the only one of its kind.
    pub name: String,
    /// Production or Sandbox.
    pub kind: &'static str,
    /// Where it is.
    pub country: &'static str,
    /// From, to, and the Windows id of the time zone.
    pub window: (&'static str, &'static str, &'static str),
    /// The version of Business Central's application.
    pub application: &'static str,
    /// What is installed, each with its version.
    pub apps: Vec<(&'static DemoApp, &'static str)>,
}

/// All forty.
pub(super) fn environments() -> Vec<DemoEnvironment> {
    let mut all = Vec::new();
    for (row, customer) in CUSTOMERS.iter().enumerate() {
        for (column, (suffix, kind)) in PLACES.into_iter().enumerate() {
            let troubled = TROUBLED
                .iter()
                .find(|(city, _)| *city == customer.city && suffix == "Branch");
            let sales_pack = installed_sales_pack(row, column, troubled.is_some());
            all.push(DemoEnvironment {
                tenant: customer_tenant(customer.city),
                name: troubled.map_or_else(
                    || format!("{}-{suffix}", customer.city),
                    |(_, name)| (*name).to_owned(),
                ),
                kind,
                country: customer.country,
                window: customer.window,
                application: if row.is_multiple_of(2) {
                    "27.1.41698.0"
                } else {
                    "27.0.38460.0"
                },
                apps: installed(customer.country, column, sales_pack),
            });
        }
    }
    all
}

/// Old and new ones of both lines; a preview in one sandbox.
#[expect(
    clippy::indexing_slicing,
    reason = "a remainder is less than what it was divided by"
)]
fn installed_sales_pack(row: usize, column: usize, is_troubled: bool) -> &'static str {
    const LINES: [&str; 4] = ["16.0.0.5", "16.0.2.0", "16.1.0.0", "16.1.1.0"];
    match (row, column) {
        (0, 2) => "16.1.2.0",
        // Where something is to go wrong, there has to be something to update.
        _ if is_troubled => LINES[0],
        _ => LINES[(row + column) % LINES.len()],
    }
}

fn installed(
    country: &str,
    column: usize,
    sales_pack: &'static str,
) -> Vec<(&'static DemoApp, &'static str)> {
    let mut apps = vec![(&SALES_PACK, sales_pack)];
    if SALES_REPORTS.countries.contains(&country) && column.is_multiple_of(2) {
        let reports = if sales_pack.starts_with("16.0.") {
            "16.0.0.5"
        } else {
            "16.1.0.0"
        };
        apps.push((&SALES_REPORTS, reports));
    }
    if FREIGHT.countries.contains(&country) && !column.is_multiple_of(2) {
        apps.push((&FREIGHT, if column == 1 { "5.0.0.0" } else { "5.0.1.0" }));
    }
    apps
}

/// What the simulator makes of the troubled environments.
pub(super) fn script() -> Script {
    let trouble = |name: &str| match name {
        SYNC_FAILS => Some(Simulated::failing(SYNC_ERROR)),
        DEPENDENCY_FAILS => Some(Simulated::failing(DEPENDENCY_ERROR)),
        GETS_LOST => Some(Simulated::silent()),
        _ => None,
    };
    let mut script = Script::new();
    for environment in environments() {
        if let Some(trouble) = trouble(&environment.name) {
            let tenant = TenantId::from(environment.tenant);
            script.insert(EnvironmentKey::new(tenant, FAMILY, &environment.name), trouble);
        }
    }
    script
}

/// A hotfix of the Sales Pack that was asked for before anybody looks.
pub(super) struct DemoHotfix {
    /// The environment's name.
    pub environment: &'static str,
    /// The version to go to.
    pub target: &'static str,
}

const fn hotfix(environment: &'static str, target: &'static str) -> DemoHotfix {
    DemoHotfix { environment, target }
}

/// Days ago that the hotfixes of the past were carried out.
pub(super) const HOTFIX_DAY: i64 = 6;

/// Carried out in the past: three succeeded, one failed.
pub(super) const CARRIED_OUT: [DemoHotfix; 4] = [
    hotfix("Seattle-Production", "16.0.2.0"),
    hotfix("Copenhagen-Production", "16.0.2.0"),
    hotfix("Berlin-Branch", "16.0.2.0"),
    hotfix(SYNC_FAILS, "16.0.2.0"),
];

/// Thought better of.
pub(super) const CANCELED: DemoHotfix = hotfix("Hamburg-Production", "16.0.2.0");

/// Still waiting, each for so many days.
pub(super) const WAITING: [(DemoHotfix, i64); 2] = [
    (hotfix("Munich-Training", "16.0.2.0"), 3),
    (hotfix("Copenhagen-Sandbox", "16.1.1.0"), 10),
];

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{version::AppVersion, window::UpdateWindow};
    use std::collections::{HashMap, HashSet};

    fn number(text: &str) -> AppVersion {
        text.parse().unwrap()
    }

    #[test]
    fn it_is_as_much_as_was_promised() {
        let all = environments();
        assert_eq!(all.len(), 40);
        let tenants: HashSet<_> = all.iter().map(|environment| environment.tenant).collect();
        assert_eq!(tenants.len(), 10);
        let names: HashSet<_> = all.iter().map(|environment| &environment.name).collect();
        assert_eq!(names.len(), 40, "one name, one environment");
        let countries: HashSet<_> = all.iter().map(|environment| environment.country).collect();
        assert_eq!(countries.len(), 3);
        let windows: HashSet<_> = all.iter().map(|environment| environment.window).collect();
        assert_eq!(windows.len(), 10);
        let publishers: HashSet<_> = APPS.iter().map(|app| app.publisher).collect();
        assert_eq!(publishers.len(), 2);
    }

    #[test]
    fn two_fail_and_one_gets_lost() {
        let faults: Vec<_> = script().into_values().collect();
        let lost = faults.iter().filter(|fault| fault.gets_lost).count();
        assert_eq!((faults.len(), lost), (3, 1));
    }

    #[test]
    fn every_window_and_version_is_a_real_one() {
        for environment in environments() {
            let (start, end, zone) = environment.window;
            UpdateWindow::new(start, end, zone).unwrap();
            for (app, installed) in &environment.apps {
                assert!(
                    app.versions.iter().any(|version| version.number == *installed),
                    "{installed}"
                );
                assert!(
                    app.countries.contains(&environment.country),
                    "{}",
                    environment.name
                );
            }
        }
    }

    #[test]
    fn every_hotfix_is_one_that_the_rules_allow() {
        let installed: HashMap<_, _> = environments()
            .into_iter()
            .map(|environment| (environment.name, environment.apps[0].1))
            .collect();
        let waiting = WAITING.iter().map(|(hotfix, _)| hotfix);
        for hotfix in CARRIED_OUT.iter().chain([&CANCELED]).chain(waiting) {
            let from = number(installed[hotfix.environment]);
            let to = number(hotfix.target);
            assert!(from < to, "{}", hotfix.environment);
            let line = |text: &str| text.split('.').take(2).collect::<Vec<_>>().join(".");
            assert_eq!(
                line(&from.to_string()),
                line(hotfix.target),
                "{}",
                hotfix.environment
            );
        }
    }
}
