//! A certificate authority of our own and one leaf certificate for the loopback names and those that were added.
//!
//! Client libraries refuse a plain-http authority, and TLS stacks refuse a self-signed certificate that is
//! marked as an authority. So there are two: the authority, which a client is told to trust, and the leaf.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    SanType,
};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::{Deserialize, Serialize};

use crate::Error;

/// The certificates in a form that can be written down.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateState {
    /// The authority's certificate, PEM: what clients trust.
    pub authority_pem: String,
    /// The leaf certificate, PEM.
    pub leaf_pem: String,
    /// The leaf's private key, PEM (PKCS#8).
    pub leaf_key_pem: String,
    /// The names that the leaf is for besides those of loopback.
    #[serde(default)]
    pub hosts: Vec<String>,
}

/// Reads the name of a host as a certificate has it, such as `login.microsoftonline.com`.
///
/// # Errors
/// [`Error::BadHost`] for an address, a wildcard, a port, and whatever else is no plain name.
pub fn host_name(text: &str) -> Result<String, Error> {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|letter| letter.is_ascii_alphanumeric() || letter == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // What ends with a number is read as an address.
    let is_address = text
        .rsplit('.')
        .next()
        .is_some_and(|last| last.starts_with(|first: char| first.is_ascii_digit()));
    if text.len() > 253 || is_address || !text.split('.').all(is_label) {
        return Err(Error::BadHost(text.to_owned()));
    }
    Ok(text.to_ascii_lowercase())
}

/// The authority and the leaf, ready to serve. The authority's private key is forgotten once the leaf is
/// signed: nothing else shall ever be signed by something that people put into their trust stores.
#[derive(Clone)]
pub struct Certificates {
    state: CertificateState,
    config: Arc<ServerConfig>,
}

impl Certificates {
    pub(crate) fn generate(hosts: Vec<String>) -> Result<Self, Error> {
        let authority_key = KeyPair::generate()?;
        let authority_params = authority_params();
        let authority = authority_params.self_signed(&authority_key)?;
        let signer = rcgen::Issuer::from_params(&authority_params, authority_key);

        let leaf_key = KeyPair::generate()?;
        let leaf = leaf_params(&hosts)?.signed_by(&leaf_key, &signer)?;
        Self::load(CertificateState {
            authority_pem: authority.pem(),
            leaf_pem: leaf.pem(),
            leaf_key_pem: leaf_key.serialize_pem(),
            hosts,
        })
    }

    /// These, if they are for all of the `hosts`, else new ones.
    pub(crate) fn with_hosts(self, hosts: &[String]) -> Result<Self, Error> {
        let mut all = self.state.hosts.clone();
        let new = hosts.iter().filter(|host| !self.state.hosts.contains(host));
        all.extend(new.cloned());
        match all.len() == self.state.hosts.len() {
            true => Ok(self),
            false => Self::generate(all),
        }
    }

    pub(crate) fn load(state: CertificateState) -> Result<Self, Error> {
        let config = Arc::new(server_config(&state)?);
        Ok(Self { state, config })
    }

    pub(crate) fn state(&self) -> &CertificateState {
        &self.state
    }

    /// The authority's certificate as PEM, for a `caFile`.
    pub fn authority_pem(&self) -> &str {
        &self.state.authority_pem
    }

    /// What a TLS listener needs: the leaf, its key, HTTP/2 and HTTP/1.1.
    pub fn server_config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }
}

fn authority_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, "entra-local certificate authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    in_force_for_long(&mut params);
    params
}

fn leaf_params(hosts: &[String]) -> Result<CertificateParams, Error> {
    let mut names = vec!["localhost".to_owned()];
    for host in hosts {
        names.push(host_name(host)?);
    }
    let mut params = CertificateParams::new(names)?;
    params
        .subject_alt_names
        .push(SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)));
    params
        .subject_alt_names
        .push(SanType::IpAddress(IpAddr::V6(Ipv6Addr::LOCALHOST)));
    params.distinguished_name.push(DnType::CommonName, "localhost");
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    in_force_for_long(&mut params);
    Ok(params)
}

/// Both outlive the project that uses them: on loopback an expiry protects nobody, it only breaks old data
/// folders, and the clock of `fame dev` can be moved by years.
fn in_force_for_long(params: &mut CertificateParams) {
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2049, 12, 31);
}

fn server_config(state: &CertificateState) -> Result<ServerConfig, Error> {
    let leaf = CertificateDer::from_pem_slice(state.leaf_pem.as_bytes())
        .map_err(|_| Error::DamagedState("the leaf certificate is not PEM"))?;
    let key = PrivateKeyDer::from_pem_slice(state.leaf_key_pem.as_bytes())
        .map_err(|_| Error::DamagedState("the leaf's key is not PEM"))?;
    // The provider is handed over, because a process-wide default can be installed only once and is not ours.
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![leaf], key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
