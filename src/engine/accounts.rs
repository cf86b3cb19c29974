//! The usage limits of Claude accounts: when they close, how they open again, and failed logins.
//!
//! A limit that was reached closes the account's gate until its reset. Then one task runs at first;
//! each time the service has answered one, and the step has lasted long enough, twice as many may:
//! all at once would only be throttled again. As a limit comes near, fewer run at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use wezterm_parallel_scheduler::{Gate, GateScope, Input, Tick};

use crate::claude::{LimitStatus, RateLimit};
use crate::config::{Config, Quota, WorkerKind};
use crate::journal::AccountImage;

/// The name of the gate that a usage limit closes.
const QUOTA: &str = "quota";
/// The name of the gate that a failed login closes.
const AUTH: &str = "auth";
/// No limit lasts longer than a week: a reset beyond this is no moment that anyone meant.
const RESET_AT_MOST_MS: u64 = 8 * 24 * 60 * 60 * 1000;
/// A limit that was over for so long when the daemon came back needs no careful beginning any more.
const RAMP_FORGOTTEN_MS: u64 = 10 * 60 * 1000;
/// A limit without a reset time is tried again after this.
const UNKNOWN_RESET_MS: u64 = 15 * 60 * 1000;
/// More at once than this are as good as any number.
const RAMP_MOST: u32 = 1 << 16;

/// All accounts that profiles name.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    quota: Quota,
    slots: u32,
    by_name: BTreeMap<String, Account>,
    /// The account of each Claude profile.
    of_worker: BTreeMap<String, String>,
}

/// One account.
#[derive(Debug, Default)]
struct Account {
    workers: BTreeSet<Arc<str>>,
    limit: Option<Limited>,
    ramp: Option<Ramp>,
    taper: Option<Taper>,
    held: Option<String>,
}

/// A limit that was reached.
#[derive(Clone, Debug)]
struct Limited {
    until: Tick,
    why: String,
}

/// The careful beginning after a reset.
#[derive(Clone, Copy, Debug)]
struct Ramp {
    /// When the first step began.
    begin: Tick,
    at_most: u32,
    /// When this step began.
    since: Tick,
    /// The service has answered in this step.
    proven: bool,
}

/// Fewer at once, since the limit is near.
#[derive(Clone, Debug)]
struct Taper {
    at_most: u32,
    until: Option<Tick>,
    why: String,
}

impl Accounts {
    /// Takes accounts and profiles from a config. What is known of an account stays, but for a
    /// failed login: whoever changed the config may have mended it.
    pub(super) fn configure(&mut self, now: Tick, config: &Config) {
        self.quota = config.quota.clone();
        self.slots = config.pool.slots.count();
        self.of_worker.clear();
        for account in self.by_name.values_mut() {
            account.workers.clear();
            account.held = None;
            let limit = account.limit.as_ref();
            if limit.is_some_and(|limit| now.ms_since(limit.until) > RAMP_FORGOTTEN_MS) {
                (account.limit, account.ramp) = (None, None);
            }
        }
        let claude = config
            .workers
            .iter()
            .filter(|(_, worker)| worker.kind == WorkerKind::Claude);
        for (name, worker) in claude {
            let account = worker.account.as_deref().unwrap_or("default");
            self.of_worker.insert(name.clone(), account.to_owned());
            let account = self.by_name.entry(account.to_owned()).or_default();
            account.workers.insert(name.as_str().into());
        }
    }

    /// Every account, also one that no profile names any more.
    pub(super) fn names(&self) -> Vec<String> {
        self.by_name.keys().cloned().collect()
    }

    /// Whether its usage limit is reached.
    pub(super) fn is_limited(&self, now: Tick, name: &str) -> bool {
        let limit = self.by_name.get(name).and_then(|account| account.limit.as_ref());
        limit.is_some_and(|limit| limit.until > now)
    }

    /// Whether nothing of it starts: its usage limit is reached, or its login was refused.
    pub(super) fn is_closed(&self, now: Tick, name: &str) -> bool {
        let is_held = self
            .by_name
            .get(name)
            .is_some_and(|account| account.held.is_some());
        is_held || self.is_limited(now, name)
    }

    /// Since when more run only step by step, if they do; the moment may lie ahead.
    pub(super) fn ramp_since(&self, name: &str) -> Option<Tick> {
        let ramp = self.by_name.get(name).and_then(|account| account.ramp)?;
        Some(ramp.begin)
    }

    /// The profiles of kind `claude`.
    pub(super) fn workers(&self) -> BTreeSet<Arc<str>> {
        self.of_worker.keys().map(|name| name.as_str().into()).collect()
    }

    /// From the journal, before the first config.
    pub(super) fn restore(&mut self, name: String, image: AccountImage) {
        let account = self.by_name.entry(name).or_default();
        account.limit = image.limited_until.map(|until| Limited {
            until,
            why: image.why.unwrap_or_default(),
        });
        account.ramp = account.limit.as_ref().map(|limit| Ramp::from(limit.until));
    }

    /// What the journal keeps of an account.
    pub(super) fn image(&self, name: &str) -> AccountImage {
        let limit = self.by_name.get(name).and_then(|account| account.limit.as_ref());
        AccountImage {
            limited_until: limit.map(|limit| limit.until),
            why: limit.map(|limit| limit.why.clone()),
        }
    }

    /// What the journal keeps of all accounts that have something to keep.
    pub(super) fn images(&self) -> impl Iterator<Item = (String, AccountImage)> + '_ {
        let limited = self.by_name.iter().filter(|(_, account)| account.limit.is_some());
        limited.map(|(name, _)| (name.clone(), self.image(name)))
    }

    /// The account of a profile.
    pub(super) fn of(&self, worker: &str) -> Option<&str> {
        self.of_worker.get(worker).map(String::as_str)
    }

    /// A run says where the limit stands. True if that must be journaled.
    pub(super) fn hear_limit(&mut self, now: Tick, name: &str, limit: &RateLimit, random: u64) -> bool {
        match limit.status {
            LimitStatus::Rejected => self.close(now, name, limit, random),
            LimitStatus::Warning => {
                self.set_taper(now, name, limit);
                false
            }
            LimitStatus::Allowed => {
                if let Some(account) = self.by_name.get_mut(name) {
                    account.taper = None;
                }
                false
            }
        }
    }

    /// Closes the account until the reset and some jitter. A reset that is earlier than one that
    /// is known already is of another, shorter limit: the later one counts.
    fn close(&mut self, now: Tick, name: &str, limit: &RateLimit, random: u64) -> bool {
        let jitter_ms = millis(self.quota.jitter);
        let Some(account) = self.by_name.get_mut(name) else {
            return false;
        };
        let reset = limit
            .resets_at_s
            .map(|seconds| Tick(seconds.saturating_mul(1000)));
        let reset = reset.unwrap_or(now.plus_ms(UNKNOWN_RESET_MS));
        let reset = reset.min(now.plus_ms(RESET_AT_MOST_MS));
        let known = account.limit.as_ref().map(|limit| limit.until);
        if reset <= now || known.is_some_and(|known| known >= reset) {
            return false;
        }
        let until = reset.plus_ms(random % (jitter_ms + 1));
        account.limit = Some(Limited {
            until,
            why: format!("the usage limit is reached{}", kind_words(limit)),
        });
        account.ramp = Some(Ramp::from(until));
        account.taper = None;
        true
    }

    fn set_taper(&mut self, now: Tick, name: &str, limit: &RateLimit) {
        let used = limit.utilization.unwrap_or(0.0);
        let step = self.quota.taper.iter().filter(|step| used >= step.above);
        let step = step.min_by_key(|step| step.at_most).copied();
        let until = limit
            .resets_at_s
            .map(|seconds| Tick(seconds.saturating_mul(1000)));
        let Some(account) = self.by_name.get_mut(name) else {
            return;
        };
        account.taper = step
            .filter(|_| until.is_none_or(|until| until > now))
            .map(|step| Taper {
                at_most: step.at_most,
                until,
                why: format!(
                    "{:.0} % of the usage limit are used{}",
                    used * 100.0,
                    kind_words(limit)
                ),
            });
    }

    /// The service has answered a run: the login is good, and, if the run began after the reset, a step
    /// of the ramp has proven itself. True if that must be journaled.
    pub(super) fn hear_working(&mut self, now: Tick, name: &str, started_at: Tick) -> bool {
        if let Some(account) = self.by_name.get_mut(name) {
            account.held = None;
            if let Some(ramp) = account.ramp.as_mut().filter(|ramp| ramp.begin <= started_at) {
                ramp.proven = true;
            }
        }
        self.pass_time(now, name)
    }

    /// The service did not take the login: nothing of the account starts until somebody says so.
    pub(super) fn hold(&mut self, name: &str, why: String) {
        if let Some(account) = self.by_name.get_mut(name) {
            account.held = Some(why);
        }
    }

    /// Somebody says that it can go on: a login that was mended, another plan. False if nothing kept it.
    pub(super) fn release(&mut self, name: &str) -> bool {
        let Some(account) = self.by_name.get_mut(name) else {
            return false;
        };
        let kept = [
            account.held.take().is_some(),
            account.limit.take().is_some(),
            account.ramp.take().is_some(),
            account.taper.take().is_some(),
        ];
        kept.contains(&true)
    }

    /// When time alone changes something next.
    pub(super) fn due(&self) -> Option<Tick> {
        let step_ms = millis(self.quota.ramp_step);
        let dues = self.by_name.values().flat_map(|account| {
            let ramp = account.ramp.filter(|ramp| ramp.proven);
            [
                account.limit.as_ref().map(|limit| limit.until),
                ramp.map(|ramp| ramp.since.plus_ms(step_ms)),
                account.taper.as_ref().and_then(|taper| taper.until),
            ]
        });
        dues.flatten().min()
    }

    /// The accounts for which something is due.
    pub(super) fn due_accounts(&self, now: Tick) -> Vec<String> {
        if self.due().is_none_or(|due| due > now) {
            return Vec::new();
        }
        self.by_name.keys().cloned().collect()
    }

    /// Lets the time pass for one account. True if a limit is done with for good, which is journaled.
    #[must_use]
    pub(super) fn pass_time(&mut self, now: Tick, name: &str) -> bool {
        let (step_ms, slots) = (millis(self.quota.ramp_step), self.slots);
        let Some(account) = self.by_name.get_mut(name) else {
            return false;
        };
        if account.limit.as_ref().is_some_and(|limit| limit.until <= now) {
            account.limit = None;
        }
        if account
            .taper
            .as_ref()
            .and_then(|taper| taper.until)
            .is_some_and(|until| until <= now)
        {
            account.taper = None;
        }
        if let Some(ramp) = account
            .ramp
            .filter(|ramp| ramp.proven && ramp.since.plus_ms(step_ms) <= now)
        {
            let at_most = (ramp.at_most * 2).min(RAMP_MOST);
            account.ramp = (at_most < slots).then_some(Ramp {
                at_most,
                since: now,
                proven: false,
                ..ramp
            });
            return account.ramp.is_none() && account.limit.is_none();
        }
        false
    }

    /// The account's gates as they should be now. `exempt` active tasks are not counted by the ramp.
    pub(super) fn gates(&self, name: &str, exempt: u32) -> Vec<Input> {
        let Some(account) = self.by_name.get(name) else {
            return Vec::new();
        };
        let gate = |gate: &str, at_most, message: String, opens_at| Gate {
            name: gate.into(),
            scope: GateScope::Workers(account.workers.clone()),
            at_most,
            message,
            opens_at,
        };
        let who = if name == "default" {
            String::new()
        } else {
            format!(" of account {name}")
        };
        let limit = account.limit.as_ref();
        let limit = limit.map(|limit| gate(QUOTA, 0, format!("{}{who}", limit.why), Some(limit.until)));
        let ramp = account.ramp.map(|ramp| {
            let message =
                format!("the usage limit{who} was reset a short time ago: more follow step by step");
            gate(QUOTA, ramp.at_most.saturating_add(exempt), message, None)
        });
        let taper = account.taper.as_ref();
        let taper = taper.map(|taper| gate(QUOTA, taper.at_most, format!("{}{who}", taper.why), taper.until));
        let held = account
            .held
            .as_ref()
            .map(|why| gate(AUTH, 0, held_words(account, why), None));
        let gates = [("quota", limit), ("ramp", ramp), ("taper", taper), ("auth", held)];
        let input = |(kind, gate): (&str, Option<Gate>)| {
            let id: Arc<str> = format!("{kind}/{name}").into();
            match gate {
                Some(gate) => Input::CloseGate(id, gate),
                None => Input::OpenGate(id),
            }
        };
        gates.into_iter().map(input).collect()
    }
}

impl Ramp {
    fn from(since: Tick) -> Self {
        Self {
            begin: since,
            at_most: 1,
            since,
            proven: false,
        }
    }
}

fn held_words(account: &Account, why: &str) -> String {
    let worker = account.workers.first().map_or("claude", |name| name);
    format!(
        "the login was refused ({why}): log in with `claude auth login` or mend the key, then `wezterm-parallel resume --worker {worker}`"
    )
}

/// ` (five hour)`, in the CLI's own words.
fn kind_words(limit: &RateLimit) -> String {
    let kind = limit.kind.as_deref().map(|kind| kind.replace('_', " "));
    kind.map(|kind| format!(" ({kind})")).unwrap_or_default()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "accounts_tests.rs"]
mod tests;
