//! An attempt's output on its way to stdout: as its bytes, or, of a Claude worker, as people read it.

use std::io::{self, Write};
use std::path::Path;

use serde::Deserialize;

use super::exit::Failure;
use super::human_view::{HumanView, LastLines};
use super::output_file::OutputFile;
use crate::protocol::AttemptView;

/// The first line, which tells whether an output is the Claude CLI's, is no longer than this.
const FIRST_LINE_MAX: usize = 256 << 10;

/// How outputs are shown.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Shown {
    /// The bytes as they are.
    pub(crate) raw: bool,
    /// Only the last lines of what is there, and what comes after.
    pub(crate) tail: Option<usize>,
    /// The last lines are looked for in no more than this many bytes, and it is said that there are others.
    pub(crate) tail_bytes_max: Option<u64>,
}

/// Stands for what came before the last lines.
const EARLIER_WORDS: &str = "… there is more before this; `wezterm-parallel log` shows all of it …\n";

/// An output that is shown and may still grow.
#[derive(Debug)]
pub(crate) struct AttemptOutput {
    file: OutputFile,
    view: View,
    tail: Option<usize>,
    tail_bytes_max: Option<u64>,
}

#[derive(Debug)]
enum View {
    /// The first line is not whole yet.
    Undecided,
    Raw,
    Human(Box<HumanView>),
}

impl AttemptOutput {
    /// Opens the output of an attempt; `None` if it is not there (yet).
    pub(crate) fn open(attempt: &AttemptView, shown: Shown) -> Result<Option<Self>, Failure> {
        let Some(file) = open(&Path::new(&attempt.folder).join("output"))? else {
            return Ok(None);
        };
        let view = match (shown.raw, &attempt.session_id) {
            (true, _) => View::Raw,
            (false, Some(_)) => View::Human(Box::new(HumanView::for_stdout())),
            (false, None) => View::Undecided,
        };
        Ok(Some(Self {
            file,
            view,
            tail: shown.tail,
            tail_bytes_max: shown.tail_bytes_max,
        }))
    }

    /// From now on it fits a screen of this width.
    pub(crate) fn set_width(&mut self, width: Option<usize>) {
        if let View::Human(view) = &mut self.view {
            view.set_width(width);
        }
    }

    /// Passes on the next piece, if there is one by now.
    pub(crate) fn copy_piece(&mut self, out: &mut impl Write) -> io::Result<bool> {
        self.decide()?;
        if let Some(lines) = self.tail.take_if(|_| !matches!(self.view, View::Undecided)) {
            return self.begin_with_last_lines(lines, out);
        }
        match &mut self.view {
            View::Undecided => Ok(false),
            View::Raw => self.file.copy_piece(out),
            View::Human(view) => {
                let Some(piece) = self.file.next_piece()? else {
                    return Ok(false);
                };
                view.take_in(&piece);
                out.write_all(view.take_text().as_bytes())?;
                Ok(true)
            }
        }
    }

    /// Passes on what is left. If the attempt has ended, that is also a line without its end.
    pub(crate) fn finish(&mut self, has_ended: bool, out: &mut impl Write) -> io::Result<()> {
        self.decide()?;
        if matches!(self.view, View::Undecided) {
            self.view = View::Raw;
        }
        while self.copy_piece(out)? {}
        if let View::Human(view) = &mut self.view {
            view.finish(has_ended);
            out.write_all(view.take_text().as_bytes())?;
        }
        out.flush()
    }

    /// Looks at the first line, once it is there.
    fn decide(&mut self) -> io::Result<()> {
        if matches!(self.view, View::Undecided) {
            let bytes = self.file.first_bytes(FIRST_LINE_MAX)?;
            match is_event_stream(&bytes) {
                None => {}
                Some(false) => self.view = View::Raw,
                Some(true) => self.view = View::Human(Box::new(HumanView::for_stdout())),
            }
        }
        Ok(())
    }

    /// Lines count as they are shown, so a view of events begins at their beginning, or as far back as is allowed.
    fn begin_with_last_lines(&mut self, lines: usize, out: &mut impl Write) -> io::Result<bool> {
        let View::Human(view) = &mut self.view else {
            self.file
                .seek_to_last_lines(lines, self.tail_bytes_max.unwrap_or(u64::MAX))?;
            if self.tail_bytes_max.is_some() && self.file.position() > 0 {
                out.write_all(EARLIER_WORDS.as_bytes())?;
            }
            return Ok(true);
        };
        if let Some(bytes_max) = self.tail_bytes_max {
            if self.file.seek_to_last_bytes(bytes_max)? {
                view.begin_in_line();
            }
        }
        let begin = self.file.position();
        let mut last = LastLines::new(lines);
        while let Some(piece) = self.file.next_piece()? {
            view.take_in(&piece);
            last.push(&view.take_text());
        }
        if self.tail_bytes_max.is_some() && (begin > 0 || last.have_dropped()) {
            out.write_all(EARLIER_WORDS.as_bytes())?;
        }
        out.write_all(last.into_text().as_bytes())?;
        Ok(true)
    }
}

/// Opens a file of an attempt folder.
pub(crate) fn open(path: &Path) -> Result<Option<OutputFile>, Failure> {
    OutputFile::open(path).map_err(|error| Failure::file(format!("cannot read {}", path.display()), &error))
}

/// What every event of the CLI has.
#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    _kind: String,
    #[serde(rename = "session_id")]
    _session: String,
}

/// Whether these first bytes are of the Claude CLI; `None` if that cannot be told yet.
fn is_event_stream(bytes: &[u8]) -> Option<bool> {
    if bytes.first().is_some_and(|byte| *byte != b'{') {
        return Some(false);
    }
    match bytes.iter().position(|byte| *byte == b'\n') {
        Some(end) => Some(serde_json::from_slice::<Event>(&bytes[..end]).is_ok()),
        None if bytes.len() >= FIRST_LINE_MAX => Some(false),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_tells_what_an_output_is() {
        let event = r#"{"cwd":"/","type":"system","subtype":"init","session_id":"s","tools":[]}"#;
        assert_eq!(is_event_stream(format!("{event}\n").as_bytes()), Some(true));
        assert_eq!(is_event_stream(event.as_bytes()), None);
        assert_eq!(is_event_stream(b""), None);
        assert_eq!(is_event_stream(b"{"), None);
        assert_eq!(is_event_stream(b"hello"), Some(false));
        assert_eq!(is_event_stream(b"{\"type\":\"system\"}\n"), Some(false));
        assert_eq!(is_event_stream(b"{not json\n"), Some(false));
        let long = [b"{\"".as_slice(), &vec![b'x'; FIRST_LINE_MAX]].concat();
        assert_eq!(is_event_stream(&long), Some(false));
    }
}
