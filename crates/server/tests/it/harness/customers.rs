//! Those who call at the customers' door.

use super::{Answer, CUSTOMER, Caller, Harness, PARTNER_TENANT, Person, issuer_url, mint};
use entra_local::TokenRequest;
use serde_json::{Value, json};
use uuid::{Uuid, uuid};

/// The object id of the person who administers a tenant.
pub(crate) const ADMINISTRATOR: Uuid = uuid!("30000000-0000-4000-8000-000000000001");
/// The object id of a partner's technician in the partner's tenant.
pub(crate) const TECHNICIAN: Uuid = uuid!("30000000-0000-4000-8000-000000000002");

const BUSINESS_CENTRAL_ADMINISTRATOR: &str = "963797fb-eb3b-4cde-8ce3-5878b3f32a3f";
const DELEGATION: &str = "08372b87-7d02-482a-9e02-fb03ea5fe193";

/// What a token of somebody of a tenant is made from, without a role.
pub(crate) fn user_of(tenant: Uuid) -> TokenRequest {
    TokenRequest {
        tenant: Some(tenant),
        ..Person::READER_USER.token()
    }
    .with_claim("oid", ADMINISTRATOR.to_string())
}

/// The same of somebody who administers the tenant by a directory role.
pub(crate) fn administrator_of(tenant: Uuid) -> TokenRequest {
    user_of(tenant).with_claim("wids", json!([BUSINESS_CENTRAL_ADMINISTRATOR]))
}

/// The same of an application that has the role for it.
pub(crate) fn client_of(tenant: Uuid, person: &Person) -> TokenRequest {
    TokenRequest {
        tenant: Some(tenant),
        ..person.token()
    }
    .with_claim("roles", json!(["AdminCenter.ReadWrite.All"]))
}

/// The same of a partner's technician, as delegated administration makes it: without an object id of the customer's.
pub(crate) fn partner_of(tenant: Uuid) -> TokenRequest {
    administrator_of(tenant)
        .without_claim("oid")
        .with_claim("wids", json!([DELEGATION, BUSINESS_CENTRAL_ADMINISTRATOR]))
        .with_claim("idp", format!("{}/{PARTNER_TENANT}/", issuer_url()))
        .with_claim("aai", format!("tenant: {PARTNER_TENANT}, object: {TECHNICIAN}"))
}

/// A partner who is let in for long enough.
pub(crate) fn partner_entry() -> Value {
    json!({ "tenantId": PARTNER_TENANT, "expiresOn": "2021-01-01T00:00:00Z" })
}

/// `/operator/v1/customers/{tenant}`
pub(crate) fn customer_path(tenant: Uuid) -> String {
    format!("/operator/v1/customers/{tenant}")
}

/// `/admin/v2.28/applications/BusinessCentral/environments/{name}/{rest}`
pub(crate) fn admin_path(environment: &str, rest: &str) -> String {
    let root = format!("/admin/v2.28/applications/BusinessCentral/environments/{environment}");
    match rest {
        "" => root,
        rest => format!("{root}/{rest}"),
    }
}

impl Harness {
    /// The customer's administrator.
    pub(crate) fn administrator(&self) -> Caller {
        self.caller_with_token(mint(&administrator_of(CUSTOMER)))
    }

    /// Whoever has this token.
    pub(crate) fn with_token(&self, request: &TokenRequest) -> Caller {
        self.caller_with_token(mint(request))
    }

    /// Says who administers the customer's tenant, as the operator.
    pub(crate) async fn registers_customer(&self, tenant: Uuid, registration: Value) -> Answer {
        self.operator().put(customer_path(tenant), registration).await
    }
}
