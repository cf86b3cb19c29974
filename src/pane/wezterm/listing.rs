//! Reads what `wezterm cli list` and `list-clients` print as JSON. Pure: text in, values out.

use std::path::PathBuf;

use serde::Deserialize;

use super::WeztermError;

/// One pane of a server. Fields that are not needed are not read: they differ between versions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct PaneInfo {
    /// The window that holds its tab.
    pub window_id: u64,
    /// The tab that holds it.
    pub tab_id: u64,
    /// Its number, unique as long as the server lives.
    pub pane_id: u64,
    /// The workspace of the window.
    #[serde(default)]
    pub workspace: String,
    /// It is the active one of its tab.
    #[serde(default)]
    pub is_active: bool,
    /// Its size; zeros where it cannot be told.
    #[serde(default)]
    pub size: PaneSize,
    /// Where it begins in its tab, in columns.
    #[serde(default)]
    pub left_col: usize,
    /// Likewise, in rows.
    #[serde(default)]
    pub top_row: usize,
    /// Its working folder as a URL, as far as WezTerm knows it.
    #[serde(default)]
    pub cwd: String,
    /// It fills its whole tab for now, and its size is the tab's. Where it begins is told as if it did not.
    #[serde(default)]
    pub is_zoomed: bool,
    /// The title that its tab was given; empty if none.
    #[serde(default)]
    pub tab_title: String,
}

/// How large something is, in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct PaneSize {
    /// Its width.
    pub cols: usize,
    /// Its height.
    pub rows: usize,
}

impl PaneInfo {
    /// The other machine whose programs run in it, as far as its working folder tells; `None` if it is this one,
    /// or if there is no telling.
    #[must_use]
    pub fn other_host(&self, own: &str) -> Option<&str> {
        let (host, _) = self.cwd.strip_prefix("file://")?.split_once('/')?;
        // One and the same machine is called by its short and by its full name.
        let label = |name: &str| name.split('.').next().map(str::to_lowercase);
        let is_own = host.is_empty() || label(host) == label("localhost") || label(host) == label(own);
        (!is_own).then_some(host)
    }

    /// Its working folder, if that is on this machine and can be told. One whose name is no UTF-8 cannot.
    #[must_use]
    pub fn local_folder(&self, own: &str) -> Option<PathBuf> {
        if self.other_host(own).is_some() {
            return None;
        }
        let (_, path) = self.cwd.strip_prefix("file://")?.split_once('/')?;
        let path = percent_decoded(path)?;
        // WezTerm ends folders with a slash, which is part of no name.
        Some(PathBuf::from(format!("/{}", path.trim_end_matches('/'))))
    }
}

/// A piece of a URL as it is meant.
fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = [rest.next()?, rest.next()?];
        bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
    }
    String::from_utf8(bytes).ok()
}

/// One client of a server, mostly a GUI.
#[derive(Deserialize)]
struct ClientInfo {
    #[serde(default)]
    pid: u32,
    #[serde(default)]
    idle_time: Idle,
    #[serde(default)]
    focused_pane_id: Option<u64>,
}

/// The order of the fields is the order of comparison.
#[derive(Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct Idle {
    secs: u64,
    nanos: u32,
}

/// The panes in the answer to `list --format json`.
///
/// # Errors
/// If the text is something else.
pub fn parse_panes(text: &str) -> Result<Vec<PaneInfo>, WeztermError> {
    serde_json::from_str(text).map_err(|error| unexpected("list", &error))
}

/// The pane that has the focus, by the answer to `list-clients --format json`: the one of the client
/// that was used last, as WezTerm itself decides it. `None` if nobody looks.
///
/// # Errors
/// If the text is something else.
pub fn focused_pane(text: &str) -> Result<Option<u64>, WeztermError> {
    let mut clients: Vec<ClientInfo> =
        serde_json::from_str(text).map_err(|error| unexpected("list-clients", &error))?;
    clients.retain(|client| client.focused_pane_id.is_some());
    clients.sort_by(|one, other| one.idle_time.cmp(&other.idle_time));
    Ok(clients.first().and_then(|client| client.focused_pane_id))
}

/// The processes that are connected, by the answer to `list-clients --format json`.
///
/// # Errors
/// If the text is something else.
pub(super) fn client_pids(text: &str) -> Result<Vec<u32>, WeztermError> {
    let clients: Vec<ClientInfo> =
        serde_json::from_str(text).map_err(|error| unexpected("list-clients", &error))?;
    Ok(clients.into_iter().map(|client| client.pid).collect())
}

/// The number of the new pane, as `spawn` and `split-pane` print it.
pub(super) fn parse_pane_id(call: &str, text: &str) -> Result<u64, WeztermError> {
    text.trim().parse().map_err(|_| WeztermError::Unexpected {
        call: call.to_owned(),
        detail: format!(
            "`{}` is no pane",
            text.trim().chars().take(40).collect::<String>()
        ),
    })
}

/// The one line of what a call said on stderr that tells why it failed, without the marks of a log.
pub(super) fn reason(stderr: &str) -> String {
    let line = stderr.lines().rev().map(str::trim).find(|line| !line.is_empty());
    let line = line.unwrap_or("it does not say why");
    let line = match line.split_once(" > ") {
        Some((mark, text)) if mark.contains("ERROR") => text,
        _ => line,
    };
    innermost(line.trim_end_matches("; terminating"))
        .chars()
        .take(200)
        .collect()
}

/// What a server answers comes as a value of Rust within others: `Ok(ErrorResponse(… { reason: "Error: …" }))`.
fn innermost(line: &str) -> String {
    let Some((_, quoted)) = line.rsplit_once("reason: \"") else {
        return line.to_owned();
    };
    let mut text = String::new();
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => break,
            '\\' => match characters.next() {
                // Below its first line it tells where in WezTerm it comes from.
                Some('n') | None => break,
                Some(escaped) => text.push(escaped),
            },
            other => text.push(other),
        }
    }
    text.strip_prefix("Error: ").unwrap_or(&text).trim().to_owned()
}

fn unexpected(call: &str, error: &serde_json::Error) -> WeztermError {
    WeztermError::Unexpected {
        call: call.to_owned(),
        detail: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTING: &str = r#"[
      {"window_id":0,"tab_id":2,"pane_id":7,"workspace":"default","size":{"rows":24,"cols":80,
       "pixel_width":640,"pixel_height":384,"dpi":0},"title":"sh","cwd":"file://host/home/me/",
       "cursor_x":2,"cursor_y":0,"cursor_shape":"Default","cursor_visibility":"Visible","left_col":0,
       "top_row":0,"tab_title":"","window_title":"sh","is_active":true,"is_zoomed":false,
       "tty_name":"/dev/pts/3"},
      {"window_id":1,"tab_id":3,"pane_id":9,"workspace":"api","size":{"rows":1,"cols":1}}
    ]"#;

    #[test]
    fn a_listing_is_read_with_and_without_newer_fields() {
        let panes = parse_panes(LISTING).unwrap();
        let ids: Vec<_> = panes
            .iter()
            .map(|pane| (pane.window_id, pane.tab_id, pane.pane_id))
            .collect();
        assert_eq!(ids, [(0, 2, 7), (1, 3, 9)]);
        assert_eq!((panes[0].is_active, panes[1].is_active), (true, false));
        assert_eq!(panes[0].size, PaneSize { cols: 80, rows: 24 });
        assert_eq!(panes[1].workspace, "api");
        assert_eq!(parse_panes("[]").unwrap(), []);
    }

    #[test]
    fn the_folder_tells_the_machine() {
        let host = |cwd: &str| {
            let pane = PaneInfo {
                cwd: cwd.to_owned(),
                ..PaneInfo::default()
            };
            pane.other_host("desk.example.org").map(str::to_owned)
        };
        for here in [
            "",
            "file:///home",
            "file://DESK/home",
            "file://desk.local/",
            "file://localhost/",
            "x",
        ] {
            assert_eq!(host(here), None, "{here}");
        }
        assert_eq!(
            host("file://server.example.org/home").as_deref(),
            Some("server.example.org")
        );
    }

    #[test]
    fn a_folder_of_this_machine_is_a_path() {
        let folder = |cwd: &str| {
            let pane = PaneInfo {
                cwd: cwd.to_owned(),
                ..PaneInfo::default()
            };
            pane.local_folder("desk")
                .map(|path| path.to_str().unwrap().to_owned())
        };
        assert_eq!(
            folder("file://desk/home/me/a%20%C3%BC/").as_deref(),
            Some("/home/me/a \u{fc}")
        );
        assert_eq!(folder("file:///").as_deref(), Some("/"));
        for unknown in [
            "",
            "x",
            "file://",
            "file://server/home",
            "file:///a%",
            "file:///%ff",
            "file:///%zz",
        ] {
            assert_eq!(folder(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn what_is_no_listing_is_an_error() {
        for text in ["", "{}", "WINID TABID PANEID", r#"[{"pane_id":"x"}]"#] {
            assert!(
                matches!(parse_panes(text), Err(WeztermError::Unexpected { .. })),
                "{text}"
            );
        }
        assert!(parse_pane_id("spawn", "Error\n").is_err());
        assert!(parse_pane_id("spawn", "-1\n").is_err());
        assert_eq!(parse_pane_id("spawn", "12\n").unwrap(), 12);
    }

    #[test]
    fn the_client_used_last_has_the_focus() {
        let client = |secs: u64, pane: &str| {
            format!(r#"{{"pid":1,"idle_time":{{"secs":{secs},"nanos":5}},"focused_pane_id":{pane}}}"#)
        };
        let text = format!("[{},{},{}]", client(9, "1"), client(3, "2"), client(0, "null"));
        assert_eq!(focused_pane(&text).unwrap(), Some(2));
        assert_eq!(client_pids(&text).unwrap(), [1, 1, 1]);
        assert_eq!(focused_pane("[]").unwrap(), None);
        assert!(focused_pane("none").is_err());
    }

    #[test]
    fn the_reason_is_the_last_line_without_its_marks() {
        let log =
            "09:12:33.120  WARN  config > old\n09:12:33.167  ERROR  wezterm > pane 9 invalid; terminating\n";
        assert_eq!(reason(log), "pane 9 invalid");
        assert_eq!(reason("a > b\n\n"), "a > b");
        let nested = r#"09:12:33.167  ERROR  wezterm > unexpected response Ok(ErrorResponse(ErrorResponse { reason: "Error: No \"space\" for split!\n\nStack: x" })); terminating"#;
        assert_eq!(reason(nested), "No \"space\" for split!");
        assert_eq!(reason("\n"), "it does not say why");
        assert_eq!(reason(&"x".repeat(999)).len(), 200);
    }
}
