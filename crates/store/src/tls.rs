//! Encryption of connections to PostgreSQL, with certificates that are always checked.

use super::error::StoreError;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use std::{path::Path, sync::Arc};
use tokio_postgres_rustls::MakeRustlsConnect;

/// What encrypts connections and believes the authorities in `ca_file`, or else the system's.
pub(crate) fn connector(ca_file: Option<&Path>) -> Result<MakeRustlsConnect, StoreError> {
    let authorities = match ca_file {
        Some(path) => authorities_in(path)?,
        None => authorities_of_system()?,
    };
    with(authorities)
}

/// What takes the place of a connector where nothing is encrypted: it believes nobody.
pub(crate) fn no_connector() -> Result<MakeRustlsConnect, StoreError> {
    with(RootCertStore::empty())
}

fn with(authorities: RootCertStore) -> Result<MakeRustlsConnect, StoreError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(StoreError::broken)?
        .with_root_certificates(authorities)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

fn authorities_in(path: &Path) -> Result<RootCertStore, StoreError> {
    let unusable = |why: String| StoreError::unavailable(format!("{}: {why}", path.display()));
    let mut authorities = RootCertStore::empty();
    let certificates =
        CertificateDer::pem_file_iter(path).map_err(|error| unusable(format!("cannot be read: {error}")))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| unusable(format!("is not PEM: {error}")))?;
        authorities
            .add(certificate)
            .map_err(|error| unusable(error.to_string()))?;
    }
    if authorities.is_empty() {
        return Err(unusable("holds no PEM certificate".into()));
    }
    Ok(authorities)
}

fn authorities_of_system() -> Result<RootCertStore, StoreError> {
    let found = rustls_native_certs::load_native_certs();
    let mut authorities = RootCertStore::empty();
    authorities.add_parsable_certificates(found.certs);
    if authorities.is_empty() {
        return Err(StoreError::unavailable(
            "the system trusts no certificate authorities; name a file of them in database.ca_file",
        ));
    }
    Ok(authorities)
}
