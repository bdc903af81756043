//! The look at a manifest's XML before it becomes a tree.
//!
//! A tree builder spends memory per node and compares every attribute of an element with all others, so a
//! few megabytes of hostile XML could cost gigabytes or minutes. This pass counts nesting, elements and
//! attributes in one walk over the bytes and refuses what no compiler writes. It need not judge whether the
//! XML is well formed: it tokenises every well-formed document exactly, and the tree builder refuses the rest
//! at the first fault.

const MAX_DEPTH: usize = 16;
const MAX_ELEMENTS: usize = 50_000;
const MAX_ATTRIBUTES: usize = 64;

/// Accepts XML that is safe to build a tree of; the error is a sentence about the fault.
pub(crate) fn check(xml: &str) -> Result<(), String> {
    let mut rest = xml;
    let mut depth = 0usize;
    let mut elements = 0usize;
    while let Some((_, markup)) = rest.split_once('<') {
        if let Some(after) = skip_non_element(markup)? {
            rest = after;
            continue;
        }
        let tag = Tag::scan(markup)?;
        rest = tag.rest;
        if tag.closes {
            depth = depth.saturating_sub(1);
            continue;
        }
        elements += 1;
        if elements > MAX_ELEMENTS {
            return Err(format!("it has more than {MAX_ELEMENTS} elements"));
        }
        if depth + 1 > MAX_DEPTH {
            return Err(format!("its elements are nested more than {MAX_DEPTH} deep"));
        }
        if !tag.is_empty {
            depth += 1;
        }
    }
    Ok(())
}

/// Skips a comment, a CDATA section or a processing instruction; `None` when an element starts here.
fn skip_non_element(markup: &str) -> Result<Option<&str>, String> {
    for (opening, closing) in [("!--", "-->"), ("![CDATA[", "]]>"), ("?", "?>")] {
        let Some(inside) = markup.strip_prefix(opening) else {
            continue;
        };
        return match inside.split_once(closing) {
            Some((_, after)) => Ok(Some(after)),
            None => Err(format!("'<{opening}' is never closed")),
        };
    }
    if markup.starts_with('!') {
        return Err("it has a document type declaration, which is not allowed".to_owned());
    }
    Ok(None)
}

struct Tag<'x> {
    closes: bool,
    is_empty: bool,
    /// What follows it.
    rest: &'x str,
}

impl<'x> Tag<'x> {
    /// Scans one tag from behind its `<` to the `>` that is not inside quotes.
    fn scan(markup: &'x str) -> Result<Self, String> {
        let mut quote = None;
        let mut attributes = 0;
        for (index, byte) in markup.bytes().enumerate() {
            match (quote, byte) {
                (Some(open), _) if byte == open => quote = None,
                (Some(_), _) => {}
                (None, b'"' | b'\'') => quote = Some(byte),
                (None, b'=') => attributes += 1,
                (None, b'>') => {
                    let inside = markup.get(..index).unwrap_or_default();
                    return Ok(Self {
                        closes: inside.starts_with('/'),
                        is_empty: inside.ends_with('/'),
                        rest: markup.get(index + 1..).unwrap_or_default(),
                    });
                }
                (None, _) => {}
            }
            if attributes > MAX_ATTRIBUTES {
                return Err(format!("an element has more than {MAX_ATTRIBUTES} attributes"));
            }
        }
        Err("it ends inside a tag".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::check;

    #[test]
    fn ordinary_documents_pass() {
        let nested = "<a>".repeat(16) + &"</a>".repeat(16);
        let many = format!("<a>{}</a>", "<b/>".repeat(49_999));
        let wide = format!("<a {}/>", "x='' ".repeat(64));
        for xml in [
            "<a/>",
            "<é></é>",
            "<?x?><!----><a><![CDATA[]]></a>",
            "<?xml version='1.0'?><!-- <b --><a x='>' y=\"'/>\"><![CDATA[<<<]]></a>",
            &nested,
            &many,
            &wide,
            &format!("<a x='{0}' y=\"{0}\"/>", "=".repeat(65)),
        ] {
            assert_eq!(check(xml), Ok(()), "{xml}");
        }
    }

    #[test]
    fn what_costs_too_much_is_refused() {
        let deep = "<a>".repeat(17) + &"</a>".repeat(17);
        let many = format!("<a>{}</a>", "<b/>".repeat(50_000));
        let wide = format!(
            "<a {}/>",
            (0..65).map(|i| format!("x{i}='' ")).collect::<String>()
        );
        let entities = "<!DOCTYPE a [<!ENTITY b \"c\">]><a/>";
        for (xml, word) in [
            (&*deep, "nested"),
            (&many, "elements"),
            (&wide, "attributes"),
            (entities, "document type"),
        ] {
            assert!(check(xml).is_err_and(|message| message.contains(word)), "{word}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_judged_without_panic(text in "[<>/='\"a!?\\[\\]CDT-]{0,60}") {
            let _ = check(&text);
        }
    }
}
