//! Apps, and what a caller may do with one.

use crate::entity::entity;
use domain::{
    access::{Permission, permissions_of},
    ids::{AppId, Etag, TenantId},
    principal::Role,
};

entity! {
    /// An app that is registered with the service; it stands for no particular version.
    App "app" keyed by ["id"] tagged by etag {
        /// The id of the app, the same across all its versions.
        #[schema(value_type = uuid::Uuid)]
        id "id": AppId,
        /// The publisher's name.
        #[serde(default)]
        #[schema(required = true)]
        publisher "publisher": String,
        /// The Microsoft Entra tenant of the publisher's organisation.
        #[serde(default)]
        #[schema(value_type = Option<uuid::Uuid>)]
        publisher_aad_tenant_id "publisherAadTenantId": Option<TenantId>,
        /// The publisher's contact e-mail address.
        #[serde(default)]
        #[schema(required = true)]
        publisher_contact_email "publisherContactEmail": String,
        /// Where the app's packages are kept.
        #[serde(default)]
        #[schema(required = true)]
        storage_location "storageLocation": String,
        /// The name that the highest uploaded version has; none before the first upload. Not part of the
        /// state that `_etag` stands for.
        #[serde(default)]
        name "name": Option<String>,
        /// A value unique to the app's current state.
        #[schema(value_type = uuid::Uuid)]
        etag "_etag": Etag,
    }
}

entity! {
    /// Something that the caller may do with the app.
    AllowedAction "allowedAction" keyed by ["action"] {
        /// What, as `versions/write`.
        action "action": String,
    }
}

impl From<Permission> for AllowedAction {
    fn from(permission: Permission) -> Self {
        Self {
            action: permission.to_string(),
        }
    }
}

entity! {
    /// A role, and what it allows.
    RolePermissions "role" keyed by ["name"] {
        /// The role.
        #[schema(value_type = crate::words::Role)]
        name "name": Role,
        /// What its holders may do.
        #[serde(default)]
        #[schema(required = true)]
        permissions "permissions": Vec<String>,
    }
}

impl From<Role> for RolePermissions {
    fn from(role: Role) -> Self {
        let permissions = permissions_of(role)
            .into_iter()
            .map(|permission| permission.to_string())
            .collect();
        Self {
            name: role,
            permissions,
        }
    }
}
