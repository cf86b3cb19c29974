//! A terminal of its own for a program that takes the whole screen: a pty, and what a person would see on it.
#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::pty::{grantpt, openpt, ptsname, unlockpt, OpenptFlags};
use rustix::termios::{tcgetattr, tcsetwinsize, LocalModes, Winsize};

use crate::support::{wait_for, DEADLINE};

/// What the program asks of the terminal when it comes and goes.
pub(crate) const OTHER_SCREEN: &str = "\x1b[?1049h";
pub(crate) const OWN_SCREEN: &str = "\x1b[?1049l";

/// A terminal with a program on it.
pub(crate) struct Terminal {
    keyboard: File,
    /// The other end: it stays open, so that its mode can be looked at after the program.
    program_end: File,
    written: Arc<Mutex<Vec<u8>>>,
    size: (u16, u16),
    /// What was written from here on is on the screen as it is.
    from: usize,
    pub(crate) program: Child,
}

impl Terminal {
    /// Runs the command on a terminal of this size.
    pub(crate) fn run(mut command: Command, size: (u16, u16)) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let path = name.to_str().unwrap();
        let program_end = File::options().read(true).write(true).open(path).unwrap();
        set_size(&program_end, size);
        let program = command
            .env("TERM", "xterm-256color")
            .stdin(program_end.try_clone().unwrap())
            .stdout(program_end.try_clone().unwrap())
            .stderr(program_end.try_clone().unwrap())
            .spawn()
            .unwrap();
        let keyboard = File::from(master);
        let written: Arc<Mutex<Vec<u8>>> = Arc::default();
        listen(keyboard.try_clone().unwrap(), Arc::clone(&written));
        Self {
            keyboard,
            program_end,
            written,
            size,
            from: 0,
            program,
        }
    }

    /// All that was written, as it was written.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.written.lock().unwrap()).into_owned()
    }

    /// The lines that a person sees now.
    pub(crate) fn screen(&self) -> String {
        let written = self.written.lock().unwrap();
        Screen::after(&String::from_utf8_lossy(&written[self.from..]), self.size)
    }

    /// Waits until a person sees all of these.
    pub(crate) fn wait_for(&self, texts: &[&str]) {
        self.wait_until(&format!("{texts:?}"), |screen| {
            texts.iter().all(|text| screen.contains(text))
        });
    }

    /// Waits until what a person sees is as it should be.
    pub(crate) fn wait_until(&self, what: &str, is_so: impl Fn(&str) -> bool) {
        let begin = Instant::now();
        while !is_so(&self.screen()) {
            assert!(begin.elapsed() < DEADLINE, "not seen: {what}\n{}", self.screen());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    pub(crate) fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    pub(crate) fn resize(&mut self, size: (u16, u16)) {
        // Everything is drawn again.
        self.from = self.written.lock().unwrap().len();
        self.size = size;
        set_size(&self.program_end, size);
        self.signal(rustix::process::Signal::WINCH);
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.program), signal).unwrap();
    }

    pub(crate) fn wait_end(&mut self) -> ExitStatus {
        wait_for("the program's end", || self.program.try_wait().unwrap())
    }

    /// Whether the terminal waits for Enter and echoes, as it did before.
    pub(crate) fn has_its_mode(&self) -> bool {
        let modes = tcgetattr(&self.program_end).unwrap().local_modes;
        modes.contains(LocalModes::ICANON | LocalModes::ECHO)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

fn set_size(terminal: &File, (columns, rows): (u16, u16)) {
    let size = Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(terminal, size).unwrap();
}

/// Keeps what is written; ends when the terminal does.
fn listen(mut keyboard: File, written: Arc<Mutex<Vec<u8>>>) {
    std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(count) = keyboard.read(&mut bytes) {
            if count == 0 {
                break;
            }
            written.lock().unwrap().extend_from_slice(&bytes[..count]);
        }
    });
}

/// As much of a terminal as a program needs that draws cells: where the cursor goes, and what is erased.
struct Screen {
    rows: Vec<Vec<char>>,
    at: (usize, usize),
}

impl Screen {
    fn after(text: &str, (columns, rows): (u16, u16)) -> String {
        let mut screen = Self {
            rows: vec![vec![' '; usize::from(columns)]; usize::from(rows)],
            at: (0, 0),
        };
        let mut rest = text;
        while let Some(character) = rest.chars().next() {
            if let Some(sequence) = rest.strip_prefix("\x1b[") {
                let is_last = |c: char| ('@'..='~').contains(&c);
                let Some(end) = sequence.find(is_last) else { break };
                screen.obey(&sequence[..end], &sequence[end..=end]);
                rest = &sequence[end + 1..];
                continue;
            }
            // Which charset: there is one.
            if let Some(charset) = rest.strip_prefix("\x1b(") {
                rest = charset.get(1..).unwrap_or_default();
                continue;
            }
            rest = &rest[character.len_utf8()..];
            screen.put(character);
        }
        let line = |row: Vec<char>| row.into_iter().filter(|c| *c != '\0').collect::<String>();
        let lines = screen.rows.into_iter().map(line);
        lines.map(|line| line.trim_end().to_owned() + "\n").collect()
    }

    fn obey(&mut self, parameters: &str, last: &str) {
        let mut numbers = parameters.split(';').map(|number| number.parse().unwrap_or(1));
        match last {
            "H" => {
                let (row, column): (usize, usize) =
                    (numbers.next().unwrap_or(1), numbers.next().unwrap_or(1));
                self.at = (row - 1, column - 1);
            }
            "J" if parameters == "2" => self.rows.iter_mut().for_each(|row| row.fill(' ')),
            "J" => {
                self.erase_line();
                let below = self.rows.iter_mut().skip(self.at.0 + 1);
                below.for_each(|row| row.fill(' '));
            }
            "K" => self.erase_line(),
            _ => {}
        }
    }

    fn erase_line(&mut self) {
        let (row, column) = self.at;
        let cells = self.rows.get_mut(row).and_then(|row| row.get_mut(column..));
        cells.unwrap_or_default().fill(' ');
    }

    fn put(&mut self, character: char) {
        let (row, column) = self.at;
        match character {
            '\r' => self.at.1 = 0,
            '\n' => self.at.0 += 1,
            _ => {
                if let Some(cell) = self.rows.get_mut(row).and_then(|row| row.get_mut(column)) {
                    *cell = character;
                }
                self.at.1 += 1;
            }
        }
    }
}
