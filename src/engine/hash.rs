//! A hash that is the same on every machine and in every version: it stands in the journal.

use std::io;

/// FNV-1a, 64 bits, as something that can be written to.
#[derive(Clone, Copy, Debug)]
pub(super) struct StableHash(u64);

impl Default for StableHash {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl StableHash {
    /// The hash of some bytes.
    #[must_use]
    pub(super) fn of(bytes: &[u8]) -> u64 {
        let mut hash = Self::default();
        hash.feed(bytes);
        hash.0
    }

    /// The hash of a value's JSON.
    #[must_use]
    pub(super) fn of_json(value: &impl serde::Serialize) -> u64 {
        let mut hash = Self::default();
        serde_json::to_writer(&mut hash, value)
            .expect("a hash takes every byte, and our types are always JSON");
        hash.0
    }

    /// The hash of what was fed so far.
    #[must_use]
    pub(super) fn finish(self) -> u64 {
        self.0
    }

    /// Adds some bytes.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

impl io::Write for StableHash {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.feed(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
