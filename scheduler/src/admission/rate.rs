//! How fast tasks may be started, by `governor` with the scheduler's own time.
//!
//! `governor` asks its clock and keeps its state behind shared references. Here a limiter is put
//! together for each question, around a clock that stands still and the one number that is kept:
//! so nothing reads a real clock, and one can ask without using up a start.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::ops::Add;
use std::time::Duration;

use governor::clock::{Clock, Reference};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{NotKeyed, StateStore};
use governor::{Quota, RateLimiter};

use super::report::GateNotice;
use super::rules::{Rate, RateScope};
use crate::{Lane, Tick};

const NANOS_PER_MS: u64 = 1_000_000;

/// The longest time that a burst may stand for; `governor` does not look out for overflows.
const LONGEST_NANOS: u64 = 366 * 24 * 3_600 * 1_000 * NANOS_PER_MS;

/// Nanoseconds since the Unix epoch. Half of the range lasts until the year 2262.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Moment(u64);

impl From<Tick> for Moment {
    fn from(tick: Tick) -> Self {
        Self(tick.0.saturating_mul(NANOS_PER_MS).min(u64::MAX / 2))
    }
}

impl From<Moment> for Tick {
    /// Rounded up: it must not be too early.
    fn from(moment: Moment) -> Self {
        Self(moment.0.div_ceil(NANOS_PER_MS))
    }
}

impl Add<Nanos> for Moment {
    type Output = Self;

    fn add(self, other: Nanos) -> Self {
        Self(self.0.saturating_add(other.as_u64()))
    }
}

impl Reference for Moment {
    fn duration_since(&self, earlier: Self) -> Nanos {
        self.0.saturating_sub(earlier.0).into()
    }

    fn saturating_sub(&self, duration: Nanos) -> Self {
        Self(self.0.saturating_sub(duration.as_u64()))
    }
}

/// Shows what it was set to.
struct StandingClock(Cell<Moment>);

impl Clock for StandingClock {
    type Instant = Moment;

    fn now(&self) -> Moment {
        self.0.get()
    }
}

/// The state of a limiter during one question.
struct Kept(Cell<Option<Nanos>>);

impl StateStore for Kept {
    type Key = NotKeyed;

    fn measure_and_replace<T, F, E>(&self, _: &NotKeyed, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let (outcome, arrival) = decide(self.0.get())?;
        self.0.set(Some(arrival));
        Ok(outcome)
    }
}

/// A rate, and how far it is used up.
#[derive(Debug)]
struct CountedRate {
    rate: Rate,
    arrival: Option<Nanos>,
}

impl CountedRate {
    /// What is kept after one more start, or when that may be.
    fn after_start(&self, now: Tick) -> Result<Option<Nanos>, Tick> {
        // The limiter counts from what its clock shows when it is made.
        let clock = StandingClock(Cell::new(Moment(0)));
        let kept = Kept(Cell::new(self.arrival));
        let limiter: RateLimiter<_, _, _, NoOpMiddleware<Moment>> =
            RateLimiter::new(quota(&self.rate), kept, clock);
        limiter.clock().0.set(now.into());
        match limiter.check() {
            Ok(()) => Ok(limiter.into_state_store().0.get()),
            Err(until) => Err(until.earliest_possible().into()),
        }
    }
}

fn quota(rate: &Rate) -> Quota {
    let per_nanos = rate.per_ms.saturating_mul(NANOS_PER_MS) / u64::from(rate.starts.get());
    let interval = per_nanos.clamp(1, LONGEST_NANOS);
    let burst_most = u32::try_from(LONGEST_NANOS / interval).unwrap_or(u32::MAX);
    let burst = NonZeroU32::new(burst_most).map_or(NonZeroU32::MIN, |most| rate.burst.min(most));
    let quota = Quota::with_period(Duration::from_nanos(interval));
    quota
        .expect("the interval is at least a nanosecond")
        .allow_burst(burst)
}

/// All rates.
#[derive(Debug, Default)]
pub(crate) struct Rates {
    counted: Vec<CountedRate>,
    /// Whose rates were told to be used up.
    told: BTreeSet<String>,
}

/// A rate that is used up for now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UsedUp<'a> {
    pub(crate) rate: &'a Rate,
    pub(crate) opens_at: Tick,
}

impl Rates {
    /// Puts new rates in place of the old ones; one that stays as it was stays as far used up.
    pub(crate) fn set(&mut self, rates: Vec<Rate>) {
        let before = std::mem::take(&mut self.counted);
        let counted = rates.into_iter().map(|rate| {
            let same = before.iter().find(|counted| counted.rate == rate);
            let arrival = same.and_then(|counted| counted.arrival);
            CountedRate { rate, arrival }
        });
        self.counted = counted.collect();
    }

    /// A task of this lane starts.
    pub(crate) fn start(&mut self, lane: &Lane, now: Tick) {
        let covering = self
            .counted
            .iter_mut()
            .filter(|counted| counted.rate.scope.covers(lane));
        for counted in covering {
            if let Ok(arrival) = counted.after_start(now) {
                counted.arrival = arrival;
            }
        }
    }

    /// The rates that keep tasks of this lane from starting.
    pub(crate) fn used_up<'a>(&'a self, lane: &'a Lane, now: Tick) -> impl Iterator<Item = UsedUp<'a>> + 'a {
        let covering = self
            .counted
            .iter()
            .filter(|counted| counted.rate.scope.covers(lane));
        covering.filter_map(move |counted| {
            let opens_at = counted.after_start(now).err()?;
            let rate = &counted.rate;
            Some(UsedUp { rate, opens_at })
        })
    }

    pub(crate) fn close_lane(&self, lane: &Lane, now: Tick) -> bool {
        self.used_up(lane, now).next().is_some()
    }

    /// When the next one that is used up lets another start in.
    pub(crate) fn next_opening(&self, now: Tick) -> Option<Tick> {
        self.counted
            .iter()
            .filter_map(|counted| counted.after_start(now).err())
            .min()
    }

    /// Which rates have come to hold somebody up, or do so no more, since the last time.
    pub(crate) fn tell(&mut self, now: Tick, waits: impl Fn(&RateScope) -> bool) -> Vec<GateNotice> {
        let used_up = self.counted.iter().filter_map(|counted| {
            let opens_at = counted.after_start(now).err()?;
            let rate = &counted.rate;
            waits(&rate.scope).then(|| (scope_in_words(&rate.scope), UsedUp { rate, opens_at }))
        });
        let closed: BTreeMap<String, UsedUp<'_>> = used_up.collect();
        let opened = self.told.iter().filter(|scope| !closed.contains_key(*scope));
        let mut notices: Vec<GateNotice> = opened.map(|scope| notice(true, scope.clone())).collect();
        let fresh = closed.iter().filter(|(scope, _)| !self.told.contains(*scope));
        notices.extend(fresh.map(|(_, rate)| notice(false, rate.in_words(now))));
        self.told = closed.into_keys().collect();
        notices
    }
}

fn notice(is_open: bool, message: String) -> GateNotice {
    GateNotice {
        gate: "rate".to_owned(),
        is_open,
        // Rates hold in a dry run, too.
        dry_run: false,
        message,
    }
}

fn scope_in_words(scope: &RateScope) -> String {
    match scope {
        RateScope::Worker(worker) => format!("worker {worker}"),
        RateScope::Workspace(workspace) => super::words::workspace(workspace),
    }
}

impl UsedUp<'_> {
    pub(crate) fn in_words(&self, now: Tick) -> String {
        let Rate {
            scope,
            starts,
            per_ms,
            burst,
        } = self.rate;
        let scope = scope_in_words(scope);
        let period = super::words::duration(*per_ms);
        let wait = super::words::duration(self.opens_at.ms_since(now));
        format!(
            "{starts} starts per {period} of {scope}, {burst} at once, are used up; the next one in {wait}"
        )
    }
}
