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
    let mut rest = skip_declaration(xml)?;
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

/// Skips the XML declaration. Whatever follows it is read as UTF-8, so it may not tell others to read it differently.
fn skip_declaration(xml: &str) -> Result<&str, String> {
    let Some(declared) = xml
        .strip_prefix("<?xml")
        .filter(|rest| rest.starts_with(is_blank))
    else {
        return Ok(xml);
    };
    let Some((inside, after)) = declared.split_once("?>") else {
        return Err("its XML declaration is never closed".to_owned());
    };
    let mut expected = ["version", "encoding", "standalone"].into_iter();
    let mut unread = inside;
    while !unread.trim_matches(is_blank).is_empty() {
        let Some((name, value, rest)) = pseudo_attribute(unread) else {
            return Err("its XML declaration is not well formed".to_owned());
        };
        let allowed = match name {
            "version" => value == "1.0",
            "encoding" => value.eq_ignore_ascii_case("utf-8"),
            _ => matches!(value, "yes" | "no"),
        };
        if !allowed {
            let value: String = value.chars().take(60).collect();
            return Err(format!(
                "its XML declaration says {name}=\"{value}\"; only XML 1.0 in UTF-8 is read"
            ));
        }
        let in_order = expected.any(|next| next == name);
        if !in_order || (unread == inside && name != "version") {
            return Err("its XML declaration is not well formed".to_owned());
        }
        unread = rest;
    }
    match unread.len() < inside.len() {
        true => Ok(after),
        false => Err("its XML declaration names no version".to_owned()),
    }
}

fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r' | '\n')
}

/// Name and value at the start of `text`, and what follows them.
fn pseudo_attribute(text: &str) -> Option<(&str, &str, &str)> {
    let text = text.strip_prefix(is_blank)?.trim_start_matches(is_blank);
    let (name, rest) = text.split_once('=')?;
    let rest = rest.trim_start_matches(is_blank);
    let quote = rest.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    let (value, rest) = rest.strip_prefix(quote)?.split_once(quote)?;
    Some((name.trim_end_matches(is_blank), value, rest))
}

/// Skips a comment, a CDATA section or a processing instruction; `None` when an element starts here.
fn skip_non_element(markup: &str) -> Result<Option<&str>, String> {
    if markup
        .get(..4)
        .is_some_and(|start| start.eq_ignore_ascii_case("?xml"))
        && !markup
            .get(4..)
            .is_some_and(|rest| rest.starts_with(is_name_character))
    {
        return Err("it has an XML declaration that is not where one belongs".to_owned());
    }
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

/// Whether a processing instruction's name goes on with it, as in `xml-stylesheet`.
fn is_name_character(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '-' | '_' | '.' | ':')
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
    fn only_a_declaration_of_what_is_read_is_accepted() {
        for declaration in [
            "version='1.0'",
            "version = \"1.0\"\r\n\tencoding= 'Utf-8' ",
            "version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"",
            "version='1.0' standalone='no'",
        ] {
            assert_eq!(
                check(&format!("<?xml {declaration}?><a/>")),
                Ok(()),
                "{declaration}"
            );
        }
        for encoding in [
            "UTF-7",
            "utf-16",
            "UTF-16LE",
            "iso-8859-1",
            "windows-1252",
            "utf8",
            "us-ascii",
            "",
            " utf-8",
        ] {
            for gap in [" ", "\t", "\r\n"] {
                let xml = format!("<?xml{gap}version='1.0'{gap}encoding='{encoding}'?><a/>");
                let error = check(&xml).unwrap_err();
                assert!(error.contains(&format!("encoding=\"{encoding}\"")), "{error}");
            }
        }
        for xml in [
            "<?xml ?><a/>",
            "<?xml version='1.1'?><a/>",
            "<?xml encoding='utf-8'?><a/>",
            "<?xml encoding='utf-8' version='1.0'?><a/>",
            "<?xml version='1.0' encoding='utf-8' encoding='utf-8'?><a/>",
            "<?xml version='1.0' encoding='utf-8' encoding='utf-7'?><a/>",
            "<?xml version='1.0'encoding='utf-8'?><a/>",
            "<?xml version='1.0' ENCODING='utf-7'?><a/>",
            "<?xml version='1.0' standalone='maybe'?><a/>",
            "<?xml version='1.0' x='y'?><a/>",
            "<?xml version='1.0\" encoding=\"utf-8\"?><a/>",
            "<?xml version='1.0'><a/>",
            "<?xml?><a/>",
            "<?XML version='1.0' encoding='utf-7'?><a/>",
            " <?xml version='1.0'?><a/>",
            "<!----><?xml version='1.0' encoding='utf-7'?><a/>",
            "<a><?xml version='1.0'?></a>",
            "<a/><?Xml\nversion='1.0'?>",
        ] {
            assert!(
                check(xml).is_err_and(|error| error.contains("declaration")),
                "{xml}"
            );
        }
        assert_eq!(
            check("<?xml version='1.0'?><?xml-stylesheet href='x'?><a/>"),
            Ok(())
        );
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
