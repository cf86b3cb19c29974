//! The signals that a viewer has to hear of: those that end it, and a terminal of another size.
//!
//! They make a descriptor readable, so that the viewer sleeps until something happens.

use std::io::{self, Read as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGWINCH};

/// What has come since.
#[derive(Debug)]
pub struct Signals {
    reader: UnixStream,
    ended: Arc<AtomicBool>,
    resized: Arc<AtomicBool>,
}

impl Signals {
    /// From here on the signals end nothing by themselves.
    ///
    /// # Errors
    /// If there are no more descriptors.
    pub fn catch() -> io::Result<Self> {
        let (reader, writer) = UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        let signals = Self {
            reader,
            ended: Arc::default(),
            resized: Arc::default(),
        };
        for signal in [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGWINCH] {
            let flag = if signal == SIGWINCH {
                &signals.resized
            } else {
                &signals.ended
            };
            // The flag comes first: whoever is woken finds it set.
            signal_hook::flag::register(signal, Arc::clone(flag))?;
            signal_hook::low_level::pipe::register(signal, writer.try_clone()?)?;
        }
        Ok(signals)
    }

    /// Whether one has come that ends the viewer.
    pub fn have_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Whether the terminal has another size than when this was last asked.
    pub fn take_resized(&self) -> bool {
        self.resized.swap(false, Ordering::AcqRel)
    }

    /// Makes the descriptor silent until the next signal.
    pub fn heard(&self) {
        let mut bytes = [0; 64];
        while matches!((&self.reader).read(&mut bytes), Ok(count) if count == bytes.len()) {}
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}
