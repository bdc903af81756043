//! `fame package`: what a package file says about itself, with the very reader that the service uses.

use crate::{
    exit::Exit,
    failure::Failure,
    output::{Printer, cell},
};
use clap::Subcommand;
use navx::{Kind, Limits, Manifest, Package, PackageError};
use serde_json::{Value, json};
use std::{
    fs::File,
    path::{Path, PathBuf},
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
}

impl PackageCommand {
    /// Runs the command.
    ///
    /// # Errors
    /// [`Failure::Package`] when the package is refused, [`Failure::Io`] when it cannot be read.
    pub(crate) fn run(self, printer: Printer) -> Result<Exit, Failure> {
        let Self::Inspect { file } = self;
        let package = read(&file)?;
        let facts = serde_json::to_value(&package).map_err(|error| Failure::Unexpected(error.to_string()))?;
        if printer.is_json() {
            printer.record(&facts)?;
        } else {
            printer.record(&overview(&package, &facts))?;
        }
        Ok(Exit::Done)
    }
}

/// Reads a package as the service will.
///
/// # Errors
/// [`Failure::Package`] when the package is refused, [`Failure::Io`] when it cannot be read.
pub(crate) fn read(path: &Path) -> Result<Package, Failure> {
    let file = File::open(path).map_err(|error| Failure::file("read", path, error))?;
    navx::read(file, &Limits::default()).map_err(|error| match error {
        PackageError::Io(source) => Failure::file("read", path, source),
        refused => Failure::Package {
            file: path.display().to_string(),
            code: refused.code().to_owned(),
            message: refused.to_string(),
        },
    })
}

/// The facts that people ask for first, one per line.
fn overview(package: &Package, facts: &Value) -> Value {
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
    line("signature", json!(signature(package)));
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

fn signature(package: &Package) -> String {
    match package.signature {
        Some(signature) => format!("{} bytes, not verified", signature.bytes),
        None => "none".to_owned(),
    }
}
