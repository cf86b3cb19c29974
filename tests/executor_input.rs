//! Commands whose standard input stays open: what is appended reaches them, whichever daemon did it.

mod executor_support;

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};

use executor_support::{command, is_alive, plan, shell, status_field, wait_until, Home};
use wezterm_parallel::executor::{AttemptId, Executor, Found, Launch, StopCause};

/// Reads lines and says so, one by one.
const ECHO: &str = "echo ready; while read -r line; do echo \"got $line\"; done; echo end";
/// Sixteen times what a pipe holds.
const MUCH: usize = 1 << 20;

fn open(mut launch: Launch, stdin: Option<String>) -> Launch {
    launch.stdin = stdin;
    launch.stdin_open = true;
    launch
}

fn much() -> String {
    (0..MUCH / 16).map(|number| format!("{number:015}\n")).collect()
}

fn append(home: &Home, id: AttemptId, bytes: &[u8]) {
    let path = home.attempt(id).join("stdin");
    let mut file = OpenOptions::new().append(true).open(path).unwrap();
    file.write_all(bytes).unwrap();
}

fn adopt(home: &mut Home, id: AttemptId) {
    let folder = home.attempt(id);
    assert_eq!(home.executor().adopt(id, folder).unwrap(), Found::Running);
}

#[test]
fn more_than_a_pipe_holds_is_fed_whole_to_a_reader_that_is_slow_to_begin() {
    let mut home = Home::new();
    let line = "echo ready; while ! test -e go; do sleep 0.01; done; cat";
    let id = home.launch(open(shell(line), Some(much())));
    home.wait_for_line(id, "ready");
    // One line that does not fit into the pipe either.
    let long = "x".repeat(MUCH) + "\n";
    home.executor().feed(id, long.as_bytes()).unwrap();
    home.executor().close_input(id).unwrap();
    fs::write(home.folder.path().join("go"), "").unwrap();
    let exit = home.exit(id);
    assert_eq!((exit.exit_code, exit.note), (Some(0), None));
    let expected = format!("{}{long}", much());
    assert!(home.output(id) == format!("ready\n{expected}"));
    assert!(home.read(id, "stdin") == expected, "the file is the record");
    home.assert_silent();
}

#[test]
fn lines_arrive_in_order_while_the_command_runs() {
    let mut home = Home::new();
    let id = home.launch(open(shell(ECHO), Some("first".to_owned())));
    home.wait_for_line(id, "got first");
    for number in 0..100 {
        let lines = format!("{number}\nagain {number}\n");
        home.executor().feed(id, lines.as_bytes()).unwrap();
        if number % 10 == 0 {
            home.wait_for_line(id, &format!("got again {number}"));
        }
    }
    home.executor().close_input(id).unwrap();
    assert_eq!(home.exit(id).exit_code, Some(0));
    let lines = (0..100).map(|number| format!("got {number}\ngot again {number}\n"));
    let expected = format!("ready\ngot first\n{}end\n", lines.collect::<String>());
    assert_eq!(home.output(id), expected);
}

#[test]
fn what_is_fed_right_after_the_launch_is_not_lost() {
    let mut home = Home::new();
    for _ in 0..20 {
        let id = home.launch(open(command(&["cat"]), Some("a".to_owned())));
        home.executor().feed(id, b"b\n").unwrap();
        home.executor().feed(id, b"c\n").unwrap();
        home.executor().close_input(id).unwrap();
        assert_eq!(home.exit(id).exit_code, Some(0));
        assert_eq!(home.output(id), "a\nb\nc\n");
    }
}

#[test]
fn a_closed_input_is_the_end_and_stays_closed() {
    let mut home = Home::new();
    let id = home.launch(open(
        shell("cat; echo end; while ! test -e go; do sleep 0.01; done"),
        None,
    ));
    home.executor().close_input(id).unwrap();
    home.wait_for_line(id, "end");
    home.executor().close_input(id).unwrap();
    let refused = home.executor().feed(id, b"more\n").unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::BrokenPipe);
    home.restart_daemon();
    adopt(&mut home, id);
    let refused = home.executor().feed(id, b"more\n").unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::BrokenPipe);
    fs::write(home.folder.path().join("go"), "").unwrap();
    assert_eq!(home.exit(id).exit_code, Some(0));
    assert_eq!(home.output(id), "end\n");
}

#[test]
fn what_cannot_be_fed_is_refused() {
    let mut home = Home::new();
    let id = home.launch(open(shell(ECHO), None));
    home.wait_for_line(id, "ready");
    for half in [&b""[..], b"half", b"one\nhalf"] {
        let refused = home.executor().feed(id, half).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    }
    home.executor().feed(id, b"whole\n").unwrap();
    home.executor().close_input(id).unwrap();
    assert_eq!(home.exit(id).exit_code, Some(0));
    assert_eq!(home.output(id), "ready\ngot whole\nend\n");
    let over = home.executor().feed(id, b"more\n").unwrap_err();
    assert_eq!(over.kind(), ErrorKind::NotFound);
    home.executor().close_input(id).unwrap();
    assert_eq!(home.read(id, "stdin"), "whole\n");

    let mut launch = shell("echo ready; while ! test -e go; do sleep 0.01; done; cat");
    launch.stdin = Some("fixed\n".to_owned());
    let fixed = home.launch(launch);
    home.wait_for_line(fixed, "ready");
    for _ in 0..2 {
        let refused = home.executor().feed(fixed, b"more\n").unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput);
        assert!(home.executor().close_input(fixed).is_err());
        home.restart_daemon();
        adopt(&mut home, fixed);
    }
    fs::write(home.folder.path().join("go"), "").unwrap();
    assert_eq!(home.exit(fixed).exit_code, Some(0));
    assert_eq!(home.output(fixed), "ready\nfixed\n");
}

#[test]
fn a_new_daemon_feeds_what_it_adopted() {
    let mut home = Home::new();
    let id = home.launch(open(shell(ECHO), None));
    home.executor().feed(id, b"one\n").unwrap();
    home.wait_for_line(id, "got one");
    home.restart_daemon();
    adopt(&mut home, id);
    home.executor().feed(id, b"two\nthree\n").unwrap();
    home.wait_for_line(id, "got three");
    home.kill_daemon();
    home.restart_daemon();
    adopt(&mut home, id);
    home.executor().feed(id, b"four\n").unwrap();
    home.executor().close_input(id).unwrap();
    assert_eq!(home.exit(id).exit_code, Some(0));
    let expected = "ready\ngot one\ngot two\ngot three\ngot four\nend\n";
    assert_eq!(home.output(id), expected);
    home.assert_silent();
}

#[test]
fn what_a_daemon_appended_just_before_its_death_arrives_and_half_a_line_never() {
    let mut home = Home::new();
    let id = home.launch(open(shell(ECHO), None));
    home.wait_for_line(id, "ready");
    home.kill_daemon();
    append(&home, id, b"appended\nhal");
    home.restart_daemon();
    adopt(&mut home, id);
    home.wait_for_line(id, "got appended");
    home.executor().feed(id, b"next\n").unwrap();
    home.executor().close_input(id).unwrap();
    assert_eq!(home.exit(id).exit_code, Some(0));
    assert_eq!(home.output(id), "ready\ngot appended\ngot next\nend\n");
    assert_eq!(home.read(id, "stdin"), "appended\nnext\n");
}

#[test]
fn a_command_that_never_reads_is_reported_and_its_shim_sleeps() {
    let mut home = Home::new();
    let quick = home.launch(open(shell("exit 3"), Some(much())));
    let exit = home.exit(quick);
    assert_eq!((exit.exit_code, exit.note), (Some(3), None));

    // With much to copy and no room, and with nothing to copy.
    for stdin in [Some(much()), None] {
        let line = "i=0; while [ $i -lt 100 ]; do sleep 0.01; i=$((i+1)); done; echo waited; sleep 1000";
        let id = home.launch(open(shell(line), stdin));
        home.wait_for_line(id, "waited");
        let shim = home.shim(id);
        // In hundredths of a second, of which at least a hundred have gone by.
        let stat = fs::read_to_string(format!("/proc/{shim}/stat")).unwrap();
        let fields: Vec<&str> = stat[stat.rfind(')').unwrap()..].split_whitespace().collect();
        let used: u64 = fields[12].parse::<u64>().unwrap() + fields[13].parse::<u64>().unwrap();
        assert!(used < 25, "{used} ticks");
        let wakes = status_field(shim, "voluntary_ctxt_switches:").unwrap();
        assert!(wakes.parse::<u64>().unwrap() < 80, "{wakes} wake-ups");
        home.executor().stop(id, plan(libc::SIGTERM, 60_000)).unwrap();
        let exit = home.exit(id);
        assert_eq!(
            (exit.stopped, exit.signal, exit.note),
            (Some(StopCause::Request), Some(libc::SIGTERM), None)
        );
    }
}

#[test]
fn a_command_that_closes_its_input_harms_nobody() {
    let mut home = Home::new();
    let line = "exec 0<&-; echo closed; while ! test -e go; do sleep 0.01; done; exit 4";
    let id = home.launch(open(shell(line), Some("early\n".to_owned())));
    home.wait_for_line(id, "closed");
    let shim = home.shim(id);
    for _ in 0..3 {
        home.executor().feed(id, b"late\n").unwrap();
    }
    wait_until("the pipe is closed", || pipes(shim) == 0);
    home.executor().feed(id, b"too late\n").unwrap();
    home.executor().close_input(id).unwrap();
    assert!(is_alive(shim));
    fs::write(home.folder.path().join("go"), "").unwrap();
    let exit = home.exit(id);
    assert_eq!((exit.exit_code, exit.note), (Some(4), None));
    assert_eq!(home.read(id, "stdin"), "early\nlate\nlate\nlate\ntoo late\n");
}

fn pipes(pid: i32) -> usize {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    let links = entries.filter_map(|entry| fs::read_link(entry.path()).ok());
    links
        .filter(|link| link.to_string_lossy().starts_with("pipe:"))
        .count()
}

#[test]
fn the_command_alone_has_the_reading_end_and_its_signals_are_the_defaults() {
    let mut home = Home::new();
    let id = home.launch(open(shell("ls /proc/self/fd; cat /proc/self/status; cat"), None));
    home.wait_for_line(id, "nonvoluntary");
    assert_eq!(pipes(home.shim(id)), 1);
    home.executor().close_input(id).unwrap();
    assert_eq!(home.exit(id).exit_code, Some(0));
    let output = home.output(id);
    // `ls` itself opens the folder as 3.
    let descriptors: Vec<&str> = output.lines().take_while(|line| line.len() < 3).collect();
    assert_eq!(descriptors, ["0", "1", "2", "3"]);
    // 32 and 33 belong to the C library.
    let own_of_libc: u64 = 0b11 << 31;
    for field in ["SigBlk:", "SigIgn:"] {
        let line = output.lines().find_map(|line| line.strip_prefix(field));
        let mask = u64::from_str_radix(line.unwrap().trim(), 16).unwrap();
        assert_eq!(mask & !own_of_libc, 0, "{field} {mask:x}");
    }
}

#[test]
fn attempts_one_after_another_have_inputs_of_their_own() {
    let mut home = Home::new();
    for round in 0..5 {
        let unread = home.launch(open(shell("exit 3"), Some(much())));
        assert_eq!(home.exit(unread).exit_code, Some(3));
        let id = home.launch(open(shell("echo $PPID; cat"), Some(format!("given {round}"))));
        home.executor()
            .feed(id, format!("fed {round}\n").as_bytes())
            .unwrap();
        let shim = home.wait_for_line(id, "");
        home.executor().close_input(id).unwrap();
        assert_eq!(home.exit(id).exit_code, Some(0));
        assert_eq!(home.output(id), format!("{shim}\ngiven {round}\nfed {round}\n"));
        let plain = home.launch(shell("cat; ls -l /proc/$PPID/fd | grep -c pipe:"));
        assert_eq!(home.exit(plain).exit_code, Some(1));
        assert_eq!(home.output(plain), "0\n");
    }
}

#[test]
fn a_full_disk_refuses_lines_and_takes_none_of_them() {
    let mut home = Home::new();
    let Some(_disk) = executor_support::SmallDisk::mount(&home.folder.path().join("tasks")) else {
        return;
    };
    let id = home.launch(open(shell(ECHO), Some("first".to_owned())));
    home.wait_for_line(id, "got first");
    let filler = home.folder.path().join("tasks/filler");
    assert!(fs::write(&filler, vec![0; 2 << 20]).is_err(), "the disk is full");
    let refused = home
        .executor()
        .feed(id, &b"refused\n".repeat(10_000))
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::StorageFull);
    assert_eq!(home.read(id, "stdin"), "first\n");
    fs::remove_file(filler).unwrap();
    home.executor().feed(id, b"second\n").unwrap();
    home.executor().close_input(id).unwrap();
    assert_eq!(home.exit(id).exit_code, Some(0));
    assert_eq!(home.output(id), "ready\ngot first\ngot second\nend\n");
}
