//! Whom the caller believes: authorities, keys, and lists of certificates that were taken back.
//!
//! None come with this crate and none are fetched, so what is not told here is not known.

use std::time::SystemTime;

use cms::cert::x509::Certificate;
use cms::cert::x509::crl::{CertificateList, RevokedCert};
use cms::cert::x509::der::asn1::ObjectIdentifier;
use cms::cert::x509::der::{Decode, Encode};

use super::certificate::{self, chain};

/// In which part of an authority's certificates a list is complete.
const PART_OF_LIST: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.28");

/// Whom the caller believes. Nobody by default.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    anchors: Vec<Certificate>,
    pins: Vec<[u8; 32]>,
    lists: Vec<CertificateList>,
}

/// Why something cannot be believed: it is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotBelievable(String);

/// What lists say about the certificates behind a signature.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Revocation {
    /// When one of them was taken back, and whom it names; `None` where the signer's is not on the list.
    pub revoked: Option<(SystemTime, String)>,
    /// Of when the list is.
    pub listed_at: SystemTime,
    /// When the next list was due, if the list says so.
    pub next_at: Option<SystemTime>,
}

impl Trust {
    /// Believes an authority, whose certificate `der` is.
    ///
    /// # Errors
    /// [`NotBelievable`] where it is no certificate.
    pub fn believe(&mut self, der: &[u8]) -> Result<(), NotBelievable> {
        let certificate = Certificate::from_der(der);
        let certificate =
            certificate.map_err(|error| NotBelievable(format!("A certificate cannot be read: {error}.")))?;
        self.anchors.push(certificate);
        Ok(())
    }

    /// Believes a signer by the SHA-256 of their certificate, or of their key (its SubjectPublicKeyInfo).
    pub fn pin(&mut self, sha256: [u8; 32]) {
        self.pins.push(sha256);
    }

    /// Looks certificates up in a list of those that were taken back (a CRL), which `der` is.
    ///
    /// # Errors
    /// [`NotBelievable`] where it is no such list, or not a whole one.
    pub fn look_up_in(&mut self, der: &[u8]) -> Result<(), NotBelievable> {
        let list = CertificateList::from_der(der);
        let list =
            list.map_err(|error| NotBelievable(format!("A revocation list cannot be read: {error}.")))?;
        let extensions = list.tbs_cert_list.crl_extensions.iter().flatten();
        let strange = extensions
            .filter(|extension| extension.critical)
            .find(|extension| extension.extn_id != PART_OF_LIST);
        if let Some(strange) = strange {
            let message = format!(
                "A revocation list is not a whole one: it demands {}.",
                strange.extn_id
            );
            return Err(NotBelievable(message));
        }
        self.lists.push(list);
        Ok(())
    }

    /// Whether anybody is believed at all.
    pub fn is_asked(&self) -> bool {
        !self.anchors.is_empty() || !self.pins.is_empty()
    }

    /// Whether one of these hashes is of a signer who is believed.
    pub(super) fn pins(&self, hashes: &[[u8; 32]]) -> bool {
        hashes.iter().any(|hash| self.pins.contains(hash))
    }

    /// Whether an authority that is believed stands behind `signer` at the time `at`, by way of those `included`.
    pub(super) fn anchors(
        &self,
        signer: &Certificate,
        included: &[Certificate],
        purpose: ObjectIdentifier,
        at: SystemTime,
    ) -> bool {
        let above = chain(signer, included, at);
        let path: Vec<_> = std::iter::once(signer).chain(above.iter().copied()).collect();
        let may_sign = certificate::is_valid(signer, at);
        may_sign
            && path.iter().enumerate().any(|(between, last)| {
                let below = path.iter().take(between + 1);
                let is_path_for = below
                    .enumerate()
                    .all(|(place, one)| may_stand(one, place, purpose));
                is_path_for && self.is_anchor(last, between, purpose, at)
            })
    }

    /// Whether `last` is believed, or was issued by somebody who is.
    fn is_anchor(
        &self,
        last: &Certificate,
        between: usize,
        purpose: ObjectIdentifier,
        at: SystemTime,
    ) -> bool {
        self.anchors.iter().any(|anchor| {
            anchor == last
                || (certificate::stands_behind(anchor, last, between, at)
                    && certificate::is_understood(anchor)
                    && certificate::may_issue_for(anchor, purpose))
        })
    }

    /// What lists say about `path`, from the signer up: each is signed by who issued the certificates in it.
    pub(super) fn revocation(&self, path: &[&Certificate]) -> Option<Revocation> {
        let mut own = None;
        for (place, certificate) in path.iter().enumerate() {
            for list in self.lists_about(certificate, path.get(place + 1).copied()) {
                let found = looked_up(list, certificate);
                if found.as_ref().is_some_and(|found| found.revoked.is_some()) {
                    return found;
                }
                own = own.or(found.filter(|_| place == 0));
            }
        }
        own
    }

    /// The lists of who issued `certificate`, whose signature holds.
    fn lists_about<'t>(
        &'t self,
        certificate: &'t Certificate,
        above: Option<&'t Certificate>,
    ) -> impl Iterator<Item = &'t CertificateList> {
        let issuer = &certificate.tbs_certificate.issuer;
        self.lists.iter().filter(move |list| {
            let issuers = above.into_iter().chain(&self.anchors);
            list.tbs_cert_list.issuer == *issuer
                && issuers
                    .filter(|authority| authority.tbs_certificate.subject == *issuer)
                    .any(|authority| has_listed(authority, list))
        })
    }
}

/// Whether the one in that place of a path may be there.
fn may_stand(certificate: &Certificate, place: usize, purpose: ObjectIdentifier) -> bool {
    let is_fit = place == 0 || certificate::may_issue_for(certificate, purpose);
    is_fit && certificate::is_understood(certificate)
}

fn has_listed(authority: &Certificate, list: &CertificateList) -> bool {
    let message = list.tbs_cert_list.to_der();
    certificate::may_revoke(authority)
        && message.is_ok_and(|message| {
            certificate::is_signed_by(authority, &list.signature_algorithm, &message, &list.signature)
        })
}

/// What a list says about a certificate; nothing where it is of a part and the certificate is not in it.
fn looked_up(list: &CertificateList, certificate: &Certificate) -> Option<Revocation> {
    let listed = &list.tbs_cert_list;
    let entries = listed.revoked_certificates.iter().flatten();
    let is_own = |entry: &&RevokedCert| {
        let demands = entry.crl_entry_extensions.iter().flatten();
        entry.serial_number == certificate.tbs_certificate.serial_number
            && !demands.into_iter().any(|extension| extension.critical)
    };
    let revoked = entries.into_iter().find(is_own).map(|entry| {
        let subject = certificate::text(&certificate.tbs_certificate.subject);
        (certificate::moment(entry.revocation_date), subject)
    });
    let mut extensions = listed.crl_extensions.iter().flatten();
    let is_part = extensions.any(|extension| extension.extn_id == PART_OF_LIST);
    (revoked.is_some() || !is_part).then(|| Revocation {
        revoked,
        listed_at: certificate::moment(listed.this_update),
        next_at: listed.next_update.map(certificate::moment),
    })
}
