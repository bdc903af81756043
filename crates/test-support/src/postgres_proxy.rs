//! A proxy in front of a PostgreSQL that freezes when it is told to, or cuts a connection at a moment that matters: when
//! a change is being committed, either before the server hears of it, or after it has carried it out and before its
//! answer has arrived.
//!
//! It understands as much of what goes through it as that takes: which statements change something, and which message
//! is the commit of a transaction with one of them.

use crate::postgres_cluster::PostgresCluster;
use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UnixStream},
    sync::watch,
};

/// When a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Before the server hears of the commit: it undoes the change.
    BeforeCommit,
    /// After the server has committed, before its answer arrives.
    AfterCommit,
}

impl Moment {
    pub const BOTH: [Self; 2] = [Self::BeforeCommit, Self::AfterCommit];
}

/// What is to happen.
#[derive(Default)]
struct Plan {
    /// How many commits are still let through, and how the one after them is cut.
    cut: Option<(usize, Moment)>,
    /// Whether the proxy freezes with the cut.
    then_freezes: bool,
    was_cut: bool,
}

struct Shared {
    plan: Mutex<Plan>,
    is_frozen: watch::Sender<bool>,
}

/// The proxy. Everything goes through it until it is asked for something else.
pub struct PostgresProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl PostgresProxy {
    /// A proxy of the unix socket of this server.
    pub async fn to(postgres: &PostgresCluster) -> Self {
        let socket = postgres.socket();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            plan: Mutex::default(),
            is_frozen: watch::Sender::new(false),
        });
        let proxy = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = UnixStream::connect(&socket).await.unwrap();
                tokio::spawn(forward(client, server, Arc::clone(&proxy)));
            }
        });
        Self { address, shared }
    }

    /// The url of this database behind the proxy.
    pub fn url_of(&self, database: &str) -> String {
        format!("postgres://fame@{}/{database}", self.address)
    }

    /// Cuts the connection on which the `nth` change from now on is being committed.
    pub fn cut(&self, nth: usize, moment: Moment) {
        *self.shared.plan.lock().unwrap() = Plan {
            cut: Some((nth - 1, moment)),
            ..Plan::default()
        };
    }

    /// The same, and then nothing moves on any connection until the proxy is released.
    pub fn cut_and_freeze(&self, nth: usize, moment: Moment) {
        self.cut(nth, moment);
        self.shared.plan.lock().unwrap().then_freezes = true;
    }

    /// Lets nothing move on any connection until the proxy is released, as behind a switch that lost its power.
    pub fn freeze(&self) {
        self.shared.is_frozen.send_replace(true);
    }

    /// Whether a connection has been cut since the last order.
    pub fn was_cut(&self) -> bool {
        self.shared.plan.lock().unwrap().was_cut
    }

    /// Cuts nothing any more, and lets everything move; whether a connection was cut.
    pub fn release(&self) -> bool {
        let plan = std::mem::take(&mut *self.shared.plan.lock().unwrap());
        self.shared.is_frozen.send_replace(false);
        plan.was_cut
    }
}

impl Shared {
    /// How the commit that comes now is cut, if it is.
    fn commit(&self) -> Option<Moment> {
        let mut plan = self.plan.lock().unwrap();
        let (before, moment) = plan.cut?;
        if before > 0 {
            plan.cut = Some((before - 1, moment));
            return None;
        }
        plan.cut = None;
        if plan.then_freezes {
            self.is_frozen.send_replace(true);
        }
        Some(moment)
    }

    fn has_cut(&self) {
        self.plan.lock().unwrap().was_cut = true;
    }
}

/// Forwards one connection's messages until either side ends, or it is cut.
async fn forward(mut client: TcpStream, mut server: UnixStream, proxy: Arc<Shared>) {
    let mut requests = Requests::default();
    let mut is_frozen = proxy.is_frozen.subscribe();
    let (mut from_client, mut from_server) = (vec![0; 65_536], vec![0; 65_536]);
    loop {
        tokio::select! {
            read = client.read(&mut from_client) => {
                let Ok(read @ 1..) = read else { return };
                requests.push(&from_client[..read]);
                while let Some((message, is_commit)) = requests.next() {
                    if is_frozen.wait_for(|is_frozen| !is_frozen).await.is_err() {
                        return;
                    }
                    let cut = if is_commit { proxy.commit() } else { None };
                    if cut == Some(Moment::BeforeCommit) {
                        return end(server, &proxy).await;
                    }
                    if server.write_all(&message).await.is_err() {
                        return;
                    }
                    if cut == Some(Moment::AfterCommit) {
                        let answered = server.read(&mut from_server).await;
                        assert!(matches!(answered, Ok(1..)), "the commit was not answered");
                        return end(server, &proxy).await;
                    }
                }
            }
            read = server.read(&mut from_server) => {
                let Ok(read @ 1..) = read else { return };
                if is_frozen.wait_for(|is_frozen| !is_frozen).await.is_err() {
                    return;
                }
                if client.write_all(&from_server[..read]).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Ends the server's side, and records the cut once the server has noticed: by then it has undone what was not
/// committed. Only then the client's side ends too.
async fn end(mut server: UnixStream, proxy: &Shared) {
    drop(server.shutdown().await);
    let mut rest = Vec::new();
    drop(server.read_to_end(&mut rest).await);
    proxy.has_cut();
}

/// How statements begin that tell of events. That goes on beside every flow and is none: which of its commits is cut must
/// not depend on it.
const TELLING: [&str; 6] = [
    "UPDATE events",
    "UPDATE event_cursors",
    "DELETE FROM events",
    "INSERT INTO webhook_deliveries",
    "DELETE FROM webhook_deliveries",
    "UPDATE webhook_senders",
];

/// What a client asks of the server, message by message.
#[derive(Default)]
struct Requests {
    bytes: Vec<u8>,
    has_begun: bool,
    /// Which prepared statements change something.
    changes: HashMap<Vec<u8>, bool>,
    /// Whether the transaction under way changes something.
    is_change: bool,
}

impl Requests {
    fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole message, and whether it commits a change.
    fn next(&mut self) -> Option<(Vec<u8>, bool)> {
        // The first message has no letter in front of its length.
        let letter = usize::from(self.has_begun);
        let length = self.bytes.get(letter..letter + 4)?;
        let length = letter + u32::from_be_bytes(length.try_into().unwrap()) as usize;
        if self.bytes.len() < length {
            return None;
        }
        let rest = self.bytes.split_off(length);
        let message = std::mem::replace(&mut self.bytes, rest);
        let is_commit = self.has_begun && self.commits_change(&message);
        self.has_begun = true;
        Some((message, is_commit))
    }

    fn commits_change(&mut self, message: &[u8]) -> bool {
        let mut words = message[5..].split(|byte| *byte == 0);
        let mut word = || words.next().unwrap_or_default();
        match message[0] {
            b'P' => {
                let (name, sql) = (word().to_vec(), String::from_utf8_lossy(word()));
                let mut words = sql.split_whitespace();
                let changes = words.any(|word| ["INSERT", "DELETE", "SET"].contains(&word));
                let tells = TELLING.iter().any(|telling| sql.starts_with(telling));
                self.changes.insert(name, changes && !tells);
            }
            b'B' => {
                let (_portal, name) = (word(), word());
                self.is_change |= self.changes.get(name) == Some(&true);
            }
            b'Q' => {
                let is_commit = word().eq_ignore_ascii_case(b"COMMIT");
                return std::mem::take(&mut self.is_change) && is_commit;
            }
            _ => {}
        }
        false
    }
}
