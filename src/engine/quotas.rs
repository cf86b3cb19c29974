//! How far the usage limits of Claude accounts are used up, as their runs tell.
//!
//! For people and metrics only: what a limit closes is up to [`accounts`](super::accounts). A new daemon knows nothing until
//! the first run tells it.

use std::collections::BTreeMap;

use wezterm_parallel_scheduler::{TaskKey, Tick};

use super::Engine;
use crate::claude::{LimitStatus, RateLimit};
use crate::protocol::QuotaView;

/// There are two or three for each account; more would be a CLI that has gone mad.
const QUOTAS_MAX: usize = 100;

/// By account and window.
#[derive(Debug, Default)]
pub(super) struct Quotas(BTreeMap<(String, String), Told>);

/// What a run told.
#[derive(Clone, Copy, Debug)]
struct Told {
    used: f64,
    resets_at_s: Option<u64>,
}

/// Where one limit stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Level<'a> {
    pub(super) account: &'a str,
    /// The CLI's word for what it limits.
    pub(super) window: &'a str,
    /// The part that is used, 1 for all of it.
    pub(super) used: f64,
    /// The reset that was told, in seconds since the Unix epoch.
    pub(super) resets_at_s: Option<u64>,
    /// That reset is over, and nobody has told of the limit since.
    pub(super) is_over: bool,
}

impl Quotas {
    /// A run has said how far the limit is used up.
    fn hear(&mut self, account: &str, limit: &RateLimit) {
        let all = (limit.status == LimitStatus::Rejected).then_some(1.0);
        let Some(used) = limit.utilization.or(all) else {
            return;
        };
        let window = limit.kind.as_deref().unwrap_or("unknown");
        let key = (account.to_owned(), window.to_owned());
        let told = Told {
            used,
            resets_at_s: limit.resets_at_s,
        };
        if self.0.len() < QUOTAS_MAX || self.0.contains_key(&key) {
            self.0.insert(key, told);
        }
    }

    /// All limits that were told of.
    pub(super) fn levels(&self, now: Tick) -> impl Iterator<Item = Level<'_>> {
        self.0.iter().map(move |((account, window), told)| {
            let reset = told.resets_at_s.map(|at| at.saturating_mul(1_000));
            let is_over = reset.is_some_and(|at| at <= now.0);
            Level {
                account,
                window,
                // After its reset a limit begins at 0.
                used: if is_over { 0.0 } else { told.used },
                resets_at_s: told.resets_at_s,
                is_over,
            }
        })
    }

    /// The same for people, the fullest first.
    pub(super) fn views(&self, now: Tick) -> Vec<QuotaView> {
        let mut views: Vec<QuotaView> = self
            .levels(now)
            .map(|level| QuotaView {
                account: level.account.to_owned(),
                window: level.window.to_owned(),
                used_share: level.used,
                resets_at_ms: level
                    .resets_at_s
                    .filter(|_| !level.is_over)
                    .map(|at| at.saturating_mul(1_000)),
            })
            .collect();
        views.sort_by(|a, b| b.used_share.total_cmp(&a.used_share));
        views
    }
}

impl Engine {
    /// A run says where a usage limit stands.
    pub(super) fn note_quota(&mut self, key: TaskKey, limit: &RateLimit) {
        let lane = self.scheduler.lane(key);
        if let Some(account) = lane.and_then(|lane| self.accounts.of(&lane.worker)) {
            self.tally.quotas.hear(account, limit);
            self.tally.touch();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(kind: &str, status: LimitStatus, used: Option<f64>, resets_at_s: Option<u64>) -> RateLimit {
        RateLimit {
            status,
            resets_at_s,
            kind: Some(kind.into()),
            utilization: used,
        }
    }

    #[test]
    fn the_newest_word_counts_until_the_reset() {
        let mut quotas = Quotas::default();
        let warned = |used| limit("five_hour", LimitStatus::Warning, Some(used), Some(100));
        quotas.hear("work", &warned(0.8));
        quotas.hear("work", &warned(0.9));
        quotas.hear("work", &limit("seven_day", LimitStatus::Rejected, None, None));
        // It is allowed, and nobody says how much of it is used.
        quotas.hear("home", &limit("five_hour", LimitStatus::Allowed, None, Some(100)));
        let shown = |now| -> Vec<(String, f64, Option<u64>)> {
            let views = quotas.views(now).into_iter();
            views
                .map(|view| (view.window, view.used_share, view.resets_at_ms))
                .collect()
        };
        let full = ("seven_day".to_owned(), 1.0, None);
        let before = [full.clone(), ("five_hour".to_owned(), 0.9, Some(100_000))];
        assert_eq!(shown(Tick(99_999)), before);
        assert_eq!(shown(Tick(100_000)), [full, ("five_hour".to_owned(), 0.0, None)]);
    }

    #[test]
    fn what_is_endless_is_cut_off() {
        let mut quotas = Quotas::default();
        for number in 0..1_000 {
            let kind = number.to_string();
            quotas.hear("work", &limit(&kind, LimitStatus::Warning, Some(0.5), None));
        }
        assert_eq!(quotas.levels(Tick(0)).count(), QUOTAS_MAX);
    }
}
