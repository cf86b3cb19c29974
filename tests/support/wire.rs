//! The socket as a client of any kind sees it: bytes out, lines in.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;

use super::{Home, DEADLINE};

/// A connection without any manners of its own.
pub struct Wire {
    stream: UnixStream,
    reader: BufReader<UnixStream>,
}

impl Wire {
    /// Connects to the home's daemon.
    pub fn connect(home: &Home) -> Self {
        let stream = UnixStream::connect(home.socket()).expect("a daemon listens");
        stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        let reader = BufReader::new(stream.try_clone().expect("a second handle"));
        Self { stream, reader }
    }

    /// Sends bytes as they are.
    pub fn say(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("the daemon reads");
    }

    /// Sends bytes; whether the daemon still takes them.
    pub fn try_say(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).is_ok()
    }

    /// The next line without its newline; `None` when the daemon has closed the connection.
    pub fn hear(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.reader.read_line(&mut line) {
            Ok(0) => None,
            Ok(_) => Some(line.trim_end_matches('\n').to_owned()),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => None,
            Err(error) => panic!("no line came: {error}"),
        }
    }

    /// One line out, one line in.
    pub fn ask(&mut self, line: impl AsRef<[u8]>) -> String {
        self.say(line);
        self.say(b"\n");
        self.hear().expect("an answer")
    }
}
