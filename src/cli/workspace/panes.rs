//! Opens the tabs of a workspace: those of its template, or those that a session has saved.
//!
//! What is open already stays as it is. A tab of which nothing is there is made as its plan says; one of which a part is
//! there gets the rest, where the plan says as far as that can be had.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::cli::context::Context;
use crate::cli::exit::Failure;
use crate::cli::viewer_panes::{Desk, NewPane};
use crate::pane::wezterm::{
    plan, Assignment, Layout, PaneInfo, PanePlan, Program, Shown, Side, Split, TabPlan, Viewers, Wezterm,
    WeztermError,
};

/// What a split gives to a pane that has no split of its own in the plan.
const HALF: u8 = 50;

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Opened {
    /// Panes that were opened.
    pub(crate) new: usize,
    /// Panes that were there before.
    pub(crate) there: usize,
}

/// Where a pane of a plan is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Nowhere.
    Missing,
    /// Here, under this number.
    Here(u64),
    /// Here, held by WezTerm after its viewer has ended.
    Ended(u64),
    /// Seen here, though under the number of another server.
    Linked,
}

impl At {
    fn is_there(self) -> bool {
        matches!(self, Self::Here(_) | Self::Linked)
    }

    /// The number of a pane that is here.
    fn number(self) -> Option<u64> {
        match self {
            Self::Here(pane) | Self::Ended(pane) => Some(pane),
            Self::Missing | Self::Linked => None,
        }
    }
}

/// Opens what is not open yet of the tabs of a workspace, each in a tab of its own, and gives the focus back.
///
/// A folder that is gone is replaced by `folder`, or by the home folder if that is gone, too, with a warning.
///
/// # Errors
/// If WezTerm does not do it. All other tabs are opened and known; of the one that failed there is nothing.
pub(crate) fn open_tabs(
    context: &Context,
    workspace: &str,
    tabs: &[TabPlan],
    folder: &Path,
) -> Result<Opened, Failure> {
    let mut desk = Desk::open(context)?;
    let wezterm = desk.wezterm();
    let mut viewers = desk.look(&wezterm)?;
    let places = places(&desk, &viewers, workspace, tabs);
    let mut opened = Opened::default();
    let mut gone = BTreeSet::new();
    let mut failure = None;
    for (tab, places) in tabs.iter().zip(places) {
        let missing: Vec<usize> = (0..places.len())
            .filter(|place| !places[*place].is_there())
            .collect();
        opened.there += places.len() - missing.len();
        if missing.is_empty() {
            continue;
        }
        let new = |place: &usize| {
            let pane = &tab.panes[*place];
            let cwd = folder_of(pane, folder, &mut gone);
            let pane = desk.new_pane_in(pane.shown.clone(), cwd);
            (*place, pane.of_workspace(Some(workspace)))
        };
        let panes: Vec<(usize, NewPane)> = missing.iter().map(new).collect();
        let mut opening = Opening {
            desk: &mut desk,
            viewers: &viewers,
            wezterm: &wezterm,
        };
        let result = if places.iter().all(|at| *at == At::Missing) {
            opening.whole_tab(tab, panes)
        } else {
            opening.rest_of_tab(tab, &places, panes)
        };
        desk.book.save()?;
        match result {
            Ok(()) => opened.new += missing.len(),
            // No other tab would fare better.
            Err(error @ (WeztermError::NotRunning | WeztermError::Timeout { .. })) => {
                return Err(error.into())
            }
            Err(error) => {
                failure.get_or_insert(error);
                continue;
            }
        }
        if viewers.panes().is_empty() {
            // The first window of this server has just been made: the next tab belongs into it.
            viewers = desk.look(&wezterm)?;
        }
    }
    match failure {
        None => Ok(opened),
        Some(error) if tabs.len() == 1 => Err(error.into()),
        Some(error) => {
            let failure = Failure::from(error);
            let message = format!("a tab could not be opened: {failure}; the others are open");
            Err(Failure::refused(message).hint("make the window larger, or close panes, and call it again"))
        }
    }
}

/// The folder that a pane is opened in. One that is gone is said once, and added to those.
fn folder_of(pane: &PanePlan, folder: &Path, gone: &mut BTreeSet<PathBuf>) -> PathBuf {
    let wanted = pane.cwd.as_deref().unwrap_or(folder);
    if wanted.is_dir() {
        return wanted.to_owned();
    }
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let mut others = [Some(folder.to_owned()), home].into_iter().flatten();
    let other = others.find(|other| other.is_dir());
    let other = other.unwrap_or_else(|| PathBuf::from("/"));
    if gone.insert(wanted.to_owned()) {
        Context::warn(&format!(
            "there is no folder {}: what belongs there is opened in {}",
            wanted.display(),
            other.display()
        ));
    }
    other
}

/// Where the panes of each tab are. Viewers are known by what they show. A shell is one that was made for this workspace
/// and ran the same line, or any in a tab that holds others of its plan; each counts for one.
fn places(desk: &Desk, viewers: &Viewers<'_>, workspace: &str, tabs: &[TabPlan]) -> Vec<Vec<At>> {
    let ended = desk.ended(viewers);
    let viewer = |pane: &PanePlan| match desk.find(&pane.shown) {
        _ if !pane.shown.is_viewer() => At::Missing,
        Some((server, pane)) if server == desk.server() => At::Here(pane),
        Some(_) => At::Linked,
        None => {
            let held = ended.iter().find(|known| known.shown == pane.shown);
            held.map_or(At::Missing, |known| At::Ended(known.pane))
        }
    };
    let mut places: Vec<Vec<At>> = tabs
        .iter()
        .map(|tab| tab.panes.iter().map(viewer).collect())
        .collect();
    let server = desk.server();
    let of_server: Vec<&Assignment> = desk
        .book
        .panes()
        .iter()
        .filter(|known| known.server() == server)
        .collect();
    let mut shells = Shells {
        workspace,
        open: viewers.panes(),
        known: of_server,
        taken: BTreeSet::new(),
    };
    // Tabs that are known by their viewers choose first: to the others any tab of the same title will do.
    let mut order: Vec<usize> = (0..tabs.len()).collect();
    order.sort_by_key(|tab| places[*tab].iter().all(|at| *at == At::Missing));
    for tab in order {
        shells.find(&tabs[tab], &mut places[tab]);
    }
    places
}

/// The shells of a server, and which of them have been found to be one of a plan.
struct Shells<'a> {
    workspace: &'a str,
    open: &'a [PaneInfo],
    known: Vec<&'a Assignment>,
    taken: BTreeSet<u64>,
}

impl Shells<'_> {
    fn find(&mut self, plan: &TabPlan, places: &mut [At]) {
        let viewers: Vec<u64> = places.iter().filter_map(|at| at.number()).collect();
        let is_of_tab = |info: &PaneInfo| {
            if viewers.is_empty() {
                info.tab_title == plan.title
            } else {
                let mut others = self.open.iter().filter(|other| viewers.contains(&other.pane_id));
                others.any(|other| (other.window_id, other.tab_id) == (info.window_id, info.tab_id))
            }
        };
        let inside: Vec<&PaneInfo> = self.open.iter().filter(|info| is_of_tab(info)).collect();
        for (pane, at) in plan.panes.iter().zip(places) {
            if pane.shown.is_viewer() {
                continue;
            }
            let fits = |info: &&&PaneInfo| match self.known(info.pane_id) {
                Some(known) => {
                    known.workspace.as_deref() == Some(self.workspace) && known.shown == pane.shown
                }
                // Somebody's own, beside what is ours.
                None => !viewers.is_empty() && pane.shown == Shown::Shell(None),
            };
            let free = inside.iter().filter(|info| !self.taken.contains(&info.pane_id));
            if let Some(found) = free.into_iter().find(fits).map(|info| info.pane_id) {
                self.taken.insert(found);
                *at = At::Here(found);
            }
        }
    }

    fn known(&self, pane: u64) -> Option<&Assignment> {
        self.known.iter().find(|known| known.pane == pane).copied()
    }
}

/// What opening one tab works with.
struct Opening<'a> {
    desk: &'a mut Desk,
    viewers: &'a Viewers<'a>,
    wezterm: &'a Wezterm,
}

impl Opening<'_> {
    fn whole_tab(&mut self, tab: &TabPlan, panes: Vec<(usize, NewPane)>) -> Result<(), WeztermError> {
        let active = tab.active.filter(|active| *active < panes.len()).unwrap_or(0);
        self.new_tab(&tab.title, &tab.usable_splits(), active, panes)
    }

    fn new_tab(
        &mut self,
        title: &str,
        splits: &[Split],
        active: usize,
        panes: Vec<(usize, NewPane)>,
    ) -> Result<(), WeztermError> {
        let programs: Vec<Program> = panes.iter().map(|(_, pane)| pane.program.clone()).collect();
        let made = self.viewers.open_tab(&programs, splits, active)?;
        if let (Some(first), false) = (made.first(), title.is_empty()) {
            // The panes are what was asked for; without a title their tab shows the one of the active pane.
            if let Err(error) = self.wezterm.set_tab_title(*first, title) {
                Context::warn(&format!("the tab has no title: {error}"));
            }
        }
        for (number, (_, pane)) in made.into_iter().zip(panes) {
            self.desk.note(number, pane);
        }
        Ok(())
    }

    /// Puts new viewers in the place of those that have ended, and what is missing beside what is there. If one of them
    /// cannot be made, those before it stay: there was something before, and there is more now.
    fn rest_of_tab(
        &mut self,
        tab: &TabPlan,
        places: &[At],
        panes: Vec<(usize, NewPane)>,
    ) -> Result<(), WeztermError> {
        let mut now: Vec<Option<u64>> = places.iter().map(|at| at.number()).collect();
        let mut missing = Vec::new();
        for (place, pane) in panes {
            let made = now[place]
                .take()
                .map(|old| (old, self.viewers.instead_of(old, &pane.program)));
            if let Some((old, Ok(made))) = made {
                self.desk.book.remove(self.wezterm.server(), old);
                self.desk.note(made, pane);
                now[place] = Some(made);
            } else {
                // One that could not be replaced may just be closing.
                missing.push((place, pane));
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let Some(beside) = now.iter().flatten().next().copied() else {
            // What there is has its numbers at another server.
            let splits = plan(Layout::Grid, missing.len());
            return self.new_tab(&tab.title, &splits, 0, missing);
        };
        let splits = tab.usable_splits();
        let mut result = Ok(());
        for (place, pane) in missing {
            match self.beside_others(&splits, &now, place, &pane.program) {
                Ok(made) => {
                    now[place] = Some(made);
                    self.desk.note(made, pane);
                }
                Err(error) => {
                    result = Err(error);
                    break;
                }
            }
        }
        self.viewers.give_focus_back(Some(beside));
        result
    }

    /// Splits the pane of the plan's own split, else any that is there and has room.
    fn beside_others(
        &self,
        splits: &[Split],
        now: &[Option<u64>],
        place: usize,
        program: &Program,
    ) -> Result<u64, WeztermError> {
        let planned = splits.iter().find(|split| split.to == place);
        let planned = planned.and_then(|split| Some((now[split.from]?, split.side, split.percent)));
        let others = now.iter().flatten();
        let others = others.flat_map(|pane| [Side::Right, Side::Bottom].map(|side| (*pane, side, HALF)));
        let mut lacking = None;
        for (pane, side, percent) in planned.into_iter().chain(others) {
            match self.viewers.split(pane, side, percent, program) {
                Err(error) if error.is_for_lack_of_room() => lacking = Some(error),
                made => return made,
            }
        }
        Err(lacking.unwrap_or(WeztermError::NoCurrentPane))
    }
}
