//! The partners that a customer's operator has let in, for the customer to see and to end. Ours: the original has a page for it.

use super::{AdminContext, answer, context::id};
use crate::{actions::customers::registration, error::Result};
use axum::{
    extract::Path,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use domain::{customer::Partner, ids::TenantId};
use uuid::Uuid;
use wire::admin_center::{AdminError, DelegatedPartner, Listed};

/// Lists the partners whose delegated administrators are let in. For users of the tenant itself.
#[utoipa::path(get, path = "/delegatedPartners", tag = "admin",
    responses((status = 200, body = Listed<DelegatedPartner>), (status = "default", body = AdminError)))]
pub(crate) async fn list_delegated_partners(context: AdminContext) -> Result<Response> {
    let partners = registration::list_partners(context.service(), &context.customer).await?;
    let shown = |partner: Partner| DelegatedPartner {
        tenant_id: partner.tenant_id.0,
        object_id: partner.object_id,
        expires_on: partner.expires_on.to_string(),
    };
    Ok(answer(&Listed::of(partners.into_iter().map(shown))))
}

/// Lets nobody of a partner in any more. For users of the tenant itself.
#[utoipa::path(delete, path = "/delegatedPartners/{partnerTenantId}", tag = "admin",
    params(("partnerTenantId" = uuid::Uuid, Path)),
    responses((status = 204), (status = "default", body = AdminError)))]
pub(crate) async fn revoke_delegated_partner(
    Path(tenant): Path<String>,
    context: AdminContext,
) -> Result<Response> {
    revoke(&context, &tenant, None).await
}

/// Lets one person of a partner in no more, where that person is named. For users of the tenant itself.
#[utoipa::path(delete, path = "/delegatedPartners/{partnerTenantId}/{objectId}", tag = "admin",
    params(("partnerTenantId" = uuid::Uuid, Path), ("objectId" = uuid::Uuid, Path)),
    responses((status = 204), (status = "default", body = AdminError)))]
pub(crate) async fn revoke_delegated_person(
    Path((tenant, object)): Path<(String, String)>,
    context: AdminContext,
) -> Result<Response> {
    revoke(&context, &tenant, Some(&object)).await
}

async fn revoke(context: &AdminContext, tenant: &str, object: Option<&str>) -> Result<Response> {
    let tenant = id::<TenantId>("partnerTenantId", tenant)?;
    let object = object
        .map(|object| id::<TenantId>("objectId", object))
        .transpose()?;
    let object: Option<Uuid> = object.map(|object| object.0);
    registration::revoke_partner(context.service(), &context.customer, tenant, object).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
