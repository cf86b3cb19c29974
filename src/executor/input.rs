//! The file `stdin` of an attempt whose standard input stays open: lines that the daemon appends and
//! the shim copies.
//!
//! It is the record of all that the command was told. Only whole lines count: what a daemon that was
//! killed while it wrote left of a line was never promised to anybody, and is never copied.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::Path;

const STEP: u64 = 4 << 10;

/// Appends whole lines, or nothing: what was written before a failure is taken back.
pub(super) fn append(path: &Path, lines: &[u8]) -> io::Result<()> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let end = end_of_lines(&file, 0)?;
    if end < file.metadata()?.len() {
        file.set_len(end)?;
    }
    // One write as long as there is room; the second one says why the first fell short. The shim looks
    // only when it is told to, and those who would tell it wait for this.
    file.write_all_at(lines, end).inspect_err(|_| {
        // Without the right end the next one cuts off at most a part of a line.
        let _ = file.set_len(end);
    })
}

/// Where the last whole line ends, which is at least at `from`.
pub(super) fn end_of_lines(file: &File, from: u64) -> io::Result<u64> {
    loop {
        match look_for_end(file, from) {
            // Half a line was cut off meanwhile, before something is appended.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {}
            end => return end,
        }
    }
}

fn look_for_end(file: &File, from: u64) -> io::Result<u64> {
    let mut end = file.metadata()?.len();
    let mut buffer = [0; STEP as usize];
    while end > from {
        let start = end.saturating_sub(STEP).max(from);
        let part = &mut buffer[..(end - start) as usize];
        file.read_exact_at(part, start)?;
        if let Some(last) = part.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + last as u64 + 1);
        }
        end = start;
    }
    Ok(from)
}

/// Refuses what does not end with a line's end, since the rest of it may never come.
pub(super) fn check_lines(lines: &[u8]) -> io::Result<()> {
    if lines.ends_with(b"\n") {
        return Ok(());
    }
    let text = "input for a running command must end with a newline";
    Err(io::Error::new(ErrorKind::InvalidInput, text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn half_a_line_is_cut_off_and_whole_ones_are_kept() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("stdin");
        let long = "x".repeat(3 * STEP as usize);
        for (before, kept) in [
            ("".to_owned(), "".to_owned()),
            ("a\nb\n".to_owned(), "a\nb\n".to_owned()),
            ("a\nb".to_owned(), "a\n".to_owned()),
            (format!("a\n{long}\nhalf"), format!("a\n{long}\n")),
            (format!("a\n{long}"), "a\n".to_owned()),
            (long.clone(), "".to_owned()),
        ] {
            fs::write(&path, before).unwrap();
            append(&path, b"next\n").unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), format!("{kept}next\n"));
        }
    }

    #[test]
    fn what_is_behind_the_start_is_not_looked_at() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("stdin");
        fs::write(&path, "a\nb\nc").unwrap();
        let file = File::open(&path).unwrap();
        let ends = [0, 2, 4, 5, 99].map(|from| end_of_lines(&file, from).unwrap());
        assert_eq!(ends, [4, 4, 4, 5, 99]);
    }
}
