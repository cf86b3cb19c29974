//! The marker: which segment, and how much of it, the last successful sync covered. It tells a
//! torn write from damage of something acknowledged. It is written without a sync of its own,
//! which costs microseconds, survives SIGKILL, and after a power loss is at worst too low.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::frame::{read_hex, write_hex};
use super::storage::Storage;

/// `segment length crc32\n`, in hexadecimal.
const LINE_BYTES: usize = 8 + 1 + 16 + 1 + 8 + 1;

/// What the marker says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Marker {
    /// The number of the segment.
    pub(super) segment: u32,
    /// How many of its bytes are synced.
    pub(super) bytes: u64,
}

impl Marker {
    fn encode(self) -> [u8; LINE_BYTES] {
        let mut line = [b' '; LINE_BYTES];
        write_hex(&mut line[..8], u64::from(self.segment));
        write_hex(&mut line[9..25], self.bytes);
        let checksum = crc32fast::hash(&line[..25]);
        write_hex(&mut line[26..34], u64::from(checksum));
        line[34] = b'\n';
        line
    }

    fn decode(line: &[u8]) -> Option<Self> {
        let whole = line.len() == LINE_BYTES;
        let marker = whole.then(|| {
            Some(Self {
                segment: u32::try_from(read_hex(&line[..8])?).ok()?,
                bytes: read_hex(&line[9..25])?,
            })
        })??;
        (marker.encode() == line).then_some(marker)
    }

    /// What the folder's marker says; `None` if it is missing or unreadable, which a power loss
    /// can bring about.
    pub(super) fn read(folder: &Path) -> Option<Self> {
        Self::decode(&std::fs::read(path(folder)).ok()?)
    }
}

/// Where it lies.
pub(super) fn path(folder: &Path) -> PathBuf {
    folder.join("synced")
}

/// The open marker.
#[derive(Debug)]
pub(super) struct MarkerFile {
    file: File,
}

impl MarkerFile {
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(path(folder))?;
        Ok(Self { file })
    }

    /// Moves the marker. A failure is no failure of the sync that it follows: the marker is then
    /// too low, and that is a state it may be in.
    pub(super) fn write(&self, storage: &Storage, marker: Marker) {
        let _ = storage.write_all_at(&self.file, &marker.encode(), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_with_any_flipped_bit_is_no_marker() {
        let marker = Marker {
            segment: 7,
            bytes: 0x0123_abcd,
        };
        let line = marker.encode();
        assert_eq!(Marker::decode(&line), Some(marker));
        for bit in 0..LINE_BYTES * 8 {
            let mut flipped = line;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Marker::decode(&flipped), None, "bit {bit}");
        }
        assert_eq!(Marker::decode(&line[..20]), None);
    }
}
