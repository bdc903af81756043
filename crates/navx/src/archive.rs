//! A ZIP inside a package: one fixed time and no extra fields, so that the same entries give the same bytes.

use std::io::{self, Seek, SeekFrom, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, System, ZipWriter};

use crate::filler::Filler;

/// Writes entries one after the other, then the directory.
pub(crate) struct Archive<'a, W: Write + Seek> {
    zip: ZipWriter<FromStart<'a, W>>,
    options: SimpleFileOptions,
}

impl<'a, W: Write + Seek> Archive<'a, W> {
    /// Starts an archive at the current position.
    pub(crate) fn new(out: &'a mut W) -> io::Result<Self> {
        let start = out.stream_position()?;
        let written = DateTime::from_date_and_time(2025, 1, 1, 0, 0, 0).map_err(io::Error::other)?;
        Ok(Self {
            zip: ZipWriter::new(FromStart { out, start }),
            // Left alone, the system would be the one that builds the package.
            options: SimpleFileOptions::default()
                .last_modified_time(written)
                .system(System::Dos),
        })
    }

    /// Adds a packed entry.
    pub(crate) fn add(&mut self, name: &str, content: &[u8]) -> io::Result<()> {
        let packed = self.options.compression_method(CompressionMethod::Deflated);
        self.zip.start_file(name, packed)?;
        self.zip.write_all(content)
    }

    /// Adds an unpacked entry of `size` bytes.
    pub(crate) fn add_filler(&mut self, name: &str, size: u64, filler: &mut Filler) -> io::Result<()> {
        let stored = self.options.compression_method(CompressionMethod::Stored);
        self.zip.start_file(name, stored)?;
        filler.write_to(&mut self.zip, size)
    }

    /// Writes the directory and answers the archive's size. What was written so far is no archive without it.
    pub(crate) fn finish(self) -> io::Result<u64> {
        self.zip.finish()?.stream_position()
    }
}

/// A stream whose positions count from where the archive begins, as those in a ZIP do.
struct FromStart<'a, W> {
    out: &'a mut W,
    start: u64,
}

impl<W: Write> Write for FromStart<'_, W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.out.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl<W: Seek> Seek for FromStart<'_, W> {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        let position = match position {
            SeekFrom::Start(offset) => SeekFrom::Start(self.start + offset),
            relative => relative,
        };
        Ok(self.out.seek(position)? - self.start)
    }
}
