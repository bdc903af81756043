//! The vendor, who schedules a hotfix in one environment after the other.

use crate::{
    link::Link,
    now, print,
    set::{APP, Environment, FAMILY},
};
use hyper::Method;
use jiff::Timestamp;
use serde::Deserialize;
use std::{
    fs::File,
    io::{BufWriter, Write},
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

#[derive(clap::Args)]
pub struct Options {
    /// Replicas of the service, which clients use in turn
    #[arg(long, required = true, num_args = 1.., value_delimiter = ',')]
    servers: Vec<SocketAddr>,
    /// A file with the vendor's access token
    #[arg(long)]
    token: PathBuf,
    /// How many agents there are, whose environments take turns
    #[arg(long)]
    agents: usize,
    /// The first environment
    #[arg(long)]
    first: usize,
    /// How many environments
    #[arg(long)]
    count: usize,
    /// The version asked for
    #[arg(long)]
    version: String,
    /// Requests at the same time
    #[arg(long, default_value_t = 16)]
    clients: usize,
    /// Milliseconds from an answer to the next request
    #[arg(long, default_value_t = 0)]
    pause: u64,
    /// When the first becomes due, in microseconds since 1970; at once when it is left out
    #[arg(long)]
    due: Option<i64>,
    /// How many become due in a second; all at once when it is 0
    #[arg(long, default_value_t = 0)]
    rate: i64,
    /// A file for a line of each: its id, when it is due, and when the request was sent and answered
    #[arg(long)]
    out: PathBuf,
}

struct Vendor {
    options: Options,
    links: Vec<Link>,
    next: AtomicUsize,
    out: Mutex<BufWriter<File>>,
}

#[derive(Deserialize)]
struct Scheduled {
    id: String,
}

pub async fn run(options: Options) -> anyhow::Result<()> {
    let token = std::fs::read_to_string(&options.token)?.trim().to_owned();
    let link = |first| Link::new(&options.servers, first, token.clone(), None);
    let vendor = Arc::new(Vendor {
        links: (0..options.servers.len()).map(link).collect(),
        next: AtomicUsize::new(0),
        out: Mutex::new(BufWriter::new(File::create(&options.out)?)),
        options,
    });
    let began = Instant::now();
    let mut clients = JoinSet::new();
    for client in 0..vendor.options.clients {
        clients.spawn(Arc::clone(&vendor).schedule(client));
    }
    while let Some(ended) = clients.join_next().await {
        ended??;
    }
    vendor
        .out
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .flush()?;
    print(&serde_json::json!({ "seconds": began.elapsed().as_secs_f64() }))
}

impl Vendor {
    async fn schedule(self: Arc<Self>, client: usize) -> anyhow::Result<()> {
        let Options {
            agents,
            first,
            count,
            pause,
            ..
        } = self.options;
        let link = &self.links[client % self.links.len()];
        let path = format!("/v1.0/apps/{APP}/countries/US/environmentHotfixes");
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return Ok(());
            }
            let environment = Environment::nth(first + number, agents);
            let due = self.due(number);
            let body = serde_json::json!({
                "environmentAadTenantId": environment.tenant(),
                "environmentApplicationFamily": FAMILY,
                "environmentName": environment.name(),
                "targetAppVersion": self.options.version,
                "ignoreUpgradeWindow": true,
                "runAfter": due.map(Timestamp::from_microsecond).transpose()?,
            });
            let sent = now();
            let answer = link
                .ask(&Method::POST, &path, serde_json::to_vec(&body)?.into())
                .await?;
            let answered = now();
            let Scheduled { id } = serde_json::from_slice(&answer)?;
            let line = format!("{id} {} {sent} {answered}\n", due.unwrap_or(answered));
            self.out
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .write_all(line.as_bytes())?;
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }

    fn due(&self, number: usize) -> Option<i64> {
        let Options { due, rate, .. } = self.options;
        let later = if rate > 0 {
            number as i64 * 1_000_000 / rate
        } else {
            0
        };
        due.map(|due| due + later)
    }
}
