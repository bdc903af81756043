//! The real thing: `fame serve` processes on this machine that share what they keep, that can be killed at any
//! instant and started again on what they left, and what can be learned of them from outside.

mod agent;
mod audit_trail;
mod books;
mod caller;
mod dice;
mod gateway;
mod original;
mod process;
mod samples;
mod simulator;
mod site;

pub(crate) use agent::AgentHost;
pub(crate) use audit_trail::AuditTrail;
pub(crate) use books::{Books, Row, plain_id};
pub(crate) use caller::{Answer, Caller, Lost, Method};
pub(crate) use dice::{Dice, number_from, pause};
pub(crate) use gateway::{Gateway, Misdeed, forward, is_change};
pub(crate) use original::{Fault, Installed, LineOfWork, Original};
pub(crate) use process::Process;
pub(crate) use samples::{APPS, COUNTRIES, Environment, fill, package, principal_body};
pub(crate) use site::{Database, Site};
pub(crate) use test_support::{issuer::Person, postgres_cluster::PostgresCluster};

use std::time::Duration;

/// How long anything may take on a busy machine before a test gives up.
pub(crate) const TIME_LIMIT: Duration = Duration::from_secs(60);

/// Asks `look` again and again until it finds something.
pub(crate) async fn eventually<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    within(TIME_LIMIT, look)
        .await
        .unwrap_or_else(|| panic!("it never came about that {what}"))
}

/// Asks `look` again and again until it finds something, or the time is over. There is no other way to learn from
/// outside what a service does on its own.
pub(crate) async fn within<T>(time: Duration, mut look: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(time, looking).await.ok()
}
