//! `fame package verify`: whether packages are whole and their signatures hold, for pipelines that must decide.

use super::{
    demands::Demands,
    sarif,
    signatures::{TrustArgs, look_at},
};
use crate::{exit::Exit, failure::Failure, output::Printer};
use clap::Args;
use std::{fs, path::PathBuf};

/// `fame package verify FILE…`
#[derive(Args, Debug)]
pub(crate) struct VerifyArgs {
    /// The packages
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Exit code 19 for a package that is not signed
    #[arg(long)]
    require_signature: bool,
    /// Exit code 18 for a package whose signer is not known by --trust or --signer
    #[arg(long)]
    require_trust: bool,
    #[command(flatten)]
    trust: TrustArgs,
    /// Write the findings to this file as SARIF 2.1.0, for code scanning
    #[arg(long, value_name = "FILE")]
    sarif: Option<PathBuf>,
    /// The project's folder in its repository, whose app.json the findings in SARIF are about
    #[arg(long, value_name = "PATH", requires = "sarif")]
    sarif_root: Option<String>,
}

impl VerifyArgs {
    /// Runs the command.
    pub(super) fn run(self, printer: Printer) -> Result<Exit, Failure> {
        let demands = Demands {
            signature: self.require_signature,
            trust: self.require_trust,
            signers: self.trust.signers(),
        };
        let location = sarif::location(self.sarif_root.as_deref()).map_err(Failure::Usage)?;
        let looked = look_at(&self.files, &self.trust.read()?, &demands, printer)?;
        if let Some(path) = &self.sarif {
            let log = sarif::log_of_rows(looked.rows(), &location).to_string();
            fs::write(path, log).map_err(|source| Failure::file("write", path, source))?;
        }
        looked.show_verdicts(printer)?;
        Ok(looked.exit())
    }
}
