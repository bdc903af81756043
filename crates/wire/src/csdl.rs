//! The description of all types that generic OData clients read (`$metadata`), in CSDL's XML.
//!
//! It is made from the entities that JSON is written from, so it cannot tell of a property that is not there. What
//! contains what is said here alone.

use crate::{
    Entity,
    apps::{AllowedAction, App, RolePermissions},
    countries::Country,
    environments::Environment,
    hotfixes::EnvironmentHotfix,
    operator::{
        Actor, AuditRow, Freeze, Identity, InstalledApp, OperationRow, Owner, Partner, RegisteredAgent,
        RegisteredApp, RegisteredCustomer, RegisteredEnvironment, RegisteredPrincipal, Scope, Window,
    },
    principals::Principal,
    value::EdmType,
    versions::{Dependency, Version},
    webhooks::{Webhook, WebhookDelivery},
};
use std::fmt::Write as _;

/// The namespace of the types.
pub const NAMESPACE: &str = "AppManagement";

const HEAD: &str = r#"<?xml version="1.0" encoding="utf-8"?>
<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx">
  <edmx:Reference Uri="https://docs.oasis-open.org/odata/odata-vocabularies/v4.0/cs01/vocabularies/Org.OData.Core.V1.xml">
    <edmx:Include Namespace="Org.OData.Core.V1"/>
  </edmx:Reference>
  <edmx:DataServices>
    <Schema Namespace="AppManagement" xmlns="http://docs.oasis-open.org/odata/ns/edm">
"#;

const TAIL: &str = r#"        <Annotation Term="Org.OData.Core.V1.ODataVersions" String="4.0"/>
      </EntityContainer>
    </Schema>
  </edmx:DataServices>
</edmx:Edmx>
"#;

/// The description of what vendors see.
#[must_use]
pub fn document() -> String {
    let types = [
        entity_type::<App>(&[
            ("countries", Country::NAME),
            ("principals", Principal::NAME),
            ("webhooks", Webhook::NAME),
        ]),
        entity_type::<Country>(&[
            ("versions", Version::NAME),
            ("environments", Environment::NAME),
            ("environmentHotfixes", EnvironmentHotfix::NAME),
        ]),
        entity_type::<Principal>(&[]),
        entity_type::<Version>(&[]),
        entity_type::<Environment>(&[]),
        entity_type::<EnvironmentHotfix>(&[]),
        entity_type::<Webhook>(&[("deliveries", WebhookDelivery::NAME)]),
        entity_type::<WebhookDelivery>(&[]),
        complex_type::<Dependency>(),
        complex_type::<AllowedAction>(),
        complex_type::<RolePermissions>(),
    ];
    whole(&types, &[("apps", App::NAME)])
}

/// The description of what operators see.
#[must_use]
pub fn operator_document() -> String {
    let types = [
        entity_type::<RegisteredApp>(&[("principals", RegisteredPrincipal::NAME)]),
        entity_type::<RegisteredPrincipal>(&[]),
        entity_type::<RegisteredEnvironment>(&[]),
        entity_type::<RegisteredAgent>(&[]),
        entity_type::<OperationRow>(&[]),
        entity_type::<AuditRow>(&[]),
        entity_type::<Freeze>(&[]),
        entity_type::<RegisteredCustomer>(&[]),
        entity_type::<Webhook>(&[("deliveries", WebhookDelivery::NAME)]),
        entity_type::<WebhookDelivery>(&[]),
        complex_type::<Owner>(),
        complex_type::<Window>(),
        complex_type::<InstalledApp>(),
        complex_type::<Scope>(),
        complex_type::<Identity>(),
        complex_type::<Actor>(),
        complex_type::<Partner>(),
    ];
    let sets = [
        ("apps", RegisteredApp::NAME),
        ("environments", RegisteredEnvironment::NAME),
        ("agents", RegisteredAgent::NAME),
        ("operations", OperationRow::NAME),
        ("audit", AuditRow::NAME),
        ("freezes", Freeze::NAME),
        ("customers", RegisteredCustomer::NAME),
        ("webhooks", Webhook::NAME),
    ];
    whole(&types, &sets)
}

fn whole(types: &[String], sets: &[(&str, &str)]) -> String {
    let mut container = String::from("      <EntityContainer Name=\"Container\">\n");
    for (name, of) in sets {
        let _ = writeln!(
            container,
            r#"        <EntitySet Name="{name}" EntityType="{NAMESPACE}.{of}"/>"#
        );
    }
    [HEAD, &types.concat(), &container, TAIL].concat()
}

/// An entity with the collections that lie below it.
fn entity_type<E: Entity>(contained: &[(&str, &str)]) -> String {
    let mut inside = String::from("        <Key>\n");
    for key in E::KEYS {
        let _ = writeln!(inside, r#"          <PropertyRef Name="{key}"/>"#);
    }
    inside.push_str("        </Key>\n");
    inside.push_str(&properties::<E>());
    for (name, of) in contained {
        let _ = writeln!(
            inside,
            r#"        <NavigationProperty Name="{name}" Type="Collection({NAMESPACE}.{of})" ContainsTarget="true"/>"#
        );
    }
    element("EntityType", E::NAME, &inside)
}

/// What lives only as a part of an entity.
fn complex_type<E: Entity>() -> String {
    element("ComplexType", E::NAME, &properties::<E>())
}

fn element(tag: &str, name: &str, inside: &str) -> String {
    format!("      <{tag} Name=\"{name}\">\n{inside}      </{tag}>\n")
}

fn properties<E: Entity>() -> String {
    let mut properties = String::new();
    for (name, ty) in E::PROPERTIES.iter().zip(E::TYPES) {
        let facet = match ty {
            _ if ty.is_collection || E::KEYS.contains(name) => r#" Nullable="false""#,
            EdmType {
                name: "Edm.DateTimeOffset",
                ..
            } => r#" Precision="7""#,
            _ => "",
        };
        let _ = writeln!(
            properties,
            r#"        <Property Name="{name}" Type="{}"{facet}/>"#,
            qualified(*ty)
        );
    }
    properties
}

fn qualified(ty: EdmType) -> String {
    let name = match ty.is_complex {
        true => format!("{NAMESPACE}.{}", ty.name),
        false => ty.name.to_owned(),
    };
    match ty.is_collection {
        true => format!("Collection({name})"),
        false => name,
    }
}
