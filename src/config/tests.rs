//! Layers, errors and places, with real files.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::environment::{KEYS, WORKER_KEYS};
use super::*;

/// A home with a config folder and nothing in it.
struct Home {
    folder: TempDir,
    paths: Paths,
}

impl Home {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().to_owned();
        let lookup = |name: &str| (name == "HOME").then(|| OsString::from(&home));
        let paths = Paths::from_variables(lookup, None).unwrap();
        fs::create_dir_all(&paths.config_dir).unwrap();
        Self { folder, paths }
    }

    fn with(name: &str, text: &str) -> Self {
        let home = Self::new();
        home.write(name, text, 0o600);
        home
    }

    fn write(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = self.paths.config_dir.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    fn load_with(&self, env: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
        let env = env
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Config::load(None, env, &self.paths)
    }

    fn load(&self) -> Loaded {
        self.load_with(&[]).unwrap()
    }

    /// The error and its hint, with the folder's random name taken out.
    fn failure(&self, env: &[(&str, &str)]) -> String {
        let error = self.load_with(env).unwrap_err();
        let text = match error.hint() {
            hint if hint.is_empty() => error.to_string(),
            hint => format!("{error}\nhint: {hint}"),
        };
        text.replace(self.folder.path().to_str().unwrap(), "~")
    }
}

fn toml_failure(text: &str) -> String {
    Home::with("config.toml", text).failure(&[])
}

#[test]
fn without_a_file_the_defaults_hold() {
    let loaded = Home::new().load();
    assert_eq!(loaded.config, Config::default());
    assert_eq!(loaded.file, None);
    assert_eq!(loaded.warnings, Vec::<String>::new());
}

#[test]
fn the_commented_defaults_are_the_built_in_ones_and_name_every_key() {
    let parsed: Config = toml::from_str(DEFAULTS_TOML).unwrap();
    assert_eq!(parsed, Config::default());
    for (key, _) in KEYS {
        let name = key.rsplit('.').next().unwrap();
        let written = [format!("\n{name} = "), format!("\n#{name} = ")];
        assert!(
            written.iter().any(|line| DEFAULTS_TOML.contains(line)),
            "{key} is not mentioned"
        );
    }
    for (key, _) in WORKER_KEYS {
        let written = [format!("\n{key} = "), format!("\n#{key} = ")];
        assert!(
            written.iter().any(|line| DEFAULTS_TOML.contains(line)),
            "{key} is not mentioned"
        );
    }
}

#[test]
fn every_key_can_be_set_by_a_variable() {
    let mut expected: Vec<String> = Vec::new();
    let budget = BudgetConfig {
        day_usd: Some(1.0),
        task_usd: Some(1.0),
        ..BudgetConfig::default()
    };
    let admission = Admission {
        memory_floor: Some(ByteSize(1)),
        worker_memory: Some(ByteSize(1)),
        ..Admission::default()
    };
    let config = Config {
        admission,
        budget,
        ..Config::default()
    };
    let tree = serde_json::to_value(config).unwrap();
    for (table, keys) in tree.as_object().unwrap() {
        for key in keys.as_object().unwrap().keys() {
            expected.push(format!("{table}.{key}"));
        }
    }
    // Tables that users name the entries of, and the one list of tables.
    let others = [
        "limits.workspaces",
        "limits.rates",
        "limits.weights",
        "budget.workspaces",
        "quota.taper",
    ];
    expected.retain(|key| !key.starts_with("workers.") && !others.contains(&key.as_str()));
    let mut known: Vec<String> = KEYS.iter().map(|(key, _)| (*key).to_owned()).collect();
    expected.sort();
    known.sort();
    assert_eq!(known, expected);

    let whole = WorkerConfig {
        max_parallel: Some(1),
        rate: Some(toml::Value::from("1/s").try_into().unwrap()),
        memory: Some(ByteSize(1)),
        cpus: Some(1.0),
        timeout: Some(Duration::from_secs(1)),
        retries: Some(1),
        nice: Some(1),
        oom_score: Some(1),
        shell: Some("sh".to_owned()),
        model: Some("m".to_owned()),
        fallback_model: Some("m".to_owned()),
        permission_mode: Some("plan".to_owned()),
        allowed_tools: Some(Vec::new()),
        disallowed_tools: Some(Vec::new()),
        max_turns: Some(1),
        max_budget_usd: Some(1.0),
        effort: Some("low".to_owned()),
        append_system_prompt: Some("Be brief.".to_owned()),
        mcp_config: Some(Vec::new()),
        extra_args: Some(Vec::new()),
        ..WorkerConfig::of_kind(WorkerKind::Claude)
    };
    let Value::Object(worker) = serde_json::to_value(whole).unwrap() else {
        panic!()
    };
    let mut known: Vec<&str> = WORKER_KEYS.iter().map(|(key, _)| *key).collect();
    known.sort_unstable();
    assert_eq!(known, worker.keys().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn what_is_shown_can_be_read_again() {
    let home = Home::with(
        "config.toml",
        "pool.slots = 3\nlimits.workspaces.api = 2\n[workers.fast]\nkind = \"exec\"\ntimeout = \"1h 30m\"\nenv.A = \"b\"\n",
    );
    let config = home.load().config;
    let shown = toml::to_string(&config).unwrap();
    assert_eq!(toml::from_str::<Config>(&shown).unwrap(), config, "{shown}");
}

#[test]
fn toml_and_yaml_say_the_same() {
    let from_toml = Home::with(
        "config.toml",
        "[pool]\nslots = 4\n[limits]\nline_bytes = \"2MiB\"\n[workers.shell]\ntimeout = \"1h\"\n",
    );
    let yaml = "pool:\n  slots: 4\nlimits:\n  line_bytes: 2MiB\nworkers:\n  shell:\n    timeout: 1h\n";
    for name in ["config.yaml", "config.yml"] {
        assert_eq!(Home::with(name, yaml).load().config, from_toml.load().config);
    }
    let config = from_toml.load().config;
    assert_eq!(config.pool.slots, Slots::Count(4));
    assert_eq!(config.limits.line_bytes, 2 << 20);
    assert_eq!(config.workers["shell"].timeout, Some(Duration::from_secs(3600)));
    assert_eq!(
        config.workers["shell"].shell.as_deref(),
        Some("sh"),
        "the rest stays"
    );
}

#[test]
fn an_empty_file_changes_nothing() {
    for (name, text) in [
        ("config.toml", ""),
        ("config.yaml", ""),
        ("config.yaml", "# all\n---\n# commented out\n"),
        ("config.yaml", "pool:\nworkers:\n"),
    ] {
        assert_eq!(
            Home::with(name, text).load().config,
            Config::default(),
            "{name}: {text:?}"
        );
    }
}

#[test]
fn an_added_profile_has_what_its_kind_has() {
    let home = Home::with(
        "config.toml",
        "[workers.nightly]\nkind = \"shell\"\nretries = 3\n",
    );
    let expected = WorkerConfig {
        retries: Some(3),
        ..WorkerConfig::of_kind(WorkerKind::Shell)
    };
    assert_eq!(home.load().config.workers["nightly"], expected);
    insta::assert_snapshot!(toml_failure("[workers.nightly]\nretries = 3\n"), @r#"
    ~/.config/wezterm-parallel/config.toml:1:10: `workers.nightly` needs a `kind`
    hint: kind = "claude", kind = "shell" or kind = "exec"
    "#);
}

#[test]
fn errors_name_the_line_the_key_and_the_nearest_one() {
    insta::assert_snapshot!(toml_failure("[pool]\nslotz = 4\n"), @r"
    ~/.config/wezterm-parallel/config.toml:2:1: unknown key `slotz` in `pool`
    hint: did you mean `slots`?
    ");
    insta::assert_snapshot!(toml_failure("[pol]\nslots = 4\n"), @r"
    ~/.config/wezterm-parallel/config.toml:1:2: unknown key `pol`
    hint: did you mean `pool`?
    ");
    insta::assert_snapshot!(toml_failure("[workers.shell]\ntimeuot = \"1h\"\n"), @r"
    ~/.config/wezterm-parallel/config.toml:2:1: unknown key `timeuot` in `workers.shell`
    hint: did you mean `timeout`?
    ");
    insta::assert_snapshot!(toml_failure("[pool]\n\nslots = 0\n"), @r#"~/.config/wezterm-parallel/config.toml:3:9: `pool.slots`: 0 slots: 1 to 4096, or "auto""#);
    insta::assert_snapshot!(toml_failure("[pool]\nslots = \"many\"\n"), @r#"~/.config/wezterm-parallel/config.toml:2:9: `pool.slots` must be a number from 1 to 4096, or "auto", not "many""#);
    insta::assert_snapshot!(toml_failure("[pool]\nslots = -4\n"), @r#"~/.config/wezterm-parallel/config.toml:2:9: `pool.slots`: -4 slots: 1 to 4096, or "auto""#);
    insta::assert_snapshot!(toml_failure("[pool]\ndefault_priority = 256\n"), @"~/.config/wezterm-parallel/config.toml:2:20: `pool.default_priority` must be a whole number from 0 to 255, not 256");
    insta::assert_snapshot!(toml_failure("[admission]\nenabled = \"yes\"\n"), @r#"~/.config/wezterm-parallel/config.toml:2:11: `admission.enabled` must be true or false, not "yes""#);
    insta::assert_snapshot!(toml_failure("[retention]\nage = 7\n"), @r#"~/.config/wezterm-parallel/config.toml:2:7: `retention.age` must be a duration with its unit, such as "90s" or "1h 30m", not 7"#);
    insta::assert_snapshot!(toml_failure("[retention]\nage = \"7 fortnights\"\n"), @r#"~/.config/wezterm-parallel/config.toml:2:7: `retention.age`: "7 fortnights" is not a duration: unknown time unit "fortnights" (examples: 90s, 1h 30m, 7d)"#);
    insta::assert_snapshot!(toml_failure("[output]\ncap_bytes = \"big\"\n"), @r#"~/.config/wezterm-parallel/config.toml:2:13: `output.cap_bytes`: "big" is not a size (examples: 1048576, 256MiB, 10GB)"#);
    insta::assert_snapshot!(toml_failure("[workers.shell]\nkind = \"shel\"\n"), @r#"
    ~/.config/wezterm-parallel/config.toml:2:8: `workers.shell.kind`: there is no "shel"
    hint: did you mean `shell`?
    "#);
    insta::assert_snapshot!(toml_failure("[pool\nslots = 4\n"), @"~/.config/wezterm-parallel/config.toml:1:6: unclosed table, expected `]`");
    insta::assert_snapshot!(toml_failure("pool = 4\n"), @"~/.config/wezterm-parallel/config.toml:1:8: `pool` must be a table, not 4");
}

#[test]
fn what_only_the_whole_shows_is_found_too() {
    insta::assert_snapshot!(toml_failure("[pool]\ndefault_worker = \"shel\"\n"), @r#"
    ~/.config/wezterm-parallel/config.toml:2:1: `pool.default_worker`: there is no worker profile "shel"
    hint: did you mean `shell`?
    "#);
    insta::assert_snapshot!(toml_failure("[log]\nlevel = \"loud\"\n"), @r#"
    ~/.config/wezterm-parallel/config.toml:2:1: `log.level`: there is no log level "loud"
    hint: known are: error, warn, info, debug, trace
    "#);
    insta::assert_snapshot!(toml_failure("[log]\nfiles = 0\n"), @"~/.config/wezterm-parallel/config.toml:2:1: `log.files`: must be at least 1");
    insta::assert_snapshot!(toml_failure("[limits]\nline_bytes = 10\n"), @"~/.config/wezterm-parallel/config.toml:2:14: `limits.line_bytes`: 10 bytes are too few: at least 1KiB");
    insta::assert_snapshot!(toml_failure("[scheduler]\naging_step = \"0s\"\n"), @"~/.config/wezterm-parallel/config.toml:2:1: `scheduler.aging_step`: must be at least 1ms");
    insta::assert_snapshot!(toml_failure("[workers.exec]\nstop_signal = \"STOPIT\"\n"), @r#"
    ~/.config/wezterm-parallel/config.toml:2:1: `workers.exec.stop_signal`: there is no signal "STOPIT"
    hint: a name such as TERM, INT or HUP, or a number from 1 to 64; two at most, separated by a space
    "#);
    insta::assert_snapshot!(toml_failure("[workers.\"a b\"]\nkind = \"exec\"\n"), @r#"
    ~/.config/wezterm-parallel/config.toml:1:10: `workers` has a bad name "a b"
    hint: 1 to 64 characters of A-Z a-z 0-9 . _ -, not beginning with . or -
    "#);
    insta::assert_snapshot!(toml_failure("[workers.exec.env]\n\"A=B\" = \"c\"\n"), @r#"
    ~/.config/wezterm-parallel/config.toml:1:15: `workers.exec.env`: "A=B" cannot be set
    hint: names have no `=`, and neither names nor values have a NUL
    "#);
}

#[test]
fn yaml_errors_name_the_line_too() {
    let failure = |text: &str| Home::with("config.yaml", text).failure(&[]);
    insta::assert_snapshot!(failure("pool:\n  slotz: 4\n"), @r"
    ~/.config/wezterm-parallel/config.yaml:2:3: unknown key `slotz` in `pool`
    hint: did you mean `slots`?
    ");
    insta::assert_snapshot!(failure("pool:\n  slots: 0\n"), @r#"~/.config/wezterm-parallel/config.yaml:2:10: `pool.slots`: 0 slots: 1 to 4096, or "auto""#);
    insta::assert_snapshot!(failure("pool:\n  default_priority: 256\n"), @"~/.config/wezterm-parallel/config.yaml:2:21: `pool.default_priority` must be a whole number from 0 to 255, not 256");
    insta::assert_snapshot!(failure("retention:\n  age: 7\n"), @r#"~/.config/wezterm-parallel/config.yaml:2:3: `retention.age` must be a duration with its unit, such as "90s" or "1h 30m", not 7"#);
    insta::assert_snapshot!(failure("pool: [\n"), @"~/.config/wezterm-parallel/config.yaml:1:7: unclosed bracket '['");
    insta::assert_snapshot!(failure("just text\n"), @r#"~/.config/wezterm-parallel/config.yaml:1:1: the whole file must be a table, not "just text""#);
}

#[test]
fn two_files_are_an_error() {
    let home = Home::with("config.toml", "");
    home.write("config.yaml", "", 0o600);
    insta::assert_snapshot!(home.failure(&[]), @r"
    there are two config files: ~/.config/wezterm-parallel/config.toml and ~/.config/wezterm-parallel/config.yaml
    hint: keep one of them
    ");
}

#[test]
fn a_file_that_others_can_write_is_not_trusted() {
    let home = Home::new();
    home.write("config.toml", "", 0o664);
    insta::assert_snapshot!(home.failure(&[]), @r"
    the config ~/.config/wezterm-parallel/config.toml can be written by others (mode 0664)
    hint: chmod go-w ~/.config/wezterm-parallel/config.toml
    ");
    home.write("config.toml", "", 0o644);
    assert_eq!(home.load().warnings, Vec::<String>::new());
}

#[test]
fn values_that_others_can_read_are_warned_of() {
    let home = Home::new();
    home.write("config.toml", "workers.shell.env.API = \"x\"\n", 0o644);
    let warnings = home.load().warnings.join("\n");
    assert!(warnings.contains("can be read by others"), "{warnings}");
    home.write("config.toml", "workers.shell.env.API = \"x\"\n", 0o600);
    assert_eq!(home.load().warnings, Vec::<String>::new());
}

#[test]
fn an_explicit_file_is_taken_in_place_of_the_usual_one() {
    let home = Home::with("config.toml", "pool.slots = 2\n");
    let other = home.folder.path().join("other.toml");
    fs::write(&other, "pool.slots = 7\n").unwrap();
    fs::set_permissions(&other, fs::Permissions::from_mode(0o600)).unwrap();
    let load = |path: &Path| Config::load(Some(path), std::iter::empty(), &home.paths);
    let loaded = load(&other).unwrap();
    assert_eq!(loaded.config.pool.slots, Slots::Count(7));
    assert_eq!(loaded.file, Some(other));
    assert_eq!(load(Path::new("/dev/null")).unwrap().config, Config::default());
    let missing = load(&home.folder.path().join("missing.toml")).unwrap_err();
    assert!(matches!(missing, ConfigError::Unreadable { .. }), "{missing}");
}

#[test]
fn variables_go_over_the_file() {
    let home = Home::with(
        "config.toml",
        "pool.slots = 2\n[limits.workspaces]\nmy-api = 1\n[workers.my-own]\nkind = \"exec\"\n",
    );
    let loaded = home
        .load_with(&[
            ("WEZTERM_PARALLEL_POOL_SLOTS", "4"),
            ("WEZTERM_PARALLEL_ADMISSION_ENABLED", "off"),
            ("WEZTERM_PARALLEL_POOL_DEFAULT_PRIORITY", "7"),
            ("WEZTERM_PARALLEL_RETENTION_AGE", "1d"),
            ("WEZTERM_PARALLEL_WORKERS_MY_OWN_RETRIES", "5"),
            ("WEZTERM_PARALLEL_WORKERS_EXEC_STOP_SIGNAL", "2"),
            ("WEZTERM_PARALLEL_LIMITS_WORKSPACES_MY_API", "9"),
            ("WEZTERM_PARALLEL_TASK", "ignored"),
            ("WEZTERM_PARALLEL_SOCKET", "ignored"),
            ("PATH", "ignored"),
        ])
        .unwrap();
    assert_eq!(loaded.warnings, Vec::<String>::new());
    let config = loaded.config;
    assert_eq!(config.pool.slots, Slots::Count(4));
    assert!(!config.admission.enabled);
    assert_eq!(config.pool.default_priority, 7);
    assert_eq!(config.retention.age, Duration::from_secs(86_400));
    assert_eq!(config.workers["my-own"].retries, Some(5));
    assert_eq!(config.workers["exec"].stop_signal.as_deref(), Some("2"));
    assert_eq!(
        config.limits.workspaces,
        BTreeMap::from([("my-api".to_owned(), 9)])
    );
}

#[test]
fn a_wrong_variable_is_named_and_an_unknown_one_only_warned_of() {
    let home = Home::new();
    insta::assert_snapshot!(home.failure(&[("WEZTERM_PARALLEL_POOL_SLOTS", "lots")]), @r#"WEZTERM_PARALLEL_POOL_SLOTS: `pool.slots` must be a number from 1 to 4096, or "auto", not "lots""#);
    insta::assert_snapshot!(home.failure(&[("WEZTERM_PARALLEL_LOG_FILES", "-1")]), @"WEZTERM_PARALLEL_LOG_FILES: `log.files` must be a whole number from 0 to 4294967295, not -1");
    insta::assert_snapshot!(home.failure(&[("WEZTERM_PARALLEL_ADMISSION_ENABLED", "maybe")]), @r#"WEZTERM_PARALLEL_ADMISSION_ENABLED: `admission.enabled` must be true or false, not "maybe""#);
    insta::assert_snapshot!(home.failure(&[("WEZTERM_PARALLEL_LOG_LEVEL", "wran")]), @r#"
    WEZTERM_PARALLEL_LOG_LEVEL: `log.level`: there is no log level "wran"
    hint: did you mean `warn`?
    "#);
    let loaded = home
        .load_with(&[
            ("WEZTERM_PARALLEL_POOL_SLOT", "4"),
            ("WEZTERM_PARALLEL_QQQQQQQ", "4"),
        ])
        .unwrap();
    insta::assert_snapshot!(loaded.warnings.join("\n"), @r"
    WEZTERM_PARALLEL_POOL_SLOT means nothing; did you mean WEZTERM_PARALLEL_POOL_SLOTS?
    WEZTERM_PARALLEL_QQQQQQQ means nothing
    ");
    assert_eq!(loaded.config, Config::default());
}

fn paths(variables: &[(&str, &str)]) -> Result<Paths, ConfigError> {
    let lookup = |name: &str| {
        let found = variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| OsString::from(value))
    };
    Paths::from_variables(lookup, None)
}

#[test]
fn places_follow_the_xdg_rules() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = folder.path().to_str().unwrap();
    let found = paths(&[
        ("HOME", "/home/u"),
        ("XDG_CONFIG_HOME", "/c"),
        ("XDG_DATA_HOME", "/d"),
        ("XDG_RUNTIME_DIR", runtime),
    ])
    .unwrap();
    assert_eq!(found.config_dir, Path::new("/c/wezterm-parallel"));
    assert_eq!(found.data, Path::new("/d/wezterm-parallel"));
    assert_eq!(found.runtime, folder.path().join("wezterm-parallel"));
    assert_eq!(found.socket, found.runtime.join("daemon.sock"));

    let relative = paths(&[
        ("HOME", "/home/u"),
        ("XDG_CONFIG_HOME", "c"),
        ("XDG_RUNTIME_DIR", "r"),
    ]);
    let relative = relative.unwrap();
    assert_eq!(relative.config_dir, Path::new("/home/u/.config/wezterm-parallel"));
    assert_eq!(
        relative.runtime,
        Path::new("/home/u/.local/share/wezterm-parallel/run")
    );

    let gone = paths(&[("HOME", "/home/u"), ("XDG_RUNTIME_DIR", "/does/not/exist")]).unwrap();
    assert_eq!(gone.runtime, relative.runtime);
    let nowhere = paths(&[("HOME", "relative")]).unwrap_err();
    assert!(matches!(nowhere, ConfigError::NoHome), "{nowhere}");
}

#[test]
fn a_socket_with_too_long_a_path_is_refused() {
    let home = format!("/{}", "x".repeat(100));
    insta::assert_snapshot!(paths(&[("HOME", &home)]).unwrap_err(), @"the socket's path has 147 bytes, 107 are possible: /xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx/.local/share/wezterm-parallel/run/daemon.sock");
    let lookup = |name: &str| (name == "HOME").then(|| OsString::from(&home));
    let socket = PathBuf::from("/tmp/short.sock");
    assert_eq!(
        Paths::from_variables(lookup, Some(socket.clone()))
            .unwrap()
            .socket,
        socket
    );
}

#[test]
fn private_folders_are_made_and_closed_to_others() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b");
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
    ensure_private_dir(&path).unwrap();
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o700, 0o700));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    ensure_private_dir(&path).unwrap();
    assert_eq!(mode(&path), 0o700);
    fs::write(folder.path().join("file"), "").unwrap();
    let blocked = ensure_private_dir(&folder.path().join("file")).unwrap_err();
    assert!(matches!(blocked, ConfigError::Folder { .. }), "{blocked}");
}

#[test]
fn what_belongs_to_somebody_else_is_not_used() {
    const SOMEBODY: u32 = 12_345;
    let foreign = |error: ConfigError| matches!(error, ConfigError::ForeignOwner { .. });
    if !rustix::process::geteuid().is_root() {
        assert!(foreign(ensure_private_dir(Path::new("/usr")).unwrap_err()));
        return;
    }
    let home = Home::with("config.toml", "");
    let give = |path: &Path| std::os::unix::fs::chown(path, Some(SOMEBODY), None).unwrap();
    give(&home.paths.config_dir.join("config.toml"));
    assert!(foreign(home.load_with(&[]).unwrap_err()));
    let folder = home.folder.path().join("theirs");
    fs::create_dir(&folder).unwrap();
    give(&folder);
    assert!(foreign(ensure_private_dir(&folder).unwrap_err()));
    let lookup = |name: &str| match name {
        "HOME" => Some(OsString::from("/home/u")),
        "XDG_RUNTIME_DIR" => Some(folder.clone().into_os_string()),
        _ => None,
    };
    let runtime = Paths::from_variables(lookup, None).unwrap().runtime;
    assert_eq!(runtime, Path::new("/home/u/.local/share/wezterm-parallel/run"));
}

#[test]
fn options_belong_to_their_kind() {
    insta::assert_snapshot!(toml_failure("[workers.exec]\nmodel = \"opus\"\n"), @r#"
    ~/.config/wezterm-parallel/config.toml:2:1: `workers.exec.model`: is an option of kind "claude"
    hint: remove it, or set kind = "claude"
    "#);
    insta::assert_snapshot!(toml_failure("[workers.claude]\nshell = \"sh\"\n"), @r#"
    ~/.config/wezterm-parallel/config.toml:2:1: `workers.claude.shell`: is an option of kind "shell"
    hint: remove it
    "#);
    insta::assert_snapshot!(toml_failure("[workers.claude]\nmax_budget_usd = -1\n"), @r"
    ~/.config/wezterm-parallel/config.toml:2:1: `workers.claude.max_budget_usd`: -1 dollars; more than 0 and at most 1000000 are allowed
    hint: leave it out for no limit
    ");
    insta::assert_snapshot!(toml_failure("[workers.claude]\npermissions = \"aks\"\n"), @r#"
    ~/.config/wezterm-parallel/config.toml:2:15: `workers.claude.permissions`: there is no "aks"
    hint: did you mean `ask`?
    "#);
    insta::assert_snapshot!(toml_failure("[quota]\ntaper = [{ above = 90, at_most = 2 }]\n"), @r"
    ~/.config/wezterm-parallel/config.toml:2:1: `quota.taper`: `above` is 90, but must be 0 to 1
    hint: 0.9 means 90 % of the limit
    ");
    insta::assert_snapshot!(toml_failure("[workers.claude]\nextra_args = [\"--resume=x\"]\n"), @r"
    ~/.config/wezterm-parallel/config.toml:2:1: `workers.claude.extra_args`: holds --resume
    hint: a task has `resume` and `continue_from`
    ");
    insta::assert_snapshot!(toml_failure("[budget.workspaces]\napi = 0\n"), @r"
    ~/.config/wezterm-parallel/config.toml:2:1: `budget.workspaces.api`: 0 dollars; more than 0 and at most 1000000 are allowed
    hint: leave it out for no limit
    ");
}

#[test]
fn a_second_profile_of_kind_claude_has_its_own_model() {
    let home = Home::with(
        "config.toml",
        "[workers.review]\nkind = \"claude\"\nmodel = \"haiku\"\nallowed_tools = [\"Read\"]\nmax_budget_usd = 0.5\n",
    );
    let config = home.load_with(&[(
        "WEZTERM_PARALLEL_WORKERS_REVIEW_ALLOWED_TOOLS",
        "Bash(git *), Edit",
    )]);
    let expected = WorkerConfig {
        model: Some("haiku".to_owned()),
        allowed_tools: Some(vec!["Bash(git *)".to_owned(), "Edit".to_owned()]),
        max_budget_usd: Some(0.5),
        ..WorkerConfig::of_kind(WorkerKind::Claude)
    };
    assert_eq!(config.unwrap().config.workers["review"], expected);
}

#[test]
fn marks_rates_and_sizes_of_admission_are_checked() {
    for (text, words) in [
        (
            "[admission]\ncpu_high = 90\n",
            "`admission.cpu_high`: 90 is no share",
        ),
        (
            "[admission]\ncpu_low = 0.95\n",
            "`admission.cpu_low`: 0.95 is not between 0 and the high mark, 0.9",
        ),
        ("[admission]\nstale_after = \"1s\"\n", "must be at least 2s"),
        ("[admission]\nmemory_floor = \"lots\"\n", "is not a size"),
        ("[workers.shell]\nrate = \"fast\"\n", "\"fast\" is not a rate"),
        ("[workers.shell]\ncpus = -1\n", "-1 CPUs"),
        ("[limits.rates]\n\"a b\" = \"1/s\"\n", "bad name"),
        (
            "[limits.weights]\napi = 0\n",
            "`limits.weights.api`: must be 1 to 1000",
        ),
    ] {
        let failure = toml_failure(text);
        assert!(failure.contains(words), "{text}: {failure}");
    }
    let home = Home::with(
        "config.toml",
        "[admission]\nmemory_floor = \"2GiB\"\n[workers.claude]\nrate = \"10/min burst 3\"\n[limits.rates]\napi = \"1/s\"\n",
    );
    let config = home
        .load_with(&[("WEZTERM_PARALLEL_LIMITS_RATES_API", "2/s")])
        .unwrap()
        .config;
    assert_eq!(config.admission.memory_floor, Some(ByteSize(2 << 30)));
    assert_eq!(
        config.workers["claude"].rate.unwrap().to_string(),
        "10/min burst 3"
    );
    assert_eq!(config.limits.rates["api"].to_string(), "2/s");
}
