//! Secrets of workers: the environment of a task holds a reference, `secret:NAME`, and only the worker's own process asks
//! for its value, by a command that the user has configured (`pass`, `secret-tool`, `op` …).
//!
//! So neither the journal nor the log nor any answer of the daemon can have it.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::process::{Command, Stdio};

/// What a reference begins with.
pub const PREFIX: &str = "secret:";
/// What the name stands in place of in the command; where it does not occur, the name comes last.
const PLACE: &str = "{name}";
/// A complaint of the command is told up to here.
const COMPLAINT_MAX: usize = 500;

/// The name that a value of a variable refers to; `None` if it is an ordinary value.
#[must_use]
pub fn reference(value: &str) -> Option<&str> {
    value.strip_prefix(PREFIX)
}

/// What is wrong with the name of a secret.
///
/// # Errors
///
/// If it is empty, could be taken for an option of the command, or holds control characters.
pub fn check_name(name: &str) -> Result<(), &'static str> {
    if name.is_empty() {
        Err("names no secret")
    } else if name.starts_with('-') {
        Err("names a secret that begins with a dash, like an option")
    } else if name.chars().any(char::is_control) {
        Err("names a secret with a control character in it")
    } else {
        Ok(())
    }
}

/// The variables that refer to secrets, with their values. Each secret is asked for once.
///
/// # Errors
///
/// If one cannot be told: which, and what the command complained of.
pub fn resolve(
    command: &[String],
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Vec<(OsString, OsString)>, String> {
    let mut known: Vec<(String, OsString)> = Vec::new();
    let mut resolved = Vec::new();
    for (variable, value) in variables {
        let Some(name) = value.to_str().and_then(reference) else {
            continue;
        };
        let told = known.iter().find(|(known, _)| known == name);
        let secret = match told {
            Some((_, secret)) => secret.clone(),
            None => ask(command, name).map_err(|why| {
                let variable = variable.to_string_lossy();
                format!("the secret {name} for {variable} cannot be told: {why}")
            })?,
        };
        known.push((name.to_owned(), secret.clone()));
        resolved.push((variable, secret));
    }
    Ok(resolved)
}

fn ask(command: &[String], name: &str) -> Result<OsString, String> {
    check_name(name).map_err(|why| format!("it {why}"))?;
    let (program, arguments) = arguments(command, name).ok_or("there is no command")?;
    let output = Command::new(&program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{program} cannot be started: {error}"))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        let complaint: String = complaint.trim().chars().take(COMPLAINT_MAX).collect();
        return Err(format!("{program} ended with {}: {complaint}", output.status));
    }
    let mut secret = output.stdout;
    if secret.ends_with(b"\n") {
        secret.pop();
    }
    if secret.is_empty() {
        return Err(format!("{program} told nothing"));
    }
    if secret.contains(&0) {
        return Err(format!("{program} told a zero byte, which no variable can hold"));
    }
    Ok(OsString::from_vec(secret))
}

/// The command for one secret.
fn arguments(command: &[String], name: &str) -> Option<(String, Vec<String>)> {
    let (program, rest) = command.split_first()?;
    let mut arguments: Vec<String> = rest.iter().map(|part| part.replace(PLACE, name)).collect();
    if !rest.iter().any(|part| part.contains(PLACE)) {
        arguments.push(name.to_owned());
    }
    Some((program.clone(), arguments))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> impl Iterator<Item = (OsString, OsString)> {
        let owned: Vec<(OsString, OsString)> = pairs.iter().map(|(k, v)| (k.into(), v.into())).collect();
        owned.into_iter()
    }

    fn shell(line: &str) -> Vec<String> {
        ["sh", "-c", line, "sh"].map(str::to_owned).to_vec()
    }

    #[test]
    fn references_become_what_the_command_tells() {
        let given = [("A", "secret:x/y"), ("B", "plain"), ("C", "secret:x/y")];
        let resolved = resolve(&shell("printf '%s!\\n\\n' \"$1\""), variables(&given)).expect("secrets");
        let pair = |name: &str| (OsString::from(name), OsString::from("x/y!\n"));
        assert_eq!(resolved, [pair("A"), pair("C")]);
    }

    #[test]
    fn the_name_has_its_place() {
        let command = ["op", "read", "op://{name}/key"].map(str::to_owned);
        let (program, rest) = arguments(&command, "api").expect("a command");
        assert_eq!(
            (program.as_str(), rest),
            ("op", vec!["read".into(), "op://api/key".into()])
        );
        assert_eq!(
            arguments(&command[..2], "api").expect("a command").1,
            ["read", "api"]
        );
    }

    #[test]
    fn whatever_goes_wrong_is_said_without_the_secret() {
        let told = |command: &[String], name: &str| {
            let value = format!("secret:{name}");
            resolve(command, variables(&[("A", &value)])).expect_err("no secret")
        };
        let failed = told(&shell("echo hidden; echo 'is locked' >&2; exit 3"), "x");
        assert!(
            failed.contains("secret x for A") && failed.contains("is locked"),
            "{failed}"
        );
        assert!(!failed.contains("hidden"), "{failed}");
        assert!(told(&shell("true"), "x").contains("told nothing"));
        assert!(told(&shell("printf 'a\\0b'"), "x").contains("zero byte"));
        assert!(told(&["no-such-program".to_owned()], "x").contains("cannot be started"));
        assert!(told(&shell("true"), "--all").contains("begins with a dash"));
        assert!(told(&shell("true"), "").contains("names no secret"));
    }
}
