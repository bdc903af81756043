//! The business of the service: its words, rules and state machines, with nothing else in it.
//!
//! Nothing here knows HTTP, SQL or JSON, and nothing here asks what time it is: `now` is a parameter.
//! That is what makes every rule testable in microseconds, and what lets the same rule answer a request,
//! start a hotfix and explain a plan.
//!
//! # Glossary
//! * **app**: what an operator registers; it stands for no particular version.
//! * **country**: a localisation (`US`, `DK`, `W1`) for which versions of an app are uploaded.
//! * **version**: one `.app` package uploaded for one country.
//! * **principal**: a Microsoft Entra user or application that has roles on an app.
//! * **environment**: a customer's running Business Central.
//! * **installation**: an app, in some version, in an environment.
//! * **operation**: one change of one app in one environment; a **hotfix** is one that a vendor asked for.
//! * **slot**: the one place for a waiting or running operation that each installation has.
//! * **window**: the hours, on the environment's own clock, in which its operations may start.

pub mod access;
pub mod catalogue;
pub mod country;
pub mod environment;
pub mod hotfix;
pub mod ids;
pub mod instant;
pub mod jitter;
pub mod loopback;
pub mod operation;
pub mod principal;
pub mod problem;
pub mod version;
pub mod window;
