//! What other programs make of an entry's name.
//!
//! Names are never opened as paths here, but others unpack them to disk or look them up as the parts that the Open
//! Packaging Conventions make of them. Two names that end up as one there are one name.

/// The name without case, percent-encoding (once or more often), other separators, detours, the dots and blanks that
/// Windows drops, and what marks the pieces of an interleaved part.
pub(crate) fn normal_form(name: &[u8]) -> Vec<u8> {
    let decoded = decoded(name);
    let mut segments: Vec<&[u8]> = Vec::new();
    for segment in decoded.split(|byte| matches!(byte, b'/' | b'\\')) {
        if segment == b".." {
            segments.pop();
            continue;
        }
        let kept = segment.iter().rposition(|byte| !matches!(byte, b'.' | b' '));
        let kept = kept.and_then(|last| segment.get(..=last));
        segments.extend(kept);
    }
    let mut normal = folded(&segments.join(&b'/'));
    if let Some(start) = piece_mark(&normal) {
        normal.truncate(start);
    }
    normal
}

/// Whether there is a character in the name that ends it, or a line, for others.
pub(crate) fn has_control(name: &[u8]) -> bool {
    let decoded = decoded(name);
    String::from_utf8_lossy(&decoded).chars().any(char::is_control)
}

/// Decodes until nothing is left to decode, in one walk: each byte may complete what was decoded before it.
fn decoded(name: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(name.len());
    for byte in name {
        decoded.push(*byte);
        while let Some((rest, [b'%', high, low])) = decoded.split_last_chunk::<3>()
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            let length = rest.len();
            decoded.truncate(length);
            decoded.push(high << 4 | low);
        }
    }
    decoded
}

fn hex(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

/// Upper case first: what has no lower case of its own, such as the long s, is a letter of ASCII afterwards.
fn folded(name: &[u8]) -> Vec<u8> {
    match std::str::from_utf8(name) {
        Ok(name) => name.to_uppercase().to_lowercase().into_bytes(),
        Err(_) => name.to_ascii_lowercase(),
    }
}

/// Where `/[N].piece` or `/[N].last.piece` begins.
fn piece_mark(normal: &[u8]) -> Option<usize> {
    let start = normal.iter().rposition(|byte| *byte == b'/')?;
    let last = normal.get(start + 1..)?;
    let is_piece = last.starts_with(b"[") && last.ends_with(b".piece");
    is_piece.then_some(start)
}

#[cfg(test)]
mod tests {
    use super::{has_control, normal_form};

    #[test]
    fn names_that_are_one_for_others_have_one_form() {
        for name in [
            "NavxManifest.xml",
            "navxmanifest.XML",
            "/NavxManifest.xml",
            "\\NavxManifest.xml",
            ".\\./NavxManifest.xml",
            "src/../NavxManifest.xml",
            "../NavxManifest.xml",
            "NavxManifest%2Exml",
            "%4Eavx%254danifest.xml",
            "%4%65avxManifest.xml",
            "%2525254EavxManifest.xml",
            "%2FNavxManifest.xml",
            "x%5c..%2F/NavxManifest.xml",
            "NavxManifest.xml.",
            "NavxManifest.xml. .",
            "NavxManifest.xml/",
            "NavxManife\u{17F}t.xml",
            "NavxManifest.xml/[0].piece",
            "NavxManifest.xml/[1].Last.Piece",
        ] {
            assert_eq!(
                String::from_utf8_lossy(&normal_form(name.as_bytes())),
                "navxmanifest.xml",
                "{name}"
            );
        }
    }

    #[test]
    fn other_names_have_other_forms() {
        for name in [
            "src/NavxManifest.xml",
            "NavxManifest.xml/x",
            " NavxManifest.xml",
            "NavxManifest+.xml",
            "NavxManifest.xm%6",
            "NavxManifest.xml%zz",
            "NavxManifest.xml[0].piece",
        ] {
            assert_ne!(normal_form(name.as_bytes()), b"navxmanifest.xml", "{name}");
        }
        assert_eq!(normal_form(b"\xFFa%FF"), b"\xFFa\xFF");
        assert!(normal_form(b"./..//. ./%2e").is_empty());
    }

    #[test]
    fn control_characters_are_seen_however_they_are_written() {
        for name in ["a\0", "a\x1F", "a\x7F", "%00", "a%2500b", "a%0", "\u{85}"] {
            assert_eq!(has_control(name.as_bytes()), name != "a%0", "{name:?}");
        }
    }

    #[test]
    fn a_name_that_is_encoded_many_times_is_decoded_in_one_walk() {
        let begun = std::time::Instant::now();
        let name = format!("%{}41", "25".repeat(32_000));
        assert_eq!(normal_form(name.as_bytes()), b"a");
        assert!(begun.elapsed().as_secs() < 2);
    }
}
