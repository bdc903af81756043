//! Rows that are hard: nulls, ties, texts that differ by case, accents, blanks and letters of several bytes.

use super::fixture::Insert;
use crate::Value;
use domain::{
    environment::{family_key, name_key},
    instant::TICKS_PER_SECOND,
    version::AppVersion,
};
use uuid::Uuid;

/// Texts, no two of which have the same lower case.
pub(crate) const TEXTS: [&str; 14] = [
    "Contoso",
    "CRONUS ΑΣ",
    "a%b_c",
    "O'Brien",
    "\u{a0} padded \u{3000}",
    "Straße",
    "😀 smile 😀",
    "é",
    "e\u{301}",
    "Zebra",
    "ΣΊΣΥΦΟΣ",
    "contoso 2",
    "~",
    "x",
];
pub(crate) const VERSIONS: [[u32; 4]; 6] = [
    [16, 0, 9, 0],
    [16, 0, 10, 0],
    [16, 1, 0, 0],
    [2, 0, 0, 1],
    [16, 0, 9, 2_147_483_647],
    [0, 0, 0, 0],
];
const COUNTRIES: [&str; 4] = ["DE", "DK", "US", "W1"];
const FAMILIES: [&str; 3] = ["BusinessCentral", "Business Central", "Fabrikam Suite"];

/// An id whose bytes are spread over the whole range.
pub(crate) fn id(number: usize) -> Uuid {
    Uuid::from_u128((number as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
}

fn pick<T: Copy>(from: &[T], number: usize) -> T {
    from[number % from.len()]
}

fn insert(table: &str, columns: &[(&str, Value)]) -> Insert {
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let marks: Vec<String> = (1..=columns.len()).map(|number| format!("${number}")).collect();
    let sql = format!(
        "INSERT INTO {table} ({}) VALUES ({})",
        names.join(", "),
        marks.join(", ")
    );
    (sql, columns.iter().map(|(_, value)| value.clone()).collect())
}

/// Some rows in every table that has a list.
pub(crate) fn all() -> Vec<Insert> {
    let mut rows = Vec::new();
    rows.extend((0..8).map(app));
    rows.extend(COUNTRIES.map(country));
    rows.extend((0..10).map(principal));
    rows.extend((0..14).map(version));
    rows.extend((0..24).flat_map(environment));
    rows.extend((0..24).filter_map(tags));
    rows.extend((0..3).map(customer));
    rows.extend((0..30).map(operation));
    rows.extend((0..12).map(audit));
    rows
}

/// An instant, some of them the same, some before 1970.
fn at(number: usize) -> i64 {
    let days = [0, 20_000, 20_000, 20_500, -400, 20_777, 20_089, 20_454];
    pick(&days, number) * 86_400 * TICKS_PER_SECOND + (number as i64 / 8) * 37_001_234_567
}

fn app(number: usize) -> Insert {
    let name = (!number.is_multiple_of(3)).then(|| pick(&TEXTS, number * 5));
    insert(
        "apps",
        &[
            ("id", id(number).into()),
            ("publisher", pick(&TEXTS, number * 3).into()),
            ("publisher_tenant_id", id(number / 2).into()),
            ("publisher_contact_email", "mail@contoso.com".into()),
            ("storage_location", pick(&["eu", "us"], number).into()),
            ("name", name.into()),
            ("etag", id(number + 100).into()),
            ("created_on", at(number).into()),
        ],
    )
}

fn country(code: &str) -> Insert {
    insert(
        "countries",
        &[
            ("app_id", id(0).into()),
            ("code", code.into()),
            ("etag", id(code.len()).into()),
        ],
    )
}

fn principal(number: usize) -> Insert {
    let is_user = number % 3 != 1;
    insert(
        "principals",
        &[
            ("app_id", id(0).into()),
            ("id", id(number).into()),
            ("kind", if is_user { "User" } else { "Application" }.into()),
            ("tenant_id", is_user.then(|| id(number / 3)).into()),
            ("roles", (number as i64 % 8).into()),
            ("etag", id(number).into()),
        ],
    )
}

fn version(number: usize) -> Insert {
    let parts = if number < 6 {
        VERSIONS[number]
    } else {
        [17, number as u32 % 3, 0, number as u32]
    };
    let version = AppVersion(parts);
    let dependency = |app: usize, limit: &str| {
        format!(
            r#"{{"id":"{}","name":"{}","publisher":"CRONUS","min":"1.0.0.0"{limit}}}"#,
            id(app),
            TEXTS[0]
        )
    };
    let dependencies = match number % 3 {
        0 => "[]".to_owned(),
        1 => format!("[{}]", dependency(1, "")),
        _ => format!(
            "[{},{}]",
            dependency(1, ""),
            dependency(2, r#","incompatible_from":"2.0.0.0""#)
        ),
    };
    insert(
        "versions",
        &[
            ("app_id", id(0).into()),
            ("country_code", "US".into()),
            ("version_key", version.into()),
            ("version", version.to_string().into()),
            ("major", parts[0].into()),
            ("minor", parts[1].into()),
            ("build", parts[2].into()),
            ("revision", parts[3].into()),
            ("package_id", id(number).into()),
            ("publisher", pick(&TEXTS, number).into()),
            ("name", pick(&TEXTS, number / 2).into()),
            ("uploaded_on", at(number).into()),
            ("uploaded_by", "somebody".into()),
            (
                "availability",
                pick(&["Preview", "Available", "Deprecated"], number).into(),
            ),
            (
                "status",
                pick(&["Uploaded", "Uploading", "UploadFailed", "Uploaded"], number).into(),
            ),
            ("sync_mode", pick(&["Sync", "Sync", "ForceSync"], number).into()),
            ("dependencies", dependencies.into()),
            ("application", Value::Null),
            ("platform", Value::Null),
            ("location", "eu".into()),
            ("sha256", [number as u8; 32].into()),
            ("size", 1i64.into()),
            ("upload_id", id(number).into()),
            ("generation", id(number).into()),
            ("etag", id(number).into()),
            ("runtime", Value::Null),
        ],
    )
}

fn environment(number: usize) -> [Insert; 2] {
    let (tenant, family) = (id(number / 6), pick(&FAMILIES, number % 6 / 3 * 2 + number % 2));
    let name = pick(&TEXTS, number);
    let application = number
        .is_multiple_of(2)
        .then(|| AppVersion(pick(&VERSIONS, number / 2)).to_string());
    let installed = AppVersion(pick(&VERSIONS, number));
    let shared = [
        ("tenant_id", Value::from(tenant)),
        ("family", family.into()),
        ("family_key", family_key(family).into()),
        ("name", name.into()),
        ("name_key", name_key(name).into()),
        ("country_code", pick(&COUNTRIES, number).into()),
        ("kind", pick(&["Production", "Sandbox"], number / 2).into()),
        (
            "location_name",
            pick(&["West Europe", "", "Central US"], number).into(),
        ),
    ];
    let mut environment = vec![
        ("id", Value::from(id(number))),
        ("application_version", application.into()),
        ("platform_version", Value::Null),
        ("window_start", "20:00".into()),
        ("window_end", "06:00".into()),
        ("window_zone", "UTC".into()),
        ("inventory_complete", number.is_multiple_of(3).into()),
        ("inventory_on", 0i64.into()),
        ("held_since", (number % 4 == 1).then(|| at(number)).into()),
        ("etag", id(number).into()),
    ];
    let mut installation = vec![
        ("app_id", Value::from(id(0))),
        ("environment_id", id(number).into()),
        ("version", installed.to_string().into()),
        ("version_key", installed.into()),
    ];
    environment.extend(shared.clone());
    installation.extend(shared);
    [
        insert("environments", &environment),
        insert("installations", &installation),
    ]
}

/// What stands between two ends of lines only if both are looked for: `ring` is a part of others.
const TAGS: [&str; 6] = [
    "",
    "\nring0\n",
    "\neu\nring\n",
    "\na,b\nring 0\nring0\n",
    "\nRing0\n",
    "\nZürich\n",
];

fn tags(number: usize) -> Option<Insert> {
    let tags = pick(&TAGS, number);
    (!tags.is_empty()).then(|| {
        insert(
            "environment_tags",
            &[
                ("app_id", id(0).into()),
                ("environment_id", id(number).into()),
                ("tags", tags.into()),
            ],
        )
    })
}

/// Some are registered without a name, and some are not.
fn customer(number: usize) -> Insert {
    insert(
        "customers",
        &[
            ("tenant_id", id(number).into()),
            ("administrators", "".into()),
            ("clients", "".into()),
            ("partners", "".into()),
            ("etag", id(number).into()),
            (
                "display_name",
                (number > 0).then(|| pick(&TEXTS, number * 4)).into(),
            ),
            ("domain", Value::Null),
            ("notes", Value::Null),
        ],
    )
}

fn operation(number: usize) -> Insert {
    let status = pick(
        &[
            "Scheduled",
            "Running",
            "Succeeded",
            "Failed",
            "Canceled",
            "Skipped",
        ],
        number,
    );
    let (family, name) = (pick(&FAMILIES, number), pick(&TEXTS, number));
    let others = ["Update", "Install", "Uninstall"];
    let kind = match number % 3 {
        2 => pick(&others, number / 3),
        _ => "Hotfix",
    };
    let source = (kind != "Install").then(|| AppVersion(pick(&VERSIONS, number)));
    let target = (kind != "Uninstall").then(|| AppVersion(pick(&VERSIONS, number / 2)));
    let started = !matches!(status, "Scheduled" | "Canceled");
    insert(
        "operations",
        &[
            ("id", id(number).into()),
            ("kind", kind.into()),
            ("app_id", id(number % 2).into()),
            ("country_code", pick(&COUNTRIES, number / 3).into()),
            ("environment_id", id(number).into()),
            ("tenant_id", id(number / 6).into()),
            ("family", family.into()),
            ("family_key", family_key(family).into()),
            ("environment_name", name.into()),
            ("environment_name_key", name_key(name).into()),
            (
                "environment_kind",
                pick(&["Production", "Sandbox"], number).into(),
            ),
            ("source_version", source.map(|version| version.to_string()).into()),
            ("source_version_key", source.map(AppVersion::sort_key).into()),
            ("target_version", target.map(|version| version.to_string()).into()),
            ("target_version_key", target.map(AppVersion::sort_key).into()),
            ("status", status.into()),
            ("ignore_window", number.is_multiple_of(4).into()),
            ("run_after", at(number + 1).into()),
            ("created_on", at(number / 2).into()),
            ("created_by", "somebody".into()),
            ("started_on", started.then(|| at(number)).into()),
            (
                "completed_on",
                (status == "Succeeded").then(|| at(number + 3)).into(),
            ),
            (
                "error_message",
                (status == "Failed").then(|| pick(&TEXTS, number)).into(),
            ),
            (
                "reason",
                match status {
                    "Failed" => Some("Reported"),
                    "Skipped" => Some("AlreadyUpToDate"),
                    _ => None,
                }
                .into(),
            ),
            (
                "failure_cause",
                (status == "Failed" && number % 4 == 1)
                    .then_some("SchemaBreak")
                    .into(),
            ),
        ],
    )
}

fn audit(number: usize) -> Insert {
    insert(
        "audit",
        &[
            ("id", id(number).into()),
            ("recorded_on", at(number / 2).into()),
            (
                "actor_kind",
                pick(&["User", "Application", "Service"], number).into(),
            ),
            (
                "actor_id",
                if number % 3 == 2 {
                    "scheduler".to_owned()
                } else {
                    id(number).to_string()
                }
                .into(),
            ),
            (
                "actor_tenant_id",
                number.is_multiple_of(3).then(|| id(number)).into(),
            ),
            (
                "actor_name",
                number.is_multiple_of(2).then(|| pick(&TEXTS, number)).into(),
            ),
            (
                "action",
                pick(&["versions/write", "principals/write"], number).into(),
            ),
            ("target", format!("apps/{}", id(number)).into()),
            ("correlation_id", id(number).into()),
            ("before_state", Value::Null),
            ("after_state", "{}".into()),
            (
                "actor_object_id",
                number.is_multiple_of(3).then(|| id(number + 1)).into(),
            ),
            (
                "address",
                number.is_multiple_of(2).then(|| pick(&TEXTS, number)).into(),
            ),
            ("via", number.is_multiple_of(3).then_some("vendor").into()),
        ],
    )
}
