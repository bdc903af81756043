//! What telemetry says, for those who pass it on: the same events with the same dimensions as in the log.

use super::TARGET;
use std::{cell::RefCell, fmt, sync::LazyLock};
use tracing::{
    Dispatch, Event, Level, Metadata, Subscriber,
    dispatcher::with_default,
    field::{Field, Visit},
    level_filters::LevelFilter,
    span,
};

/// One event of telemetry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) level: Level,
    pub(crate) message: String,
    /// Its dimensions, in their order.
    pub(crate) fields: Vec<(&'static str, String)>,
}

impl Told {
    /// A dimension, if the event has it.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.as_str())
    }
}

thread_local! {
    static TOLD: RefCell<Vec<Told>> = const { RefCell::new(Vec::new()) };
}

/// Made once: with each that comes and goes, everything that may be logged is looked at anew. Where there is but one in a
/// process, `tracing` asks whoever listens on the thread on which something is said first, and believes the answer for all
/// threads and for ever. So there are two.
static LISTENERS: LazyLock<[Dispatch; 2]> = LazyLock::new(|| [(); 2].map(|()| Dispatch::new(Listener)));

/// Does something, and brings what telemetry says meanwhile on this thread in place of the log.
pub(crate) fn listen<R>(act: impl FnOnce() -> R) -> (R, Vec<Told>) {
    TOLD.take();
    let [listener, _] = &*LISTENERS;
    let done = with_default(listener, act);
    (done, TOLD.take())
}

struct Listener;

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && metadata.target() == TARGET
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::INFO)
    }

    fn event(&self, event: &Event<'_>) {
        let mut told = Told {
            level: *event.metadata().level(),
            message: String::new(),
            fields: Vec::new(),
        };
        event.record(&mut told);
        TOLD.with_borrow_mut(|all| all.push(told));
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

impl Visit for Told {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => value.clone_into(&mut self.message),
            name => self.fields.push((name, value.to_owned())),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}
