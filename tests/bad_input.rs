//! What bad input gets: for each kind the daemon's answer as it stands on the wire, and the command
//! line's words and exit code. After each, the connection and the shell go on.
#![allow(clippy::too_many_lines, reason = "tables, which are read line by line")]

mod support;

use std::os::unix::fs::PermissionsExt;

use support::wire::Wire;
use support::{shown, Home};

/// A home with a few tasks to refer to. Nothing starts in it.
fn stage() -> Home {
    let home = Home::with_config("[limits]\nline_bytes = \"64KiB\"\n");
    home.ok(["pause"]);
    home.ok(["queue", "--id", "first", "true"]);
    home.ok(["queue", "--id", "second", "--after", "first", "true"]);
    home
}

/// Long and changing parts, shortened.
fn plain(home: &Home, text: &str) -> String {
    let own = home.path().to_str().expect("UTF-8");
    text.replace(own, "~")
}

/// What is wrong, and a line that has it.
fn bad_lines() -> Vec<(&'static str, Vec<u8>)> {
    let long = format!(r#"{{"TaskQueue":{{"command":"{}"}}}}"#, "x".repeat(64 * 1024));
    let deep = format!(r#"{{"Status":{}{}}}"#, "[".repeat(200), "]".repeat(200));
    let short: &[(&str, &[u8])] = &[
        ("invalid JSON", br#"{"TaskQueue":{"command":"true",}}"#),
        ("no JSON", b"hello"),
        ("not an object", br#"["TaskQueue"]"#),
        ("invalid UTF-8", b"{\"TaskQueue\":{\"command\":\"caf\xe9\"}}"),
        ("unknown message", br#"{"TaskQeue":{"command":"true"}}"#),
        ("two messages", br#"{"Info":{},"Reload":{}}"#),
        ("unknown field", br#"{"TaskQueue":{"comand":"true"}}"#),
        (
            "priority 256",
            br#"{"TaskQueue":{"command":"true","priority":256}}"#,
        ),
        (
            "priority -1",
            br#"{"TaskQueue":{"command":"true","priority":-1}}"#,
        ),
        ("no command", br#"{"TaskQueue":{}}"#),
        ("empty command", br#"{"TaskQueue":{"command":" "}}"#),
        (
            "command and argv",
            br#"{"TaskQueue":{"command":"true","argv":["true"]}}"#,
        ),
        ("NUL", br#"{"TaskQueue":{"command":"a\u0000b"}}"#),
        ("NUL in an argument", br#"{"TaskQueue":{"argv":["a","b\u0000"]}}"#),
        (
            "unknown worker",
            br#"{"TaskQueue":{"command":"true","worker":"shel"}}"#,
        ),
        (
            "missing program",
            br#"{"TaskQueue":{"argv":["/no/such/program"]}}"#,
        ),
        (
            "program not on the PATH",
            br#"{"TaskQueue":{"argv":["no-such-program"],"env":{"PATH":"/usr/bin:/bin"}}}"#,
        ),
        (
            "missing folder",
            br#"{"TaskQueue":{"command":"true","cwd":"/no/such/folder"}}"#,
        ),
        (
            "relative folder",
            br#"{"TaskQueue":{"command":"true","cwd":"here"}}"#,
        ),
        (
            "unknown dependency",
            br#"{"TaskQueue":{"command":"true","after":["missing"]}}"#,
        ),
        (
            "unknown condition",
            br#"{"TaskQueue":{"command":"true","after":["first:sucess"]}}"#,
        ),
        ("cycle", br#"{"Edit":{"id":"first","after":["second"]}}"#),
        ("itself", br#"{"Edit":{"id":"first","after":["first"]}}"#),
        ("used id", br#"{"TaskQueue":{"id":"first","command":"false"}}"#),
        (
            "id with a slash",
            br#"{"TaskQueue":{"id":"a/b","command":"true"}}"#,
        ),
        ("id that climbs", br#"{"TaskQueue":{"id":"..","command":"true"}}"#),
        (
            "unknown environment",
            br#"{"TaskQueue":{"command":"true","env_ref":"00000000000000aa"}}"#,
        ),
        (
            "two environments",
            br#"{"TaskQueue":{"command":"true","env_ref":"00000000000000aa","env":{}}}"#,
        ),
        (
            "variable without a name",
            br#"{"TaskQueue":{"command":"true","env":{"":"x"}}}"#,
        ),
        (
            "duration as a text",
            br#"{"TaskQueue":{"command":"true","timeout_ms":"1h"}}"#,
        ),
        (
            "delay and moment",
            br#"{"TaskQueue":{"command":"true","delay_ms":1,"not_before_ms":2}}"#,
        ),
        (
            "edit: delay and moment",
            br#"{"Edit":{"id":"first","delay_ms":1,"not_before_ms":2}}"#,
        ),
        ("edit: empty command", br#"{"Edit":{"id":"first","command":""}}"#),
        ("edit: retries", br#"{"Edit":{"id":"first","retries":100000}}"#),
        ("unknown task", br#"{"Show":{"id":"missing"}}"#),
        ("unknown state", br#"{"Status":{"states":["runing"]}}"#),
        (
            "unknown signal",
            br#"{"Cancel":{"ids":["first"],"signal":"TREM"}}"#,
        ),
        ("no ids", br#"{"Cancel":{"ids":[]}}"#),
        ("wrong state", br#"{"Retry":{"ids":["first"]}}"#),
        ("no numbers", br#"{"ReserveIds":{"count":0}}"#),
        (
            "process without a workspace",
            br#"{"ProcessSpawn":{"workspace":"api","command":"true"}}"#,
        ),
        (
            "process without a command",
            br#"{"ProcessSpawn":{"workspace":"api"}}"#,
        ),
        (
            "unknown restart policy",
            br#"{"ProcessSpawn":{"workspace":"api","command":"true","restart":"sometimes"}}"#,
        ),
        (
            "several ready checks",
            br#"{"ProcessSpawn":{"workspace":"api","command":"true","ready":{"port":80,"line":"up"}}}"#,
        ),
        (
            "ready timeout alone",
            br#"{"ProcessSpawn":{"workspace":"api","command":"true","ready_timeout_ms":5}}"#,
        ),
        ("unknown process", br#"{"ProcessStop":{"ids":["@1"]}}"#),
        ("no processes", br#"{"ProcessRestart":{"ids":[]}}"#),
        (
            "unknown report",
            br#"{"StatusUpdate":{"process_id":"first","status":"waitin"}}"#,
        ),
        (
            "report of nobody",
            br#"{"StatusUpdate":{"process_id":"","status":"waiting"}}"#,
        ),
        (
            "report of what waits",
            br#"{"StatusUpdate":{"process_id":"first","status":"waiting"}}"#,
        ),
    ];
    let short = short.iter().map(|(what, line)| (*what, line.to_vec()));
    let grown = [
        ("deep nesting", deep.into_bytes()),
        ("too long", long.into_bytes()),
    ];
    grown.into_iter().chain(short).collect()
}

#[test]
fn over_the_socket() {
    let home = stage();
    let mut wire = Wire::connect(&home);
    let mut table = String::new();
    for (what, line) in bad_lines() {
        let answer = plain(&home, &wire.ask(line));
        let inner = answer.strip_prefix(r#"{"Error":{"code":"#);
        let inner = inner.unwrap_or_else(|| panic!("{what} is answered with {answer}"));
        table += &format!("{what}: {}\n", inner.trim_end_matches("}}"));
        let next = wire.ask(r#"{"Info":{}}"#);
        assert!(next.starts_with(r#"{"Daemon":"#), "after {what}: {next}");
    }
    insta::assert_snapshot!(table, @r#"
    deep nesting: "invalid_json","message":"nested deeper than 32 levels at column 42","hint":"no message needs more than four levels"
    too long: "line_too_long","message":"the line is longer than 65536 bytes","hint":"put long texts into a file, or raise `limits.line_bytes` in the config"
    invalid JSON: "invalid_json","message":"invalid JSON at column 32: key must be a string","hint":"send one JSON object per line"
    no JSON: "invalid_json","message":"invalid JSON at column 1: expected value","hint":"send one JSON object per line"
    not an object: "invalid_value","message":"the line is not a JSON object","hint":"a message is an object with exactly one key, its name: {\"Status\":{}}"
    invalid UTF-8: "invalid_json","message":"byte 28 of the line (0xe9) is not UTF-8","hint":"send the line as UTF-8"
    unknown message: "unknown_message","message":"there is no message `TaskQeue`","hint":"did you mean `TaskQueue`?"
    two messages: "invalid_value","message":"the object has 2 keys: Info, Reload","hint":"a message is an object with exactly one key, its name: {\"Status\":{}}"
    unknown field: "unknown_field","message":"`TaskQueue` has no field `comand`","hint":"did you mean `command`?"
    priority 256: "invalid_value","message":"`priority` of `TaskQueue` must be a whole number from 0 to 255, not 256","hint":"docs/protocol.md shows `TaskQueue` with all its fields"
    priority -1: "invalid_value","message":"`priority` of `TaskQueue` must be a whole number from 0 to 255, not -1","hint":"docs/protocol.md shows `TaskQueue` with all its fields"
    no command: "invalid_value","message":"the task has neither `command` nor `argv`","hint":"give it one of them"
    empty command: "invalid_value","message":"`command` is empty","hint":"say what to run"
    command and argv: "invalid_value","message":"the task has both `command` and `argv`","hint":"give it one of them"
    NUL: "invalid_value","message":"`command` contains a NUL at byte 1","hint":"the system takes no NUL there"
    NUL in an argument: "invalid_value","message":"`argv[1]` contains a NUL at byte 1","hint":"the system takes no NUL there"
    unknown worker: "unknown_worker","message":"there is no worker profile 'shel'","hint":"did you mean 'shell'? known profiles: claude, exec, shell; add one to the config as [workers.shel]"
    missing program: "missing_program","message":"there is no program '/no/such/program' (tried /no/such/program)","hint":"check the spelling, install it, or give its full path"
    program not on the PATH: "missing_program","message":"there is no program 'no-such-program' (tried /usr/bin/no-such-program, /bin/no-such-program)","hint":"check the spelling, install it, or give its full path"
    missing folder: "missing_cwd","message":"the working folder '/no/such/folder' does not exist","hint":"create it, or give another with cwd"
    relative folder: "invalid_value","message":"`cwd` is not absolute: \"here\"","hint":"the daemon has another working folder than you: send the whole path"
    unknown dependency: "unknown_task","message":"there is no task 'missing' to wait for","hint":"queue it first; `wezterm-parallel status` lists the tasks"
    unknown condition: "invalid_value","message":"`after` has an unknown condition: \"sucess\"","hint":"did you mean `success`?"
    cycle: "cycle","message":"these tasks would wait for each other: first → second → first","hint":"leave out one of these dependencies"
    itself: "cycle","message":"these tasks would wait for each other: first → first","hint":"leave out one of these dependencies"
    used id: "conflict","message":"id 'first' was used before, by a task with other content","hint":"choose another id, or leave it out to get the next free number"
    id with a slash: "invalid_value","message":"`id` contains '/'","hint":"1 to 64 characters of A-Z a-z 0-9 . _ -, not beginning with . or -"
    id that climbs: "invalid_value","message":"`id` begins with \".\"","hint":"1 to 64 characters of A-Z a-z 0-9 . _ -, not beginning with . or -"
    unknown environment: "invalid_value","message":"`env_ref`: no environment is stored as '00000000000000aa'","hint":"send an Environment message first and use the hash that it is answered with"
    two environments: "invalid_value","message":"the task has both `env` and `env_ref`","hint":"give it one of them; `env_add` adds to either"
    variable without a name: "invalid_value","message":"`env` has a variable without a name","hint":"send {\"NAME\":\"value\"}"
    duration as a text: "invalid_value","message":"`timeout_ms` of `TaskQueue` must be a whole number from 0 to 18446744073709551615, not \"1h\"","hint":"docs/protocol.md shows `TaskQueue` with all its fields"
    delay and moment: "invalid_value","message":"the task has both `delay_ms` and `not_before_ms`","hint":"give it one of them"
    edit: delay and moment: "invalid_value","message":"the task has both `delay_ms` and `not_before_ms`","hint":"give it one of them"
    edit: empty command: "invalid_value","message":"`command` is empty","hint":"say what to run"
    edit: retries: "invalid_value","message":"`retries` is 100000; 1000 are allowed","hint":"more than that is a loop: let the command itself try again"
    unknown task: "unknown_task","message":"there is no task 'missing'","hint":"`wezterm-parallel status` lists the tasks"
    unknown state: "invalid_value","message":"there is no state 'runing'","hint":"states: delayed, blocked, held, queued, running, paused, waiting, succeeded, failed, cancelled, skipped, lost"
    unknown signal: "invalid_value","message":"there is no signal 'TREM'","hint":"give a name such as INT, TERM, HUP, KILL, or a number"
    no ids: "invalid_value","message":"no ids are given","hint":"name at least one task"
    wrong state: "wrong_state","message":"task 'first' is queued, but must be over","hint":"nothing was changed"
    no numbers: "invalid_value","message":"`count` is 0, but must be 1 to 10000000","hint":"reserve in several steps"
    process without a workspace: "not_found","message":"there is no workspace 'api'","hint":"`wezterm-parallel workspace list` shows them all"
    process without a command: "invalid_value","message":"there is neither `command` nor `argv`","hint":"give one of them"
    unknown restart policy: "invalid_value","message":"`restart` of `ProcessSpawn` cannot be `sometimes`","hint":"known are: never, on-failure, always"
    several ready checks: "invalid_value","message":"`ready` takes one of `port`, `line`, `pattern` and `command`","hint":"leave `ready` out if there is nothing to wait for"
    ready timeout alone: "invalid_value","message":"there is `ready_timeout_ms` and no `ready`","hint":"say how it is found out that it is ready, by port, line, pattern or command"
    unknown process: "not_found","message":"there is no process '@1'","hint":"`wezterm-parallel process list` shows them all, with their ids"
    no processes: "invalid_value","message":"no ids are given","hint":"name at least one process; `wezterm-parallel process list` shows them"
    unknown report: "invalid_value","message":"`status`: a worker cannot report 'waitin'","hint":"did you mean `waiting`?"
    report of nobody: "invalid_value","message":"`process_id` is empty","hint":"a worker finds its own in WEZTERM_PARALLEL_TASK"
    report of what waits: "wrong_state","message":"task 'first' is queued: only what runs can report its status","hint":"nothing was changed"
    "#);
    assert_eq!(home.tasks().len(), 2, "something was queued");
    // A line without an end is cut off, with a word why.
    let mut endless = Wire::connect(&home);
    while endless.try_say("x".repeat(64 * 1024)) {}
    let told: Vec<String> = std::iter::from_fn(|| endless.hear()).collect();
    assert!(told.iter().all(|line| line.contains("line_too_long")), "{told:?}");
    assert!(!told.is_empty());
}

#[test]
fn on_the_command_line() {
    let home = stage();
    std::fs::write(
        home.path().join("list"),
        "{\"command\":\"true\"}\n{\"comand\":\"true\"}\n",
    )
    .expect("a list");
    std::fs::write(
        home.path().join("broken"),
        "{\"command\":\"true\"}\n{\"command\":\"true\",}\n",
    )
    .expect("a list");
    std::fs::write(home.path().join("latin"), b"echo caf\xe9\n").expect("a list");
    let commands: &[&[&str]] = &[
        &["queue"],
        &["queue", ""],
        &["queue", "a", "b"],
        &["queue", "-p", "256", "true"],
        &["queue", "-p", "-1", "true"],
        &["queue", "-p", "hgih", "true"],
        &["queue", "--timeout", "5", "true"],
        &["queue", "--delay", "soon", "true"],
        &["queue", "--at", "noonish", "true"],
        &["queue", "--worker", "shel", "true"],
        &["queue", "--", "/no/such/program"],
        &["queue", "--", "no-such-program"],
        &["queue", "--cwd", "/no/such/folder", "true"],
        &["queue", "--after", "missing", "true"],
        &["queue", "--after", "first:sucess", "true"],
        &["queue", "--id", "first", "false"],
        &["queue", "--id", "a/b", "true"],
        &["queue", "--env", "MISSING_VARIABLE", "true"],
        &["queue", "--env", "=x", "true"],
        &["batch", "list"],
        &["batch", "broken"],
        &["batch", "latin"],
        &["batch", "missing"],
        &["edit", "first", "--after", "second"],
        &["show", "missing"],
        &["log", "missing"],
        &["cancel", "--signal", "TREM", "first"],
        &["retry", "first"],
        &["status", "--state", "runing"],
        &["statsu"],
    ];
    let mut table = String::new();
    for command in commands {
        let mut run = home.command(*command);
        let output = run.env("PATH", "/usr/bin:/bin").output().expect("it starts");
        assert!(!output.status.success(), "{command:?}: {}", shown(&output));
        assert!(output.stdout.is_empty(), "{command:?}: {}", shown(&output));
        let words = plain(&home, &String::from_utf8_lossy(&output.stderr));
        let words: String = words
            .lines()
            .filter(|line| !line.trim().is_empty())
            .map(|line| format!("    {line}\n"))
            .collect();
        let code = output.status.code().expect("no signal");
        table += &format!("$ {} → {code}\n{words}", command.join(" "));
    }
    insta::assert_snapshot!(table, @r#"
    $ queue → 2
        error: there is nothing to queue
        hint: `queue 'fix the flaky test'` takes a prompt, `queue --shell 'make test'` a shell line, `queue -- cargo test` a program with its arguments, and `queue -` reads from stdin
    $ queue  → 2
        error: the prompt or command is empty
        hint: `queue 'fix the flaky test'` takes a prompt, `queue --shell 'make test'` a shell line, `queue -- cargo test` a program with its arguments, and `queue -` reads from stdin
    $ queue a b → 2
        error: a prompt is one argument, and `a b` is several
        hint: write `queue 'a b'` for a prompt, `queue --shell 'a b'` for a shell line, or `queue -- a b` for a program with its arguments
    $ queue -p 256 true → 2
        error: invalid value '256' for '--priority <N>': a priority is 0 to 255, or low (50), normal (100), high (150), urgent (200)
        For more information, try '--help'.
    $ queue -p -1 true → 2
        error: invalid value '-1' for '--priority <N>': a priority is 0 to 255, or low (50), normal (100), high (150), urgent (200)
        For more information, try '--help'.
    $ queue -p hgih true → 2
        error: invalid value 'hgih' for '--priority <N>': a priority is 0 to 255, or low (50), normal (100), high (150), urgent (200)
        For more information, try '--help'.
    $ queue --timeout 5 true → 2
        error: invalid value '5' for '--timeout <DURATION>': a duration is a number with a unit, like 500ms, 90s, 1h30m or 2days
        For more information, try '--help'.
    $ queue --delay soon true → 2
        error: invalid value 'soon' for '--delay <DURATION>': a duration is a number with a unit, like 500ms, 90s, 1h30m or 2days
        For more information, try '--help'.
    $ queue --at noonish true → 2
        error: invalid value 'noonish' for '--at <MOMENT>': a moment is a local time like 18:30 or "2026-01-02 03:04", or RFC 3339 like 2026-01-02T03:04:05+01:00
        For more information, try '--help'.
    $ queue --worker shel true → 4
        error: there is no worker profile 'shel'
        hint: did you mean 'shell'? known profiles: claude, exec, shell; add one to the config as [workers.shel]
    $ queue -- /no/such/program → 4
        error: there is no program '/no/such/program' (tried /no/such/program)
        hint: check the spelling, install it, or give its full path
    $ queue -- no-such-program → 4
        error: there is no program 'no-such-program' (tried /usr/bin/no-such-program, /bin/no-such-program)
        hint: check the spelling, install it, or give its full path
    $ queue --cwd /no/such/folder true → 2
        error: there is no folder /no/such/folder
        hint: create it, or name another with --cwd
    $ queue --after missing true → 4
        error: there is no task 'missing' to wait for
        hint: queue it first; `wezterm-parallel status` lists the tasks
    $ queue --after first:sucess true → 2
        error: invalid value 'first:sucess' for '--after <ID[:WHEN]>': `after` has an unknown condition: "sucess" (did you mean `success`?)
        For more information, try '--help'.
    $ queue --id first false → 4
        error: id 'first' was used before, by a task with other content
        hint: choose another id, or leave it out to get the next free number
    $ queue --id a/b true → 2
        error: invalid value 'a/b' for '--id <ID>': `id` contains '/' (1 to 64 characters of A-Z a-z 0-9 . _ -, not beginning with . or -)
        For more information, try '--help'.
    $ queue --env MISSING_VARIABLE true → 2
        error: the variable MISSING_VARIABLE is not set here
        hint: `--env MISSING_VARIABLE=VALUE` sets it
    $ queue --env =x true → 2
        error: invalid value '=x' for '--env <NAME[=VALUE]>': a variable is NAME (copied from here) or NAME=VALUE
        For more information, try '--help'.
    $ batch list → 2
        error: list:2:9: `TaskQueue` has no field `comand`
        hint: did you mean `command`?; nothing was queued
    $ batch broken → 2
        error: broken:2:19: invalid JSON: trailing comma
        hint: a line that begins with { is one JSON object; `--lines` takes it as it is; nothing was queued
    $ batch latin → 2
        error: latin:1:9: byte 0xe9 is not UTF-8
        hint: save the file as UTF-8; nothing was queued
    $ batch missing → 2
        error: cannot read missing: No such file or directory (os error 2)
    $ edit first --after second → 4
        error: these tasks would wait for each other: first → second → first
        hint: leave out one of these dependencies
    $ show missing → 4
        error: there is no task 'missing'
        hint: `wezterm-parallel status` lists the tasks
    $ log missing → 4
        error: there is no task 'missing'
        hint: `wezterm-parallel status` lists the tasks
    $ cancel --signal TREM first → 4
        error: there is no signal 'TREM'
        hint: give a name such as INT, TERM, HUP, KILL, or a number
    $ retry first → 4
        error: task 'first' is queued, but must be over
        hint: nothing was changed
    $ status --state runing → 2
        error: invalid value 'runing' for '--state <STATE>'
          [possible values: delayed, blocked, held, queued, running, paused, waiting, succeeded, failed, cancelled, skipped, lost]
          tip: a similar value exists: 'running'
        For more information, try '--help'.
    $ statsu → 2
        error: unrecognized subcommand 'statsu'
          tip: some similar subcommands exist: 'setup', 'status'
        Usage: wezterm-parallel [OPTIONS] <COMMAND>
        For more information, try '--help'.
    "#);
    assert_eq!(home.tasks().len(), 2, "something was queued");
}

#[test]
fn a_program_that_vanishes_after_queueing_is_named_with_its_path() {
    let home = Home::new();
    home.ok(["pause"]);
    let program = home.path().join("program");
    std::fs::write(&program, "#!/bin/sh\n").expect("a program");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("a mode");
    home.ok(["queue", "--id", "t", "--", program.to_str().expect("UTF-8")]);
    std::fs::remove_file(&program).expect("it is there");
    home.ok(["resume"]);
    let task = home.wait_state("t", &["failed", "succeeded", "lost"]);
    assert_eq!(task.reason.as_deref(), Some("spawn_error"), "{task:?}");
    let message = task.attempts[0].message.clone().expect("a message");
    assert!(message.contains(program.to_str().expect("UTF-8")), "{message}");
}

#[test]
fn a_config_that_is_wrong_or_open_to_others() {
    let home = Home::with_config("[pool]\nslot = 4\n");
    let file = home.path().join(".config/wezterm-parallel/config.toml");
    let mut table = String::new();
    let mut note = |what: &str, command: &[&str]| {
        let output = home.run(command);
        let words = plain(&home, &shown(&output));
        table += &format!("{what}: {}\n", words.trim_end().replace('\n', "\n    "));
    };
    note("unknown key", &["config", "check"]);
    note("unknown key", &["daemon"]);
    home.configure("[pool]\nslots = 4\n");
    let open = std::fs::Permissions::from_mode(0o664);
    std::fs::set_permissions(&file, open).expect("a mode");
    note("open to others", &["config", "check"]);
    note("open to others", &["daemon"]);
    insta::assert_snapshot!(table, @r###"
    unknown key: exit status: 2
        --- stdout
        --- stderr
        error: ~/.config/wezterm-parallel/config.toml:2:1: unknown key `slot` in `pool`
        hint: did you mean `slots`?
    unknown key: exit status: 2
        --- stdout
        --- stderr
        error: ~/.config/wezterm-parallel/config.toml:2:1: unknown key `slot` in `pool`
        hint: did you mean `slots`?
    open to others: exit status: 2
        --- stdout
        --- stderr
        error: the config ~/.config/wezterm-parallel/config.toml can be written by others (mode 0664)
        hint: chmod go-w ~/.config/wezterm-parallel/config.toml
    open to others: exit status: 2
        --- stdout
        --- stderr
        error: the config ~/.config/wezterm-parallel/config.toml can be written by others (mode 0664)
        hint: chmod go-w ~/.config/wezterm-parallel/config.toml
    "###);
}

#[test]
fn a_config_that_goes_wrong_later_leaves_the_old_one_in_force() {
    let home = Home::with_config("[pool]\nslots = 3\n");
    let daemon = home.daemon();
    home.configure("[pool]\nslots = \"many\"\n");
    let mut wire = Wire::connect(&home);
    let answer = plain(&home, &wire.ask(r#"{"Reload":{}}"#));
    insta::assert_snapshot!(answer, @r#"{"Error":{"code":"invalid_config","message":"~/.config/wezterm-parallel/config.toml:2:9: `pool.slots` must be a number from 1 to 4096, or \"auto\", not \"many\"","hint":"the old config stays in force; `wezterm-parallel config check` tells more"}}"#);
    assert_eq!(home.summary().slots, 3);
    let pid = rustix::process::Pid::from_raw(daemon.pid() as i32).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::HUP).expect("it runs");
    support::wait_for("a warning", || {
        wire.ask(r#"{"Info":{}}"#).contains("pool.slots").then_some(())
    });
    home.configure("[pool]\nslots = 5\n");
    let answer = wire.ask(r#"{"Reload":{}}"#);
    assert!(answer.starts_with(r#"{"Daemon":"#), "{answer}");
    assert_eq!(home.summary().slots, 5);
}
