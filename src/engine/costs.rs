//! What Claude workers have cost: by day, workspace, worker, label and model.
//!
//! Kept apart from the tasks, since a day's sum must outlive the tasks that retention removes. Days
//! are by local time, as people think of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{Timestamp, ToSpan, Unit, Zoned};
use wezterm_parallel_scheduler::{Budget, BudgetScope, Tick};

use super::accounts::Accounts;
use crate::claude::Tokens;
use crate::config::BudgetConfig;
use crate::journal::Spent;

/// Older days are forgotten.
const DAYS_KEPT: i64 = 400;
/// More different rows of one day than this are put together under no label.
const ROWS_OF_A_DAY: usize = 1000;

/// What is added up.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RowKey {
    /// The day.
    pub day: Box<str>,
    /// The workspace; empty for none.
    pub workspace: Arc<str>,
    /// The worker profile.
    pub worker: Arc<str>,
    /// The label; empty for none.
    pub label: Arc<str>,
    /// The model.
    pub model: Box<str>,
}

/// The sum of one row.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Row {
    /// How many attempts.
    pub attempts: u64,
    /// Their tokens, and what these cost.
    pub tokens: Tokens,
}

/// All costs.
#[derive(Debug, Default)]
pub(super) struct Costs {
    rows: BTreeMap<RowKey, Row>,
}

impl Costs {
    /// Adds what was journaled.
    pub(super) fn add(&mut self, spent: Spent) {
        let mut key = RowKey {
            day: spent.day,
            workspace: spent.workspace,
            worker: spent.worker,
            label: spent.label,
            model: spent.model,
        };
        if !self.rows.contains_key(&key) && self.rows_of(&key.day) >= ROWS_OF_A_DAY {
            key.label = "".into();
        }
        let row = self.rows.entry(key).or_default();
        row.attempts += spent.attempts;
        row.tokens.input += spent.tokens.input;
        row.tokens.output += spent.tokens.output;
        row.tokens.cache_read += spent.tokens.cache_read;
        row.tokens.cache_write += spent.tokens.cache_write;
        row.tokens.cost_usd += spent.tokens.cost_usd;
    }

    fn rows_of(&self, day: &str) -> usize {
        self.from(day).take_while(|(key, _)| *key.day == *day).count()
    }

    /// The rows from this day on.
    pub(super) fn from<'a>(&'a self, day: &str) -> impl Iterator<Item = (&'a RowKey, &'a Row)> {
        let first = RowKey {
            day: day.into(),
            workspace: "".into(),
            worker: "".into(),
            label: "".into(),
            model: "".into(),
        };
        self.rows.range(first..)
    }

    /// What one day has cost, in all or in one workspace, in US dollars.
    pub(super) fn of_day(&self, day: &str, workspace: Option<&str>) -> f64 {
        let of_day = self.from(day).take_while(|(key, _)| *key.day == *day);
        let wanted = of_day.filter(|(key, _)| workspace.is_none_or(|name| *key.workspace == *name));
        // Not `sum`, which makes -0 of nothing.
        wanted.fold(0.0, |sum, (_, row)| sum + row.tokens.cost_usd)
    }

    /// Forgets days that are too old, and gives what is left for a snapshot.
    pub(super) fn snapshot(&mut self, now: Tick) -> Vec<Spent> {
        let oldest = zoned(now).date().checked_sub(DAYS_KEPT.days());
        if let Ok(oldest) = oldest {
            let oldest = oldest.to_string();
            self.rows.retain(|key, _| *key.day >= *oldest);
        }
        let spent = |(key, row): (&RowKey, &Row)| Spent {
            day: key.day.clone(),
            workspace: Arc::clone(&key.workspace),
            worker: Arc::clone(&key.worker),
            label: Arc::clone(&key.label),
            model: key.model.clone(),
            attempts: row.attempts,
            tokens: row.tokens,
        };
        self.rows.iter().map(spent).collect()
    }

    /// The budgets of today as the scheduler takes them.
    pub(super) fn budgets(&self, now: Tick, config: &BudgetConfig, accounts: &Accounts) -> Vec<Budget> {
        let today = day_of(now);
        let opens_at = Some(next_day(now));
        let workers = accounts.workers();
        let day = config.day_usd.map(|limit| Budget {
            scope: BudgetScope::Workers(workers.clone()),
            limit: micros(limit),
            spent: micros(self.of_day(&today, None)),
            opens_at,
        });
        let workspaces = config.workspaces.iter().map(|(name, limit)| Budget {
            scope: BudgetScope::WorkspaceWorkers(name.as_str().into(), workers.clone()),
            limit: micros(*limit),
            spent: micros(self.of_day(&today, Some(name))),
            opens_at,
        });
        day.into_iter().chain(workspaces).collect()
    }
}

/// Millionths of a dollar; a sum never looks smaller than it is.
pub(super) fn micros(dollars: f64) -> u64 {
    let micros = (dollars.max(0.0) * 1e6).ceil();
    // Saturates, and a NaN is 0.
    micros as u64
}

/// The local day of a moment: `2026-01-31`.
pub(super) fn day_of(moment: Tick) -> String {
    zoned(moment).date().to_string()
}

/// When the next local day begins.
pub(super) fn next_day(moment: Tick) -> Tick {
    let now = zoned(moment);
    let tomorrow = now
        .round(
            jiff::ZonedRound::new()
                .smallest(Unit::Day)
                .mode(jiff::RoundMode::Trunc),
        )
        .and_then(|today| today.checked_add(1.day()));
    let ms = tomorrow.map(|tomorrow| tomorrow.timestamp().as_millisecond());
    let ms = ms.ok().and_then(|ms| u64::try_from(ms).ok());
    ms.map_or(moment.plus_ms(86_400_000), Tick)
}

fn zoned(moment: Tick) -> Zoned {
    let ms = i64::try_from(moment.0).unwrap_or(i64::MAX);
    let timestamp = Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX);
    timestamp.to_zoned(jiff::tz::TimeZone::system())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Tick = Tick(1_800_000_000_000);

    fn spent(day: &str, workspace: &str, label: &str, cost_usd: f64) -> Spent {
        Spent {
            day: day.into(),
            workspace: workspace.into(),
            worker: "claude".into(),
            label: label.into(),
            model: "m".into(),
            attempts: 1,
            tokens: Tokens {
                input: 10,
                output: 1,
                cost_usd,
                ..Tokens::default()
            },
        }
    }

    #[test]
    fn equal_rows_add_up_and_days_stay_apart() {
        let mut costs = Costs::default();
        let today = day_of(NOON);
        for spent in [
            spent("2020-01-01", "api", "x", 4.0),
            spent(&today, "api", "x", 0.5),
            spent(&today, "api", "x", 0.25),
            spent(&today, "", "", 1.0),
        ] {
            costs.add(spent);
        }
        assert_eq!(costs.of_day(&today, None), 1.75);
        assert_eq!(costs.of_day(&today, Some("api")), 0.75);
        assert_eq!(costs.from(&today).count(), 2);
        let (_, row) = costs.from(&today).last().unwrap();
        assert_eq!((row.attempts, row.tokens.input), (2, 20));
    }

    #[test]
    fn a_snapshot_brings_back_the_same_and_forgets_old_days() {
        let mut costs = Costs::default();
        costs.add(spent("2001-02-03", "", "", 9.0));
        costs.add(spent(&day_of(NOON), "", "a", 1.0));
        let mut copy = Costs::default();
        costs.snapshot(NOON).into_iter().for_each(|spent| copy.add(spent));
        assert_eq!(copy.rows, costs.rows);
        assert_eq!(copy.rows.len(), 1);
    }

    #[test]
    fn labels_without_end_do_not_fill_the_memory() {
        let mut costs = Costs::default();
        for number in 0..ROWS_OF_A_DAY + 50 {
            costs.add(spent("2026-01-01", "", &format!("label-{number}"), 1.0));
        }
        assert_eq!(costs.rows.len(), ROWS_OF_A_DAY + 1);
        assert_eq!(costs.of_day("2026-01-01", None), (ROWS_OF_A_DAY + 50) as f64);
    }

    #[test]
    fn the_next_day_begins_within_25_hours() {
        let ms = next_day(NOON).ms_since(NOON);
        assert!(ms > 0 && ms <= 25 * 3_600_000, "{ms}");
        assert_ne!(day_of(next_day(NOON)), day_of(NOON));
    }

    #[test]
    fn money_is_never_rounded_down() {
        assert_eq!(micros(0.000_000_1), 1);
        assert_eq!(micros(2.5), 2_500_000);
        assert_eq!(micros(-1.0), 0);
        assert_eq!(micros(f64::NAN), 0);
    }
}
