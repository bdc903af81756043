//! `fame package sign-info`: every signature of packages, for people who look.

use super::{
    demands::Demands,
    signatures::{TrustArgs, look_at},
};
use crate::{exit::Exit, failure::Failure, output::Printer};
use clap::Args;
use std::path::PathBuf;

/// `fame package sign-info FILE…`
#[derive(Args, Debug)]
pub(crate) struct SignInfoArgs {
    /// The packages
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    trust: TrustArgs,
}

impl SignInfoArgs {
    /// Runs the command.
    pub(super) fn run(self, printer: Printer) -> Result<Exit, Failure> {
        let demands = Demands {
            signers: self.trust.signers(),
            ..Demands::default()
        };
        let looked = look_at(&self.files, &self.trust.read()?, &demands, printer)?;
        looked.show_all(printer)?;
        Ok(looked.exit())
    }
}
