//! Real attempts: launcher, shims and commands as they run in production.

mod executor_support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;

use executor_support::{
    command, is_alive, is_stopped, kill, pid, plan, plan_in_steps, shell, wait_until, Home,
};
use rustix::process::Signal;
use wezterm_parallel::executor::{dropped_range, Executor, Report, StopCause};

#[test]
fn an_exit_code_comes_back() {
    let mut home = Home::new();
    let id = home.launch(shell("exit 7"));
    let exit = home.exit(id);
    assert_eq!((exit.exit_code, exit.signal), (Some(7), None));
    assert_eq!((exit.stopped, exit.leftovers, exit.note), (None, 0, None));
    assert!(exit.started_at_ms > 0 && exit.ended_at_ms >= exit.started_at_ms);
    home.assert_silent();
}

#[test]
fn a_signal_comes_back() {
    let mut home = Home::new();
    let id = home.launch(shell("kill -SEGV $$"));
    let exit = home.exit(id);
    assert_eq!((exit.exit_code, exit.signal), (None, Some(libc::SIGSEGV)));
    assert_eq!(exit.stopped, None);
}

#[test]
fn what_cannot_be_started_says_why() {
    let mut home = Home::new();
    let plain = home.folder.path().join("plain");
    fs::write(&plain, "no program").unwrap();
    let script = home.folder.path().join("script");
    fs::write(&script, "#!/nowhere/interpreter\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).unwrap();
    let mut elsewhere = command(&["true"]);
    elsewhere.cwd = home.folder.path().join("missing");
    let nul = command(&["echo", "a\0b"]);
    let cases = [
        (command(&["no-such-program"]), "no-such-program: program not found (tried /usr/local/bin/no-such-program, /usr/bin/no-such-program, /bin/no-such-program)"),
        (command(&["./plain"]), "plain is not executable"),
        (command(&["./script"]), "the interpreter in its first line is missing"),
        (command(&[]), "the command is empty"),
        (elsewhere, "missing cannot be entered: No such file or directory"),
        (nul, "nul byte"),
    ];
    for (launch, expected) in cases {
        let id = home.launch(launch);
        let exit = home.exit(id);
        let reason = exit.spawn_error.expect("it did not start");
        assert!(reason.contains(expected), "{reason}");
        assert_eq!((exit.exit_code, exit.signal), (None, None));
    }
}

#[test]
fn standard_input_is_what_was_given_or_nothing() {
    let mut home = Home::new();
    let text = "line\n".repeat(50_000);
    let mut launch = command(&["cat"]);
    launch.stdin = Some(text.clone());
    let given = home.launch(launch);
    let nothing = home.launch(command(&["cat"]));
    assert_eq!(home.exit(given).exit_code, Some(0));
    assert_eq!(home.output(given), text);
    assert_eq!(home.exit(nothing).exit_code, Some(0));
    assert_eq!(home.output(nothing), "");
}

#[test]
fn the_environment_is_the_tasks_and_the_marks() {
    let mut home = Home::new();
    let mut launch = command(&["env"]);
    launch.env.insert("A".to_owned(), "b c".to_owned());
    launch
        .env
        .insert("WEZTERM_PARALLEL_FOLDER".to_owned(), "of another".to_owned());
    let id = home.launch(launch);
    assert_eq!(home.exit(id).exit_code, Some(0));
    let output = home.output(id);
    let found: BTreeMap<_, _> = output.lines().filter_map(|line| line.split_once('=')).collect();
    let folder = home.attempt(id);
    let expected = BTreeMap::from([
        ("A", "b c"),
        ("PATH", "/usr/local/bin:/usr/bin:/bin"),
        ("WEZTERM_PARALLEL_ATTEMPT", "1"),
        ("WEZTERM_PARALLEL_FOLDER", folder.to_str().unwrap()),
        ("WEZTERM_PARALLEL_TASK", "1"),
    ]);
    assert_eq!(found, expected);
}

#[test]
fn the_name_that_a_program_sees_is_the_one_it_was_called_by() {
    let mut home = Home::new();
    let id = home.launch(command(&["sh", "-c", "head -c 2 /proc/$$/cmdline"]));
    assert_eq!(home.exit(id).exit_code, Some(0));
    assert_eq!(home.output(id), "sh");
}

#[test]
fn files_and_folders_are_for_their_owner_alone() {
    let mut home = Home::new();
    let mut launch = shell("umask; true");
    launch.separate_stderr = true;
    launch.stdin = Some("secret".to_owned());
    let id = home.launch(launch);
    home.exit(id);
    let folder = home.attempt(id);
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    assert_eq!(mode(folder.parent().unwrap()), 0o700);
    let names: BTreeSet<String> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let expected = ["exit.json", "output", "shim.json", "stderr", "stdin"];
    assert_eq!(names, BTreeSet::from(expected.map(str::to_owned)));
    for name in names {
        assert_eq!(mode(&folder.join(&name)), 0o600, "{name}");
    }
    // The command's own files are nobody's business: it has the daemon's mask.
    let own = rustix::process::umask(rustix::fs::Mode::from_bits_retain(0o022));
    rustix::process::umask(own);
    let found = u32::from_str_radix(home.output(id).trim(), 8).unwrap();
    assert_eq!(found, own.bits());
}

#[test]
fn fifty_megabytes_flat_out_arrive_whole() {
    let mut home = Home::new();
    let size = 50_000_000;
    let id = home.launch(shell("yes 0123456789abcde | head -c 50000000"));
    let exit = home.exit(id);
    assert_eq!(
        (exit.exit_code, exit.output_bytes, exit.dropped_bytes),
        (Some(0), size, 0)
    );
    let output = home.output(id);
    assert_eq!(output.len() as u64, size);
    assert!(output
        .as_bytes()
        .chunks(16)
        .all(|line| line == &b"0123456789abcde\n"[..line.len()]));
}

#[test]
fn standard_error_is_mixed_in_or_apart() {
    let mut home = Home::new();
    let line = "echo one; echo two >&2; echo three";
    let mixed = home.launch(shell(line));
    let mut launch = shell(line);
    launch.separate_stderr = true;
    let apart = home.launch(launch);
    assert_eq!(home.exit(mixed).output_bytes, 14);
    assert_eq!(home.output(mixed), "one\ntwo\nthree\n");
    assert!(!home.attempt(mixed).join("stderr").exists());
    assert_eq!(home.exit(apart).output_bytes, 14);
    assert_eq!(home.output(apart), "one\nthree\n");
    assert_eq!(home.read(apart, "stderr"), "two\n");
}

#[test]
fn output_over_the_cap_keeps_its_head_and_its_tail() {
    let mut home = Home::new();
    let mut launch = shell("seq 1000000 2999999; seq 1000000 2999999 >&2");
    launch.separate_stderr = true;
    launch.output_cap_bytes = 1 << 20;
    let id = home.launch(launch);
    let exit = home.exit(id);
    let size = 16_000_000;
    assert_eq!((exit.exit_code, exit.output_bytes), (Some(0), 2 * size));
    assert_eq!(exit.note, None);
    let mut dropped = 0;
    for name in ["output", "stderr"] {
        let file = fs::File::open(home.attempt(id).join(name)).unwrap();
        let hole = dropped_range(&file).unwrap().expect("a hole");
        assert_eq!(hole.start, 1 << 19);
        dropped += hole.end - hole.start;
        let kept = size - (hole.end - hole.start);
        assert!((1 << 20..(1 << 20) + 8192).contains(&kept), "{kept}");
        let stored = std::os::unix::fs::MetadataExt::blocks(&file.metadata().unwrap()) * 512;
        assert!(stored < (1 << 20) + 65_536, "{stored}");
        let text = home.read(id, name);
        let line = |at: u64| &text[at as usize * 8..][..8];
        assert_eq!(line(0), "1000000\n");
        assert_eq!(line(hole.start / 8 - 1), "1065535\n");
        assert_eq!(line(hole.start / 8), "\0".repeat(8));
        assert_eq!(line(hole.end / 8 - 1), "\0".repeat(8));
        let first_kept = 1_000_000 + hole.end / 8;
        assert_eq!(line(hole.end / 8), format!("{first_kept}\n"));
        assert_eq!(line(size / 8 - 1), "2999999\n");
    }
    assert_eq!(exit.dropped_bytes, dropped);
}

#[test]
fn disk_use_stays_bounded_while_the_command_still_writes() {
    let mut home = Home::new();
    let mut launch = shell("yes 0123456789abcdef");
    launch.output_cap_bytes = 1 << 20;
    let id = home.launch(launch);
    let path = home.attempt(id).join("output");
    wait_until("a hole of 64 MiB in a running command's output", || {
        let Ok(file) = fs::File::open(&path) else {
            return false;
        };
        let hole = dropped_range(&file).unwrap();
        hole.is_some_and(|hole| hole.end - hole.start > 64 << 20)
    });
    home.executor().stop(id, plan(libc::SIGKILL, 0)).unwrap();
    let exit = home.exit(id);
    assert_eq!(
        (exit.stopped, exit.signal),
        (Some(StopCause::Request), Some(libc::SIGKILL))
    );
    assert!(exit.output_bytes - exit.dropped_bytes < (1 << 20) + 8192);
}

#[test]
fn a_timeout_stops_the_command() {
    let mut home = Home::new();
    let mut launch = command(&["sleep", "1000"]);
    launch.timeout_ms = Some(50);
    let id = home.launch(launch);
    let exit = home.exit(id);
    assert_eq!(exit.stopped, Some(StopCause::Timeout));
    assert_eq!((exit.exit_code, exit.signal), (None, Some(libc::SIGTERM)));
    assert_eq!(exit.leftovers, 0);
}

#[test]
fn a_stop_lets_the_command_end_in_its_own_way() {
    let mut home = Home::new();
    let id = home.launch(shell(
        "trap 'echo bye; exit 3' USR2; echo ready; while :; do sleep 0.01; done",
    ));
    home.wait_for_line(id, "ready");
    home.executor().stop(id, plan(libc::SIGUSR2, 60_000)).unwrap();
    let exit = home.exit(id);
    assert_eq!(
        (exit.stopped, exit.exit_code),
        (Some(StopCause::Request), Some(3))
    );
    assert!(home.output(id).contains("bye"));
}

#[test]
fn a_stop_right_after_the_launch_is_not_lost() {
    let mut home = Home::new();
    for _ in 0..20 {
        let id = home.launch(command(&["sleep", "1000"]));
        home.executor().stop(id, plan(libc::SIGTERM, 60_000)).unwrap();
        assert_eq!(home.exit(id).stopped, Some(StopCause::Request));
    }
}

#[test]
fn who_ignores_the_signal_is_killed_after_the_grace_time() {
    let mut home = Home::new();
    let id = home.launch(shell(
        "trap '' TERM; (sleep 1000 & echo child $!; wait) & echo ready; wait",
    ));
    home.wait_for_line(id, "ready");
    let child = pid(&home.wait_for_line(id, "child"));
    home.executor().stop(id, plan(libc::SIGTERM, 100)).unwrap();
    let exit = home.exit(id);
    assert_eq!(
        (exit.stopped, exit.signal),
        (Some(StopCause::Request), Some(libc::SIGKILL))
    );
    assert!(!is_alive(child));
}

#[test]
fn a_second_stop_with_a_shorter_grace_time_takes_effect() {
    let mut home = Home::new();
    let id = home.launch(shell(
        "trap 'echo termed' TERM; echo ready; while :; do sleep 0.01; done",
    ));
    home.wait_for_line(id, "ready");
    home.executor().stop(id, plan(libc::SIGTERM, 3_600_000)).unwrap();
    home.wait_for_line(id, "termed");
    home.executor().stop(id, plan(libc::SIGTERM, 0)).unwrap();
    let exit = home.exit(id);
    assert_eq!(exit.signal, Some(libc::SIGKILL));
    assert_eq!(
        home.output(id).matches("termed").count(),
        1,
        "one signal for one stop"
    );
}

#[test]
fn who_fled_into_a_session_of_its_own_is_stopped_too() {
    let mut home = Home::new();
    let line = "setsid sh -c 'trap \"\" TERM; echo escapee $$; while :; do sleep 0.01; done' &
        (setsid sh -c 'echo orphan $$; exec sleep 1000' &)
        echo ready; wait";
    let id = home.launch(shell(line));
    let escapee = pid(&home.wait_for_line(id, "escapee"));
    let orphan = pid(&home.wait_for_line(id, "orphan"));
    home.executor().stop(id, plan(libc::SIGTERM, 100)).unwrap();
    let exit = home.exit(id);
    assert_eq!(exit.stopped, Some(StopCause::Request));
    assert!(!is_alive(escapee) && !is_alive(orphan));
}

#[test]
fn who_only_outlives_the_first_signal_ends_by_the_second() {
    let mut home = Home::new();
    let line = "(setsid sh -c 'trap \"\" INT; echo fled $$; exec sleep 1000' &)
        trap 'echo inted' INT; echo ready; while :; do sleep 0.01; done";
    let id = home.launch(shell(line));
    let fled = pid(&home.wait_for_line(id, "fled"));
    home.wait_for_line(id, "ready");
    let plan = plan_in_steps(libc::SIGINT, libc::SIGTERM, 300);
    home.executor().stop(id, plan).unwrap();
    let exit = home.exit(id);
    assert_eq!(
        (exit.stopped, exit.signal),
        (Some(StopCause::Request), Some(libc::SIGTERM))
    );
    assert!(!is_alive(fled));
    assert!(
        home.output(id).matches("inted").count() <= 1,
        "one signal for one step"
    );
}

#[test]
fn who_outlives_both_signals_is_killed() {
    let mut home = Home::new();
    let line = "(setsid sh -c 'trap \"\" INT TERM; echo fled $$; while :; do sleep 0.01; done' &)
        trap '' INT TERM; echo ready; while :; do sleep 0.01; done";
    let id = home.launch(shell(line));
    let fled = pid(&home.wait_for_line(id, "fled"));
    home.wait_for_line(id, "ready");
    let plan = plan_in_steps(libc::SIGINT, libc::SIGTERM, 50);
    home.executor().stop(id, plan).unwrap();
    let exit = home.exit(id);
    assert_eq!(
        (exit.stopped, exit.signal),
        (Some(StopCause::Request), Some(libc::SIGKILL))
    );
    assert!(!is_alive(fled));
}

#[test]
fn a_second_stop_hurries_one_that_goes_in_steps() {
    let mut home = Home::new();
    let id = home.launch(shell(
        "trap 'echo inted' INT; trap 'echo termed' TERM; echo ready; while :; do sleep 0.01; done",
    ));
    home.wait_for_line(id, "ready");
    let slow = plan_in_steps(libc::SIGINT, libc::SIGTERM, 3_600_000);
    home.executor().stop(id, slow).unwrap();
    home.wait_for_line(id, "inted");
    home.executor().stop(id, plan(libc::SIGTERM, 3_600_000)).unwrap();
    home.wait_for_line(id, "termed");
    home.executor().stop(id, plan(libc::SIGTERM, 0)).unwrap();
    let exit = home.exit(id);
    assert_eq!(exit.signal, Some(libc::SIGKILL));
    for word in ["inted", "termed"] {
        assert_eq!(home.output(id).matches(word).count(), 1, "{word}");
    }
}

#[test]
fn timeouts_and_leftovers_are_stopped_in_steps_too() {
    let mut home = Home::new();
    // The first signal is one that ends nobody who does not wish it.
    let steps = plan_in_steps(libc::SIGURG, libc::SIGTERM, 50);
    let mut launch = command(&["sleep", "1000"]);
    launch.timeout_ms = Some(50);
    launch.stop = steps;
    let id = home.launch(launch);
    let exit = home.exit(id);
    assert_eq!(
        (exit.stopped, exit.signal),
        (Some(StopCause::Timeout), Some(libc::SIGTERM))
    );
    let mut launch = shell("sleep 1000 & exit 5");
    launch.stop = steps;
    let id = home.launch(launch);
    let exit = home.exit(id);
    assert_eq!((exit.exit_code, exit.stopped, exit.leftovers), (Some(5), None, 1));
}

#[test]
fn what_forks_without_end_is_stopped() {
    let mut home = Home::new();
    let line = "echo ready; f() { (sleep 0.01; f) & (setsid sleep 0.05; :) & }; f; f; f; wait; sleep 1000";
    let id = home.launch(shell(line));
    home.wait_for_line(id, "ready");
    home.executor().stop(id, plan(libc::SIGTERM, 0)).unwrap();
    let exit = home.exit(id);
    assert_eq!(exit.stopped, Some(StopCause::Request));
    let mark = format!("WEZTERM_PARALLEL_FOLDER={}", home.attempt(id).display());
    let left = executor_support::processes().into_iter().filter(|pid| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        is_alive(*pid)
            && environment
                .split(|byte| *byte == 0)
                .any(|one| one == mark.as_bytes())
    });
    assert_eq!(left.count(), 0);
}

#[test]
fn what_the_command_left_behind_is_ended_and_counted() {
    let mut home = Home::new();
    let line = "sleep 1000 & echo one $!; (setsid sleep 1000 & echo two $!); exit 5";
    let id = home.launch(shell(line));
    let exit = home.exit(id);
    assert_eq!((exit.exit_code, exit.stopped, exit.leftovers), (Some(5), None, 2));
    for word in ["one", "two"] {
        assert!(!is_alive(pid(&home.wait_for_line(id, word))), "{word}");
    }
}

#[test]
fn children_of_a_killed_command_are_ended() {
    let mut home = Home::new();
    let mut launch = shell("sleep 1000 & echo child $!; echo parent $$; wait");
    launch.stop = plan(libc::SIGTERM, 100);
    let id = home.launch(launch);
    let child = pid(&home.wait_for_line(id, "child"));
    kill(pid(&home.wait_for_line(id, "parent")), Signal::KILL);
    let exit = home.exit(id);
    assert_eq!(
        (exit.signal, exit.stopped, exit.leftovers),
        (Some(libc::SIGKILL), None, 1)
    );
    assert!(!is_alive(child));
}

#[test]
fn a_suspended_tree_stands_still_until_it_is_resumed() {
    let mut home = Home::new();
    let id = home.launch(shell("sleep 1000 & echo child $!; echo parent $$; wait"));
    let child = pid(&home.wait_for_line(id, "child"));
    let parent = pid(&home.wait_for_line(id, "parent"));
    home.executor().suspend(id).unwrap();
    wait_until("both stand still", || is_stopped(child) && is_stopped(parent));
    home.executor().resume(id).unwrap();
    wait_until("both go on", || !is_stopped(child) && !is_stopped(parent));
    home.executor().suspend(id).unwrap();
    wait_until("both stand still", || is_stopped(child) && is_stopped(parent));
    home.executor().stop(id, plan(libc::SIGTERM, 60_000)).unwrap();
    let exit = home.exit(id);
    assert_eq!(
        exit.signal,
        Some(libc::SIGTERM),
        "SIGTERM reached the suspended command"
    );
    assert!(!is_alive(child));
}

#[test]
fn time_and_memory_of_the_whole_tree_are_measured() {
    let mut home = Home::new();
    // Two processes that hold 40 MiB each, and burn some time.
    let hold = "x=$(head -c 40000000 /dev/zero | tr '\\0' x); echo held; sleep 0.5";
    let line = format!("(setsid sh -c \"{hold}\") & ({hold}) & wait");
    let id = home.launch(shell(&line.replace("x=$", "x=\\$").replacen("(x=\\$", "(x=$", 1)));
    let exit = home.exit(id);
    assert_eq!(exit.exit_code, Some(0));
    assert_eq!(home.output(id).matches("held").count(), 2);
    assert!(exit.cpu_seconds > 0.0);
    assert!(exit.peak_memory_bytes > 70_000_000, "{}", exit.peak_memory_bytes);
}

#[test]
fn a_worker_gets_three_descriptors_and_default_signals() {
    let mut home = Home::new();
    let line = "ls /proc/self/fd; ls -l /proc/self/fd; cat /proc/self/status";
    let mut launch = shell(line);
    launch.separate_stderr = true;
    let id = home.launch(launch);
    assert_eq!(home.exit(id).exit_code, Some(0));
    let output = home.output(id);
    // 32 and 33 belong to the C library, which sets them when it needs them and at no other time.
    let own_of_libc: u64 = 0b11 << 31;
    for field in ["SigBlk:", "SigIgn:", "SigCgt:"] {
        let line = output.lines().find_map(|line| line.strip_prefix(field));
        let mask = u64::from_str_radix(line.unwrap().trim(), 16).unwrap();
        assert_eq!(mask & !own_of_libc, 0, "{field} {mask:x}");
    }
    // `ls` itself opens the folder as 3.
    let descriptors: Vec<&str> = output.lines().take_while(|line| line.len() < 3).collect();
    assert_eq!(descriptors, ["0", "1", "2", "3"]);
    assert!(output.contains("0 -> /dev/null"));
}

#[test]
fn a_worker_leads_a_group_in_the_shims_session() {
    let mut home = Home::new();
    let id = home.launch(command(&["cat", "/proc/self/stat"]));
    let shim = home.shim(id).to_string();
    home.exit(id);
    let output = home.output(id);
    let fields: Vec<&str> = output.split_whitespace().collect();
    assert_eq!(fields[0], fields[4], "it leads its group");
    assert_eq!((fields[3], fields[5]), (shim.as_str(), shim.as_str()));
}

#[test]
fn a_folder_that_exists_refuses_the_launch_and_is_left_alone() {
    let mut home = Home::new();
    let id = home.next_id();
    fs::create_dir_all(home.attempt(id)).unwrap();
    fs::write(home.attempt(id).join("output"), "of another").unwrap();
    home.launch_as(id, shell("true"));
    let Report::NotStarted(_, reason) = home.report(id) else {
        panic!("it started");
    };
    assert!(reason.ends_with("exists already"), "{reason}");
    assert_eq!(home.output(id), "of another");
}

#[test]
fn two_hundred_quick_attempts_are_each_reported_once() {
    let mut home = Home::new();
    let mut expected = BTreeSet::new();
    for number in 0..200 {
        let launch = shell(&format!("echo {number}; exit {}", number % 100));
        expected.insert((home.launch(launch), number));
    }
    for (id, number) in expected {
        assert_eq!(home.exit(id).exit_code, Some(number % 100));
        assert_eq!(home.output(id), format!("{number}\n"));
    }
    home.assert_silent();
}

#[test]
fn an_outcome_is_found_without_its_poke() {
    let mut home = Home::new();
    let id = home.launch(shell("while ! test -e go; do sleep 0.01; done; exit 4"));
    home.shim(id);
    fs::remove_file(home.folder.path().join("run/shims.sock")).unwrap();
    fs::write(home.folder.path().join("go"), "").unwrap();
    assert_eq!(home.exit(id).exit_code, Some(4));
    let _ = home.launch(shell("true"));
}

#[test]
fn a_poke_without_an_outcome_is_not_believed() {
    let mut home = Home::new();
    let id = home.launch(shell(
        "echo ready; while ! test -e go; do sleep 0.01; done; exit 4",
    ));
    home.wait_for_line(id, "ready");
    let socket = std::os::unix::net::UnixDatagram::unbound().unwrap();
    let pokes = home.folder.path().join("run/shims.sock");
    for lie in ["", "{}", "{\"key\":1,\"attempt\":1}", "{\"key\":1,\"attempt\":9}"] {
        socket.send_to(lie.as_bytes(), &pokes).unwrap();
    }
    fs::write(home.folder.path().join("go"), "").unwrap();
    assert_eq!(home.exit(id).exit_code, Some(4));
    home.assert_silent();
}
