//! Files that are generated from the code, committed, and read by people: a change of theirs is a change that
//! somebody looks at. The tests compare them, and write them anew when `FAME_UPDATE=1` is set.

use std::{fs, path::PathBuf};

/// A path from the root of the repository.
pub fn in_repository(path: &str) -> PathBuf {
    let root: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", ".."].iter().collect();
    root.join(path)
}

/// The file at `path`, from the root of the repository, must hold `generated`.
///
/// # Panics
/// When it holds something else, with the first line that differs.
#[track_caller]
pub fn holds(path: &str, generated: &str) {
    let file = in_repository(path);
    if std::env::var_os("FAME_UPDATE").is_some_and(|value| value == "1") {
        fs::write(&file, generated).unwrap();
        return;
    }
    let committed = fs::read_to_string(&file).unwrap_or_default();
    let Some((line, (old, new))) = first_difference(&committed, generated) else {
        return;
    };
    panic!(
        "{path} is not what the code makes of it. Line {line} is\n  {old}\nand should be\n  {new}\n\
         If the change is meant, write it anew with FAME_UPDATE=1 and look at the difference."
    );
}

fn first_difference<'a>(committed: &'a str, generated: &'a str) -> Option<(usize, (&'a str, &'a str))> {
    if committed == generated {
        return None;
    }
    let (mut old, mut new) = (committed.lines(), generated.lines());
    let mut line = 1;
    loop {
        match (old.next(), new.next()) {
            (Some(old), Some(new)) if old == new => line += 1,
            (old, new) => return Some((line, (old.unwrap_or("(nothing)"), new.unwrap_or("(nothing)")))),
        }
        if line > committed.len() + generated.len() {
            return Some((line, ("(other line ends)", "(these line ends)")));
        }
    }
}
