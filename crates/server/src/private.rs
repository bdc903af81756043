//! Files and folders that are for the service's own account alone: rows and packages are other people's.
//!
//! What the service makes is made so. What was there before stays as it is, for somebody may need it so; a warning says
//! where it is open to others. Windows gives what is made the access of the folder that it is made in, so there it is that
//! folder that has to be closed to others.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io,
    path::Path,
};

/// Makes a folder and those above it that are missing, for their owner alone.
pub(crate) fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(folder)
}

/// How a file is opened that, where it is made, is for its owner alone.
pub(crate) fn options() -> OpenOptions {
    #[cfg_attr(not(unix), allow(unused_mut, reason = "there are no modes to set"))]
    let mut options = File::options();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// The mode of what others than its owner may read or change.
#[cfg(unix)]
pub(crate) fn mode_for_others(path: &Path) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt;
    let mode = path.metadata().ok()?.permissions().mode() & 0o7777;
    (mode & 0o077 != 0).then_some(mode)
}

/// There are no modes here.
#[cfg(not(unix))]
pub(crate) fn mode_for_others(_: &Path) -> Option<u32> {
    None
}

/// Warns where others than its owner may read or change what is there.
pub(crate) fn warn_if_open(path: &Path) {
    if let Some(mode) = mode_for_others(path) {
        let wanted = if path.is_dir() { "0700" } else { "0600" };
        tracing::warn!(
            "{} is open to others (mode {mode:04o}); it should be {wanted}",
            path.display()
        );
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::telemetry::tests::Captured;
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_is_made_is_its_owners_and_what_is_open_is_told() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("a/b");
        make_folder(&folder).unwrap();
        let file = folder.join("c");
        options().write(true).create_new(true).open(&file).unwrap();
        let (captured, _guard) = Captured::listening();
        let all = [root.path().join("a"), folder, file.clone()];
        for path in &all {
            assert_eq!(mode_for_others(path), None);
            warn_if_open(path);
        }
        warn_if_open(&root.path().join("nothing"));
        assert_eq!(captured.lines().len(), 0);

        for (path, mode) in [(&file, 0o640), (&all[0], 0o711), (&file, 0o602)] {
            set_permissions(path, Permissions::from_mode(mode)).unwrap();
            warn_if_open(path);
            let lines = captured.lines();
            let message = lines.last().unwrap()["message"].as_str().unwrap();
            let path = path.display().to_string();
            assert!(
                message.contains(&path) && message.contains(&format!("{mode:04o}")),
                "{message}"
            );
        }
        assert_eq!(captured.lines().len(), 3);
    }
}
