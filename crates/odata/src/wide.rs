//! 256-bit unsigned integers, for the exact product and the exact sum of two 34-digit coefficients before rounding.
//! Only what [`crate::decimal`] needs: 76 digits are the most that ever occur.

/// Four 64-bit limbs. The most significant comes first, so that the derived order is the numeric one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Wide([u64; 4]);

impl From<u128> for Wide {
    fn from(value: u128) -> Wide {
        Wide([0, 0, (value >> 64) as u64, value as u64])
    }
}

impl Wide {
    pub(crate) fn product(a: u128, b: u128) -> Wide {
        let low = Wide::from(a).times(b as u64);
        let high = Wide::from(a).times((b >> 64) as u64);
        low.plus(Wide([high.0[1], high.0[2], high.0[3], 0]))
    }

    pub(crate) fn times_power_of_ten(self, power: u32) -> Wide {
        let mut result = self;
        for _ in 0..power {
            result = result.times(10);
        }
        result
    }

    fn times(self, factor: u64) -> Wide {
        let mut limbs = self.0;
        let mut carry: u128 = 0;
        for limb in limbs.iter_mut().rev() {
            let value = u128::from(*limb) * u128::from(factor) + carry;
            *limb = value as u64;
            carry = value >> 64;
        }
        Wide(limbs)
    }

    pub(crate) fn plus(self, other: Wide) -> Wide {
        let mut limbs = self.0;
        let mut carry = 0;
        for (limb, addend) in limbs.iter_mut().zip(other.0).rev() {
            let value = u128::from(*limb) + u128::from(addend) + carry;
            *limb = value as u64;
            carry = value >> 64;
        }
        Wide(limbs)
    }

    /// The difference; `other` must not be greater.
    pub(crate) fn minus(self, other: Wide) -> Wide {
        let mut limbs = self.0;
        let mut borrow = false;
        for (limb, subtrahend) in limbs.iter_mut().zip(other.0).rev() {
            let (value, first) = limb.overflowing_sub(subtrahend);
            let (value, second) = value.overflowing_sub(u64::from(borrow));
            *limb = value;
            borrow = first || second;
        }
        Wide(limbs)
    }

    /// The quotient and the last digit.
    pub(crate) fn divided_by_ten(self) -> (Wide, u8) {
        let mut limbs = self.0;
        let mut rest: u128 = 0;
        for limb in &mut limbs {
            let value = (rest << 64) | u128::from(*limb);
            *limb = (value / 10) as u64;
            rest = value % 10;
        }
        (Wide(limbs), rest as u8)
    }

    /// The lower half; everything, for a value below 2^128.
    pub(crate) fn low_u128(self) -> u128 {
        (u128::from(self.0[2]) << 64) | u128::from(self.0[3])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Limbs of all zeros or all ones make carries and borrows run through.
        #[test]
        fn what_is_added_can_be_taken_away(
            one in prop::array::uniform4(prop_oneof![Just(0), Just(u64::MAX), any::<u64>()]),
            other in prop::array::uniform4(prop_oneof![Just(0), Just(u64::MAX), any::<u64>()]),
        ) {
            let halved = |limbs: [u64; 4]| Wide([limbs[0] / 2, limbs[1], limbs[2], limbs[3]]);
            let (one, other) = (halved(one), halved(other));
            let sum = one.plus(other);
            prop_assert!(sum >= one && sum >= other);
            prop_assert_eq!(sum.minus(other), one);
            prop_assert_eq!(sum.minus(one), other);
        }
    }
}
