//! How the history is: for `doctor`, and in figures.

use wezterm_parallel_scheduler::Tick;

use super::Engine;
use crate::metrics::catalog;
use crate::protocol::{DaemonInfo, HistoryInfo};

impl Engine {
    /// Who the daemon is, with how the history stands.
    pub(super) fn who_we_are(&self) -> DaemonInfo {
        let history = self.history.writer.as_ref().map(|writer| {
            let trouble = writer.health().trouble();
            HistoryInfo {
                file: self.history.file.display().to_string(),
                behind: self.history.behind(),
                error: trouble.error,
                moved: trouble
                    .moved
                    .iter()
                    .map(|path| path.display().to_string())
                    .collect(),
            }
        });
        let warnings = self.info.warnings.iter().chain(&self.remembering.trouble);
        DaemonInfo {
            history,
            warnings: warnings.cloned().collect(),
            ..self.info.clone()
        }
    }

    pub(super) fn publish_history(&mut self, now: Tick) {
        let history = &self.history;
        let ledger = &mut self.tally.ledger;
        let is_on = history.writer.is_some();
        ledger.set(catalog::HISTORY_ON, [], f64::from(u8::from(is_on)));
        let Some(writer) = &history.writer else {
            for gauge in [
                catalog::HISTORY_BEHIND,
                catalog::HISTORY_LAG,
                catalog::HISTORY_FAILING,
            ] {
                ledger.set(gauge, [], 0.0);
            }
            return;
        };
        let health = writer.health();
        let (errors, written) = history.before;
        ledger.reach(catalog::HISTORY_ERRORS, [], errors + health.errors());
        ledger.reach(catalog::HISTORY_WRITTEN, [], written + health.written());
        ledger.reach(catalog::HISTORY_MISSED, [], history.missed);
        ledger.set(catalog::HISTORY_BEHIND, [], history.behind() as f64);
        let lag_ms = history.behind_since().map_or(0, |since| now.ms_since(since));
        ledger.set(catalog::HISTORY_LAG, [], lag_ms as f64 / 1e3);
        let is_failing = f64::from(u8::from(health.is_failing()));
        ledger.set(catalog::HISTORY_FAILING, [], is_failing);
    }
}
