//! A fair share of the slots for each workspace, among tasks of equal priority.
//!
//! Stride scheduling by time: each workspace has a pass, which grows by the time that its tasks hold slots,
//! divided by its weight; of those whose heads have the priority that is next, the one with the smallest pass
//! goes on. How long a task will run is not known when it starts, so it is charged what tasks of its workspace
//! took lately, and the difference when it ends.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{TaskKey, Tick};

/// Parts of a millisecond that a pass counts in, so that large weights still divide.
const PARTS: u64 = 1_000;
/// What a task is charged at its start before any of its workspace has ended.
const FIRST_CHARGE_MS: u64 = 1_000;
/// Of one task's time, this part goes into what the next one is charged.
const LEARNED_OF_ONE: u64 = 8;
/// With fewer workspaces than this, those without tasks are remembered.
const KEPT_IDLE: usize = 1_024;

/// The weight of one workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// The workspace.
    pub workspace: Arc<str>,
    /// 1 and up; a workspace that is not named has 1.
    pub weight: u32,
}

/// What each workspace has had. Empty and without effect until weights are set.
#[derive(Debug, Default)]
pub(crate) struct Shares {
    weights: BTreeMap<Arc<str>, u32>,
    accounts: BTreeMap<Arc<str>, Account>,
    running: BTreeMap<TaskKey, Charge>,
    /// With so many accounts, those without tasks are forgotten.
    forget_at: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Account {
    pass: u64,
    /// Its tasks that are queued or hold a slot.
    load: usize,
    /// How long its tasks took lately.
    usual_ms: Option<u64>,
}

/// What was charged for a task that runs.
#[derive(Debug)]
struct Charge {
    workspace: Arc<str>,
    started_at: Tick,
    weight: u32,
    amount: u64,
}

impl Shares {
    /// Whether there are weights at all; if not, who came first goes first.
    pub(crate) fn are_set(&self) -> bool {
        !self.weights.is_empty()
    }

    /// New weights. `loads` says how many tasks of each workspace are queued or hold a slot.
    pub(crate) fn set(&mut self, shares: Vec<Share>, loads: impl Iterator<Item = (Arc<str>, usize)>) {
        let weights = shares
            .into_iter()
            .map(|share| (share.workspace, share.weight.max(1)));
        self.weights = weights.collect();
        if self.weights.is_empty() {
            *self = Self::default();
            return;
        }
        for account in self.accounts.values_mut() {
            account.load = 0;
        }
        for (workspace, load) in loads {
            self.accounts.entry(workspace).or_default().load += load;
        }
    }

    /// The smaller, the sooner it is this workspace's turn.
    pub(crate) fn pass(&self, workspace: &str) -> u64 {
        self.accounts.get(workspace).map_or(0, |account| account.pass)
    }

    /// A task is queued or holds a slot from now on. Who had nothing to do saved nothing up meanwhile.
    pub(crate) fn arrive(&mut self, workspace: &Arc<str>) {
        if !self.are_set() {
            return;
        }
        let is_back = self
            .accounts
            .get(workspace)
            .is_none_or(|account| account.load == 0);
        let level = if is_back { self.least_pass() } else { 0 };
        if self.accounts.len() >= self.forget_at.max(KEPT_IDLE) {
            self.accounts.retain(|_, account| account.load > 0);
            self.forget_at = self.accounts.len() * 2;
        }
        let account = self.accounts.entry(Arc::clone(workspace)).or_default();
        account.pass = account.pass.max(level);
        account.load += 1;
    }

    /// It is neither any more.
    pub(crate) fn leave(&mut self, workspace: &str) {
        if let Some(account) = self.accounts.get_mut(workspace) {
            account.load = account.load.saturating_sub(1);
        }
    }

    /// The pass of the workspace whose turn it is, of those that have something to do.
    fn least_pass(&self) -> u64 {
        let busy = self.accounts.values().filter(|account| account.load > 0);
        busy.map(|account| account.pass).min().unwrap_or(0)
    }

    /// A task starts: its workspace is charged.
    pub(crate) fn start(&mut self, now: Tick, key: TaskKey, workspace: &Arc<str>) {
        if !self.are_set() {
            return;
        }
        let weight = self.weights.get(workspace).copied().unwrap_or(1);
        let account = self.accounts.entry(Arc::clone(workspace)).or_default();
        let amount = price(account.usual_ms.unwrap_or(FIRST_CHARGE_MS), weight);
        account.pass = account.pass.saturating_add(amount);
        let charge = Charge {
            workspace: Arc::clone(workspace),
            started_at: now,
            weight,
            amount,
        };
        self.running.insert(key, charge);
    }

    /// It gives its slot back: what it has taken is known.
    pub(crate) fn end(&mut self, now: Tick, key: TaskKey) {
        let Some(charge) = self.running.remove(&key) else {
            return;
        };
        let taken_ms = now.ms_since(charge.started_at);
        if let Some(account) = self.accounts.get_mut(&charge.workspace) {
            let usual = account.usual_ms.unwrap_or(taken_ms);
            account.usual_ms = Some(usual - usual / LEARNED_OF_ONE + taken_ms / LEARNED_OF_ONE);
            let owed = account.pass.saturating_add(price(taken_ms, charge.weight));
            account.pass = owed.saturating_sub(charge.amount);
        }
    }

    /// Panics if the loads are not these, for `check_invariants`.
    pub(crate) fn check(&self, loads: impl Iterator<Item = (Arc<str>, usize)>) {
        if !self.are_set() {
            assert!(
                self.accounts.is_empty() && self.running.is_empty(),
                "shares that nobody set"
            );
            return;
        }
        let mut expected: BTreeMap<Arc<str>, usize> = BTreeMap::new();
        for (workspace, load) in loads.filter(|(_, load)| *load > 0) {
            *expected.entry(workspace).or_default() += load;
        }
        let busy = self.accounts.iter().filter(|(_, account)| account.load > 0);
        let actual = busy.map(|(workspace, account)| (Arc::clone(workspace), account.load));
        assert_eq!(
            actual.collect::<BTreeMap<_, _>>(),
            expected,
            "loads of workspaces"
        );
    }
}

/// What so much time costs a workspace of this weight.
fn price(ms: u64, weight: u32) -> u64 {
    ms.saturating_mul(PARTS) / u64::from(weight)
}
