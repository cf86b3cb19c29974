//! What Claude workers may still spend: budgets of a task, a workspace and a day.

use std::sync::Arc;

use wezterm_parallel_scheduler::{Input, Task, TaskKey, Tick};

use super::batch::Batch;
use super::costs::{self, Row, RowKey};
use super::store::Entry;
use super::Engine;
use crate::claude::Conclusion;
use crate::config::BudgetConfig;
use crate::journal::{Record, Spent};
use crate::protocol::{BudgetView, ClaudeOptions, CostAnswer, CostQuery, CostRow};

/// Less than this is nothing: sums of dollars are not exact.
const SMALLEST: f64 = 0.000_000_5;

impl Engine {
    /// What the attempt may cost, in US dollars: what the task, the profile and the budgets leave.
    pub(super) fn budget_of(&self, key: TaskKey) -> Option<f64> {
        let task = self.scheduler.task(key)?;
        let entry = self.store.get(key)?;
        let lane = &task.submission.lane;
        let options = self
            .profiles
            .claude_options(&lane.worker, entry.spec.claude.as_deref())?;
        let own = own_limit(&options, &self.config.budget).map(|limit| limit - spent(entry));
        let left = own.into_iter().chain(self.left_today(key, &lane.workspace));
        // The CLI takes no 0; what is used up ends after the first answer.
        left.min_by(f64::total_cmp).map(|left| left.max(0.000_001))
    }

    /// What the budgets of the day and of the workspace leave to a task, in US dollars: what is set
    /// aside for others that run is not there.
    fn left_today(&self, key: TaskKey, workspace: &str) -> impl Iterator<Item = f64> {
        let today = costs::day_of(self.clock.now());
        let budget = &self.config.budget;
        let left = |limit: f64, scope: Option<&str>| {
            limit - self.store.costs.of_day(&today, scope) - self.reserved(scope, Some(key))
        };
        let day = budget.day_usd.map(|limit| left(limit, None));
        let own = budget.workspaces.get(workspace);
        let own = own.map(|limit| left(*limit, Some(workspace)));
        day.into_iter().chain(own)
    }

    /// Whether a budget of today was what ended the attempt, rather than the task's own.
    pub(super) fn is_spent_today(&self, key: TaskKey) -> bool {
        let Some(task) = self.scheduler.task(key) else {
            return false;
        };
        let Some(entry) = self.store.get(key) else {
            return false;
        };
        let lane = &task.submission.lane;
        let options = self
            .profiles
            .claude_options(&lane.worker, entry.spec.claude.as_deref());
        let own = options.and_then(|options| own_limit(&options, &self.config.budget));
        let own_is_left = own.is_none_or(|limit| spent(entry) < limit);
        own_is_left && self.left_today(key, &lane.workspace).any(|left| left < SMALLEST)
    }

    /// Puts the budgets into force as they stand today.
    pub(super) fn set_budgets(&mut self, now: Tick, batch: &mut Batch) {
        let budgets = self.store.costs.budgets(now, &self.config.budget, &self.accounts);
        self.next_day = (!budgets.is_empty()).then(|| costs::next_day(now));
        self.feed(now, Input::SetBudgets(budgets), batch);
    }

    /// Books what an attempt has cost, and lets the budgets know: the next start is decided with that.
    /// The records are for the journal, after that of the end.
    #[must_use]
    pub(super) fn spend(
        &mut self,
        now: Tick,
        task: &Task,
        conclusion: &Conclusion,
        batch: &mut Batch,
    ) -> Vec<Record> {
        if conclusion.tokens.is_empty() {
            return Vec::new();
        }
        let label = self.store.get(task.submission.key);
        let label = label.and_then(|entry| entry.spec.label.clone());
        let mut records = Vec::new();
        for (model, tokens) in &conclusion.tokens {
            let spent = Spent {
                day: costs::day_of(now).into(),
                workspace: Arc::clone(&task.submission.lane.workspace),
                worker: Arc::clone(&task.submission.lane.worker),
                label: label.clone().unwrap_or_default(),
                model: model.as_str().into(),
                attempts: 1,
                tokens: *tokens,
            };
            self.store.costs.add(spent.clone());
            records.push(Record::Spent(Box::new(spent)));
        }
        self.set_budgets(now, batch);
        records
    }

    /// What Claude workers have cost, for a client.
    pub(super) fn costs(&self, now: Tick, query: &CostQuery) -> CostAnswer {
        let since = query
            .since_ms
            .map(|ms| costs::day_of(Tick(ms)))
            .unwrap_or_default();
        let row = |(key, row): (&RowKey, &Row)| CostRow {
            day: key.day.to_string(),
            workspace: key.workspace.to_string(),
            worker: key.worker.to_string(),
            label: key.label.to_string(),
            model: key.model.to_string(),
            attempts: row.attempts,
            tokens: row.tokens,
        };
        CostAnswer {
            rows: self.store.costs.from(&since).map(row).collect(),
            budgets: self.budget_views(now),
        }
    }

    pub(super) fn budget_views(&self, now: Tick) -> Vec<BudgetView> {
        let today = costs::day_of(now);
        let config = &self.config.budget;
        let all = config.day_usd.map(|limit| (None, limit));
        let own = config
            .workspaces
            .iter()
            .map(|(name, limit)| (Some(name.as_str()), *limit));
        let view = |(workspace, limit_usd): (Option<&str>, f64)| BudgetView {
            workspace: workspace.unwrap_or_default().to_owned(),
            limit_usd,
            spent_usd: self.store.costs.of_day(&today, workspace),
            reserved_usd: self.reserved(workspace, None),
        };
        all.into_iter().chain(own).map(view).collect()
    }

    /// Set aside for what runs, but for one task, in US dollars.
    fn reserved(&self, workspace: Option<&str>, but: Option<TaskKey>) -> f64 {
        let active = self
            .scheduler
            .active()
            .filter(|task| Some(task.submission.key) != but);
        let wanted =
            active.filter(|task| workspace.is_none_or(|name| *task.submission.lane.workspace == *name));
        let costs = wanted.map(|task| task.submission.cost as f64 / 1e6);
        costs.fold(0.0, |sum, cost| sum + cost)
    }
}

/// What a task may cost by its own options, its profile's and the budget of a task, in US dollars.
pub(super) fn own_limit(options: &ClaudeOptions, budget: &BudgetConfig) -> Option<f64> {
    let limits = options.max_budget_usd.into_iter().chain(budget.task_usd);
    limits.min_by(f64::total_cmp)
}

/// What a task has cost so far, in US dollars.
fn spent(entry: &Entry) -> f64 {
    let attempts = entry.attempts.iter();
    let costs = attempts.filter_map(|attempt| attempt.claude.as_ref()?.cost_usd);
    costs.fold(0.0, |sum, cost| sum + cost)
}
