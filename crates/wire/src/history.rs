//! What was done in an environment, and who wanted it.

use crate::entity::entity;
use domain::{
    country::CountryCode,
    ids::{AppId, OperationId},
    instant::Instant,
    operation::{FailureCause, OperationKind, OperationStatus},
    version::AppVersion,
};

entity! {
    /// An operation of any kind in an environment. Together they tell which versions it had, and when.
    EnvironmentHistory "environmentHistory" keyed by ["id"] {
        /// The id of the operation; of a hotfix it is that of the hotfix.
        #[schema(value_type = uuid::Uuid)]
        id "id": OperationId,
        /// Hotfix, Update, Install or Uninstall.
        #[schema(value_type = crate::words::OperationKind)]
        kind "kind": OperationKind,
        /// Scheduled, Running, Succeeded, Failed, Canceled or Skipped.
        #[schema(value_type = crate::words::OperationStatus)]
        status "status": OperationStatus,
        /// The app.
        #[schema(value_type = uuid::Uuid)]
        app_id "appId": AppId,
        /// The country that it was asked for in.
        #[schema(value_type = String, example = "US")]
        country_code "countryCode": CountryCode,
        /// The version that was installed before; none for an install. Where it is not the one that the operation before led
        /// to, somebody has changed it past the service.
        #[serde(default)]
        #[schema(value_type = Option<String>)]
        source_app_version "sourceAppVersion": Option<AppVersion>,
        /// The version to go to; none for an uninstall.
        #[serde(default)]
        #[schema(value_type = Option<String>)]
        target_app_version "targetAppVersion": Option<AppVersion>,
        /// When it was asked for.
        #[schema(value_type = String, format = DateTime)]
        created_on "createdOn": Instant,
        /// When it started.
        #[serde(default)]
        #[schema(value_type = Option<String>, format = DateTime)]
        started_on "startedOn": Option<Instant>,
        /// When it ended, in whatever way.
        #[serde(default)]
        #[schema(value_type = Option<String>, format = DateTime)]
        ended_on "endedOn": Option<Instant>,
        /// Why it failed, as its agent understood it.
        #[serde(default)]
        #[schema(value_type = Option<crate::words::FailureCause>)]
        failure_cause "failureCause": Option<FailureCause>,
        /// What carried it out.
        #[serde(default)]
        agent_name "agentName": Option<String>,
        /// What asked for it: User, Application, Delegated or Publisher.
        requested_by_type "requestedByType": String,
        /// Who asked for it. Who a customer's administrators are, operators are told alone.
        #[serde(default)]
        requested_by "requestedBy": Option<String>,
    }
}
