//! The principals of an app.

use crate::{
    entity::{Entity, entity},
    lenient::{self, Object},
};
use domain::{
    access::PrincipalChange,
    ids::{Etag, PrincipalId, TenantId},
    principal::{PrincipalKind, Role, Roles},
    problem::RuleError,
};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

entity! {
    /// A Microsoft Entra user or application that has roles on the app.
    Principal "principal" keyed by ["id"] tagged by etag {
        /// A user's object id, or an application's client id.
        #[schema(value_type = uuid::Uuid)]
        id "id": PrincipalId,
        /// What kind of identity it is.
        #[schema(value_type = crate::words::PrincipalKind)]
        kind "type": PrincipalKind,
        /// A user's tenant; applications have none here.
        #[serde(default)]
        #[schema(value_type = Option<uuid::Uuid>)]
        aad_tenant_id "aadTenantId": Option<TenantId>,
        /// The roles it has: Owner, Contributor, Reader.
        #[schema(value_type = Vec<crate::words::Role>)]
        roles "roles": Roles,
        /// A value unique to the principal's current state.
        #[schema(value_type = uuid::Uuid)]
        etag "_etag": Etag,
    }
}

/// A request to add a principal or to change its roles, as a client sends it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PrincipalPatch {
    /// The tenant of a user; must not be given for an application.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aad_tenant_id: Option<Uuid>,
    /// `User` or `Application`; needed for a new principal.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<crate::words::PrincipalKind>)]
    pub kind: Option<String>,
    /// The roles it shall have from now on; needed for a new principal.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<crate::words::Role>>)]
    pub roles: Option<Vec<String>>,
}

impl PrincipalPatch {
    /// Reads a request body about the principal `id`.
    ///
    /// # Errors
    /// `RequestBodyRequired`, or `InvalidInput` for malformed values and for the id of another principal.
    pub fn read(body: &[u8], id: PrincipalId) -> Result<PrincipalChange, RuleError> {
        let object = lenient::object(body)?;
        object.only(Principal::PROPERTIES)?;
        change_of(&object, id)
    }
}

/// What a body says about the principal `id`, as far as the documented API goes.
pub(crate) fn change_of(object: &Object, id: PrincipalId) -> Result<PrincipalChange, RuleError> {
    object.is_about("principal", "id", &id)?;
    let roles = object.words::<Role>("roles")?;
    Ok(PrincipalChange {
        kind: object.parsed("type")?,
        tenant_id: object.parsed::<TenantId>("aadTenantId")?,
        roles: roles.map(Roles::from_iter),
        token_tenant: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u128) -> PrincipalId {
        PrincipalId(Uuid::from_u128(number))
    }

    #[test]
    fn what_is_left_out_stays_open() {
        let change = PrincipalPatch::read(br#"{"roles":["Reader","reader"]}"#, id(1)).unwrap();
        assert_eq!((change.kind, change.tenant_id), (None, None));
        assert_eq!(change.roles, Some(Roles::NONE.with(Role::Reader)));
        assert_eq!(
            PrincipalPatch::read(br#"{"roles":[]}"#, id(1)).unwrap().roles,
            Some(Roles::NONE)
        );
        assert_eq!(
            PrincipalPatch::read(b"{}", id(1)).unwrap(),
            PrincipalChange::default()
        );
    }

    #[test]
    fn a_body_about_somebody_else_is_refused() {
        let body = format!(r#"{{"id":"{}"}}"#, id(2));
        assert!(PrincipalPatch::read(body.as_bytes(), id(2)).is_ok());
        let refused = PrincipalPatch::read(body.as_bytes(), id(1)).unwrap_err();
        assert_eq!(refused.target.as_deref(), Some("id"));
    }
}
