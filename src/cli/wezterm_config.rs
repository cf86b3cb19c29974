//! Where the plugin's lines go in a `wezterm.lua`. Pure: text in, text out.

mod lua_tokens;

use lua_tokens::{tokens, Kind, Token};

/// A whole configuration without the plugin.
const EMPTY: &str = "local wezterm = require 'wezterm'\n\
                     local config = wezterm.config_builder()\n\
                     \n\
                     return config\n";
/// The plugin's name, as its address or its modules have it.
const NAMES: [&str; 2] = ["wezterm-parallel", "wezterm_parallel"];

/// A `wezterm.lua` with the plugin in it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum WithPlugin {
    /// It was there already.
    Already,
    /// The new text.
    Added(String),
    /// It does not end with `return NAME`, so that only its author knows where the lines go.
    Unclear,
}

/// What is added: `config` is the name of the configuration's variable.
pub(crate) fn lines(url: &str, config: &str) -> String {
    // A name that would hide the configuration's own is not taken.
    let (ok, parallel) = match config {
        "ok" | "parallel" => ("loaded", "plugin"),
        _ => ("ok", "parallel"),
    };
    // `require('wezterm')` rather than a variable: everybody names that one differently. WezTerm raises an error
    // if it cannot get the plugin, and would drop the whole configuration.
    format!(
        "-- wezterm-parallel: keys, a task menu and the queue in the status bar.\n\
         do\n  \
           local {ok}, {parallel} = pcall(require('wezterm').plugin.require, '{url}')\n  \
           if {ok} then\n    \
             {parallel}.apply_to_config({config}, {{}})\n  \
           else\n    \
             require('wezterm').log_warn('wezterm-parallel: ' .. tostring({parallel}))\n  \
           end\n\
         end\n"
    )
}

/// A new configuration with nothing else in it.
pub(crate) fn new_file(url: &str) -> String {
    match with_plugin(EMPTY, url) {
        WithPlugin::Added(text) => text,
        other => unreachable!("a configuration that ends with `return config`: {other:?}"),
    }
}

/// Puts the lines before the last one, which hands the configuration to WezTerm: what is appended there comes
/// behind all that the user has set.
pub(crate) fn with_plugin(text: &str, url: &str) -> WithPlugin {
    let Some(tokens) = tokens(text) else {
        return WithPlugin::Unclear;
    };
    if has_plugin(&tokens, url) {
        return WithPlugin::Already;
    }
    let Some((at, config)) = returned_name(text, &tokens) else {
        return WithPlugin::Unclear;
    };
    let mut added = lines(url, config) + "\n";
    if text.contains("\r\n") {
        added = added.replace('\n', "\r\n");
    }
    WithPlugin::Added(format!("{}{added}{}", &text[..at], &text[at..]))
}

/// Whether the plugin is loaded somewhere: by `require 'NAME'`, `plugin.require('URL')` or `pcall(require, NAME)`,
/// or with its URL in a variable. A path or a comment with the same name loads nothing.
fn has_plugin(tokens: &[Token<'_>], url: &str) -> bool {
    let kinds: Vec<Kind<'_>> = tokens.iter().map(|token| token.kind).collect();
    let loads_plugins = kinds
        .windows(3)
        .any(|three| three == [Kind::Word("plugin"), Kind::Sign('.'), Kind::Word("require")]);
    kinds.iter().enumerate().any(|(place, kind)| {
        let Kind::Text(text) = kind else {
            return false;
        };
        let before = kinds[..place]
            .iter()
            .rfind(|kind| !matches!(kind, Kind::Sign('(' | ',')));
        let is_required = before == Some(&Kind::Word("require"));
        is_required && (*text == url || NAMES.iter().any(|name| text.contains(name)))
            || loads_plugins && (*text == url || is_address(text))
    })
}

/// Whether this is where the plugin, or a copy of it, can be had.
fn is_address(text: &str) -> bool {
    let repository = text.trim_end_matches('/');
    let repository = repository.strip_suffix(".git").unwrap_or(repository);
    text.contains("://") && NAMES.iter().any(|name| repository.ends_with(&format!("/{name}")))
}

/// The NAME of a `return NAME` at the end, and where that begins: at the margin, where it can only belong to the
/// file itself.
fn returned_name<'a>(text: &str, tokens: &[Token<'a>]) -> Option<(usize, &'a str)> {
    let tokens = match tokens {
        [before @ .., last] if last.kind == Kind::Sign(';') => before,
        all => all,
    };
    let [.., before, name] = tokens else {
        return None;
    };
    let Kind::Word(word) = name.kind else {
        return None;
    };
    let is_name = !word.starts_with(|first: char| first.is_ascii_digit())
        && !matches!(word, "nil" | "true" | "false" | "end");
    let at_margin = before.at == 0 || text[..before.at].ends_with('\n');
    (before.kind == Kind::Word("return") && at_margin && is_name).then_some((before.at, word))
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://example.org/p";

    #[test]
    fn a_new_file_is_whole() {
        insta::assert_snapshot!(new_file(URL), @r"
        local wezterm = require 'wezterm'
        local config = wezterm.config_builder()

        -- wezterm-parallel: keys, a task menu and the queue in the status bar.
        do
          local ok, parallel = pcall(require('wezterm').plugin.require, 'https://example.org/p')
          if ok then
            parallel.apply_to_config(config, {})
          else
            require('wezterm').log_warn('wezterm-parallel: ' .. tostring(parallel))
          end
        end

        return config
        ");
        assert_eq!(with_plugin(&new_file(URL), URL), WithPlugin::Already);
    }

    #[test]
    fn the_lines_come_before_the_last_one() {
        for (text, config) in [
            ("return config", "config"),
            ("local c = {}\nreturn c\n", "c"),
            ("local c = {}\n\nreturn c; -- the end\n\n-- not code\n", "c"),
            (
                "local function f()\n  return 1\nend\nreturn my_config\t\n",
                "my_config",
            ),
            ("local c = {}\r\nreturn c\r\n", "c"),
            ("-- wezterm-parallel would be nice\nreturn c", "c"),
            ("local c = {}\nreturn c\n--[[ a\nreturn b\n]]\n", "c"),
            ("--[==[\nreturn a ]]\n]==]\nreturn c --[[\n]]", "c"),
            ("local s = [[\nreturn a]]\nreturn c", "c"),
            ("local ok = {}\nreturn ok", "ok"),
            ("local parallel = {}\nreturn parallel", "parallel"),
            ("c.default_cwd = '/home/me/wezterm-parallel'\nreturn c", "c"),
            ("x = 'https://a/wezterm-parallel'\nreturn c", "c"),
            (
                "wezterm.plugin.require 'https://a/tabline'\nx = '/b/wezterm-parallel'\nreturn c",
                "c",
            ),
        ] {
            let WithPlugin::Added(new) = with_plugin(text, URL) else {
                panic!("{text:?}");
            };
            let added = format!(".apply_to_config({config}, {{}})");
            assert!(new.contains(&added), "{new}");
            let mut added = lines(URL, config) + "\n";
            if text.contains("\r\n") {
                added = added.replace('\n', "\r\n");
            }
            assert_eq!(new.replacen(&added, "", 1), text, "all else stays as it was");
            let hidden = format!("local {config},");
            assert!(
                !added.contains(&hidden) && !added.contains(&format!(", {config} = ")),
                "{new}"
            );
            assert_eq!(new.contains("\r\n"), text.contains("\r\n"));
            let bare = new.replace("\r\n", "").contains('\n');
            assert_eq!(bare, !text.contains("\r\n"), "one kind of line end");
        }
    }

    #[test]
    fn what_is_unclear_is_left_alone() {
        for text in [
            "",
            "-- nothing\n",
            "return { color_scheme = 'x' }\n",
            "return {\n  font_size = 10,\n}\n",
            "local c = {}\n  return c\n",
            "return setup(config)\n",
            "return config.all\n",
            "return nil\n",
            "returned\n",
            "return\n",
            "config.x = 1\n",
            "return config\n--[[ a\nb\n",
            "local c = {}\n--[[\nreturn c\n]]\n",
            "local c = [[\nreturn c\n]]\n",
            "local c = [==[\nreturn c ]]\n--]==]\n",
            "local c = 'a\nreturn c\n",
            "if x then\nreturn c\nend\n",
            "return 7\n",
            "return 'c'\n",
            "return -- c\n",
        ] {
            assert_eq!(with_plugin(text, URL), WithPlugin::Unclear, "{text:?}");
        }
    }

    #[test]
    fn a_plugin_that_is_there_stays() {
        for line in [
            "local p = wezterm.plugin.require 'https://example.org/wezterm-parallel'",
            "local p = require 'wezterm_parallel.plugin'",
            "local p = require('wezterm').plugin.require('file:///a/wezterm-parallel/')",
            "local ok, p = pcall(wezterm.plugin.require, [[https://example.org/p]])",
            "local url = 'https://a/me/wezterm-parallel.git'\nlocal p = wezterm.plugin.require(url)",
        ] {
            let text = format!("{line}\nreturn config\n");
            assert_eq!(with_plugin(&text, URL), WithPlugin::Already);
        }
    }
}
