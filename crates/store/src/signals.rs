//! Signals between servers that share a PostgreSQL, by its LISTEN and NOTIFY.
//!
//! A notification is not sent in the transaction that makes the work: PostgreSQL commits transactions that notify one
//! after the other, so every change would wait for every other. It follows right after, and those of several changes
//! become one. What a crash in between takes with it, waiting claims find by looking.

use super::{
    connections::{Connections, Connector, TlsStream, next_message},
    error::StoreError,
};
use crate::wakeup::Wakeup;
use domain::chain::Chain;
use std::time::Duration;
use tokio::time::{sleep, timeout};
use tokio_postgres::{AsyncMessage, Client, Connection, Socket};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Rest between two notifications; those that come up meanwhile become one.
const REST: Duration = Duration::from_millis(20);
/// How long signalling to the others may take.
const TELL: Duration = Duration::from_secs(10);
/// Pauses between attempts to connect grow from the first to the second.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

/// Passes signals on in both directions until `stop`; connects anew when the connection breaks. While the database is away
/// altogether, that is told elsewhere.
pub(crate) async fn exchange(connections: &Connections, wakeup: &Wakeup, stop: &CancellationToken) {
    let me = Uuid::new_v4();
    let mut pause = PAUSES.0;
    let mut is_told = false;
    loop {
        let connected = stop.run_until_cancelled(listen(connections.connector())).await;
        match connected {
            None => return,
            Some(Ok((client, connection))) => {
                if is_told {
                    tracing::info!("signals of other servers are heard again");
                }
                (pause, is_told) = (PAUSES.0, false);
                // For whatever was signalled while nobody listened.
                wakeup.notify_here();
                let passing = pass_on(me, &client, connection, wakeup);
                match stop.run_until_cancelled(passing).await {
                    None => return,
                    Some(ended) => tracing::debug!("signals are not heard: {}", Chain(&ended)),
                }
            }
            Some(Err(error)) => {
                if !is_told && let Ok(other) = connections.get().await {
                    other.give_back();
                    tracing::warn!(
                        "signals of other servers are not heard: {}; until they are, waiting claims only look",
                        Chain(&error)
                    );
                    is_told = true;
                }
            }
        }
        if stop.run_until_cancelled(sleep(pause)).await.is_none() {
            return;
        }
        pause = (pause * 2).min(PAUSES.1);
    }
}

async fn listen(connector: &Connector) -> Result<(Client, Connection<Socket, impl TlsStream>), StoreError> {
    let (client, mut connection) = connector.connect().await?;
    match timeout(TELL, begin_to_listen(&client, &mut connection)).await {
        Ok(done) => done?,
        Err(_) => return Err(StoreError::unavailable("LISTEN was not answered")),
    }
    Ok((client, connection))
}

async fn begin_to_listen<S: TlsStream>(
    client: &Client,
    connection: &mut Connection<Socket, S>,
) -> Result<(), StoreError> {
    // A lost notification is no loss, so nothing waits for a disk.
    let listening = client.batch_execute(
        "SET application_name = 'fame (signals)'; SET synchronous_commit = off; LISTEN fame_work",
    );
    tokio::pin!(listening);
    loop {
        tokio::select! {
            done = &mut listening => return done.map_err(StoreError::from),
            message = next_message(connection) => ended(message)?,
        }
    }
}

/// An error where a message says that the connection has ended.
fn ended(message: Option<Result<AsyncMessage, StoreError>>) -> Result<(), StoreError> {
    match message {
        Some(message) => message.map(drop),
        None => Err(StoreError::unavailable("the connection was closed")),
    }
}

/// Passes signals on until the connection breaks; why it did.
async fn pass_on<S: TlsStream>(
    me: Uuid,
    client: &Client,
    mut connection: Connection<Socket, S>,
    wakeup: &Wakeup,
) -> StoreError {
    let hearing = async {
        loop {
            match next_message(&mut connection).await {
                Some(Ok(AsyncMessage::Notification(signal))) if signal.payload() != me.to_string() => {
                    wakeup.notify_here()
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return error,
                None => return StoreError::unavailable("the connection was closed"),
            }
        }
    };
    let signalling = async {
        loop {
            wakeup.to_pass_on().await;
            let notify = format!("NOTIFY fame_work, '{me}'");
            match timeout(TELL, client.batch_execute(&notify)).await {
                Ok(Ok(())) => sleep(REST).await,
                Ok(Err(error)) => return error.into(),
                Err(_) => return StoreError::unavailable("NOTIFY was not answered"),
            }
        }
    };
    tokio::select! {
        error = hearing => error,
        error = signalling => error,
    }
}
