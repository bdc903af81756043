//! What somebody asks of the signatures of a package, and what comes of it.
//!
//! Kept apart from the commands and pure, because exit codes hang on it. Whoever asks for nothing is told what holds and what
//! does not; nobody is called trusted but by what was given.

use crate::exit::Exit;
use navx::{Examination, Examined, Place, Standing, UnprovenCode};
use serde_json::{Value, json};
use std::time::SystemTime;

/// What the signatures of a package must be.
#[derive(Clone, Debug, Default)]
pub(super) struct Demands {
    /// There must be one.
    pub signature: bool,
    /// Whoever made it must be known by what was given.
    pub trust: bool,
    /// By one of these, as the SHA-256 of a certificate or a key; whoever, if there are none.
    pub signers: Vec<[u8; 32]>,
}

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Severity {
    /// Worth knowing.
    Note,
    /// What was asked cannot be told from the file alone.
    Undecided,
    /// What was asked is not so.
    Refused,
}

impl Severity {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Undecided => "undecided",
            Self::Refused => "refused",
        }
    }
}

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    /// What it is, stable across releases.
    pub code: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// The fact, as a sentence.
    pub message: String,
}

impl Finding {
    /// The finding for programs.
    pub(super) fn facts(&self) -> Value {
        json!({ "code": self.code, "severity": self.severity.word(), "message": self.message })
    }
}

/// The exit code that findings stand for.
pub(super) fn exit(findings: &[Finding]) -> Exit {
    match worst(findings) {
        Severity::Note => Exit::Done,
        Severity::Undecided => Exit::Undecided,
        Severity::Refused => Exit::SignatureRefused,
    }
}

/// What findings come to, in one word.
pub(super) fn verdict(findings: &[Finding], examination: &Examination) -> &'static str {
    match worst(findings) {
        Severity::Note if examination.signatures.is_empty() => "unsigned",
        Severity::Note => "holds",
        other => other.word(),
    }
}

fn worst(findings: &[Finding]) -> Severity {
    let severities = findings.iter().map(|finding| finding.severity);
    severities.max().unwrap_or(Severity::Note)
}

impl Demands {
    /// What is found in the signatures of a package whose manifest names that publisher.
    pub(super) fn judge(
        &self,
        examination: &Examination,
        publisher: Option<&str>,
        now: SystemTime,
    ) -> Vec<Finding> {
        let mut findings = Vec::new();
        for examined in &examination.signatures {
            self.judge_one(examined, publisher, now, &mut findings);
        }
        let own = |examined: &&Examined| examined.place == Place::Package;
        let own: Vec<_> = examination.signatures.iter().filter(own).collect();
        if own.is_empty() {
            findings.push(self.judge_unsigned());
        } else {
            findings.extend(self.judge_signers(&own));
            findings.extend(self.judge_trust(&own));
        }
        findings
    }

    fn asks_for_anything(&self) -> bool {
        self.signature || self.trust || !self.signers.is_empty()
    }

    fn judge_unsigned(&self) -> Finding {
        let severity = match self.asks_for_anything() {
            true => Severity::Refused,
            false => Severity::Note,
        };
        finding("unsigned", severity, "The package carries no signature.")
    }

    /// Whatever does not hold fails, though nothing was asked for; a signature that cannot be verified here fails nobody.
    fn judge_one(
        &self,
        examined: &Examined,
        publisher: Option<&str>,
        now: SystemTime,
        findings: &mut Vec<Finding>,
    ) {
        if let Err(unproven) = &examined.outcome {
            let severity = match unproven.code {
                UnprovenCode::Unsupported if self.asks_for_anything() => Severity::Undecided,
                UnprovenCode::Unsupported => Severity::Note,
                _ => Severity::Refused,
            };
            findings.push(finding(unproven.code.as_str(), severity, &unproven.message));
            return;
        }
        let mut note = |code, message: String| findings.push(finding(code, Severity::Note, &message));
        let Some(certificate) = &examined.certificate else {
            return;
        };
        let subject = &certificate.subject;
        if let (true, Some(hash)) = (examined.is_weak, examined.hash) {
            note(
                "weak_hash",
                format!("The signature by {subject} hashes by {hash}, for which two texts can be made."),
            );
        }
        if examined.stamp.is_none() {
            note("no_time_stamp", format!("Nothing says when {subject} signed."));
        }
        if certificate.valid.1 < now {
            note(
                "expired",
                format!("The certificate of {subject} has expired since."),
            );
        }
        let names_another = |publisher: &&str| {
            !certificate.organisations.is_empty()
                && !certificate.organisations.iter().any(|named| named == publisher)
        };
        if let Some(publisher) = publisher.filter(names_another) {
            note(
                "publisher_differs",
                format!(
                    "The manifest names {publisher} as publisher, the certificate {}.",
                    certificate.organisations.join(", ")
                ),
            );
        }
    }

    fn judge_signers(&self, own: &[&Examined]) -> Option<Finding> {
        let is_pinned = |examined: &&Examined| examined.standing == Standing::Pinned;
        if self.signers.is_empty() || own.iter().any(is_pinned) {
            return None;
        }
        let is_named = |examined: &&Examined| {
            let is_open = match &examined.outcome {
                Ok(()) => examined.is_weak,
                Err(unproven) => unproven.code == UnprovenCode::Unsupported,
            };
            let named = examined.certificate.as_ref().filter(|_| is_open);
            named.is_some_and(|named| {
                self.signers.contains(&named.sha256) || self.signers.contains(&named.key_sha256)
            })
        };
        Some(match own.iter().any(is_named) {
            true => finding(
                "signer_undecided",
                Severity::Undecided,
                "The signature names the signer that was asked for, and is too weak or of a kind that is not verified here.",
            ),
            false => finding(
                "other_signer",
                Severity::Refused,
                "The package is not signed with a key or certificate that was asked for.",
            ),
        })
    }

    fn judge_trust(&self, own: &[&Examined]) -> Option<Finding> {
        let is_known = |examined: &&Examined| examined.standing != Standing::Unknown;
        (self.trust && !own.iter().any(is_known)).then(|| {
            finding(
                "trust_undecided",
                Severity::Undecided,
                "Nothing that was given (--trust, --signer) tells whether the signer is to be trusted.",
            )
        })
    }
}

fn finding(code: &'static str, severity: Severity, message: &str) -> Finding {
    Finding {
        code,
        severity,
        message: message.to_owned(),
    }
}
