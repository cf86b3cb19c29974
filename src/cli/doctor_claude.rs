//! `doctor` looks at Claude Code: whether it is there, which version, and whether it is logged in.
//!
//! It asks the CLI itself, in a process group of its own and only for so long. No credential is read
//! here, and of what the CLI says about the login only the method is shown.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde::Deserialize;

use super::doctor::Report;
use crate::config::{Config, WorkerConfig, WorkerKind};

/// A CLI that is at work answers within a second or two, also on a slow machine.
const PATIENCE: Duration = Duration::from_secs(10);
/// More than any version or login state needs.
const ANSWER_BYTES_MAX: u64 = 64 << 10;
/// Where programs are looked for when there is no PATH.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";
/// Set by Claude Code for what it starts; a CLI that finds them takes itself for a part of that run.
const UNSET: [&str; 2] = ["CLAUDECODE", "CLAUDE_CODE_ENTRYPOINT"];
/// A key in the environment goes before a login.
const KEY: &str = "ANTHROPIC_API_KEY";

/// Checks the CLI of each profile; those that would be run alike are looked at once.
pub(super) fn check(config: &Config, report: &mut Report) {
    let mut groups: Vec<Vec<(&str, &WorkerConfig)>> = Vec::new();
    let profiles = config
        .workers
        .iter()
        .filter(|(_, worker)| worker.kind == WorkerKind::Claude);
    for (name, worker) in profiles {
        let alike = |group: &&mut Vec<(&str, &WorkerConfig)>| {
            let (_, first) = group[0];
            binary(first) == binary(worker) && first.env == worker.env
        };
        match groups.iter_mut().find(alike) {
            Some(group) => group.push((name, worker)),
            None => groups.push(vec![(name, worker)]),
        }
    }
    for group in groups {
        let names: Vec<&str> = group.iter().map(|(name, _)| *name).collect();
        check_group(&names, group[0].1, report);
    }
}

fn binary(worker: &WorkerConfig) -> &str {
    worker.binary.as_deref().unwrap_or("claude")
}

fn check_group(names: &[&str], worker: &WorkerConfig, report: &mut Report) {
    let (name, binary) = (names[0], binary(worker));
    let profiles = match names {
        [only] => format!("profile {only}"),
        several => format!("profiles {}", several.join(", ")),
    };
    let Some(path) = find(binary, worker) else {
        return report.warn(
            "claude",
            format!(
                "{profiles}: there is no program {binary}: install Claude Code \
                 (npm install -g @anthropic-ai/claude-code), or name it as `binary` in [workers.{name}]"
            ),
        );
    };
    let shown = path.display();
    let version = match ask(&path, &["--version"], worker) {
        Ok(answer) if answer.succeeded => first_line(&answer.text),
        Ok(_) => return report.warn("claude", format!("{profiles}: {shown} --version fails")),
        Err(words) => return report.warn("claude", format!("{profiles}: {shown} --version {words}")),
    };
    let found = format!("{profiles}: {shown}, {version}");
    match login(&path, worker) {
        Login::In(words) => report.ok("claude", format!("{found}, {words}")),
        Login::Out => report.warn(
            "claude",
            format!("{found}, not logged in: start `{binary}` and type /login"),
        ),
        Login::Unknown(words) => report.warn("claude", format!("{found}, the login cannot be told: {words}")),
    }
}

/// Where the program is that the profile's tasks would run.
fn find(binary: &str, worker: &WorkerConfig) -> Option<PathBuf> {
    let is_program =
        |path: &PathBuf| path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok();
    if binary.contains('/') {
        return Some(PathBuf::from(binary)).filter(is_program);
    }
    let path = worker
        .env
        .get("PATH")
        .cloned()
        .or_else(|| std::env::var("PATH").ok());
    let path = path.unwrap_or_else(|| DEFAULT_PATH.to_owned());
    let candidates = path.split(':').map(|folder| Path::new(folder).join(binary));
    candidates.into_iter().find(is_program)
}

#[derive(Debug, PartialEq, Eq)]
enum Login {
    In(String),
    Out,
    Unknown(String),
}

/// What `claude auth status` says, as far as it is of interest.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    logged_in: bool,
    auth_method: Option<String>,
}

fn login(path: &Path, worker: &WorkerConfig) -> Login {
    if worker.env.contains_key(KEY) || std::env::var_os(KEY).is_some_and(|key| !key.is_empty()) {
        return Login::In("API key from the environment".to_owned());
    }
    match ask(path, &["auth", "status"], worker) {
        Ok(answer) => read_status(&answer.text),
        Err(words) => Login::Unknown(format!("`auth status` {words}")),
    }
}

fn read_status(text: &str) -> Login {
    let Ok(status) = serde_json::from_str::<Status>(text) else {
        return Login::Unknown("`auth status` says nothing that can be read".to_owned());
    };
    let method = status.auth_method.filter(|method| is_plain_word(method));
    match (status.logged_in, method) {
        (false, _) => Login::Out,
        (true, Some(method)) => Login::In(format!("logged in ({method})")),
        (true, None) => Login::In("logged in".to_owned()),
    }
}

/// A method is a short word; whatever else stands there is not shown.
fn is_plain_word(method: &str) -> bool {
    (1..=32).contains(&method.len())
        && method
            .chars()
            .all(|character| character.is_ascii_alphanumeric() || "._- ".contains(character))
}

fn first_line(text: &str) -> String {
    text.trim()
        .lines()
        .next()
        .unwrap_or("no version")
        .chars()
        .take(80)
        .collect()
}

/// What a program printed, and whether it ended with exit code 0.
#[derive(Debug)]
struct Reply {
    text: String,
    succeeded: bool,
}

fn ask(path: &Path, arguments: &[&str], worker: &WorkerConfig) -> Result<Reply, String> {
    ask_within(PATIENCE, path, arguments, &worker.env)
}

/// Runs a program to its end, or for as long as there is patience.
fn ask_within(
    patience: Duration,
    path: &Path,
    arguments: &[&str],
    env: &BTreeMap<String, String>,
) -> Result<Reply, String> {
    let mut command = Command::new(path);
    command.args(arguments).envs(env).process_group(0);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    for name in UNSET {
        command.env_remove(name);
    }
    let mut child = command
        .spawn()
        .map_err(|error| format!("cannot be started: {error}"))?;
    let Some(stdout) = child.stdout.take() else {
        return Err("has no output".to_owned());
    };
    let (sender, receiver) = mpsc::sync_channel(1);
    // Nobody waits for this thread: what the program has started may hold its output open for ever.
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = stdout.take(ANSWER_BYTES_MAX).read_to_end(&mut bytes);
        let _ = sender.send(bytes);
    });
    let answer = receiver.recv_timeout(patience);
    // One that has closed its output is about to end; one that hangs is ended, with what it started.
    let ended = answer.is_ok() && has_ended_soon(&mut child);
    if !ended {
        end(&mut child);
    }
    let status = child
        .wait()
        .map_err(|error| format!("cannot be waited for: {error}"))?;
    match answer {
        Ok(bytes) if ended => Ok(Reply {
            text: String::from_utf8_lossy(&bytes).into_owned(),
            succeeded: status.success(),
        }),
        _ => Err(format!("does not answer within {} s", patience.as_secs_f32())),
    }
}

/// Whether the process ends by itself now that nothing more can come from it.
fn has_ended_soon(child: &mut Child) -> bool {
    const LOOKS: u32 = 200;
    for _ in 0..LOOKS {
        match child.try_wait() {
            Ok(None) => std::thread::sleep(Duration::from_millis(5)),
            Ok(Some(_)) => return true,
            Err(_) => return false,
        }
    }
    false
}

fn end(child: &mut Child) {
    let group = rustix::process::Pid::from_child(child);
    let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    let _ = child.kill();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_shows_its_method_and_nothing_else() {
        let status = |text: &str| read_status(text);
        let subscription = r#"{"loggedIn":true,"authMethod":"claude.ai","email":"me@example.org"}"#;
        assert_eq!(status(subscription), Login::In("logged in (claude.ai)".into()));
        assert_eq!(status(r#"{"loggedIn":false,"authMethod":"none"}"#), Login::Out);
        assert_eq!(status(r#"{"loggedIn":true}"#), Login::In("logged in".into()));
        let odd = r#"{"loggedIn":true,"authMethod":"sk-ant-0123456789012345678901234567890123456789"}"#;
        assert_eq!(status(odd), Login::In("logged in".into()));
        assert!(matches!(status("Not logged in"), Login::Unknown(_)));
    }

    #[test]
    fn a_program_answers_or_is_ended() {
        let shell = Path::new("/bin/sh");
        let run = |patience, line: &str| ask_within(patience, shell, &["-c", line], &BTreeMap::new());
        let reply = run(PATIENCE, "echo 2.1.330").unwrap();
        assert_eq!((reply.text.as_str(), reply.succeeded), ("2.1.330\n", true));
        assert!(!run(PATIENCE, "exit 1").unwrap().succeeded);
        let words = run(Duration::from_millis(10), "sleep 600 & wait").unwrap_err();
        assert_eq!(words, "does not answer within 0.01 s");
        let missing = ask_within(PATIENCE, Path::new("/no/such"), &[], &BTreeMap::new());
        assert!(missing.unwrap_err().starts_with("cannot be started: "));
    }
}
