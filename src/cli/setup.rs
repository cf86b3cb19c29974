//! `setup wezterm`: the plugin's lines in the user's `wezterm.lua`, shown or, with consent, added.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use super::exit::{Exit, Failure};
use super::screen;
use super::wezterm_config::{lines, new_file, with_plugin, WithPlugin};

/// The name of the variable in the lines where no file tells it.
const CONFIG: &str = "config";
/// What is added to the name of the file as it was before.
const BACKUP: &str = "before-wezterm-parallel";
/// More backups than anybody makes.
const BESIDE_MAX: u32 = 1_000;
/// As many as Linux follows.
const LINKS_MAX: u32 = 40;

/// Set up what belongs to wezterm-parallel elsewhere
#[derive(Debug, clap::Args)]
pub(crate) struct SetupArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    Wezterm(WeztermArgs),
}

/// Add the plugin to wezterm.lua; the former file is kept beside it
#[derive(Debug, clap::Args)]
struct WeztermArgs {
    /// Print the lines instead
    #[arg(long, conflicts_with = "yes")]
    print: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// The wezterm.lua to change [default: the one that WezTerm reads]
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    file: Option<PathBuf>,
    /// Where WezTerm gets the plugin from: https://… or file:///…
    #[arg(long, value_name = "URL", default_value = env!("CARGO_PKG_REPOSITORY"), value_parser = plugin_url)]
    plugin: String,
}

/// It becomes a part of a program: nothing that could end its quotes.
fn plugin_url(text: &str) -> Result<String, String> {
    let harmless = |c: char| !c.is_control() && !c.is_whitespace() && !matches!(c, '\'' | '\\');
    let known = ["https://", "http://", "ssh://", "file:///"];
    if !known.iter().any(|scheme| text.starts_with(scheme)) || !text.chars().all(harmless) {
        return Err("write https://HOST/PATH, or file:///PATH for a clone on this machine".to_owned());
    }
    Ok(text.to_owned())
}

impl SetupArgs {
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        let What::Wezterm(args) = self.what;
        args.run()
    }
}

impl WeztermArgs {
    fn run(self) -> Result<Exit, Failure> {
        let file = match &self.file {
            Some(file) => file.clone(),
            None => config_file(|name| std::env::var_os(name).map(PathBuf::from))?,
        };
        let old = read(&file)?;
        let Some(new) = self.added_to(&file, old.as_deref())? else {
            return Ok(Exit::Ok);
        };
        let added = added_lines(old.as_deref().unwrap_or_default(), &new);
        if self.print {
            screen::print(&added)?;
            return Ok(Exit::Ok);
        }
        if !self.yes {
            ask(&file, old.is_some(), &added)?;
        }
        self.change(&file, old.as_deref())
    }

    /// The file's new text; `None` if it needs none, which has been said then.
    fn added_to(&self, file: &Path, old: Option<&str>) -> Result<Option<String>, Failure> {
        match old.map(|old| with_plugin(old, &self.plugin)) {
            None => Ok(Some(new_file(&self.plugin))),
            Some(WithPlugin::Added(new)) => Ok(Some(new)),
            Some(WithPlugin::Already) => {
                screen::note(&format!("{} has the plugin already", file.display()));
                Ok(None)
            }
            Some(WithPlugin::Unclear) if self.print => {
                screen::print(&lines(&self.plugin, CONFIG))?;
                Ok(None)
            }
            Some(WithPlugin::Unclear) => Err(self.unclear(file)),
        }
    }

    fn change(&self, file: &Path, shown: Option<&str>) -> Result<Exit, Failure> {
        // Many keep such files elsewhere, and a link here.
        let real = behind_links(file);
        let cannot = |error| cannot_write(&real, &error);
        let folder = real.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(folder).map_err(cannot)?;
        // Two at once would both find it without the plugin.
        let _lock = lock(folder);
        let old = read(&real)?;
        let Some(new) = self.added_to(file, old.as_deref())? else {
            return Ok(Exit::Ok);
        };
        if old.as_deref() != shown {
            return Err(
                Failure::refused(format!("{} has changed meanwhile", file.display())).hint("try again"),
            );
        }
        let backup = write(&real, old.as_deref(), &new).map_err(cannot)?;
        screen::note(&format!("wrote {}", file.display()));
        if let Some(backup) = backup {
            screen::note(&format!("the former one is {}", backup.display()));
        }
        screen::note("WezTerm loads it by itself: then Ctrl+Shift+A asks for a prompt to queue");
        Ok(Exit::Ok)
    }

    fn unclear(&self, file: &Path) -> Failure {
        Failure::refused(format!(
            "{} does not end with `return NAME`, so the place for the plugin is not clear",
            file.display()
        ))
        .hint("add the lines that --print shows yourself, where the configuration is complete")
    }
}

/// The file that WezTerm reads, by its own order; if there is none, the one to make.
fn config_file(lookup: impl Fn(&str) -> Option<PathBuf>) -> Result<PathBuf, Failure> {
    if let Some(named) = lookup("WEZTERM_CONFIG_FILE") {
        return Ok(named);
    }
    let home = lookup("HOME").filter(|home| home.is_absolute());
    let home = home.ok_or_else(|| {
        Failure::usage("there is no home folder to look in").hint("name the file with --file, or set HOME")
    })?;
    let in_config = lookup("XDG_CONFIG_HOME")
        .filter(|folder| folder.is_absolute())
        .unwrap_or_else(|| home.join(".config"))
        .join("wezterm/wezterm.lua");
    let in_home = home.join(".wezterm.lua");
    Ok(if in_home.exists() { in_home } else { in_config })
}

/// The file's text; `None` if there is no file.
fn read(file: &Path) -> Result<Option<String>, Failure> {
    match fs::read(file) {
        Ok(bytes) => String::from_utf8(bytes).map(Some).map_err(|_| {
            Failure::usage(format!("{} is not UTF-8", file.display()))
                .hint("look at it with an editor, and add the lines of --print yourself")
        }),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::file(format!("cannot read {}", file.display()), &error)),
    }
}

/// What the new text has and the old one has not; it is one piece.
fn added_lines(old: &str, new: &str) -> String {
    let before = old
        .bytes()
        .zip(new.bytes())
        .take_while(|(old, new)| old == new)
        .count();
    let before = new[..before].rfind('\n').map_or(0, |newline| newline + 1);
    let piece = &new[before..before + (new.len() - old.len())];
    piece.trim_end().replace('\r', "") + "\n"
}

fn ask(file: &Path, is_there: bool, added: &str) -> Result<(), Failure> {
    if !io::stdin().is_terminal() || !screen::stderr_is_terminal() {
        return Err(Failure::usage("there is nobody to ask")
            .hint("--yes adds the lines without asking, --print only shows them"));
    }
    let doing = if is_there { "add this to" } else { "make" };
    screen::note(&format!(
        "This would {doing} {}:\n\n{added}\nDo it? [y/N]",
        file.display()
    ));
    let mut answer = String::new();
    let read = io::stdin().read_line(&mut answer);
    if read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    Err(Failure::refused("nothing was changed"))
}

fn cannot_write(file: &Path, error: &io::Error) -> Failure {
    Failure::file(format!("cannot write {}", file.display()), error)
        .hint("`wezterm-parallel setup wezterm --print` shows the lines to add")
}

/// Where the file is, or is to be: a link whose target is not there yet stays a link.
fn behind_links(file: &Path) -> PathBuf {
    let mut real = file.to_owned();
    for _ in 0..LINKS_MAX {
        let Ok(target) = fs::read_link(&real) else {
            break;
        };
        real = real.parent().unwrap_or(Path::new("/")).join(target);
    }
    std::path::absolute(&real).unwrap_or(real)
}

/// Held as long as the value lives. Where the file system knows no locks, there is none.
fn lock(folder: &Path) -> Option<File> {
    let folder = File::open(folder).ok()?;
    rustix::fs::flock(&folder, FlockOperation::LockExclusive).ok()?;
    Some(folder)
}

/// Writes the file so that it is whole at every moment, and returns the copy of the old one.
fn write(real: &Path, old: Option<&str>, new: &str) -> io::Result<Option<PathBuf>> {
    let backup = old.map(|old| back_up(real, old)).transpose()?;
    let (temporary, mut file) = new_beside(real, "new")?;
    let written = file
        .write_all(new.as_bytes())
        .and_then(|()| {
            if old.is_some() {
                file.set_permissions(fs::metadata(real)?.permissions())?;
            }
            file.sync_all()
        })
        .and_then(|()| fs::rename(&temporary, real));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written.map(|()| backup)
}

fn back_up(file: &Path, text: &str) -> io::Result<PathBuf> {
    let (path, mut backup) = new_beside(file, BACKUP)?;
    backup.write_all(text.as_bytes())?;
    backup.sync_all()?;
    Ok(path)
}

/// A new file beside this one. What is there already, an earlier backup or a file of the user's own, is never
/// written over.
fn new_beside(file: &Path, suffix: &str) -> io::Result<(PathBuf, File)> {
    for number in 1..=BESIDE_MAX {
        let path = match number {
            1 => beside(file, suffix),
            _ => beside(file, &format!("{suffix}-{number}")),
        };
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(made) => return Ok((path, made)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other(format!(
        "there are too many {}",
        beside(file, suffix).display()
    )))
}

fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "file:///p";

    #[test]
    fn wezterms_own_order_decides() {
        let home = tempfile::tempdir().unwrap();
        let find = |variables: &[(&str, PathBuf)]| {
            config_file(|name| {
                let found = variables.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| value.clone())
            })
        };
        let in_home = ("HOME", home.path().to_owned());
        let made = home.path().join(".config/wezterm/wezterm.lua");
        assert_eq!(find(std::slice::from_ref(&in_home)).unwrap(), made);
        let elsewhere = ("XDG_CONFIG_HOME", PathBuf::from("/x"));
        let in_config = find(&[in_home.clone(), elsewhere.clone()]).unwrap();
        assert_eq!(in_config, Path::new("/x/wezterm/wezterm.lua"));
        fs::write(home.path().join(".wezterm.lua"), "").unwrap();
        assert_eq!(
            find(&[in_home.clone(), elsewhere]).unwrap(),
            home.path().join(".wezterm.lua")
        );
        let named = ("WEZTERM_CONFIG_FILE", PathBuf::from("/y.lua"));
        assert_eq!(find(&[in_home, named]).unwrap(), Path::new("/y.lua"));
        assert!(find(&[]).is_err());
    }

    #[test]
    fn the_old_file_is_kept_and_nothing_is_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().join("real.lua");
        let own = beside(&real, "new");
        fs::write(&own, "the user's own").unwrap();
        for (number, suffix) in [(1, BACKUP.to_owned()), (2, format!("{BACKUP}-2"))] {
            let old = format!("-- {number}\nreturn c\n");
            fs::write(&real, &old).unwrap();
            let backup = write(&real, Some(&old), "new").unwrap().unwrap();
            assert_eq!(backup.file_name(), beside(&real, &suffix).file_name());
            assert_eq!(fs::read_to_string(backup).unwrap(), old);
            assert_eq!(fs::read_to_string(&real).unwrap(), "new");
        }
        assert_eq!(fs::read_to_string(own).unwrap(), "the user's own");
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            4,
            "nothing else is left"
        );
    }

    #[test]
    fn links_are_followed_to_where_nothing_is() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let link = |target: &str, name: &str| std::os::unix::fs::symlink(target, at(name)).unwrap();
        link("two", "one");
        link("folder/real.lua", "two");
        link("ring", "ring");
        assert_eq!(behind_links(&at("one")), at("folder/real.lua"));
        assert_eq!(behind_links(&at("plain")), at("plain"));
        assert_eq!(behind_links(&at("ring")), at("ring"));
    }

    #[test]
    fn what_is_added_is_shown_and_nothing_else() {
        for old in [
            "local c = {}\nreturn c\n",
            "\r\nreturn c\r\n",
            "-- w\n-- r\nreturn c",
        ] {
            let WithPlugin::Added(new) = with_plugin(old, URL) else {
                panic!("{old:?}");
            };
            assert_eq!(added_lines(old, &new), lines(URL, "c"), "{old:?}");
        }
        assert_eq!(added_lines("", &new_file(URL)), new_file(URL));
    }

    #[test]
    fn a_url_cannot_end_its_quotes() {
        for good in ["https://example.org/a/b", "file:///home/me/a"] {
            assert!(plugin_url(good).is_ok());
        }
        for bad in [
            "",
            "x",
            "https://a'..os.exit()..'",
            "file:///a\\",
            "https://a b",
            "https://a\n",
        ] {
            assert!(plugin_url(bad).is_err(), "{bad:?}");
        }
    }
}
