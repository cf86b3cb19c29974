//! The terminal while the view has it, and given back whatever happens.
//!
//! Signals end the view in order, a panic gives the terminal back before it says anything, and `Ctrl-Z` lends it to
//! the shell.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _, Write};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::termios::{tcgetattr, tcgetwinsize, tcsetattr, OptionalActions, Termios};

use crate::cli::screen;
use crate::pane::Signals;

/// The other screen, no cursor, clicks and the wheel, marks around pastes.
const ENTER: &str = "\x1b[?1049h\x1b[2J\x1b[?25l\x1b[?1000h\x1b[?1006h\x1b[?2004h";
/// All of it undone.
const LEAVE: &str = "\x1b[?2004l\x1b[?1006l\x1b[?1000l\x1b[0m\x1b[?25h\x1b[?1049l";
/// What is typed comes in pieces of some bytes.
const READ_BYTES: usize = 4096;

/// The terminal; given back when this is dropped.
#[derive(Debug)]
pub(super) struct Taken {
    saved: Arc<Saved>,
}

/// The terminal as it was.
#[derive(Debug)]
struct Saved {
    input: File,
    output: File,
    modes: Termios,
    is_taken: AtomicBool,
}

impl Saved {
    fn take(&self) -> io::Result<()> {
        let mut raw = self.modes.clone();
        raw.make_raw();
        self.is_taken.store(true, Ordering::Release);
        tcsetattr(&self.input, OptionalActions::Now, &raw)?;
        (&self.output).write_all(ENTER.as_bytes())
    }

    fn give_back(&self) {
        if !self.is_taken.swap(false, Ordering::AcqRel) {
            return;
        }
        // A terminal that is gone needs nothing, and one that takes nothing cannot be waited for.
        let mut waiting = [PollFd::new(&self.output, PollFlags::OUT)];
        if matches!(poll(&mut waiting, Some(&Timespec::default())), Ok(1)) {
            let _ = (&self.output).write_all(LEAVE.as_bytes());
        }
        let _ = tcsetattr(&self.input, OptionalActions::Now, &self.modes);
    }
}

impl Taken {
    /// Takes the terminal of stdin and stdout; `None` if one of them is none.
    pub(super) fn take() -> io::Result<Option<Self>> {
        let stdin = io::stdin();
        if !stdin.is_terminal() || !screen::stdout_is_terminal() {
            return Ok(None);
        }
        let input = File::from(stdin.as_fd().try_clone_to_owned()?);
        Self::take_these(input, screen::raw_stdout()?).map(Some)
    }

    fn take_these(input: File, output: File) -> io::Result<Self> {
        let saved = Arc::new(Saved {
            modes: tcgetattr(&input)?,
            input,
            output,
            is_taken: AtomicBool::new(false),
        });
        give_back_on_panic(Arc::clone(&saved));
        let taken = Self { saved };
        taken.saved.take()?;
        Ok(taken)
    }

    /// Columns and rows.
    pub(super) fn size(&self) -> io::Result<(u16, u16)> {
        let size = tcgetwinsize(&self.saved.output)?;
        Ok((size.ws_col, size.ws_row))
    }

    /// Readable when something was typed.
    pub(super) fn input(&self) -> BorrowedFd<'_> {
        self.saved.input.as_fd()
    }

    /// What was typed; nothing at all if the terminal is gone.
    pub(super) fn read(&self) -> Vec<u8> {
        let mut bytes = vec![0; READ_BYTES];
        let count = loop {
            match (&self.saved.input).read(&mut bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result.unwrap_or(0),
            }
        };
        bytes.truncate(count);
        bytes
    }

    /// Where frames are written.
    pub(super) fn writer(&self, signals: Rc<Signals>) -> io::Result<FrameWriter> {
        Ok(FrameWriter {
            output: self.saved.output.try_clone()?,
            signals,
            frame: Vec::new(),
        })
    }

    /// Gives the terminal to the shell until it says `fg`.
    pub(super) fn lend(&self) -> io::Result<()> {
        self.saved.give_back();
        // Returns once the shell lets this process go on.
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TSTP)?;
        self.saved.take()
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.saved.give_back();
    }
}

/// The hook that ends the process runs no destructors.
fn give_back_on_panic(saved: Arc<Saved>) {
    let next = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        saved.give_back();
        next(panic);
    }));
}

/// Collects a frame and writes it in one go, as far as the terminal takes it: a signal ends the wait for one that is
/// stopped.
#[derive(Debug)]
pub(super) struct FrameWriter {
    output: File,
    signals: Rc<Signals>,
    frame: Vec<u8>,
}

impl Write for FrameWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.frame.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut written = 0;
        while written < self.frame.len() {
            let mut waiting = [
                PollFd::new(&self.output, PollFlags::OUT),
                PollFd::new(&*self.signals, PollFlags::IN),
            ];
            match poll(&mut waiting, None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            let (ready, signalled) = (!waiting[0].revents().is_empty(), !waiting[1].revents().is_empty());
            if self.signals.have_ended() {
                break;
            }
            if signalled {
                // Another size is looked at after this frame: its flag stays.
                self.signals.heard();
            }
            if ready {
                // A terminal that has room for something is not handed more than that at once.
                let end = self.frame.len().min(written + READ_BYTES);
                match self.output.write(&self.frame[written..end]) {
                    Ok(count) => written += count,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
        }
        self.frame.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rustix::pty::{grantpt, openpt, ptsname, unlockpt, OpenptFlags};
    use rustix::termios::LocalModes;

    use super::*;

    /// A terminal of its own: what a person would see, and what a program has.
    fn terminal() -> (File, File) {
        let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&person).unwrap();
        unlockpt(&person).unwrap();
        let name = ptsname(&person, Vec::new()).unwrap();
        let path = std::path::PathBuf::from(name.into_string().unwrap());
        let options = std::fs::OpenOptions::new().read(true).write(true).open(path);
        (File::from(person), options.unwrap())
    }

    fn seen(person: &mut File) -> String {
        let mut bytes = vec![0; 4096];
        let count = person.read(&mut bytes).unwrap();
        String::from_utf8(bytes[..count].to_vec()).unwrap()
    }

    fn is_raw(program: &File) -> bool {
        let modes = tcgetattr(program).unwrap();
        !modes
            .local_modes
            .intersects(LocalModes::ICANON | LocalModes::ECHO)
    }

    fn take(program: &File) -> Taken {
        Taken::take_these(program.try_clone().unwrap(), program.try_clone().unwrap()).unwrap()
    }

    #[test]
    fn the_terminal_is_given_back() {
        let (mut person, program) = terminal();
        let taken = take(&program);
        assert!(is_raw(&program));
        assert_eq!(seen(&mut person), ENTER);
        drop(taken);
        assert!(!is_raw(&program));
        assert_eq!(seen(&mut person), LEAVE);
    }

    #[test]
    fn a_panic_gives_it_back() {
        let (mut person, program) = terminal();
        let taken = take(&program);
        assert_eq!(seen(&mut person), ENTER);
        let panicked = std::panic::catch_unwind(|| panic!("as meant by a test"));
        assert!(panicked.is_err() && !is_raw(&program));
        assert_eq!(seen(&mut person), LEAVE);
        // What was given back once is not given back again.
        drop(taken);
        person.write_all(b"x\n").unwrap();
        assert_eq!(seen(&mut person), "x\r\n");
    }
}
