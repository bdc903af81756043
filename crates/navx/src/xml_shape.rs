//! The look at a manifest's XML before it becomes a tree.
//!
//! A tree builder spends memory per node, compares every attribute of an element with all others, and copies all
//! namespaces in scope for each element that declares one, so a few kilobytes of hostile XML could cost gigabytes or
//! minutes. This pass counts nesting, elements, attributes and namespaces in one walk over the bytes and refuses what
//! no compiler writes. It need not judge whether the XML is well formed: it tokenises every well-formed document
//! exactly, and the tree builder refuses the rest at the first fault.
//!
//! Measured manifests are three deep and declare one namespace, on their root; an element has fifteen attributes.

const MAX_DEPTH: usize = 16;
const MAX_ELEMENTS: usize = 5_000;
const MAX_ATTRIBUTES: usize = 64;
/// Namespaces that an element and those around it declare.
const MAX_NAMESPACES_IN_SCOPE: usize = 16;
/// Bytes in which all namespaces are declared. An element's attributes are compared with their namespaces, so that one
/// long address would be compared a thousand times for each element.
const MAX_NAMESPACE_BYTES: usize = 4 << 10;
const MAX_NAMESPACE_LENGTH: usize = 256;

/// Accepts XML that is safe to build a tree of; the error is a sentence about the fault.
pub(crate) fn check(xml: &str) -> Result<(), String> {
    if let Some(wrong) = xml.chars().find(|character| !is_xml(*character)) {
        return Err(format!(
            "it has the character {wrong:?}, which XML does not allow"
        ));
    }
    if let Some(wrong) = xml.split("&#").skip(1).find_map(no_character) {
        return Err(format!(
            "it refers to the character &#{wrong}; which XML does not allow"
        ));
    }
    let mut rest = skip_declaration(xml)?;
    // How many namespaces are in scope in each element that is open.
    let mut open: Vec<usize> = Vec::new();
    let mut elements = 0usize;
    let mut namespace_bytes = 0usize;
    while let Some((_, markup)) = rest.split_once('<') {
        if let Some(after) = skip_non_element(markup)? {
            rest = after;
            continue;
        }
        let tag = Tag::scan(markup)?;
        rest = tag.rest;
        if tag.closes {
            open.pop();
            continue;
        }
        elements += 1;
        if elements > MAX_ELEMENTS {
            return Err(format!("it has more than {MAX_ELEMENTS} elements"));
        }
        if open.len() == MAX_DEPTH {
            return Err(format!("its elements are nested more than {MAX_DEPTH} deep"));
        }
        let in_scope = open.last().copied().unwrap_or_default() + tag.namespaces.count;
        if in_scope > MAX_NAMESPACES_IN_SCOPE {
            return Err(format!(
                "more than {MAX_NAMESPACES_IN_SCOPE} namespaces are declared around an element"
            ));
        }
        namespace_bytes += tag.namespaces.bytes;
        if namespace_bytes > MAX_NAMESPACE_BYTES {
            return Err(format!(
                "its declarations of namespaces have more than {MAX_NAMESPACE_BYTES} bytes"
            ));
        }
        if !tag.is_empty {
            open.push(in_scope);
        }
    }
    Ok(())
}

/// The number of a character reference that stands at the beginning of `text`, if no character of XML has it. Parsers differ
/// in what they make of such.
fn no_character(text: &str) -> Option<&str> {
    let (number, _) = text.split_once(';')?;
    let (digits, radix) = match number.strip_prefix('x') {
        Some(digits) => (digits, 16),
        None => (number, 10),
    };
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    let meant = u32::from_str_radix(digits, radix).ok().and_then(char::from_u32);
    match meant {
        Some(character) if is_xml(character) => None,
        _ => Some(number),
    }
}

/// Whether a document may have this character, written out.
fn is_xml(character: char) -> bool {
    match character {
        '\t' | '\n' | '\r' => true,
        '\u{FFFE}' | '\u{FFFF}' => false,
        other => other >= ' ',
    }
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
    namespaces: Namespaces,
    /// What follows it.
    rest: &'x str,
}

/// How many namespaces are declared, and in how many bytes of names and addresses.
#[derive(Clone, Copy, Default)]
struct Namespaces {
    count: usize,
    bytes: usize,
}

impl<'x> Tag<'x> {
    /// Scans one tag from behind its `<` to the `>` that is not inside quotes.
    fn scan(markup: &'x str) -> Result<Self, String> {
        let between = |from: usize, to: usize| markup.get(from..to).unwrap_or_default();
        let mut quote = None;
        let mut attributes = 0;
        let mut namespaces = Namespaces::default();
        let mut declares = false;
        // Where the value began, or what follows the last one.
        let mut start = 0;
        for (index, byte) in markup.bytes().enumerate() {
            match (quote, byte) {
                (Some(open), _) if byte == open => {
                    quote = None;
                    let length = index - start;
                    if declares && length > MAX_NAMESPACE_LENGTH {
                        return Err(format!(
                            "a namespace has {length} bytes; {MAX_NAMESPACE_LENGTH} are allowed"
                        ));
                    }
                    namespaces.bytes += if declares { length } else { 0 };
                    declares = false;
                    start = index + 1;
                }
                (Some(_), _) => {}
                (None, b'"' | b'\'') => {
                    quote = Some(byte);
                    start = index + 1;
                }
                (None, b'=') => {
                    attributes += 1;
                    let name = between(start, index).trim_end_matches(is_blank);
                    let name = name.rsplit(is_blank).next().unwrap_or_default();
                    declares = name == "xmlns" || name.starts_with("xmlns:");
                    if declares {
                        namespaces.count += 1;
                        namespaces.bytes += name.len();
                    }
                    start = index + 1;
                }
                (None, b'>') => {
                    let inside = between(0, index);
                    return Ok(Self {
                        closes: inside.starts_with('/'),
                        is_empty: inside.ends_with('/'),
                        namespaces,
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
        let many = format!("<a>{}</a>", "<b/>".repeat(4_999));
        let wide = format!("<a {}/>", "x='' ".repeat(64));
        let in_scope = format!("<a {0}><b {0}/><b {0}></b></a>", "xmlns:x=\"u\" ".repeat(8));
        let declared = "<a xmlns='12345'/>".repeat(400);
        let long = format!("<a xmlns\t=\n'{}'/>", "u".repeat(256));
        for xml in [
            "<a/>",
            "<é></é>",
            "<?x?><!----><a><![CDATA[]]></a>",
            "<?xml version='1.0'?><!-- <b --><a x='>' y=\"'/>\"><![CDATA[<<<]]></a>",
            &nested,
            &many,
            &wide,
            &in_scope,
            &declared,
            &long,
            &format!(
                "<a xmlnsx='{0}' x:xmlns='{0}' x='xmlns=' y=\" xmlns='{0}' \"/>",
                "u".repeat(5_000)
            ),
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
        let many = format!("<a>{}</a>", "<b/>".repeat(5_000));
        let wide = format!(
            "<a {}/>",
            (0..65).map(|i| format!("x{i}='' ")).collect::<String>()
        );
        let eight = (0..8).map(|i| format!(" xmlns:p{i}='u'")).collect::<String>();
        let in_scope = format!("<a{eight}><b{eight}><c xmlns = 'u'/></b></a>");
        let declared = format!("<a>{}</a>", "<b xmlns:z=\"v\"/>".repeat(600));
        let long = format!("<a\txmlns:p\r\n=\"{}\"/>", "u".repeat(257));
        let entities = "<!DOCTYPE a [<!ENTITY b \"c\">]><a/>";
        for (xml, word) in [
            (&*deep, "nested"),
            (&many, "elements"),
            (&wide, "attributes"),
            (&in_scope, "around an element"),
            (&declared, "4096 bytes"),
            (&long, "257 bytes"),
            (entities, "document type"),
            ("<a>\u{8}</a>", "does not allow"),
            ("<!--\u{FFFF}--><a/>", "does not allow"),
            ("<a b='&#xD800;'/>", "does not allow"),
            ("<a>&#55296;</a>", "does not allow"),
            ("<a>&#x110000;</a>", "does not allow"),
            ("<a>&#0;</a>", "does not allow"),
            ("<a>&#99999999999;</a>", "does not allow"),
            ("<a/>\0", "does not allow"),
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
