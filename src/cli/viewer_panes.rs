//! What `panes` and `queue --pane` share: the WezTerm that is meant, and the viewers in its panes.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::context::Context;
use super::exit::Failure;
use super::screen;
use crate::pane::wezterm::{
    Assignment, Assignments, Server, Shown, Surroundings, Viewers, Wezterm, WeztermError,
};

/// A pane, as it is named on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PaneTarget {
    /// The one that the command is called from, else the one that has the focus.
    Current,
    /// One in a new tab.
    New,
    /// The one with this number.
    Id(u64),
}

/// A pane that need not be there yet: `current`, `new` or a number.
pub(crate) fn pane_target(text: &str) -> Result<PaneTarget, String> {
    match text {
        "new" => Ok(PaneTarget::New),
        _ => open_pane(text).map_err(|_| "write current, new, or the number of a pane".to_owned()),
    }
}

/// A pane that is there: `current` or a number.
pub(crate) fn open_pane(text: &str) -> Result<PaneTarget, String> {
    match text {
        "current" => Ok(PaneTarget::Current),
        number => number
            .parse()
            .map(PaneTarget::Id)
            .map_err(|_| "write current, or the number of a pane".to_owned()),
    }
}

/// All that a command about panes works with. While it lives, no other such command runs.
pub(crate) struct Desk {
    /// Which pane shows what.
    pub(crate) book: Assignments,
    wezterm: Wezterm,
    caller: Option<u64>,
    cwd: PathBuf,
    attach: Vec<OsString>,
}

impl Desk {
    /// Finds WezTerm, and reads which of its panes are ours.
    pub(crate) fn open(context: &Context) -> Result<Self, Failure> {
        let surroundings = Surroundings::from_env();
        let server = surroundings.find_server()?;
        let wezterm = Wezterm::new(surroundings.find_program()?, server);
        let mut book = Assignments::open(&context.paths()?.data)?;
        book.drop_dead_servers();
        Ok(Self {
            book,
            caller: surroundings.pane_at(wezterm.server()),
            wezterm,
            cwd: std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/")),
            attach: attach_command(context)?,
        })
    }

    /// The server that is meant.
    pub(crate) fn server(&self) -> Server {
        self.wezterm.server().clone()
    }

    /// A handle on the server that does not borrow the desk.
    pub(crate) fn wezterm(&self) -> Wezterm {
        self.wezterm.clone()
    }

    /// Looks at the server's panes, and forgets the viewers that have been closed.
    pub(crate) fn look<'a>(&mut self, wezterm: &'a Wezterm) -> Result<Viewers<'a>, Failure> {
        let viewers = Viewers::look(wezterm, self.caller, self.cwd.clone())?;
        self.book.drop_closed_panes(wezterm.server(), viewers.panes());
        Ok(viewers)
    }

    /// The command of a viewer.
    pub(crate) fn argv(&self, shown: &Shown) -> Vec<OsString> {
        let mut argv = self.attach.clone();
        let (option, value) = match shown {
            Shown::Slot(slot) => ("--slot", slot.to_string()),
            Shown::Task(id) => ("--task", id.clone()),
        };
        argv.extend([option.into(), value.into()]);
        argv
    }

    /// Notes that a pane shows something from now on.
    pub(crate) fn note(&mut self, pane: u64, shown: Shown) {
        let server = self.server();
        self.book.add(Assignment::new(&server, pane, shown));
    }

    /// Puts a viewer at a pane that is there: in the place of the viewer that it holds, else beside it.
    pub(crate) fn put_at(&mut self, viewers: &Viewers<'_>, pane: u64, shown: Shown) -> Result<u64, Failure> {
        let server = self.server();
        let argv = self.argv(&shown);
        let made = if self.book.shown_in(&server, pane).is_some() {
            let made = viewers.instead_of(pane, &argv)?;
            self.book.remove(&server, pane);
            made
        } else {
            viewers.beside(pane, &argv)?
        };
        self.note(made, shown);
        Ok(made)
    }
}

/// A pane's program gets the environment of WezTerm, not ours: what was said here is handed on.
fn attach_command(context: &Context) -> Result<Vec<OsString>, Failure> {
    let program = std::env::current_exe()
        .map_err(|error| Failure::bug(format!("cannot tell this program's own path: {error}")))?;
    let mut argv = vec![program.into_os_string()];
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let given = [
        ("--socket", context.socket_option()),
        ("--config", context.config_file()),
    ];
    for (option, path) in given {
        if let Some(path) = path {
            argv.extend([option.into(), absolute(path).into_os_string()]);
        }
    }
    argv.push("attach".into());
    Ok(argv)
}

/// Shows a task that has just been queued. That the task is queued is what counts: if WezTerm does not
/// do its part, this is a warning.
pub(crate) fn show_queued_task(context: &Context, id: &str, target: PaneTarget) {
    if let Err(failure) = show_task(context, id, target) {
        Context::warn(&format!(
            "{failure}: the task is queued, see `wezterm-parallel follow {id}`"
        ));
        if !failure.hint.is_empty() {
            screen::note(&format!("hint: {}", failure.hint));
        }
    }
}

fn show_task(context: &Context, id: &str, target: PaneTarget) -> Result<(), Failure> {
    let mut desk = Desk::open(context)?;
    let wezterm = desk.wezterm();
    let viewers = desk.look(&wezterm)?;
    let shown = Shown::Task(id.to_owned());
    // The same call once more, which is answered like the first time.
    if desk.book.find(wezterm.server(), &shown).is_some() {
        return Ok(());
    }
    match target {
        PaneTarget::Current => {
            desk.put_at(&viewers, viewers.current()?, shown)?;
        }
        PaneTarget::Id(pane) => {
            desk.put_at(&viewers, pane, shown)?;
        }
        PaneTarget::New => {
            let pane = viewers.new_tab(&desk.argv(&shown))?;
            desk.note(pane, shown);
        }
    }
    Ok(desk.book.save()?)
}

/// A server that is not the caller's, for panes that were opened there.
pub(crate) fn wezterm_at(server: Server) -> Result<Wezterm, WeztermError> {
    Ok(Wezterm::new(Surroundings::from_env().find_program()?, server))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panes_are_words_or_numbers() {
        assert_eq!(pane_target("current"), Ok(PaneTarget::Current));
        assert_eq!(pane_target("new"), Ok(PaneTarget::New));
        assert_eq!(pane_target("12"), Ok(PaneTarget::Id(12)));
        assert_eq!(open_pane("0"), Ok(PaneTarget::Id(0)));
        for wrong in ["", "-1", "here", "1.5", "New"] {
            assert!(pane_target(wrong).unwrap_err().contains("new"), "{wrong}");
        }
        assert_eq!(
            open_pane("new").unwrap_err(),
            "write current, or the number of a pane"
        );
    }
}
