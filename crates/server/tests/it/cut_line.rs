//! A way to a PostgreSQL that is cut once, at a moment that matters: when a change is being committed, either before the
//! server hears of it, or after it has carried it out and before anybody is told.
//!
//! It understands as much of what goes over it as that takes: which statements change something, and which message is
//! the commit of a transaction with one of them.

use crate::own_postgres::OwnPostgres;
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

/// When a line is cut.
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
    /// Whether nothing moves after the cut until the line is opened.
    then_closes: bool,
    was_cut: bool,
}

struct Shared {
    plan: Mutex<Plan>,
    is_open: watch::Sender<bool>,
}

/// The way. Everything goes over it until it is told what to cut.
pub struct CutLine {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl CutLine {
    pub async fn to(postgres: &OwnPostgres) -> Self {
        let socket = postgres.socket();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            plan: Mutex::default(),
            is_open: watch::Sender::new(true),
        });
        let line = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let far = UnixStream::connect(&socket).await.unwrap();
                tokio::spawn(carry(near, far, Arc::clone(&line)));
            }
        });
        Self { address, shared }
    }

    /// Where it leads to this database.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://fame@{}/{database}", self.address)
    }

    /// Cuts the connection on which the `nth` change from now on is being committed.
    pub fn cuts(&self, nth: usize, moment: Moment) {
        *self.shared.plan.lock().unwrap() = Plan {
            cut: Some((nth - 1, moment)),
            ..Plan::default()
        };
    }

    /// The same, and then nothing moves on any connection until the line is opened.
    pub fn cuts_and_closes(&self, nth: usize, moment: Moment) {
        self.cuts(nth, moment);
        self.shared.plan.lock().unwrap().then_closes = true;
    }

    pub fn was_cut(&self) -> bool {
        self.shared.plan.lock().unwrap().was_cut
    }

    /// Cuts nothing any more, and lets everything move; whether it has cut.
    pub fn opens(&self) -> bool {
        let plan = std::mem::take(&mut *self.shared.plan.lock().unwrap());
        self.shared.is_open.send_replace(true);
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
        if plan.then_closes {
            self.is_open.send_replace(false);
        }
        Some(moment)
    }

    fn has_cut(&self) {
        self.plan.lock().unwrap().was_cut = true;
    }
}

/// Carries one connection's messages until either side ends, or it is cut.
async fn carry(mut near: TcpStream, mut far: UnixStream, line: Arc<Shared>) {
    let mut asked = Asked::default();
    let mut is_open = line.is_open.subscribe();
    let (mut from_near, mut from_far) = (vec![0; 65_536], vec![0; 65_536]);
    loop {
        tokio::select! {
            read = near.read(&mut from_near) => {
                let Ok(read @ 1..) = read else { return };
                asked.hears(&from_near[..read]);
                while let Some((message, is_commit)) = asked.next() {
                    if is_open.wait_for(|is_open| *is_open).await.is_err() {
                        return;
                    }
                    let cut = if is_commit { line.commit() } else { None };
                    if cut == Some(Moment::BeforeCommit) {
                        return end(far, &line).await;
                    }
                    if far.write_all(&message).await.is_err() {
                        return;
                    }
                    if cut == Some(Moment::AfterCommit) {
                        let answered = far.read(&mut from_far).await;
                        assert!(matches!(answered, Ok(1..)), "the commit was not answered");
                        return end(far, &line).await;
                    }
                }
            }
            read = far.read(&mut from_far) => {
                let Ok(read @ 1..) = read else { return };
                if near.write_all(&from_far[..read]).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Ends the server's side, and says that the line was cut once the server has noticed: by then it has undone what was
/// not committed. Only then the other side ends too.
async fn end(mut far: UnixStream, line: &Shared) {
    drop(far.shutdown().await);
    let mut rest = Vec::new();
    drop(far.read_to_end(&mut rest).await);
    line.has_cut();
}

/// How statements begin that tell of events. That goes on beside every flow and is none: which of its commits is cut must
/// not depend on it.
const TELLING: [&str; 3] = ["UPDATE events", "UPDATE event_cursors", "DELETE FROM events"];

/// What one side asks of the server, message by message.
#[derive(Default)]
struct Asked {
    bytes: Vec<u8>,
    has_begun: bool,
    /// Which prepared statements change something.
    changes: HashMap<Vec<u8>, bool>,
    /// Whether the transaction under way changes something.
    is_change: bool,
}

impl Asked {
    fn hears(&mut self, bytes: &[u8]) {
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
        let is_commit = self.has_begun && self.understands(&message);
        self.has_begun = true;
        Some((message, is_commit))
    }

    fn understands(&mut self, message: &[u8]) -> bool {
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
