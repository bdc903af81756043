//! `fame versions upload`
//!
//! All packages are read and judged before the first byte is sent, so that a release is not half published because
//! its last file is damaged. After that, one upload that fails does not hold up the others.

use super::{COLUMNS, partial::digest_of};
use crate::{
    args::Country,
    commands::package,
    exit::Exit,
    failure::{Failure, told},
    output::Printer,
    session::Session,
};
use clap::Args;
use client::{Refusal, Request, StoredPackage, Upload};
use domain::{
    ids::AppId,
    version::{AppVersion, Availability},
};
use reqwest::StatusCode;
use serde_json::Value;
use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

/// `fame versions upload`
#[derive(Args, Debug)]
pub(crate) struct UploadArgs {
    /// The packages (.app); each says itself which app and version it is
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Country to publish in, such as US; repeat it for several
    #[arg(
        long = "country",
        short,
        required = true,
        value_name = "CODE",
        value_delimiter = ','
    )]
    countries: Vec<Country>,
    /// To whom it is offered at first: Preview, Available or Deprecated; left out, the service decides (Preview)
    #[arg(long)]
    availability: Option<Availability>,
    /// Succeed when the same bytes are there already; exit code 15 when the number holds different bytes
    #[arg(long)]
    skip_existing: bool,
}

/// A package that was read and found good.
struct Judged {
    file: PathBuf,
    app: AppId,
    version: AppVersion,
    size: u64,
    sha256: String,
}

impl UploadArgs {
    pub(super) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let printer = session.printer;
        let packages = self.judge_all(printer).await?;
        let mut rows = Vec::new();
        let mut outcomes = Vec::new();
        for package in &packages {
            for country in &self.countries {
                match self.publish(session, package, country).await {
                    Ok(row) => rows.push(row),
                    Err(failure) => {
                        let file = package.file.display();
                        printer.error(format!("{file} for {}: {failure}", country.0));
                        outcomes.push(failure.exit());
                    }
                }
            }
        }
        if !rows.is_empty() || printer.is_json() {
            printer.rows(&rows, COLUMNS)?;
        }
        Ok(Exit::first_of(outcomes))
    }

    /// Reads all packages and complains of every bad one.
    async fn judge_all(&self, printer: Printer) -> Result<Vec<Judged>, Failure> {
        let mut good = Vec::new();
        let mut first_failure = None;
        for file in self.files.clone() {
            let reading = tokio::task::spawn_blocking(move || judge(&file)).await;
            match reading.map_err(|error| Failure::Unexpected(error.to_string()))? {
                Ok(package) => good.push(package),
                Err(failure) => {
                    if let Some(earlier) = first_failure.replace(failure) {
                        printer.error(earlier.to_string());
                    }
                }
            }
        }
        match first_failure {
            Some(failure) => Err(failure),
            None => Ok(good),
        }
    }

    /// Uploads a package for one country, unless it is there. Returns the version as the service shows it.
    async fn publish(
        &self,
        session: &Session,
        package: &Judged,
        country: &Country,
    ) -> Result<Value, Failure> {
        let printer = session.printer;
        let target = Target {
            session,
            package,
            country: &country.0,
        };
        if self.skip_existing
            && let Some(existing) = target.existing().await?
        {
            target.check_same_bytes().await?;
            printer.note(target.already_there());
            return Ok(existing);
        }
        let error = match target.upload(self.availability).await {
            Ok(row) => return Ok(row),
            Err(error) => error,
        };
        match error.refusal(StatusCode::CONFLICT) {
            Some(refusal) if refusal.code() == "ResourceExists" => {
                target.check_same_bytes_as_told(refusal).await?;
                if error.is_open() {
                    printer.note(target.arrived_unanswered());
                } else if self.skip_existing {
                    printer.note(target.already_there());
                } else {
                    printer.note("The bytes are the same: with --skip-existing this would be a success.");
                    return Err(error.into());
                }
                Ok(target.version().await?)
            }
            _ if error.is_open() => match target.existing().await {
                Ok(Some(existing)) => {
                    target.check_same_bytes().await?;
                    printer.note(target.arrived_unanswered());
                    Ok(existing)
                }
                Ok(None) | Err(_) => Err(error.into()),
            },
            _ => Err(error.into()),
        }
    }
}

/// Reads a package, and its digest.
fn judge(path: &Path) -> Result<Judged, Failure> {
    let package = package::read(path)?;
    let refuse = |code: &str, message: &str| Failure::Package {
        file: path.display().to_string(),
        code: code.to_owned(),
        message: message.to_owned(),
    };
    let Some(manifest) = &package.manifest else {
        let message =
            "This is a runtime package, whose manifest cannot be read, so nobody can tell which app it is.";
        return Err(refuse("RuntimePackage", message));
    };
    Ok(Judged {
        file: path.to_owned(),
        app: manifest.app_id.into(),
        version: AppVersion(manifest.version.parts()),
        size: package.size,
        sha256: sha256_of(path).map_err(|error| Failure::unreadable(path, &error))?,
    })
}

fn sha256_of(path: &Path) -> io::Result<String> {
    Ok(digest_of(File::open(path)?)?.0)
}

/// Where a package goes.
struct Target<'a> {
    session: &'a Session,
    package: &'a Judged,
    country: &'a str,
}

impl Target<'_> {
    /// The version as the service shows it.
    fn version(&self) -> Request<Value> {
        let client = &self.session.client;
        client
            .get_version(self.package.app, self.country, self.package.version)
            .json()
    }

    fn stored(&self) -> StoredPackage {
        let client = &self.session.client;
        client.get_package_contents(self.package.app, self.country, self.package.version)
    }

    async fn upload(&self, availability: Option<Availability>) -> client::Result<Value> {
        let package = self.package;
        let title = format!("{} {} → {}", package.app, package.version, self.country);
        let bar = self.session.printer.progress(package.size, title);
        let shown = bar.clone();
        let upload = Upload::file(&package.file, package.size)
            .availability(availability)
            .on_progress(move |bytes| shown.set_position(bytes));
        let client = &self.session.client;
        let sent = client
            .upload_version(package.app, self.country, upload)
            .json()
            .await;
        bar.finish_and_clear();
        sent
    }

    /// The version, if it was uploaded before and its upload did not fail.
    async fn existing(&self) -> Result<Option<Value>, Failure> {
        match self.version().await {
            Ok(row) => Ok(Some(row).filter(|row| row["status"] == "Uploaded")),
            Err(error) if error.refusal(StatusCode::NOT_FOUND).is_some() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn check_same_bytes(&self) -> Result<(), Failure> {
        self.compare(&self.stored().sha256().await?, "")
    }

    /// As [`Target::check_same_bytes`], with the digest from the refusal where it names one.
    async fn check_same_bytes_as_told(&self, refusal: &Refusal) -> Result<(), Failure> {
        match refusal.facts().get("sha256").and_then(Value::as_str) {
            Some(theirs) => self.compare(theirs, &format!("\n{}", told(refusal))),
            None => self.check_same_bytes().await,
        }
    }

    fn compare(&self, theirs: &str, told: &str) -> Result<(), Failure> {
        let ours = &self.package.sha256;
        if theirs.eq_ignore_ascii_case(ours) {
            return Ok(());
        }
        let (version, country) = (self.package.version, self.country);
        Err(Failure::DifferentContent(format!(
            "Version {version} exists in {country} with different content and is never overwritten: its SHA-256 is \
             {theirs}, that of the file is {ours}.{told}"
        )))
    }

    fn arrived_unanswered(&self) -> String {
        let (file, version) = (self.package.file.display(), self.package.version);
        format!(
            "{file}: the answer was lost, but version {version} is in {}, with the same bytes.",
            self.country
        )
    }

    fn already_there(&self) -> String {
        let (file, version) = (self.package.file.display(), self.package.version);
        format!(
            "{file}: version {version} is in {} already, with the same bytes.",
            self.country
        )
    }
}
