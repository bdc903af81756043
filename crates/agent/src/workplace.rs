//! What a driver is given while it works on one operation.

use crate::{
    clock::Clock,
    driver::{Mark, Work, Workplace},
    failure::Failure,
    folder::Folder,
    journal::Journal,
    package,
    redact::Redactor,
    service::Caller,
};
use domain::signer::SignerRule;
use futures::future::BoxFuture;
use serde_json::Value;
use std::{
    future,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::sync::{Notify, OnceCell, watch};
use tokio_util::sync::CancellationToken;
use wire::agent::{LONGEST_STEP, LONGEST_TEXT, Progress};

/// Where one operation is carried out.
pub(crate) struct Place<'p> {
    pub(crate) work: &'p Work,
    /// What the driver is called.
    pub(crate) driver: &'p str,
    pub(crate) journal: &'p Journal,
    pub(crate) folder: &'p Folder,
    pub(crate) caller: &'p Caller,
    pub(crate) clock: &'p dyn Clock,
    pub(crate) redactor: &'p Redactor,
    pub(crate) package: OnceCell<PathBuf>,
    pub(crate) max_package_bytes: u64,
    /// Who must have signed the package.
    pub(crate) signers: &'p SignerRule,
    pub(crate) progress: watch::Sender<Progress>,
    pub(crate) may_begin: &'p (dyn Fn() -> Result<(), Failure> + Send + Sync),
    /// The agent stops, and leaves to the next start whatever only waits.
    pub(crate) leaving: &'p CancellationToken,
    /// Told when this operation is left.
    pub(crate) left: &'p Notify,
}

impl Place<'_> {
    async fn write_down(&self, step: &str, facts: Value) -> Result<(), Failure> {
        let id = self.work.operation_id;
        let record = self.journal.record(id);
        let is_first = record.as_ref().is_none_or(|record| record.marks.is_empty());
        if is_first && self.work.target.is_some() && !self.package.initialized() {
            package::check_unseen(self.signers)?;
        }
        let is_begun = record.is_some_and(|record| record.begun_on.is_some());
        let written = async {
            if !is_begun {
                self.journal.begin(id, self.driver, self.clock.now()).await?;
            }
            self.journal.mark(id, step, facts).await
        };
        written
            .await
            .map_err(|error| Failure::other(format!("{error}. Step {step} was not begun.")))
    }
}

impl Workplace for Place<'_> {
    fn package(&self) -> BoxFuture<'_, Result<&Path, Failure>> {
        Box::pin(async {
            let brought = self.package.get_or_try_init(async || {
                self.progress(None, "Download", "Bringing the package.");
                let (service, now) = (self.caller.now(), self.clock.now());
                package::bring(
                    &service,
                    self.folder,
                    self.work,
                    self.max_package_bytes,
                    self.signers,
                    now,
                )
                .await
            });
            brought.await.map(PathBuf::as_path)
        })
    }

    fn may_begin(&self) -> Result<(), Failure> {
        (self.may_begin)()
    }

    fn mark(&self, step: &str, facts: Value) -> BoxFuture<'_, Result<(), Failure>> {
        let step = step.to_owned();
        Box::pin(async move { self.write_down(&step, facts).await })
    }

    fn rest(&self, span: Duration) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            tokio::select! {
                () = self.clock.pause(span) => {}
                () = self.leaving.cancelled() => {
                    self.left.notify_one();
                    future::pending().await
                }
            }
        })
    }

    fn marks(&self) -> Vec<Mark> {
        let record = self.journal.record(self.work.operation_id);
        record.map(|record| record.marks).unwrap_or_default()
    }

    fn progress(&self, percent: Option<u8>, step: &str, text: &str) {
        let text = self.redactor.redact(text);
        self.progress.send_replace(Progress {
            percent: percent.map(|percent| percent.min(100)),
            step: Some(start_of(step, LONGEST_STEP).to_owned()),
            text: Some(start_of(&text, LONGEST_TEXT).to_owned()),
        });
    }
}

/// The first so many bytes of a text, without half a letter.
fn start_of(text: &str, bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes)).unwrap_or_default()
}
