//! Rollouts: one decision for many environments, in waves, with a brake.
//!
//! A rollout keeps an intention: this version, to these environments, in this order, and stop when it goes wrong. What
//! it comes to is plain hotfixes. The service and the client drive the same machine: they read [`Facts`], which are
//! numbers and not members, ask [`step`] what follows, keep the [`Rollout`] that it answers, and carry out its
//! [`Action`]s, which are sets and not members either. So a step costs the same for five environments and for a
//! million, and can be tried with any history in a test.
//!
//! Nothing is remembered that the facts do not tell: an action is asked for in every step until the facts say that it
//! was carried out. A driver may die between any two of them, or carry out a part of one, and the next step goes on.
//!
//! Environments that come later ([`definition::Later::Include`]) are decided on here; neither driver takes them in yet, and
//! both refuse a definition that wants it.

pub mod approval;
pub mod definition;
mod engine;
mod facts;
pub mod member;
mod progress;
mod verbs;

pub use approval::{Approval, ApprovalPolicy, Approver};
pub use definition::Definition;
pub use engine::{Action, BATCH, ClockBehind, Happening, Step, step};
pub use facts::{Driver, Facts, HOUR, TargetOffered, Used, WaveFacts};
pub use member::{Counts, MemberReason, MemberState};
pub use progress::{Outcome, Reason, Rollout, State, WaveProgress, WaveState};
pub use verbs::{Change, abort, advance, approve, pause, reject, resume, retry};

#[cfg(test)]
mod model;
#[cfg(test)]
mod scenarios;
