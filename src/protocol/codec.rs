//! One line, one message: the codec that server, client and fuzzer share.
//!
//! The fast path is serde alone; it allocates nothing beyond the message. Only a line that serde
//! refuses is looked at a second time, by [`diagnose`](super::diagnose), to say precisely what is
//! wrong with it. Types on the wire nest four levels at most and unknown fields are refused before
//! their value is read, so that no input makes serde recurse deeper than that.

use super::diagnose::diagnose;
use super::{Answer, ErrorAnswer, Message};

/// Reads one line, without its newline.
///
/// # Errors
/// An answer that names what is wrong, where, and what to do about it.
pub fn decode(line: &[u8]) -> Result<Message, ErrorAnswer> {
    match serde_json::from_slice(line) {
        Ok(message) if body_is_object(line) => Ok(message),
        _ => Err(diagnose(line)),
    }
}

/// Serde would also take a list of values in the order of the fields; the protocol does not, since
/// that order is nobody's business. The line is known to be `{"Name":…}` here.
pub(super) fn body_is_object(line: &[u8]) -> bool {
    line.iter()
        .skip_while(|byte| **byte != b':')
        .skip(1)
        .find(|byte| !byte.is_ascii_whitespace())
        == Some(&b'{')
}

/// Appends one answer as a line, newline included.
pub fn encode(answer: &Answer, into: &mut Vec<u8>) {
    serde_json::to_writer(&mut *into, answer)
        .expect("answers have string keys only, and writing into memory cannot fail");
    into.push(b'\n');
}

/// Appends one message as a line, newline included.
pub fn encode_message(message: &Message, into: &mut Vec<u8>) {
    serde_json::to_writer(&mut *into, message)
        .expect("messages have string keys only, and writing into memory cannot fail");
    into.push(b'\n');
}

/// Reads one line from the daemon, without its newline.
///
/// # Errors
/// What serde makes of it: the daemon is trusted to be precise, so the client need not be.
pub fn decode_answer(line: &[u8]) -> Result<Answer, serde_json::Error> {
    serde_json::from_slice(line)
}
