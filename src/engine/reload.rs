//! A config that was read again, or could not be.

use wezterm_parallel_scheduler::{Input, Tick};

use super::batch::Batch;
use super::parts::{limits, shares, Reloaded};
use super::workspaces::Tables;
use super::Engine;
use crate::worker::Profiles;

impl Engine {
    /// New limits and profiles, from a config that was read again.
    pub(super) fn reload(&mut self, now: Tick, reloaded: Reloaded, batch: &mut Batch) {
        tracing::info!("the config was read again");
        let Reloaded {
            config,
            warnings,
            metrics,
        } = reloaded;
        self.info.metrics = metrics;
        self.touch();
        self.warn(warnings);
        self.profiles = Profiles::new(&config.workers);
        self.upkeep.configure(&config);
        self.tables = Tables::of(&config);
        self.config = config;
        let tables = self.tables.with(&self.store.workspaces);
        tables.into_config(&mut self.config);
        self.log_lacking_limits();
        self.tally.configure(&self.config);
        self.history.configure(&self.config, self.journal.last_lsn());
        let limits = limits(&self.config);
        self.configure_claude(now, batch);
        self.configure_admission(now, batch);
        self.feed(now, Input::SetShares(shares(&self.config)), batch);
        self.feed(now, Input::SetLimits(limits), batch);
        self.tell_of_queue(batch);
    }

    /// What came of reading the config replaces what came of it before; the journal's warnings stay.
    pub(super) fn warn(&mut self, of_config: Vec<String>) {
        self.info.warnings = self.lasting_warnings.iter().cloned().chain(of_config).collect();
    }
}
