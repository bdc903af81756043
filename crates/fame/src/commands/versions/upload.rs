//! `fame versions upload`
//!
//! All packages are read and judged before the first byte is sent, so that a release is not half published because
//! its last file is damaged. After that, one upload that fails does not hold up the others.

use super::COLUMNS;
use crate::{
    args::{Country, Shelf},
    client::{Call, Client},
    commands::package,
    exit::Exit,
    failure::{Failure, Refusal},
    output::Printer,
    upload::{Meter, PackageUpload},
};
use clap::Args;
use data_encoding::HEXLOWER;
use domain::{
    ids::AppId,
    version::{AppVersion, Availability},
};
use indicatif::ProgressBar;
use reqwest::{Method, StatusCode, Url};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

/// `fame versions upload`
#[derive(Args, Debug)]
pub struct UploadArgs {
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
    pub(super) async fn run(self, client: &Client) -> Result<Exit, Failure> {
        let printer = client.printer();
        let packages = self.judge_all(printer).await?;
        let mut rows = Vec::new();
        let mut outcomes = Vec::new();
        for package in &packages {
            for country in &self.countries {
                match self.publish(client, package, country).await {
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
                        printer.failure(&earlier);
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
    async fn publish(&self, client: &Client, package: &Judged, country: &Country) -> Result<Value, Failure> {
        let printer = client.printer();
        let place = Place::of(client, package, country);
        if self.skip_existing
            && let Some(existing) = place.existing(client).await?
        {
            place.check_same_bytes(client, package).await?;
            printer.note(place.already_there(package));
            return Ok(existing);
        }
        match self.send(client, package, &place).await {
            Ok(row) => Ok(row),
            Err(failure) => match failure.refusal(StatusCode::CONFLICT) {
                Some(refusal) if refusal.code == "ResourceExists" => {
                    place.check_same_bytes_as_told(client, package, refusal).await?;
                    if !self.skip_existing {
                        printer.note("The bytes are the same: with --skip-existing this would be a success.");
                        return Err(failure);
                    }
                    printer.note(place.already_there(package));
                    client.get(place.version.clone()).await
                }
                _ => Err(failure),
            },
        }
    }

    async fn send(&self, client: &Client, package: &Judged, place: &Place) -> Result<Value, Failure> {
        let availability = self.availability.map(Availability::as_str);
        let upload = PackageUpload::new(&package.file, package.size, availability)?;
        let title = format!("{} {} → {}", package.app, package.version, place.country);
        let bar = client.printer().progress(package.size, title);
        let make = |meter: &Meter| {
            bar.reset();
            let bar: ProgressBar = bar.clone();
            upload.body(meter, move |bytes| bar.inc(bytes))
        };
        let call = Call::new(Method::POST, place.versions.clone()).stream(&make);
        let sent = client.fetch(&call).await;
        bar.finish_and_clear();
        sent
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
        sha256: sha256_of(path).map_err(|error| Failure::file("read", path, error))?,
    })
}

fn sha256_of(path: &Path) -> io::Result<String> {
    let mut digest = Sha256::new();
    super::partial::digest_all(File::open(path)?, &mut digest)?;
    Ok(HEXLOWER.encode(&digest.finalize()))
}

/// Where a package goes.
struct Place {
    country: String,
    versions: Url,
    version: Url,
    contents: Url,
}

impl Place {
    fn of(client: &Client, package: &Judged, country: &Country) -> Self {
        let shelf = Shelf {
            app: package.app,
            country: country.clone(),
        };
        let number = package.version.to_string();
        Self {
            country: country.0.clone(),
            versions: shelf.address(client, &["versions"]),
            version: shelf.address(client, &["versions", &number]),
            contents: shelf.address(client, &["versions", &number, "getPackageContents"]),
        }
    }

    /// The version, if it was uploaded before and its upload did not fail.
    async fn existing(&self, client: &Client) -> Result<Option<Value>, Failure> {
        match client.get(self.version.clone()).await {
            Ok(row) => Ok(Some(row).filter(|row| row["status"] == "Uploaded")),
            Err(failure) if failure.exit() == Exit::NotFound => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    async fn check_same_bytes(&self, client: &Client, package: &Judged) -> Result<(), Failure> {
        let theirs = super::partial::stored_sha256(client, &self.contents).await?;
        self.compare(package, &theirs, "")
    }

    /// As [`Place::check_same_bytes`], with the digest from the refusal where it names one.
    async fn check_same_bytes_as_told(
        &self,
        client: &Client,
        package: &Judged,
        refusal: &Refusal,
    ) -> Result<(), Failure> {
        match refusal.facts.get("sha256").and_then(Value::as_str) {
            Some(theirs) => self.compare(package, theirs, &format!("\n{refusal}")),
            None => self.check_same_bytes(client, package).await,
        }
    }

    fn compare(&self, package: &Judged, theirs: &str, told: &str) -> Result<(), Failure> {
        if theirs.eq_ignore_ascii_case(&package.sha256) {
            return Ok(());
        }
        let (version, country, ours) = (package.version, &self.country, &package.sha256);
        Err(Failure::DifferentContent(format!(
            "Version {version} exists in {country} with different content and is never overwritten: its SHA-256 is \
             {theirs}, that of the file is {ours}.{told}"
        )))
    }

    fn already_there(&self, package: &Judged) -> String {
        let (file, version) = (package.file.display(), package.version);
        format!(
            "{file}: version {version} is in {} already, with the same bytes.",
            self.country
        )
    }
}
