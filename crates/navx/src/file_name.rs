//! The name under which a package is handed out.
//!
//! People recognise packages by `Publisher_Name_Version.app`, so downloads are named like that. Publisher and
//! name come from whoever built the package, so everything that a file system or a terminal could take for
//! more than a letter is left out. Nothing is ever read back from such a name.

use std::fmt::Display;

const MAX_BYTES: usize = 255;
const EXTENSION: &str = ".app";

/// `Publisher_Name_Version.app`, safe to store under on every common system and at most 255 bytes long.
///
/// The result may have letters outside ASCII; a header that carries it needs the encoding of RFC 6266.
pub fn download_file_name(publisher: &str, name: &str, version: impl Display) -> String {
    let version = harmless(&version.to_string());
    let fixed = "__".len() + version.len() + EXTENSION.len() + "_".len();
    let room = MAX_BYTES.saturating_sub(fixed);
    let (publisher, name) = fit(harmless(publisher), harmless(name), room);
    let file_name = format!("{publisher}_{name}_{version}{EXTENSION}");
    let file_name = file_name.trim_start_matches([' ', '.']);
    if is_device(file_name) {
        format!("_{file_name}")
    } else {
        file_name.to_owned()
    }
}

fn harmless(text: &str) -> String {
    text.chars().filter(|character| !is_harmful(*character)).collect()
}

/// What Windows forbids in names, and characters that steer how text is shown instead of being shown.
fn is_harmful(character: char) -> bool {
    let forbidden = matches!(character, '<' | '>' | ':' | '"' | '/' | '\\' | '|' | '?' | '*');
    let steers_text = matches!(
        character,
        '\u{061C}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}'
    );
    forbidden || steers_text || character.is_control()
}

/// Cuts publisher and name, each to half the room if it needs more, at character boundaries.
fn fit(mut publisher: String, mut name: String, room: usize) -> (String, String) {
    if publisher.len() + name.len() > room {
        cut(&mut publisher, room.saturating_sub(name.len()).max(room / 2));
        cut(&mut name, room - publisher.len());
    }
    (publisher, name)
}

fn cut(text: &mut String, bytes: usize) {
    text.truncate(text.floor_char_boundary(bytes));
}

/// Windows takes such a name for a device whatever follows its first dot.
fn is_device(file_name: &str) -> bool {
    let stem = file_name
        .split('.')
        .next()
        .unwrap_or_default()
        .trim_end()
        .to_ascii_uppercase();
    let numbered = stem.strip_prefix("COM").or_else(|| stem.strip_prefix("LPT"));
    let is_port = numbered.is_some_and(|number| {
        matches!(
            number,
            "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9" | "¹" | "²" | "³"
        )
    });
    is_port || matches!(&*stem, "CON" | "PRN" | "AUX" | "NUL")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::download_file_name;

    #[test]
    fn ordinary_names_stay_as_they_are() {
        assert_eq!(
            download_file_name("Contoso", "Sales Pack", "1.2.3.4"),
            "Contoso_Sales Pack_1.2.3.4.app"
        );
        assert_eq!(
            download_file_name("Contoso", "Localización", "1.0.0.0"),
            "Contoso_Localización_1.0.0.0.app"
        );
    }

    #[test]
    fn what_file_systems_and_terminals_misread_goes() {
        assert_eq!(
            download_file_name("../..\\a:b", "c\u{202E}*\r\n?\"", "1.0.0.0"),
            "ab_c_1.0.0.0.app"
        );
        assert_eq!(download_file_name("CON.", "x", "1.0.0.0"), "_CON._x_1.0.0.0.app");
        assert_eq!(
            download_file_name("lpt1 .", "x", "1.0.0.0"),
            "_lpt1 ._x_1.0.0.0.app"
        );
        assert_eq!(download_file_name("...", "", "1.0.0.0"), "__1.0.0.0.app");
    }

    #[test]
    fn long_names_keep_their_version() {
        let file_name = download_file_name(&"日".repeat(250), &"n".repeat(250), "1.2.3.4");
        assert!(file_name.len() <= 255);
        assert!(file_name.ends_with("_1.2.3.4.app"));
        let short_publisher = download_file_name("Contoso", &"n".repeat(250), "1.2.3.4");
        assert!(short_publisher.starts_with("Contoso_nnn") && short_publisher.len() >= 250);
        let device = download_file_name(&format!("CON.{}", "x".repeat(300)), "name", "1.2.3.4");
        assert!(
            device.starts_with("_CON.xxx") && device.len() <= 255,
            "{}",
            device.len()
        );
    }

    proptest! {
        #[test]
        fn every_name_is_one_harmless_file(publisher in "\\PC{0,300}|.{0,40}", name in "\\PC{0,300}|.{0,40}") {
            let file_name = download_file_name(&publisher, &name, "1.2.3.4");
            prop_assert!(file_name.len() <= 255);
            prop_assert!(file_name.ends_with("_1.2.3.4.app"));
            prop_assert!(!file_name.starts_with('.'));
            prop_assert!(!file_name.contains(['/', '\\', ':', '"', '\n', '\r', '\0']));
        }
    }
}
