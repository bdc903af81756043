//! Who comes in: so many connections in all, of which one address has so many. The addresses of proxies are many callers'.

use crate::config::{LimitSettings, Network};
use std::{
    collections::{HashMap, hash_map::Entry},
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

/// How long to wait after the system could not hand over a connection, for it may lack file descriptors.
const REST_AFTER_FAILURE: Duration = Duration::from_millis(50);

/// How often the log says that a bound is reached.
const WARN_EVERY: Duration = Duration::from_mins(1);

/// What of an IPv6 address names the site: whoever has one has all that differ in the rest.
const SITE_BITS: u32 = 64;

/// The connections that there are.
pub(super) struct Door {
    free: Arc<Semaphore>,
    connections: usize,
    /// 0: as many as there are.
    per_address: usize,
    proxies: Vec<Network>,
    present: Arc<Mutex<HashMap<IpAddr, usize>>>,
    full: Warning,
    crowded: Warning,
}

/// The place of a connection; it is free again when this goes.
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
    _share: Option<Share>,
}

/// One of those of an address.
struct Share {
    present: Arc<Mutex<HashMap<IpAddr, usize>>>,
    site: IpAddr,
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut count) = present.entry(self.site) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

impl Door {
    pub(super) fn new(limits: &LimitSettings) -> Self {
        Self {
            free: Arc::new(Semaphore::new(limits.connections)),
            connections: limits.connections,
            per_address: limits.connections_per_address,
            proxies: limits.proxies.clone(),
            present: Arc::default(),
            full: Warning::default(),
            crowded: Warning::default(),
        }
    }

    /// The next connection that comes in; `None` if it was not let in, or never came.
    pub(super) async fn admit(&self, listener: &TcpListener) -> Option<(TcpStream, IpAddr, Place)> {
        let permit = self.permit().await?;
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(REST_AFTER_FAILURE).await;
                return None;
            }
        };
        let peer = peer.ip().to_canonical();
        let share = match self.is_counted(peer) {
            true => Some(self.share_of(peer)?),
            false => None,
        };
        // Answers are written whole; waiting for more to send with them only delays them.
        drop(stream.set_nodelay(true));
        let place = Place {
            _permit: permit,
            _share: share,
        };
        Some((stream, peer, place))
    }

    async fn permit(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() {
            return Some(permit);
        }
        if self.full.is_due() {
            let most = self.connections;
            tracing::warn!(
                "all {most} connections of limits.connections are open; further ones wait until one of them ends"
            );
        }
        Arc::clone(&self.free).acquire_owned().await.ok()
    }

    fn is_counted(&self, peer: IpAddr) -> bool {
        self.per_address > 0 && !self.proxies.iter().any(|proxy| proxy.contains(peer))
    }

    /// A share of what the address may have, unless it has all of that.
    fn share_of(&self, peer: IpAddr) -> Option<Share> {
        let site = site_of(peer);
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        let count = present.entry(site).or_default();
        if *count < self.per_address {
            *count += 1;
            let present = Arc::clone(&self.present);
            return Some(Share { present, site });
        }
        if self.crowded.is_due() {
            let most = self.per_address;
            tracing::warn!(
                %peer,
                "{most} connections of one address are open, limits.connections_per_address, so a further one was \
                 closed; if it is a proxy's, name it in limits.proxies"
            );
        }
        None
    }
}

fn site_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> SITE_BITS << SITE_BITS).into(),
    }
}

/// A warning that is due at most so often.
#[derive(Default)]
struct Warning(Mutex<Option<Instant>>);

impl Warning {
    fn is_due(&self) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = last.is_none_or(|last| last.elapsed() >= WARN_EVERY);
        if is_due {
            *last = Some(Instant::now());
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_in_one_network_of_version_6_are_one_site() {
        let site = |text: &str| site_of(text.parse().unwrap());
        assert_eq!(site("2001:db8:1:2::1"), site("2001:db8:1:2:ffff::9"));
        assert_ne!(site("2001:db8:1:2::1"), site("2001:db8:1:3::1"));
        assert_ne!(site("192.0.2.1"), site("192.0.2.2"));
    }
}
