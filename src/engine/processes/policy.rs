//! What follows when a process ends by itself. Pure: exits and times in, the next step out.

use wezterm_parallel_scheduler::Tick;

use crate::protocol::RestartPolicy;

/// The rules for one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rules {
    pub(super) restart: RestartPolicy,
    /// The most restarts in a row.
    pub(super) max_restarts: u32,
    /// The wait before the first of them; it doubles with each …
    pub(super) backoff_ms: u64,
    /// … up to this.
    pub(super) backoff_max_ms: u64,
    /// A run that lasted so long was a good one: what came before it is forgotten.
    pub(super) good_after_ms: u64,
}

/// A run that is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// How long it lasted.
    pub(super) lasted_ms: u64,
    /// It ended by itself and with success.
    pub(super) is_good: bool,
    /// Restarts in a row that led to it.
    pub(super) restarts: u32,
}

/// The next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It stays as it is, which is all right.
    Stop,
    /// It stays as it is, which is not.
    Fail,
    /// It failed too often in a row: so many restarts were made.
    GiveUp(u32),
    /// It starts again.
    Again {
        /// When.
        at: Tick,
        /// Restarts in a row, with this one.
        restarts: u32,
    },
    /// It has not begun, and is tried again, which is no restart.
    Try {
        /// When.
        at: Tick,
    },
}

/// What follows a run that never began, after so many others: the daemon ended before it, or there could be no shim. It
/// says nothing of the process, so no policy keeps it from its start.
pub(super) fn after_no_start(rules: Rules, now: Tick, before: u32) -> Next {
    Next::Try {
        at: now.plus_ms(wait_ms(rules, before)),
    }
}

/// What follows the end of this run.
pub(super) fn after(rules: Rules, now: Tick, run: Run) -> Next {
    match (rules.restart, run.is_good) {
        (RestartPolicy::Never | RestartPolicy::OnFailure, true) => return Next::Stop,
        (RestartPolicy::Never, false) => return Next::Fail,
        (RestartPolicy::OnFailure, false) | (RestartPolicy::Always, _) => {}
    }
    let before = if run.lasted_ms >= rules.good_after_ms {
        0
    } else {
        run.restarts
    };
    if before >= rules.max_restarts {
        return Next::GiveUp(before);
    }
    Next::Again {
        at: now.plus_ms(wait_ms(rules, before)),
        restarts: before + 1,
    }
}

/// The wait after so many restarts in a row.
fn wait_ms(rules: Rules, before: u32) -> u64 {
    let factor = 1_u64.checked_shl(before).unwrap_or(u64::MAX);
    rules.backoff_ms.saturating_mul(factor).min(rules.backoff_max_ms)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RULES: Rules = Rules {
        restart: RestartPolicy::OnFailure,
        max_restarts: 8,
        backoff_ms: 1_000,
        backoff_max_ms: 60_000,
        good_after_ms: 60_000,
    };

    fn run(lasted_ms: u64, is_good: bool, restarts: u32) -> Run {
        Run {
            lasted_ms,
            is_good,
            restarts,
        }
    }

    #[test]
    fn each_policy_has_its_way() {
        use RestartPolicy::{Always, Never, OnFailure};
        let next = |restart, is_good| after(Rules { restart, ..RULES }, Tick(0), run(10, is_good, 0));
        let again = Next::Again {
            at: Tick(1_000),
            restarts: 1,
        };
        assert_eq!(next(Never, true), Next::Stop);
        assert_eq!(next(Never, false), Next::Fail);
        assert_eq!(next(OnFailure, true), Next::Stop);
        assert_eq!(next(OnFailure, false), again);
        assert_eq!(next(Always, true), again);
        assert_eq!(next(Always, false), again);
    }

    #[test]
    fn waits_double_up_to_the_longest_and_then_it_is_given_up() {
        let mut now = Tick(0);
        let mut restarts = 0;
        let mut waits = Vec::new();
        while let Next::Again { at, restarts: next } = after(RULES, now, run(5, false, restarts)) {
            waits.push(at.ms_since(now) / 1_000);
            (now, restarts) = (at, next);
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(after(RULES, now, run(5, false, restarts)), Next::GiveUp(8));
    }

    #[test]
    fn a_good_run_is_a_new_beginning() {
        let next = after(RULES, Tick(0), run(60_000, false, 8));
        let first = Next::Again {
            at: Tick(1_000),
            restarts: 1,
        };
        assert_eq!(next, first);
        assert_eq!(after(RULES, Tick(0), run(59_999, false, 8)), Next::GiveUp(8));
    }

    proptest! {
        #[test]
        fn it_is_never_started_sooner_or_more_often_than_allowed(
            max_restarts in 0_u32..50,
            backoff_ms in 0_u64..100_000,
            backoff_max_ms in 0_u64..u64::MAX,
            runs in proptest::collection::vec((0_u64..200_000, any::<bool>()), 0..80),
        ) {
            let rules = Rules { restart: RestartPolicy::Always, max_restarts, backoff_ms, backoff_max_ms, ..RULES };
            let (mut now, mut restarts, mut in_a_row) = (Tick(1), 0, 0_u32);
            for (lasted_ms, is_good) in runs {
                now = now.plus_ms(lasted_ms);
                if lasted_ms >= rules.good_after_ms {
                    in_a_row = 0;
                }
                match after(rules, now, run(lasted_ms, is_good, restarts)) {
                    Next::Again { at, restarts: next } => {
                        prop_assert!(in_a_row < max_restarts);
                        in_a_row += 1;
                        prop_assert_eq!(next, in_a_row);
                        prop_assert!(at.ms_since(now) >= backoff_ms.min(backoff_max_ms));
                        prop_assert!(at.ms_since(now) <= backoff_max_ms);
                        (now, restarts) = (at, next);
                    }
                    Next::GiveUp(count) => {
                        prop_assert_eq!(count, max_restarts);
                        break;
                    }
                    Next::Stop | Next::Fail | Next::Try { .. } => prop_assert!(false, "always means always"),
                }
            }
        }
    }
}
