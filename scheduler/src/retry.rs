//! Whether a failed attempt is tried again, and when.

use crate::entry::Entry;
use crate::{Backoff, Reason, State, TaskKey, Tick};

/// When the task of an attempt that just ended may start again; `None` if it is over for good.
pub(crate) fn retry_at(
    now: Tick,
    key: TaskKey,
    entry: &Entry,
    (state, reason): (State, Reason),
    jitter_seed: u64,
) -> Option<Tick> {
    let wanted = !entry.stopping && entry.retries < entry.max_retries;
    if !wanted || !is_retried(state, reason) {
        return None;
    }
    let wait_ms = backoff_ms(entry.backoff(), entry.retries);
    let jitter_ms = jitter_ms(wait_ms, jitter_seed, key, entry.attempts);
    Some(now.plus_ms(wait_ms.saturating_add(jitter_ms)))
}

/// Whether another attempt could fare better: where the cause lay outside of the task, or may be
/// chance. A command that cannot be started will not, nor will the same prompt that was denied,
/// refused, too long or too dear.
fn is_retried(state: State, reason: Reason) -> bool {
    let failed = matches!(state, State::Failed | State::Lost);
    failed
        && match reason {
            Reason::ExitCode
            | Reason::Signal
            | Reason::Timeout
            | Reason::Lost
            | Reason::Limited
            | Reason::Overloaded
            | Reason::ApiError
            | Reason::Unreachable
            | Reason::Truncated
            | Reason::Interrupted
            | Reason::Crashed
            | Reason::Stalled
            // More memory is reserved for the next attempt.
            | Reason::Oom => true,
            Reason::Ok
            | Reason::SpawnError
            | Reason::Cancelled
            | Reason::Dependency(_)
            | Reason::QueueTime
            | Reason::NotStarted
            | Reason::Denied
            | Reason::Auth
            | Reason::PromptTooLong
            | Reason::Budget
            | Reason::MaxTurns
            | Reason::Refusal
            | Reason::NoOp
            | Reason::NoSession
            | Reason::Memory => false,
        }
}

/// The wait before the next retry, when `retries` have been used up: it doubles with each one.
fn backoff_ms(backoff: Backoff, retries: u32) -> u64 {
    let factor = 1_u64.checked_shl(retries).unwrap_or(u64::MAX);
    backoff.base_ms.saturating_mul(factor).min(backoff.max_ms)
}

/// 0 to 25 % on top, so that tasks that failed together do not come back together. The same
/// attempt always gets the same jitter.
fn jitter_ms(wait_ms: u64, seed: u64, key: TaskKey, attempt: u32) -> u64 {
    let widest_ms = wait_ms / 4;
    let random = mix(mix(mix(seed) ^ key.0) ^ u64::from(attempt));
    match widest_ms.checked_add(1) {
        Some(choices) => random % choices,
        None => random,
    }
}

/// The finalizer of SplitMix64 (Steele, Lea, Flood 2014).
fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff {
        max_retries: 3,
        base_ms: 1_000,
        max_ms: 60_000,
    };

    #[test]
    fn the_wait_doubles_up_to_its_limit() {
        let waits: Vec<u64> = (0..8).map(|retries| backoff_ms(BACKOFF, retries)).collect();
        assert_eq!(
            waits,
            [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]
        );
        assert_eq!(backoff_ms(BACKOFF, u32::MAX), 60_000);
    }

    #[test]
    fn jitter_is_repeatable_and_stays_within_a_quarter() {
        let jitters: Vec<u64> = (1..200)
            .map(|attempt| jitter_ms(1_000, 7, TaskKey(3), attempt))
            .collect();
        assert!(jitters.iter().all(|ms| *ms <= 250));
        assert!(jitters.iter().any(|ms| *ms < 50) && jitters.iter().any(|ms| *ms > 200));
        let again: Vec<u64> = (1..200)
            .map(|attempt| jitter_ms(1_000, 7, TaskKey(3), attempt))
            .collect();
        assert_eq!(jitters, again);
        assert_eq!(jitter_ms(3, 7, TaskKey(3), 1), 0);
    }

    #[test]
    fn jitter_differs_between_tasks_and_seeds() {
        let of = |seed, key| -> Vec<u64> {
            (1..20)
                .map(|attempt| jitter_ms(1_000_000, seed, TaskKey(key), attempt))
                .collect()
        };
        assert_ne!(of(1, 1), of(1, 2));
        assert_ne!(of(1, 1), of(2, 1));
    }

    #[test]
    fn only_what_may_go_away_is_tried_again() {
        let transient = [
            Reason::Limited,
            Reason::Overloaded,
            Reason::ApiError,
            Reason::Unreachable,
            Reason::Truncated,
            Reason::Interrupted,
            Reason::Crashed,
            Reason::Stalled,
            Reason::Oom,
        ];
        let lasting = [
            Reason::Denied,
            Reason::Auth,
            Reason::PromptTooLong,
            Reason::Budget,
            Reason::MaxTurns,
            Reason::Refusal,
            Reason::NoOp,
            Reason::NoSession,
            Reason::Memory,
        ];
        for reason in transient {
            assert!(is_retried(State::Failed, reason), "{reason:?}");
            assert!(!is_retried(State::Cancelled, reason), "{reason:?}");
        }
        for reason in lasting {
            assert!(!is_retried(State::Failed, reason), "{reason:?}");
        }
    }
}
