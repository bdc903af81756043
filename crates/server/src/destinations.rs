//! Sending to addresses that somebody else chose: webhooks and telemetry.
//!
//! Whoever chooses an address must not reach by the service what they could not reach themselves. So a name is resolved
//! once, each address that it stands for is judged (`domain::destination`), and the connection is made to an address that
//! was judged, never to the name again. The connector follows no redirects, knows no proxies, and uses no connection
//! twice. What is answered is read up to a bound and shown to nobody.

mod connector;
pub(crate) mod insights;
pub(crate) mod items;
pub(crate) mod otlp;
pub(crate) mod payload;
pub(crate) mod signing;

pub(crate) use connector::{Answer, Connector, Refused, Target, Unreached};
