//! Which runs of pipelines may act for an app, and what they were given.

use super::{guid_value, instant_or_null, instant_value, text_or_null};
use crate::{
    list::{EntitySet, guid, hidden, instant, number, property, text, word},
    publishers::{PublisherToken, TrustedPublisher},
};
use domain::{
    publisher::{LONGEST_LIFETIME_SECONDS, Provider, PublisherState},
    version::Availability,
};
use odata::Value;
use std::sync::LazyLock;

/// All trusted publishers.
pub static TRUSTED_PUBLISHERS: LazyLock<EntitySet<TrustedPublisher>> = LazyLock::new(|| {
    let properties = vec![
        property("id", guid("t.id"), |row: &TrustedPublisher| guid_value(row.id)),
        property("provider", word::<Provider>("t.provider"), |row| {
            Value::text(row.provider.as_str())
        }),
        property("issuer", text("t.issuer"), |row| Value::text(row.issuer.as_str())),
        property("repository", text("t.repository"), |row| {
            Value::text(row.repository.as_str())
        }),
        property("repositoryId", text("t.repository_id").or_null(), |row| {
            text_or_null(row.repository_id.as_ref())
        }),
        property("ownerId", text("t.owner_id").or_null(), |row| {
            text_or_null(row.owner_id.as_ref())
        }),
        property("workflow", text("t.workflow"), |row| {
            Value::text(row.workflow.as_str())
        }),
        property("jobWorkflow", text("t.job_workflow").or_null(), |row| {
            text_or_null(row.job_workflow.as_ref())
        }),
        property("environment", text("t.environment").or_null(), |row| {
            text_or_null(row.environment.as_ref())
        }),
        property("refPattern", text("t.ref_pattern").or_null(), |row| {
            text_or_null(row.ref_pattern.as_ref())
        }),
        property("events", hidden(), |_| Value::Null),
        property("runnerEnvironment", text("t.runner_environment"), |row| {
            Value::text(row.runner_environment.as_str())
        }),
        property("may", hidden(), |_| Value::Null),
        property(
            "maxAvailability",
            word::<Availability>("t.max_availability"),
            |row| Value::text(row.max_availability.as_str()),
        ),
        property("countries", hidden(), |_| Value::Null),
        property(
            "lifetimeSeconds",
            number("t.lifetime_seconds", 0..=i64::from(LONGEST_LIFETIME_SECONDS)),
            |row| Value::integer(row.lifetime_seconds.into()),
        ),
        property("state", word::<PublisherState>("t.state"), |row| {
            Value::text(row.state.as_str())
        }),
        property("pendingUntil", instant("t.pending_until").or_null(), |row| {
            instant_or_null(row.pending_until)
        }),
        property("lockedOn", instant("t.locked_on").or_null(), |row| {
            instant_or_null(row.locked_on)
        }),
        property("usedOn", instant("t.used_on").or_null(), |row| {
            instant_or_null(row.used_on)
        }),
        property("createdOn", instant("t.created_on"), |row| {
            instant_value(row.created_on)
        }),
        property("createdBy", text("t.created_by"), |row| {
            Value::text(row.created_by.as_str())
        }),
        property("_etag", guid("t.etag"), |row| guid_value(row.etag.0)),
    ];
    EntitySet::new(
        "trustedPublisher",
        ("trusted_publishers t", TrustedPublisher::COLUMNS),
        &["id"],
        None,
        properties,
    )
});

/// What kind of token it is; there is one so far that opens an app.
const KIND: &str = "Publisher";

/// All tokens that open an app.
pub static TOKENS: LazyLock<EntitySet<PublisherToken>> = LazyLock::new(|| {
    let properties = vec![
        property("id", guid("t.id"), |row: &PublisherToken| guid_value(row.id)),
        property("kind", text("'Publisher'"), |_| Value::text(KIND)),
        property("lastFour", text("t.last_four"), |row| {
            Value::text(row.last_four.as_str())
        }),
        property("publisherId", guid("t.publisher_id"), |row| {
            guid_value(row.publisher_id)
        }),
        property("repository", text("t.repository"), |row| {
            Value::text(row.repository.as_str())
        }),
        property("run", text("t.run").or_null(), |row| {
            text_or_null(row.run.as_ref())
        }),
        property("createdOn", instant("t.issued_on"), |row| {
            instant_value(row.issued_on)
        }),
        property("expiresOn", instant("t.expires_on"), |row| {
            instant_value(row.expires_on)
        }),
        property("usedOn", instant("t.used_on").or_null(), |row| {
            instant_or_null(row.used_on)
        }),
    ];
    EntitySet::new(
        "token",
        ("publisher_tokens t", PublisherToken::COLUMNS),
        &["id"],
        None,
        properties,
    )
});
