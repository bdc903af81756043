//! What a driver is given while it works on one operation.

use crate::{
    clock::SharedClock,
    driver::{Mark, Work, Workplace},
    failure::Failure,
    folder::Folder,
    journal::Journal,
    package,
    redact::Redactor,
    service::Caller,
};
use futures::future::BoxFuture;
use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::sync::{OnceCell, watch};
use wire::agent::Progress;

/// How much of a text is told while work goes on.
const TEXT_BYTES: usize = 4 << 10;
const STEP_BYTES: usize = 100;

pub(crate) struct Bench {
    pub(crate) work: Work,
    pub(crate) journal: Journal,
    pub(crate) folder: Arc<Folder>,
    pub(crate) caller: Arc<Caller>,
    pub(crate) clock: SharedClock,
    pub(crate) redactor: Arc<Redactor>,
    pub(crate) package: OnceCell<PathBuf>,
    pub(crate) progress: watch::Sender<Progress>,
}

impl Bench {
    async fn write_down(&self, step: &str, facts: Value) -> Result<(), Failure> {
        let id = self.work.operation_id;
        let is_begun = self
            .journal
            .record(id)
            .is_some_and(|record| record.begun_on.is_some());
        let written = async {
            if !is_begun {
                self.journal.begin(id, self.clock.now()).await?;
            }
            self.journal.mark(id, step, facts).await
        };
        written
            .await
            .map_err(|error| Failure::other(format!("{error}. Step {step} was not begun.")))
    }
}

impl Workplace for Bench {
    fn package(&self) -> BoxFuture<'_, Result<&Path, Failure>> {
        Box::pin(async {
            let brought = self.package.get_or_try_init(async || {
                self.progress(None, "Download", "Bringing the package.");
                package::bring(&self.caller.now(), &self.folder, &self.work).await
            });
            brought.await.map(PathBuf::as_path)
        })
    }

    fn mark(&self, step: &str, facts: Value) -> BoxFuture<'_, Result<(), Failure>> {
        let step = step.to_owned();
        Box::pin(async move { self.write_down(&step, facts).await })
    }

    fn marks(&self) -> Vec<Mark> {
        let record = self.journal.record(self.work.operation_id);
        record.map(|record| record.marks).unwrap_or_default()
    }

    fn progress(&self, percent: Option<u8>, step: &str, text: &str) {
        let text = self.redactor.redact(text);
        self.progress.send_replace(Progress {
            percent: percent.map(|percent| percent.min(100)),
            step: Some(start_of(step, STEP_BYTES).to_owned()),
            text: Some(start_of(&text, TEXT_BYTES).to_owned()),
        });
    }
}

/// The first so many bytes of a text, without half a letter.
fn start_of(text: &str, bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes)).unwrap_or_default()
}
