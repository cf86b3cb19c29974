//! Cuts what was read of an output into whole lines, across the edges of pieces and a missing middle.

/// A longer line is no event of any use to a reader, and would only fill the memory.
const LINE_BYTES_MAX: usize = 64 << 20;

/// Lines in the making.
#[derive(Debug, Default)]
pub(crate) struct LineSplitter {
    /// A line whose end has not come yet.
    partial: Vec<u8>,
    /// Everything up to the next newline is the rest of a line that cannot be shown.
    skipping: bool,
}

impl LineSplitter {
    /// Hands on each line that the bytes complete, without its newline.
    pub(crate) fn feed(&mut self, bytes: &[u8], mut each: impl FnMut(&[u8])) {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line = &rest[..end];
            rest = &rest[end + 1..];
            if self.skipping {
                self.skipping = false;
            } else if self.partial.is_empty() {
                each(line);
            } else {
                self.partial.extend_from_slice(line);
                each(&self.partial);
                self.partial.clear();
            }
        }
        if self.skipping {
            return;
        }
        self.partial.extend_from_slice(rest);
        if self.partial.len() > LINE_BYTES_MAX {
            self.skip();
        }
    }

    /// Drops the line that has begun, and what comes of it.
    pub(crate) fn skip(&mut self) {
        self.partial = Vec::new();
        self.skipping = true;
    }

    /// The last line, if it has no end.
    pub(crate) fn take_rest(&mut self) -> Option<Vec<u8>> {
        Some(std::mem::take(&mut self.partial)).filter(|rest| !rest.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&str]) -> (Vec<String>, Option<Vec<u8>>) {
        let mut splitter = LineSplitter::default();
        let mut lines = Vec::new();
        for piece in pieces {
            if *piece == "…" {
                splitter.skip();
            } else {
                splitter.feed(piece.as_bytes(), |line| {
                    lines.push(String::from_utf8_lossy(line).into_owned());
                });
            }
        }
        (lines, splitter.take_rest())
    }

    #[test]
    fn lines_are_whole_wherever_pieces_end() {
        for pieces in [
            &["one\ntwo\n\nthr"][..],
            &["o", "ne", "\nt", "wo\n", "\nthr"],
            &["one\n", "two\n\n", "thr"],
        ] {
            let (lines, rest) = lines(pieces);
            assert_eq!(lines, ["one", "two", ""], "{pieces:?}");
            assert_eq!(rest.as_deref(), Some(&b"thr"[..]));
        }
        assert_eq!(lines(&["one\n"]).1, None);
    }

    #[test]
    fn the_edges_of_a_missing_middle_are_dropped() {
        let (lines, rest) = lines(&["one\ntw", "…", "hre", "e\nfour\nfi"]);
        assert_eq!(lines, ["one", "four"]);
        assert_eq!(rest.as_deref(), Some(&b"fi"[..]));
    }

    #[test]
    fn a_line_without_end_does_not_fill_the_memory() {
        let mut splitter = LineSplitter::default();
        let piece = vec![b'x'; 8 << 20];
        for _ in 0..9 {
            splitter.feed(&piece, |_| panic!("no line ends here"));
        }
        assert_eq!(splitter.partial.capacity(), 0);
        let mut seen = Vec::new();
        splitter.feed(b"x\nnext\n", |line| seen.push(line.to_vec()));
        assert_eq!(seen, [b"next".to_vec()]);
    }
}
