//! People with keys: an authority that issues certificates, and those who sign with them.

use navx::{Kind, PackageBuilder, Signatory, Version};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, SignatureAlgorithm, SigningKey as _,
};
use uuid::Uuid;

/// An authority below a root that nobody has.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: Vec<u8>,
}

/// Somebody with a key and certificates.
pub(crate) struct Party {
    certificates: Vec<Vec<u8>>,
    key: KeyPair,
}

/// For signing code.
pub(crate) const CODE: ExtendedKeyUsagePurpose = ExtendedKeyUsagePurpose::CodeSigning;
/// For saying when something was there.
pub(crate) const TIME: ExtendedKeyUsagePurpose = ExtendedKeyUsagePurpose::TimeStamping;

fn params(name: &str, years: (i32, i32)) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = rcgen::date_time_ymd(years.0, 1, 1);
    params.not_after = rcgen::date_time_ymd(years.1, 1, 1);
    params
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let root_key = KeyPair::generate().unwrap();
        let root = Issuer::new(ca("Root"), root_key);
        let key = KeyPair::generate().unwrap();
        let certificate = ca(name).signed_by(&key, &root).unwrap().der().to_vec();
        let issuer = Issuer::new(ca(name), key);
        Self { issuer, certificate }
    }

    /// Somebody to whom the authority has issued a certificate from the first to the last of these years.
    pub(crate) fn party(&self, name: &str, years: (i32, i32), purpose: ExtendedKeyUsagePurpose) -> Party {
        self.party_with(&PKCS_ECDSA_P256_SHA256, name, years, purpose)
    }

    pub(crate) fn rsa_party(&self, name: &str) -> Party {
        self.party_with_rsa(name, CODE)
    }

    pub(crate) fn party_with_rsa(&self, name: &str, purpose: ExtendedKeyUsagePurpose) -> Party {
        self.party_with(&PKCS_RSA_SHA256, name, (2020, 2090), purpose)
    }

    /// A certificate for whom it does not matter.
    pub(crate) fn certificate_of(&self, name: &str) -> Vec<u8> {
        self.party(name, (2024, 2028), CODE).certificates.swap_remove(0)
    }

    fn party_with(
        &self,
        keys: &'static SignatureAlgorithm,
        name: &str,
        years: (i32, i32),
        purpose: ExtendedKeyUsagePurpose,
    ) -> Party {
        let key = KeyPair::generate_for(keys).unwrap();
        let mut params = params(name, years);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![purpose];
        let own = params.signed_by(&key, &self.issuer).unwrap();
        let certificates = vec![own.der().to_vec(), self.certificate.clone()];
        Party { certificates, key }
    }
}

fn ca(name: &str) -> CertificateParams {
    let mut params = params(name, (2020, 2090));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

impl Party {
    /// Signs, with an authority's stamp if one is given.
    pub(crate) fn sign(&self, package: Vec<u8>, stamp: Option<(&Party, std::time::SystemTime)>) -> Vec<u8> {
        let authority = stamp.map(|(party, at)| (party.certificates.as_slice(), party.signing(), at));
        let authority = authority
            .as_ref()
            .map(|(certificates, sign, at)| (Signatory { certificates, sign }, *at));
        let own = Signatory {
            certificates: &self.certificates,
            sign: &self.signing(),
        };
        navx::sign(
            package,
            &own,
            authority.as_ref().map(|(signatory, at)| (signatory, *at)),
        )
        .unwrap()
    }

    fn signing(&self) -> impl Fn(&[u8]) -> Vec<u8> {
        |message| self.key.sign(message).unwrap()
    }

    /// The same with more certificates that come along.
    pub(crate) fn with_certificates(mut self, more: impl IntoIterator<Item = Vec<u8>>) -> Self {
        self.certificates.extend(more);
        self
    }

    /// The same with nobody else's certificate but that of whom stands behind `other`.
    pub(crate) fn with_only_first(mut self, other: Self) -> Self {
        self.certificates.truncate(1);
        self.with_certificates(other.certificates.into_iter().skip(1))
    }

    /// The public key as certificates hold it.
    pub(crate) fn public_key(&self) -> Vec<u8> {
        rcgen::PublicKeyData::subject_public_key_info(&self.key)
    }
}

/// A package that nobody has signed.
pub(crate) fn package(kind: Kind) -> Vec<u8> {
    let version: Version = "1.2.3.4".parse().unwrap();
    PackageBuilder::new(Uuid::from_u128(7), "Sales Pack", "Contoso", version)
        .kind(kind)
        .to_bytes()
        .unwrap()
}
