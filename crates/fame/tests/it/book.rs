//! The pages in `docs/` are a book, and read as well where they lie: every one has its place in `SUMMARY.md`, and every link
//! of a page of ours leads to something that is there.

use regex::Regex;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// A page, by its path from the root.
pub(crate) fn page(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap()
}

/// All pages below a folder, as paths from the root.
pub(crate) fn pages_below(folder: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(root().join(folder)).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            found.extend(pages_below(&path));
        } else if path.ends_with(".md") {
            found.insert(path);
        }
    }
    found
}

/// The lines of a page that are no code.
fn prose(page: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    page.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

/// The destinations of a page's links.
fn links(page: &str) -> Vec<String> {
    let code = Regex::new("`[^`]*`").unwrap();
    let link = Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    // The text of a link may be code, and may begin on the line before.
    let text = prose(page).collect::<Vec<_>>().join("\n");
    let text = code.replace_all(&text, "code");
    link.captures_iter(&text)
        .map(|found| found[1].to_owned())
        .collect()
}

/// The anchors of a page's headings.
fn anchors(page: &str) -> BTreeSet<String> {
    let headings = prose(page).filter(|line| line.starts_with('#'));
    headings
        .map(|line| anchor(line.trim_start_matches('#')))
        .collect()
}

fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    let kept = kept
        .chars()
        .filter(|letter| letter.is_alphanumeric() || [' ', '-', '_'].contains(letter));
    kept.map(|letter| if letter == ' ' { '-' } else { letter })
        .collect()
}

#[test]
fn every_page_has_its_place_in_the_book() {
    let summary = page("docs/SUMMARY.md");
    let listed: Vec<_> = links(&summary)
        .iter()
        .map(|link| format!("docs/{link}"))
        .collect();
    let mut there = pages_below("docs");
    there.remove("docs/SUMMARY.md");
    assert_eq!(listed.iter().cloned().collect::<BTreeSet<_>>(), there);
    assert_eq!(listed.len(), there.len(), "a page is listed twice");
}

#[test]
fn every_link_leads_somewhere() {
    let root = root();
    let mut pages: BTreeSet<String> = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"]
        .map(String::from)
        .into();
    for folder in ["docs", "contrib", "bench"] {
        pages.extend(pages_below(folder));
    }
    let mut count = 0;
    for name in &pages {
        for link in links(&page(name)) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = match file {
                "" => root.join(name),
                file => root.join(name).parent().unwrap().join(file),
            };
            let target = target
                .canonicalize()
                .unwrap_or_else(|_| panic!("{name}: {link} leads nowhere"));
            let is_of_the_book = target.starts_with(root.join("docs"));
            assert!(
                is_of_the_book || !name.starts_with("docs/"),
                "{name}: {link} leads out of the book; name the file instead"
            );
            if !anchor.is_empty() {
                let there = anchors(&fs::read_to_string(&target).unwrap());
                assert!(there.contains(anchor), "{name}: {link}: there is no such heading");
            }
            count += 1;
        }
    }
    assert!(count > 60, "{count} links were found");
}

#[test]
fn code_has_no_links_and_headings_have_anchors() {
    let page =
        "# A `b` c: d-e\n[one](x.md) and `[no](y.md)`, [`two`](z.md#q)\n```text\n# no\n[no](w.md)\n```\n";
    assert_eq!(links(page), ["x.md", "z.md#q"]);
    assert_eq!(anchors(page), BTreeSet::from(["a-b-c-d-e".to_owned()]));
}
