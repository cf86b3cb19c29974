//! Which tabs a session remembers after a look at WezTerm: those that are there, and those that went away with their
//! WezTerm and have not come back. Pure.
//!
//! A tab that its user has closed is forgotten. One whose WezTerm has ended is what the session is there for, and must
//! outlast everything that happens until it is restored: the next daemon, and panes that are opened before.

use super::{SavedProcess, SavedTab, Session};
use crate::pane::wezterm::{Server, Shown, TabPlan};

/// More of them are no work of a person; those that went away first are forgotten.
pub const TABS_MAX: usize = 64;

/// Claude sessions beyond these are found in the history.
pub const CLAUDE_MAX: usize = 50;

/// A server that was asked and has answered, and when it was started.
pub type Answered = (Server, u64);

/// What a look has shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// The workspace's tabs that are open.
    pub tabs: Vec<SavedTab>,
    /// The servers that were asked, and answered.
    pub answered: Vec<Answered>,
}

/// The tabs to remember: how they were before, what was seen now, and which of them have been missed for a while already.
/// Besides, those that are missed now: a WezTerm that is just ending closes its panes one after the other, and the look
/// in between must not take that for its user's wish.
#[must_use]
pub fn merged(before: &[SavedTab], seen: &Seen, missed: &[SavedTab]) -> (Vec<SavedTab>, Vec<SavedTab>) {
    // What has stood there unchanged has taken its place already.
    let is_news = |tab: &&SavedTab| {
        let mut old = before.iter();
        !old.any(|old| is_same_place(old, tab) && shows_the_same(&old.plan, &tab.plan))
    };
    let mut back: Vec<&SavedTab> = seen.tabs.iter().filter(is_news).collect();
    let mut gone = Vec::new();
    let mut missed_now = Vec::new();
    for old in before {
        let is_open = seen.tabs.iter().any(|tab| is_same_place(tab, old));
        if is_open {
            continue;
        }
        if seen
            .answered
            .iter()
            .any(|(server, started)| *server == old.server && *started == old.server_started)
        {
            if !missed.contains(old) {
                missed_now.push(old.clone());
            }
            continue;
        }
        // Each tab that has come is at most one that has gone.
        match back.iter().position(|tab| shows_the_same(&tab.plan, &old.plan)) {
            Some(place) => drop(back.swap_remove(place)),
            None => gone.push(old.clone()),
        }
    }
    let kept = gone.into_iter().chain(missed_now.iter().cloned());
    let mut tabs: Vec<SavedTab> = kept.chain(seen.tabs.iter().cloned()).collect();
    let surplus = tabs.len().saturating_sub(TABS_MAX);
    tabs.drain(..surplus);
    (tabs, missed_now)
}

fn is_same_place(one: &SavedTab, other: &SavedTab) -> bool {
    (&one.server, one.server_started, one.tab) == (&other.server, other.server_started, other.tab)
}

/// Whether two tabs have the same panes, wherever they are in it. One shell is like another: by itself it is known by its title.
fn shows_the_same(one: &TabPlan, other: &TabPlan) -> bool {
    let has_viewer = one.panes.iter().any(|pane| pane.shown.is_viewer());
    if !has_viewer && one.title != other.title {
        return false;
    }
    let mut left: Vec<&Shown> = other.panes.iter().map(|pane| &pane.shown).collect();
    let found = one.panes.iter().all(|pane| {
        let place = left.iter().position(|shown| **shown == pane.shown);
        place.map(|place| left.swap_remove(place)).is_some()
    });
    found && left.is_empty()
}

/// Takes over what the former session of this name has and the daemon does not know: of a journal that is gone, or of a
/// workspace that was removed and created again. It stays until it is known again, or the session is forgotten.
pub fn keep_unknown(session: &mut Session, before: &Session) {
    let is_another = before.created_at_ms != session.created_at_ms;
    let is_known = |old: &SavedProcess, all: &[SavedProcess]| {
        let same = |new: &SavedProcess| {
            let argv = new.argv.as_deref();
            old.is_same(new.name.as_deref(), new.command.as_deref(), argv, &new.cwd)
        };
        all.iter().any(same)
    };
    for old in before.processes.iter().filter(|old| old.unknown || is_another) {
        if !is_known(old, &session.processes) {
            session.processes.push(SavedProcess {
                unknown: true,
                ..old.clone()
            });
        }
    }
    let of_before = before.claude.iter().filter(|old| old.unknown || is_another);
    let mut claude: Vec<_> = of_before.cloned().collect();
    claude.retain(|old| session.claude.iter().all(|new| new.session != old.session));
    claude.iter_mut().for_each(|old| old.unknown = true);
    claude.append(&mut session.claude);
    let surplus = claude.len().saturating_sub(CLAUDE_MAX);
    claude.drain(..surplus);
    session.claude = claude;
}
