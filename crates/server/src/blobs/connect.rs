//! From settings to a client of an object store, with bounds on how long it tries.
//!
//! Where the settings name no credentials, those of the machine or workload are used. The environment variables in
//! which such platforms hand them over are read by name; no other variable can send packages anywhere else.

use crate::config::{AzureCredentials, BucketSettings, Provider};
use object_store::{
    BackoffConfig, Certificate, ClientOptions, ObjectStore, Result, RetryConfig,
    aws::{AmazonS3Builder, AmazonS3ConfigKey},
    azure::{AzureConfigKey, MicrosoftAzureBuilder},
    gcp::{GoogleCloudStorageBuilder, GoogleConfigKey},
};
use secrecy::{ExposeSecret, SecretString};
use std::time::Duration;

/// How long to wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a store may be silent while it answers a request.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
/// How often, and until when after its beginning, a request is tried again.
const MAX_RETRIES: usize = 3;
const RETRY_TIMEOUT: Duration = Duration::from_secs(20);
const MAX_BACKOFF: Duration = Duration::from_secs(2);

/// Where AWS, its containers and web identities leave credentials.
const AWS_VARIABLES: [(&str, AmazonS3ConfigKey); 9] = [
    ("AWS_ACCESS_KEY_ID", AmazonS3ConfigKey::AccessKeyId),
    ("AWS_SECRET_ACCESS_KEY", AmazonS3ConfigKey::SecretAccessKey),
    ("AWS_SESSION_TOKEN", AmazonS3ConfigKey::Token),
    (
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        AmazonS3ConfigKey::WebIdentityTokenFile,
    ),
    ("AWS_ROLE_ARN", AmazonS3ConfigKey::RoleArn),
    ("AWS_ROLE_SESSION_NAME", AmazonS3ConfigKey::RoleSessionName),
    (
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        AmazonS3ConfigKey::ContainerCredentialsRelativeUri,
    ),
    (
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        AmazonS3ConfigKey::ContainerCredentialsFullUri,
    ),
    (
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
        AmazonS3ConfigKey::ContainerAuthorizationTokenFile,
    ),
];

/// Where Azure's workload and managed identities leave theirs.
const AZURE_VARIABLES: [(&str, AzureConfigKey); 5] = [
    ("AZURE_CLIENT_ID", AzureConfigKey::ClientId),
    ("AZURE_TENANT_ID", AzureConfigKey::AuthorityId),
    ("AZURE_AUTHORITY_HOST", AzureConfigKey::AuthorityHost),
    ("AZURE_FEDERATED_TOKEN_FILE", AzureConfigKey::FederatedTokenFile),
    ("IDENTITY_ENDPOINT", AzureConfigKey::MsiEndpoint),
];

/// Where Google's tools leave theirs.
const GOOGLE_VARIABLES: [(&str, GoogleConfigKey); 1] = [(
    "GOOGLE_APPLICATION_CREDENTIALS",
    GoogleConfigKey::ApplicationCredentials,
)];

/// A client for the object store of a location.
pub(super) fn connect(settings: &BucketSettings) -> Result<Box<dyn ObjectStore>> {
    let options = client_options(settings)?;
    match &settings.provider {
        Provider::Azure { account, credentials } => azure(settings, account, credentials, options),
        Provider::S3 {
            region,
            access_key,
            virtual_hosted,
        } => s3(settings, region, access_key.as_ref(), *virtual_hosted, options),
        Provider::Google { service_account } => google(settings, service_account.as_ref(), options),
    }
}

fn s3(
    settings: &BucketSettings,
    region: &str,
    access_key: Option<&(String, SecretString)>,
    virtual_hosted: bool,
    options: ClientOptions,
) -> Result<Box<dyn ObjectStore>> {
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&settings.bucket)
        .with_region(region)
        .with_virtual_hosted_style_request(virtual_hosted)
        .with_retry(retry())
        .with_client_options(options);
    if let Some(endpoint) = &settings.endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    builder = match access_key {
        Some((id, secret)) => builder
            .with_access_key_id(id)
            .with_secret_access_key(secret.expose_secret()),
        None => from_environment(&AWS_VARIABLES)
            .fold(builder, |builder, (key, value)| builder.with_config(key, value)),
    };
    Ok(Box::new(builder.build()?))
}

fn google(
    settings: &BucketSettings,
    service_account: Option<&SecretString>,
    options: ClientOptions,
) -> Result<Box<dyn ObjectStore>> {
    let mut builder = GoogleCloudStorageBuilder::new()
        .with_bucket_name(&settings.bucket)
        .with_retry(retry())
        .with_client_options(options);
    if let Some(endpoint) = &settings.endpoint {
        builder = builder.with_base_url(endpoint);
    }
    builder = match service_account {
        Some(key) => builder.with_service_account_key(key.expose_secret()),
        None => from_environment(&GOOGLE_VARIABLES)
            .fold(builder, |builder, (key, value)| builder.with_config(key, value)),
    };
    Ok(Box::new(builder.build()?))
}

fn azure(
    settings: &BucketSettings,
    account: &str,
    credentials: &AzureCredentials,
    options: ClientOptions,
) -> Result<Box<dyn ObjectStore>> {
    let mut builder = MicrosoftAzureBuilder::new()
        .with_account(account)
        .with_container_name(&settings.bucket)
        .with_retry(retry())
        .with_client_options(options);
    if let Some(endpoint) = &settings.endpoint {
        builder = builder.with_endpoint(endpoint.clone());
    }
    builder = match credentials {
        AzureCredentials::AccessKey(key) => builder.with_access_key(key.expose_secret()),
        AzureCredentials::ClientSecret {
            tenant_id,
            client_id,
            client_secret,
        } => builder.with_client_secret_authorization(client_id, client_secret.expose_secret(), tenant_id),
        AzureCredentials::Identity { client_id } => {
            let builder = from_environment(&AZURE_VARIABLES)
                .fold(builder, |builder, (key, value)| builder.with_config(key, value));
            match client_id {
                Some(client_id) => builder.with_client_id(client_id),
                None => builder,
            }
        }
    };
    Ok(Box::new(builder.build()?))
}

fn from_environment<K: Copy>(variables: &[(&'static str, K)]) -> impl Iterator<Item = (K, String)> {
    variables
        .iter()
        .filter_map(|(name, key)| Some((*key, std::env::var(name).ok()?)))
}

fn client_options(settings: &BucketSettings) -> Result<ClientOptions> {
    let mut options = ClientOptions::new()
        .with_allow_http(settings.allow_http)
        .with_connect_timeout(CONNECT_TIMEOUT)
        // A download lasts as long as its receiver takes; only silence is bounded.
        .with_timeout_disabled()
        .with_read_timeout(READ_TIMEOUT);
    if let Some(path) = &settings.ca_file {
        let pem = std::fs::read(path).map_err(|error| object_store::Error::Generic {
            store: "ca_file",
            source: format!("'{}' cannot be read: {error}", path.display()).into(),
        })?;
        let authorities = Certificate::from_pem_bundle(&pem)?;
        if authorities.is_empty() {
            return Err(object_store::Error::Generic {
                store: "ca_file",
                source: format!("'{}' holds no certificate in PEM form", path.display()).into(),
            });
        }
        for certificate in authorities {
            options = options.with_root_certificate(certificate);
        }
    }
    Ok(options)
}

fn retry() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            max_backoff: MAX_BACKOFF,
            ..BackoffConfig::default()
        },
        max_retries: MAX_RETRIES,
        retry_timeout: RETRY_TIMEOUT,
    }
}

/// What no message about a location may show.
pub(super) fn secrets(settings: &BucketSettings) -> Vec<String> {
    let secret = match &settings.provider {
        Provider::Azure { credentials, .. } => match credentials {
            AzureCredentials::AccessKey(key) => Some(key),
            AzureCredentials::ClientSecret { client_secret, .. } => Some(client_secret),
            AzureCredentials::Identity { .. } => None,
        },
        Provider::S3 { access_key, .. } => access_key.as_ref().map(|(_, secret)| secret),
        Provider::Google { service_account } => service_account.as_ref(),
    };
    secret
        .map(|secret| secret.expose_secret().to_owned())
        .into_iter()
        .collect()
}
