//! What the signatures of packages are, in words and as JSON.

use super::{
    demands::{self, Demands, Finding, Severity},
    read, refused, time,
};
use crate::{
    exit::Exit,
    failure::Failure,
    output::{Printer, cell},
};
use clap::Args;
use data_encoding::HEXLOWER;
use domain::signer::SignerKey;
use navx::{Examination, Examined, Package, Place, StampForm, Standing, Trust, UnprovenCode};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, pem::PemObject};
use serde_json::{Map, Value, json};
use server::clock::Clock;
use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
    time::SystemTime,
};

/// Bytes of a file of certificates or of a revocation list. The largest lists of public authorities have some megabytes.
const MAX_FILE_BYTES: u64 = 64 << 20;

/// Whom to believe, as it is written on the command line.
#[derive(Args, Debug)]
pub(super) struct TrustArgs {
    /// Certificates of authorities to believe (PEM); none are shipped, so nobody is believed without
    #[arg(long, value_name = "ROOTS.pem")]
    trust: Vec<PathBuf>,
    /// A signer to believe, by the SHA-256 of their certificate or public key; exit code 19 when it is by nobody of these
    #[arg(long, value_name = "SHA256")]
    signer: Vec<SignerKey>,
    /// A list of certificates that were taken back (PEM or DER); none are fetched
    #[arg(long, value_name = "FILE")]
    crl: Vec<PathBuf>,
}

impl TrustArgs {
    /// The signers to believe.
    pub(super) fn signers(&self) -> Vec<[u8; 32]> {
        self.signer.iter().map(|key| key.0).collect()
    }

    /// Reads whom to believe.
    ///
    /// # Errors
    /// [`Failure::Usage`] when a file cannot be read or holds something else.
    pub(super) fn read(&self) -> Result<Trust, Failure> {
        let mut trust = Trust::default();
        for path in &self.trust {
            let bytes = read_bounded(path)?;
            for certificate in CertificateDer::pem_slice_iter(&bytes) {
                let certificate = certificate.map_err(|_| holds_no(path, "certificates in PEM"))?;
                trust.believe(&certificate).map_err(|error| wrong(path, &error))?;
            }
            if CertificateDer::pem_slice_iter(&bytes).next().is_none() {
                return Err(holds_no(path, "certificates in PEM"));
            }
        }
        for path in &self.crl {
            let bytes = read_bounded(path)?;
            if !bytes.starts_with(b"-----BEGIN") {
                trust.look_up_in(&bytes).map_err(|error| wrong(path, &error))?;
                continue;
            }
            for list in CertificateRevocationListDer::pem_slice_iter(&bytes) {
                let list = list.map_err(|_| holds_no(path, "revocation list"))?;
                trust.look_up_in(&list).map_err(|error| wrong(path, &error))?;
            }
            if CertificateRevocationListDer::pem_slice_iter(&bytes)
                .next()
                .is_none()
            {
                return Err(holds_no(path, "revocation list"));
            }
        }
        for signer in self.signers() {
            trust.pin(signer);
        }
        Ok(trust)
    }
}

fn read_bounded(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes));
    let count = read.map_err(|error| Failure::unreadable(path, &error))?;
    match u64::try_from(count).is_ok_and(|count| count <= MAX_FILE_BYTES) {
        true => Ok(bytes),
        false => Err(Failure::Usage(format!(
            "{} has more than 64 MiB.",
            path.display()
        ))),
    }
}

fn holds_no(path: &Path, what: &str) -> Failure {
    Failure::Usage(format!("{} holds no {what}.", path.display()))
}

fn wrong(path: &Path, error: &navx::NotBelievable) -> Failure {
    Failure::Usage(format!("{}: {error}", path.display()))
}

/// What became of several packages.
pub(super) struct Looked {
    good: Vec<Signatures>,
    rows: Vec<Value>,
    outcomes: Vec<Exit>,
}

/// The signatures of one package.
struct Signatures {
    file: String,
    package: Package,
    examination: Examination,
    findings: Vec<Finding>,
    is_checked: bool,
}

/// Looks at packages, and tells of those that are none.
///
/// # Errors
/// [`Failure::Usage`] when one cannot be read.
pub(super) fn look_at(
    files: &[PathBuf],
    trust: &Trust,
    demands: &Demands,
    printer: Printer,
) -> Result<Looked, Failure> {
    let mut looked = Looked {
        good: Vec::new(),
        rows: Vec::new(),
        outcomes: Vec::new(),
    };
    let now = Clock::system().now().into();
    for path in files {
        match Signatures::of(path, trust, demands, now) {
            Ok(signatures) => {
                looked.outcomes.push(demands::exit(&signatures.findings));
                looked.rows.push(signatures.facts());
                looked.good.push(signatures);
            }
            Err(failure @ Failure::Package { .. }) => {
                looked.rows.push(refusal(path, &failure));
                looked.outcomes.push(failure.exit());
                failure.tell(printer, None);
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok(looked)
}

fn refusal(path: &Path, failure: &Failure) -> Value {
    let message = failure.to_string();
    let finding = json!({ "code": failure.code(), "severity": Severity::Refused.word(), "message": message });
    json!({
        "file": path.display().to_string(),
        "verdict": Severity::Refused.word(),
        "findings": [finding],
        "signatures": [],
    })
}

impl Looked {
    /// The exit code of all of it: of the first package with which something is wrong.
    pub(super) fn exit(&self) -> Exit {
        Exit::first_of(self.outcomes.iter().copied())
    }

    /// A row for each package, as JSON tells of it.
    pub(super) fn rows(&self) -> &[Value] {
        &self.rows
    }

    /// Shows every signature.
    pub(super) fn show_all(&self, printer: Printer) -> Result<(), Failure> {
        if printer.is_json() {
            return Ok(printer.rows(&self.rows, &[])?);
        }
        for signatures in &self.good {
            printer.record(&signatures.head())?;
            for (number, examined) in signatures.examination.signatures.iter().enumerate() {
                printer.text("")?;
                printer.record(&signatures.lines(number, examined))?;
            }
            signatures.show_findings(printer)?;
            printer.text("")?;
        }
        Ok(())
    }

    /// Shows what comes of each package, and why.
    pub(super) fn show_verdicts(&self, printer: Printer) -> Result<(), Failure> {
        if printer.is_json() {
            return Ok(printer.rows(&self.rows, &[])?);
        }
        for signatures in &self.good {
            printer.record(&signatures.summary())?;
            signatures.show_findings(printer)?;
            printer.text("")?;
        }
        Ok(())
    }
}

impl Signatures {
    fn of(path: &Path, trust: &Trust, demands: &Demands, now: SystemTime) -> Result<Self, Failure> {
        let package = read(path)?;
        let file = File::open(path).map_err(|error| Failure::unreadable(path, &error))?;
        let examination = navx::examine(file, &package, trust, now).map_err(|error| refused(path, error))?;
        let publisher = package.manifest.as_ref().map(|app| app.publisher.as_str());
        let findings = demands.judge(&examination, publisher, now);
        Ok(Self {
            file: path.display().to_string(),
            package,
            examination,
            findings,
            is_checked: trust.is_asked(),
        })
    }

    fn verdict(&self) -> &'static str {
        demands::verdict(&self.findings, &self.examination)
    }

    fn facts(&self) -> Value {
        let app = self.package.manifest.as_ref().map(|app| {
            json!({
                "id": app.app_id,
                "name": app.name,
                "publisher": app.publisher,
                "version": app.version.to_string(),
            })
        });
        let signatures = self.examination.signatures.iter().enumerate();
        json!({
            "file": self.file,
            "kind": self.package.kind,
            "app": app,
            "signedContentSha256": HEXLOWER.encode(&self.examination.signed_content_sha256),
            "verdict": self.verdict(),
            "findings": self.findings.iter().map(Finding::facts).collect::<Vec<_>>(),
            "signatures": signatures
                .map(|(number, examined)| self.signature_facts(number, examined))
                .collect::<Vec<_>>(),
        })
    }

    /// Whether this one is nested in the first of its place.
    fn is_nested(&self, number: usize) -> bool {
        let before = number
            .checked_sub(1)
            .and_then(|before| self.examination.signatures.get(before));
        let own = self.examination.signatures.get(number);
        matches!((before, own), (Some(before), Some(own)) if before.place == own.place)
    }

    fn signature_facts(&self, number: usize, examined: &Examined) -> Value {
        let certificate = examined.certificate.as_ref();
        let unproven = examined.outcome.as_ref().err();
        let mut facts = json!({
            "of": place(examined.place),
            "nested": self.is_nested(number),
            "state": state(examined),
            "code": unproven.map(|unproven| unproven.code.as_str()),
            "message": unproven.map(|unproven| &unproven.message),
            "digest": examined.digest_matches.map(|is_same| if is_same { "ok" } else { "mismatch" }),
            "hash": examined.hash,
            "weak": examined.is_weak,
            "subject": certificate.map(|own| &own.subject),
            "issuer": certificate.map(|own| &own.issuer),
            "serial": certificate.map(|own| &own.serial),
            "certificateSha256": certificate.map(|own| HEXLOWER.encode(&own.sha256)),
            "keySha256": certificate.map(|own| SignerKey(own.key_sha256).to_string()),
            "validFrom": certificate.map(|own| time(own.valid.0)),
            "validUntil": certificate.map(|own| time(own.valid.1)),
            "validAtSigning": examined.is_valid_at_signing,
            "time": examined.stamp.as_ref().map(|stamp| time(stamp.at)),
        });
        if let Some(facts) = facts.as_object_mut() {
            facts.extend(self.trust_facts(examined));
        }
        facts
    }

    fn trust_facts(&self, examined: &Examined) -> Map<String, Value> {
        let stamp = examined.stamp.as_ref().map(|stamp| {
            json!({
                "form": form(stamp.form),
                "authority": stamp.authority,
                "weak": stamp.is_weak,
                "trust": if stamp.is_anchored { "anchored" } else { "unknown" },
            })
        });
        let revocation = examined.revocation.as_ref().map(|found| {
            json!({
                "revokedAt": found.revoked.as_ref().map(|(at, _)| time(*at)),
                "certificate": found.revoked.as_ref().map(|(_, subject)| subject),
                "listedAt": time(found.listed_at),
                "nextAt": found.next_at.map(time),
            })
        });
        let state = match (examined.standing, &examined.missing_issuer) {
            (Standing::Anchored, _) => "anchored",
            (_, Some(_)) => "incomplete",
            (_, None) => "complete",
        };
        let chain = json!({
            "state": state,
            "issuers": examined.chain,
            "missingIssuer": examined.missing_issuer,
        });
        let facts = [
            ("timestamp", json!(stamp)),
            ("programName", json!(examined.program)),
            ("url", json!(examined.address)),
            ("chain", chain),
            ("trust", json!(standing(examined.standing))),
            ("trustChecked", json!(self.is_checked)),
            ("revocation", json!(revocation)),
        ];
        facts
            .map(|(name, value)| (name.to_owned(), value))
            .into_iter()
            .collect()
    }

    fn head(&self) -> Value {
        let app = self.package.manifest.as_ref();
        let publisher = app.map(|app| format!("{}, as the manifest says", app.publisher));
        let app = app.map(|app| format!("{} {}", app.name, app.version));
        lines([
            ("file", json!(self.file)),
            ("kind", json!(self.package.kind)),
            ("app", json!(app)),
            ("publisher", json!(publisher)),
            (
                "signed content",
                json!(HEXLOWER.encode(&self.examination.signed_content_sha256)),
            ),
            (
                "signatures",
                match self.examination.signatures.len() {
                    0 => json!("none"),
                    count => json!(count),
                },
            ),
        ])
    }

    fn summary(&self) -> Value {
        let mut summary = self.head();
        let said: Vec<_> = self
            .examination
            .signatures
            .iter()
            .map(|examined| self.sentence(examined))
            .collect();
        if let Some(summary) = summary.as_object_mut() {
            if !said.is_empty() {
                summary.insert("signatures".to_owned(), json!(said.join("\n")));
            }
            summary.insert("verdict".to_owned(), json!(self.verdict()));
        }
        summary
    }

    fn show_findings(&self, printer: Printer) -> Result<(), Failure> {
        for finding in &self.findings {
            let line = format!(
                "{}: {} ({})",
                finding.severity.word(),
                finding.message,
                finding.code
            );
            printer.text(&cell(&json!(line)))?;
        }
        Ok(())
    }

    /// One signature in one sentence.
    fn sentence(&self, examined: &Examined) -> String {
        let named = examined.certificate.as_ref().map(|own| own.subject.as_str());
        let subject = named.unwrap_or("nobody that is known");
        let unproven = match &examined.outcome {
            Err(unproven) if unproven.code == UnprovenCode::Unsupported => {
                return format!("names {subject}, cannot be verified here. {unproven}");
            }
            Err(unproven) => return format!("names {subject}, does not hold. {unproven}"),
            Ok(()) => "signature intact",
        };
        let weak = match examined.hash {
            Some(hash) if examined.is_weak => format!(" but weak ({hash})"),
            _ => String::new(),
        };
        let trust = match examined.standing {
            Standing::Pinned => "by a signer that was given",
            Standing::Anchored => "leads to an authority that was given",
            _ if self.is_checked => "leads to nobody that was given",
            _ => "trust not checked",
        };
        format!("signed by {subject}, {unproven}{weak}, {trust}")
    }

    fn lines(&self, number: usize, examined: &Examined) -> Value {
        let certificate = examined.certificate.as_ref();
        let nested = if self.is_nested(number) { ", nested" } else { "" };
        let issuers = examined.chain.iter().cloned();
        let missing = examined.missing_issuer.iter();
        let missing = missing.map(|issuer| format!("{issuer} (not included)"));
        let issuers = joined(issuers.chain(missing)).or_else(|| certificate.map(|own| own.issuer.clone()));
        let valid = certificate.map(|own| format!("{} to {}", time(own.valid.0), time(own.valid.1)));
        lines([
            ("signature", json!(self.sentence(examined))),
            ("of", json!(format!("{}{nested}", place(examined.place)))),
            ("issued by", json!(issuers)),
            ("serial", json!(certificate.map(|own| &own.serial))),
            (
                "certificate",
                json!(certificate.map(|own| HEXLOWER.encode(&own.sha256))),
            ),
            (
                "key",
                json!(certificate.map(|own| SignerKey(own.key_sha256).to_string())),
            ),
            ("valid", json!(valid)),
            ("hash", json!(examined.hash)),
            ("signed at", json!(examined.stamp.as_ref().map(stamped))),
            ("valid then", json!(examined.is_valid_at_signing)),
            ("claimed name", json!(examined.program)),
            ("claimed URL", json!(examined.address)),
            ("revocation", json!(examined.revocation.as_ref().map(revocation))),
        ])
    }
}

/// The lines that say something.
fn lines<const N: usize>(all: [(&str, Value); N]) -> Value {
    let said = all.into_iter().filter(|(_, value)| !value.is_null());
    said.map(|(name, value)| (name.to_owned(), value))
        .collect::<Map<_, _>>()
        .into()
}

fn joined(texts: impl Iterator<Item = String>) -> Option<String> {
    let texts: Vec<_> = texts.collect();
    (!texts.is_empty()).then(|| texts.join("\n"))
}

fn stamped(stamp: &navx::Stamp) -> String {
    let known = if stamp.is_anchored {
        ""
    } else {
        ", who is not known here"
    };
    let weak = if stamp.is_weak { ", by a weak hash" } else { "" };
    format!("{} by {}{known}{weak}", time(stamp.at), stamp.authority)
}

fn revocation(found: &navx::Revocation) -> String {
    let listed = time(found.listed_at);
    match &found.revoked {
        Some((at, subject)) => format!("{subject} was taken back on {} (list of {listed})", time(*at)),
        None => format!("not on the list of {listed}"),
    }
}

fn place(place: Place) -> &'static str {
    match place {
        Place::Embedded => "embedded",
        _ => "package",
    }
}

fn state(examined: &Examined) -> &'static str {
    match examined.outcome.as_ref().map_err(|unproven| unproven.code) {
        Ok(()) => "intact",
        Err(UnprovenCode::DigestDiffers) => "mismatch",
        Err(UnprovenCode::Unreadable) => "unreadable",
        Err(UnprovenCode::Unsupported) => "unsupported",
        Err(_) => "broken",
    }
}

fn form(form: StampForm) -> &'static str {
    match form {
        StampForm::Pkcs9 => "pkcs9",
        _ => "rfc3161",
    }
}

fn standing(standing: Standing) -> &'static str {
    match standing {
        Standing::Pinned => "pinned",
        Standing::Anchored => "anchored",
        _ => "unknown",
    }
}
