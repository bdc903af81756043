//! The OpenAPI schemas say the same as the entities do: they are made by another macro, from the same lines.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use std::collections::BTreeSet;
use utoipa::PartialSchema;
use wire::{Entity, agent, apps, countries, environments, hotfixes, operator, principals, versions};

fn has_schema_of_its_properties<E: Entity + PartialSchema>() {
    let schema = serde_json::to_value(E::schema()).unwrap();
    let described = schema["properties"].as_object().unwrap();
    let names: Vec<_> = described.keys().map(String::as_str).collect();
    assert_eq!(names, E::PROPERTIES);
    for (name, property) in described {
        let documented =
            property.get("description").is_some() || property.to_string().contains("description");
        assert!(documented, "{name} has no description");
    }
}

#[test]
fn every_entity_has_the_schema_of_its_properties() {
    has_schema_of_its_properties::<apps::App>();
    has_schema_of_its_properties::<apps::AllowedAction>();
    has_schema_of_its_properties::<apps::RolePermissions>();
    has_schema_of_its_properties::<countries::Country>();
    has_schema_of_its_properties::<principals::Principal>();
    has_schema_of_its_properties::<versions::Version>();
    has_schema_of_its_properties::<versions::Dependency>();
    has_schema_of_its_properties::<versions::MissingDependency>();
    has_schema_of_its_properties::<environments::Environment>();
    has_schema_of_its_properties::<hotfixes::EnvironmentHotfix>();
    has_schema_of_its_properties::<hotfixes::PlanRow>();
    has_schema_of_its_properties::<hotfixes::PlanReason>();
    has_schema_of_its_properties::<operator::RegisteredApp>();
    has_schema_of_its_properties::<operator::RegisteredEnvironment>();
    has_schema_of_its_properties::<operator::OperationRow>();
    has_schema_of_its_properties::<operator::AuditRow>();
}

#[test]
fn guids_and_moments_have_their_formats() {
    let schema = serde_json::to_value(hotfixes::EnvironmentHotfix::schema()).unwrap();
    assert_eq!(schema["properties"]["id"]["format"], "uuid");
    assert_eq!(schema["properties"]["createdOn"]["format"], "date-time");
    let required: Vec<_> = schema["required"]
        .as_array()
        .unwrap()
        .iter()
        .map(|name| name.as_str().unwrap())
        .collect();
    assert!(
        required.contains(&"status") && !required.contains(&"completedOn"),
        "{required:?}"
    );
}

/// An agent is asked for an app, its version, and when. A member that is added here is one that a service in the wrong
/// hands may say anything in: no command, script, address or setting.
#[test]
fn nothing_travels_to_an_agent_that_is_not_named_here() {
    fn has_members<S: PartialSchema>(members: &[&str]) {
        let schema = serde_json::to_value(S::schema()).unwrap();
        let described = schema["properties"].as_object().unwrap();
        let described: BTreeSet<_> = described.keys().map(String::as_str).collect();
        assert_eq!(described, members.iter().copied().collect());
    }
    has_members::<agent::AgentToken>(&["name", "token", "expiresOn"]);
    has_members::<agent::InventoryResult>(&[
        "added",
        "changed",
        "unchanged",
        "missing",
        "refused",
        "disputed",
        "warnings",
    ]);
    has_members::<agent::Claim>(&["operations"]);
    has_members::<agent::ClaimedOperation>(&[
        "operationId",
        "leaseId",
        "leaseSeconds",
        "kind",
        "environment",
        "environmentType",
        "countryCode",
        "appId",
        "appName",
        "appPublisher",
        "sourceVersion",
        "targetVersion",
        "syncMode",
        "package",
        "deleteData",
        "languageId",
    ]);
    has_members::<agent::EnvironmentName>(&["aadTenantId", "applicationFamily", "name"]);
    has_members::<agent::ClaimedPackage>(&["sha256", "size", "differsElsewhere"]);
    has_members::<agent::Renewed>(&["leaseSeconds"]);
    has_members::<agent::Finished>(&["operationId", "status"]);
}
