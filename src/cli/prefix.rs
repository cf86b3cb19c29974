//! Keeps the lines of several tasks apart: each line begins with `[ID] `, and is written whole.

use std::io::{self, Write};

/// A line that has grown to this is written without waiting for its end.
const LINE_MAX: usize = 64 << 10;

/// Puts a prefix before each line, or passes bytes on as they are.
#[derive(Debug, Default)]
pub(crate) struct PrefixWriter {
    prefix: Option<String>,
    /// A line whose end has not come yet.
    partial: Vec<u8>,
    /// What was passed on as it is ended within a line.
    open: bool,
}

/// A [`PrefixWriter`] with the place it writes to.
pub(crate) struct Prefixed<'a, W> {
    writer: &'a mut PrefixWriter,
    out: &'a mut W,
}

impl PrefixWriter {
    /// With `[id] ` before each line, or without anything.
    pub(crate) fn new(id: Option<&str>) -> Self {
        Self {
            prefix: id.map(|id| format!("[{id}] ")),
            partial: Vec::new(),
            open: false,
        }
    }

    /// The prefix, for other lines about the same task.
    pub(crate) fn words(&self) -> &str {
        self.prefix.as_deref().unwrap_or_default()
    }

    /// Whether the last line that was passed on has no end.
    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    /// A writer that goes to `out`.
    pub(crate) fn onto<'a, W: Write>(&'a mut self, out: &'a mut W) -> Prefixed<'a, W> {
        Prefixed { writer: self, out }
    }

    /// Writes a last line that has no end.
    pub(crate) fn finish(&mut self, out: &mut impl Write) -> io::Result<()> {
        if !self.partial.is_empty() {
            let mut line = std::mem::take(&mut self.partial);
            line.push(b'\n');
            self.write_line(&line, out)?;
        }
        Ok(())
    }

    fn write_line(&self, line: &[u8], out: &mut impl Write) -> io::Result<()> {
        out.write_all(&[self.words().as_bytes(), line].concat())
    }
}

impl<W: Write> Write for Prefixed<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.writer.prefix.is_none() {
            let written = self.out.write(bytes)?;
            if let Some(last) = bytes[..written].last() {
                self.writer.open = *last != b'\n';
            }
            return Ok(written);
        }
        let mut lines = Vec::with_capacity(bytes.len() * 2);
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.writer.partial.extend_from_slice(piece);
            let whole = piece.ends_with(b"\n");
            if whole || self.writer.partial.len() > LINE_MAX {
                lines.extend_from_slice(self.writer.words().as_bytes());
                lines.append(&mut self.writer.partial);
                if !whole {
                    lines.push(b'\n');
                }
            }
        }
        self.out.write_all(&lines)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_written_whole() {
        let mut shown = Vec::new();
        let mut one = PrefixWriter::new(Some("1"));
        let mut two = PrefixWriter::new(Some("two"));
        one.onto(&mut shown).write_all(b"a\nhal").unwrap();
        two.onto(&mut shown).write_all(b"x\n").unwrap();
        one.onto(&mut shown).write_all(b"f\n\nend").unwrap();
        one.finish(&mut shown).unwrap();
        one.finish(&mut shown).unwrap();
        insta::assert_snapshot!(String::from_utf8(shown).unwrap(), @r"
        [1] a
        [two] x
        [1] half
        [1] 
        [1] end
        ");
    }

    #[test]
    fn without_a_prefix_bytes_pass_as_they_are() {
        let mut shown = Vec::new();
        let mut writer = PrefixWriter::new(None);
        writer.onto(&mut shown).write_all(b"no newline \xff").unwrap();
        writer.finish(&mut shown).unwrap();
        assert_eq!(shown, b"no newline \xff");
    }
}
