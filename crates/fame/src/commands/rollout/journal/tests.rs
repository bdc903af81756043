use super::*;
use crate::commands::rollout::record::{Id, Reason};
use domain::{ids::OperationId, instant::Instant, rollout::MemberState};
use proptest::prelude::*;
use std::fs;
use tempfile::TempDir;
use uuid::Uuid;

fn identity() -> Identity {
    Identity::of(&["definition", "app", "service"])
}

fn records(count: usize) -> Vec<Record> {
    let record = |number: usize| match number % 3 {
        0 => Record::Intends {
            member: number,
            attempt: 1,
            known: vec![Id(OperationId(Uuid::from_u128(7)))],
            on: Instant(i64::try_from(number).unwrap()),
        },
        1 => Record::Posted {
            member: number - 1,
            hotfix: Id(OperationId(Uuid::from_u128(number as u128))),
        },
        _ => Record::Became {
            member: number - 2,
            state: MemberState::Refused,
            on: Instant(i64::try_from(number).unwrap()),
            reason: Some(Reason {
                code: "BadRequest".to_owned(),
                text: "A reason:\n\"nö\"".to_owned(),
            }),
        },
    };
    (0..count).map(record).collect()
}

fn journal(records: &[Record]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let (mut journal, before) = Journal::open(&path, identity()).unwrap();
    assert_eq!(before, []);
    for record in records {
        journal.append(std::slice::from_ref(record)).unwrap();
    }
    (folder, path)
}

fn read(path: &Path) -> Result<Vec<Record>, JournalError> {
    Journal::open(path, identity()).map(|(_, records)| records)
}

#[test]
fn what_was_written_is_read_and_names_no_service() {
    let (_folder, path) = journal(&records(9));
    assert_eq!(read(&path).unwrap(), records(9));
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count(), 9);
    assert!(!text.contains("service") && !text.contains("http"), "{text}");
}

/// A process that dies while it writes leaves any beginning of what it wrote.
#[test]
fn cut_at_any_byte_it_holds_the_whole_lines_and_goes_on_behind_them() {
    let (_folder, path) = journal(&records(4));
    let whole = fs::read(&path).unwrap();
    let more = records(5).pop().unwrap();
    for length in 0..=whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        let lines = whole[..length].iter().filter(|byte| **byte == b'\n').count();
        let (mut journal, read_back) = Journal::open(&path, identity()).unwrap();
        assert_eq!(read_back, records(4)[..lines], "{length} bytes");
        journal.append(std::slice::from_ref(&more)).unwrap();
        drop(journal);
        let mut expected = records(4)[..lines].to_vec();
        expected.push(more.clone());
        assert_eq!(read(&path).unwrap(), expected, "{length} bytes");
    }
}

#[test]
fn a_line_that_is_changed_missing_or_elsewhere_is_told_by_its_number() {
    let (_folder, path) = journal(&records(90));
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let written = |lines: &[&str]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    let edited = lines[39].replace("\"member\":39", "\"member\":38");
    assert_ne!(edited, lines[39]);
    let mut changed = lines.clone();
    changed[39] = &edited;
    let mut missing = lines.clone();
    missing.remove(39);
    let mut swapped = lines.clone();
    swapped.swap(39, 40);
    for damaged in [changed, missing, swapped] {
        fs::write(&path, written(&damaged)).unwrap();
        let told = read(&path).unwrap_err();
        assert!(matches!(told, JournalError::Damaged { line: 40, .. }), "{told}");
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            written(&damaged),
            "it stays as it is"
        );
    }
}

#[test]
fn it_is_of_one_rollout_and_of_one_process() {
    let (_folder, path) = journal(&records(2));
    for other in [
        &["definition", "app", "elsewhere"],
        &["definitionapp", "", "service"],
    ] {
        let foreign = Journal::open(&path, Identity::of(other)).unwrap_err();
        assert!(matches!(foreign, JournalError::Foreign(_)), "{foreign}");
    }
    let first = Journal::open(&path, identity()).unwrap();
    let second = Journal::open(&path, identity()).unwrap_err();
    assert!(matches!(second, JournalError::InUse(_)), "{second}");
    drop(first);
    assert!(read(&path).is_ok());
}

#[cfg(unix)]
#[test]
fn nobody_else_may_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let (_folder, path) = journal(&records(1));
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(read(&path).unwrap_err(), JournalError::Exposed(_)));
}

#[test]
fn what_nobody_wrote_here_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    for (text, line) in [("not a journal\n", 1), ("\n", 1), ("\u{0}\u{0}\n", 1)] {
        fs::write(&path, text).unwrap();
        #[cfg(unix)]
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let told = read(&path).unwrap_err();
        assert!(
            matches!(told, JournalError::Damaged { line: at, .. } if at == line),
            "{told}"
        );
    }
}

proptest! {
    // Each case makes several writes durable.
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whichever bit turns, either the line is refused by its number, or the last line lost its end.
    #[test]
    fn no_turned_bit_is_taken_for_what_was_written(place in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let (_folder, path) = journal(&records(6));
        let mut bytes = fs::read(&path).unwrap();
        let at = place.index(bytes.len());
        let line = bytes[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
        let is_last_end = at == bytes.len() - 1;
        bytes[at] ^= 1 << bit;
        fs::write(&path, &bytes).unwrap();
        match read(&path) {
            Ok(left) => {
                prop_assert!(is_last_end);
                prop_assert_eq!(left, records(5));
            }
            Err(JournalError::Damaged { line: told, .. }) => prop_assert_eq!(told, line),
            Err(other) => prop_assert!(false, "{}", other),
        }
    }

    #[test]
    fn records_are_durable_together_or_one_by_one(sizes in prop::collection::vec(0..5_usize, 0..6)) {
        let all = records(sizes.iter().sum());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let (mut journal, _) = Journal::open(&path, identity()).unwrap();
        let mut rest = &all[..];
        for size in sizes {
            let (some, later) = rest.split_at(size);
            journal.append(some).unwrap();
            rest = later;
        }
        drop(journal);
        prop_assert_eq!(read(&path).unwrap(), all);
    }
}

#[test]
fn a_file_that_is_no_journal_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    for foreign in [
        "a secret without an end of line",
        "{\"token\": 1}",
        "0123 is no sum",
    ] {
        fs::write(&path, foreign).unwrap();
        restrict(&path);
        assert!(matches!(read(&path), Err(JournalError::Foreign(_))), "{foreign}");
        assert_eq!(fs::read_to_string(&path).unwrap(), foreign);
    }
}

fn restrict(path: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    #[cfg(not(unix))]
    let _ = path;
}
