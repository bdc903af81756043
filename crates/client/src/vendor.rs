//! The vendor API: the operations of the original, and those beside them that only a compatible service has.
//!
//! A country is passed on as it is spelled: which there are is the service's to say.

use crate::{
    Client, EnvironmentPath,
    address::{keyed, with_options},
    error::Result,
    list::List,
    package::StoredPackage,
    request::{Reads, Request},
    upload::Upload,
};
use domain::{
    ids::{AppId, OperationId, PrincipalId, TenantId},
    instant::Instant,
    version::AppVersion,
};
use reqwest::{Method, Url};
use serde_json::Value;
use uuid::Uuid;
use wire::{
    apps::{AllowedAction, App, RolePermissions},
    countries::{Country, CountryPatch},
    environments::Environment,
    freezes::{AppFreeze, AppFreezeBody},
    history::EnvironmentHistory,
    hotfixes::{EnvironmentHotfix, HotfixPatchBody, HotfixRequestBody, PlanRow},
    principals::{Principal, PrincipalPatch},
    publishers::{
        OidcAudience, PublisherExchange, PublisherToken, Token, TrustedPublisher, TrustedPublisherBody,
    },
    service::ServiceDocument,
    tags::{EnvironmentTags, EnvironmentTagsBody, TagsChange, TagsChangeBody},
    versions::{UploadedVersion, Version, VersionPatchBody, VersionWhatIf},
    webhooks::{Webhook, WebhookBody, WebhookDelivery},
};

/// What an operation on one of several environments of the same name names besides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Narrowing {
    /// The customer's tenant.
    pub aad_tenant_id: Option<TenantId>,
    /// The application family.
    pub application_family: Option<String>,
}

impl Narrowing {
    fn options(&self) -> [(&'static str, Option<String>); 2] {
        let tenant = self.aad_tenant_id.map(|tenant| tenant.to_string());
        [
            ("aadTenantId", tenant),
            ("applicationFamily", self.application_family.clone()),
        ]
    }
}

/// What can be asked of a rollout. Each may be asked again without harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RolloutVerb {
    /// Somebody else lets it begin.
    Approve,
    /// Somebody else refuses it.
    Reject,
    /// Nothing of it begins or starts any more, until it is resumed.
    Pause,
    /// It goes on.
    Resume,
    /// The way from a wave to the next is opened.
    Advance,
    /// It is given up.
    Abort,
    /// Environments are taken anew.
    Retry,
}

impl RolloutVerb {
    fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Reject => "reject",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Advance => "advance",
            Self::Abort => "abort",
            Self::Retry => "retry",
        }
    }
}

impl Client {
    pub(crate) fn in_app(&self, app: AppId, segments: &[&str]) -> Url {
        self.vendor(&[&["apps", &app.to_string()], segments].concat())
    }

    fn in_country(&self, app: AppId, country: &str, segments: &[&str]) -> Url {
        self.in_app(app, &[&["countries", country], segments].concat())
    }

    fn webhook(&self, app: AppId, id: Uuid, segments: &[&str]) -> Url {
        self.in_app(app, &[&["webhooks", &id.to_string()], segments].concat())
    }

    fn request<T>(&self, method: Method, url: Url) -> Request<T> {
        Request::new(self, method, url)
    }

    fn counted(&self, url: Url, filter: Option<&str>) -> Request<u64> {
        let filter = ("$filter", filter.map(str::to_owned));
        self.request(Method::GET, with_options(url, &[filter]))
            .reads(Reads::Text)
    }

    /// Whether the service runs.
    pub fn get_live(&self) -> Request<Value> {
        self.request(Method::GET, self.0.settings.url.below(&["health", "live"]))
    }

    /// Whether the service can do its work.
    pub fn get_ready(&self) -> Request<Value> {
        self.request(Method::GET, self.0.settings.url.below(&["health", "ready"]))
    }

    /// Where a generic OData client starts.
    pub fn get_service_document(&self) -> Request<ServiceDocument> {
        self.request(Method::GET, self.vendor(&[]))
    }

    /// The description of all entities: CSDL in XML.
    ///
    /// # Errors
    /// Those of [`Request::send`].
    pub async fn get_metadata(&self) -> Result<String> {
        self.text(self.vendor(&["$metadata"])).await
    }

    /// The webhooks of an app.
    pub fn list_webhooks(&self, app: AppId) -> List<Webhook> {
        List::new(self, self.in_app(app, &["webhooks"]))
    }

    /// A webhook of an app.
    pub fn get_webhook(&self, app: AppId, id: Uuid) -> Request<Webhook> {
        self.request(Method::GET, self.webhook(app, id, &[]))
    }

    /// Makes a webhook of an app, or changes one. Of a new one the answer has the secret, which is shown in no other.
    pub fn put_webhook(&self, app: AppId, id: Uuid, webhook: &WebhookBody) -> Request<Webhook> {
        self.request(Method::PUT, self.webhook(app, id, &[]))
            .with_body(webhook)
    }

    /// Removes a webhook of an app.
    pub fn delete_webhook(&self, app: AppId, id: Uuid) -> Request<()> {
        self.request(Method::DELETE, self.webhook(app, id, &[]))
    }

    /// Gives a webhook of an app another secret, which the answer has and no other.
    pub fn rotate_webhook(&self, app: AppId, id: Uuid) -> Request<Webhook> {
        self.request(Method::POST, self.webhook(app, id, &["rotate"]))
    }

    /// Sends a webhook of an app something that says no more than that it arrives.
    pub fn test_webhook(&self, app: AppId, id: Uuid) -> Request<WebhookDelivery> {
        self.request(Method::POST, self.webhook(app, id, &["test"]))
    }

    /// What a webhook of an app was told.
    pub fn list_webhook_deliveries(&self, app: AppId, id: Uuid) -> List<WebhookDelivery> {
        List::new(self, self.webhook(app, id, &["deliveries"]))
    }

    /// Sends a webhook of an app once more what it was told.
    pub fn replay_webhook_delivery(&self, app: AppId, id: Uuid, event: Uuid) -> Request<WebhookDelivery> {
        let url = self.webhook(app, id, &["deliveries", &event.to_string(), "replay"]);
        self.request(Method::POST, url)
    }

    fn trusted_publisher(&self, app: AppId, id: Uuid) -> Url {
        self.in_app(app, &["trustedPublishers", &id.to_string()])
    }

    /// The runs of pipelines that may act for an app.
    pub fn list_trusted_publishers(&self, app: AppId) -> List<TrustedPublisher> {
        List::new(self, self.in_app(app, &["trustedPublishers"]))
    }

    /// A trusted publisher of an app.
    pub fn get_trusted_publisher(&self, app: AppId, id: Uuid) -> Request<TrustedPublisher> {
        self.request(Method::GET, self.trusted_publisher(app, id))
    }

    /// Trusts a publisher, or changes what is said of one.
    pub fn put_trusted_publisher(
        &self,
        app: AppId,
        id: Uuid,
        publisher: &TrustedPublisherBody,
    ) -> Request<TrustedPublisher> {
        self.request(Method::PUT, self.trusted_publisher(app, id))
            .with_body(publisher)
    }

    /// Trusts a publisher no more.
    pub fn delete_trusted_publisher(&self, app: AppId, id: Uuid) -> Request<()> {
        self.request(Method::DELETE, self.trusted_publisher(app, id))
    }

    /// The tokens that open an app and have not ended.
    pub fn list_tokens(&self, app: AppId) -> List<Token> {
        List::new(self, self.in_app(app, &["tokens"]))
    }

    /// Ends a token of an app before its time.
    pub fn revoke_token(&self, app: AppId, id: Uuid) -> Request<()> {
        self.request(Method::DELETE, self.in_app(app, &["tokens", &id.to_string()]))
    }

    fn app_freeze(&self, app: AppId, id: Uuid) -> Url {
        self.in_app(app, &["freezes", &id.to_string()])
    }

    /// When nothing of an app starts.
    pub fn list_app_freezes(&self, app: AppId) -> List<AppFreeze> {
        List::new(self, self.in_app(app, &["freezes"]))
    }

    /// A freeze of an app.
    pub fn get_app_freeze(&self, app: AppId, id: Uuid) -> Request<AppFreeze> {
        self.request(Method::GET, self.app_freeze(app, id))
    }

    /// Declares a freeze of an app, or changes one.
    pub fn put_app_freeze(&self, app: AppId, id: Uuid, freeze: &AppFreezeBody) -> Request<AppFreeze> {
        self.request(Method::PUT, self.app_freeze(app, id))
            .with_body(freeze)
    }

    /// Removes a freeze of an app.
    pub fn delete_app_freeze(&self, app: AppId, id: Uuid) -> Request<()> {
        self.request(Method::DELETE, self.app_freeze(app, id))
    }

    fn tags(&self, app: AppId, environment: EnvironmentPath<'_>) -> Url {
        let tenant = environment.aad_tenant_id.to_string();
        let EnvironmentPath {
            application_family,
            name,
            ..
        } = environment;
        self.in_app(app, &["environments", &tenant, application_family, name, "tags"])
    }

    /// The vendor's own words on an environment.
    pub fn get_tags(&self, app: AppId, environment: EnvironmentPath<'_>) -> Request<EnvironmentTags> {
        self.request(Method::GET, self.tags(app, environment))
    }

    /// Puts words on an environment in place of those that it has.
    pub fn put_tags(
        &self,
        app: AppId,
        environment: EnvironmentPath<'_>,
        tags: &EnvironmentTagsBody,
    ) -> Request<EnvironmentTags> {
        self.request(Method::PUT, self.tags(app, environment))
            .with_body(tags)
    }

    /// Puts words on all environments that a filter holds for, and takes others from them.
    pub fn change_tags(&self, app: AppId, change: &TagsChangeBody) -> Request<TagsChange> {
        self.request(Method::POST, self.in_app(app, &["environments", "tags"]))
            .with_body(change)
    }

    fn rollout(&self, app: AppId, id: Uuid, segments: &[&str]) -> Url {
        self.in_app(app, &[&["rollouts", &id.to_string()], segments].concat())
    }

    /// What a rollout of this definition would come to; nothing is changed by asking.
    pub fn plan_rollout(&self, app: AppId, definition: &Value) -> Request<Value> {
        self.request(Method::POST, self.in_app(app, &["rollouts", "plan"]))
            .with_body(definition)
            .repeatable()
    }

    /// Makes a rollout of a definition, beside which may stand the `fingerprint` of its plan, and how far the plan may have
    /// changed since (`drift`). It is repeated only with a [`Request::idempotency_key`].
    pub fn create_rollout(&self, app: AppId, definition: &Value) -> Request<Value> {
        self.request(Method::POST, self.in_app(app, &["rollouts"]))
            .with_body(definition)
    }

    /// The rollouts of an app.
    pub fn list_rollouts(&self, app: AppId) -> List<Value> {
        List::new(self, self.in_app(app, &["rollouts"]))
    }

    /// How many rollouts there are for which `filter` holds.
    pub fn count_rollouts(&self, app: AppId, filter: Option<&str>) -> Request<u64> {
        self.counted(self.in_app(app, &["rollouts", "$count"]), filter)
    }

    /// Which rollouts of an app somebody else has to approve.
    pub fn get_approval_policy(&self, app: AppId) -> Request<Value> {
        self.request(Method::GET, self.in_app(app, &["approvalPolicy"]))
    }

    /// Says which rollouts of an app somebody else has to approve.
    pub fn put_approval_policy(&self, app: AppId, policy: &Value) -> Request<Value> {
        self.request(Method::PUT, self.in_app(app, &["approvalPolicy"]))
            .with_body(policy)
    }

    /// A rollout.
    pub fn get_rollout(&self, app: AppId, id: Uuid) -> Request<Value> {
        self.request(Method::GET, self.rollout(app, id, &[]))
    }

    /// The environments of a rollout, and where each of them is.
    pub fn list_rollout_environments(&self, app: AppId, id: Uuid) -> List<Value> {
        List::new(self, self.rollout(app, id, &["environments"]))
    }

    /// Asks something of a rollout; `body` has what goes with the verb, if anything does.
    pub fn change_rollout(&self, app: AppId, id: Uuid, verb: RolloutVerb, body: &Value) -> Request<Value> {
        self.request(Method::POST, self.rollout(app, id, &[verb.as_str()]))
            .with_body(body)
            .repeatable()
    }

    fn oidc(&self, segment: &str) -> Url {
        self.0.settings.url.below(&["oidc", segment])
    }

    /// What a pipeline's own token has to be meant for to be exchanged. Nobody needs to have signed in.
    pub fn get_oidc_audience(&self) -> Request<OidcAudience> {
        self.request(Method::GET, self.oidc("audience"))
    }

    /// Exchanges a pipeline's own token for one of the service's. It is good once, so this is never repeated. Nobody needs to
    /// have signed in.
    pub fn exchange_oidc_token(&self, exchange: &PublisherExchange) -> Request<PublisherToken> {
        self.request(Method::POST, self.oidc("exchange"))
            .with_body(exchange)
    }

    /// Ends the token that the client signs in with, which is that of a pipeline's run.
    pub fn end_oidc_token(&self) -> Request<()> {
        self.request(Method::DELETE, self.oidc("token"))
    }

    /// The text at an address.
    pub(crate) async fn text(&self, url: Url) -> Result<String> {
        self.request::<()>(Method::GET, url).text().await
    }

    /// The apps on which the caller has a role.
    pub fn list_apps(&self) -> List<App> {
        List::new(self, self.vendor(&["apps"]))
    }

    /// How many apps there are for which `filter` holds.
    pub fn count_apps(&self, filter: Option<&str>) -> Request<u64> {
        self.counted(self.vendor(&["apps", "$count"]), filter)
    }

    /// An app.
    pub fn get_app(&self, app: AppId) -> Request<App> {
        self.request(Method::GET, self.in_app(app, &[]))
    }

    /// What the caller may do with an app.
    pub fn get_my_permissions(&self, app: AppId) -> List<AllowedAction> {
        List::posted(self, self.in_app(app, &["getMyPermissions"]))
    }

    /// The roles there are on an app, and what each allows.
    pub fn list_roles(&self, app: AppId) -> List<RolePermissions> {
        List::new(self, self.in_app(app, &["roles"]))
    }

    /// The countries that an app is available in.
    pub fn list_countries(&self, app: AppId) -> List<Country> {
        List::new(self, self.in_app(app, &["countries"]))
    }

    /// How many countries of an app there are for which `filter` holds.
    pub fn count_countries(&self, app: AppId, filter: Option<&str>) -> Request<u64> {
        self.counted(self.in_app(app, &["countries", "$count"]), filter)
    }

    /// A country of an app.
    pub fn get_country(&self, app: AppId, country: &str) -> Request<Country> {
        self.request(Method::GET, self.in_country(app, country, &[]))
    }

    /// Makes an app available in a country; where it is already, nothing changes.
    pub fn patch_country(&self, app: AppId, country: &str) -> Request<Country> {
        let body = CountryPatch {
            country_code: Some(country.to_owned()),
        };
        self.request(Method::PATCH, self.in_country(app, country, &[]))
            .with_body(&body)
    }

    /// Who has roles on an app.
    pub fn list_principals(&self, app: AppId) -> List<Principal> {
        List::new(self, self.in_app(app, &["principals"]))
    }

    /// How many principals of an app there are for which `filter` holds.
    pub fn count_principals(&self, app: AppId, filter: Option<&str>) -> Request<u64> {
        self.counted(self.in_app(app, &["principals", "$count"]), filter)
    }

    /// A principal.
    pub fn get_principal(&self, app: AppId, id: PrincipalId) -> Request<Principal> {
        self.request(Method::GET, self.in_app(app, &["principals", &id.to_string()]))
    }

    /// Adds a principal, or changes the roles of one.
    pub fn patch_principal(
        &self,
        app: AppId,
        id: PrincipalId,
        change: &PrincipalPatch,
    ) -> Request<Principal> {
        self.request(Method::PATCH, self.in_app(app, &["principals", &id.to_string()]))
            .with_body(change)
    }

    /// Takes all roles from a principal.
    pub fn delete_principal(&self, app: AppId, id: PrincipalId) -> Request<()> {
        self.request(Method::DELETE, self.in_app(app, &["principals", &id.to_string()]))
    }

    /// The versions that were uploaded for a country.
    pub fn list_versions(&self, app: AppId, country: &str) -> List<Version> {
        List::new(self, self.in_country(app, country, &["versions"]))
    }

    /// The versions of all countries, with what tells their packages from each other. Only a compatible service has this list.
    pub fn list_uploaded_versions(&self, app: AppId) -> List<UploadedVersion> {
        List::new(self, self.in_app(app, &["versions"]))
    }

    /// How many versions there are for which `filter` holds.
    pub fn count_versions(&self, app: AppId, country: &str, filter: Option<&str>) -> Request<u64> {
        self.counted(self.in_country(app, country, &["versions", "$count"]), filter)
    }

    /// A version.
    pub fn get_version(&self, app: AppId, country: &str, version: AppVersion) -> Request<Version> {
        self.request(Method::GET, self.version(app, country, version, &[]))
    }

    fn version(&self, app: AppId, country: &str, version: AppVersion, segments: &[&str]) -> Url {
        self.in_country(
            app,
            country,
            &[&["versions", &version.to_string()], segments].concat(),
        )
    }

    /// Uploads a package.
    pub fn upload_version(&self, app: AppId, country: &str, upload: Upload) -> Request<Version> {
        self.request(Method::POST, self.in_country(app, country, &["versions"]))
            .upload(upload)
    }

    /// Changes to whom a version is offered, or what it is known not to work with.
    pub fn patch_version(
        &self,
        app: AppId,
        country: &str,
        version: AppVersion,
        change: &VersionPatchBody,
    ) -> Request<Version> {
        self.request(Method::PATCH, self.version(app, country, version, &[]))
            .with_body(change)
    }

    /// What such a change would hit. Nothing is changed.
    pub fn what_if_version(
        &self,
        app: AppId,
        country: &str,
        version: AppVersion,
        change: &VersionPatchBody,
    ) -> Request<VersionWhatIf> {
        self.request(Method::POST, self.version(app, country, version, &["whatIf"]))
            .with_body(change)
            .repeatable()
    }

    /// The package of a version.
    #[must_use]
    pub fn get_package_contents(&self, app: AppId, country: &str, version: AppVersion) -> StoredPackage {
        StoredPackage::new(self, self.version(app, country, version, &["getPackageContents"]))
    }

    /// The customers' environments that have an app installed.
    pub fn list_environments(&self, app: AppId, country: &str) -> List<Environment> {
        List::new(self, self.in_country(app, country, &["environments"]))
    }

    /// How many environments there are for which `filter` holds.
    pub fn count_environments(&self, app: AppId, country: &str, filter: Option<&str>) -> Request<u64> {
        self.counted(self.in_country(app, country, &["environments", "$count"]), filter)
    }

    /// What was done with an app in an environment.
    pub fn list_environment_history(
        &self,
        app: AppId,
        country: &str,
        name: &str,
        narrowing: &Narrowing,
    ) -> List<EnvironmentHistory> {
        let list = List::new(self, self.environment(app, country, name, &["history"]));
        let options = narrowing.options().into_iter();
        options.fold(list, |list, (name, value)| match value {
            Some(value) => list.option(name, value),
            None => list,
        })
    }

    fn environment(&self, app: AppId, country: &str, name: &str, segments: &[&str]) -> Url {
        let keyed = keyed("environments", name);
        let named: &[&str] = match name.starts_with(['$', '(']) {
            // Where a literal or OData's key could be, such as `$count`.
            true => &[&keyed],
            false => &["environments", name],
        };
        self.in_country(app, country, &[named, segments].concat())
    }

    /// An environment by its name, and by `narrowing` where several have it.
    pub fn get_environment(
        &self,
        app: AppId,
        country: &str,
        name: &str,
        narrowing: &Narrowing,
    ) -> Request<Environment> {
        let url = self.environment(app, country, name, &[]);
        self.request(Method::GET, with_options(url, &narrowing.options()))
    }

    /// The hotfixes of an app in a country.
    pub fn list_hotfixes(&self, app: AppId, country: &str) -> List<EnvironmentHotfix> {
        List::new(self, self.hotfixes(app, country, &[]))
    }

    fn hotfixes(&self, app: AppId, country: &str, segments: &[&str]) -> Url {
        self.in_country(app, country, &[&["environmentHotfixes"], segments].concat())
    }

    /// How many hotfixes there are for which `filter` holds.
    pub fn count_hotfixes(&self, app: AppId, country: &str, filter: Option<&str>) -> Request<u64> {
        self.counted(self.hotfixes(app, country, &["$count"]), filter)
    }

    /// What a hotfix to `target` would come to in each environment; nothing is changed by asking.
    pub fn plan_hotfixes(&self, app: AppId, country: &str, target: AppVersion) -> List<PlanRow> {
        List::new(self, self.hotfixes(app, country, &["plan"])).option("targetAppVersion", target.to_string())
    }

    /// A hotfix.
    pub fn get_hotfix(&self, app: AppId, country: &str, id: OperationId) -> Request<EnvironmentHotfix> {
        self.request(Method::GET, self.hotfixes(app, country, &[&id.to_string()]))
    }

    /// Schedules a hotfix. It is repeated only with a [`Request::idempotency_key`].
    pub fn schedule_hotfix(
        &self,
        app: AppId,
        country: &str,
        hotfix: &HotfixRequestBody,
    ) -> Request<EnvironmentHotfix> {
        self.request(Method::POST, self.hotfixes(app, country, &[]))
            .with_body(hotfix)
    }

    /// Cancels a hotfix that has not started, which is all that can be changed of one.
    pub fn update_hotfix(&self, app: AppId, country: &str, id: OperationId) -> Request<EnvironmentHotfix> {
        let body = HotfixPatchBody {
            status: "Canceled".to_owned(),
        };
        self.request(Method::PATCH, self.hotfixes(app, country, &[&id.to_string()]))
            .with_body(&body)
    }
}

impl List<PlanRow> {
    /// The plan of hotfixes that start no earlier than `at`.
    pub fn run_after(self, at: Instant) -> Self {
        self.option("runAfter", at.to_string())
    }

    /// The plan of hotfixes that do not wait for update windows.
    pub fn ignoring_windows(self) -> Self {
        self.option("ignoreUpgradeWindow", "true".to_owned())
    }
}
