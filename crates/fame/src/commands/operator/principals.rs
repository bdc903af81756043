//! `fame operator principals`: roles on any app, and whose tokens an application has them with.

use crate::{args::IfMatch, failure::Failure, session::Session};
use clap::{Args, Subcommand};
use domain::{
    ids::{AppId, PrincipalId, TenantId},
    principal::{PrincipalKind, Role, TokenTenant},
};
use wire::operator::PrincipalRegistrationBody;

/// `fame operator principals …`
#[derive(Subcommand, Debug)]
pub(crate) enum PrincipalsCommand {
    /// Add a principal to an app, or change the roles of one and whose tokens it has them with
    Set(SetPrincipal),
}

/// `fame operator principals set`
#[derive(Args, Debug)]
#[group(id = "change", required = true, multiple = true, args = ["roles", "token_tenant"])]
pub(crate) struct SetPrincipal {
    /// The app
    app: AppId,
    /// A user's object id, or an application's client id
    principal: PrincipalId,
    /// User or Application; needed for a new principal
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<PrincipalKind>,
    /// Owner, Contributor or Reader; repeat it for several. These are all roles that the principal then has; needed for a
    /// new one
    #[arg(long = "role", value_name = "ROLE", value_delimiter = ',')]
    roles: Vec<Role>,
    /// The user's Microsoft Entra tenant; needed for a new user
    #[arg(long, value_name = "ID")]
    aad_tenant_id: Option<TenantId>,
    /// With whose tokens an application has its roles, where several tenants are trusted: publisher, which it is at first,
    /// the id of another tenant besides, or any
    #[arg(long, value_name = "WHOSE")]
    token_tenant: Option<TokenTenant>,
    #[command(flatten)]
    condition: IfMatch,
}

impl PrincipalsCommand {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let Self::Set(set) = self;
        let request = session.client.put_principal(set.app, set.principal, &set.body());
        session
            .print_one(request.if_match(set.condition.if_match.as_deref()))
            .await
    }
}

impl SetPrincipal {
    fn body(&self) -> PrincipalRegistrationBody {
        let roles: Vec<_> = self.roles.iter().map(ToString::to_string).collect();
        PrincipalRegistrationBody {
            aad_tenant_id: self.aad_tenant_id.map(|tenant| tenant.0),
            kind: self.kind.map(|kind| kind.to_string()),
            roles: Some(roles).filter(|roles| !roles.is_empty()),
            token_tenant: self.token_tenant.map(|tenant| tenant.to_string()),
        }
    }
}
