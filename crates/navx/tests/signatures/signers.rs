//! People with keys: an authority that issues certificates, and those who sign with them.

use crate::der::values;
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use navx::{Kind, PackageBuilder, Signatory, Signing, Version};
use num_bigint::BigUint;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ED25519,
    PKCS_RSA_SHA256, RevokedCertParams, SerialNumber, SignatureAlgorithm, SigningKey as _, date_time_ymd,
};
use uuid::Uuid;

/// An authority below a root that nobody has.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: Vec<u8>,
    /// The certificate of the root, which never comes along.
    pub root: Vec<u8>,
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
    params.not_before = date_time_ymd(years.0, 1, 1);
    params.not_after = date_time_ymd(years.1, 1, 1);
    params
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        Self::below(ca("Root"), ca(name))
    }

    /// One that may issue certificates for this alone.
    pub(crate) fn only_for(name: &str, purpose: ExtendedKeyUsagePurpose) -> Self {
        let mut params = ca(name);
        params.extended_key_usages = vec![purpose];
        Self::below(ca("Root"), params)
    }

    /// One whose root wants nobody between itself and who signs.
    pub(crate) fn too_far(name: &str) -> Self {
        let mut root = ca("Root");
        root.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        Self::below(root, ca(name))
    }

    fn below(root: CertificateParams, params: CertificateParams) -> Self {
        let root_key = KeyPair::generate().unwrap();
        let root_certificate = root.self_signed(&root_key).unwrap().der().to_vec();
        let root = Issuer::new(root, root_key);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &root).unwrap().der().to_vec();
        let issuer = Issuer::new(params, key);
        Self {
            issuer,
            certificate,
            root: root_certificate,
        }
    }

    /// The list of who it took back: those of these numbers, at the beginning of a year.
    pub(crate) fn list(&self, serials: &[&str], year: i32) -> Vec<u8> {
        let revoked = |serial: &&str| RevokedCertParams {
            serial_number: SerialNumber::from_slice(
                &BigUint::parse_bytes(serial.as_bytes(), 16).unwrap().to_bytes_be(),
            ),
            revocation_time: date_time_ymd(year, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2026, 1, 1),
            next_update: date_time_ymd(2027, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer).unwrap().der().to_vec()
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

    /// Somebody with a key of a kind that nobody signs packages with.
    pub(crate) fn odd_party(&self, name: &str) -> Party {
        self.party_with(&PKCS_ED25519, name, (2020, 2090), CODE)
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
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
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

    /// Does something as this party.
    pub(crate) fn signs<R>(&self, then: impl FnOnce(&Signatory<'_>) -> R) -> R {
        then(&Signatory {
            certificates: &self.certificates,
            sign: &self.signing(),
        })
    }

    /// Signs by SHA-1, with further signatures nested in that one. The key is an RSA key.
    pub(crate) fn sign_by_sha1(&self, package: Vec<u8>, nested: Option<Signing<'_>>) -> Vec<u8> {
        let sign = |message: &[u8]| rsa_sha1(&self.key.serialize_der(), message);
        let signatory = Signatory {
            certificates: &self.certificates,
            sign: &sign,
        };
        let signing = Signing::by(&signatory).by_sha1();
        let signing = match nested {
            Some(nested) => signing.beside(nested),
            None => signing,
        };
        signing.sign(package).unwrap()
    }

    /// The certificate.
    pub(crate) fn certificate(&self) -> &[u8] {
        &self.certificates[0]
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

/// PKCS#1 1.5 by SHA-1, with the key in PKCS#8.
fn rsa_sha1(key: &[u8], message: &[u8]) -> Vec<u8> {
    let outer = values(&values(key)[0].1);
    let numbers = values(&values(&outer[2].1)[0].1);
    let number = |at: usize| BigUint::from_bytes_be(&numbers[at].1);
    let (modulus, exponent) = (number(1), number(3));
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, message);
    let info = [
        b"\x30\x21\x30\x09\x06\x05\x2B\x0E\x03\x02\x1A\x05\x00\x04\x14",
        hash.as_ref(),
    ]
    .concat();
    let len = usize::try_from(modulus.bits()).unwrap().div_ceil(8);
    let padded = [&[0, 1], vec![0xFF; len - 3 - info.len()].as_slice(), &[0], &info].concat();
    let signature = BigUint::from_bytes_be(&padded)
        .modpow(&exponent, &modulus)
        .to_bytes_be();
    [vec![0; len - signature.len()], signature].concat()
}
