//! What Claude workers may still spend: budgets of a task, a workspace and a day.

use std::sync::Arc;

use wezterm_parallel_scheduler::{Input, Task, TaskKey, Tick};

use super::batch::Batch;
use super::costs::{self, Row, RowKey};
use super::Engine;
use crate::claude::Conclusion;
use crate::executor::AttemptId;
use crate::journal::{AttemptImage, Record, Spent};
use crate::protocol::{BudgetView, CostAnswer, CostQuery, CostRow};

impl Engine {
    /// What the attempt may cost, in US dollars: what the task, the profile and the budgets leave.
    pub(super) fn budget_of(&self, key: TaskKey) -> Option<f64> {
        let task = self.scheduler.task(key)?;
        let entry = self.store.get(key)?;
        let worker = &task.submission.lane.worker;
        let options = self
            .profiles
            .claude_options(worker, entry.spec.claude.as_deref())?;
        let spent: f64 = entry.attempts.iter().filter_map(cost_of).sum();
        let own = options
            .max_budget_usd
            .into_iter()
            .chain(self.config.budget.task_usd);
        let own = own.map(|limit| limit - spent);
        let left = own.chain(self.left_today(&task.submission.lane.workspace));
        // The CLI takes no 0; what is used up ends after the first answer.
        left.min_by(f64::total_cmp).map(|left| left.max(0.000_001))
    }

    /// What the budgets of the day and of the workspace leave, in US dollars.
    fn left_today(&self, workspace: &str) -> impl Iterator<Item = f64> {
        let today = costs::day_of(self.clock.now());
        let budget = &self.config.budget;
        let day = budget
            .day_usd
            .map(|limit| limit - self.store.costs.of_day(&today, None));
        let own = budget.workspaces.get(workspace);
        let own = own.map(|limit| limit - self.store.costs.of_day(&today, Some(workspace)));
        day.into_iter().chain(own)
    }

    /// Puts the budgets into force as they stand today.
    pub(super) fn set_budgets(&mut self, now: Tick, batch: &mut Batch) {
        let budgets = self.store.costs.budgets(now, &self.config.budget, &self.accounts);
        self.next_day = (!budgets.is_empty()).then(|| costs::next_day(now));
        self.feed(now, Input::SetBudgets(budgets), batch);
    }

    /// Whether it was the day's budget that ended the attempt, not the task's own.
    pub(super) fn is_budget_of_today(&self, id: AttemptId) -> bool {
        let Some(task) = self.scheduler.task(id.key) else {
            return false;
        };
        let Some(entry) = self.store.get(id.key) else {
            return false;
        };
        let worker = &task.submission.lane.worker;
        let options = self.profiles.claude_options(worker, entry.spec.claude.as_deref());
        let own = options.and_then(|options| options.max_budget_usd).into_iter();
        let own = own.chain(self.config.budget.task_usd).min_by(f64::total_cmp);
        let spent: f64 = entry.attempts.iter().filter_map(cost_of).sum();
        own.is_none_or(|limit| spent < limit)
    }

    /// Books what an attempt has cost, and lets the budgets know.
    pub(super) fn spend(&mut self, now: Tick, task: &Task, conclusion: &Conclusion, batch: &mut Batch) {
        if conclusion.tokens.is_empty() {
            return;
        }
        let label = self
            .store
            .get(task.submission.key)
            .and_then(|entry| entry.spec.label.clone());
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
            batch.records.push(Record::Spent(Box::new(spent)));
        }
        self.set_budgets(now, batch);
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

    fn budget_views(&self, now: Tick) -> Vec<BudgetView> {
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
            reserved_usd: self.reserved(workspace),
        };
        all.into_iter().chain(own).map(view).collect()
    }

    /// Set aside for what runs, in US dollars.
    fn reserved(&self, workspace: Option<&str>) -> f64 {
        let active = self.scheduler.active();
        let wanted =
            active.filter(|task| workspace.is_none_or(|name| *task.submission.lane.workspace == *name));
        wanted.map(|task| task.submission.cost as f64 / 1e6).sum()
    }
}

fn cost_of(attempt: &AttemptImage) -> Option<f64> {
    attempt.claude.as_ref()?.cost_usd
}
