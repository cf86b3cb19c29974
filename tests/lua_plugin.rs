//! The WezTerm plugin under the Lua that WezTerm has, with no Lua on the machine: its specs, its way of being
//! loaded, and that the real program understands what it is asked.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use mlua::{Function, Lua, Table, Value, Variadic};

use support::{wait_for, Home, PROGRAM};

/// Fewer than these, and the runner has lost some.
const SPECS_MIN: usize = 70;

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A Lua that finds the plugin's modules and the specs' helpers, and can start no program by itself.
fn lua() -> Lua {
    let lua = Lua::new();
    let folder = repository().join("lua");
    let folder = folder.to_str().expect("UTF-8");
    let package: Table = lua.globals().get("package").unwrap();
    package
        .set("path", format!("{folder}/?.lua;{folder}/spec/?.lua"))
        .unwrap();
    lua.load("os.execute, io.popen = nil, nil").exec().unwrap();
    lua
}

fn run_specs(lua: &Lua, name: &str, source: &str) -> (Vec<String>, Vec<String>) {
    let runner: Table = lua
        .load("return require 'support.runner'")
        .eval()
        .expect("the runner");
    let run: Function = runner.get("run").unwrap();
    let spec = lua
        .load(source)
        .set_name(format!("@{name}"))
        .into_function()
        .expect(name);
    run.call(spec).expect(name)
}

fn lua_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(lua_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "lua") {
            files.push(path);
        }
    }
    files.sort();
    files
}

#[test]
fn every_spec_passes() {
    let mut passed = 0;
    let mut failed = Vec::new();
    for file in lua_files(&repository().join("lua/spec")) {
        let name = file.file_name().unwrap().to_str().unwrap();
        if !name.ends_with("_spec.lua") {
            continue;
        }
        let (good, bad) = run_specs(&lua(), name, &fs::read_to_string(&file).unwrap());
        assert!(good.len() + bad.len() > 0, "{name} has no specs");
        passed += good.len();
        failed.extend(bad);
    }
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
    assert!(passed >= SPECS_MIN, "only {passed} specs were run");
}

#[test]
fn a_spec_that_fails_is_reported() {
    let source = "describe('a', function()
                    it('passes', function() assert.are.same({1, {x = 2}}, {1, {x = 2}}) end)
                    it('differs', function() assert.are.same({1, {x = 2}}, {1, {x = 3}}) end)
                    it('has more', function() assert.are.same({1}, {1, 2}) end)
                    it('raises', function() error 'on purpose' end)
                    it('does not raise', function() assert.has_error(function() end) end)
                    it('matches', function() assert.matches('^b', 'ab') end)
                  end)
                  error 'outside'";
    let (passed, failed) = run_specs(&lua(), "x_spec.lua", source);
    assert_eq!(passed, ["a passes"]);
    let names: Vec<&str> = failed.iter().filter_map(|reason| reason.lines().next()).collect();
    assert_eq!(
        names,
        [
            "a differs",
            "a has more",
            "a raises",
            "a does not raise",
            "a matches",
            "the file itself"
        ]
    );
}

#[test]
fn wezterm_alone_is_touched_by_the_host() {
    for file in lua_files(&repository().join("lua/wezterm_parallel")) {
        let name = file.file_name().unwrap().to_str().unwrap();
        let source = fs::read_to_string(&file).unwrap();
        assert!(source.starts_with("--- "), "{name} does not say what it owns");
        assert!(
            !source.contains("io.popen") && !source.contains("os.execute"),
            "{name}"
        );
        let code = source.lines().filter(|line| !line.trim_start().starts_with("--"));
        let touches = code
            .map(|line| line.replace("docs/wezterm.md", ""))
            .filter(|line| line.contains("wezterm.") || line.contains("require 'wezterm'"))
            .count();
        assert_eq!(touches > 0, name == "host.lua", "{name}: {touches}");
    }
}

/// WezTerm requires a plugin by the name of its folder, along a path that ends in `?/plugin/init.lua`.
#[test]
fn it_is_loaded_as_wezterm_does() {
    let folder = tempfile::tempdir().unwrap();
    let plugins = folder.path().join("plug ins");
    fs::create_dir(&plugins).unwrap();
    std::os::unix::fs::symlink(repository(), plugins.join("githubsDscomsZsx")).unwrap();
    let lua = Lua::new();
    lua.globals().set("plugins", plugins.to_str().unwrap()).unwrap();
    lua.globals()
        .set("specs", repository().join("lua/spec/?.lua").to_str().unwrap())
        .unwrap();
    let keys: i64 = lua
        .load(
            "package.path = plugins .. '/?/plugin/init.lua;' .. specs
             local wezterm = require('support.wezterm_stub').new()
             package.preload.wezterm = function() return wezterm end
             local config = {}
             require('githubsDscomsZsx').apply_to_config(config, {})
             package.loaded.githubsDscomsZsx = nil
             local before = package.path
             require 'githubsDscomsZsx'
             assert(before == package.path, 'the path grows with every load')
             return #config.keys",
        )
        .eval()
        .unwrap();
    assert_eq!(keys, 7);
}

/// Anything of JSON as Lua has it; null is nil.
fn to_lua(lua: &Lua, value: &serde_json::Value) -> mlua::Result<Value> {
    use serde_json::Value as Json;
    Ok(match value {
        Json::Null => Value::Nil,
        Json::Bool(value) => Value::Boolean(*value),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => Value::Integer(whole),
            None => Value::Number(number.as_f64().unwrap_or_default()),
        },
        Json::String(text) => Value::String(lua.create_string(text)?),
        Json::Array(entries) => {
            let table = lua.create_table()?;
            for entry in entries {
                table.push(to_lua(lua, entry)?)?;
            }
            Value::Table(table)
        }
        Json::Object(fields) => {
            let table = lua.create_table()?;
            for (name, field) in fields {
                table.set(name.as_str(), to_lua(lua, field)?)?;
            }
            Value::Table(table)
        }
    })
}

fn json_parse(lua: &Lua) -> Function {
    lua.create_function(|lua, text: String| {
        let value: serde_json::Value = serde_json::from_str(&text).map_err(mlua::Error::external)?;
        to_lua(lua, &value)
    })
    .unwrap()
}

/// Puts the real program, in this home, behind `run_child_process`.
fn program_of(lua: &Lua, home: &Rc<Home>) -> Function {
    let home = Rc::clone(home);
    lua.create_function(move |_, argv: Vec<String>| {
        let output = home
            .command_of(&argv[0], &argv[1..])
            .output()
            .map_err(mlua::Error::external)?;
        let text = |bytes| String::from_utf8(bytes).map_err(mlua::Error::external);
        Ok((
            output.status.success(),
            text(output.stdout)?,
            text(output.stderr)?,
        ))
    })
    .unwrap()
}

/// The plugin with a key to press and a menu to choose from, before the real program and the real daemon's file.
struct Desk {
    home: Rc<Home>,
    lua: Lua,
}

impl Desk {
    fn new(home: &Rc<Home>) -> Self {
        let lua = lua();
        let globals = lua.globals();
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let status_file = home.path().join("run/wezterm-parallel/status.json");
        globals.set("program", program_of(&lua, home)).unwrap();
        globals.set("json", json_parse(&lua)).unwrap();
        globals.set("bin", PROGRAM).unwrap();
        globals.set("folder", text(home.path())).unwrap();
        globals.set("status_file", text(&status_file)).unwrap();
        lua.load(
            "local stub = require 'support.wezterm_stub'
             wezterm, record = stub.new { json = json }
             window, seen = stub.window { selection = 'echo first\\necho second' }
             pane = stub.pane { folder = folder }
             record.answer = program
             parallel = require('wezterm_parallel.plugin').new(wezterm)
             parallel.apply_to_config({}, {
               bin = bin, status_file = status_file, status = { icons = 'ascii', interval_ms = 0 },
               env = { GREETING = 'hello world' },
             })
             function press(name, line) record.press(parallel.actions[name], window, pane, line) end
             function choose(label)
               local action = seen.performed[#seen.performed]
               for _, choice in ipairs(action.fields.choices) do
                 if choice.label:find(label, 1, true) then
                   return record.press(action, window, pane, choice.id, choice.label)
                 end
               end
               error('no choice ' .. label)
             end",
        )
        .exec()
        .unwrap();
        let home = Rc::clone(home);
        Self { home, lua }
    }

    fn run(&self, code: &str) {
        self.lua.load(code).exec().unwrap();
    }

    /// Opens the menu, chooses a task, and what to do with it.
    fn choose(&self, task: &str, deed: &str) {
        self.run(&format!("press('menu'); choose('{task}'); choose('{deed}')"));
    }

    fn bar(&self) -> String {
        let code = "record.now_ms = os.time() * 1000; return parallel.status_text()";
        self.lua.load(code).eval().unwrap()
    }

    fn toasts(&self) -> Vec<String> {
        let seen: Table = self.lua.globals().get("seen").unwrap();
        seen.get("toasts").unwrap()
    }

    fn last_toast(&self) -> String {
        self.toasts().pop().unwrap_or_default()
    }
}

/// A key is pressed, the real program is run, and the real daemon queues.
#[test]
fn keys_queue_with_the_real_program() {
    let home = Rc::new(Home::with_config("[pool]\nslots = 1\n"));
    let _daemon = home.daemon();
    let desk = Desk::new(&home);
    desk.run("press('shell', '!high echo \"$GREETING\"; pwd')");
    assert_eq!(desk.last_toast(), "Queued as task 1");
    assert_eq!(home.wait_state("1", &["succeeded"]).priority, 150);
    let folder = home.path().to_str().unwrap();
    assert_eq!(home.output("1", 1), format!("hello world\n{folder}\n"));
    desk.run("press('selection')");
    home.wait_state("2", &["succeeded"]);
    assert_eq!(home.output("2", 1), "first\nsecond\n");
    desk.run("press('pause'); press('prompt', '--help is no option here')");
    assert_eq!(
        home.task("3").command.as_deref(),
        Some("--help is no option here")
    );
    desk.run("press('prompt', '   ')");
    assert_eq!(desk.last_toast(), "there is nothing to queue");
}

/// From the menu to the real daemon, and back by its real file to the bar.
#[test]
fn the_menu_changes_tasks_and_the_bar_shows_it() {
    let home = Rc::new(Home::with_config("[pool]\nslots = 1\n"));
    let _daemon = home.daemon();
    let desk = Desk::new(&home);
    desk.run("press('pause')");
    assert_eq!(desk.last_toast(), "Paused: what runs goes on, nothing new starts");
    desk.run("press('shell', 'false'); press('shell', 'sleep 600')");
    wait_for("the bar to show two tasks", || {
        (desk.bar() == " wp 0/1 q 2 || paused ").then_some(())
    });
    desk.choose("1  queued", "raise");
    assert_eq!(home.task("1").priority, 150);
    desk.choose("2  queued", "cancel");
    home.wait_state("2", &["cancelled"]);
    desk.run("press('pause')");
    assert_eq!(desk.last_toast(), "Resumed");
    home.wait_state("1", &["failed"]);
    desk.choose("1  failed", "retry");
    wait_for("another attempt", || {
        let task = desk.home.task("1");
        (task.attempts.len() == 2 && task.state.as_str() == "failed").then_some(())
    });
    wait_for("the bar to show the failure", || {
        (desk.bar() == " wp 0/1 ! 1 ").then_some(())
    });
    let refused: Vec<_> = desk
        .toasts()
        .into_iter()
        .filter(|words| words.contains("error"))
        .collect();
    assert!(refused.is_empty(), "{refused:?}");
}

/// The answers to questions need a Claude worker to be taken; that they are understood does not.
#[test]
fn answers_have_the_form_that_the_program_takes() {
    let home = Home::new();
    let _daemon = home.daemon();
    let lua = lua();
    let client: Table = lua
        .load("return require 'wezterm_parallel.client'")
        .eval()
        .unwrap();
    let forms: [(&str, Variadic<&str>); 3] = [
        ("deny", ["7", "r", "-no"].into_iter().collect()),
        ("allow", ["7", "r", "Drink?=-x"].into_iter().collect()),
        ("show", ["7"].into_iter().collect()),
    ];
    for (name, words) in forms {
        let make: Function = client.get(name).unwrap();
        let arguments: Vec<String> = make.call(words).unwrap();
        let output = home.run(&arguments);
        // The line is right, and there is no such task.
        assert_eq!(output.status.code(), Some(4), "{}", support::shown(&output));
    }
}

/// `WEZTERM_PARALLEL_LUA_ROUNDS=20000 cargo test --release --test lua_plugin cost -- --nocapture` gives figures.
#[test]
#[allow(clippy::print_stderr, reason = "figures for whoever asks for them")]
fn what_an_update_costs_can_be_measured() {
    let rounds: i64 = std::env::var("WEZTERM_PARALLEL_LUA_ROUNDS")
        .ok()
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(20);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("status.json");
    let lua = lua();
    let folder = repository().join("lua");
    let package: Table = lua.globals().get("package").unwrap();
    let before: String = package.get("path").unwrap();
    package
        .set("path", format!("{before};{}/?.lua", folder.to_str().unwrap()))
        .unwrap();
    let bench: Table = lua.load("return require 'bench.status'").eval().unwrap();
    let measure: Function = bench.get("measure").unwrap();
    let (figures, shown): (Table, i64) = measure
        .call((path.to_str().unwrap(), rounds, json_parse(&lua)))
        .unwrap();
    // Once at the beginning, and once for each change.
    assert_eq!(shown, rounds + 1);
    for name in ["unchanged", "heartbeat", "changed"] {
        let cost_us: f64 = figures.get(name).unwrap();
        eprintln!("{name}: {cost_us:.1} µs");
        assert!(cost_us.is_finite());
    }
}

#[test]
fn the_page_has_every_option_key_and_field() {
    let page = fs::read_to_string(repository().join("docs/wezterm.md")).unwrap();
    let names: Vec<String> = lua()
        .load(
            "local config = require 'wezterm_parallel.config'
             local names = config.names()
             for _, field in ipairs(config.FIELDS) do names[#names + 1] = '{' .. field .. '}' end
             for icon in pairs(config.ICONS.ascii) do names[#names + 1] = '{' .. icon .. '}' end
             for _, chord in pairs(config.DEFAULTS.keys) do
               names[#names + 1] = 'Ctrl+Shift+' .. chord.key:upper()
             end
             return names",
        )
        .eval()
        .unwrap();
    assert!(names.len() > 40, "{names:?}");
    let missing: Vec<_> = names
        .iter()
        .filter(|name| !page.contains(&format!("`{name}`")))
        .collect();
    assert!(missing.is_empty(), "docs/wezterm.md does not name {missing:?}");
}

/// What the page shows is valid Lua, and has no option that the plugin does not know.
#[test]
fn the_examples_on_the_page_work() {
    let page = fs::read_to_string(repository().join("docs/wezterm.md")).unwrap();
    let mut tried = 0;
    for block in page.split("```lua\n").skip(1) {
        let code = block.split("```").next().unwrap();
        let lua = lua();
        lua.load(
            "wezterm, record = require('support.wezterm_stub').new()
             parallel = require('wezterm_parallel.plugin').new(wezterm)
             config, tabline = {}, { setup = function() end }",
        )
        .exec()
        .unwrap();
        let example = lua.load(code).into_function().expect(code);
        if code.contains("plugin.require,") {
            // The beginning of a whole file; the rest is what the other blocks are.
            continue;
        }
        example.call::<()>(()).expect(code);
        let said: Vec<String> = lua.load("return record.log").eval().unwrap();
        assert!(said.is_empty(), "{said:?} for\n{code}");
        tried += 1;
    }
    assert!(tried >= 6, "only {tried} examples");
}
