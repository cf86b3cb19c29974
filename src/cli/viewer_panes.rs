//! What `panes` and `queue --pane` share: the WezTerm that is meant, and the viewers in its panes.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::context::Context;
use super::exit::Failure;
use super::{screen, value};
use crate::pane::wezterm::{
    Assignment, Assignments, Program, Registry, Server, Shown, Surroundings, Viewers, Wezterm, WeztermError,
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
    linked: Vec<Server>,
    started: u32,
}

/// A pane that is about to be made.
pub(crate) struct NewPane {
    pub(crate) program: Program,
    /// The name of its viewer, if it is to have one.
    viewer: Option<String>,
    shown: Shown,
    workspace: Option<String>,
}

impl NewPane {
    /// Made for this workspace.
    pub(crate) fn of_workspace(mut self, workspace: Option<&str>) -> Self {
        self.workspace = workspace.map(str::to_owned);
        self
    }
}

/// Runs a line by the user's own shell with the settings of a login, which then is there for more: a line that fails, or
/// that was over soon, can so be read. An interactive shell for the line would know aliases, too, but one that Ctrl-C ends
/// takes the terminal with it. Ctrl-C is for the line; whoever waits for it goes on.
const SHELL_LINE: &str =
    r#"trap : INT QUIT; "${SHELL:-/bin/sh}" -l -c "$1"; trap - INT QUIT; exec "${SHELL:-/bin/sh}""#;

impl Desk {
    /// Finds WezTerm, and reads which of its panes are ours.
    pub(crate) fn open(context: &Context) -> Result<Self, Failure> {
        let surroundings = Surroundings::from_env();
        let server = surroundings.find_server()?;
        let wezterm = Wezterm::new(surroundings.find_program()?, server);
        let data = context.paths()?.data;
        let mut book = Assignments::open(&data)?;
        book.hear_viewers(&Registry::read(&data));
        book.drop_dead_servers();
        Ok(Self {
            book,
            linked: Vec::new(),
            started: 0,
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
        let viewers = Viewers::look(wezterm, self.caller)?;
        self.book.drop_closed_panes(wezterm.server(), viewers.panes());
        self.linked = self.find_linked();
        Ok(viewers)
    }

    /// The pane that shows this here: one of the server's own, or one of a mux server whose panes its GUI shows.
    /// Such a pane has a number at both, and a viewer in it knows that of the mux server.
    pub(crate) fn find(&self, shown: &Shown) -> Option<(Server, u64)> {
        let servers = std::iter::once(self.wezterm.server()).chain(&self.linked);
        servers
            .into_iter()
            .find_map(|server| Some((server.clone(), self.book.find(server, shown)?)))
    }

    /// The other servers with viewers whose panes are seen together with this one's.
    fn find_linked(&self) -> Vec<Server> {
        let own = self.wezterm.server();
        let mut others = self.book.servers();
        others.retain(|other| other != own && other.pid != 0 && own.pid != 0);
        if others.is_empty() {
            return others;
        }
        // What does not answer is linked to nothing: it shows nothing either.
        let clients_of = |wezterm: &Wezterm| wezterm.client_pids().unwrap_or_default();
        let own_clients = clients_of(&self.wezterm);
        others.retain(|other| {
            let theirs = wezterm_at(other.clone()).map(|there| clients_of(&there));
            own_clients.contains(&other.pid) || theirs.is_ok_and(|pids| pids.contains(&own.pid))
        });
        others
    }

    /// The panes whose viewers have ended and that WezTerm holds.
    pub(crate) fn ended(&self, viewers: &Viewers<'_>) -> Vec<Assignment> {
        let is_there = |known: &&Assignment| {
            known.server() == *self.wezterm.server()
                && viewers.panes().iter().any(|pane| pane.pane_id == known.pane)
        };
        let ended = self.book.panes().iter().filter(|known| known.has_ended);
        ended.filter(is_there).cloned().collect()
    }

    /// A pane that is to show this, with a viewer of its own if it shows anything of ours, in the folder that this was
    /// called in.
    pub(crate) fn new_pane(&mut self, shown: Shown) -> NewPane {
        let cwd = self.cwd.clone();
        self.new_pane_in(shown, cwd)
    }

    /// The same in another folder.
    pub(crate) fn new_pane_in(&mut self, shown: Shown, cwd: PathBuf) -> NewPane {
        let (viewer, argv) = match &shown {
            Shown::Slot(slot) => self.viewer("--slot", &slot.to_string()),
            Shown::Task(id) => self.viewer("--task", id),
            Shown::Shell(None) => (None, Vec::new()),
            Shown::Shell(Some(line)) => {
                let argv = ["/bin/sh", "-c", SHELL_LINE, "sh", line];
                (None, argv.map(OsString::from).to_vec())
            }
        };
        NewPane {
            program: Program { argv, cwd },
            viewer,
            shown,
            workspace: None,
        }
    }

    /// The name of a new viewer, and how it is started.
    fn viewer(&mut self, option: &str, value: &str) -> (Option<String>, Vec<OsString>) {
        self.started += 1;
        let name = format!("{:x}-{:x}-{}", value::now_ms(), std::process::id(), self.started);
        let mut argv = self.attach.clone();
        argv.extend(["--viewer", &name, option, value].map(OsString::from));
        (Some(name), argv)
    }

    /// Notes that a pane has been made.
    pub(crate) fn note(&mut self, pane: u64, made: NewPane) {
        let assignment =
            Assignment::new(self.wezterm.server(), pane, made.shown).of_workspace(made.workspace);
        self.book.add(match made.viewer {
            Some(name) => assignment.with_viewer(name),
            None => assignment,
        });
    }

    /// Puts a viewer at a pane that is there: in the place of the viewer that it holds, else beside it.
    pub(crate) fn put_at(
        &mut self,
        viewers: &Viewers<'_>,
        pane: u64,
        viewer: NewPane,
    ) -> Result<u64, Failure> {
        let server = self.server();
        let made = if self.book.shown_in(&server, pane).is_some() {
            let made = viewers.instead_of(pane, &viewer.program)?;
            self.book.remove(&server, pane);
            made
        } else {
            viewers.beside(pane, &viewer.program)?
        };
        self.note(made, viewer);
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
    let shown = context.task(id.to_owned()).and_then(|task| {
        let workspace = Some(task.workspace.as_str()).filter(|name| !name.is_empty());
        show_task(context, id, workspace, target)
    });
    if let Err(failure) = shown {
        warn(
            &failure,
            &format!("the task is queued, see `wezterm-parallel follow {id}`"),
        );
    }
}

/// The same for a process of this workspace that has just been spawned.
pub(crate) fn show_spawned_process(context: &Context, id: &str, workspace: &str, target: PaneTarget) {
    if let Err(failure) = show_task(context, id, Some(workspace), target) {
        warn(
            &failure,
            &format!("the process runs, see `wezterm-parallel process log -f {id}`"),
        );
    }
}

/// Says why panes were not made, what holds all the same, and what to do.
pub(crate) fn warn(failure: &Failure, but: &str) {
    Context::warn(&format!("{failure}: {but}"));
    if !failure.hint.is_empty() {
        screen::note(&format!("hint: {}", failure.hint));
    }
}

fn show_task(
    context: &Context,
    id: &str,
    workspace: Option<&str>,
    target: PaneTarget,
) -> Result<(), Failure> {
    let mut desk = Desk::open(context)?;
    let wezterm = desk.wezterm();
    let viewers = desk.look(&wezterm)?;
    let shown = Shown::Task(id.to_owned());
    // The same call once more, which is answered like the first time.
    if desk.find(&shown).is_some() {
        return Ok(());
    }
    let viewer = desk.new_pane(shown).of_workspace(workspace);
    match target {
        PaneTarget::Current => {
            desk.put_at(&viewers, viewers.current()?, viewer)?;
        }
        PaneTarget::Id(pane) => {
            desk.put_at(&viewers, pane, viewer)?;
        }
        PaneTarget::New => {
            let pane = viewers.new_tab(&viewer.program)?;
            desk.note(pane, viewer);
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
