//! Small files of the kernel, read into one buffer, with reasons in words when they cannot be.

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use crate::host::reading::Unreadable;

/// More than any of them has; the list of mounts is by far the longest.
const LENGTH_MAX: u64 = 16 << 20;
/// As much of a line as a reason needs to show.
const SHOWN_MAX: usize = 40;

/// Reads files below a root.
pub(super) struct Files {
    root: PathBuf,
    buffer: Vec<u8>,
}

impl Files {
    pub(super) fn below(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            buffer: Vec::new(),
        }
    }

    /// Where an absolute path is below the root.
    fn locate(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// Whether it could be opened now.
    pub(super) fn try_open(&self, path: &Path) -> Result<(), Unreadable> {
        let opened = File::open(self.locate(path));
        opened.map(drop).map_err(|error| unreadable(path, &error))
    }

    /// Its text.
    pub(super) fn text(&mut self, path: &Path) -> Result<Cow<'_, str>, Unreadable> {
        match self.load(path) {
            Ok(()) => Ok(String::from_utf8_lossy(&self.buffer)),
            Err(error) => Err(unreadable(path, &error)),
        }
    }

    /// Its text; `None` if there is no such file, or the kernel has switched off what it would tell.
    pub(super) fn text_if_any(&mut self, path: &Path) -> Result<Option<Cow<'_, str>>, Unreadable> {
        match self.load(path) {
            Ok(()) => Ok(Some(String::from_utf8_lossy(&self.buffer))),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Unsupported) => Ok(None),
            Err(error) => Err(unreadable(path, &error)),
        }
    }

    /// So much of its text at most, from its beginning; `None` if it cannot be read.
    pub(super) fn beginning(&mut self, path: &Path, length: u64) -> Option<Cow<'_, str>> {
        self.load_up_to(path, length).ok()?;
        Some(String::from_utf8_lossy(&self.buffer))
    }

    fn load(&mut self, path: &Path) -> io::Result<()> {
        self.load_up_to(path, LENGTH_MAX)
    }

    fn load_up_to(&mut self, path: &Path, length: u64) -> io::Result<()> {
        let file = File::open(self.locate(path))?;
        self.buffer.clear();
        file.take(length).read_to_end(&mut self.buffer)?;
        Ok(())
    }
}

fn unreadable(path: &Path, error: &io::Error) -> Unreadable {
    Unreadable::new(path.display(), format_args!("cannot be read: {error}"))
}

/// The number that a file or a part of it is.
pub(super) fn number(path: &Path, text: &str) -> Result<u64, Unreadable> {
    let text = text.trim();
    text.parse().map_err(|_| unexpected(path, "a number", text))
}

/// The number behind a name, in a file of lines with a name and a number each.
pub(super) fn field(path: &Path, text: &str, name: &str) -> Result<Option<u64>, Unreadable> {
    let of_name = |line: &str| Some(line.strip_prefix(name)?.strip_prefix(' ')?.to_owned());
    let found = text.lines().find_map(of_name);
    found.map(|value| number(path, &value)).transpose()
}

/// The same, where the line must be there.
pub(super) fn field_of(path: &Path, text: &str, name: &str) -> Result<u64, Unreadable> {
    let missing = || Unreadable::new(path.display(), format_args!("has no line {name}"));
    field(path, text, name)?.ok_or_else(missing)
}

/// The reason when a file holds something else.
pub(super) fn unexpected(path: &Path, expected: impl fmt::Display, text: &str) -> Unreadable {
    let shown: String = text.chars().take(SHOWN_MAX).collect();
    Unreadable::new(
        path.display(),
        format_args!("holds {shown:?} in place of {expected}"),
    )
}
