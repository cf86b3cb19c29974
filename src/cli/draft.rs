//! `queue --edit`: a prompt is written in an editor, and is not lost whatever then happens.
//!
//! The text is in a file of the data folder until its task is queued. If that fails, the editor can be opened
//! again; whoever gives up is told where the file is.

mod draft_file;
mod terminal_lent;

use std::fs;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use draft_file::{left_behind, DraftFile};
use terminal_lent::TerminalLent;

use super::context::Context;
use super::exit::Failure;
use super::{screen, typed, value};
use crate::config::ensure_private_dir;
use crate::pane::notification;
use crate::platform;
use crate::protocol::TaskQueue;

/// What comes after this line is not part of the prompt. A line of its own, since headings of Markdown begin
/// with the same sign as a remark would.
const SCISSORS: &str = "# ------------------------ >8 ------------------------";
/// Where the environment names no editor: every system has it.
const EDITOR: &str = "vi";
/// WezTerm passes notifications on only while their pane is there.
const LAST_LOOK: Duration = Duration::from_millis(700);

/// A prompt that is being written.
pub(crate) struct Draft {
    file: DraftFile,
    terminal: TerminalLent,
}

impl Draft {
    /// A new file for the prompt of this task.
    pub(crate) fn new(context: &Context, task: &TaskQueue) -> Result<Self, Failure> {
        let folder = context.paths()?.data.join("drafts");
        ensure_private_dir(&folder)?;
        mention_left_behind(&folder);
        let moment = value::local_time(value::now_ms());
        let file = DraftFile::create(&folder, &moment, &template(task));
        let file = file.map_err(|error| {
            Failure::file(format!("cannot write a draft in {}", folder.display()), &error)
        })?;
        let terminal =
            TerminalLent::new().map_err(|error| Failure::bug(format!("cannot watch for Ctrl-C: {error}")))?;
        Ok(Self { file, terminal })
    }

    /// Opens the editor, and hands the task with its text to `queue`; again, if that fails and the person wants
    /// it. What `queue` returned.
    pub(crate) fn queue(
        self,
        task: &TaskQueue,
        queue: impl Fn(TaskQueue) -> Result<String, Failure>,
    ) -> Result<String, Failure> {
        loop {
            self.open_editor()?;
            let failure = match self.task(task).and_then(&queue) {
                Ok(id) => {
                    self.remove();
                    notify(&format!("Queued as task {id}"));
                    return Ok(id);
                }
                Err(failure) => failure,
            };
            if self.is_empty() {
                self.remove();
                return Err(failure);
            }
            if !is_somebody_there() || !self.path().is_file() {
                return Err(self.kept(failure));
            }
            failure.report();
            if !wants_once_more() {
                let given_up = Failure::refused("nothing is queued");
                return Err(self.kept(given_up));
            }
        }
    }

    /// The editor, as other programs start it: what the variable says may have arguments of its own.
    fn open_editor(&self) -> Result<(), Failure> {
        let named = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        let editor = named("VISUAL").or_else(|| named("EDITOR"));
        let editor = editor.unwrap_or_else(|| EDITOR.to_owned());
        let mut command = Command::new("sh");
        command
            .args(["-c", &format!("exec {editor} \"$@\""), "sh"])
            .arg(self.path());
        let status = self
            .terminal
            .while_lent(|| command.status())
            .map_err(|error| Failure::file("cannot run sh", &error))?;
        if status.success() {
            return Ok(());
        }
        let failure = Failure::usage(format!(
            "the editor `{editor}` ended with {status}: nothing is queued"
        ));
        match status.code() {
            // As the shell says it.
            Some(126 | 127) => {
                self.remove();
                Err(failure.hint("set VISUAL or EDITOR to a program that can be run"))
            }
            _ if self.is_empty() => {
                self.remove();
                Err(failure.hint("nothing was written"))
            }
            _ => Err(self.kept(failure)),
        }
    }

    fn path(&self) -> &Path {
        self.file.path()
    }

    /// Whether it is certain that nothing was written.
    fn is_empty(&self) -> bool {
        text_in(self.path()).is_ok_and(|text| text.trim().is_empty())
    }

    /// The task with what was written.
    fn task(&self, task: &TaskQueue) -> Result<TaskQueue, Failure> {
        let text = text_in(self.path())?;
        if text.trim().is_empty() {
            return Err(Failure::usage("nothing was written, so nothing is queued"));
        }
        let typed = typed::parse(&text).map_err(Failure::usage)?;
        let mut task = task.clone();
        task.command = Some(typed.text.trim_end().to_owned());
        task.priority = typed.priority.or(task.priority);
        if let Some(workspace) = typed.workspace {
            task.workspace = Some(workspace.to_owned());
        }
        Ok(task)
    }

    /// The failure, with the place of the text.
    fn kept(&self, failure: Failure) -> Failure {
        if !self.path().is_file() {
            return failure;
        }
        if let Ok(text) = text_in(self.path()) {
            // What is below the line has had its use; if it stays, no harm is done.
            let _ = fs::write(self.path(), format!("{}\n", text.trim_end()));
        }
        let place = format!("the text is kept in {}", self.path().display());
        let hint = match failure.hint.as_str() {
            "" => place,
            hint => format!("{hint}; {place}"),
        };
        failure.hint(hint)
    }

    fn remove(&self) {
        // A file too many is no reason to call what is done a failure.
        let _ = fs::remove_file(self.path());
    }
}

/// What was written above the line; also what is no prompt because nothing is.
fn text_in(path: &Path) -> Result<String, Failure> {
    let bytes = match fs::read(path) {
        // Some editors remove what is empty.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(_) if path.is_dir() => {
            let words = format!("the editor has left a folder at {}, not a file", path.display());
            return Err(Failure::usage(words).hint("look there for what was written"));
        }
        bytes => bytes.map_err(|error| Failure::file(format!("cannot read {}", path.display()), &error))?,
    };
    let text =
        String::from_utf8(bytes).map_err(|_| Failure::usage(format!("{} is not UTF-8", path.display())))?;
    // Some editors begin each file with a mark of its encoding.
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let lines = text.lines().take_while(|line| line.trim_end() != SCISSORS);
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

/// Names a draft whose writer has gone. Those in which nothing was written are cleared away.
fn mention_left_behind(folder: &Path) {
    let mut left = left_behind(folder);
    left.retain(|path| {
        let is_empty = text_in(path).is_ok_and(|text| text.trim().is_empty());
        !(is_empty && fs::remove_file(path).is_ok())
    });
    match left.as_slice() {
        [] => {}
        [one] => screen::note(&format!("a draft that was not queued is in {}", one.display())),
        [.., newest] => screen::note(&format!(
            "{} drafts that were not queued are in {}, the newest is {}",
            left.len(),
            folder.display(),
            newest.display()
        )),
    }
}

fn template(task: &TaskQueue) -> String {
    let folder = task.cwd.as_deref().unwrap_or_default();
    format!(
        "\n{SCISSORS}\n\
         # Write above this line, save, and close the editor: then it is queued. Nothing\n\
         # above it: nothing is queued. In front of the text, `!high` or `!180` sets the\n\
         # priority, and `@name` the workspace.\n\
         # Folder: {folder}\n"
    )
}

fn is_somebody_there() -> bool {
    io::stdin().is_terminal() && screen::stderr_is_terminal()
}

fn wants_once_more() -> bool {
    screen::note("Enter opens the editor again, q and Enter leaves it.");
    let mut answer = String::new();
    let read = io::stdin().read_line(&mut answer);
    matches!(read, Ok(1..)) && !answer.trim().eq_ignore_ascii_case("q")
}

/// In a tab of its own, which ends with this program, a notification says what came of it.
fn notify(words: &str) {
    let in_wezterm = std::env::var_os("TERM_PROGRAM").is_some_and(|program| program == "WezTerm");
    if in_wezterm && platform::leads_its_session() && screen::stderr_is_terminal() {
        let _ = io::stderr().write_all(notification("wezterm-parallel", words).as_bytes());
        std::thread::sleep(LAST_LOOK);
    }
}
