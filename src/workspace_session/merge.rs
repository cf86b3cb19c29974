//! Which tabs a session remembers after a look at WezTerm: those that are there, and those that went away with their
//! WezTerm and have not come back. Pure.
//!
//! A tab that its user has closed is forgotten. One whose WezTerm has ended is what the session is there for, and must
//! outlast everything that happens until it is restored: the next daemon, and panes that are opened before.

use super::SavedTab;
use crate::pane::wezterm::{Server, Shown, TabPlan};

/// More of them are no work of a person; those that went away first are forgotten.
pub const TABS_MAX: usize = 64;

/// What a look has shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// The workspace's tabs that are open.
    pub tabs: Vec<SavedTab>,
    /// The servers that were asked, and answered.
    pub answered: Vec<Server>,
}

/// The tabs to remember: how they were before, what was seen now, and which of them were missed the last time already.
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
        if seen.answered.contains(&old.server) {
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
    one.server == other.server && one.tab == other.tab
}

/// Whether two tabs have the same panes, wherever they are in it.
fn shows_the_same(one: &TabPlan, other: &TabPlan) -> bool {
    let mut left: Vec<&Shown> = other.panes.iter().map(|pane| &pane.shown).collect();
    let found = one.panes.iter().all(|pane| {
        let place = left.iter().position(|shown| **shown == pane.shown);
        place.map(|place| left.swap_remove(place)).is_some()
    });
    found && left.is_empty()
}
