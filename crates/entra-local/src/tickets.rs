//! What somebody holds between two requests of one sign-in: codes, device codes and refresh tokens. All are random, end by
//! themselves, and are bounded in number; none is kept beyond this process.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use crate::{Error, Secret};

/// Codes that wait to be redeemed, and sign-ins that wait for somebody.
const MOST_CODES: usize = 1_000;

/// Refresh tokens of all clients together.
const MOST_REFRESH_TOKENS: usize = 10_000;

/// All of them.
pub(crate) struct Tickets {
    pub(crate) codes: Kind<Code>,
    pub(crate) devices: Kind<Device>,
    pub(crate) refresh_tokens: Kind<Refresh>,
}

impl Tickets {
    pub(crate) fn new() -> Self {
        Self {
            codes: Kind::new(MOST_CODES, 300),
            devices: Kind::new(MOST_CODES, DEVICE_SECONDS),
            refresh_tokens: Kind::new(MOST_REFRESH_TOKENS, 90 * 86_400),
        }
    }
}

/// How long somebody has to sign in on another device, seconds.
pub(crate) const DEVICE_SECONDS: i64 = 900;

/// Somebody signed in; the application has yet to fetch its tokens.
#[derive(Clone)]
pub(crate) struct Code {
    pub(crate) sign_in: Refresh,
    pub(crate) redirect_uri: String,
    pub(crate) nonce: Option<String>,
    /// SHA-256 of the verifier that whoever redeems it must show, base64url.
    pub(crate) challenge: Option<String>,
}

/// A device waits for somebody to sign in elsewhere.
#[derive(Clone)]
pub(crate) struct Device {
    /// What people type to say which device they mean.
    pub(crate) user_code: String,
    pub(crate) client_id: Uuid,
    /// The tenant that it asked at; nothing for whichever the user belongs to.
    pub(crate) tenant: Option<Uuid>,
    pub(crate) scope: String,
    pub(crate) decision: Decision,
}

/// What somebody said to a device's wish.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Nothing so far.
    Open,
    /// This user signed in, at that time.
    SignedIn(Uuid, i64),
    /// That it shall not.
    Declined,
}

/// A sign-in that goes on without anybody doing anything.
#[derive(Clone)]
pub(crate) struct Refresh {
    pub(crate) client_id: Uuid,
    pub(crate) user: Uuid,
    pub(crate) scope: String,
    /// When they signed in, seconds since 1970.
    pub(crate) at: i64,
}

/// Tickets of one kind.
pub(crate) struct Kind<T> {
    most: usize,
    lifetime: i64,
    held: Mutex<HashMap<String, Held<T>>>,
}

struct Held<T> {
    ends: i64,
    what: T,
}

impl<T: Clone> Kind<T> {
    fn new(most: usize, lifetime: i64) -> Self {
        Self {
            most,
            lifetime,
            held: Mutex::default(),
        }
    }

    fn held(&self) -> MutexGuard<'_, HashMap<String, Held<T>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new one. Where there are too many, that which would end first goes.
    pub(crate) fn issue(&self, now: i64, what: T) -> Result<String, Error> {
        let name = Secret::generate()?.reveal().to_owned();
        let mut held = self.held();
        if held.len() >= self.most {
            held.retain(|_, ticket| ticket.ends > now);
        }
        if held.len() >= self.most {
            let first = held.iter().min_by_key(|(_, ticket)| ticket.ends);
            if let Some(first) = first.map(|(name, _)| name.clone()) {
                held.remove(&first);
            }
        }
        let ends = now.saturating_add(self.lifetime);
        held.insert(name.clone(), Held { ends, what });
        Ok(name)
    }

    /// A new one, if there is room for it: nobody who holds one loses it to a newcomer.
    pub(crate) fn issue_if_room(&self, now: i64, what: T) -> Result<Option<String>, Error> {
        let mut held = self.held();
        if held.len() >= self.most {
            held.retain(|_, ticket| ticket.ends > now);
        }
        let is_full = held.len() >= self.most;
        drop(held);
        match is_full {
            true => Ok(None),
            false => self.issue(now, what).map(Some),
        }
    }

    /// What it stands for, once.
    pub(crate) fn redeem(&self, now: i64, name: &str) -> Option<T> {
        let ticket = self.held().remove(name)?;
        (ticket.ends > now).then_some(ticket.what)
    }

    /// What it stands for; it stays.
    pub(crate) fn look_at(&self, now: i64, name: &str) -> Option<T> {
        let held = self.held();
        let ticket = held.get(name).filter(|ticket| ticket.ends > now)?;
        Some(ticket.what.clone())
    }

    /// Lets it end so many seconds from now, if it does not end sooner.
    pub(crate) fn end_in(&self, now: i64, name: &str, seconds: i64) {
        if let Some(ticket) = self.held().get_mut(name) {
            ticket.ends = ticket.ends.min(now.saturating_add(seconds));
        }
    }
}

impl Kind<Device> {
    /// The device that shows this code, as far as nobody has decided about it.
    pub(crate) fn waiting(&self, now: i64, user_code: &str) -> Option<Device> {
        let held = self.held();
        let mut devices = held.values();
        let found = devices.find(|ticket| ticket.waits_with(now, user_code))?;
        Some(found.what.clone())
    }

    /// Decides about the device that shows this code; whether there was one that nobody had decided about.
    pub(crate) fn decide(&self, now: i64, user_code: &str, decision: Decision) -> bool {
        let mut held = self.held();
        let mut devices = held.values_mut();
        let found = devices.find(|ticket| ticket.waits_with(now, user_code));
        found.is_some_and(|ticket| {
            ticket.what.decision = decision;
            true
        })
    }
}

impl Held<Device> {
    fn waits_with(&self, now: i64, user_code: &str) -> bool {
        self.ends > now && self.what.decision == Decision::Open && self.what.user_code == user_code
    }
}
