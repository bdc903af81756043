//! Trusted publishing: a pipeline's issuer, what a run of it shows, and the record that it fits.

use super::{APP, Answer, Caller, Harness, Plan, Request, issuer_url, mint};
use entra_local::TokenRequest;
use serde_json::{Value, json};
use test_support::issuer;
use uuid::Uuid;

/// How the service calls itself where pipelines publish: what their tokens are meant for.
pub(crate) const PUBLIC_URL: &str = "https://apps.contoso.com";

/// The issuer of pipelines, which every service has enabled.
pub(super) fn issuers() -> Value {
    json!([{ "provider": "github", "issuer": issuer::pipeline_issuer() }])
}

impl Plan {
    /// Says how the service is reached.
    pub(crate) fn publishing(self) -> Self {
        self.setting("server.public_url", PUBLIC_URL)
    }

    /// The same, with a tenant's v2.0 issuer that stands for one of Azure DevOps, and no other.
    pub(crate) fn publishing_from_azure_devops(self, tenant: Uuid) -> Self {
        let issuer = format!("{}/{tenant}/v2.0", issuer_url());
        let publishers = json!([{ "provider": "azure_devops", "issuer": issuer }]);
        self.publishing().setting("identity.publishers", publishers)
    }
}

/// A push to `main` of `contoso/sales-pack`, under a `jti` of its own.
pub(crate) fn run() -> TokenRequest {
    issuer::pipeline_run(PUBLIC_URL)
}

/// The same, meant for a service that is called so.
pub(crate) fn run_for(audience: &str) -> TokenRequest {
    issuer::pipeline_run(audience)
}

/// The record that it fits, with ids.
pub(crate) fn publisher() -> Value {
    json!({
        "provider": "GitHub",
        "repository": "contoso/sales-pack",
        "repositoryId": "42",
        "ownerId": "7",
        "workflow": ".github/workflows/release.yml",
        "refPattern": "refs/heads/main",
    })
}

/// The same with other members.
pub(crate) fn publisher_with(more: Value) -> Value {
    let mut publisher = publisher();
    for (name, value) in more.as_object().unwrap() {
        publisher[name] = value.clone();
    }
    publisher
}

impl Caller {
    /// The address of a trusted publisher.
    pub(crate) fn publisher_path(&self, id: Uuid) -> String {
        format!("{}/trustedPublishers/{id}", self.app_path())
    }

    /// Trusts a publisher, or changes what is said of it.
    pub(crate) fn trusts(&self, id: Uuid, publisher: &Value) -> Request {
        self.put(self.publisher_path(id), publisher.clone())
    }
}

impl Harness {
    /// A run shows its token.
    pub(crate) fn exchanges(&self, run: &TokenRequest) -> Request {
        self.nobody()
            .post("/oidc/exchange", json!({ "token": mint(run) }))
    }

    /// A run that was given a token.
    pub(crate) async fn has_run(&self) -> Caller {
        let audience = self.settings().server.public_url;
        let run = run_for(&audience.unwrap_or_else(|| self.base_url()));
        let given = self.exchanges(&run).await.expect(200);
        self.signs_in_with(&given)
    }

    /// Whoever was given that.
    pub(crate) fn signs_in_with(&self, given: &Answer) -> Caller {
        self.caller_with_token(given.property("token")).on(APP)
    }
}
