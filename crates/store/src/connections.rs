//! The connections to PostgreSQL: how they are made, how long anything may take on them, and what happens while there
//! are none.
//!
//! A database that does not answer must not hold every caller for as long as it takes to notice. So waiting for a
//! connection has a short end, and while none can be made only one attempt in half a second goes to the network: the
//! others are told at once what the last one found.

use super::{
    db::WAIT_SECONDS,
    error::{Cause, StoreError, Told},
    tls,
};
use crate::{
    postgres_url::{PostgresUrl, Tls},
    settings::DatabaseSettings,
};
use deadpool_postgres::{
    Client, ClientWrapper, Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod,
    Runtime, TimeoutType,
};
use domain::chain::Chain;
use std::{
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    runtime::Handle,
    sync::Semaphore,
    time::{Instant, error::Elapsed, timeout},
};
use tokio_postgres::{AsyncMessage, Config, Connection, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(3);
/// The same with its encryption and sign-in.
const SIGN_IN: Duration = Duration::from_secs(5);
/// How long a caller waits for a connection while all are in use.
const WAIT: Duration = Duration::from_secs(5);
/// Callers that may wait at the same time, for each connection.
const WAITING: usize = 256;
/// How long what was sent may go without a sign that it arrived.
const UNACKNOWLEDGED: Duration = Duration::from_secs(10);
/// How long a connection may be silent before the server is asked whether it is there, and how often that is repeated.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(30), Duration::from_secs(5), 3);
/// Time between two attempts while no connection can be made.
const PROBE: Duration = Duration::from_millis(500);
/// How long a caller waits for what a read finds.
pub(crate) const READ: Duration = Duration::from_secs(15);
/// How long a caller waits for a change, all of it.
pub(crate) const CHANGE: Duration = Duration::from_secs(30);

/// What holds on each connection. How long a read may take is watched from here, because a list may take as long as
/// its caller takes to read it; the server's own limit is for what nobody watches any more.
const LIMITS: &str = "SET statement_timeout = '15min'; SET lock_timeout = '5s'; SET idle_in_transaction_session_timeout = '20s'";

/// Makes connections.
#[derive(Clone)]
pub(crate) struct Connector {
    config: Config,
    tls: MakeRustlsConnect,
}

impl Connector {
    fn new(settings: &DatabaseSettings) -> Result<Self, StoreError> {
        let url = PostgresUrl::parse(settings.url.expose()).map_err(StoreError::broken)?;
        let tls = match url.tls {
            Tls::None => tls::no_connector()?,
            Tls::IfOffered | Tls::Verified => tls::connector(url.authorities(settings.ca_file.as_deref()))?,
        };
        let mut config = url.config;
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(UNACKNOWLEDGED);
        }
        let (idle, interval, retries) = KEEPALIVE;
        config
            .keepalives_idle(idle)
            .keepalives_interval(interval)
            .keepalives_retries(retries);
        if config.get_application_name().is_none() {
            config.application_name("fame");
        }
        Ok(Self { config, tls })
    }

    /// A connection outside the pool, whose messages the caller looks after.
    pub(crate) async fn connect(
        &self,
    ) -> Result<(tokio_postgres::Client, Connection<Socket, impl TlsStream>), StoreError> {
        let connecting = self.config.connect(self.tls.clone());
        match timeout(SIGN_IN, connecting).await {
            Ok(connected) => Ok(connected?),
            Err(_) => Err(no_connection()),
        }
    }
}

/// The encrypted side of a connection.
pub(crate) trait TlsStream:
    tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static
{
}

impl<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static> TlsStream for S {}

/// The next message of a connection that is looked after by hand; `None` when it has ended.
pub(crate) async fn next_message<S: TlsStream>(
    connection: &mut Connection<Socket, S>,
) -> Option<Result<AsyncMessage, StoreError>> {
    let message = std::future::poll_fn(|context| connection.poll_message(context)).await;
    message.map(|message| message.map_err(StoreError::from))
}

/// The connections that requests and jobs share.
pub(crate) struct Connections {
    pool: Pool,
    connector: Connector,
    waiting: Semaphore,
    outage: Outage,
}

impl Connections {
    pub(crate) fn new(settings: &DatabaseSettings) -> Result<Self, StoreError> {
        let connector = Connector::new(settings)?;
        let recycling = ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        };
        let manager = Manager::from_config(connector.config.clone(), connector.tls.clone(), recycling);
        let limits = Hook::async_fn(|client: &mut ClientWrapper, _| {
            Box::pin(async move { client.batch_execute(LIMITS).await.map_err(HookError::Backend) })
        });
        let pool = Pool::builder(manager)
            .max_size(settings.connections)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(WAIT))
            .create_timeout(Some(SIGN_IN))
            .recycle_timeout(Some(SIGN_IN))
            .post_create(limits)
            .build()
            .map_err(StoreError::broken)?;
        Ok(Self {
            pool,
            connector,
            waiting: Semaphore::new(settings.connections.saturating_mul(WAITING)),
            outage: Outage::default(),
        })
    }

    /// For connections outside the pool.
    pub(crate) fn connector(&self) -> &Connector {
        &self.connector
    }

    /// A connection, as soon as one is free.
    pub(crate) async fn get(&self) -> Result<PooledConnection, StoreError> {
        let Ok(_place) = self.waiting.try_acquire() else {
            return Err(StoreError::Busy);
        };
        if let Some(cause) = self.outage.refuses(Instant::now()) {
            return Err(StoreError::Unavailable(cause));
        }
        let asked = Instant::now();
        let found = self.pool.get().await;
        metrics::histogram!(WAIT_SECONDS, "for" => "connection").record(asked.elapsed());
        match found {
            Ok(client) => {
                self.outage.ends();
                Ok(PooledConnection {
                    client: Some(client),
                    tls: self.connector.tls.clone(),
                })
            }
            Err(PoolError::Timeout(TimeoutType::Wait)) => Err(StoreError::Busy),
            Err(error) => {
                let cause = cause(error);
                // As long as others have connections, this is no outage: the server may have no more to give.
                Err(StoreError::Unavailable(match self.pool.status().size {
                    0 => self.outage.begins(Instant::now(), cause),
                    _ => cause,
                }))
            }
        }
    }

    /// Forgets connections that nobody uses: after one of them broke, the others are likely to have broken too.
    pub(crate) fn forget_idle(&self) {
        self.pool.retain(|_, _| false);
    }
}

/// A connection that somebody works with.
///
/// Dropping it is how work ends of which nobody waits for the end: because it takes too long, or because its caller has
/// gone. The connection ends with it and the server is asked to leave off; given back, it would let the next one wait
/// for what was left running on it.
pub(crate) struct PooledConnection {
    /// There until it is given back.
    client: Option<Client>,
    tls: MakeRustlsConnect,
}

impl PooledConnection {
    /// Lets others use the connection. Nothing may be under way on it.
    pub(crate) fn give_back(mut self) {
        drop(self.client.take());
    }

    /// Ends the connection, on which nothing is under way.
    pub(crate) fn end(mut self) {
        self.client.take().map(Object::take);
    }

    /// The connection with what was read on it, or the end of a connection that what happened leaves in doubt.
    pub(crate) fn settle<T>(
        self,
        outcome: Result<Result<T, StoreError>, Elapsed>,
    ) -> Result<(Self, T), StoreError> {
        match outcome {
            Ok(Ok(found)) => Ok((self, found)),
            Ok(Err(error)) => {
                if matches!(error, StoreError::Unavailable(_)) {
                    self.end();
                } else {
                    self.give_back();
                }
                Err(error)
            }
            Err(_) => Err(StoreError::Busy),
        }
    }
}

impl Drop for PooledConnection {
    fn drop(&mut self) {
        let Some(client) = self.client.take() else { return };
        let (cancel, tls) = (client.cancel_token(), self.tls.clone());
        drop(Object::take(client));
        // A runtime that is ending takes its connections with it.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                // Where the server cannot be reached there is nobody to be asked.
                drop(timeout(SIGN_IN, cancel.cancel_query(tls)).await);
            });
        }
    }
}

impl Deref for PooledConnection {
    type Target = Client;

    fn deref(&self) -> &Client {
        self.client
            .as_ref()
            .unwrap_or_else(|| unreachable!("it is only taken at its end"))
    }
}

impl DerefMut for PooledConnection {
    fn deref_mut(&mut self) -> &mut Client {
        self.client
            .as_mut()
            .unwrap_or_else(|| unreachable!("it is only taken at its end"))
    }
}

fn no_connection() -> StoreError {
    StoreError::unavailable(format!("no connection within {} seconds", SIGN_IN.as_secs()))
}

/// Why no connection could be made.
fn cause(error: PoolError) -> Cause {
    match error {
        PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => {
            StoreError::from(error).into_cause()
        }
        PoolError::Timeout(_) => no_connection().into_cause(),
        other => Arc::new(other),
    }
}

/// A time in which no connection can be made.
#[derive(Default)]
struct Outage {
    down: Mutex<Option<Down>>,
}

struct Down {
    since: Instant,
    tried: Instant,
    cause: Cause,
}

impl Outage {
    /// Why a connection cannot be had now; `None` when it is worth trying.
    fn refuses(&self, now: Instant) -> Option<Cause> {
        let mut down = self.down.lock().unwrap_or_else(PoisonError::into_inner);
        let down = down.as_mut()?;
        if now.duration_since(down.tried) < PROBE {
            return Some(down.cause.clone());
        }
        down.tried = now;
        None
    }

    /// The cause, which has been told from now on.
    fn begins(&self, now: Instant, cause: Cause) -> Cause {
        let cause: Cause = Arc::new(Told(cause));
        let mut down = self.down.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(down) = down.as_mut() {
            (down.tried, down.cause) = (now, cause.clone());
            return cause;
        }
        tracing::error!(
            "the database cannot be reached: {}; it is tried again",
            Chain(&cause)
        );
        *down = Some(Down {
            since: now,
            tried: now,
            cause: cause.clone(),
        });
        cause
    }

    fn ends(&self) {
        let mut down = self.down.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(down) = down.take() {
            let seconds = down.since.elapsed().as_secs();
            tracing::info!(seconds, "the database can be reached again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn during_an_outage_one_attempt_in_half_a_second_is_made() {
        let (outage, start) = (Outage::default(), Instant::now());
        let refuses = |now| outage.refuses(now).map(|cause| cause.to_string());
        assert_eq!(refuses(start), None);
        let told = outage.begins(start, StoreError::unavailable("it is off").into_cause());
        assert!(StoreError::Unavailable(told).is_told());
        assert_eq!(refuses(start), Some("it is off".into()));
        let later = start + PROBE;
        assert_eq!(refuses(later), None, "one goes and sees");
        assert_eq!(
            refuses(later),
            Some("it is off".into()),
            "the others do not wait for it"
        );
        outage.ends();
        assert_eq!(refuses(later), None);
    }
}
