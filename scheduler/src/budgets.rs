//! What tasks may cost, and the lanes that are closed because the money would not last.
//!
//! A task that runs has its cost set aside, since what it really took is known only at its end.
//! Budgets are not journaled: whoever keeps the books sets them again after a restart.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::{Lane, TaskKey, Tick};

/// Millionths of a US dollar in one cent.
const MICRO_DOLLARS_PER_CENT: u128 = 10_000;

/// Which lanes share a budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BudgetScope {
    /// The lanes of these worker profiles.
    Workers(BTreeSet<Arc<str>>),
    /// The lanes of these worker profiles in one workspace.
    WorkspaceWorkers(Arc<str>, BTreeSet<Arc<str>>),
}

impl BudgetScope {
    fn covers(&self, lane: &Lane) -> bool {
        match self {
            Self::Workers(workers) => workers.contains(&lane.worker),
            Self::WorkspaceWorkers(workspace, workers) => {
                lane.workspace == *workspace && workers.contains(&lane.worker)
            }
        }
    }
}

/// An amount that the lanes of a scope share. Amounts are millionths of a US dollar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Whose budget it is. All other lanes go on.
    pub scope: BudgetScope,
    /// What may be spent.
    pub limit: u64,
    /// What was spent, attempts that still run aside.
    pub spent: u64,
    /// When there will be more, for reports: nothing changes by itself then, since only the
    /// caller knows what was spent by that time.
    pub opens_at: Option<Tick>,
}

/// A budget, and what is set aside in it.
#[derive(Debug)]
pub(crate) struct CountedBudget {
    pub(crate) budget: Budget,
    /// The costs of the scope's active tasks together; wide, so that no sum overflows.
    pub(crate) set_aside: u128,
}

/// What a task asks of a budget that it does not get.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Asks {
    /// The task that the report is about, with its cost.
    Itself(u64),
    /// Another one, which comes first in the lane, with its cost.
    Next(TaskKey, u64),
    /// Whatever comes first; reports on several lanes at once must read alike.
    Whichever,
}

impl CountedBudget {
    fn is_used_up(&self) -> bool {
        u128::from(self.budget.spent) + self.set_aside >= u128::from(self.budget.limit)
    }

    /// Whether a task of this cost may not start.
    pub(crate) fn refuses(&self, cost: u64) -> bool {
        let taken = u128::from(self.budget.spent) + self.set_aside;
        self.is_used_up() || taken + u128::from(self.at_most(cost)) > u128::from(self.budget.limit)
    }

    /// A task cannot take more than there is: one that might gets all of it, when nothing else does.
    fn at_most(&self, cost: u64) -> u64 {
        cost.min(self.budget.limit)
    }

    pub(crate) fn in_words(&self, asks: Asks) -> String {
        let spent = dollars(self.budget.spent.into());
        let limit = dollars(self.budget.limit.into());
        let set_aside = dollars(self.set_aside);
        let state = format!("{spent} of {limit} are spent, {set_aside} are set aside for what runs");
        match asks {
            Asks::Itself(0) | Asks::Next(_, 0) => state,
            Asks::Itself(cost) => {
                let cost = dollars(self.at_most(cost).into());
                format!("{state}, and it may take up to {cost}")
            }
            Asks::Next(key, cost) => {
                let cost = dollars(self.at_most(cost).into());
                format!(
                    "{state}, and task {}, which is next, may take up to {cost}",
                    key.0
                )
            }
            Asks::Whichever if self.is_used_up() => state,
            Asks::Whichever => format!("{state}, and the next task may take more than what is left"),
        }
    }
}

/// The costs of the tasks that have one, and all budgets.
#[derive(Debug, Default)]
pub(crate) struct Budgets {
    costs: BTreeMap<TaskKey, u64>,
    budgets: Vec<CountedBudget>,
}

impl Budgets {
    /// What the task may cost.
    pub(crate) fn cost(&self, key: TaskKey) -> u64 {
        self.costs.get(&key).copied().unwrap_or(0)
    }

    /// Sets what the task may cost; it must not be active.
    pub(crate) fn set_cost(&mut self, key: TaskKey, cost: u64) {
        if cost == 0 {
            self.costs.remove(&key);
        } else {
            self.costs.insert(key, cost);
        }
    }

    /// Puts new budgets in place of all old ones. `active` are the tasks that run.
    pub(crate) fn set(&mut self, budgets: Vec<Budget>, active: &[(TaskKey, &Lane)]) {
        let counted = budgets.into_iter().map(|budget| {
            let set_aside = self.cost_of(active, &budget.scope);
            CountedBudget { budget, set_aside }
        });
        self.budgets = counted.collect();
    }

    fn cost_of(&self, active: &[(TaskKey, &Lane)], scope: &BudgetScope) -> u128 {
        let covered = active.iter().filter(|(_, lane)| scope.covers(lane));
        covered.map(|(key, _)| u128::from(self.cost(*key))).sum()
    }

    /// A task of this lane has taken a slot.
    pub(crate) fn activate(&mut self, key: TaskKey, lane: &Lane) {
        self.count(key, lane, |set_aside, cost| set_aside + cost);
    }

    /// A task of this lane has given its slot back.
    pub(crate) fn deactivate(&mut self, key: TaskKey, lane: &Lane) {
        self.count(key, lane, |set_aside, cost| set_aside - cost);
    }

    fn count(&mut self, key: TaskKey, lane: &Lane, change: impl Fn(u128, u128) -> u128) {
        if self.budgets.is_empty() {
            return;
        }
        let cost = u128::from(self.cost(key));
        for counted in &mut self.budgets {
            if counted.budget.scope.covers(lane) {
                counted.set_aside = change(counted.set_aside, cost);
            }
        }
    }

    /// The budgets that this lane shares.
    pub(crate) fn of<'a>(&'a self, lane: &'a Lane) -> impl Iterator<Item = &'a CountedBudget> + 'a {
        let counted = self.budgets.iter();
        counted.filter(|counted| counted.budget.scope.covers(lane))
    }

    /// Whether the first task of this lane may not start.
    pub(crate) fn close_lane(&self, lane: &Lane, head: TaskKey) -> bool {
        self.of(lane).any(|counted| counted.refuses(self.cost(head)))
    }

    /// Panics if a sum is wrong or a task with a cost is unknown, for `check_invariants`.
    pub(crate) fn check_sums(&self, active: &[(TaskKey, &Lane)], is_known: impl Fn(TaskKey) -> bool) {
        for counted in &self.budgets {
            let set_aside = self.cost_of(active, &counted.budget.scope);
            assert_eq!(counted.set_aside, set_aside, "set aside in {:?}", counted.budget);
        }
        let strays: Vec<&TaskKey> = self.costs.keys().filter(|key| !is_known(**key)).collect();
        assert!(strays.is_empty(), "costs of removed tasks: {strays:?}");
    }
}

/// Rounded up to whole cents, so that no amount is shown as nothing.
fn dollars(micro_dollars: u128) -> String {
    let cents = micro_dollars.div_ceil(MICRO_DOLLARS_PER_CENT);
    format!("${}.{:02}", cents / 100, cents % 100)
}

#[cfg(test)]
mod tests {
    use super::dollars;

    #[test]
    fn amounts_are_whole_cents_and_never_shown_as_nothing() {
        let words: Vec<String> = [0, 1, 10_000, 10_001, 4_200_000, 20_000_000]
            .into_iter()
            .map(dollars)
            .collect();
        assert_eq!(words, ["$0.00", "$0.01", "$0.01", "$0.02", "$4.20", "$20.00"]);
    }
}
