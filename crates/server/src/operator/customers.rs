//! `/operator/v1/customers`: who administers which tenant's environments.

use crate::{
    actions::{
        customers::registration,
        listing::{self, ListScope},
    },
    error::Result,
    http::{
        extract::{OperatorContext, SmallBody, id},
        lists,
        options::ListQuery,
        repeat::KeyHeader,
    },
    wire_rows,
};
use axum::{
    extract::Path,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use domain::ids::TenantId;
use wire::{
    ErrorBody, List,
    operator::{CustomerBody, CustomerRegistration, RegisteredCustomer},
};

/// Lists all customers that are registered.
#[utoipa::path(get, path = "/customers", tag = "operator", params(ListQuery),
    responses((status = 200, body = List<RegisteredCustomer>), (status = "default", body = ErrorBody)))]
pub(crate) async fn list_customers(OperatorContext(context): OperatorContext) -> Result<Response> {
    let list = (&*listing::CUSTOMERS, "customers");
    lists::list_scope(
        &context,
        ListScope::Everything,
        list,
        wire_rows::registered_customer,
    )
    .await
}

/// Gets one customer.
#[utoipa::path(get, path = "/customers/{aadTenantId}", tag = "operator", params(("aadTenantId" = uuid::Uuid, Path)),
    responses((status = 200, body = RegisteredCustomer), (status = "default", body = ErrorBody)))]
pub(crate) async fn get_customer(
    Path(tenant): Path<String>,
    OperatorContext(context): OperatorContext,
) -> Result<Response> {
    let tenant = id::<TenantId>("aadTenantId", &tenant)?;
    let customer = registration::get_customer(context.service(), tenant).await?;
    context.found(&wire_rows::registered_customer(customer)?, "customers")
}

/// Registers a customer, or replaces what is registered of one.
///
/// Users of the tenant in the directory role Dynamics 365 Administrator or Dynamics 365 Business Central Administrator
/// administer its environments without being named here. Applications with the role `AdminCenter.ReadWrite.All` have to be
/// among the `clients`, and partners' delegated administrators, who need one of the two roles as well, among the `partners`.
#[utoipa::path(put, path = "/customers/{aadTenantId}", tag = "operator", params(("aadTenantId" = uuid::Uuid, Path),
        KeyHeader),
    request_body = CustomerBody,
    responses((status = 200, body = RegisteredCustomer), (status = 201, body = RegisteredCustomer),
        (status = "default", body = ErrorBody)))]
pub(crate) async fn put_customer(
    Path(tenant): Path<String>,
    OperatorContext(context): OperatorContext,
    SmallBody(body): SmallBody,
) -> Result<Response> {
    let tenant = id::<TenantId>("aadTenantId", &tenant)?;
    context.check_look::<RegisteredCustomer>()?;
    let request = CustomerRegistration::read(&body, tenant, context.service().clock.now())?;
    let conditions = context.conditions(&body)?;
    let (customer, is_new) =
        registration::put_customer(context.service(), &context.principal, tenant, request, conditions)
            .await?;
    let mut response = context.entity(&wire_rows::registered_customer(customer)?, "customers")?;
    if is_new {
        *response.status_mut() = StatusCode::CREATED;
    }
    Ok(response)
}

/// Removes what is registered of a customer. Environments, and users with a directory role, stay as they are.
#[utoipa::path(delete, path = "/customers/{aadTenantId}", tag = "operator", params(("aadTenantId" = uuid::Uuid, Path)),
    responses((status = 204), (status = "default", body = ErrorBody)))]
pub(crate) async fn delete_customer(
    Path(tenant): Path<String>,
    OperatorContext(context): OperatorContext,
) -> Result<Response> {
    let tenant = id::<TenantId>("aadTenantId", &tenant)?;
    let conditions = context.preconditions.clone();
    registration::delete_customer(context.service(), &context.principal, tenant, conditions).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
