//! Limits, ramps, tapers and logins, on a clock of the tests' own.

use super::*;

const NOON: Tick = Tick(1_800_000_000_000);

fn accounts(slots: u32) -> Accounts {
    let mut config = Config::default();
    config.pool.slots = crate::config::Slots::Count(slots);
    config.quota.jitter = Duration::from_secs(10);
    config.quota.ramp_step = Duration::from_secs(5);
    let mut accounts = Accounts::default();
    accounts.configure(NOON, &config);
    accounts
}

fn limit(status: LimitStatus, in_s: u64, utilization: f64) -> RateLimit {
    RateLimit {
        status,
        resets_at_s: Some(NOON.0 / 1000 + in_s),
        kind: Some("five_hour".to_owned()),
        utilization: Some(utilization),
    }
}

/// The gates that are closed or bounded: name, bound, and seconds after noon at which they open.
fn closed(accounts: &Accounts) -> Vec<(String, u32, Option<u64>)> {
    let inputs = accounts.gates("default", 0).into_iter();
    let gates = inputs.filter_map(|input| match input {
        Input::CloseGate(id, gate) => Some((id, gate)),
        _ => None,
    });
    gates
        .map(|(id, gate)| {
            let opens = gate.opens_at.map(|at| at.ms_since(NOON) / 1000);
            (id.to_string(), gate.at_most, opens)
        })
        .collect()
}

fn quota(at_most: u32, opens: u64) -> (String, u32, Option<u64>) {
    ("quota/default".to_owned(), at_most, Some(opens))
}

fn ramp(at_most: u32) -> (String, u32, Option<u64>) {
    ("ramp/default".to_owned(), at_most, None)
}

#[test]
fn a_limit_closes_until_its_reset_and_opens_step_by_step() {
    let mut accounts = accounts(8);
    assert!(accounts.hear_limit(NOON, "default", &limit(LimitStatus::Rejected, 60, 1.0), 3_000));
    assert_eq!(closed(&accounts), [quota(0, 63), ramp(1)]);
    let reset = NOON.plus_ms(63_000);
    assert_eq!(accounts.due(), Some(reset));
    // A run that was under way before says nothing about the time after.
    let _ = accounts.hear_working(NOON.plus_ms(1_000), "default", NOON.plus_ms(1_000));
    let _ = accounts.pass_time(reset, "default");
    assert_eq!(closed(&accounts), [ramp(1)]);
    assert_eq!(accounts.due(), None);
    for expected in [2, 4] {
        let now = NOON.plus_ms(63_000 + u64::from(expected) * 10_000);
        let _ = accounts.hear_working(now, "default", now);
        assert_eq!(closed(&accounts), [ramp(expected)]);
    }
    let _ = accounts.hear_working(NOON.plus_ms(200_000), "default", NOON.plus_ms(200_000));
    assert_eq!(closed(&accounts), []);
}

#[test]
fn a_step_of_the_ramp_lasts_its_time() {
    let mut accounts = accounts(8);
    accounts.hear_limit(NOON, "default", &limit(LimitStatus::Rejected, 60, 1.0), 0);
    let reset = NOON.plus_ms(60_000);
    let _ = accounts.pass_time(reset, "default");
    let _ = accounts.hear_working(reset.plus_ms(1_000), "default", reset.plus_ms(1_000));
    assert_eq!(closed(&accounts), [ramp(1)]);
    let due = accounts.due().expect("the end of the step");
    assert_eq!(due, reset.plus_ms(5_000));
    assert_eq!(accounts.due_accounts(due), ["default"]);
    let _ = accounts.pass_time(due, "default");
    assert_eq!(closed(&accounts), [ramp(2)]);
}

#[test]
fn a_second_rejection_begins_anew_and_the_later_reset_counts() {
    let mut accounts = accounts(8);
    let reject = |accounts: &mut Accounts, at: Tick, in_s| {
        accounts.hear_limit(at, "default", &limit(LimitStatus::Rejected, in_s, 1.0), 0)
    };
    assert!(reject(&mut accounts, NOON, 60));
    // Told again by another run, and a shorter limit: nothing new.
    assert!(!reject(&mut accounts, NOON, 60));
    assert!(!reject(&mut accounts, NOON, 30));
    // A longer one is.
    assert!(reject(&mut accounts, NOON, 600));
    assert_eq!(closed(&accounts), [quota(0, 600), ramp(1)]);
    let _ = accounts.pass_time(NOON.plus_ms(600_000), "default");
    // A reset that is over already closes nothing.
    assert!(!reject(&mut accounts, NOON.plus_ms(600_000), 600));
    assert_eq!(closed(&accounts), [ramp(1)]);
}

#[test]
fn fewer_run_at_once_as_the_limit_comes_near() {
    let mut accounts = accounts(8);
    let taper = |at_most| ("taper/default".to_owned(), at_most, Some(60));
    for (used, expected) in [(0.5, None), (0.8, Some(4)), (0.93, Some(2)), (0.99, Some(1))] {
        accounts.hear_limit(NOON, "default", &limit(LimitStatus::Warning, 60, used), 0);
        assert_eq!(closed(&accounts), Vec::from_iter(expected.map(taper)), "{used}");
    }
    let _ = accounts.pass_time(NOON.plus_ms(60_000), "default");
    assert_eq!(closed(&accounts), []);
    accounts.hear_limit(NOON, "default", &limit(LimitStatus::Warning, 60, 0.95), 0);
    accounts.hear_limit(NOON, "default", &limit(LimitStatus::Allowed, 60, 0.1), 0);
    assert_eq!(closed(&accounts), []);
}

#[test]
fn a_refused_login_holds_the_account_until_somebody_releases_it_or_it_works_again() {
    let mut accounts = accounts(8);
    let held = || vec![("auth/default".to_owned(), 0, None)];
    accounts.hold("default", "Invalid API key".to_owned());
    assert_eq!(closed(&accounts), held());
    assert!(accounts.release("default"));
    assert!(!accounts.release("default"));
    assert_eq!(closed(&accounts), []);
    accounts.hold("default", "Invalid API key".to_owned());
    let _ = accounts.hear_working(NOON, "default", NOON);
    assert_eq!(closed(&accounts), []);
    accounts.hold("default", "Invalid API key".to_owned());
    accounts.configure(NOON, &Config::default());
    assert_eq!(closed(&accounts), []);
}

#[test]
fn a_limit_survives_a_restart() {
    let mut before = accounts(8);
    before.hear_limit(NOON, "default", &limit(LimitStatus::Rejected, 60, 1.0), 0);
    let mut after = Accounts::default();
    for (name, image) in before.images() {
        after.restore(name, image);
    }
    after.configure(NOON, &Config::default());
    assert_eq!(closed(&after), closed(&before));
}

#[test]
fn profiles_of_one_account_share_its_limit_and_others_do_not() {
    let mut config = Config::default();
    let mut add = |name: &str, account: &str| {
        let mut worker = crate::config::WorkerConfig::of_kind(WorkerKind::Claude);
        worker.account = Some(account.to_owned());
        config.workers.insert(name.to_owned(), worker);
    };
    add("review", "default");
    add("team", "work");
    let mut accounts = Accounts::default();
    accounts.configure(NOON, &config);
    accounts.hear_limit(NOON, "default", &limit(LimitStatus::Rejected, 60, 1.0), 0);
    let scopes = |name: &str| -> Vec<GateScope> {
        let gates = accounts.gates(name, 0).into_iter();
        gates
            .filter_map(|input| match input {
                Input::CloseGate(_, gate) if gate.at_most == 0 => Some(gate.scope),
                _ => None,
            })
            .collect()
    };
    let both: BTreeSet<Arc<str>> = ["claude".into(), "review".into()].into();
    assert_eq!(scopes("default"), [GateScope::Workers(both)]);
    assert_eq!(scopes("work"), []);
    assert_eq!(accounts.of("team"), Some("work"));
    assert_eq!(accounts.of("shell"), None);
}

#[test]
fn a_ramp_counts_neither_who_ran_before_nor_what_they_say() {
    let mut accounts = accounts(8);
    accounts.hear_limit(NOON, "default", &limit(LimitStatus::Rejected, 60, 1.0), 0);
    let reset = NOON.plus_ms(60_000);
    let _ = accounts.pass_time(reset, "default");
    assert_eq!(accounts.ramp_since("default"), Some(reset));
    let later = reset.plus_ms(10_000);
    // A run from before the limit says nothing about the time after.
    let _ = accounts.hear_working(later, "default", NOON);
    assert_eq!(closed(&accounts), [ramp(1)]);
    let bound = |exempt| {
        let gates = accounts.gates("default", exempt).into_iter();
        gates
            .filter_map(|input| match input {
                Input::CloseGate(_, gate) => Some(gate.at_most),
                _ => None,
            })
            .collect::<Vec<_>>()
    };
    assert_eq!((bound(0), bound(3)), (vec![1], vec![4]));
}

#[test]
fn the_end_of_a_ramp_is_journaled_and_an_old_limit_begins_none() {
    let mut accounts = accounts(2);
    accounts.hear_limit(NOON, "default", &limit(LimitStatus::Rejected, 60, 1.0), 0);
    let image = accounts.image("default");
    let reset = NOON.plus_ms(60_000);
    assert!(!accounts.pass_time(reset, "default"));
    let later = reset.plus_ms(10_000);
    assert!(accounts.hear_working(later, "default", later));
    assert_eq!(accounts.image("default"), AccountImage::default());
    // A daemon that comes back much later, with the record from before.
    let mut old = Accounts::default();
    old.restore("default".to_owned(), image);
    old.configure(NOON.plus_ms(3_600_000), &Config::default());
    assert_eq!(closed(&old), []);
}

#[test]
fn somebody_can_open_a_limit_and_no_reset_is_years_away() {
    let mut accounts = accounts(8);
    let milliseconds_by_mistake = RateLimit {
        resets_at_s: Some(NOON.0),
        ..limit(LimitStatus::Rejected, 0, 1.0)
    };
    accounts.hear_limit(NOON, "default", &milliseconds_by_mistake, 0);
    assert_eq!(closed(&accounts)[0], quota(0, 8 * 24 * 3600));
    assert!(accounts.is_limited(NOON, "default"));
    assert!(accounts.release("default"));
    assert_eq!(closed(&accounts), []);
}
