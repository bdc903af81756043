//! The OpenAPI schemas say the same as the entities do: they are made by another macro, from the same lines.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use utoipa::PartialSchema;
use wire::{Entity, apps, countries, environments, hotfixes, operator, principals, versions};

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
