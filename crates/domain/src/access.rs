//! Who may do what: the one table behind every 403, behind `getMyPermissions` and behind `roles`.
//!
//! A check and its explanation are read from the same table, so that what the service says about a role
//! can never differ from what it enforces. The rules for changing principals stand here too, because they
//! guard the same thing: that an app always has somebody who may decide.

use crate::{
    ids::TenantId,
    principal::{PrincipalKind, Role, Roles, TokenTenant},
    problem::RuleError,
};
use std::fmt;

/// What a permission is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// The app itself.
    Apps,
    /// The countries it is available in.
    Countries,
    /// Who has roles on it.
    Principals,
    /// Its uploaded versions and their packages.
    Versions,
    /// The customers' environments in which it is installed.
    Environments,
    /// The hotfixes asked for, and what became of them.
    EnvironmentHotfixes,
    /// Who is told of what happens. It is none of the original's, so no role's list names it.
    Webhooks,
    /// Which pipelines may act for it; none of the original's either.
    TrustedPublishers,
    /// One decision for many environments; none of the original's.
    Rollouts,
    /// Which rollouts somebody else has to approve; none of the original's.
    ApprovalPolicy,
}

impl Resource {
    /// Every resource that is documented, in that order.
    pub const ALL: &[Self] = &[
        Self::Apps,
        Self::Countries,
        Self::Principals,
        Self::Versions,
        Self::Environments,
        Self::EnvironmentHotfixes,
    ];

    /// The resource as it is called in addresses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Apps => "apps",
            Self::Countries => "countries",
            Self::Principals => "principals",
            Self::Versions => "versions",
            Self::Environments => "environments",
            Self::EnvironmentHotfixes => "environmentHotfixes",
            Self::Webhooks => "webhooks",
            Self::TrustedPublishers => "trustedPublishers",
            Self::Rollouts => "rollouts",
            Self::ApprovalPolicy => "approvalPolicy",
        }
    }
}

/// What a permission lets its holder do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Access {
    /// Seeing it.
    Read,
    /// Adding, changing, removing or canceling it.
    Write,
}

/// One thing that a role allows, such as `versions/write`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Permission {
    /// What it is about.
    pub resource: Resource,
    /// What it lets its holder do.
    pub access: Access,
}

impl Permission {
    /// Seeing `resource`.
    #[must_use]
    pub const fn read(resource: Resource) -> Self {
        Self {
            resource,
            access: Access::Read,
        }
    }

    /// Changing `resource`.
    #[must_use]
    pub const fn write(resource: Resource) -> Self {
        Self {
            resource,
            access: Access::Write,
        }
    }

    /// The permission as `getMyPermissions` and `roles` show it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match (self.resource, self.access) {
            (Resource::Apps, Access::Read) => "apps/read",
            (Resource::Apps, Access::Write) => "apps/write",
            (Resource::Countries, Access::Read) => "countries/read",
            (Resource::Countries, Access::Write) => "countries/write",
            (Resource::Principals, Access::Read) => "principals/read",
            (Resource::Principals, Access::Write) => "principals/write",
            (Resource::Versions, Access::Read) => "versions/read",
            (Resource::Versions, Access::Write) => "versions/write",
            (Resource::Environments, Access::Read) => "environments/read",
            (Resource::Environments, Access::Write) => "environments/write",
            (Resource::EnvironmentHotfixes, Access::Read) => "environmentHotfixes/read",
            (Resource::EnvironmentHotfixes, Access::Write) => "environmentHotfixes/write",
            (Resource::Webhooks, Access::Read) => "webhooks/read",
            (Resource::Webhooks, Access::Write) => "webhooks/write",
            (Resource::TrustedPublishers, Access::Read) => "trustedPublishers/read",
            (Resource::TrustedPublishers, Access::Write) => "trustedPublishers/write",
            (Resource::Rollouts, Access::Read) => "rollouts/read",
            (Resource::Rollouts, Access::Write) => "rollouts/write",
            (Resource::ApprovalPolicy, Access::Read) => "approvalPolicy/read",
            (Resource::ApprovalPolicy, Access::Write) => "approvalPolicy/write",
        }
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The weakest role that has `permission`: the one a 403 names.
#[must_use]
pub fn least_role(permission: Permission) -> Role {
    match (permission.access, permission.resource) {
        (_, Resource::Webhooks | Resource::TrustedPublishers) => Role::Owner,
        (Access::Read, _) => Role::Reader,
        (
            Access::Write,
            Resource::Countries | Resource::Versions | Resource::EnvironmentHotfixes | Resource::Rollouts,
        ) => Role::Contributor,
        (
            Access::Write,
            Resource::Apps | Resource::Principals | Resource::Environments | Resource::ApprovalPolicy,
        ) => Role::Owner,
    }
}

/// Everything that `role` allows, by resource in the documented order, reading before writing.
#[must_use]
pub fn permissions_of(role: Role) -> Vec<Permission> {
    permissions_with(Roles::NONE.with(role))
}

/// Everything that `roles` together allow, in the order of [`permissions_of`].
#[must_use]
pub fn permissions_with(roles: Roles) -> Vec<Permission> {
    let mut allowed = Vec::new();
    for &resource in Resource::ALL {
        for permission in [Permission::read(resource), Permission::write(resource)] {
            if permits(roles, permission) {
                allowed.push(permission);
            }
        }
    }
    allowed
}

/// Whether one of `roles` has `permission`. Several roles are a union.
#[must_use]
pub fn permits(roles: Roles, permission: Permission) -> bool {
    let least = least_role(permission);
    roles.iter().any(|role| strength(role) >= strength(least))
}

fn strength(role: Role) -> u8 {
    match role {
        Role::Reader => 1,
        Role::Contributor => 2,
        Role::Owner => 3,
    }
}

/// What is kept about a principal of an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Principal {
    /// A person or a program.
    pub kind: PrincipalKind,
    /// A person's tenant; programs have none.
    pub tenant_id: Option<TenantId>,
    /// What they may do; never empty.
    pub roles: Roles,
    /// Whose tokens a program has its roles with.
    pub token_tenant: TokenTenant,
}

/// What a request says about a principal; what it leaves out is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PrincipalChange {
    /// A person or a program.
    pub kind: Option<PrincipalKind>,
    /// A person's tenant.
    pub tenant_id: Option<TenantId>,
    /// The roles they have from now on, replacing those they had.
    pub roles: Option<Roles>,
    /// Whose tokens a program has them with; only operators say so.
    pub token_tenant: Option<TokenTenant>,
}

/// The principal that a request makes of nothing.
///
/// # Errors
/// `TypeRequired`, `TokenTenantNotAllowed`, and those of [`check_new_principal`].
pub fn new_principal(change: PrincipalChange) -> Result<Principal, RuleError> {
    let Some(kind) = change.kind else {
        let message = "A new principal needs a 'type': User or Application.";
        return Err(RuleError::broken("TypeRequired", message).about("type"));
    };
    let roles = change.roles.unwrap_or_default();
    check_new_principal(kind, change.tenant_id, roles)?;
    check_token_tenant(kind, change)?;
    Ok(Principal {
        kind,
        tenant_id: change.tenant_id,
        roles,
        token_tenant: change.token_tenant.unwrap_or_default(),
    })
}

/// Whether a principal may be added as it is described.
///
/// # Errors
/// `TenantRequired` for a user without tenant, `TenantNotAllowed` for an application with one,
/// `RolesRequired` when there is no role.
pub fn check_new_principal(
    kind: PrincipalKind,
    tenant: Option<TenantId>,
    roles: Roles,
) -> Result<(), RuleError> {
    match (kind, tenant) {
        (PrincipalKind::User, None) => return Err(tenant_required()),
        (PrincipalKind::Application, Some(_)) => return Err(tenant_not_allowed()),
        (PrincipalKind::User, Some(_)) | (PrincipalKind::Application, None) => {}
    }
    check_roles(roles)
}

/// The principal that a request makes of an existing one.
///
/// # Errors
/// Those of [`check_change`], and `TokenTenantNotAllowed`.
pub fn changed_principal(existing: Principal, change: PrincipalChange) -> Result<Principal, RuleError> {
    check_change(existing, change)?;
    check_token_tenant(existing.kind, change)?;
    Ok(Principal {
        roles: change.roles.unwrap_or(existing.roles),
        token_tenant: change.token_tenant.unwrap_or(existing.token_tenant),
        ..existing
    })
}

/// Whether an existing principal may be changed as asked: only its roles ever change.
///
/// # Errors
/// `ReadOnly` for another type or tenant, `TenantNotAllowed` for a tenant given to an application,
/// `RolesRequired` for an empty list of roles.
pub fn check_change(existing: Principal, change: PrincipalChange) -> Result<(), RuleError> {
    if let Some(kind) = change.kind.filter(|&kind| kind != existing.kind) {
        let message = format!(
            "The type of a principal never changes: it is {}, not {kind}.",
            existing.kind
        );
        return Err(RuleError::broken("ReadOnly", message).about("type"));
    }
    match (existing.tenant_id, change.tenant_id) {
        (None, Some(_)) => return Err(tenant_not_allowed()),
        (Some(was), Some(is)) if was != is => {
            let message = format!("The tenant of a principal never changes: it is {was}, not {is}.");
            return Err(RuleError::broken("ReadOnly", message).about("aadTenantId"));
        }
        _ => {}
    }
    change.roles.map_or(Ok(()), check_roles)
}

/// Whether a change of one principal's roles leaves the app without an owner.
///
/// `owners` counts the app's owners before the change, this principal included; `after` is
/// [`Roles::NONE`] when it is removed.
#[must_use]
pub fn would_leave_no_owner(owners: u64, before: Roles, after: Roles) -> bool {
    let loses_ownership = before.contains(Role::Owner) && !after.contains(Role::Owner);
    loses_ownership && owners <= 1
}

/// The rule that an app's last owner is neither removed nor demoted, not even by themselves.
///
/// # Errors
/// `LastOwner`, when [`would_leave_no_owner`].
pub fn check_owner_remains(owners: u64, before: Roles, after: Roles) -> Result<(), RuleError> {
    if !would_leave_no_owner(owners, before, after) {
        return Ok(());
    }
    let message = "This principal is the app's last Owner. Make another principal Owner first.";
    Err(RuleError::broken("LastOwner", message).about("roles"))
}

fn check_roles(roles: Roles) -> Result<(), RuleError> {
    if !roles.is_empty() {
        return Ok(());
    }
    let message = "A principal needs at least one role: Owner, Contributor or Reader.";
    Err(RuleError::broken("RolesRequired", message).about("roles"))
}

fn check_token_tenant(kind: PrincipalKind, change: PrincipalChange) -> Result<(), RuleError> {
    if change.token_tenant.is_none() || kind == PrincipalKind::Application {
        return Ok(());
    }
    let message =
        "Only a principal of type Application has a 'tokenTenant': a User is one of a single tenant.";
    Err(RuleError::broken("TokenTenantNotAllowed", message).about("tokenTenant"))
}

fn tenant_required() -> RuleError {
    let message = "A principal of type User needs 'aadTenantId', the tenant of the user.";
    RuleError::broken("TenantRequired", message).about("aadTenantId")
}

fn tenant_not_allowed() -> RuleError {
    let message = "A principal of type Application must not have 'aadTenantId': its client id is enough.";
    RuleError::broken("TenantNotAllowed", message).about("aadTenantId")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn actions(role: Role) -> Vec<&'static str> {
        permissions_of(role).into_iter().map(Permission::as_str).collect()
    }

    fn reason(result: Result<impl fmt::Debug, RuleError>) -> String {
        result.unwrap_err().details[0].code.clone()
    }

    const OWNER: Roles = Roles::NONE.with(Role::Owner);
    const READER: Roles = Roles::NONE.with(Role::Reader);

    #[test]
    fn readers_read_everything_and_write_nothing() {
        let expected: Vec<_> = Resource::ALL
            .iter()
            .map(|&resource| Permission::read(resource))
            .collect();
        assert_eq!(permissions_of(Role::Reader), expected);
    }

    #[test]
    fn contributors_also_write_countries_versions_and_hotfixes() {
        let writes: Vec<_> = actions(Role::Contributor)
            .into_iter()
            .filter(|a| a.ends_with("write"))
            .collect();
        assert_eq!(
            writes,
            ["countries/write", "versions/write", "environmentHotfixes/write"]
        );
    }

    #[test]
    fn only_owners_write_principals() {
        let principals = Permission::write(Resource::Principals);
        assert!(permits(OWNER, principals));
        assert!(!permits(READER.with(Role::Contributor), principals));
        assert_eq!(least_role(principals), Role::Owner);
        assert_eq!(actions(Role::Owner).len(), 12);
    }

    #[test]
    fn the_shown_action_is_made_of_resource_and_access() {
        for &resource in Resource::ALL {
            assert_eq!(
                Permission::read(resource).to_string(),
                format!("{}/read", resource.as_str())
            );
            assert_eq!(
                Permission::write(resource).to_string(),
                format!("{}/write", resource.as_str())
            );
        }
    }

    #[test]
    fn a_new_principal_needs_type_tenant_and_roles() {
        let tenant = Some(TenantId::random());
        let user = PrincipalChange {
            kind: Some(PrincipalKind::User),
            tenant_id: tenant,
            roles: Some(READER),
            token_tenant: None,
        };
        assert_eq!(new_principal(user).unwrap().roles, READER);
        assert_eq!(
            reason(new_principal(PrincipalChange { kind: None, ..user })),
            "TypeRequired"
        );
        assert_eq!(
            reason(new_principal(PrincipalChange {
                tenant_id: None,
                ..user
            })),
            "TenantRequired"
        );
        assert_eq!(
            reason(new_principal(PrincipalChange { roles: None, ..user })),
            "RolesRequired"
        );
        assert_eq!(
            reason(new_principal(PrincipalChange {
                roles: Some(Roles::NONE),
                ..user
            })),
            "RolesRequired"
        );
        let program = PrincipalChange {
            kind: Some(PrincipalKind::Application),
            ..user
        };
        assert_eq!(reason(new_principal(program)), "TenantNotAllowed");
        assert!(
            new_principal(PrincipalChange {
                tenant_id: None,
                ..program
            })
            .is_ok()
        );
    }

    #[test]
    fn an_existing_principal_changes_its_roles_only() {
        let tenant = TenantId::random();
        let user = Principal {
            kind: PrincipalKind::User,
            tenant_id: Some(tenant),
            roles: READER,
            token_tenant: TokenTenant::Publisher,
        };
        let roles_only = PrincipalChange {
            roles: Some(OWNER),
            ..Default::default()
        };
        assert_eq!(
            changed_principal(user, roles_only).unwrap(),
            Principal { roles: OWNER, ..user }
        );
        let same = PrincipalChange {
            kind: Some(user.kind),
            tenant_id: user.tenant_id,
            ..Default::default()
        };
        assert_eq!(changed_principal(user, same).unwrap(), user);

        let other_kind = PrincipalChange {
            kind: Some(PrincipalKind::Application),
            ..Default::default()
        };
        assert_eq!(reason(changed_principal(user, other_kind)), "ReadOnly");
        let other_tenant = PrincipalChange {
            tenant_id: Some(TenantId::random()),
            ..Default::default()
        };
        assert_eq!(reason(changed_principal(user, other_tenant)), "ReadOnly");
        let program = Principal {
            kind: PrincipalKind::Application,
            tenant_id: None,
            roles: READER,
            token_tenant: TokenTenant::Publisher,
        };
        assert_eq!(
            reason(changed_principal(program, other_tenant)),
            "TenantNotAllowed"
        );
        let no_roles = PrincipalChange {
            roles: Some(Roles::NONE),
            ..Default::default()
        };
        assert_eq!(reason(changed_principal(user, no_roles)), "RolesRequired");
    }

    #[test]
    fn only_a_program_has_tokens_of_several_tenants() {
        let change = PrincipalChange {
            kind: Some(PrincipalKind::Application),
            roles: Some(READER),
            ..Default::default()
        };
        let program = new_principal(change).unwrap();
        assert_eq!(program.token_tenant, TokenTenant::Publisher);
        let any = PrincipalChange {
            token_tenant: Some(TokenTenant::Any),
            ..Default::default()
        };
        let allowed = changed_principal(program, any).unwrap();
        assert_eq!((allowed.token_tenant, allowed.roles), (TokenTenant::Any, READER));
        let others_stay = changed_principal(allowed, PrincipalChange::default());
        assert_eq!(others_stay.unwrap(), allowed);

        let user = Principal {
            kind: PrincipalKind::User,
            tenant_id: Some(TenantId::random()),
            ..program
        };
        assert_eq!(reason(changed_principal(user, any)), "TokenTenantNotAllowed");
        let new_user = PrincipalChange {
            kind: Some(user.kind),
            tenant_id: user.tenant_id,
            token_tenant: Some(TokenTenant::Publisher),
            ..change
        };
        assert_eq!(reason(new_principal(new_user)), "TokenTenantNotAllowed");
    }

    #[test]
    fn the_last_owner_stays() {
        assert_eq!(reason(check_owner_remains(1, OWNER, READER)), "LastOwner");
        assert_eq!(reason(check_owner_remains(1, OWNER, Roles::NONE)), "LastOwner");
        assert!(check_owner_remains(2, OWNER, Roles::NONE).is_ok());
        assert!(check_owner_remains(1, READER, Roles::NONE).is_ok());
        assert!(check_owner_remains(1, OWNER, OWNER.with(Role::Reader)).is_ok());
    }

    proptest! {
        #[test]
        fn several_roles_allow_what_each_allows(bits in 0_i64..8) {
            let roles = Roles::from_bits(bits);
            for &resource in Resource::ALL {
                for permission in [Permission::read(resource), Permission::write(resource)] {
                    let by_one = roles.iter().any(|role| permissions_of(role).contains(&permission));
                    prop_assert_eq!(permits(roles, permission), by_one);
                }
            }
        }

        /// Any series of accepted changes keeps at least one owner.
        #[test]
        fn no_series_of_changes_loses_the_last_owner(changes in prop::collection::vec((0_usize..4,
            0_i64..8), 0..40)) {
            let mut app = [OWNER, READER, Roles::NONE, Roles::NONE];
            for (who, bits) in changes {
                let after = Roles::from_bits(bits);
                let owners = app.iter().filter(|roles| roles.contains(Role::Owner)).count() as u64;
                if check_owner_remains(owners, app[who], after).is_ok() {
                    app[who] = after;
                }
                prop_assert!(app.iter().any(|roles| roles.contains(Role::Owner)));
            }
        }
    }
}
