//! Names in folders that outlive a power cut: a file that is made durable may still be lost with its name.

use std::{io, path::Path};

/// Makes the names in a folder last. The path of a file alone has an empty folder: the working directory.
///
/// # Errors
/// What the system says.
#[cfg(unix)]
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    let here = folder.as_os_str().is_empty();
    std::fs::File::open(if here { Path::new(".") } else { folder })?.sync_all()
}

/// Folders cannot be opened as files here; NTFS writes names down in its journal, in their order.
#[cfg(not(unix))]
pub(crate) fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}
