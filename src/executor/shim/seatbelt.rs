//! The profile that `sandbox-exec` of macOS is given: later rules go before earlier ones.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::sandbox::Paths;
use crate::executor::SandboxPlan;

/// Everything is allowed but what is named here.
pub(super) fn profile(plan: &SandboxPlan, paths: &Paths) -> String {
    let mut text = "(version 1)\n(allow default)\n(deny file-write*)\n".to_owned();
    allow(&mut text, "file-write*", &paths.write);
    if let Some(read) = &paths.read {
        // Names and sizes can be seen, since programs look at each folder on the way to a file.
        text.push_str("(deny file-read-data)\n(allow file-read-data (literal \"/\"))\n");
        allow(&mut text, "file-read-data", read);
        allow(&mut text, "file-read-data", &paths.write);
    }
    if let Some(ports) = &plan.connect_tcp {
        tcp(&mut text, "network-outbound", "remote", ports);
    }
    if let Some(ports) = &plan.bind_tcp {
        tcp(&mut text, "network-bind", "local", ports);
    }
    text
}

fn allow(text: &mut String, what: &str, paths: &[PathBuf]) {
    for path in paths {
        let _ = writeln!(
            text,
            "(allow {what} (subpath {}))",
            quoted(&path.to_string_lossy())
        );
    }
}

fn tcp(text: &mut String, what: &str, end: &str, ports: &[u16]) {
    let _ = writeln!(text, "(deny {what} ({end} tcp))");
    for port in ports {
        let _ = writeln!(text, "(allow {what} ({end} tcp \"*:{port}\"))");
    }
}

fn quoted(path: &str) -> String {
    format!("\"{}\"", path.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_names_what_is_open() {
        let plan = SandboxPlan {
            connect_tcp: Some(vec![443]),
            bind_tcp: Some(Vec::new()),
            ..SandboxPlan::default()
        };
        let paths = Paths {
            write: vec!["/private/tmp".into(), "/a \"b\"\\".into()],
            read: Some(vec!["/usr".into()]),
        };
        insta::assert_snapshot!(profile(&plan, &paths), @r#"
        (version 1)
        (allow default)
        (deny file-write*)
        (allow file-write* (subpath "/private/tmp"))
        (allow file-write* (subpath "/a \"b\"\\"))
        (deny file-read-data)
        (allow file-read-data (literal "/"))
        (allow file-read-data (subpath "/usr"))
        (allow file-read-data (subpath "/private/tmp"))
        (allow file-read-data (subpath "/a \"b\"\\"))
        (deny network-outbound (remote tcp))
        (allow network-outbound (remote tcp "*:443"))
        (deny network-bind (local tcp))
        "#);
    }
}
