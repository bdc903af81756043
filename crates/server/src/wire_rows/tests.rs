//! What lists are asked by and what they show are described in two crates; here they are held to each other.

use odata::{Property, Scalar, Type};
use store::{entity_sets::*, list::EntitySet};
use wire::{
    Entity, apps, countries, environments, hotfixes, operator, principals, value::EdmType, versions, webhooks,
};

/// The name and the type of a property, as OData clients read it.
type Told = (String, &'static str, bool);

/// What a filter may say of a property; nothing of what no filter may look at.
fn filtered(property: &Property) -> Option<Told> {
    let (scalar, is_collection) = match &property.ty {
        Type::Scalar(scalar) => (*scalar, false),
        Type::Collection(scalar) => (*scalar, true),
        Type::Complex(_) => return None,
    };
    let name = match scalar {
        // A tag is a GUID to us and any text to its readers.
        Scalar::Guid if property.name == "_etag" => "Edm.String",
        Scalar::Guid => "Edm.Guid",
        Scalar::String | Scalar::Folded(_) | Scalar::Version => "Edm.String",
        Scalar::Boolean => "Edm.Boolean",
        Scalar::Int => "Edm.Int32",
        Scalar::DateTimeOffset => "Edm.DateTimeOffset",
        other => panic!("{}: no entity shows {other}", property.name),
    };
    Some((property.name.clone(), name, is_collection))
}

fn agree_in_types<E: Entity>(properties: &[Property]) {
    let written = E::PROPERTIES.iter().zip(E::TYPES);
    assert!(properties.len() >= E::PROPERTIES.len(), "{}", E::NAME);
    for ((name, ty), property) in written.zip(properties) {
        let EdmType {
            name: ty,
            is_collection,
            ..
        } = *ty;
        assert_eq!(property.name, *name, "{}", E::NAME);
        if let Some(filtered) = filtered(property) {
            assert_eq!(filtered, ((*name).to_owned(), ty, is_collection), "{}", E::NAME);
        }
    }
}

fn agree<E: Entity, T>(entity_set: &EntitySet<T>) {
    let schema = &entity_set.schema;
    agree_in_types::<E>(&schema.properties);
    let mut keys: Vec<_> = schema
        .keys
        .iter()
        .map(|&key| schema.properties[key].name.as_str())
        .collect();
    let mut written = E::KEYS.to_vec();
    keys.sort_unstable();
    written.sort_unstable();
    assert_eq!(keys, written, "{}", E::NAME);
}

#[test]
fn lists_are_asked_by_what_they_show() {
    agree::<apps::App, _>(&APPS);
    agree::<countries::Country, _>(&COUNTRIES);
    agree::<principals::Principal, _>(&PRINCIPALS);
    agree::<versions::Version, _>(&VERSIONS);
    agree::<environments::Environment, _>(&ENVIRONMENTS);
    agree::<hotfixes::EnvironmentHotfix, _>(&HOTFIXES);
    agree::<operator::RegisteredApp, _>(&REGISTERED_APPS);
    agree::<operator::RegisteredEnvironment, _>(&REGISTERED_ENVIRONMENTS);
    agree::<operator::RegisteredAgent, _>(&AGENTS);
    agree::<operator::Freeze, _>(&FREEZES);
    agree::<operator::RegisteredCustomer, _>(&CUSTOMERS);
    agree::<webhooks::Webhook, _>(&WEBHOOKS);
    agree::<webhooks::WebhookDelivery, _>(&DELIVERIES);
    agree::<wire::publishers::TrustedPublisher, _>(&TRUSTED_PUBLISHERS);
    agree::<wire::rollouts::Rollout, _>(&ROLLOUTS);
    agree::<wire::rollouts::RolloutEnvironment, _>(&ROLLOUT_ENVIRONMENTS);
    agree::<operator::OperationRow, _>(&OPERATIONS);
    agree::<operator::AuditRow, _>(&AUDIT);
}

#[test]
fn so_are_the_dependencies_of_a_version() {
    let versions = &VERSIONS.schema;
    let dependencies = &versions.properties[versions.find("dependencies").unwrap()];
    let Type::Complex(members) = &dependencies.ty else {
        panic!("{dependencies:?}");
    };
    agree_in_types::<versions::Dependency>(members);
}
