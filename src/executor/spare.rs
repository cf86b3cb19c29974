//! How the launcher hands another attempt to a shim that is done with its last one.
//!
//! For a short command the fork of its shim, the copies of the pages that it touches and the end of
//! it cost more than all else. A shim that left nothing behind therefore offers itself for some
//! time, and the launcher prefers it to a fork. Whether it is free is settled by a token, one byte in a
//! channel that both read: who takes it decides, so a launch is never sent to a shim that leaves.
//!
//! A launch travels together with the locked `shim.json`, whose lock holds as long as any copy of it is
//! open: on the way, too, the folder shows an attempt that is alive, and if the shim dies, one that
//! never started.

use std::fs::File;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::io::FdFlags;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags,
};

/// An idle daemon is to be small, and between tasks of a busy queue there are only milliseconds.
const IDLE_AT_MOST: Duration = Duration::from_millis(500);
/// A longer launch goes by fork. This much fits into a socket on Linux, so that the launcher never waits
/// for a shim; elsewhere it may wait for the moment that a free one takes to read.
pub(super) const LAUNCH_MAX: usize = 32 << 10;
const LENGTH_SIZE: usize = 4;

/// The launcher's end: a shim that may come free.
pub(super) struct Spare {
    work: UnixStream,
    tokens: UnixStream,
}

/// The shim's end.
pub(super) struct Seat {
    work: UnixStream,
    tokens: UnixStream,
    offers: UnixStream,
    buffer: Vec<u8>,
}

/// What the launcher found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// It is free, and now waits for nothing but a launch.
    Taken,
    /// It has an attempt.
    Busy,
    /// It has left.
    Gone,
}

/// Both ends of what joins a launcher and one shim.
pub(super) fn pair() -> io::Result<(Spare, Seat)> {
    let (work, shims_work) = UnixStream::pair()?;
    shims_work.set_read_timeout(Some(IDLE_AT_MOST))?;
    let (tokens, offers) = UnixStream::pair()?;
    tokens.set_nonblocking(true)?;
    let seat = Seat {
        work: shims_work,
        tokens: tokens.try_clone()?,
        offers,
        buffer: Vec::new(),
    };
    Ok((Spare { work, tokens }, seat))
}

impl Spare {
    /// Takes the shim if it is free. After that it must be given a launch or be dropped.
    pub(super) fn claim(&mut self) -> Claim {
        match self.tokens.read(&mut [0]) {
            Ok(1..) => Claim::Taken,
            Err(error) if error.kind() == ErrorKind::WouldBlock => Claim::Busy,
            Ok(0) | Err(_) => Claim::Gone,
        }
    }

    /// Hands it a launch, of at most [`LAUNCH_MAX`] bytes, with its `shim.json`.
    pub(super) fn give(&mut self, launch: &[u8], shim: &File) -> io::Result<()> {
        let length = u32::try_from(launch.len()).map_err(|_| ErrorKind::InvalidInput)?;
        let message = [&length.to_le_bytes(), launch].concat();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let files = [shim.as_fd()];
        control.push(SendAncillaryMessage::ScmRights(&files));
        let parts = [IoSlice::new(&message)];
        let sent = rustix::net::sendmsg(&self.work, &parts, &mut control, SendFlags::empty())?;
        self.work.write_all(&message[sent..])
    }
}

impl Seat {
    /// From now on the launcher may take this shim. The last attempt must be over in every respect.
    pub(super) fn offer(&mut self) -> io::Result<()> {
        self.offers.write_all(&[1])
    }

    /// The next launch and its `shim.json`; `None` if the shim is to end.
    pub(super) fn next(&mut self, is_ended: impl Fn() -> bool) -> Option<(&[u8], File)> {
        let (received, shim) = loop {
            match self.receive() {
                Ok(received) => break received,
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted if !is_ended() => {}
                    ErrorKind::Interrupted | ErrorKind::WouldBlock if !self.withdraw() => {}
                    _ => return None,
                },
            }
        };
        let length = u32::from_le_bytes(*self.buffer.first_chunk()?) as usize;
        let launch = self.buffer.get_mut(LENGTH_SIZE..)?.get_mut(..length)?;
        // Without the rest the attempt never starts, which its folder then shows.
        let rest = launch.get_mut(received.checked_sub(LENGTH_SIZE)?..)?;
        self.work.read_exact(rest).ok()?;
        Some((launch, shim?))
    }

    fn receive(&mut self) -> io::Result<(usize, Option<File>)> {
        self.buffer.resize(LENGTH_SIZE + LAUNCH_MAX, 0);
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut parts = [IoSliceMut::new(&mut self.buffer)];
        let received = rustix::net::recvmsg(&self.work, &mut parts, &mut control, RecvFlags::empty())?;
        let mut shim = None;
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(files) = message {
                shim = files.map(File::from).next();
            }
        }
        if let Some(shim) = &shim {
            rustix::io::fcntl_setfd(shim, FdFlags::CLOEXEC)?;
        }
        Ok((received.bytes, shim))
    }

    /// Takes the offer back; false if the launcher was faster and a launch is on its way.
    fn withdraw(&mut self) -> bool {
        !matches!(self.tokens.read(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shim_that_offers_itself_is_given_one_launch_with_its_file() {
        let (mut spare, mut seat) = pair().unwrap();
        assert_eq!(spare.claim(), Claim::Busy);
        seat.offer().unwrap();
        assert_eq!(spare.claim(), Claim::Taken);
        assert_eq!(spare.claim(), Claim::Busy);
        let mut file = tempfile::tempfile().unwrap();
        let launch = vec![b'x'; LAUNCH_MAX];
        spare.give(&launch, &file).unwrap();
        let (received, mut shim) = seat.next(|| false).unwrap();
        assert_eq!(received, launch);
        // It is the same open file, position and lock included.
        shim.write_all(b"shim").unwrap();
        assert_eq!(io::Seek::stream_position(&mut file).unwrap(), 4);
    }

    #[test]
    fn a_shim_that_nobody_needs_ends_and_is_seen_to_be_gone() {
        let (mut spare, mut seat) = pair().unwrap();
        seat.offer().unwrap();
        assert!(seat.next(|| false).is_none());
        assert_eq!(spare.claim(), Claim::Busy);
        drop(seat);
        assert_eq!(spare.claim(), Claim::Gone);
    }

    #[test]
    fn a_shim_ends_with_its_launcher() {
        let (mut spare, mut seat) = pair().unwrap();
        seat.offer().unwrap();
        assert_eq!(spare.claim(), Claim::Taken);
        drop(spare);
        assert!(seat.next(|| false).is_none());
    }
}
