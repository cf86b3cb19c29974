//! Who is at the other end of a connection: the process, and those that it descends from.
//!
//! A worker's processes end up below their shim whatever they do: it adopts whom their parents leave behind. So the parents
//! tell whether somebody speaks for a task, where a session or an environment variable would not.

use tokio::net::UnixStream;

use crate::engine::{Ancestor, Lineage};
use crate::platform;
use crate::protocol::{ErrorAnswer, ErrorCode};

/// Deeper than any tree that is not made to be deep.
const DEPTH_MAX: usize = 1_000;
/// Parents may end while they are looked at; then the line is followed once more.
const TRIES: usize = 5;

/// The line of the process that has connected.
///
/// # Errors
///
/// If it has ended already, or its line cannot be followed: nobody can tell then whose it was.
pub(super) fn lineage(stream: &UnixStream) -> Result<Lineage, ErrorAnswer> {
    let pid = stream.peer_cred().ok().and_then(|peer| peer.pid());
    match pid {
        // Somebody outside of this PID namespace, where no worker gets to.
        None | Some(..=0) => Ok(Lineage::default()),
        Some(pid) => follow(pid, &platform::status).ok_or_else(unknown),
    }
}

/// The process and its ancestors, the nearest first.
fn follow(pid: i32, status: &impl Fn(i32) -> Option<platform::ProcessStatus>) -> Option<Lineage> {
    (0..TRIES).find_map(|_| {
        let mut line = Vec::new();
        let mut pid = pid;
        while pid > 1 {
            let found = status(pid)?;
            // Whoever has this number now was started after its child: the parent has ended meanwhile.
            let is_other = line
                .last()
                .is_some_and(|child: &Ancestor| found.started > child.started);
            if is_other || line.len() == DEPTH_MAX {
                return None;
            }
            line.push(Ancestor {
                pid,
                started: found.started,
            });
            pid = found.parent;
        }
        Some(Lineage::new(line))
    })
}

fn unknown() -> ErrorAnswer {
    ErrorAnswer {
        code: ErrorCode::Forbidden,
        message: "the process that has connected is gone, so that nobody can tell for whom it speaks"
            .to_owned(),
        hint: "keep the process that connects until it has its answer".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::platform::ProcessStatus;

    fn process(parent: i32, started: u64) -> ProcessStatus {
        ProcessStatus {
            parent,
            group: 1,
            session: 1,
            started,
            zombie: false,
            stopped: false,
        }
    }

    fn pids(line: &Lineage) -> Vec<i32> {
        line.iter().map(|ancestor| ancestor.pid).collect()
    }

    #[test]
    fn the_line_ends_before_the_first_process() {
        let status = |pid| match pid {
            30 => Some(process(20, 3)),
            20 => Some(process(10, 2)),
            10 => Some(process(1, 1)),
            _ => None,
        };
        assert_eq!(pids(&follow(30, &status).expect("a line")), [30, 20, 10]);
        assert!(follow(40, &status).is_none(), "it is gone");
    }

    #[test]
    fn a_parent_that_ends_meanwhile_is_looked_for_again() {
        let looks = Cell::new(0);
        let status = |pid| {
            looks.set(looks.get() + 1);
            match pid {
                // Its parent ends after the first look, and the shim adopts it.
                30 if looks.get() == 1 => Some(process(20, 3)),
                30 => Some(process(10, 3)),
                10 => Some(process(1, 1)),
                _ => None,
            }
        };
        assert_eq!(pids(&follow(30, &status).expect("a line")), [30, 10]);
    }

    #[test]
    fn a_number_that_somebody_else_has_now_is_no_parent() {
        let status = |pid| match pid {
            30 => Some(process(20, 3)),
            20 => Some(process(1, 9)),
            _ => None,
        };
        assert!(follow(30, &status).is_none());
    }
}
