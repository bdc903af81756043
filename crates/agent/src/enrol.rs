//! Becoming an agent: a code that an operator gave is exchanged for a token, which stays in the agent's folder.

use crate::{
    clock::Clock,
    config::Config,
    folder::{Folder, FolderError, KeptToken},
    service::{self, ServiceError},
};
use client::Credentials;

/// Why an agent could not be enrolled.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// Its folder cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The service cannot be spoken to.
    #[error(transparent)]
    Setup(#[from] ServiceError),
    /// The service refused, or did not answer.
    #[error(transparent)]
    Service(#[from] client::Error),
}

/// Exchanges `code` for a token, and keeps it in the place of the one before.
///
/// # Errors
/// [`EnrolError`] with what is wrong. The folder is looked at before the code is used up.
pub async fn enrol(config: &Config, code: &str, clock: &dyn Clock) -> Result<KeptToken, EnrolError> {
    let folder = Folder::open(&config.folder)?;
    let client = service::client(&config.service, Credentials::Nobody)?;
    let kept = KeptToken::new(client.enrol_agent(code).await?, clock.now());
    folder.keep_token(&kept)?;
    Ok(kept)
}
