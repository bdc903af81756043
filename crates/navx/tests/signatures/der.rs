//! Values within values, taken apart and put together by hand, right or wrong.

/// A value of that tag.
pub(crate) fn value(tag: u8, content: &[u8]) -> Vec<u8> {
    let len = u32::try_from(content.len()).unwrap().to_be_bytes();
    let len = match len {
        [0, 0, 0, short @ ..=0x7F] => vec![short],
        [0, 0, 0, len] => vec![0x81, len],
        [0, 0, high, low] => vec![0x82, high, low],
        [_, high, middle, low] => vec![0x83, high, middle, low],
    };
    [&[tag], len.as_slice(), content].concat()
}

/// The values that follow each other, each with its tag.
pub(crate) fn values(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut found = Vec::new();
    while let [tag, first, rest @ ..] = bytes {
        let (len, rest) = match (first, rest) {
            (0x81, [len, rest @ ..]) => (usize::from(*len), rest),
            (0x82, [high, low, rest @ ..]) => (usize::from(u16::from_be_bytes([*high, *low])), rest),
            (short, rest) => (usize::from(*short), rest),
        };
        let (content, rest) = rest.split_at(len);
        found.push((*tag, content.to_vec()));
        bytes = rest;
    }
    found
}

/// Values put together again.
pub(crate) fn joined(values: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let each = values.iter().map(|(tag, content)| value(*tag, content));
    each.collect::<Vec<_>>().concat()
}

/// A signed package, the parts of whose outermost SignedData (version, hashes, content, certificates, signers) are changed.
pub(crate) fn with_parts(signed: &[u8], change: impl FnOnce(&mut Vec<(u8, Vec<u8>)>)) -> Vec<u8> {
    with_signature(signed, |der| {
        let info = values(&values(der)[0].1);
        let mut parts = values(&values(&info[1].1)[0].1);
        change(&mut parts);
        let data = value(0x30, &joined(&parts));
        value(0x30, &[value(info[0].0, &info[0].1), value(0xA0, &data)].concat())
    })
}

/// A signed package with another signature in its block.
pub(crate) fn with_signature(signed: &[u8], change: impl FnOnce(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let (end, der) = split(signed);
    let package = &signed[..end];
    let offset = u32::try_from(end).unwrap().to_le_bytes();
    [package, b"NXSB", &change(der), &offset, b"NXSB"].concat()
}

/// Where the package ends, and its signature.
pub(crate) fn split(signed: &[u8]) -> (usize, &[u8]) {
    let frame = signed.len() - 8;
    let end = u32::from_le_bytes(signed[frame..frame + 4].try_into().unwrap());
    let end = usize::try_from(end).unwrap();
    (end, &signed[end + 4..frame])
}
