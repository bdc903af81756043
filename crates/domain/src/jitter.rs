//! Pauses of no fixed length, so that those who were in each other's way, or were turned away together, do not come
//! back together.

use std::time::Duration;
use uuid::Uuid;

/// Any span from `shortest` to `longest`.
#[must_use]
pub fn between(shortest: Duration, longest: Duration) -> Duration {
    let [random, ..] = Uuid::new_v4().into_bytes();
    shortest + longest.saturating_sub(shortest) / 255 * u32::from(random)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn pauses_differ_within_their_bounds() {
        let (shortest, longest) = (Duration::from_secs(8), Duration::from_secs(12));
        let pauses: BTreeSet<_> = (0..200).map(|_| between(shortest, longest)).collect();
        assert!(pauses.iter().all(|pause| (shortest..=longest).contains(pause)));
        assert!(pauses.len() > 1);
    }
}
