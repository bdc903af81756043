//! Packages that are to be published: read and judged before the first byte is sent, each by itself and beside the others.

use super::{partial::digest_of, target::is_uploaded};
use crate::{commands::package, failure::Failure, output::Printer, session::Session};
use domain::{ids::AppId, version::AppVersion};
use navx::{Dependency, Package};
use serde_json::Value;
use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

/// A package that was read and found good.
pub(in crate::commands) struct Judged {
    /// Where it lies, as it was named.
    pub file: PathBuf,
    /// Whose it is.
    pub app: AppId,
    /// Which of its versions it is.
    pub version: AppVersion,
    /// The SHA-256 of the file, in lower-case hexadecimal digits.
    pub sha256: String,
    /// What it says.
    pub contents: Package,
}

pub(in crate::commands) const BUILT_AGAIN: &str = " It is the same content, built again: all entries are the same, and the manifests differ only in where and when the app was built.";

/// Reads all packages and complains of every bad one.
///
/// # Errors
/// That of the last bad one; the others are told of.
pub(in crate::commands) async fn judge_all(
    files: &[PathBuf],
    printer: Printer,
) -> Result<Vec<Judged>, Failure> {
    let mut good = Vec::new();
    let mut last_failure = None;
    for file in files {
        let file = file.clone();
        let reading = tokio::task::spawn_blocking(move || judge(&file)).await;
        match reading.map_err(|error| Failure::Unexpected(error.to_string()))? {
            Ok(package) => good.push(package),
            Err(failure) => {
                if let Some(earlier) = last_failure.replace(failure) {
                    earlier.tell(printer, None);
                }
            }
        }
    }
    match last_failure {
        Some(failure) => Err(failure),
        None => Ok(good),
    }
}

/// The packages without those that are there twice.
///
/// # Errors
/// [`Failure::DifferentContent`] when two are the same version of the same app, and not the same.
pub(in crate::commands) fn once_each(
    packages: Vec<Judged>,
    printer: Printer,
) -> Result<Vec<Judged>, Failure> {
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
pub(in crate::commands) fn in_order(mut left: Vec<Judged>) -> Vec<Judged> {
    let mut ordered = Vec::new();
    while !left.is_empty() {
        let needs_other = |package: &Judged| left.iter().any(|other| package.needs(other));
        let next = left.iter().position(|package| !needs_other(package));
        // In a circle nobody comes after all that they need.
        ordered.push(left.remove(next.unwrap_or(0)));
    }
    ordered
}

/// What the package needs and some of the countries neither have nor get, as far as the caller may see the apps; `brought` are
/// those that get it.
pub(in crate::commands) async fn lacking(
    session: &Session,
    package: &Judged,
    countries: &[&str],
    brought: impl Fn(&Dependency) -> Vec<String>,
) -> Vec<String> {
    let mut lacking = Vec::new();
    for needed in package.dependencies() {
        let brought = brought(needed);
        let countries = countries
            .iter()
            .filter(|&&country| !brought.iter().any(|got| got == country));
        let countries: Vec<&str> = countries.copied().collect();
        if countries.is_empty() {
            continue;
        }
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
            is_uploaded(row) && version >= Some(minimum)
        };
        if versions.iter().any(is_enough) {
            having.push(code.to_owned());
        }
    }
    Some(having)
}

impl Judged {
    /// What it says that it needs.
    pub(in crate::commands) fn dependencies(&self) -> &[Dependency] {
        self.contents
            .manifest
            .as_ref()
            .map_or(&[], |manifest| &manifest.dependencies)
    }

    /// Whether it depends on the other's app.
    pub(in crate::commands) fn needs(&self, other: &Self) -> bool {
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

/// The SHA-256 of a file, in lower-case hexadecimal digits.
fn sha256_of(path: &Path) -> io::Result<String> {
    Ok(digest_of(File::open(path)?)?.0)
}
