//! How daemon and launcher talk: JSON, each message behind its length, over a stream socket.

use std::io::{self, ErrorKind, Read};
use std::path::PathBuf;

use serde::{de::DeserializeOwned, Deserialize, Serialize};

use super::{AttemptId, Launch};

/// A message above this is damage, not a launch: argv and environment are at most a few megabytes.
const FRAME_MAX: usize = 64 << 20;
const LENGTH_SIZE: usize = 4;
const READ_SIZE: usize = 64 << 10;

/// What the daemon asks of the launcher.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Request {
    /// First of all: where shims report.
    Setup {
        /// The daemon's datagram socket.
        pokes: PathBuf,
    },
    /// Start this.
    Launch(Box<Launch>),
}

/// What the launcher itself needs of a [`Request`]; the shim reads the rest.
#[derive(Debug, Deserialize)]
pub(super) enum RequestHead {
    Setup { pokes: PathBuf },
    Launch(LaunchHead),
}

/// The part of a [`Launch`] that the launcher needs.
#[derive(Debug, Deserialize)]
pub(super) struct LaunchHead {
    pub(super) id: AttemptId,
    pub(super) folder: PathBuf,
}

/// What the launcher answers: failures only.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct NotStarted {
    /// Which attempt.
    pub(super) id: AttemptId,
    /// Why.
    pub(super) reason: String,
}

/// What a shim sends when it has left the outcome. Only the folder is believed.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Poke {
    /// Which attempt.
    #[serde(flatten)]
    pub(super) id: AttemptId,
}

/// One message, ready to be sent.
pub(super) fn encode<Message: Serialize>(message: &Message) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; LENGTH_SIZE];
    serde_json::to_writer(&mut bytes, message)?;
    let length = bytes.len() - LENGTH_SIZE;
    if length > FRAME_MAX {
        let text = format!("a launch of {length} bytes is over the limit of {FRAME_MAX}");
        return Err(io::Error::new(ErrorKind::InvalidInput, text));
    }
    bytes[..LENGTH_SIZE].copy_from_slice(&(length as u32).to_le_bytes());
    Ok(bytes)
}

/// Puts bytes back together into messages.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    bytes: Vec<u8>,
    /// Zeroed once and not for each read, which would touch all of its pages.
    buffer: Vec<u8>,
}

impl Decoder {
    /// Reads once; `Ok(false)` at the end of the stream.
    pub(super) fn read_from(&mut self, source: &mut impl Read) -> io::Result<bool> {
        self.buffer.resize(READ_SIZE, 0);
        match source.read(&mut self.buffer) {
            Ok(read) => {
                self.bytes.extend_from_slice(&self.buffer[..read]);
                Ok(read > 0)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// The next whole message, if there is one.
    pub(super) fn next<Message: DeserializeOwned>(&mut self) -> io::Result<Option<Message>> {
        let content = self.next_content()?;
        let message = content.map(|content| serde_json::from_slice(&content));
        Ok(message.transpose()?)
    }

    /// The next whole message as it was sent.
    pub(super) fn next_content(&mut self) -> io::Result<Option<Vec<u8>>> {
        let Some(length) = self.bytes.first_chunk::<LENGTH_SIZE>() else {
            return Ok(None);
        };
        let length = u32::from_le_bytes(*length) as usize;
        if length > FRAME_MAX {
            return Err(io::Error::new(ErrorKind::InvalidData, "an impossible length"));
        }
        let end = LENGTH_SIZE + length;
        let Some(content) = self.bytes.get(LENGTH_SIZE..end) else {
            return Ok(None);
        };
        let content = content.to_vec();
        self.bytes.drain(..end);
        // One huge launch must not keep the launcher, and every fork of it, large for good.
        if self.bytes.capacity() > 4 * READ_SIZE && self.bytes.len() < READ_SIZE {
            self.bytes.shrink_to(2 * READ_SIZE);
        }
        Ok(Some(content))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wezterm_parallel_scheduler::TaskKey;

    fn refusal(key: u64) -> NotStarted {
        let id = AttemptId {
            key: TaskKey(key),
            attempt: 1,
        };
        let reason = "x".repeat(key as usize);
        NotStarted { id, reason }
    }

    #[test]
    fn messages_survive_being_torn_and_joined() {
        let sent = [refusal(0), refusal(3), refusal(10_000), refusal(5)];
        let bytes: Vec<u8> = sent.iter().flat_map(|one| encode(one).unwrap()).collect();
        for piece in [3, 997, 4096, bytes.len()] {
            let mut decoder = Decoder::default();
            let mut received = Vec::new();
            for mut part in bytes.chunks(piece) {
                // A read takes what it has room for, which may be less than the piece.
                while !part.is_empty() {
                    assert!(decoder.read_from(&mut part).unwrap());
                    while let Some(message) = decoder.next::<NotStarted>().unwrap() {
                        received.push(message);
                    }
                }
            }
            assert_eq!(received, sent);
        }
    }

    #[test]
    fn an_impossible_length_is_refused() {
        let mut decoder = Decoder::default();
        decoder.read_from(&mut [255_u8; 8].as_slice()).unwrap();
        assert!(decoder.next::<NotStarted>().is_err());
    }
}
