//! Reads the output that an attempt leaves in its folder: from the start, from the last lines, and
//! across the middle that was given back to the file system.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write};
use std::path::Path;

use rustix::fs::SeekFrom as Sparse;
use rustix::io::Errno;

use super::value::short_bytes;

/// Large enough that system calls do not count, small enough to stay in the cache.
const CHUNK: usize = 256 << 10;
/// How much is read at a time when looking for lines from the end.
const TAIL_CHUNK: u64 = 64 << 10;

/// An output file that may still grow.
#[derive(Debug)]
pub(crate) struct OutputFile {
    file: File,
    position: u64,
    chunk: Vec<u8>,
}

/// What comes next in a file.
#[derive(Debug)]
pub(crate) enum Piece<'a> {
    /// Bytes that were written.
    Bytes(&'a [u8]),
    /// So many bytes of the middle were not kept.
    Missing(u64),
}

/// How a middle that was not kept is told, in a line of its own.
pub(crate) fn missing_words(bytes: u64) -> String {
    format!("… {} of the middle was not kept …\n", short_bytes(bytes))
}

/// What lies at a position.
enum Region {
    /// Bytes, up to this position (exclusive).
    Data(u64),
    /// Nothing up to this position, where bytes begin again.
    Hole(u64),
    /// The end of the file, for now.
    End,
}

impl OutputFile {
    /// Opens a file; `None` if it is not there (yet).
    pub(crate) fn open(path: &Path) -> io::Result<Option<Self>> {
        match File::open(path) {
            Ok(file) => Ok(Some(Self {
                file,
                position: 0,
                chunk: Vec::new(),
            })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Passes on the next piece, if there is one; where the middle was not kept, says so instead.
    pub(crate) fn copy_piece(&mut self, out: &mut impl Write) -> io::Result<bool> {
        match self.next_piece()? {
            None => return Ok(false),
            Some(Piece::Bytes(bytes)) => out.write_all(bytes)?,
            Some(Piece::Missing(bytes)) => write!(out, "\n{}", missing_words(bytes))?,
        }
        Ok(true)
    }

    /// The next piece, if there is one by now.
    pub(crate) fn next_piece(&mut self) -> io::Result<Option<Piece<'_>>> {
        match self.region()? {
            Region::End => Ok(None),
            Region::Hole(end) => {
                let missing = end - self.position;
                self.position = end;
                Ok(Some(Piece::Missing(missing)))
            }
            Region::Data(end) => {
                let room = usize::try_from(end - self.position).unwrap_or(CHUNK).min(CHUNK);
                self.chunk.resize(CHUNK, 0);
                self.file.seek(SeekFrom::Start(self.position))?;
                let count = self.file.read(&mut self.chunk[..room])?;
                self.position += count as u64;
                Ok((count > 0).then(|| Piece::Bytes(&self.chunk[..count])))
            }
        }
    }

    /// The first bytes of the file, as many as there are by now and at most `most`; the position stays.
    pub(crate) fn first_bytes(&mut self, most: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.file.seek(SeekFrom::Start(0))?;
        (&self.file).take(most as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Passes on everything that is there.
    pub(crate) fn copy_all(&mut self, out: &mut impl Write) -> io::Result<()> {
        while self.copy_piece(out)? {}
        out.flush()
    }

    /// Where the next piece begins.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Moves to this many bytes before the end, or to the start; never to before a middle that was
    /// not kept. Whether that is in the middle of a line.
    pub(crate) fn seek_to_last_bytes(&mut self, bytes: u64) -> io::Result<bool> {
        let end = self.file.seek(SeekFrom::End(0))?;
        let floor = self.last_data_start(end)?;
        self.position = end.saturating_sub(bytes).max(floor);
        if self.position == 0 {
            return Ok(false);
        }
        let mut before = [0];
        self.file.seek(SeekFrom::Start(self.position - 1))?;
        self.file.read_exact(&mut before)?;
        Ok(before[0] != b'\n')
    }

    /// Moves to where the last `lines` lines begin, reading backwards from the end; never to
    /// before a middle that was not kept, nor further back than `bytes_max`.
    pub(crate) fn seek_to_last_lines(&mut self, lines: usize, bytes_max: u64) -> io::Result<()> {
        let end = self.file.seek(SeekFrom::End(0))?;
        let floor = self.last_data_start(end)?.max(end.saturating_sub(bytes_max));
        // A line takes a byte at least: there are no more of them than were asked for.
        if end - floor <= lines as u64 {
            self.position = floor;
            return Ok(());
        }
        self.position = end;
        let mut left = lines;
        while self.position > floor && left > 0 {
            let start = self.position.saturating_sub(TAIL_CHUNK).max(floor);
            let length = usize::try_from(self.position - start).unwrap_or(CHUNK);
            self.chunk.resize(CHUNK, 0);
            self.file.seek(SeekFrom::Start(start))?;
            self.file.read_exact(&mut self.chunk[..length])?;
            // The newline that ends the file ends its last line; it does not begin another.
            let skip = usize::from(self.position == end && self.chunk[length - 1] == b'\n');
            match nth_newline_from_end(&self.chunk[..length - skip], &mut left) {
                Some(at) => self.position = start + at as u64 + 1,
                None => self.position = start,
            }
        }
        Ok(())
    }

    /// Where the bytes that reach to the end of the file begin.
    fn last_data_start(&self, end: u64) -> io::Result<u64> {
        let mut start = 0;
        let mut position = 0;
        while position < end {
            match self.region_at(position)? {
                Region::Data(data_end) => position = data_end,
                Region::Hole(hole_end) => {
                    start = hole_end;
                    position = hole_end;
                }
                Region::End => break,
            }
        }
        Ok(start)
    }

    fn region(&self) -> io::Result<Region> {
        self.region_at(self.position)
    }

    fn region_at(&self, position: u64) -> io::Result<Region> {
        match rustix::fs::seek(&self.file, Sparse::Data(position)) {
            Ok(data) if data > position => Ok(Region::Hole(data)),
            Ok(_) => match rustix::fs::seek(&self.file, Sparse::Hole(position)) {
                Ok(end) => Ok(Region::Data(end)),
                Err(_) => Ok(Region::Data(u64::MAX)),
            },
            // Nothing but the end of the file follows.
            Err(Errno::NXIO) => Ok(Region::End),
            // A file system that knows no holes has none.
            Err(_) => Ok(Region::Data(u64::MAX)),
        }
    }
}

/// The place of the `left`th newline from the end; counts `left` down, to 0 if there are enough.
fn nth_newline_from_end(bytes: &[u8], left: &mut usize) -> Option<usize> {
    for (at, _) in bytes.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n') {
        *left -= 1;
        if *left == 0 {
            return Some(at);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt as _;

    use super::*;

    fn file(content: &[u8]) -> (tempfile::TempDir, OutputFile) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("output");
        std::fs::write(&path, content).unwrap();
        let output = OutputFile::open(&path).unwrap().unwrap();
        (folder, output)
    }

    fn last(content: &[u8], lines: usize) -> String {
        let (_folder, mut output) = file(content);
        output.seek_to_last_lines(lines, u64::MAX).unwrap();
        let mut shown = Vec::new();
        output.copy_all(&mut shown).unwrap();
        String::from_utf8(shown).unwrap()
    }

    #[test]
    fn the_last_lines_are_found() {
        assert_eq!(last(b"a\nb\nc\n", 2), "b\nc\n");
        assert_eq!(last(b"a\nb\nc", 2), "b\nc");
        assert_eq!(last(b"a\nb\n", 9), "a\nb\n");
        assert_eq!(last(b"a\n\n\n", 2), "\n\n");
        assert_eq!(last(b"a\nb\n", 0), "");
        assert_eq!(last(b"", 3), "");
    }

    #[test]
    fn the_last_lines_may_lie_far_apart() {
        let mut content = b"first\n".to_vec();
        content.extend(std::iter::repeat_n(b'x', 200_000));
        content.extend(b"\nlast\n");
        assert_eq!(last(&content, 1), "last\n");
        assert_eq!(last(&content, 2).len(), 200_000 + 1 + 5);
        assert_eq!(last(&content, 3).len(), content.len());
    }

    #[test]
    fn the_last_lines_are_looked_for_within_bounds() {
        let (_folder, mut output) = file(&vec![b'x'; 200_000]);
        output.seek_to_last_lines(3, 1_000).unwrap();
        assert_eq!(output.position(), 199_000);
    }

    #[test]
    fn the_last_bytes_may_begin_in_a_line() {
        let (_folder, mut output) = file(b"one\ntwo\n");
        assert!(output.seek_to_last_bytes(3).unwrap());
        assert!(!output.seek_to_last_bytes(4).unwrap());
        assert_eq!(output.position(), 4);
        assert!(!output.seek_to_last_bytes(99).unwrap());
        assert_eq!(output.position(), 0);
    }

    #[test]
    fn a_missing_middle_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("output");
        let writer = File::create(&path).unwrap();
        let middle = 8 << 20;
        writer.write_all_at(&[b'h'; 65_536], 0).unwrap();
        writer.write_all_at(b"tail 1\ntail 2\n", middle).unwrap();
        let mut shown = Vec::new();
        let mut output = OutputFile::open(&path).unwrap().unwrap();
        output.copy_all(&mut shown).unwrap();
        let shown = String::from_utf8(shown).unwrap();
        assert!(shown.starts_with("hhhh"));
        assert!(
            shown.ends_with("h\n… 7.9 MiB of the middle was not kept …\ntail 1\ntail 2\n"),
            "{}",
            &shown[65_530..]
        );
    }

    #[test]
    fn the_last_lines_stop_at_the_missing_middle() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("output");
        let writer = File::create(&path).unwrap();
        writer.write_all_at(b"head\n", 0).unwrap();
        writer.write_all_at(b"tail 1\ntail 2\n", 8 << 20).unwrap();
        let mut output = OutputFile::open(&path).unwrap().unwrap();
        output.seek_to_last_lines(10, u64::MAX).unwrap();
        let mut shown = Vec::new();
        output.copy_all(&mut shown).unwrap();
        assert_eq!(String::from_utf8(shown).unwrap(), "tail 1\ntail 2\n");
    }

    #[test]
    fn a_file_that_grows_is_read_on() {
        let (folder, mut output) = file(b"one\n");
        let mut shown = Vec::new();
        output.copy_all(&mut shown).unwrap();
        std::fs::OpenOptions::new()
            .append(true)
            .open(folder.path().join("output"))
            .unwrap()
            .write_all(b"two\n")
            .unwrap();
        output.copy_all(&mut shown).unwrap();
        assert_eq!(shown, b"one\ntwo\n");
    }
}
