//! `fame package`: what a package file says about itself, with the very reader that the service uses.

mod demands;
mod diff;
mod sarif;
mod sign_info;
mod signatures;
mod verify;

use crate::{
    exit::Exit,
    failure::Failure,
    output::{Printer, cell},
};
use clap::Subcommand;
use data_encoding::HEXLOWER;
use domain::signer::SignerKey;
use jiff::Timestamp;
use navx::{Kind, Limits, Manifest, Package, PackageError, Signer, Unproven};
use serde_json::{Value, json};
use server::clock::Clock;
use std::{
    fs::File,
    io::{Read, Seek},
    path::{Path, PathBuf},
    time::SystemTime,
};

/// `fame package …`
#[derive(Subcommand, Debug)]
pub(crate) enum PackageCommand {
    /// Show what is in a package; exit code 14 when it is not an acceptable one
    Inspect {
        /// The package
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Say whether schema synchronisation would refuse NEW where OLD is installed: exit code 17 if it would, 18 if that
    /// cannot be told from the files
    Diff(diff::DiffArgs),
    /// Check packages and every signature in them
    Verify(verify::VerifyArgs),
    /// Show every signature in packages: by whom, when, and whether it holds
    SignInfo(sign_info::SignInfoArgs),
}

impl PackageCommand {
    /// Runs the command.
    ///
    /// # Errors
    /// [`Failure::Package`] when the package is refused, [`Failure::Usage`] when it cannot be read.
    pub(crate) fn run(self, printer: Printer) -> Result<Exit, Failure> {
        match self {
            Self::Inspect { file } => inspect(&file, printer),
            Self::Diff(args) => args.run(printer),
            Self::Verify(args) => args.run(printer),
            Self::SignInfo(args) => args.run(printer),
        }
    }
}

fn inspect(file: &Path, printer: Printer) -> Result<Exit, Failure> {
    let package = read(file)?;
    let proof = prove(file, &package)?;
    let mut facts = serde_json::to_value(&package).map_err(|error| Failure::Unexpected(error.to_string()))?;
    let proven = match &proof {
        Ok(signer) => Some(("signer", signer_facts(signer))),
        Err(unproven) if package.signature.is_some() => {
            let why = json!({ "code": unproven.code.as_str(), "message": unproven.message });
            Some(("unproven", why))
        }
        Err(_) => None,
    };
    if let (Some((name, value)), Some(facts)) = (proven, facts.as_object_mut()) {
        facts.insert(name.to_owned(), value);
    }
    if printer.is_json() {
        printer.record(&facts)?;
    } else {
        printer.record(&overview(&package, &proof, &facts))?;
    }
    Ok(Exit::Done)
}

/// Reads a package as the service will.
///
/// # Errors
/// [`Failure::Package`] when the package is refused, [`Failure::Usage`] when it cannot be read.
pub(crate) fn read(path: &Path) -> Result<Package, Failure> {
    let file = File::open(path).map_err(|error| Failure::unreadable(path, &error))?;
    read_from(path, file)
}

/// The same for the bytes of the package that lies at `path`.
///
/// # Errors
/// [`Failure::Package`] when the package is refused.
pub(crate) fn read_from(path: &Path, bytes: impl Read + Seek) -> Result<Package, Failure> {
    navx::read(bytes, &Limits::default()).map_err(|error| refused(path, error))
}

fn prove(path: &Path, package: &Package) -> Result<Result<Signer, Unproven>, Failure> {
    let file = File::open(path).map_err(|error| Failure::unreadable(path, &error))?;
    navx::prove(file, package, Clock::system().now().into()).map_err(|error| refused(path, error))
}

fn refused(path: &Path, error: PackageError) -> Failure {
    match error {
        PackageError::Io(source) => Failure::unreadable(path, &source),
        refused => Failure::Package {
            file: path.display().to_string(),
            code: refused.code().to_owned(),
            message: refused.to_string(),
        },
    }
}

/// The facts that people ask for first, one per line.
fn overview(package: &Package, proof: &Result<Signer, Unproven>, facts: &Value) -> Value {
    let mut lines = serde_json::Map::new();
    let mut line = |name: &str, value: Value| {
        if !value.is_null() {
            lines.insert(name.to_owned(), value);
        }
    };
    line("kind", facts["kind"].clone());
    if let Some(app) = &package.manifest {
        for (name, value) in app_lines(app) {
            line(name, value);
        }
    }
    line("package id", json!(package.package_id));
    line("size", json!(format!("{} bytes", package.size)));
    for (name, value) in signature_lines(package, proof) {
        line(name, value);
    }
    if package.kind != Kind::Runtime {
        line("source inside", json!(package.has_source));
        line("symbols inside", json!(package.has_symbols));
    }
    lines.into()
}

fn app_lines(app: &Manifest) -> [(&'static str, Value); 8] {
    let dependency = |needed: &navx::Dependency| {
        format!(
            "{} {} {} ({})",
            needed.publisher, needed.name, needed.min_version, needed.id
        )
    };
    let dependencies: Vec<String> = app.dependencies.iter().map(dependency).collect();
    [
        ("app", json!(app.app_id)),
        ("name", json!(app.name)),
        ("publisher", json!(app.publisher)),
        ("version", json!(app.version.to_string())),
        (
            "application",
            json!(app.application.map(|version| version.to_string())),
        ),
        ("platform", json!(app.platform.map(|version| version.to_string()))),
        ("runtime", json!(app.runtime)),
        ("needs", lines_or_null(&dependencies)),
    ]
}

fn lines_or_null(texts: &[String]) -> Value {
    if texts.is_empty() {
        return Value::Null;
    }
    json!(
        texts
            .iter()
            .map(|text| cell(&json!(text)))
            .collect::<Vec<_>>()
            .join("\n")
    )
}

/// What is proven, and what is not. Nobody is called trusted: that cannot be told from a package.
fn signature_lines(package: &Package, proof: &Result<Signer, Unproven>) -> Vec<(&'static str, Value)> {
    let signer = match (package.signature, proof) {
        (None, _) => return vec![("signature", json!("none"))],
        (Some(_), Err(unproven)) => return vec![("signature", json!(format!("proves nothing. {unproven}")))],
        (Some(_), Ok(signer)) => signer,
    };
    let stamp = signer.stamp.as_ref();
    let chain = signer.chain.iter().map(String::as_str);
    let missing = signer.missing_issuer.iter();
    let missing = missing.map(|issuer| format!("{issuer} (not included, so not proven)"));
    let issuers: Vec<_> = chain.map(str::to_owned).chain(missing).collect();
    vec![
        (
            "signature",
            json!("intact; whether its signer is trusted was not checked"),
        ),
        ("signed by", json!(signer.subject)),
        ("key", json!(SignerKey(signer.key_sha256).to_string())),
        ("issued by", lines_or_null(&issuers)),
        (
            "valid",
            json!(format!("{} to {}", time(signer.valid.0), time(signer.valid.1))),
        ),
        (
            "stamped",
            json!(stamp.map(|stamp| format!("{} by {}", time(stamp.at), stamp.authority))),
        ),
    ]
}

fn signer_facts(signer: &Signer) -> Value {
    let stamp = signer.stamp.as_ref();
    json!({
        "subject": signer.subject,
        "keySha256": SignerKey(signer.key_sha256).to_string(),
        "certificateSha256": HEXLOWER.encode(&signer.certificate_sha256),
        "validFrom": time(signer.valid.0),
        "validUntil": time(signer.valid.1),
        "hash": signer.hash,
        "stamp": stamp.map(|stamp| json!({ "at": time(stamp.at), "authority": stamp.authority })),
        "chain": signer.chain,
        "missingIssuer": signer.missing_issuer,
    })
}

/// A moment to the second, as far as the calendar goes.
fn time(at: SystemTime) -> String {
    Timestamp::try_from(at).map_or_else(|_| "?".to_owned(), |at| at.to_string())
}
