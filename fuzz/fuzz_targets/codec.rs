//! No line makes the codec panic, and what it takes, it writes and takes again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wezterm_parallel::protocol::{decode, encode_message, ErrorCode};

fuzz_target!(|line: &[u8]| {
    match decode(line) {
        Ok(message) => {
            let mut encoded = Vec::new();
            encode_message(&message, &mut encoded);
            assert_eq!(encoded.pop(), Some(b'\n'));
            assert!(!encoded.contains(&b'\n'));
            assert_eq!(decode(&encoded), Ok(message));
        }
        Err(error) => assert_ne!(error.code, ErrorCode::Internal, "{}", error.message),
    }
});
