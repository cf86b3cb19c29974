//! Puts programs into panes: several in a layout, a whole tab, one beside a pane, one in place of another. Mostly they are
//! viewers.
//!
//! `spawn` and `split-pane` take the focus, so each of these looks first who has it, and gives it back.

use std::ffi::OsString;
use std::path::PathBuf;

use super::{plan, smallest, Layout, PaneInfo, PaneSize, Side, Split, Wezterm, WeztermError};

/// What a split gives to the new pane.
const HALF: u8 = 50;
/// A smaller pane shows nothing that could be read. (Four in a row in 80 columns have 19.)
const READABLE: PaneSize = PaneSize { cols: 18, rows: 3 };

/// What a pane is to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The program with its arguments; the user's shell if there is nothing.
    pub argv: Vec<OsString>,
    /// Its folder.
    pub cwd: PathBuf,
}

/// Where several panes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Into a tab of their own.
    NewTab,
    /// Into a window of their own.
    NewWindow,
    /// Beside the current pane.
    Here,
}

/// Panes that have been made, each with its place among the programs.
type Made = Vec<(usize, u64)>;

/// The panes of one server as they were when they were looked at, and what can be done with them.
pub struct Viewers<'a> {
    wezterm: &'a Wezterm,
    panes: Vec<PaneInfo>,
    caller: Option<u64>,
    focused: Option<u64>,
    current: Option<u64>,
}

impl<'a> Viewers<'a> {
    /// Looks at the panes. `caller` is the pane that this is called from, if it is one of this server's.
    ///
    /// # Errors
    /// If WezTerm does not answer.
    pub fn look(wezterm: &'a Wezterm, caller: Option<u64>) -> Result<Self, WeztermError> {
        let panes = wezterm.panes()?;
        let is_open = |id: &u64| panes.iter().any(|pane| pane.pane_id == *id);
        let caller = caller.filter(is_open);
        // Without a client nobody looks, and the caller's pane is the best guess for who will.
        let focused = wezterm.focused_pane()?.filter(is_open).or(caller);
        let current = caller.or(focused);
        Ok(Self {
            wezterm,
            panes,
            caller,
            focused,
            current,
        })
    }

    /// All panes of the server.
    #[must_use]
    pub fn panes(&self) -> &[PaneInfo] {
        &self.panes
    }

    /// The pane that this is called from, else the one that has the focus.
    ///
    /// # Errors
    /// If there is neither.
    pub fn current(&self) -> Result<u64, WeztermError> {
        self.current.ok_or(WeztermError::NoCurrentPane)
    }

    /// Starts each of the programs: their panes, in the same order. If one cannot be started, those before it are closed
    /// again.
    ///
    /// # Errors
    /// If WezTerm does not do it.
    pub fn open(&self, place: Place, layout: Layout, programs: &[Program]) -> Result<Vec<u64>, WeztermError> {
        self.refuse_unreadable(place, layout, programs.len())?;
        let stays = place == Place::Here || layout == Layout::Tabs;
        self.all_or_none(place, (!stays).then_some(0), |made| {
            if layout == Layout::Tabs {
                self.build_tabs(place, programs, made)
            } else {
                self.build(place, programs, &plan(layout, programs.len()), made)
            }
        })
    }

    /// Makes a tab of these programs by `splits`, which make them all; `active` is the one with the focus in it. Its
    /// panes, in the same order; all or none of them.
    ///
    /// # Errors
    /// If WezTerm does not do it.
    pub fn open_tab(
        &self,
        programs: &[Program],
        splits: &[Split],
        active: usize,
    ) -> Result<Vec<u64>, WeztermError> {
        self.all_or_none(Place::NewTab, Some(active), |made| {
            self.build(Place::NewTab, programs, splits, made)
        })
    }

    /// Builds panes, closes them again if one of them fails, and gives the focus back. `active` is the one that keeps it
    /// in its own tab.
    fn all_or_none(
        &self,
        place: Place,
        active: Option<usize>,
        build: impl FnOnce(&mut Made) -> Result<(), WeztermError>,
    ) -> Result<Vec<u64>, WeztermError> {
        let mut made = Made::new();
        let built = build(&mut made);
        if built.is_err() {
            for (_, pane) in &made {
                // A server that hangs would keep us for as long again with each of them.
                if matches!(self.wezterm.kill(*pane), Err(WeztermError::Timeout { .. })) {
                    break;
                }
            }
        }
        // Where nothing was made, the focus is where it was.
        if let Some((_, last)) = made.last() {
            let is_active = |(at, _): &&(usize, u64)| Some(*at) == active;
            // Else the last one is the active one of the new tab.
            let active = made.iter().find(is_active).map(|(_, pane)| *pane);
            if let Some(active) = active.filter(|active| active != last) {
                let _ = self.wezterm.activate(active);
            }
            let split = self.current.filter(|_| place == Place::Here);
            self.give_focus_back(split);
        }
        built?;
        made.sort_unstable();
        Ok(made.into_iter().map(|(_, pane)| pane).collect())
    }

    /// Starts a program in a new tab: its pane.
    ///
    /// # Errors
    /// If WezTerm does not do it.
    pub fn new_tab(&self, program: &Program) -> Result<u64, WeztermError> {
        let made = self.first(Place::NewTab, program);
        self.give_focus_back(None);
        made
    }

    /// Starts a program beside a pane: its pane.
    ///
    /// # Errors
    /// If there is no such pane, or WezTerm does not do it.
    pub fn beside(&self, pane: u64, program: &Program) -> Result<u64, WeztermError> {
        self.refuse_other_machine(pane)?;
        let made = self.split(pane, Side::Right, HALF, program);
        self.give_focus_back(Some(pane));
        made
    }

    /// Starts a program in place of a viewer, whose pane is closed: the pane that has its room now.
    ///
    /// # Errors
    /// If there is no such pane, or WezTerm does not do it.
    pub fn instead_of(&self, viewer: u64, program: &Program) -> Result<u64, WeztermError> {
        let info = self.info(viewer)?;
        // Half of its room is enough for a moment, to whichever side there is some.
        let split = |side| self.split(viewer, side, HALF, program);
        let made = match split(Side::Right) {
            Err(error) if error.is_for_lack_of_room() => split(Side::Bottom)?,
            made => made?,
        };
        if let Err(error) = self.wezterm.kill(viewer) {
            // As it was before, as far as that can be had.
            let _ = self.wezterm.kill(made);
            self.give_focus_back(Some(viewer));
            return Err(error);
        }
        // The new one has the focus in its tab, which is right if the old one had it.
        if !info.is_active {
            self.give_focus_back(Some(viewer));
        } else if self.focused != Some(viewer) {
            self.give_focus_back(None);
        }
        Ok(made)
    }

    /// Starts a program in a part of a pane, which may be a new one: its pane. The focus stays with it, until
    /// [`Self::give_focus_back`].
    ///
    /// # Errors
    /// If WezTerm does not do it.
    pub fn split(&self, pane: u64, side: Side, percent: u8, program: &Program) -> Result<u64, WeztermError> {
        self.wezterm
            .split(pane, side, percent, &program.cwd, &program.argv)
    }

    fn info(&self, pane: u64) -> Result<&PaneInfo, WeztermError> {
        let found = self.panes.iter().find(|info| info.pane_id == pane);
        found.ok_or(WeztermError::NoPane { pane })
    }

    /// A split runs its program where the pane's own runs. The caller's pane is here, whatever a shell in it has
    /// said about another machine.
    fn refuse_other_machine(&self, pane: u64) -> Result<(), WeztermError> {
        let uname = rustix::system::uname();
        let other = self.info(pane)?.other_host(&uname.nodename().to_string_lossy());
        match other {
            Some(host) if self.caller != Some(pane) => Err(WeztermError::OtherMachine {
                pane,
                host: host.to_owned(),
            }),
            _ => Ok(()),
        }
    }

    /// As far as the size of the tab is known.
    fn refuse_unreadable(&self, place: Place, layout: Layout, count: usize) -> Result<(), WeztermError> {
        let Some(near) = self
            .current
            .and_then(|pane| self.info(pane).ok())
            .or(self.panes.first())
        else {
            return Ok(());
        };
        let same_tab = || self.panes.iter().filter(|info| info.tab_id == near.tab_id);
        let tab = match place {
            Place::Here => PaneSize {
                cols: near.size.cols / 2,
                ..near.size
            },
            // A new tab is as large as this one.
            Place::NewTab | Place::NewWindow => PaneSize {
                cols: same_tab()
                    .map(|info| info.left_col + info.size.cols)
                    .max()
                    .unwrap_or(0),
                rows: same_tab()
                    .map(|info| info.top_row + info.size.rows)
                    .max()
                    .unwrap_or(0),
            },
        };
        let least = smallest(layout, count, tab);
        if count < 2 || tab.cols == 0 || least.cols >= READABLE.cols && least.rows >= READABLE.rows {
            return Ok(());
        }
        Err(WeztermError::TooSmall {
            count,
            columns: least.cols,
            rows: least.rows,
        })
    }

    /// Makes the first pane, and then the others in the order of the splits.
    fn build(
        &self,
        place: Place,
        programs: &[Program],
        splits: &[Split],
        made: &mut Made,
    ) -> Result<(), WeztermError> {
        let Some(first) = programs.first() else {
            return Ok(());
        };
        made.push((0, self.first(place, first)?));
        for split in splits {
            let from = made.iter().find(|(place, _)| *place == split.from);
            let (_, from) = *from.expect("a plan splits what it has made");
            let pane = self.split(from, split.side, split.percent, &programs[split.to])?;
            made.push((split.to, pane));
        }
        Ok(())
    }

    /// A tab for each, all in one window.
    fn build_tabs(&self, place: Place, programs: &[Program], made: &mut Made) -> Result<(), WeztermError> {
        let Some((first, others)) = programs.split_first() else {
            return Ok(());
        };
        let pane = self.first(place, first)?;
        made.push((0, pane));
        let window = self.window_of_new(pane, others)?;
        for (place, program) in others.iter().enumerate() {
            let pane = self.wezterm.new_tab(window, &program.cwd, &program.argv)?;
            made.push((place + 1, pane));
        }
        Ok(())
    }

    fn first(&self, place: Place, program: &Program) -> Result<u64, WeztermError> {
        let Program { argv, cwd } = program;
        let near = match self.current {
            Some(current) => Some(self.info(current)?),
            None => self.panes.first(),
        };
        match (place, near) {
            (Place::Here, _) => {
                let current = self.current()?;
                self.refuse_other_machine(current)?;
                self.split(current, Side::Right, HALF, program)
            }
            (Place::NewTab, Some(near)) => self.wezterm.new_tab(near.window_id, cwd, argv),
            (Place::NewWindow, Some(near)) => self.wezterm.new_window(&near.workspace, cwd, argv),
            // A server without a window.
            (Place::NewTab | Place::NewWindow, None) => self.wezterm.new_window("", cwd, argv),
        }
    }

    /// The window that a new pane has come into; not asked for if nothing follows it.
    fn window_of_new(&self, pane: u64, others: &[Program]) -> Result<u64, WeztermError> {
        if others.is_empty() {
            return Ok(0);
        }
        let panes = self.wezterm.panes()?;
        let found = panes.iter().find(|info| info.pane_id == pane);
        found
            .map(|info| info.window_id)
            .ok_or(WeztermError::NoPane { pane })
    }

    /// First within the tab whose pane was split, then to the pane that a person looks at.
    pub fn give_focus_back(&self, split: Option<u64>) {
        let tab = split
            .and_then(|pane| self.info(pane).ok())
            .map(|info| info.tab_id);
        let active = |info: &&PaneInfo| Some(info.tab_id) == tab && info.is_active;
        let active = self.panes.iter().find(active).map(|info| info.pane_id);
        for pane in active
            .filter(|pane| Some(*pane) != self.focused)
            .into_iter()
            .chain(self.focused)
        {
            // What was asked for is done; a focus in the wrong place is no reason to call it failed.
            let _ = self.wezterm.activate(pane);
        }
    }
}
