//! The codec and the checks, with the texts that a client gets to see.

use std::collections::BTreeMap;

use proptest::prelude::*;
use wezterm_parallel_scheduler::Condition;

use super::*;

/// The error as one text.
fn told(result: Result<impl std::fmt::Debug, ErrorAnswer>) -> String {
    let error = result.unwrap_err();
    let code = serde_json::to_value(error.code).unwrap();
    let code = code.as_str().unwrap();
    if error.hint.is_empty() {
        return format!("{code}: {}", error.message);
    }
    format!("{code}: {}\nhint: {}", error.message, error.hint)
}

fn refused(line: impl AsRef<[u8]>) -> String {
    told(decode(line.as_ref()))
}

#[test]
fn the_first_four_messages_keep_their_shape() {
    let decoded = |line: &str| decode(line.as_bytes()).unwrap();
    assert_eq!(
        decoded(r#"{"TaskQueue":{"id":"t1","priority":120,"command":"fix the flaky test"}}"#),
        Message::TaskQueue(Box::new(TaskQueue {
            id: "t1".to_owned(),
            priority: Some(120),
            command: Some("fix the flaky test".to_owned()),
            ..TaskQueue::default()
        }))
    );
    assert_eq!(
        decoded(r#"{"WorkspaceCreate":{"name":"api","template":"default"}}"#),
        Message::WorkspaceCreate(Box::new(WorkspaceCreate {
            name: "api".to_owned(),
            template: "default".to_owned(),
            ..WorkspaceCreate::default()
        }))
    );
    assert_eq!(
        decoded(r#"{"ProcessSpawn":{"workspace":"api","command":"npm run dev"}}"#),
        Message::ProcessSpawn(ProcessSpawn {
            workspace: "api".to_owned(),
            command: "npm run dev".to_owned(),
        })
    );
    assert_eq!(
        decoded(r#"{"StatusUpdate":{"process_id":"t1","status":"Queued"}}"#),
        Message::StatusUpdate(StatusUpdate {
            process_id: "t1".to_owned(),
            status: "Queued".to_owned(),
        })
    );
    assert_eq!(decoded(" {\"Info\" : {} } \r"), Message::Info {});
}

#[test]
fn what_is_no_json_is_said_with_its_column() {
    insta::assert_snapshot!(refused("{\"Status\":{}"), @r"
    invalid_json: invalid JSON at column 12: EOF while parsing an object
    hint: send one JSON object per line
    ");
    insta::assert_snapshot!(refused("{\"Status\":{}} x"), @r"
    invalid_json: invalid JSON at column 15: trailing characters
    hint: send one JSON object per line
    ");
    insta::assert_snapshot!(refused("hello"), @r"
    invalid_json: invalid JSON at column 1: expected value
    hint: send one JSON object per line
    ");
    insta::assert_snapshot!(refused("{\"Show\":{\"id\":\"a\tb\"}}"), @r"
    invalid_json: invalid JSON at column 16: control character (\u0000-\u001F) found while parsing a string
    hint: send one JSON object per line
    ");
    insta::assert_snapshot!(refused("{\"Show\":{\"id\":\"\\ud800\"}}"), @r"
    invalid_json: invalid JSON at column 22: unexpected end of hex escape
    hint: send one JSON object per line
    ");
    insta::assert_snapshot!(refused(b"{\"Show\":{\"id\":\"\xff\"}}"), @r"
    invalid_json: byte 15 of the line (0xff) is not UTF-8
    hint: send the line as UTF-8
    ");
    insta::assert_snapshot!(refused(""), @r"
    invalid_json: invalid JSON at column 0: EOF while parsing a value
    hint: send one JSON object per line
    ");
}

#[test]
fn deep_nesting_is_refused_before_anything_recurses_into_it() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    insta::assert_snapshot!(refused(nested(500_000)), @r"
    invalid_json: nested deeper than 32 levels at column 33
    hint: no message needs more than four levels
    ");
    insta::assert_snapshot!(refused(format!("{{\"TaskQueue\":{{\"env\":{}}}}}", nested(31))), @r"
    invalid_json: nested deeper than 32 levels at column 51
    hint: no message needs more than four levels
    ");
    insta::assert_snapshot!(refused(format!("{{\"TaskQueue\":{{\"env\":{}}}}}", nested(30))), @r"
    invalid_value: `env` of `TaskQueue` must be an object, not a list
    hint: docs/protocol.md shows `TaskQueue` with all its fields
    ");
    let quoted = format!("{{\"TaskQueue\":{{\"command\":\"\\\"{}\"}}}}", "[".repeat(99));
    assert!(
        decode(quoted.as_bytes()).is_ok(),
        "brackets in a text do not nest"
    );
}

#[test]
fn a_message_is_an_object_with_one_key() {
    insta::assert_snapshot!(refused("{}"), @r#"
    invalid_value: the object names no message
    hint: a message is an object with exactly one key, its name: {"Status":{}}
    "#);
    insta::assert_snapshot!(refused("[]"), @r#"
    invalid_value: the line is not a JSON object
    hint: a message is an object with exactly one key, its name: {"Status":{}}
    "#);
    insta::assert_snapshot!(refused("\"Info\""), @r#"
    invalid_value: the line is not a JSON object
    hint: a message is an object with exactly one key, its name: {"Status":{}}
    "#);
    insta::assert_snapshot!(refused("{\"Info\":{},\"Status\":{}}"), @r#"
    invalid_value: the object has 2 keys: Info, Status
    hint: a message is an object with exactly one key, its name: {"Status":{}}
    "#);
    insta::assert_snapshot!(refused("{\"Info\":null}"), @r#"
    invalid_value: `Info` takes an object with named fields
    hint: {"Info":{…}}
    "#);
    insta::assert_snapshot!(refused("{\"Show\":[\"t1\"]}"), @r#"
    invalid_value: `Show` takes an object with named fields
    hint: {"Show":{…}}
    "#);
    insta::assert_snapshot!(refused("{\"Show\":\"t1\"}"), @r#"
    invalid_value: `Show` takes an object with named fields
    hint: {"Show":{…}}
    "#);
}

#[test]
fn unknown_names_are_told_the_nearest_known_one() {
    insta::assert_snapshot!(refused("{\"TaskQueu\":{}}"), @r"
    unknown_message: there is no message `TaskQueu`
    hint: did you mean `TaskQueue`?
    ");
    insta::assert_snapshot!(refused("{\"task_queue\":{}}"), @r"
    unknown_message: there is no message `task_queue`
    hint: did you mean `TaskQueue`?
    ");
    insta::assert_snapshot!(refused("{\"Frobnicate\":{}}"), @r"
    unknown_message: there is no message `Frobnicate`
    hint: known are: TaskQueue, WorkspaceCreate, WorkspaceList, WorkspaceShow, WorkspaceEdit, WorkspaceRemove, ProcessSpawn, StatusUpdate, Check, Status, Show, Explain, Cancel, Retry, Edit, Hold, Release, Pause, Resume, Answer, Admission, Cost, Metrics, Clean, ReserveIds, Environment, Subscribe, Info, Shutdown, Reload
    ");
    insta::assert_snapshot!(refused("{\"TaskQueue\":{\"comand\":\"ls\"}}"), @r"
    unknown_field: `TaskQueue` has no field `comand`
    hint: did you mean `command`?
    ");
    insta::assert_snapshot!(refused("{\"Show\":{\"key\":\"t1\"}}"), @r"
    unknown_field: `Show` has no field `key`
    hint: known are: id
    ");
    insta::assert_snapshot!(refused("{\"Info\":{\"verbose\":true}}"), @r"
    unknown_field: `Info` has no field `verbose`
    hint: it has no fields at all
    ");
    insta::assert_snapshot!(refused("{\"TaskQueue\":{\"a`, expected `b\":1}}"), @r"
    unknown_field: `TaskQueue` has no field `a`, expected `b`
    hint: known are: id, priority, command, argv, worker, cwd, cwd_gives_way, env, env_ref, env_add, workspace, default_workspace, label, after, delay_ms, not_before_ms, timeout_ms, retries, max_queue_time_ms, hold, memory_bytes, cpus, stdin, claude, worktree, worktree_base
    ");
    let long = format!("{{\"{}\":{{}}}}", "x".repeat(100_000));
    assert!(refused(long).len() < 500);
}

#[test]
fn wrong_values_are_told_what_is_allowed() {
    insta::assert_snapshot!(refused("{\"TaskQueue\":{\"priority\":256}}"), @r"
    invalid_value: `priority` of `TaskQueue` must be a whole number from 0 to 255, not 256
    hint: docs/protocol.md shows `TaskQueue` with all its fields
    ");
    insta::assert_snapshot!(refused("{\"TaskQueue\":{\"priority\":-1}}"), @r"
    invalid_value: `priority` of `TaskQueue` must be a whole number from 0 to 255, not -1
    hint: docs/protocol.md shows `TaskQueue` with all its fields
    ");
    insta::assert_snapshot!(refused("{\"TaskQueue\":{\"priority\":1.5}}"), @r"
    invalid_value: `priority` of `TaskQueue` must be a whole number from 0 to 255, not 1.5
    hint: docs/protocol.md shows `TaskQueue` with all its fields
    ");
    insta::assert_snapshot!(refused("{\"TaskQueue\":{\"priority\":\"high\"}}"), @r#"
    invalid_value: `priority` of `TaskQueue` must be a whole number from 0 to 255, not "high"
    hint: docs/protocol.md shows `TaskQueue` with all its fields
    "#);
    insta::assert_snapshot!(refused("{\"TaskQueue\":{\"retries\":-1}}"), @r"
    invalid_value: `retries` of `TaskQueue` must be a whole number from 0 to 4294967295, not -1
    hint: docs/protocol.md shows `TaskQueue` with all its fields
    ");
    insta::assert_snapshot!(refused("{\"TaskQueue\":{\"delay_ms\":1e30}}"), @r"
    invalid_value: `delay_ms` of `TaskQueue` must be a whole number from 0 to 18446744073709551615, not 1e+30
    hint: docs/protocol.md shows `TaskQueue` with all its fields
    ");
    insta::assert_snapshot!(refused("{\"TaskQueue\":{\"argv\":\"ls\"}}"), @r#"
    invalid_value: `argv` of `TaskQueue` must be a list, not "ls"
    hint: docs/protocol.md shows `TaskQueue` with all its fields
    "#);
    insta::assert_snapshot!(refused("{\"TaskQueue\":{\"argv\":[\"ls\",1]}}"), @r"
    invalid_value: `argv[1]` of `TaskQueue` must be a string, not 1
    hint: docs/protocol.md shows `TaskQueue` with all its fields
    ");
    insta::assert_snapshot!(refused("{\"TaskQueue\":{\"env\":{\"A\":1}}}"), @r"
    invalid_value: `env.A` of `TaskQueue` must be a string, not 1
    hint: docs/protocol.md shows `TaskQueue` with all its fields
    ");
    insta::assert_snapshot!(refused("{\"TaskQueue\":{\"hold\":\"yes\"}}"), @r#"
    invalid_value: `hold` of `TaskQueue` must be true or false, not "yes"
    hint: docs/protocol.md shows `TaskQueue` with all its fields
    "#);
    insta::assert_snapshot!(refused("{\"Show\":{}}"), @r"
    invalid_value: `Show` needs the field `id`
    hint: docs/protocol.md shows `Show` with all its fields
    ");
    insta::assert_snapshot!(refused("{\"Show\":{\"id\":\"a\",\"id\":\"b\"}}"), @r"
    invalid_value: `Show` has the field `id` twice
    hint: docs/protocol.md shows `Show` with all its fields
    ");
    let long = format!("{{\"TaskQueue\":{{\"priority\":\"{}\"}}}}", "x".repeat(100_000));
    assert!(refused(long).len() < 500);
}

fn task(change: impl FnOnce(&mut TaskQueue)) -> TaskQueue {
    let mut task = TaskQueue {
        command: Some("true".to_owned()),
        ..TaskQueue::default()
    };
    change(&mut task);
    task
}

fn unfit(change: impl FnOnce(&mut TaskQueue)) -> String {
    told(check_task(&task(change)))
}

fn variables(name: &str, value: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(name.to_owned(), value.to_owned())])
}

#[test]
fn a_fit_task_passes() {
    assert_eq!(check_task(&task(|_| {})), Ok(()));
    let whole = task(|task| {
        task.id = "A.b_c-9".to_owned();
        task.command = None;
        task.argv = Some(vec!["ls".to_owned(), String::new()]);
        task.cwd = Some("/tmp".to_owned());
        task.env = Some(variables("A", "b=c"));
        task.after = vec!["1".to_owned(), "x:any".to_owned()];
        task.workspace = Some("api".to_owned());
        task.retries = Some(1000);
    });
    assert_eq!(check_task(&whole), Ok(()));
}

#[test]
fn unfit_names_are_told_the_rules() {
    insta::assert_snapshot!(unfit(|task| task.id = ".hidden".to_owned()), @r#"
    invalid_value: `id` begins with "."
    hint: 1 to 64 characters of A-Z a-z 0-9 . _ -, not beginning with . or -
    "#);
    insta::assert_snapshot!(unfit(|task| task.id = "a/b".to_owned()), @r"
    invalid_value: `id` contains '/'
    hint: 1 to 64 characters of A-Z a-z 0-9 . _ -, not beginning with . or -
    ");
    insta::assert_snapshot!(unfit(|task| task.id = "x".repeat(65)), @r"
    invalid_value: `id` has 65 characters
    hint: 1 to 64 characters of A-Z a-z 0-9 . _ -, not beginning with . or -
    ");
    insta::assert_snapshot!(unfit(|task| task.id = "ä".to_owned()), @r"
    invalid_value: `id` contains 'ä'
    hint: 1 to 64 characters of A-Z a-z 0-9 . _ -, not beginning with . or -
    ");
    insta::assert_snapshot!(told(check_id("")), @r"
    invalid_value: `id` is empty
    hint: 1 to 64 characters of A-Z a-z 0-9 . _ -, not beginning with . or -
    ");
    insta::assert_snapshot!(unfit(|task| task.worker = Some(String::new())), @r"
    invalid_value: `worker` is empty
    hint: 1 to 64 characters of A-Z a-z 0-9 . _ -, not beginning with . or -
    ");
    insta::assert_snapshot!(unfit(|task| task.workspace = Some("..".to_owned())), @r#"
    invalid_value: `workspace` begins with "."
    hint: 1 to 64 characters of A-Z a-z 0-9 . _ -, not beginning with . or -
    "#);
    insta::assert_snapshot!(unfit(|task| task.label = Some("a\nb".to_owned())), @r"
    invalid_value: `label` contains '\n'
    hint: labels are shown in tables: no control characters
    ");
}

#[test]
fn unfit_commands_are_refused() {
    insta::assert_snapshot!(unfit(|task| task.command = None), @r"
    invalid_value: the task has neither `command` nor `argv`
    hint: give it one of them
    ");
    insta::assert_snapshot!(unfit(|task| task.argv = Some(vec!["ls".to_owned()])), @r"
    invalid_value: the task has both `command` and `argv`
    hint: give it one of them
    ");
    insta::assert_snapshot!(unfit(|task| task.command = Some(" ".to_owned())), @r"
    invalid_value: `command` is empty
    hint: say what to run
    ");
    insta::assert_snapshot!(unfit(|task| task.command = Some("a\0b".to_owned())), @r"
    invalid_value: `command` contains a NUL at byte 1
    hint: the system takes no NUL there
    ");
    let argv = |argv: &[&str]| {
        let argv = argv.iter().map(|argument| (*argument).to_owned()).collect();
        unfit(|task| {
            task.command = None;
            task.argv = Some(argv);
        })
    };
    insta::assert_snapshot!(argv(&[]), @r"
    invalid_value: `argv` is empty
    hint: name a program
    ");
    insta::assert_snapshot!(argv(&["", "a"]), @r"
    invalid_value: `argv[0]` is empty
    hint: name a program
    ");
    insta::assert_snapshot!(argv(&["ls", "a\0"]), @r"
    invalid_value: `argv[1]` contains a NUL at byte 1
    hint: the system takes no NUL there
    ");
}

#[test]
fn unfit_surroundings_are_refused() {
    insta::assert_snapshot!(unfit(|task| task.cwd = Some("src".to_owned())), @r#"
    invalid_value: `cwd` is not absolute: "src"
    hint: the daemon has another working folder than you: send the whole path
    "#);
    insta::assert_snapshot!(unfit(|task| task.cwd = Some("/a\0".to_owned())), @r"
    invalid_value: `cwd` contains a NUL at byte 2
    hint: the system takes no NUL there
    ");
    insta::assert_snapshot!(unfit(|task| task.env = Some(variables("", "x"))), @r#"
    invalid_value: `env` has a variable without a name
    hint: send {"NAME":"value"}
    "#);
    insta::assert_snapshot!(unfit(|task| task.env = Some(variables("A=B", "x"))), @r#"
    invalid_value: `env` has a variable with a `=` in its name: "A=B"
    hint: send {"NAME":"value"}
    "#);
    insta::assert_snapshot!(unfit(|task| task.env_add = variables("A", "x\0")), @r"
    invalid_value: `env_add.A` contains a NUL at byte 1
    hint: the system takes no NUL there
    ");
    insta::assert_snapshot!(unfit(|task| task.env_add = variables("A", &"x".repeat(131_072))), @r"
    invalid_value: `env_add.A` has 131074 bytes; the system takes 131071
    hint: pass long texts by `stdin` or in a file
    ");
    insta::assert_snapshot!(unfit(|task| {
        task.delay_ms = Some(1);
        task.not_before_ms = Some(1);
    }), @r"
    invalid_value: the task has both `delay_ms` and `not_before_ms`
    hint: give it one of them
    ");
    insta::assert_snapshot!(unfit(|task| task.retries = Some(1001)), @r"
    invalid_value: `retries` is 1001; 1000 are allowed
    hint: more than that is a loop: let the command itself try again
    ");
    insta::assert_snapshot!(unfit(|task| task.after = vec!["1:sucess".to_owned()]), @r#"
    invalid_value: `after` has an unknown condition: "sucess"
    hint: did you mean `success`?
    "#);
    insta::assert_snapshot!(unfit(|task| task.after = vec![":any".to_owned()]), @r"
    invalid_value: `after` is empty
    hint: 1 to 64 characters of A-Z a-z 0-9 . _ -, not beginning with . or -
    ");
}

#[test]
fn edits_are_checked_alike() {
    let edit = |change: fn(&mut EditTask)| {
        let mut edit = EditTask {
            id: "1".to_owned(),
            ..EditTask::default()
        };
        change(&mut edit);
        check_edit(&edit)
    };
    assert_eq!(edit(|edit| edit.label = Some(String::new())), Ok(()));
    assert!(edit(|edit| edit.id = String::new()).is_err());
    assert!(edit(|edit| edit.command = Some(String::new())).is_err());
    assert!(edit(|edit| edit.retries = Some(9999)).is_err());
    assert!(edit(|edit| edit.after = Some(vec!["a b".to_owned()])).is_err());
}

#[test]
fn dependencies_name_their_condition() {
    let parsed = |item| parse_after(item).unwrap();
    assert_eq!(parsed("t1"), ("t1".to_owned(), Condition::Success));
    assert_eq!(parsed("t1:success"), ("t1".to_owned(), Condition::Success));
    assert_eq!(parsed("t1:failure"), ("t1".to_owned(), Condition::Failure));
    assert_eq!(parsed("t1:any"), ("t1".to_owned(), Condition::Any));
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z0-9.]{0,12}", ".{0,12}"]
}

fn any_task() -> impl Strategy<Value = TaskQueue> {
    use proptest::option::of;
    let map = || proptest::collection::btree_map(text(), text(), 0..3);
    let list = || proptest::collection::vec(text(), 0..3);
    let what = (
        text(),
        of(any::<u8>()),
        of(text()),
        of(list()),
        of(text()),
        of(text()),
    );
    let surroundings = (of(map()), map(), of(text()), of(text()), list(), of(text()));
    let figures = (
        of(any::<u64>()),
        of(any::<u64>()),
        of(any::<u64>()),
        of(any::<u32>()),
    );
    let cpus = of((1u32..4_000_000).prop_map(|milli| f64::from(milli) / 1_000.0));
    let rest = (of(any::<u64>()), any::<bool>(), of(any::<u64>()), cpus);
    (what, surroundings, figures, rest).prop_map(|(what, surroundings, figures, rest)| {
        let (id, priority, command, argv, worker, cwd) = what;
        let (env, env_add, workspace, label, after, stdin) = surroundings;
        let (delay_ms, not_before_ms, timeout_ms, retries) = figures;
        let (max_queue_time_ms, hold, memory_bytes, cpus) = rest;
        TaskQueue {
            id,
            priority,
            command,
            argv,
            worker,
            cwd,
            env,
            env_add,
            workspace,
            label,
            after,
            delay_ms,
            not_before_ms,
            timeout_ms,
            retries,
            max_queue_time_ms,
            hold,
            memory_bytes,
            cpus,
            stdin,
            cwd_gives_way: hold,
            default_workspace: None,
            env_ref: None,
            claude: None,
            worktree: retries.map(|retries| retries > 0),
            worktree_base: None,
        }
    })
}

fn any_message() -> impl Strategy<Value = Message> {
    let ids = || proptest::collection::vec(text(), 0..3);
    prop_oneof![
        any_task().prop_map(|task| Message::TaskQueue(Box::new(task))),
        (ids(), any::<bool>()).prop_map(|(ids, all_failed)| Message::Retry(Retry {
            ids,
            all_failed,
            fresh: false
        })),
        (text(), text())
            .prop_map(|(process_id, status)| { Message::StatusUpdate(StatusUpdate { process_id, status }) }),
        (ids(), ids()).prop_map(|(ids, states)| {
            Message::Status(Filter {
                ids,
                states,
                ..Filter::default()
            })
        }),
        any::<u64>().prop_map(|count| Message::ReserveIds(ReserveIds { count })),
        Just(Message::Info {}),
        any::<bool>().prop_map(|kill| Message::Shutdown(Shutdown { kill })),
    ]
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded_again(message in any_message()) {
        let mut line = Vec::new();
        encode_message(&message, &mut line);
        prop_assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
        prop_assert_eq!(line.pop(), Some(b'\n'));
        prop_assert_eq!(decode(&line), Ok(message));
    }

    #[test]
    fn errors_are_decoded_again(message in ".{0,40}", hint in ".{0,40}") {
        let answer = Answer::Error(ErrorAnswer::new(ErrorCode::Conflict, message, hint));
        let mut line = Vec::new();
        encode(&answer, &mut line);
        prop_assert_eq!(line.pop(), Some(b'\n'));
        prop_assert_eq!(decode_answer(&line).unwrap(), answer);
    }

    #[test]
    fn no_line_makes_it_panic_or_blame_itself(line in proptest::collection::vec(any::<u8>(), 0..80)) {
        if let Err(error) = decode(&line) {
            prop_assert_ne!(error.code, ErrorCode::Internal);
        }
    }

    #[test]
    fn no_damage_to_a_line_makes_it_panic_or_blame_itself(
        message in any_message(),
        at in any::<proptest::sample::Index>(),
        byte in prop_oneof![Just(b'"'), Just(b'{'), Just(b'['), Just(b'0'), Just(b'`'), any::<u8>()],
        cut in any::<bool>(),
    ) {
        let mut line = Vec::new();
        encode_message(&message, &mut line);
        line.pop();
        let at = at.index(line.len());
        line[at] = byte;
        if cut {
            line.truncate(at);
        }
        if let Err(error) = decode(&line) {
            prop_assert_ne!(error.code, ErrorCode::Internal, "{}", error.message);
        }
    }
}
