//! Reads the lines of a batch: pure but for looking whether folders exist.

use std::collections::HashMap;
use std::path::Path;

use crate::cli::current_workspace;
use crate::protocol::{self, ErrorCode, Message, TaskQueue};

/// One task, and where it stands in the file.
#[derive(Debug)]
pub(super) struct Line {
    /// Counted from 1.
    pub(super) number: usize,
    /// What it says, with the folder filled in.
    pub(super) task: TaskQueue,
}

/// What is wrong with a line.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {message}")]
pub(super) struct LineError {
    /// Counted from 1.
    pub(super) line: usize,
    /// Counted from 1, in characters.
    pub(super) column: usize,
    /// What is wrong.
    pub(super) message: String,
    /// What to do.
    pub(super) hint: String,
}

/// Reads all lines; a line begins with `{` if it is JSON, unless `commands_only`.
pub(super) fn read(bytes: &[u8], commands_only: bool, folder: &str) -> Result<Vec<Line>, Vec<LineError>> {
    let mut reader = Reader {
        commands_only,
        folder,
        folders: HashMap::new(),
    };
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let (mut lines, mut errors) = (Vec::new(), Vec::new());
    for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let number = index + 1;
        match reader.line(line) {
            Ok(None) => {}
            Ok(Some(task)) => lines.push(Line { number, task }),
            Err(fault) => errors.push(fault.on_line(number)),
        }
    }
    if errors.is_empty() {
        Ok(lines)
    } else {
        Err(errors)
    }
}

/// Tells the daemon which workspace to go by where a line names none.
pub(super) fn fill_in_workspace(lines: &mut [Line], current: Option<&str>) {
    for line in lines {
        current_workspace::fill_in(&mut line.task, current);
    }
}

/// Gives a worker to commands that name none; a line with an argv stays with the profile for these.
pub(super) fn fill_in_worker(lines: &mut [Line], worker: Option<&str>) {
    let Some(worker) = worker else { return };
    for line in lines {
        if line.task.worker.is_none() && line.task.argv.is_none() {
            line.task.worker = Some(worker.to_owned());
        }
    }
}

struct Reader<'a> {
    commands_only: bool,
    /// Where tasks run that name no folder.
    folder: &'a str,
    /// Folders that were named, made absolute; `None` if there is no such folder.
    folders: HashMap<String, Option<String>>,
}

/// A [`LineError`] whose line is not known yet.
struct Fault {
    column: usize,
    message: String,
    hint: String,
}

impl Fault {
    fn new(column: usize, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            column,
            message: message.into(),
            hint: hint.into(),
        }
    }

    fn on_line(self, line: usize) -> LineError {
        LineError {
            line,
            column: self.column,
            message: self.message,
            hint: self.hint,
        }
    }
}

impl Reader<'_> {
    fn line(&mut self, bytes: &[u8]) -> Result<Option<TaskQueue>, Fault> {
        let text = std::str::from_utf8(bytes).map_err(|error| not_utf8(bytes, error.valid_up_to()))?;
        let text = text.strip_suffix('\r').unwrap_or(text);
        let trimmed = text.trim_start();
        if trimmed.trim_end().is_empty() {
            return Ok(None);
        }
        let mut task = if trimmed.starts_with('{') && !self.commands_only {
            json(text)?
        } else {
            TaskQueue {
                command: Some(text.to_owned()),
                ..TaskQueue::default()
            }
        };
        self.fill_in_folder(text, &mut task)?;
        protocol::check_task(&task).map_err(|error| {
            let column = column_of_field(text, &error.message);
            Fault::new(column, error.message, error.hint)
        })?;
        Ok(Some(task))
    }

    fn fill_in_folder(&mut self, text: &str, task: &mut TaskQueue) -> Result<(), Fault> {
        let Some(given) = &task.cwd else {
            task.cwd = Some(self.folder.to_owned());
            task.cwd_gives_way = true;
            return Ok(());
        };
        if !self.folders.contains_key(given) {
            let absolute = Path::new(self.folder).join(given);
            let found = absolute
                .is_dir()
                .then(|| absolute.to_str().map(ToOwned::to_owned));
            self.folders.insert(given.clone(), found.flatten());
        }
        match &self.folders[given] {
            Some(found) => {
                task.cwd = Some(found.clone());
                Ok(())
            }
            None => Err(Fault::new(
                column_of(text, "\"cwd\""),
                format!("there is no folder {given}"),
                "create it, or name another as `cwd`",
            )),
        }
    }
}

fn not_utf8(bytes: &[u8], valid: usize) -> Fault {
    let before = String::from_utf8_lossy(&bytes[..valid]);
    let column = before.chars().count() + 1;
    let message = format!("byte 0x{:02x} is not UTF-8", bytes[valid]);
    Fault::new(column, message, "save the file as UTF-8")
}

/// The fast way is serde alone; only a wrong line is looked at again, for better words.
fn json(text: &str) -> Result<TaskQueue, Fault> {
    serde_json::from_str(text).map_err(|error| {
        let bytes = error.column().saturating_sub(1).min(text.len());
        let column = String::from_utf8_lossy(&text.as_bytes()[..bytes]).chars().count() + 1;
        let wrapped = format!("{{\"TaskQueue\":{text}}}");
        match protocol::decode(wrapped.as_bytes()) {
            Err(fault) if fault.code != ErrorCode::InvalidJson => {
                Fault::new(column, fault.message, fault.hint)
            }
            _ => {
                let words = error.to_string();
                let words = words
                    .rsplit_once(" at line ")
                    .map_or(words.as_str(), |(words, _)| words);
                let hint = "a line that begins with { is one JSON object; `--lines` takes it as it is";
                Fault::new(column, format!("invalid JSON: {words}"), hint)
            }
        }
    })
}

/// Where the field stands that a message names in backticks; column 1 if it names none.
fn column_of_field(text: &str, message: &str) -> usize {
    message
        .split('`')
        .nth(1)
        .map_or(1, |field| column_of(text, &format!("\"{field}\"")))
}

fn column_of(text: &str, part: &str) -> usize {
    text.find(part).map_or(1, |at| text[..at].chars().count() + 1)
}

/// The line as a message, once its id and environment are fixed.
impl From<Line> for Message {
    fn from(line: Line) -> Self {
        Self::TaskQueue(Box::new(line.task))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tasks(text: &str) -> Vec<(usize, TaskQueue)> {
        let lines = read(text.as_bytes(), false, "/tmp").unwrap();
        lines.into_iter().map(|line| (line.number, line.task)).collect()
    }

    fn errors(text: &[u8]) -> Vec<String> {
        let errors = read(text, false, "/tmp").unwrap_err();
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn json_and_commands_may_be_mixed() {
        let read = tasks("\u{feff}{\"id\":\"a\",\"command\":\"make\",\"priority\":7}\r\n\n  echo hi \n");
        assert_eq!(read.len(), 2);
        assert_eq!(
            (read[0].0, read[0].1.id.as_str(), read[0].1.priority),
            (1, "a", Some(7))
        );
        assert_eq!(read[0].1.cwd.as_deref(), Some("/tmp"));
        assert_eq!((read[1].0, read[1].1.command.as_deref()), (3, Some("  echo hi ")));
    }

    #[test]
    fn all_lines_may_be_commands() {
        let text = b"{ echo a; }\n";
        assert_eq!(
            read(text, true, "/tmp").unwrap()[0].task.command.as_deref(),
            Some("{ echo a; }")
        );
        assert_eq!(errors(text), ["1:3: invalid JSON: key must be a string"]);
    }

    #[test]
    fn errors_name_line_and_column() {
        insta::assert_snapshot!(errors(
            "{\"command\":\"ok\"}\n\
             {\"comand\":\"x\"}\n\
             {\"command\":\"x\",\"priority\":256}\n\
             {\"command\":\"x\",\"priority\":-1}\n\
             {\"command\":\"\"}\n\
             {\"command\":\"x\"\n\
             {\"id\":\"ü b\",\"command\":\"x\"}\n\
             {\"command\":\"x\",\"cwd\":\"/no/such\"}\n\
             {\"command\":\"x\",\"after\":[\"a:later\"]}\n\
             {}\n\
             {\"command\":\"x\"} y\n".as_bytes()
        ).join("\n"), @r#"
        2:9: `TaskQueue` has no field `comand`
        3:29: `priority` of `TaskQueue` must be a whole number from 0 to 255, not 256
        4:28: `priority` of `TaskQueue` must be a whole number from 0 to 255, not -1
        5:2: `command` is empty
        6:14: invalid JSON: EOF while parsing an object
        7:2: `id` contains 'ü'
        8:16: there is no folder /no/such
        9:16: `after` has an unknown condition: "later"
        10:1: the task has neither `command` nor `argv`
        11:17: invalid JSON: trailing characters
        "#);
    }

    #[test]
    fn only_commands_without_a_worker_get_one() {
        let text = "make\n{\"command\":\"a\",\"worker\":\"claude\"}\n{\"argv\":[\"ls\"]}\n";
        let mut lines = read(text.as_bytes(), false, "/tmp").unwrap();
        fill_in_worker(&mut lines, None);
        assert_eq!(lines[0].task.worker, None);
        fill_in_worker(&mut lines, Some("shell"));
        let workers: Vec<_> = lines.iter().map(|line| line.task.worker.as_deref()).collect();
        assert_eq!(workers, [Some("shell"), Some("claude"), None]);
    }

    #[test]
    fn options_for_claude_are_checked() {
        let lines = "{\"command\":\"x\",\"claude\":{\"model\":\"opus\",\"fork\":true}}\n\
                     {\"command\":\"x\",\"claude\":{\"modle\":\"opus\"}}\n";
        insta::assert_snapshot!(errors(lines.as_bytes()).join("\n"), @r"
        1:1: `claude.fork` is set, but there is no session to copy
        2:32: `TaskQueue` has no field `modle`
        ");
    }

    #[test]
    fn wrong_bytes_are_found() {
        assert_eq!(errors(b"ok\nf\xc3\xbcr \xff"), ["2:5: byte 0xff is not UTF-8"]);
        assert_eq!(errors(b"a\0b").len(), 1);
    }
}
