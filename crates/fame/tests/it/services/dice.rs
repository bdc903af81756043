//! Chance that can be repeated.

use std::time::Duration;

/// A SplitMix64 sequence.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    /// Dice of their own for one of several players.
    pub(crate) fn for_player(seed: u64, player: u64) -> Self {
        let mut dice = Self(seed ^ player.wrapping_mul(0xA076_1D64_78BD_642F));
        dice.next();
        dice
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    /// True in so many of a hundred cases.
    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of them; `None` when there are none.
    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        (!from.is_empty()).then(|| &from[self.below(from.len())])
    }
}

/// Lets an instant of chance come, at most so far away: clients do not ask without pause, and whatever is done to a
/// service hits it in the middle of anything. Nothing is waited for.
pub(crate) async fn pause(dice: &mut Dice, most: Duration) {
    let most = usize::try_from(most.as_micros()).unwrap();
    tokio::time::sleep(Duration::from_micros(dice.below(most + 1) as u64)).await;
}

/// The number that the environment variable holds, else `usual`.
pub(crate) fn number_from<N: std::str::FromStr>(variable: &str, usual: N) -> N {
    match std::env::var(variable) {
        Ok(text) if !text.is_empty() => text
            .parse()
            .unwrap_or_else(|_| panic!("{variable} is no number: {text}")),
        _ => usual,
    }
}
