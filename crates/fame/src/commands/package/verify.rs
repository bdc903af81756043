//! `fame package verify`: whether packages are whole and their signatures hold, for pipelines that must decide.

use super::{
    demands::Demands,
    signatures::{TrustArgs, look_at},
};
use crate::{exit::Exit, failure::Failure, output::Printer};
use clap::Args;
use std::path::PathBuf;

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
}

impl VerifyArgs {
    /// Runs the command.
    pub(super) fn run(self, printer: Printer) -> Result<Exit, Failure> {
        let demands = Demands {
            signature: self.require_signature,
            trust: self.require_trust,
            signers: self.trust.signers(),
        };
        let looked = look_at(&self.files, &self.trust.read()?, &demands, printer)?;
        looked.show_verdicts(printer)?;
        Ok(looked.exit())
    }
}
