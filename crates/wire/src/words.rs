//! Closed sets of words, as the description of the API lists them.
//!
//! Values of `domain` read and write themselves; what is said here is only which words there are, so that programs made
//! from the description know them too.

use domain::{agent, environment, operation, principal, publisher, version, waiting, webhook};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, Type},
};

macro_rules! words {
    ($($(#[doc = $doc:literal])+ $name:ident: $words:expr;)+) => {
        $(
            $(#[doc = $doc])+
            pub(crate) enum $name {}

            impl PartialSchema for $name {
                fn schema() -> RefOr<Schema> {
                    let words: Vec<String> = $words;
                    let schema = ObjectBuilder::new().schema_type(Type::String);
                    let schema = schema.description(Some(concat!($($doc),+).trim()));
                    schema.enum_values(Some(words)).into()
                }
            }

            impl ToSchema for $name {}
        )+
    };
}

words! {
    /// What somebody is who did something.
    ActorKind: these(&["User", "Application", "Delegated", "Publisher", "Agent", "Service"]);
    /// How an attempt to deliver went.
    AttemptResult: all(webhook::AttemptResult::ALL);
    /// For whom an installed app was published.
    AppScope: all(environment::AppScope::ALL);
    /// For whom an installed app was published, as customers read it.
    AppType: lower(environment::AppScope::ALL);
    /// How it is with an agent.
    AgentState: all(agent::AgentState::ALL);
    /// To whom a version is offered.
    Availability: all(version::Availability::ALL);
    /// Whether an app is being updated.
    InstalledAppState: these(&["Installed", "UpdatePending", "Updating"]);
    /// How it is with a delivery.
    DeliveryStatus: all(webhook::DeliveryStatus::ALL);
    /// Why a webhook is told nothing.
    DisabledReason: all(webhook::DisabledReason::ALL);
    /// What an environment is for.
    EnvironmentKind: all(environment::EnvironmentKind::ALL);
    /// Whether an environment is found.
    EnvironmentStatus: these(&["Active", "NotReady"]);
    /// Why an operation failed.
    FailureCause: all(operation::FailureCause::ALL);
    /// The only status that a hotfix can be given.
    CanceledStatus: these(&["Canceled"]);
    /// How an operation ended under its agent.
    EndStatus: these(&["Succeeded", "Failed", "Skipped"]);
    /// What an operation does.
    OperationKind: all(operation::OperationKind::ALL);
    /// What an operation does, as customers read it: as an app's operation, or as one of its environment.
    CustomersOperationKind: [
        lower(operation::OperationKind::ALL),
        operation::OperationKind::ALL.iter().map(|kind| format!("environmentApp{kind}")).collect(),
    ].concat();
    /// How it is with an operation.
    OperationStatus: all(operation::OperationStatus::ALL);
    /// How it is with an operation, as customers read it.
    CustomersOperationStatus: lower(operation::OperationStatus::ALL);
    /// What kind of identity somebody has.
    PrincipalKind: all(principal::PrincipalKind::ALL);
    /// Whose pipelines.
    Provider: all(publisher::Provider::ALL);
    /// How far a trusted publisher has come.
    PublisherState: all(publisher::PublisherState::ALL);
    /// What somebody is to an app.
    Role: all(principal::Role::ALL);
    /// For whom an app was published that would have to go.
    DependentScope: these(&["Global", "PTE", "DEV"]);
    /// Whether an operation waits for the update window.
    ScheduleKind: these(&["Immediate", "UpdateWindow"]);
    /// How the database schema follows an app's.
    SyncMode: all(version::SyncMode::ALL);
    /// Who asked for an operation.
    CreatorKind: these(&["user", "app"]);
    /// How often apps are updated with the platform.
    UpdateCadence: all(environment::UpdateCadence::ALL);
    /// Where the bytes of a version are.
    VersionStatus: all(version::VersionStatus::ALL);
    /// What an operation waits for.
    WaitingFor: all(waiting::WaitingFor::ALL);
    /// How a webhook is told.
    WebhookFormat: all(webhook::WebhookFormat::ALL);
}

fn all<T: ToString>(words: &[T]) -> Vec<String> {
    words.iter().map(T::to_string).collect()
}

fn lower<T: ToString>(words: &[T]) -> Vec<String> {
    words
        .iter()
        .map(|word| word.to_string().to_ascii_lowercase())
        .collect()
}

fn these(words: &[&str]) -> Vec<String> {
    all(words)
}
