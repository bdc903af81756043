//! Apps as their operator registers and sees them.

use super::{required_text, some_text};
use crate::{
    entity::{Entity, entity},
    lenient::{self, Object},
    principals::change_of,
};
use domain::{
    access::{Principal, PrincipalChange, new_principal},
    ids::{AppId, Etag, PrincipalId, TenantId},
    instant::Instant,
    principal::{PrincipalKind, Role, Roles, TokenTenant},
    problem::RuleError,
    signer::SignerRule,
};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

entity! {
    /// An app as its operator sees it.
    RegisteredApp "registeredApp" keyed by ["id"] tagged by etag {
        /// The id of the app.
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
        /// Where packages uploaded from now on are kept.
        #[serde(default)]
        #[schema(required = true)]
        storage_location "storageLocation": String,
        /// The name that the highest uploaded version has.
        #[serde(default)]
        name "name": Option<String>,
        /// When it was registered.
        #[serde(default)]
        #[schema(value_type = Option<String>, format = DateTime)]
        created_on "createdOn": Option<Instant>,
        /// Who must have signed its packages: `none`, nobody; `signed`, anybody; `pinned:` and the SHA-256 of public keys in
        /// hexadecimal digits, with commas between, somebody with one of these keys.
        #[serde(default)]
        #[schema(required = true, example = "signed")]
        signer_rule "signerRule": String,
        /// Its owners.
        #[serde(default)]
        #[schema(required = true)]
        owners "owners": Vec<Owner>,
        /// A value unique to the app's current state.
        #[schema(value_type = uuid::Uuid)]
        etag "_etag": Etag,
    }
}

entity! {
    /// An owner of an app.
    Owner "owner" keyed by ["id"] {
        /// A user or an application.
        #[schema(value_type = crate::words::PrincipalKind)]
        kind "type": PrincipalKind,
        /// A user's object id, or an application's client id.
        #[schema(value_type = uuid::Uuid)]
        id "id": PrincipalId,
        /// A user's tenant.
        #[serde(default)]
        #[schema(value_type = Option<uuid::Uuid>)]
        aad_tenant_id "aadTenantId": Option<TenantId>,
    }
}

/// A request to register an app or to change it, as a client sends it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppRegistrationBody {
    /// The publisher's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publisher: Option<String>,
    /// The Microsoft Entra tenant of the publisher's organisation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publisher_aad_tenant_id: Option<Uuid>,
    /// The publisher's contact e-mail address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publisher_contact_email: Option<String>,
    /// Where packages are kept; one of the service's configured locations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_location: Option<String>,
    /// Who must have signed its packages: `none`, which it is at first, `signed`, or `pinned:` and the SHA-256 of public keys
    /// in hexadecimal digits, with commas between. It stays as it is where nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signer_rule: Option<String>,
    /// Who owns the app at first; needed to register one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<OwnerBody>,
}

/// The first owner of an app, as a client sends it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OwnerBody {
    /// `User` or `Application`.
    #[serde(rename = "type")]
    #[schema(value_type = crate::words::PrincipalKind)]
    pub kind: String,
    /// A user's object id, or an application's client id.
    pub id: Uuid,
    /// A user's tenant; must not be given for an application.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aad_tenant_id: Option<Uuid>,
}

/// A request to register an app, or to replace what is known of it, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppRegistration {
    /// The publisher's name.
    pub publisher: String,
    /// The publisher's tenant.
    pub publisher_tenant_id: TenantId,
    /// The publisher's contact e-mail address.
    pub publisher_contact_email: String,
    /// Where packages are kept.
    pub storage_location: String,
    /// Who must have signed its packages, if anything is said.
    pub signer_rule: Option<SignerRule>,
    /// Who is to be an owner. Whether there has to be one depends on whether the app exists.
    pub owner: Option<(PrincipalId, Principal)>,
    /// All that was said.
    pub given: Object,
}

impl AppRegistration {
    /// Reads a request body about `app`.
    ///
    /// # Errors
    /// `RequestBodyRequired`, `InvalidInput` for missing, malformed and unknown values and for the id of another app, or
    /// those of the rules for new principals.
    pub fn read(body: &[u8], app: AppId) -> Result<Self, RuleError> {
        let object = lenient::object(body)?;
        object.only(&[RegisteredApp::PROPERTIES, &["owner"]].concat())?;
        object.is_about("app", "id", &app)?;
        let tenant = "publisherAadTenantId";
        Ok(Self {
            publisher: required_text(&object, "publisher")?,
            publisher_tenant_id: object.parsed(tenant)?.ok_or_else(|| object.required(tenant))?,
            publisher_contact_email: required_text(&object, "publisherContactEmail")?,
            storage_location: required_text(&object, "storageLocation")?,
            signer_rule: object.parsed("signerRule")?,
            owner: object.object("owner")?.as_ref().map(read_owner).transpose()?,
            given: object,
        })
    }
}

impl RegisteredApp {
    /// Whether everything else that a request says is what the app is anyway.
    ///
    /// # Errors
    /// `EntityValidationFailed` with `ReadOnly`, naming the property.
    pub fn check_read_only(&self, given: &Object) -> Result<(), RuleError> {
        let writable = [
            "publisher",
            "publisherAadTenantId",
            "publisherContactEmail",
            "storageLocation",
            "signerRule",
        ];
        given.check_read_only(self, &writable)
    }
}

fn read_owner(owner: &Object) -> Result<(PrincipalId, Principal), RuleError> {
    owner.only(Owner::PROPERTIES)?;
    let id = owner.parsed("id")?.ok_or_else(|| owner.required("id"))?;
    let change = PrincipalChange {
        kind: owner.parsed("type")?,
        tenant_id: owner.parsed("aadTenantId")?,
        roles: Some(Roles::NONE.with(Role::Owner)),
        token_tenant: None,
    };
    Ok((id, new_principal(change)?))
}

entity! {
    /// A principal of an app as the operator sees it.
    RegisteredPrincipal "registeredPrincipal" keyed by ["id"] tagged by etag {
        /// A user's object id, or an application's client id.
        #[schema(value_type = uuid::Uuid)]
        id "id": PrincipalId,
        /// What kind of identity it is.
        #[schema(value_type = crate::words::PrincipalKind)]
        kind "type": PrincipalKind,
        /// A user's tenant.
        #[serde(default)]
        #[schema(value_type = Option<uuid::Uuid>)]
        aad_tenant_id "aadTenantId": Option<TenantId>,
        /// The roles it has: Owner, Contributor, Reader.
        #[schema(value_type = Vec<crate::words::Role>)]
        roles "roles": Roles,
        /// Where the service trusts several tenants, whose tokens an application has its roles with: `publisher`, those of
        /// the app's publisher; the id of a tenant, those of that one as well; or `any`.
        #[serde(default)]
        token_tenant "tokenTenant": Option<String>,
        /// A value unique to the principal's current state.
        #[schema(value_type = uuid::Uuid)]
        etag "_etag": Etag,
    }
}

/// A request of an operator to add a principal or to change one, as a client sends it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PrincipalRegistrationBody {
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
    /// Whose tokens an application has them with: `publisher`, which it is at first, the id of another tenant besides the
    /// publisher's, or `any`. It matters where the service trusts several tenants.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_tenant: Option<String>,
}

impl PrincipalRegistrationBody {
    /// Reads a request body about the principal `id`.
    ///
    /// # Errors
    /// `RequestBodyRequired`, or `InvalidInput` for malformed values and for the id of another principal.
    pub fn read(body: &[u8], id: PrincipalId) -> Result<PrincipalChange, RuleError> {
        let object = lenient::object(body)?;
        object.only(RegisteredPrincipal::PROPERTIES)?;
        Ok(PrincipalChange {
            token_tenant: object.parsed::<TokenTenant>("tokenTenant")?,
            ..change_of(&object, id)?
        })
    }
}

/// A request to change some of what is known of an app, understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppPatch {
    /// The publisher's name.
    pub publisher: Option<String>,
    /// The publisher's tenant.
    pub publisher_tenant_id: Option<TenantId>,
    /// The publisher's contact e-mail address.
    pub publisher_contact_email: Option<String>,
    /// Where packages uploaded from now on are kept.
    pub storage_location: Option<String>,
    /// Who must have signed its packages.
    pub signer_rule: Option<SignerRule>,
    /// All that was said.
    pub given: Object,
}

impl AppPatch {
    /// Reads a request body about `app`.
    ///
    /// # Errors
    /// `RequestBodyRequired`, or `InvalidInput` for malformed, empty and unknown values and for the id of another app.
    pub fn read(body: &[u8], app: AppId) -> Result<Self, RuleError> {
        let object = lenient::object(body)?;
        object.only(RegisteredApp::PROPERTIES)?;
        object.is_about("app", "id", &app)?;
        Ok(Self {
            publisher: some_text(&object, "publisher")?,
            publisher_tenant_id: object.parsed("publisherAadTenantId")?,
            publisher_contact_email: some_text(&object, "publisherContactEmail")?,
            storage_location: some_text(&object, "storageLocation")?,
            signer_rule: object.parsed("signerRule")?,
            given: object,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_is_read_with_its_first_owner() {
        let body = r#"{
            "publisher": "Contoso", "publisherAadTenantId": "aaaabbbb-0000-cccc-1111-dddd2222eeee",
            "publisherContactEmail": "publisher@contoso.com", "storageLocation": "West Europe",
            "owner": {"type": "Application", "id": "cccccccc-dddd-eeee-3333-444444444444"}
        }"#;
        let app = AppId(Uuid::from_u128(1));
        let read = AppRegistration::read(body.as_bytes(), app).unwrap();
        let (_, owner) = read.owner.unwrap();
        assert_eq!(
            (owner.kind, owner.roles),
            (PrincipalKind::Application, Roles::NONE.with(Role::Owner))
        );
        let with_tenant = body.replace(
            "\"id\": \"c",
            "\"aadTenantId\": \"cccccccc-dddd-eeee-3333-444444444444\", \"id\": \"c",
        );
        let refused = AppRegistration::read(with_tenant.as_bytes(), app).unwrap_err();
        assert_eq!(refused.details[0].code, "TenantNotAllowed");
        assert!(AppRegistration::read(body.replace("Contoso", "").as_bytes(), app).is_err());
        let misspelt = body.replace("\"type\"", "\"typ\"");
        let refused = AppRegistration::read(misspelt.as_bytes(), app).unwrap_err();
        assert_eq!(refused.target.as_deref(), Some("owner.typ"));
    }

    #[test]
    fn a_change_of_an_app_says_only_what_changes() {
        let app = AppId(Uuid::from_u128(1));
        let patch = AppPatch::read(br#"{"storageLocation":"North Europe"}"#, app).unwrap();
        assert_eq!(
            patch,
            AppPatch {
                storage_location: Some("North Europe".into()),
                given: patch.given.clone(),
                ..AppPatch::default()
            }
        );
        for wrong in [
            r#"{"publisher":" "}"#,
            r#"{"storageLocaton":"x"}"#,
            r#"{"owner":{}}"#,
            r#"{"id":"00000000-0000-0000-0000-000000000002"}"#,
        ] {
            assert!(AppPatch::read(wrong.as_bytes(), app).is_err(), "{wrong}");
        }
    }

    #[test]
    fn texts_have_an_end() {
        let app = AppId(Uuid::from_u128(1));
        for (text, is_taken) in [
            ("é".repeat(250), true),
            ("é".repeat(251), false),
            ("c".repeat(5_000), false),
            ("Contoso\u{202E}".to_owned(), false),
        ] {
            for name in ["publisher", "publisherContactEmail", "storageLocation"] {
                let body = serde_json::json!({ name: text }).to_string();
                match AppPatch::read(body.as_bytes(), app) {
                    Ok(_) => assert!(is_taken, "{text}"),
                    Err(refused) => assert!(
                        !is_taken && refused.target.as_deref() == Some(name),
                        "{refused:?}"
                    ),
                }
            }
        }
    }
}
