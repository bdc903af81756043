//! What can go wrong while setting an issuer up or minting a token by hand.

/// A failure of the issuer itself. Failures of callers of the token endpoint are answered in Entra's words
/// and never appear here.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system gave no randomness, or a key could not be made from it.
    #[error("a signing key could not be generated")]
    KeyGeneration,
    /// A signature could not be made with a key that was loaded or generated before.
    #[error("the token could not be signed")]
    Signing,
    /// The saved state is not one that this crate wrote.
    #[error("the saved issuer state is damaged: {0}")]
    DamagedState(&'static str),
    /// A certificate could not be made.
    #[error("the certificate could not be made")]
    Certificate(#[from] rcgen::Error),
    /// TLS does not accept the certificate or its key.
    #[error("TLS could not be set up")]
    Tls(#[from] rustls::Error),
    /// The base URL is not `http(s)://host[:port][/path]`.
    #[error("`{0}` is not an absolute http or https URL")]
    BadBaseUrl(String),
    /// The text is no name of a host.
    #[error("`{0}` is not the name of a host, such as login.microsoftonline.com, without scheme and port")]
    BadHost(String),
    /// No application or user of the directory has this name or id.
    #[error("no application or user is called `{0}`")]
    UnknownPrincipal(String),
    /// The request names neither a client nor a user.
    #[error("name a `client`, a `user`, or both")]
    NoPrincipal,
    /// The request has no audience, and the directory has no resource to take one from.
    #[error("name an `audience`: no resource is registered")]
    NoAudience,
}

impl Error {
    /// The stable PascalCase name of this failure.
    pub fn code(&self) -> &'static str {
        match self {
            Self::KeyGeneration => "KeyGenerationFailed",
            Self::Signing => "SigningFailed",
            Self::DamagedState(_) => "DamagedState",
            Self::Certificate(_) => "CertificateFailed",
            Self::Tls(_) => "TlsFailed",
            Self::BadBaseUrl(_) => "BadBaseUrl",
            Self::BadHost(_) => "BadHost",
            Self::UnknownPrincipal(_) => "UnknownPrincipal",
            Self::NoPrincipal => "NoPrincipal",
            Self::NoAudience => "NoAudience",
        }
    }

    /// Whether the caller of the control endpoint can mend it (true), or only this process (false).
    pub fn is_callers_fault(&self) -> bool {
        matches!(
            self,
            Self::UnknownPrincipal(_) | Self::NoPrincipal | Self::NoAudience
        )
    }
}
