//! Sending to addresses that somebody else chose: webhooks and telemetry.
//!
//! Whoever chooses an address must not reach by the service what they could not reach themselves. So a name is resolved
//! once, each address that it stands for is judged (`domain::destination`), and the connection is made to an address that
//! was judged, never to the name again. There are no redirects, no proxies, and no connection is used twice. What is
//! answered is read up to a bound and shown to nobody.

mod connector;
pub(crate) mod insights;
pub(crate) mod payload;
pub(crate) mod signing;

pub(crate) use connector::{Answer, Connector, Refused, Target, Unreached};
