//! The customers' environments in which an app is installed.

use crate::entity::entity;
use domain::{
    country::CountryCode,
    environment::EnvironmentKind,
    ids::{AppId, TenantId},
    version::AppVersion,
};

entity! {
    /// A customer's environment that has the app installed.
    Environment "environment" keyed by ["aadTenantId", "applicationFamily", "name"] {
        /// The customer's Microsoft Entra tenant.
        #[schema(value_type = uuid::Uuid)]
        aad_tenant_id "aadTenantId": TenantId,
        /// The version of the app that is installed.
        #[schema(value_type = String, example = "16.0.1.2")]
        version "version": AppVersion,
        /// The app.
        #[schema(value_type = uuid::Uuid)]
        app_id "appId": AppId,
        /// The country that the environment belongs to.
        #[schema(value_type = String, example = "US")]
        country_code "countryCode": CountryCode,
        /// The environment's application family.
        application_family "applicationFamily": String,
        /// Where the environment runs.
        #[serde(default)]
        location_name "locationName": Option<String>,
        /// The environment's name.
        name "name": String,
        /// What it is for: Production or Sandbox.
        #[schema(value_type = crate::words::EnvironmentKind)]
        kind "type": EnvironmentKind,
    }
    when selected {
        /// What the operator of the service calls the customer.
        customer_name "customerName": Option<String>,
        /// Your own words on the environment.
        #[schema(example = json!(["ring0"]))]
        tags "tags": Vec<String>,
        /// How many newer versions of the same major and minor numbers are Available in its country.
        behind "behind": Option<u32>,
    }
}
