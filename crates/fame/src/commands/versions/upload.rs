//! `fame versions upload`
//!
//! All packages are read and judged before the first byte is sent, each by itself and beside the others, so that a release
//! is not half published because its last file is damaged. They go in the order in which they need one another. After that,
//! one upload that fails does not hold up the others.

use super::{COLUMNS, partial::digest_of};
use crate::{
    args::{Country, availability},
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
use navx::{Dependency, Limits, Package};
use reqwest::StatusCode;
use serde_json::Value;
use std::{
    fs::File,
    io::{self, Cursor},
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
    #[arg(long, ignore_case = true, hide_possible_values = true, value_parser = availability())]
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
    sha256: String,
    contents: Package,
}

/// Largest package that is fetched to see whether it differs in more than where and when it was built.
const MAX_COMPARED_BYTES: u64 = 64 << 20;
const BUILT_AGAIN: &str = " It is the same content, built again: all entries are the same, and the manifests differ only in where and when the app was built.";

impl UploadArgs {
    pub(super) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let printer = session.printer;
        let packages = in_order(once_each(self.judge_all(printer).await?, printer)?);
        let mut countries: Vec<&Country> = Vec::new();
        for country in &self.countries {
            if !countries.contains(&country) {
                countries.push(country);
            }
        }
        let mut rows = Vec::new();
        let mut outcomes = Vec::new();
        for package in &packages {
            let mut published = Vec::new();
            for &country in &countries {
                match self.publish(session, package, country).await {
                    Ok(row) => {
                        rows.push(row);
                        published.push(country.0.as_str());
                    }
                    Err(failure) => {
                        let about = format!("{} for {}", package.file.display(), country.0);
                        failure.tell(printer, Some(&about));
                        outcomes.push(failure.exit());
                    }
                }
            }
            for lack in lacking(session, package, &published).await {
                printer.warning(format!("{}: {lack}", package.file.display()));
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
                        earlier.tell(printer, None);
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

/// The packages without those that are there twice.
///
/// # Errors
/// [`Failure::DifferentContent`] when two are the same version of the same app, and not the same.
fn once_each(packages: Vec<Judged>, printer: Printer) -> Result<Vec<Judged>, Failure> {
    let mut kept: Vec<Judged> = Vec::new();
    for package in packages {
        let (app, version) = (package.app, package.version);
        let Some(earlier) = kept
            .iter()
            .find(|kept| (kept.app, kept.version) == (app, version))
        else {
            kept.push(package);
            continue;
        };
        let (first, second) = (earlier.file.display(), package.file.display());
        if earlier.sha256 == package.sha256 {
            printer.note(format!(
                "{first} and {second} are the same package, which is sent once."
            ));
            continue;
        }
        let built_again = match earlier.contents.is_same_content(&package.contents) {
            true => BUILT_AGAIN,
            false => "",
        };
        return Err(Failure::DifferentContent(format!(
            "{first} and {second} are both version {version} of the app {app}, with different content; nothing was \
             sent.{built_again}"
        )));
    }
    Ok(kept)
}

/// The packages in an order in which each comes after what it needs, and as they were named where that is all the same.
fn in_order(mut left: Vec<Judged>) -> Vec<Judged> {
    let mut ordered = Vec::new();
    while !left.is_empty() {
        let needs_other = |package: &Judged| left.iter().any(|other| package.needs(other));
        let next = left.iter().position(|package| !needs_other(package));
        // In a circle nobody comes after all that they need.
        ordered.push(left.remove(next.unwrap_or(0)));
    }
    ordered
}

/// What the package needs and some of the countries have not, as far as the caller may see the apps.
async fn lacking(session: &Session, package: &Judged, countries: &[&str]) -> Vec<String> {
    let mut lacking = Vec::new();
    for needed in package.dependencies() {
        let Some(having) = having(session, needed).await else {
            continue;
        };
        let without = countries
            .iter()
            .filter(|&&country| !having.iter().any(|has| has == country));
        let without: Vec<&str> = without.copied().collect();
        if without.is_empty() {
            continue;
        }
        let elsewhere = match having.is_empty() {
            true => "no country has it".to_owned(),
            false => format!("there is one in {}", having.join(", ")),
        };
        lacking.push(format!(
            "it needs {} {} or newer ({}), which is not in {}; {elsewhere}.",
            needed.name,
            needed.min_version,
            needed.id,
            without.join(", ")
        ));
    }
    lacking
}

/// The countries that have a version of an app that is new enough; none when the app is not for the caller to see.
async fn having(session: &Session, needed: &Dependency) -> Option<Vec<String>> {
    let app = AppId(needed.id);
    let minimum = AppVersion(needed.min_version.parts());
    let countries = session.client.list_countries(app).json().all().await.ok()?;
    let codes = countries
        .iter()
        .filter_map(|row| row.get("countryCode")?.as_str());
    let mut having = Vec::new();
    for code in codes {
        let versions = session.client.list_versions(app, code).json().all().await.ok()?;
        let is_enough = |row: &Value| {
            let version = row["version"].as_str().and_then(|version| version.parse().ok());
            row["status"] == "Uploaded" && version >= Some(minimum)
        };
        if versions.iter().any(is_enough) {
            having.push(code.to_owned());
        }
    }
    Some(having)
}

impl Judged {
    fn dependencies(&self) -> &[Dependency] {
        self.contents
            .manifest
            .as_ref()
            .map_or(&[], |manifest| &manifest.dependencies)
    }

    /// Whether it depends on the other's app.
    fn needs(&self, other: &Self) -> bool {
        self.app != other.app && self.dependencies().iter().any(|needed| needed.id == other.app.0)
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
        sha256: sha256_of(path).map_err(|error| Failure::unreadable(path, &error))?,
        contents: package,
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
        let bar = self.session.printer.progress(package.contents.size, title);
        let shown = bar.clone();
        let upload = Upload::file(&package.file, package.contents.size)
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
        let theirs = self.stored().sha256().await?;
        let told = match self.is_same(&theirs) || !self.is_built_again().await {
            true => "",
            false => BUILT_AGAIN,
        };
        self.compare(&theirs, told)
    }

    /// Whether what is stored differs in nothing but where and when it was built, as far as that can be seen.
    async fn is_built_again(&self) -> bool {
        if self.package.contents.size > MAX_COMPARED_BYTES {
            return false;
        }
        let Ok(stored) = self.stored().bytes().await else {
            return false;
        };
        let reading =
            tokio::task::spawn_blocking(move || navx::read(Cursor::new(stored), &Limits::default()));
        let stored = reading.await;
        matches!(stored, Ok(Ok(stored)) if stored.is_same_content(&self.package.contents))
    }

    fn is_same(&self, theirs: &str) -> bool {
        theirs.eq_ignore_ascii_case(&self.package.sha256)
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
        if self.is_same(theirs) {
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
