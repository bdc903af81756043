//! Customers as the operator registers them: who administers a tenant's environments.

use crate::{
    entity::{Entity, entity},
    lenient::{self, Object},
};
use domain::{
    customer::{self, Administration, LONGEST_PARTNERSHIP},
    ids::{Etag, TenantId, parse_guid},
    instant::Instant,
    problem::RuleError,
    text::check_text,
};
use serde::Serialize;
use std::collections::BTreeSet;
use utoipa::ToSchema;
use uuid::Uuid;

/// Most entries of a list: each is looked at with each call of the customer's.
const MOST: usize = 100;
/// Longest name or domain of a customer, in characters.
const LONGEST_NAME: usize = 250;
/// Longest note on a customer, in characters.
const LONGEST_NOTES: usize = 2_000;

entity! {
    /// A customer's tenant, and who administers its environments besides those who have a directory role for it.
    RegisteredCustomer "registeredCustomer" keyed by ["aadTenantId"] tagged by etag {
        /// The tenant.
        #[schema(value_type = uuid::Uuid)]
        aad_tenant_id "aadTenantId": TenantId,
        /// Who administers without a directory role: users by their object ids, applications by their client or object ids.
        administrators "administrators": Vec<Uuid>,
        /// The applications that may use the role `AdminCenter.ReadWrite.All` that their tokens have: client ids.
        clients "clients": Vec<Uuid>,
        /// The partners whose delegated administrators are let in.
        partners "partners": Vec<Partner>,
        /// What the customer is called, as vendors whose apps it has read it.
        #[serde(default)]
        #[schema(example = "Contoso Ltd.")]
        display_name "displayName": Option<String>,
        /// The customer's domain.
        #[serde(default)]
        #[schema(example = "contoso.com")]
        domain "domain": Option<String>,
        /// What operators note of the customer for themselves.
        #[serde(default)]
        notes "notes": Option<String>,
        /// A value unique to its current state.
        #[schema(value_type = uuid::Uuid)]
        etag "_etag": Etag,
    }
}

entity! {
    /// A partner who is let in for a time.
    Partner "customerPartner" keyed by [] {
        /// The partner's tenant.
        #[schema(value_type = uuid::Uuid)]
        tenant_id "tenantId": TenantId,
        /// Whom of that tenant alone; anybody of it if nothing is said.
        #[serde(default)]
        object_id "objectId": Option<Uuid>,
        /// Until when, 730 days at most.
        #[schema(value_type = String, format = DateTime)]
        expires_on "expiresOn": Instant,
    }
}

/// A request to register a customer, or to replace what is known of one, as a client sends it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct CustomerBody {
    /// Who administers without a directory role: users by their object ids, applications by their client or object ids.
    #[schema(required = false, nullable)]
    pub administrators: Vec<Uuid>,
    /// The applications that may use the role `AdminCenter.ReadWrite.All` that their tokens have: client ids.
    #[schema(required = false, nullable)]
    pub clients: Vec<Uuid>,
    /// The partners whose delegated administrators are let in.
    #[schema(required = false, nullable)]
    pub partners: Vec<PartnerBody>,
    /// What the customer is called, as vendors whose apps it has read it.
    #[serde(rename = "displayName", skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// The customer's domain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// What operators note of the customer for themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
}

/// A partner who is let in for a time, as a client sends it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PartnerBody {
    /// The partner's tenant.
    pub tenant_id: Uuid,
    /// Whom of that tenant alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object_id: Option<Uuid>,
    /// Until when, 730 days at most.
    #[schema(format = DateTime)]
    pub expires_on: String,
}

/// A request to register a customer, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomerRegistration {
    /// Who administers its environments.
    pub administration: Administration,
    /// What it is called.
    pub display_name: Option<String>,
    /// Its domain.
    pub domain: Option<String>,
    /// What operators note of it.
    pub notes: Option<String>,
    /// All that was said.
    pub given: Object,
}

impl CustomerRegistration {
    /// Reads a request body about `tenant` at an instant.
    ///
    /// # Errors
    /// `RequestBodyRequired`; `InvalidInput` for what is malformed, unknown or about another tenant, and for a partner who is
    /// the customer or would be let in for more than 730 days.
    pub fn read(body: &[u8], tenant: TenantId, now: Instant) -> Result<Self, RuleError> {
        let object = lenient::object(body)?;
        object.only(RegisteredCustomer::PROPERTIES)?;
        object.is_about("customer", "aadTenantId", &tenant)?;
        let partners = object.objects("partners")?.unwrap_or_default();
        let partners: Result<Vec<_>, _> = partners
            .iter()
            .map(|partner| read_partner(partner, tenant, now))
            .collect();
        let mut partners = partners?;
        partners.sort();
        if partners.len() > MOST {
            return Err(too_many(&object, "partners"));
        }
        Ok(Self {
            administration: Administration {
                administrators: read_ids(&object, "administrators")?,
                clients: read_ids(&object, "clients")?,
                partners,
            },
            display_name: plain(&object, "displayName", LONGEST_NAME)?,
            domain: plain(&object, "domain", LONGEST_NAME)?,
            notes: plain(&object, "notes", LONGEST_NOTES)?,
            given: object,
        })
    }
}

/// A text in which every character is seen; an empty one is none.
fn plain(object: &Object, name: &str, longest: usize) -> Result<Option<String>, RuleError> {
    let text = object.text(name)?.map(|text| text.trim().to_owned());
    let text = text.filter(|text| !text.is_empty());
    if let Some(text) = &text {
        check_text(name, text, longest)?;
    }
    Ok(text)
}

fn read_ids(object: &Object, name: &str) -> Result<BTreeSet<Uuid>, RuleError> {
    let read = |text: &str| match parse_guid(text) {
        Ok(id) if id.is_nil() => Err("the nil GUID is nobody's".to_owned()),
        read => read.map_err(|error| error.to_string()),
    };
    let ids: BTreeSet<_> = object
        .understood_list(name, read)?
        .unwrap_or_default()
        .into_iter()
        .collect();
    match ids.len() > MOST {
        true => Err(too_many(object, name)),
        false => Ok(ids),
    }
}

fn too_many(object: &Object, name: &str) -> RuleError {
    object.invalid(name, &format!("a customer has at most {MOST} of them"))
}

fn read_partner(object: &Object, customer: TenantId, now: Instant) -> Result<customer::Partner, RuleError> {
    object.only(Partner::PROPERTIES)?;
    let required = |name| object.required(name);
    let tenant_id: TenantId = object.parsed("tenantId")?.ok_or_else(|| required("tenantId"))?;
    if tenant_id == customer {
        return Err(object.invalid("tenantId", "it is the customer's own"));
    }
    let object_id: Option<TenantId> = object.parsed("objectId")?;
    if object_id.is_some_and(|id| id.0.is_nil()) {
        return Err(object.invalid("objectId", "the nil GUID is nobody's"));
    }
    let expires_on: Instant = object.parsed("expiresOn")?.ok_or_else(|| required("expiresOn"))?;
    if now + LONGEST_PARTNERSHIP < expires_on {
        return Err(object.invalid("expiresOn", "a partner is let in for 730 days at most"));
    }
    Ok(customer::Partner {
        tenant_id,
        object_id: object_id.map(|id| id.0),
        expires_on,
    })
}

impl RegisteredCustomer {
    /// Whether everything else that a request says is what the customer is anyway.
    ///
    /// # Errors
    /// `EntityValidationFailed` with `ReadOnly`, naming the property.
    pub fn check_read_only(&self, given: &Object) -> Result<(), RuleError> {
        given.check_read_only(
            self,
            &[
                "administrators",
                "clients",
                "partners",
                "displayName",
                "domain",
                "notes",
            ],
        )
    }
}
