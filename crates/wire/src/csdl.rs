//! The description of all types that generic OData clients read (`$metadata`), in CSDL's XML.
//!
//! It is made from the entities that JSON is written from, so it cannot tell of a property that is not there. What
//! contains what, what can be called, and what clients may not expect, is said here alone.

use crate::{
    Entity,
    apps::{AllowedAction, App, RolePermissions},
    countries::Country,
    environments::Environment,
    freezes::AppFreeze,
    history::EnvironmentHistory,
    hotfixes::{EnvironmentHotfix, PlanReason, PlanRow},
    operator::{
        Actor, AuditRow, Freeze, Identity, InstalledApp, OperationRow, Owner, Partner, RegisteredAgent,
        RegisteredApp, RegisteredCustomer, RegisteredEnvironment, RegisteredPrincipal, Scope, Window,
    },
    principals::Principal,
    publishers::{Token, TrustedPublisher},
    rollouts::{
        ApprovalPolicy, Rollout, RolloutApproval, RolloutCounts, RolloutEnvironment, RolloutFailure,
        RolloutWarning, RolloutWave,
    },
    value::EdmType,
    versions::{Dependency, MissingDependency, UploadedVersion, Version},
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
  <edmx:Reference Uri="https://docs.oasis-open.org/odata/odata-vocabularies/v4.0/cs01/vocabularies/Org.OData.Capabilities.V1.xml">
    <edmx:Include Namespace="Org.OData.Capabilities.V1"/>
  </edmx:Reference>
  <edmx:DataServices>
    <Schema Namespace="AppManagement" xmlns="http://docs.oasis-open.org/odata/ns/edm">
"#;

const TAIL: &str = r#"        <Annotation Term="Org.OData.Core.V1.ODataVersions" String="4.0"/>
        <Annotation Term="Org.OData.Capabilities.V1.BatchSupported" Bool="false"/>
        <Annotation Term="Org.OData.Capabilities.V1.AsynchronousRequestsSupported" Bool="false"/>
        <Annotation Term="Org.OData.Capabilities.V1.CrossJoinSupported" Bool="false"/>
      </EntityContainer>
    </Schema>
  </edmx:DataServices>
</edmx:Edmx>
"#;

/// What can be called besides reading and changing entities. It may be called by its name alone.
const CALLS: &str = r#"      <Function Name="roles" IsBound="true">
        <Parameter Name="app" Type="AppManagement.app" Nullable="false"/>
        <ReturnType Type="Collection(AppManagement.role)" Nullable="false"/>
      </Function>
      <Function Name="plan" IsBound="true">
        <Parameter Name="hotfixes" Type="Collection(AppManagement.environmentHotfix)" Nullable="false"/>
        <Parameter Name="targetAppVersion" Type="Edm.String" Nullable="false"/>
        <Parameter Name="runAfter" Type="Edm.DateTimeOffset">
          <Annotation Term="Org.OData.Core.V1.OptionalParameter"/>
        </Parameter>
        <Parameter Name="ignoreUpgradeWindow" Type="Edm.Boolean">
          <Annotation Term="Org.OData.Core.V1.OptionalParameter"/>
        </Parameter>
        <ReturnType Type="Collection(AppManagement.planRow)" Nullable="false"/>
      </Function>
      <Action Name="getMyPermissions" IsBound="true">
        <Parameter Name="app" Type="AppManagement.app" Nullable="false"/>
        <ReturnType Type="Collection(AppManagement.allowedAction)" Nullable="false"/>
      </Action>
      <Action Name="getPackageContents" IsBound="true">
        <Parameter Name="version" Type="AppManagement.version" Nullable="false"/>
        <ReturnType Type="Edm.Stream" Nullable="false"/>
      </Action>
      <Action Name="rotate" IsBound="true">
        <Parameter Name="webhook" Type="AppManagement.webhook" Nullable="false"/>
        <ReturnType Type="AppManagement.webhook" Nullable="false"/>
      </Action>
      <Action Name="test" IsBound="true">
        <Parameter Name="webhook" Type="AppManagement.webhook" Nullable="false"/>
        <ReturnType Type="AppManagement.webhookDelivery" Nullable="false"/>
      </Action>
      <Action Name="replay" IsBound="true">
        <Parameter Name="delivery" Type="AppManagement.webhookDelivery" Nullable="false"/>
        <ReturnType Type="AppManagement.webhookDelivery" Nullable="false"/>
      </Action>
      <Action Name="approve" IsBound="true">
        <Parameter Name="rollout" Type="AppManagement.rollout" Nullable="false"/>
        <ReturnType Type="AppManagement.rollout" Nullable="false"/>
      </Action>
      <Action Name="reject" IsBound="true">
        <Parameter Name="rollout" Type="AppManagement.rollout" Nullable="false"/>
        <ReturnType Type="AppManagement.rollout" Nullable="false"/>
      </Action>
      <Action Name="pause" IsBound="true">
        <Parameter Name="rollout" Type="AppManagement.rollout" Nullable="false"/>
        <ReturnType Type="AppManagement.rollout" Nullable="false"/>
      </Action>
      <Action Name="resume" IsBound="true">
        <Parameter Name="rollout" Type="AppManagement.rollout" Nullable="false"/>
        <ReturnType Type="AppManagement.rollout" Nullable="false"/>
      </Action>
      <Action Name="advance" IsBound="true">
        <Parameter Name="rollout" Type="AppManagement.rollout" Nullable="false"/>
        <ReturnType Type="AppManagement.rollout" Nullable="false"/>
      </Action>
      <Action Name="retry" IsBound="true">
        <Parameter Name="rollout" Type="AppManagement.rollout" Nullable="false"/>
        <ReturnType Type="AppManagement.rollout" Nullable="false"/>
      </Action>
      <Action Name="abort" IsBound="true">
        <Parameter Name="rollout" Type="AppManagement.rollout" Nullable="false"/>
        <ReturnType Type="AppManagement.rollout" Nullable="false"/>
      </Action>
      <Action Name="plan" IsBound="true">
        <Parameter Name="rollouts" Type="Collection(AppManagement.rollout)" Nullable="false"/>
        <ReturnType Type="Edm.Untyped"/>
      </Action>
      <Function Name="approvalPolicy" IsBound="true">
        <Parameter Name="app" Type="AppManagement.app" Nullable="false"/>
        <ReturnType Type="AppManagement.approvalPolicy" Nullable="false"/>
      </Function>
      <Annotation Term="Org.OData.Core.V1.DefaultNamespace" Bool="true"/>
"#;

/// A collection at the root, what it is of, what can be done with its members, and the same of those below them.
type Set = (&'static str, &'static str, May, &'static [(&'static str, May)]);

/// What can be done with the members of a collection, besides reading them.
#[derive(Clone, Copy)]
struct May {
    be_added: bool,
    be_changed: bool,
    be_removed: bool,
}

const BE_READ: May = May {
    be_added: false,
    be_changed: false,
    be_removed: false,
};
/// What is not there yet is added by a change, too.
const BE_CHANGED: May = May {
    be_changed: true,
    ..BE_READ
};
/// What is made otherwise, and can be ended.
const BE_ENDED: May = May {
    be_removed: true,
    ..BE_READ
};
const BE_ADDED: May = May {
    be_added: true,
    ..BE_CHANGED
};
const BE_INSERTED: May = May {
    be_added: true,
    ..BE_READ
};
const BE_REMOVED: May = May {
    be_removed: true,
    ..BE_CHANGED
};

/// The description of what vendors see, with what a `$filter` may be made of.
#[must_use]
pub fn document(filter_words: impl Iterator<Item = &'static str>) -> String {
    let types = [
        entity_type::<App>(&[
            ("countries", Country::NAME),
            ("versions", UploadedVersion::NAME),
            ("principals", Principal::NAME),
            ("webhooks", Webhook::NAME),
            ("trustedPublishers", TrustedPublisher::NAME),
            ("tokens", Token::NAME),
            ("freezes", AppFreeze::NAME),
            ("rollouts", Rollout::NAME),
        ]),
        entity_type::<Country>(&[
            ("versions", Version::NAME),
            ("environments", Environment::NAME),
            ("environmentHotfixes", EnvironmentHotfix::NAME),
        ]),
        entity_type::<Principal>(&[]),
        entity_type::<Version>(&[]),
        entity_type::<Environment>(&[("history", EnvironmentHistory::NAME)]),
        entity_type::<EnvironmentHistory>(&[]),
        entity_type::<UploadedVersion>(&[]),
        entity_type::<EnvironmentHotfix>(&[]),
        entity_type::<Webhook>(&[("deliveries", WebhookDelivery::NAME)]),
        entity_type::<WebhookDelivery>(&[]),
        entity_type::<TrustedPublisher>(&[]),
        entity_type::<Token>(&[]),
        entity_type::<AppFreeze>(&[]),
        entity_type::<Rollout>(&[("environments", RolloutEnvironment::NAME)]),
        entity_type::<RolloutEnvironment>(&[]),
        complex_type::<RolloutCounts>(),
        complex_type::<RolloutWave>(),
        complex_type::<RolloutFailure>(),
        complex_type::<RolloutApproval>(),
        complex_type::<RolloutWarning>(),
        complex_type::<ApprovalPolicy>(),
        complex_type::<Dependency>(),
        complex_type::<MissingDependency>(),
        complex_type::<AllowedAction>(),
        complex_type::<RolePermissions>(),
        complex_type::<PlanRow>(),
        complex_type::<PlanReason>(),
        CALLS.to_owned(),
    ];
    let below_apps = &[
        ("countries", BE_CHANGED),
        ("countries/versions", BE_ADDED),
        ("countries/environments", BE_READ),
        ("countries/environments/history", BE_READ),
        ("countries/environmentHotfixes", BE_ADDED),
        ("versions", BE_READ),
        ("principals", BE_REMOVED),
        ("webhooks", BE_REMOVED),
        ("webhooks/deliveries", BE_READ),
        ("trustedPublishers", BE_REMOVED),
        ("tokens", BE_ENDED),
        ("freezes", BE_REMOVED),
        ("rollouts", BE_INSERTED),
        ("rollouts/environments", BE_READ),
    ];
    whole(&types, &[("apps", App::NAME, BE_READ, below_apps)], filter_words)
}

/// The description of what operators see, with what a `$filter` may be made of.
#[must_use]
pub fn operator_document(filter_words: impl Iterator<Item = &'static str>) -> String {
    let types = [
        entity_type::<RegisteredApp>(&[("principals", RegisteredPrincipal::NAME)]),
        entity_type::<RegisteredPrincipal>(&[]),
        entity_type::<RegisteredEnvironment>(&[("history", EnvironmentHistory::NAME)]),
        entity_type::<EnvironmentHistory>(&[]),
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
    let sets: [Set; 8] = [
        (
            "apps",
            RegisteredApp::NAME,
            BE_CHANGED,
            &[("principals", BE_CHANGED)],
        ),
        (
            "environments",
            RegisteredEnvironment::NAME,
            BE_REMOVED,
            &[("history", BE_READ)],
        ),
        ("agents", RegisteredAgent::NAME, BE_REMOVED, &[]),
        ("operations", OperationRow::NAME, BE_READ, &[]),
        ("audit", AuditRow::NAME, BE_READ, &[]),
        ("freezes", Freeze::NAME, BE_REMOVED, &[]),
        ("customers", RegisteredCustomer::NAME, BE_REMOVED, &[]),
        ("webhooks", Webhook::NAME, BE_REMOVED, &[("deliveries", BE_READ)]),
    ];
    whole(&types, &sets, filter_words)
}

fn whole(types: &[String], sets: &[Set], filter_words: impl Iterator<Item = &'static str>) -> String {
    let mut container = String::from("      <EntityContainer Name=\"Container\">\n");
    for (name, of, may, below) in sets {
        let _ = writeln!(
            container,
            r#"        <EntitySet Name="{name}" EntityType="{NAMESPACE}.{of}">"#
        );
        for (term, of_term) in [("ExpandRestrictions", no("Expandable"))]
            .into_iter()
            .chain(restrictions(*may))
        {
            container.push_str(&annotation(term, &of_term));
        }
        if !below.is_empty() {
            container.push_str(&annotation("NavigationRestrictions", &restrictions_below(below)));
        }
        container.push_str("        </EntitySet>\n");
    }
    let words: String = filter_words
        .map(|word| format!("<String>{word}</String>"))
        .collect();
    container.push_str(&annotation(
        "FilterFunctions",
        &format!("<Collection>{words}</Collection>"),
    ));
    [HEAD, &types.concat(), &container, TAIL].concat()
}

fn annotation(term: &str, value: &str) -> String {
    format!("          <Annotation Term=\"Org.OData.Capabilities.V1.{term}\">{value}</Annotation>\n")
}

/// What clients may not expect of a collection.
fn restrictions(may: May) -> [(&'static str, String); 4] {
    [
        ("SearchRestrictions", no("Searchable")),
        ("InsertRestrictions", whether("Insertable", may.be_added)),
        ("UpdateRestrictions", whether("Updatable", may.be_changed)),
        ("DeleteRestrictions", whether("Deletable", may.be_removed)),
    ]
}

fn restrictions_below(collections: &[(&str, May)]) -> String {
    let mut records = String::new();
    for (path, may) in collections {
        let _ = write!(
            records,
            r#"<Record><PropertyValue Property="NavigationProperty" NavigationPropertyPath="{path}"/>"#
        );
        for (name, value) in restrictions(*may) {
            let _ = write!(
                records,
                r#"<PropertyValue Property="{name}">{value}</PropertyValue>"#
            );
        }
        records.push_str("</Record>");
    }
    format!(
        r#"<Record><PropertyValue Property="RestrictedProperties"><Collection>{records}</Collection></PropertyValue></Record>"#
    )
}

fn no(what: &str) -> String {
    whether(what, false)
}

fn whether(what: &str, it_is_so: bool) -> String {
    format!(r#"<Record><PropertyValue Property="{what}" Bool="{it_is_so}"/></Record>"#)
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
