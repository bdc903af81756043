//! The versions of an app.

use super::{guid_value, instant_value, text_or_null, version_or_null, version_value};
use crate::{
    list::{EntitySet, country, guid, hidden, in_memory, instant, number, property, text, version, word},
    versions::{UploadedVersion, VersionEntry},
};
use data_encoding::HEXLOWER;
use domain::version::{Availability, Dependency, MAX_PART, SyncMode, VersionStatus};
use odata::{Property, Scalar, Type, Value};
use std::{ops::RangeInclusive, sync::LazyLock};

const PART: RangeInclusive<i64> = 0..=MAX_PART as i64;

/// What was uploaded for a country.
pub static VERSIONS: LazyLock<EntitySet<VersionEntry>> = LazyLock::new(|| {
    let properties = vec![
        property(
            "version",
            version("t.version", "t.version_key"),
            |row: &VersionEntry| version_value(row.version),
        ),
        property("appId", guid("t.app_id"), |row| guid_value(row.app_id.0)),
        property("countryCode", country("t.country_code"), |row| {
            Value::text(row.country_code.as_str())
        }),
        property("packageId", guid("t.package_id"), |row| {
            guid_value(row.package_id.0)
        }),
        property("publisher", text("t.publisher"), |row| {
            Value::text(row.publisher.as_str())
        }),
        property("name", text("t.name"), |row| Value::text(row.name.as_str())),
        property("uploadedOn", instant("t.uploaded_on"), |row| {
            instant_value(row.uploaded_on)
        }),
        property("availability", word::<Availability>("t.availability"), |row| {
            Value::text(row.availability.as_str())
        }),
        property("status", word::<VersionStatus>("t.status"), |row| {
            Value::text(row.status.as_str())
        }),
        property("dependencies", in_memory(Type::Complex(members())), |row| {
            Value::List(row.dependencies.iter().map(dependency).collect())
        }),
        property("majorVersion", number("t.major", PART), |row| {
            part(row.version.0[0])
        }),
        property("minorVersion", number("t.minor", PART), |row| {
            part(row.version.0[1])
        }),
        property("buildVersion", number("t.build", PART), |row| {
            part(row.version.0[2])
        }),
        property("revisionVersion", number("t.revision", PART), |row| {
            part(row.version.0[3])
        }),
        property("syncMode", word::<SyncMode>("t.sync_mode"), |row| {
            Value::text(row.sync_mode.as_str())
        }),
        property("_etag", guid("t.etag"), |row| guid_value(row.etag.0)),
        property("warnings", hidden(), |_| Value::Null),
        property("missingDependencies", hidden(), |_| Value::Null),
    ];
    EntitySet::new(
        "version",
        ("versions t", VersionEntry::COLUMNS),
        &["version"],
        None,
        properties,
    )
    .with_bulk("dependencies", "t.dependencies")
});

/// What was uploaded for all countries.
pub static UPLOADED_VERSIONS: LazyLock<EntitySet<UploadedVersion>> = LazyLock::new(|| {
    let properties = vec![
        property(
            "version",
            version("t.version", "t.version_key"),
            |row: &UploadedVersion| version_value(row.version),
        ),
        property("countryCode", country("t.country_code"), |row| {
            Value::text(row.country_code.as_str())
        }),
        property("appId", guid("t.app_id"), |row| guid_value(row.app_id.0)),
        property("availability", word::<Availability>("t.availability"), |row| {
            Value::text(row.availability.as_str())
        }),
        property("status", word::<VersionStatus>("t.status"), |row| {
            Value::text(row.status.as_str())
        }),
        property("syncMode", word::<SyncMode>("t.sync_mode"), |row| {
            Value::text(row.sync_mode.as_str())
        }),
        property("packageId", guid("t.package_id"), |row| {
            guid_value(row.package_id.0)
        }),
        property("publisher", text("t.publisher"), |row| {
            Value::text(row.publisher.as_str())
        }),
        property("name", text("t.name"), |row| Value::text(row.name.as_str())),
        property("uploadedOn", instant("t.uploaded_on"), |row| {
            instant_value(row.uploaded_on)
        }),
        property("uploadedBy", text("t.uploaded_by"), |row| {
            Value::text(row.uploaded_by.as_str())
        }),
        property("size", number("t.size", 0..=i64::MAX), |row| {
            Value::integer(i64::try_from(row.size).unwrap_or(i64::MAX))
        }),
        property("sha256", in_memory(Scalar::String), |row| {
            Value::text(HEXLOWER.encode(&row.sha256))
        }),
        property("signer", in_memory(Scalar::String).or_null(), |row| {
            let key = row.signer.as_ref().map(|signer| signer.key.to_string());
            key.map_or(Value::Null, Value::text)
        }),
        property("signerSubject", text("t.signer_subject").or_null(), |row| {
            text_or_null(row.signer.as_ref().map(|signer| &signer.subject))
        }),
        property("_etag", guid("t.etag"), |row| guid_value(row.etag.0)),
    ];
    EntitySet::new(
        "uploadedVersion",
        ("versions t", UploadedVersion::COLUMNS),
        &["version", "countryCode"],
        None,
        properties,
    )
});

fn part(number: u32) -> Value<'static> {
    Value::integer(number.into())
}

fn members() -> Vec<Property> {
    vec![
        Property::new("appId", Scalar::Guid),
        Property::new("name", Scalar::String),
        Property::new("publisher", Scalar::String),
        Property::new("version", Scalar::Version),
        Property::new("incompatibleFromVersion", Scalar::Version).nullable(),
    ]
}

/// A dependency with its members in the order of [`members`].
fn dependency(dependency: &Dependency) -> Value<'_> {
    Value::Record(vec![
        guid_value(dependency.app_id.0),
        Value::text(dependency.name.as_str()),
        Value::text(dependency.publisher.as_str()),
        version_value(dependency.min_version),
        version_or_null(dependency.incompatible_from),
    ])
}
