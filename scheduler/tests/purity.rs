//! The scheduler's dependency tree has nothing in it that could tell the time or wait.
#![allow(
    missing_docs,
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    clippy::disallowed_types
)]

use std::process::Command;

const PACKAGE: &str = "wezterm-parallel-scheduler";

#[test]
fn the_dependency_tree_is_small_and_has_no_tokio() {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--offline",
            "-p",
            PACKAGE,
            "-e",
            "normal",
            "--prefix",
            "none",
        ])
        .args(["--format", "{p}"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo tree failed: {errors}");
    let tree = String::from_utf8(output.stdout).expect("package names are ASCII");
    let packages: Vec<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(
        [PACKAGE, "priority-queue", "governor"]
            .iter()
            .all(|name| packages.contains(name)),
        "{tree}"
    );
    // `governor` is taken without `std`, which would bring real clocks (quanta), timers and locks
    // that wait (futures, parking_lot); its own clock trait is given the scheduler's time.
    let banned = [
        "quanta",
        "parking_lot",
        "futures-timer",
        "futures-util",
        "tokio",
        "mio",
        "async-io",
        "smol",
        "futures",
        "libc",
        "rustix",
        "rand",
        "getrandom",
        "chrono",
        "jiff",
        "time",
    ];
    let found: Vec<&&str> = packages.iter().filter(|name| banned.contains(name)).collect();
    assert!(found.is_empty(), "{found:?} in\n{tree}");
}
