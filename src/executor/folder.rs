//! The attempt folder: its files, and what they tell about an attempt.
//!
//! Daemon, launcher and shim share nothing but this folder, so every rule about it stands here.
//! The launcher makes `shim.json` blank, of full size and locked; the shim writes itself into it
//! just before it starts the command. Hence: no file, or a blank one that nobody holds, means that
//! no command was ever started. The lock ends with the shim, however it dies.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};

use super::{AttemptId, Exit, StopPlan};

/// One block on common file systems: once written, writing into it again needs no room.
const SHIM_FILE_SIZE: usize = 4096;
/// Where `shim.json` keeps what the daemon wants when there was no room for `control.json`.
const SPARE_CONTROL_AT: usize = 768;
/// Where `shim.json` keeps the outcome when there was no room for `exit.json`.
const SPARE_EXIT_AT: usize = 1024;

/// What a shim says about itself in `shim.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct ShimRecord {
    /// The attempt that it owns.
    pub(super) id: AttemptId,
    /// The shim, which is also the number of the session.
    pub(super) pid: i32,
    /// When the shim was started, as the platform counts it.
    pub(super) started: u64,
    /// The command's process and its start; written once the command has run for a moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) worker: Option<(i32, u64)>,
    /// Whether the command's standard input stays open for what is appended to `stdin`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) stdin_open: bool,
}

/// What the daemon wants of a running attempt: the content of `control.json`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Control {
    /// Stop it.
    pub(super) stop: Option<StopPlan>,
    /// Keep it stopped by SIGSTOP.
    pub(super) paused: bool,
    /// Close its standard input once everything in `stdin` has been copied.
    pub(super) input_closed: bool,
}

/// What a folder shows.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum State {
    /// The launcher has not come to it, or died before it had.
    Unprepared,
    /// The shim died before it could start the command.
    Blank,
    /// The shim is alive; `None` until it has written itself down.
    Alive(Option<ShimRecord>),
    /// There is an outcome.
    Ended(Exit),
    /// The shim is gone without an outcome; the text says what is known.
    Gone(Option<ShimRecord>, String),
}

/// The folder of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AttemptFolder(PathBuf);

impl AttemptFolder {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The task's name: folders are `tasks/<task>/<attempt>`.
    pub(super) fn task(&self) -> Option<&str> {
        self.0.parent()?.file_name()?.to_str()
    }

    /// Makes the folder with a blank `shim.json`, and holds its lock as long as the file is open.
    pub(super) fn prepare(&self) -> io::Result<File> {
        let mut builder = DirBuilder::new();
        builder.mode(0o700);
        match builder.create(&self.0) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                if let Some(parent) = self.0.parent() {
                    DirBuilder::new().mode(0o700).recursive(true).create(parent)?;
                }
                builder.create(&self.0)?;
            }
            result => result?,
        }
        self.make_shim_file().inspect_err(|_| self.remove_unstarted())
    }

    fn make_shim_file(&self) -> io::Result<File> {
        let file = create_new(&self.file("shim.json"))?;
        rustix::fs::flock(&file, FlockOperation::LockExclusive)?;
        file.write_all_at(&[b' '; SHIM_FILE_SIZE], 0)?;
        Ok(file)
    }

    /// Removes what is left of an attempt that never started, so that it can be launched again.
    pub(super) fn remove_unstarted(&self) {
        // Whatever cannot be removed keeps the folder, and the next launch says that it exists.
        // Without a `shim.json` no other file in there is known to be empty, so none is removed.
        if fs::remove_file(self.file("shim.json")).is_ok() {
            for name in ["output", "stderr", "stdin", "control.json", "group.json"] {
                let _ = fs::remove_file(self.file(name));
            }
        }
        let _ = fs::remove_dir(&self.0);
    }

    /// What has become of the attempt.
    pub(super) fn look(&self) -> io::Result<State> {
        let file = match File::open(self.file("shim.json")) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Ok(self.read_exit().map_or(State::Unprepared, State::Ended));
            }
            Err(error) => return Err(error),
        };
        let held = is_held(&file)?;
        if let Ok(exit) = self.read_exit() {
            return Ok(State::Ended(exit));
        }
        let content = read_shim_file(&file)?;
        let spare = content.get(SPARE_EXIT_AT..).unwrap_or_default();
        if let Ok(exit) = serde_json::from_slice(spare) {
            return Ok(State::Ended(exit));
        }
        let record = content.get(..SPARE_CONTROL_AT).unwrap_or(&content);
        if held {
            return Ok(State::Alive(serde_json::from_slice(record).ok()));
        }
        Ok(self.judge_unheld(&content, record))
    }

    fn judge_unheld(&self, content: &[u8], record: &[u8]) -> State {
        if content.is_empty() {
            return State::Unprepared;
        }
        if content.trim_ascii().is_empty() {
            return State::Blank;
        }
        let reason = match self.read_exit() {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                "its shim ended without an outcome".to_owned()
            }
            Err(error) => format!("its exit.json is damaged: {error}"),
            Ok(exit) => return State::Ended(exit),
        };
        State::Gone(serde_json::from_slice(record).ok(), reason)
    }

    /// The outcome in `exit.json`.
    pub(super) fn read_exit(&self) -> io::Result<Exit> {
        Ok(serde_json::from_slice(&fs::read(self.file("exit.json"))?)?)
    }

    /// Leaves the outcome. With no room for `exit.json` it goes into the room kept in `shim.json`.
    pub(super) fn leave_exit(&self, exit: &Exit, shim: &File) -> io::Result<()> {
        let content = serde_json::to_vec(exit)?;
        if self.write_renamed("exit.json", &content).is_ok() {
            return Ok(());
        }
        let mut exit = exit.clone();
        // The texts below can be made as short as need be, and lists cannot.
        exit.sandbox = None;
        let room = SHIM_FILE_SIZE - SPARE_EXIT_AT;
        let mut content = if content.len() > room {
            serde_json::to_vec(&exit)?
        } else {
            content
        };
        while content.len() > room {
            // Only the texts can be long, and of a path's list the beginning says most.
            shorten(&mut exit.spawn_error);
            shorten(&mut exit.note);
            content = serde_json::to_vec(&exit)?;
        }
        shim.write_all_at(&content, SPARE_EXIT_AT as u64)
    }

    /// Writes a file so that a reader sees all of it or nothing.
    pub(super) fn write_renamed(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let temporary = self.file(&format!("{name}.tmp"));
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let written = options
            .open(&temporary)
            .and_then(|file| file.write_all_at(content, 0))
            .and_then(|()| fs::rename(&temporary, self.file(name)));
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    /// What the daemon wants; nothing if it never said.
    pub(super) fn read_control(&self) -> io::Result<Control> {
        match fs::read(self.file("control.json")) {
            Ok(content) => Ok(serde_json::from_slice(&content)?),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(self.read_spare_control()),
            Err(error) => Err(error),
        }
    }

    fn read_spare_control(&self) -> Control {
        let content = File::open(self.file("shim.json")).and_then(|file| read_shim_file(&file));
        let content = content.unwrap_or_default();
        let spare = content.get(SPARE_CONTROL_AT..SPARE_EXIT_AT);
        spare
            .and_then(|spare| serde_json::from_slice(spare).ok())
            .unwrap_or_default()
    }

    /// Tells the shim what the daemon wants. With no room for `control.json` it goes into the room
    /// kept in `shim.json`, which counts as long as there is no such file.
    pub(super) fn leave_control(&self, control: Control) -> io::Result<()> {
        let mut content = serde_json::to_vec(&control)?;
        let Err(error) = self.write_renamed("control.json", &content) else {
            return Ok(());
        };
        match fs::remove_file(self.file("control.json")) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        if content.len() > SPARE_EXIT_AT - SPARE_CONTROL_AT {
            return Err(error);
        }
        content.resize(SPARE_EXIT_AT - SPARE_CONTROL_AT, b' ');
        let file = OpenOptions::new().write(true).open(self.file("shim.json"))?;
        file.write_all_at(&content, SPARE_CONTROL_AT as u64)
    }
}

/// Writes the shim's record at the start of `shim.json`, over blanks or an older record.
pub(super) fn write_record(shim: &File, record: &ShimRecord) -> io::Result<()> {
    shim.write_all_at(&serde_json::to_vec(record)?, 0)
}

/// Creates a file that must not exist yet, for its owner alone.
pub(super) fn create_new(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true).mode(0o600);
    options.open(path)
}

/// Whether another open file holds the lock. The test itself holds a shared one for an instant,
/// which no other test minds.
fn is_held(file: &File) -> io::Result<bool> {
    match rustix::fs::flock(file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(false),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

fn read_shim_file(file: &File) -> io::Result<Vec<u8>> {
    let mut content = vec![0; SHIM_FILE_SIZE];
    let mut length = 0;
    while length < content.len() {
        match file.read_at(&mut content[length..], length as u64) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    content.truncate(length);
    Ok(content)
}

fn shorten(text: &mut Option<String>) {
    if let Some(text) = text {
        let half = text.len() / 2;
        let end = (0..=half).rev().find(|end| text.is_char_boundary(*end));
        text.truncate(end.unwrap_or(0));
    }
}

/// The part of an output file that was given back to the file system, and now reads as zeroes.
pub fn dropped_range(output: &File) -> io::Result<Option<Range<u64>>> {
    use rustix::fs::SeekFrom;
    let size = output.metadata()?.len();
    if size == 0 {
        return Ok(None);
    }
    // The position that this moves belongs to the caller's own open file, not to the worker's.
    let start = rustix::fs::seek(output, SeekFrom::Hole(0))?;
    if start >= size {
        return Ok(None);
    }
    let end = match rustix::fs::seek(output, SeekFrom::Data(start)) {
        Ok(end) => end,
        Err(rustix::io::Errno::NXIO) => size,
        Err(error) => return Err(error.into()),
    };
    Ok(Some(start..end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use wezterm_parallel_scheduler::TaskKey;

    const ID: AttemptId = AttemptId {
        key: TaskKey(7),
        attempt: 2,
    };

    fn record() -> ShimRecord {
        ShimRecord {
            id: ID,
            pid: 4711,
            started: 99,
            worker: None,
            stdin_open: false,
        }
    }

    fn folder() -> (tempfile::TempDir, AttemptFolder) {
        let home = tempfile::tempdir().expect("a temporary folder");
        let folder = AttemptFolder::new(home.path().join("tasks/7/2"));
        (home, folder)
    }

    #[test]
    fn the_lock_decides_between_alive_blank_and_gone() {
        let (_home, folder) = folder();
        assert_eq!(folder.look().unwrap(), State::Unprepared);
        let shim = folder.prepare().unwrap();
        assert_eq!(folder.look().unwrap(), State::Alive(None));
        drop(shim);
        assert_eq!(folder.look().unwrap(), State::Blank);
    }

    #[test]
    fn a_record_without_its_shim_is_gone() {
        let (_home, folder) = folder();
        let shim = folder.prepare().unwrap();
        write_record(&shim, &record()).unwrap();
        assert_eq!(folder.look().unwrap(), State::Alive(Some(record())));
        drop(shim);
        let State::Gone(found, reason) = folder.look().unwrap() else {
            panic!("not gone");
        };
        assert_eq!(found, Some(record()));
        assert_eq!(reason, "its shim ended without an outcome");
    }

    #[test]
    fn an_outcome_that_found_no_room_of_its_own_is_read_from_the_spare_room() {
        let (_home, folder) = folder();
        let shim = folder.prepare().unwrap();
        write_record(&shim, &record()).unwrap();
        // A folder in the way of the file stands for a full disk.
        fs::create_dir(folder.file("exit.json.tmp")).unwrap();
        let exit = Exit {
            exit_code: Some(3),
            spawn_error: Some("é".repeat(5000)),
            ..Exit::default()
        };
        folder.leave_exit(&exit, &shim).unwrap();
        drop(shim);
        let State::Ended(found) = folder.look().unwrap() else {
            panic!("no outcome");
        };
        assert_eq!(found.exit_code, Some(3));
        assert!(found.spawn_error.unwrap().starts_with("éé"));
        let size = fs::metadata(folder.file("shim.json")).unwrap().len();
        assert_eq!(size, SHIM_FILE_SIZE as u64);
    }

    #[test]
    fn what_the_daemon_wants_is_found_wherever_there_was_room_for_it() {
        let (_home, folder) = folder();
        let shim = folder.prepare().unwrap();
        write_record(&shim, &record()).unwrap();
        assert_eq!(folder.read_control().unwrap(), Control::default());
        let paused = Control {
            stop: None,
            paused: true,
            input_closed: false,
        };
        folder.leave_control(paused).unwrap();
        assert_eq!(folder.read_control().unwrap(), paused);
        // A folder in the way of the file stands for a full disk.
        fs::create_dir(folder.file("control.json.tmp")).unwrap();
        let stopped = Control {
            stop: Some(StopPlan {
                signal: i32::MIN,
                grace_ms: u64::MAX,
                then: Some(i32::MIN),
            }),
            paused: true,
            input_closed: true,
        };
        folder.leave_control(stopped).unwrap();
        assert_eq!(folder.read_control().unwrap(), stopped);
        assert_eq!(folder.look().unwrap(), State::Alive(Some(record())));
        fs::remove_dir(folder.file("control.json.tmp")).unwrap();
        folder.leave_control(paused).unwrap();
        assert_eq!(folder.read_control().unwrap(), paused);
    }

    #[test]
    fn a_damaged_outcome_is_named_and_not_taken_for_a_success() {
        let (_home, folder) = folder();
        let shim = folder.prepare().unwrap();
        write_record(&shim, &record()).unwrap();
        fs::write(folder.file("exit.json"), b"").unwrap();
        drop(shim);
        let State::Gone(_, reason) = folder.look().unwrap() else {
            panic!("taken for something else");
        };
        assert!(reason.contains("exit.json is damaged"), "{reason}");
    }

    #[test]
    fn remnants_of_an_attempt_that_never_started_make_way_for_it() {
        let (_home, folder) = folder();
        drop(folder.prepare().unwrap());
        assert_eq!(folder.prepare().unwrap_err().kind(), ErrorKind::AlreadyExists);
        folder.remove_unstarted();
        folder.prepare().unwrap();
    }
}
