//! Real attempts: launcher, shims and commands as they run in production.

mod executor_support;

use executor_support::{shell, Home};
use wezterm_parallel::executor::{Executor, Report};

#[test]
fn an_exit_code_comes_back() {
    let mut home = Home::new();
    let id = home.launch(shell("exit 7"));
    let exit = home.exit(id);
    assert_eq!((exit.exit_code, exit.signal), (Some(7), None));
    assert_eq!(exit.stopped, None);
    assert!(exit.started_at_ms > 0 && exit.ended_at_ms >= exit.started_at_ms);
}
