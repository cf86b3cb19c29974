//! A real Prometheus for one test: on a free port of the loopback device, with this repository's scrape config and
//! rules, but for the target's port and shorter intervals.
#![allow(clippy::print_stderr, reason = "a test that fails shows Prometheus' log")]

pub(crate) mod expressions;
pub(crate) mod load;
pub(crate) mod metrics_text;
pub(crate) mod truth;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

use crate::support::{shown, wait_for, DEADLINE};

/// How often the test's Prometheus reads the daemon and evaluates its rules.
const INTERVAL: &str = "500ms";

/// A file or folder below `dashboards/`.
pub(crate) fn dashboards(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("dashboards")
        .join(name)
}

/// The Prometheus that is asked for.
pub(crate) fn program() -> PathBuf {
    std::env::var_os("WEZTERM_PARALLEL_PROMETHEUS")
        .expect("WEZTERM_PARALLEL_PROMETHEUS says which prometheus to use; `.ci/run prometheus` installs one")
        .into()
}

/// promtool, which comes with it and must be content with what it checks.
pub(crate) fn promtool<S: AsRef<std::ffi::OsStr>>(
    arguments: impl IntoIterator<Item = S>,
    input: &str,
) -> Output {
    let mut child = Command::new(program().with_file_name("promtool"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(input.as_bytes()).expect("promtool reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it was ours");
    assert!(output.status.success(), "{}", shown(&output));
    output
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("its address").port()
}

/// What is at this path of a server on the loopback device.
pub(crate) fn get(port: u16, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(DEADLINE))?;
    // By HTTP/1.0 the answer comes in one piece, and the connection ends with it.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (_, body) = answer
        .split_once("\r\n\r\n")
        .ok_or(std::io::ErrorKind::InvalidData)?;
    Ok(body.to_owned())
}

/// A running Prometheus; it ends with this.
pub(crate) struct Prometheus {
    child: Child,
    port: u16,
    log: PathBuf,
}

impl Prometheus {
    /// Starts one in `folder` that reads the daemon's metrics at `target`, and waits until it has.
    pub(crate) fn start(folder: &Path, target: u16) -> Self {
        std::fs::create_dir_all(folder).expect("a folder");
        for rules in ["rules.yml", "alerts.yml"] {
            let from = dashboards("prometheus").join(rules);
            std::fs::copy(from, folder.join(rules)).expect("the rules");
        }
        let config = std::fs::read_to_string(dashboards("prometheus/prometheus.yml")).expect("the config");
        let config = replaced(&config, "127.0.0.1:9469", &format!("127.0.0.1:{target}"));
        let config = replaced(&config, "_interval: 15s", &format!("_interval: {INTERVAL}"));
        std::fs::write(folder.join("prometheus.yml"), config).expect("the config");
        let (port, log) = (free_port(), folder.join("log"));
        let child = Command::new(program())
            .arg(format!(
                "--config.file={}",
                folder.join("prometheus.yml").display()
            ))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stderr(std::fs::File::create(&log).expect("a log"))
            .spawn()
            .expect("prometheus starts");
        let prometheus = Self { child, port, log };
        wait_for("Prometheus to have read the daemon", || {
            let up = prometheus.try_query("up == 1").ok()?;
            (!up.is_empty()).then_some(())
        });
        prometheus
    }

    /// The answer of its API.
    pub(crate) fn api(&self, path: &str) -> Result<Value, String> {
        let body = get(self.port, &format!("/api/v1/{path}")).map_err(|error| error.to_string())?;
        let answer: Value = serde_json::from_str(&body).map_err(|error| format!("{error}: {body}"))?;
        match answer["status"].as_str() {
            Some("success") => Ok(answer["data"].clone()),
            _ => Err(answer["error"].to_string()),
        }
    }

    /// The values of an expression now, one for each series, or why it is not accepted.
    pub(crate) fn try_query(&self, expression: &str) -> Result<Vec<f64>, String> {
        let data = self.api(&format!("query?query={}", encoded(expression)))?;
        assert_eq!(data["resultType"], "vector", "{expression}");
        let series = data["result"].as_array().expect("a vector").iter();
        Ok(series.map(|series| number(&series["value"][1])).collect())
    }

    /// The values of an expression that is right.
    pub(crate) fn query(&self, expression: &str) -> Vec<f64> {
        self.try_query(expression)
            .unwrap_or_else(|error| panic!("{expression}: {error}"))
    }

    /// Whether there is a number to show.
    pub(crate) fn has_data(&self, expression: &str) -> bool {
        self.query(expression).iter().any(|value| value.is_finite())
    }

    /// Waits until an expression has a value.
    pub(crate) fn wait_for(&self, expression: &str) -> Vec<f64> {
        wait_for(expression, || {
            Some(self.query(expression)).filter(|values| !values.is_empty())
        })
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            let trouble = log.lines().filter(|line| !line.contains("level=info"));
            eprintln!("--- prometheus\n{}", trouble.collect::<Vec<_>>().join("\n"));
        }
    }
}

fn number(value: &Value) -> f64 {
    value
        .as_str()
        .and_then(|text| text.parse().ok())
        .expect("a number")
}

/// The text with something else in place of what must be there.
fn replaced(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "no {from} in {text}");
    text.replace(from, to)
}

fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}
