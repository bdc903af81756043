//! How much there is in DER, before anybody parses it.
//!
//! The parser sorts every set as it reads it, in the time of its length squared. So this pass counts first: how deep, how
//! many values, and how many in one.

/// Values within each other. Real signatures have about twenty, and eight more where one is nested in another.
const MAX_DEPTH: usize = 32;
/// Values in all. Real signatures have about a thousand.
const MAX_VALUES: usize = 20_000;
/// Values in one. Real ones have at most a dozen.
const MAX_IN_ONE: usize = 48;

/// What is built of other values.
const CONSTRUCTED: u8 = 0x20;

/// Whether `der` is one value of bounded shape, and nothing after it. What looks like no DER is none here already.
pub(super) fn is_bounded(der: &[u8]) -> bool {
    let mut values = 0;
    let top = children(der, &mut values);
    let Some((1, mut open)) = top else { return false };
    for _ in 0..MAX_DEPTH {
        let mut inner = Vec::new();
        for value in open {
            let Some((_, found)) = children(value, &mut values) else {
                return false;
            };
            inner.extend(found);
        }
        if inner.is_empty() {
            return true;
        }
        open = inner;
    }
    false
}

/// How many values follow each other in `bytes`, and what those hold that are built of others.
fn children<'d>(mut bytes: &'d [u8], values: &mut usize) -> Option<(usize, Vec<&'d [u8]>)> {
    let (mut count, mut constructed) = (0, Vec::new());
    while !bytes.is_empty() {
        let (tag, value, rest) = value(bytes)?;
        if tag & CONSTRUCTED != 0 {
            constructed.push(value);
        }
        count += 1;
        *values += 1;
        if count > MAX_IN_ONE || *values > MAX_VALUES {
            return None;
        }
        bytes = rest;
    }
    Some((count, constructed))
}

/// The first value: its tag, what it holds, and what follows. Lengths of more than three bytes are none.
fn value(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, len, rest) = match bytes {
        [tag, len @ ..=0x7F, rest @ ..] => (*tag, u32::from(*len), rest),
        [tag, 0x81, len, rest @ ..] => (*tag, u32::from(*len), rest),
        [tag, 0x82, high, low, rest @ ..] => (*tag, u32::from_be_bytes([0, 0, *high, *low]), rest),
        [tag, 0x83, high, middle, low, rest @ ..] => {
            (*tag, u32::from_be_bytes([0, *high, *middle, *low]), rest)
        }
        _ => return None,
    };
    let (value, rest) = rest.split_at_checked(usize::try_from(len).ok()?)?;
    Some((tag, value, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence(of: &[u8]) -> Vec<u8> {
        let len = u16::try_from(of.len()).unwrap().to_be_bytes();
        [&[0x30, 0x82, len[0], len[1]], of].concat()
    }

    fn nested(depth: usize) -> Vec<u8> {
        (1..depth).fold(vec![0x30, 0], |inner, _| sequence(&inner))
    }

    #[test]
    fn what_is_deep_wide_or_long_is_told_before_it_is_parsed() {
        assert!(is_bounded(&nested(MAX_DEPTH)));
        assert!(!is_bounded(&nested(MAX_DEPTH + 1)));
        assert!(is_bounded(&sequence(&[5, 0].repeat(MAX_IN_ONE))));
        assert!(!is_bounded(&sequence(&[5, 0].repeat(MAX_IN_ONE + 1))));
        let wide = |of: &[u8]| sequence(&of.repeat(MAX_IN_ONE));
        let thousands = sequence(&wide(&[5, 0]).repeat(40));
        assert!(is_bounded(&thousands));
        let too_many = sequence(&sequence(&wide(&[5, 0]).repeat(30)).repeat(15));
        assert!(!is_bounded(&too_many));
    }

    #[test]
    fn what_is_no_der_is_not_bounded() {
        for bytes in [
            &[][..],
            &[0x30],
            &[0x30, 1],
            &[0x30, 0, 0x30, 0],
            &[0x30, 0x80, 0, 0],
            &[0x30, 0x84, 0, 0, 0, 0],
            &[0x30, 2, 5, 1],
        ] {
            assert!(!is_bounded(bytes), "{bytes:?}");
        }
    }
}
