//! What a run has written, line by line and as a person reads it: without colours, links and other escape sequences, which
//! servers print in the midst of their addresses.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use anstream::adapter::StripBytes;
use regex::bytes::Regex;

use crate::protocol::{ready_pattern, ReadyWay};

/// Read of an output in one look at most.
const READ_AT_MOST: u64 = 1 << 20;
/// What is longer is looked at in pieces of this length.
const LINE_BYTES_MAX: usize = 64 << 10;

/// The same for a pattern, whose time grows with the line and with the pattern: one thread looks for all processes.
const PATTERN_LINE_BYTES_MAX: usize = 4 << 10;

/// What is looked for in a line.
enum Sought {
    Text(Box<[u8]>),
    Pattern(Regex),
}

impl Sought {
    fn line_bytes_max(&self) -> usize {
        match self {
            Self::Text(_) => LINE_BYTES_MAX,
            Self::Pattern(_) => PATTERN_LINE_BYTES_MAX,
        }
    }

    fn is_in(&self, line: &[u8]) -> bool {
        match self {
            Self::Text(text) => line.windows(text.len()).any(|window| window == &**text),
            Self::Pattern(pattern) => !line.is_empty() && pattern.is_match(line),
        }
    }
}

/// An output, as far as it has been read.
pub(super) struct Written {
    sought: Sought,
    read_to: u64,
    escapes: StripBytes,
    /// The line that has not ended yet.
    line: Vec<u8>,
    /// It was looked at as it is.
    is_tried: bool,
}

impl Written {
    /// Looks for what shows that a run is ready, from the beginning of its output; `None` if it is not the output that shows it.
    pub(super) fn new(way: &ReadyWay) -> Option<Self> {
        let sought = match way {
            ReadyWay::Line(text) => Sought::Text(text.as_bytes().into()),
            // It was checked when the process was spawned.
            ReadyWay::Pattern(pattern) => Sought::Pattern(ready_pattern(pattern).ok()?),
            ReadyWay::Port(_) | ReadyWay::Command(_) => return None,
        };
        Some(Self {
            sought,
            read_to: 0,
            escapes: StripBytes::new(),
            line: Vec::new(),
            is_tried: false,
        })
    }

    /// Reads on, and says whether it was found.
    pub(super) fn is_found(&mut self, output: &Path) -> bool {
        let Ok(file) = File::open(output) else {
            // It has not begun to write.
            return false;
        };
        let length = file.metadata().map_or(0, |output| output.len());
        let end = length.min(self.read_to + READ_AT_MOST);
        let mut bytes = vec![0; usize::try_from(end.saturating_sub(self.read_to)).unwrap_or(0)];
        if file.read_exact_at(&mut bytes, self.read_to).is_err() {
            return false;
        }
        self.read_to += bytes.len() as u64;
        self.take(&bytes)
    }

    fn take(&mut self, bytes: &[u8]) -> bool {
        let Self {
            sought,
            escapes,
            line,
            is_tried,
            ..
        } = self;
        for piece in escapes.strip_next(bytes) {
            for byte in piece {
                // What a terminal writes over a line is another line.
                let is_end = matches!(byte, b'\n' | b'\r');
                if !is_end {
                    line.push(*byte);
                }
                if is_end || line.len() >= sought.line_bytes_max() {
                    if sought.is_in(line) {
                        return true;
                    }
                    line.clear();
                }
            }
        }
        match sought {
            Sought::Text(_) => sought.is_in(line),
            // `ready$` is not to be found in the first half of a line: what has not ended counts once nothing more comes.
            Sought::Pattern(_) => {
                let was_tried = std::mem::replace(is_tried, bytes.is_empty());
                bytes.is_empty() && !was_tried && sought.is_in(line)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Written {
        Written::new(&ReadyWay::Line(text.to_owned())).expect("a text")
    }

    fn pattern(pattern: &str) -> Written {
        Written::new(&ReadyWay::Pattern(pattern.to_owned())).expect("a pattern")
    }

    /// What `vite` prints on a terminal.
    const VITE: &[u8] = b"\r\n  \x1b[32m\xe2\x9e\x9c\x1b[39m  \x1b[1mLocal\x1b[22m:   \x1b[36mhttp://localhost:\x1b[1m5173\x1b[22m/\x1b[39m\r\n";

    #[test]
    fn colours_and_links_are_no_part_of_a_line() {
        for mut written in [
            text("Local:   http://localhost:5173/"),
            pattern(r"Local: +http://localhost:\d+/$"),
            pattern(r"^  \S+  Local"),
        ] {
            assert!(written.take(VITE));
        }
        let link = b"at \x1b]8;;http://hidden/\x1b\\http://shown/\x1b]8;;\x07.\n";
        assert!(text("at http://shown/.").take(link));
        assert!(!text("hidden").take(link));
    }

    #[test]
    fn it_is_found_wherever_the_output_is_cut() {
        for mut written in [text("http://localhost:5173/"), pattern(r"http://localhost:\d+/$")] {
            let found = VITE.chunks(1).position(|byte| written.take(byte));
            assert!(found.is_some_and(|at| at > VITE.len() - 10), "{found:?}");
        }
    }

    #[test]
    fn a_pattern_waits_for_the_end_of_its_line_and_a_text_does_not() {
        assert!(text("ready").take(b"ready"));
        let mut written = pattern("^ready$");
        assert!(!written.take(b"ready"));
        assert!(!written.take(b" soon\n"));
        assert!(!written.take(b"ready"));
        assert!(written.take(b""), "nothing more comes");
        assert!(pattern("^ready$").take(b"10 %\r20 %\rready\r\n"));
    }

    #[test]
    fn two_lines_are_not_one_and_a_line_without_end_is_looked_at_in_pieces() {
        assert!(!text("ab").take(b"a\nb\n"));
        let mut written = text("found");
        let long = vec![b'.'; 3 * LINE_BYTES_MAX];
        assert!(!written.take(&long));
        assert!(written.line.len() < LINE_BYTES_MAX);
        assert!(written.take(b"found"));
    }
}
