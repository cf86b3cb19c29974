//! What a worker is kept in, as the config, templates and workspaces say it, and how it went.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check::{check_nul, invalid, Checked};

/// More are a mistake.
const PATHS_MAX: usize = 256;
/// More are no limit.
const PORTS_MAX: usize = 256;

/// What a sandbox leaves open. Its working folder, the folder of its workspace, temporary files and what its kind of
/// worker needs are writable without being named.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Sandbox {
    /// `false` switches it off; absent means on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Where the system has no means for it, the worker is not started.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub required: bool,
    /// Files and folders that can be written besides, from `/` or `~/`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub write: Vec<String>,
    /// Of what is not the system's (`/usr`, `/etc` …), only these can be read, from `/` or `~/`; absent: everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read: Option<Vec<String>>,
    /// The only TCP ports that it can connect to; absent: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect_tcp: Option<Vec<u16>>,
    /// The only TCP ports that it can listen on; absent: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bind_tcp: Option<Vec<u16>>,
}

/// How an attempt was kept, and what it ran into.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SandboxReport {
    /// What held and what did not, in words; begins with `none` if there was no sandbox after all.
    pub words: String,
    /// What it could write because it was named, and its working folder.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub writable: Vec<String>,
    /// What was named and did not exist.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// What the end of its output says was denied, as far as the sandbox was why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub denied: Vec<Denial>,
    /// Something was denied that its output does not name, while ports were limited.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub denied_unnamed: bool,
}

/// An access that a sandbox refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Denial {
    /// What the output names.
    pub path: String,
    /// The path that would have to be added …
    pub add: String,
    /// … to `read` rather than to `write`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub to_read: bool,
}

impl Sandbox {
    /// Whether it is on.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.enabled != Some(false)
    }

    /// In one line: `required; writes ~/.cargo; connects to 443`.
    #[must_use]
    pub fn words(&self) -> String {
        if !self.is_on() {
            return "off".to_owned();
        }
        let list = |items: &[String]| match items {
            [] => "nothing".to_owned(),
            items => items.join(", "),
        };
        let ports = |ports: &[u16]| list(&ports.iter().map(u16::to_string).collect::<Vec<_>>());
        let parts = [
            Some(if self.required { "on, required" } else { "on" }.to_owned()),
            (!self.write.is_empty()).then(|| format!("writes {}", self.write.join(", "))),
            self.read.as_deref().map(|read| format!("reads {}", list(read))),
            self.connect_tcp
                .as_deref()
                .map(|to| format!("connects to {}", ports(to))),
            self.bind_tcp
                .as_deref()
                .map(|on| format!("listens on {}", ports(on))),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
    }
}

/// Checks what a sandbox names; `key` is what it is called where it was written.
///
/// # Errors
/// The first thing that is wrong with it, by name.
pub fn check_sandbox(key: &str, sandbox: &Sandbox) -> Checked {
    let read = sandbox.read.as_deref().unwrap_or_default();
    for (name, paths) in [("write", sandbox.write.as_slice()), ("read", read)] {
        let name = format!("{key}.{name}");
        if paths.len() > PATHS_MAX {
            let message = format!("`{name}` has {} paths; {PATHS_MAX} are allowed", paths.len());
            return Err(invalid(message, "name a folder around them"));
        }
        paths.iter().try_for_each(|path| check_path(&name, path))?;
    }
    for (name, ports) in [
        ("connect_tcp", &sandbox.connect_tcp),
        ("bind_tcp", &sandbox.bind_tcp),
    ] {
        let count = ports.as_ref().map_or(0, Vec::len);
        if count > PORTS_MAX {
            let message = format!("`{key}.{name}` has {count} ports; {PORTS_MAX} are allowed");
            return Err(invalid(message, "leave it out for all ports"));
        }
    }
    if sandbox.connect_tcp.iter().flatten().any(|port| *port == 0) {
        let message = format!("`{key}.connect_tcp` has port 0, to which nothing can connect");
        return Err(invalid(message, "[] lets it connect to no port"));
    }
    Ok(())
}

fn check_path(name: &str, path: &str) -> Checked {
    check_nul(name, path)?;
    let is_whole = path.starts_with('/') || path.starts_with("~/") || path == "~";
    if !is_whole || path.split('/').any(|part| part == "..") {
        let hint = "begin it with / or ~/, and leave out ..";
        return Err(invalid(
            format!("`{name}` has {path:?}, which is not a whole path"),
            hint,
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_named() {
        let failure = |sandbox: Sandbox| check_sandbox("sandbox", &sandbox).unwrap_err().message;
        let write = |path: &str| Sandbox {
            write: vec![path.to_owned()],
            ..Sandbox::default()
        };
        insta::assert_snapshot!(failure(write("src")), @r#"`sandbox.write` has "src", which is not a whole path"#);
        insta::assert_snapshot!(failure(write("/a/../b")), @r#"`sandbox.write` has "/a/../b", which is not a whole path"#);
        insta::assert_snapshot!(failure(write("~you")), @r#"`sandbox.write` has "~you", which is not a whole path"#);
        let many = Sandbox {
            bind_tcp: Some(vec![1; 257]),
            ..Sandbox::default()
        };
        insta::assert_snapshot!(failure(many), @"`sandbox.bind_tcp` has 257 ports; 256 are allowed");
        let zero = Sandbox {
            connect_tcp: Some(vec![0]),
            ..Sandbox::default()
        };
        insta::assert_snapshot!(failure(zero), @"`sandbox.connect_tcp` has port 0, to which nothing can connect");
        assert!(check_sandbox("sandbox", &write("~/.cargo")).is_ok());
    }
}
