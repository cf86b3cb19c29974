//! `setup wezterm`: the plugin's lines come into the user's file once, and the old file stays.

mod support;

use std::fs;
use std::process::{Output, Stdio};

use support::{shown, Home};

fn setup(home: &Home, arguments: &[&str]) -> Output {
    let arguments = ["setup", "wezterm"].iter().chain(arguments);
    let mut command = home.command(arguments);
    command.env_remove("XDG_CONFIG_HOME");
    command.output().unwrap()
}

#[test]
fn a_home_without_a_file_gets_one_that_loads() {
    let home = Home::new();
    let file = home.path().join(".config/wezterm/wezterm.lua");
    let printed = setup(&home, &["--print"]);
    assert!(printed.status.success() && !file.exists(), "{}", shown(&printed));
    let refused = setup(&home, &[]);
    assert_eq!(
        refused.status.code(),
        Some(2),
        "nobody was asked: {}",
        shown(&refused)
    );
    assert!(!file.exists());
    let made = setup(&home, &["--yes"]);
    assert!(made.status.success(), "{}", shown(&made));
    let text = fs::read(&file).unwrap();
    assert_eq!(text, printed.stdout);
    assert_loads(&String::from_utf8(text.clone()).unwrap());
    let again = setup(&home, &["--yes"]);
    assert!(again.status.success(), "{}", shown(&again));
    assert_eq!(fs::read(&file).unwrap(), text);
    assert_eq!(
        fs::read_dir(file.parent().unwrap()).unwrap().count(),
        1,
        "no backup of nothing"
    );
}

#[test]
fn a_file_keeps_all_that_it_has() {
    let home = Home::new();
    let file = home.path().join(".wezterm.lua");
    let old = "local wezterm = require 'wezterm'\nlocal c = {}\nc.keys = {}\nreturn c\n";
    fs::write(&file, old).unwrap();
    let made = setup(&home, &["--yes", "--plugin", "file:///a/wezterm-parallel"]);
    assert!(made.status.success(), "{}", shown(&made));
    let new = fs::read_to_string(&file).unwrap();
    assert_loads(&new);
    assert!(
        new.contains(", 'file:///a/wezterm-parallel')\n") && new.contains(".apply_to_config(c, {})"),
        "{new}"
    );
    let kept = home.path().join(".wezterm.lua.before-wezterm-parallel");
    assert_eq!(fs::read_to_string(kept).unwrap(), old);
    let again = setup(&home, &["--yes"]);
    assert!(
        String::from_utf8_lossy(&again.stderr).contains("has the plugin already"),
        "{}",
        shown(&again)
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), new);
}

#[test]
fn a_file_that_cannot_be_changed_stays_as_it_is() {
    let home = Home::new();
    let file = home.path().join("mine.lua");
    let name = file.to_str().unwrap();
    for old in [&b"return { font_size = 10 }\n"[..], b"return \xff\n"] {
        fs::write(&file, old).unwrap();
        let refused = setup(&home, &["--yes", "--file", name]);
        assert!(!refused.status.success(), "{}", shown(&refused));
        assert!(String::from_utf8_lossy(&refused.stderr).contains("mine.lua"));
        assert_eq!(fs::read(&file).unwrap(), old);
    }
    let in_the_way = setup(&home, &["--yes", "--file", &format!("{name}/wezterm.lua")]);
    assert_eq!(in_the_way.status.code(), Some(2), "{}", shown(&in_the_way));
}

#[test]
fn a_link_stays_one_even_to_nothing() {
    let home = Home::new();
    let (link, real) = (
        home.path().join(".wezterm.lua"),
        home.path().join("dotfiles/w.lua"),
    );
    std::os::unix::fs::symlink("dotfiles/w.lua", &link).unwrap();
    let made = setup(&home, &["--yes", "--file", link.to_str().unwrap()]);
    assert!(made.status.success(), "{}", shown(&made));
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_loads(&fs::read_to_string(&real).unwrap());
    fs::write(&real, "local c = {}\nreturn c\n").unwrap();
    let changed = setup(&home, &["--yes"]);
    assert!(changed.status.success(), "{}", shown(&changed));
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_loads(&fs::read_to_string(&real).unwrap());
    assert!(home
        .path()
        .join("dotfiles/w.lua.before-wezterm-parallel")
        .exists());
}

#[test]
fn two_at_once_add_it_once() {
    let home = Home::new();
    let file = home.path().join(".wezterm.lua");
    fs::write(&file, "local c = {}\nreturn c\n").unwrap();
    let start = || {
        let mut command = home.command(["setup", "wezterm", "--yes"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let all: Vec<_> = (0..8).map(|_| start()).collect();
    let said: Vec<_> = all
        .into_iter()
        .map(|child| child.wait_with_output().unwrap())
        .collect();
    let count = |words: &str| {
        let says = |output: &&Output| String::from_utf8_lossy(&output.stderr).contains(words);
        said.iter().filter(says).count()
    };
    assert!(said.iter().all(|output| output.status.success()), "{said:?}");
    assert_eq!(
        (count("wrote "), count("has the plugin already")),
        (1, 7),
        "{said:?}"
    );
    assert_loads(&fs::read_to_string(&file).unwrap());
    let names = fs::read_dir(home.path()).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(names.filter(|name| name.starts_with(".wezterm.lua")).count(), 2);
}

#[test]
fn a_plugin_that_cannot_be_had_leaves_the_configuration_as_it_is() {
    let home = Home::new();
    let text = home.ok(["setup", "wezterm", "--print"]);
    let lua = lua("error 'failed to resolve address'");
    let returned: mlua::Table = lua.load(&text).eval().unwrap();
    let built: mlua::Table = lua.globals().get("built").unwrap();
    assert_eq!(returned, built);
    let said: String = lua.globals().get("said").unwrap();
    assert!(
        said.starts_with("wezterm-parallel: ") && said.contains("failed to resolve address"),
        "{said}"
    );
}

/// A Lua with as much of WezTerm as the lines need; `require` is what gets the plugin.
fn lua(require: &str) -> mlua::Lua {
    let lua = mlua::Lua::new();
    lua.load(format!(
        "applied, built, said = nil, {{}}, nil
         package.loaded.wezterm = {{
           config_builder = function() return built end,
           log_warn = function(words) said = words end,
           plugin = {{ require = function(url) {require} end }},
         }}"
    ))
    .exec()
    .unwrap();
    lua
}

/// The file is Lua, and hands its configuration to the plugin before it returns it.
fn assert_loads(text: &str) {
    let lua = lua("return { apply_to_config = function(config, options) applied = config end }");
    lua.load("known = {} for name in pairs(_G) do known[name] = true end")
        .exec()
        .unwrap();
    let returned: mlua::Table = lua.load(text).eval().unwrap();
    let applied: mlua::Table = lua.globals().get("applied").unwrap();
    assert_eq!(returned, applied);
    let new: Option<String> = lua
        .load("for name in pairs(_G) do if not known[name] and name ~= 'applied' then return name end end")
        .eval()
        .unwrap();
    assert_eq!(new, None, "a name that leaks");
}
