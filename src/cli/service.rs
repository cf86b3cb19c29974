//! `service`: has the system start the daemon at login, by systemd or launchd.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::context::Context;
use super::exit::{Exit, Failure};
use super::screen;

/// The launchd label, also the plist's name.
const LABEL: &str = "io.github.wezterm-parallel";
/// The systemd unit.
const UNIT: &str = "wezterm-parallel.service";

/// Start the daemon at login (systemd or launchd)
#[derive(Debug, clap::Args)]
#[command(after_help = "Running tasks survive a restart of the service.\n\n\
                        Example:\n  wezterm-parallel service install --print")]
pub(crate) struct ServiceArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Write the service file and start the service
    Install {
        /// Print the file instead
        #[arg(long)]
        print: bool,
    },
    /// Stop the service and remove its file
    Uninstall,
}

impl ServiceArgs {
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let service = Service::of_this_system(context)?;
        match self.what {
            What::Install { print: true } => screen::print(&service.content)?,
            What::Install { print: false } => service.install()?,
            What::Uninstall => service.uninstall()?,
        }
        Ok(Exit::Ok)
    }
}

/// A service file and the commands that go with it.
struct Service {
    file: PathBuf,
    content: String,
    start: Vec<Vec<String>>,
    /// For one whose file has changed.
    restart: Vec<String>,
    stop: Vec<Vec<String>>,
    after_removal: Vec<Vec<String>>,
}

impl Service {
    fn of_this_system(context: &Context) -> Result<Self, Failure> {
        let program = std::env::current_exe()
            .map_err(|error| Failure::bug(format!("cannot tell this program's own path: {error}")))?;
        let program = text(&program)?;
        let mut argv = vec![program];
        for (option, value) in [
            ("--socket", context.socket_option()),
            ("--config", context.config_file()),
        ] {
            if let Some(value) = value {
                let absolute = std::path::absolute(value)
                    .map_err(|error| Failure::file(format!("cannot use {}", value.display()), &error))?;
                argv.extend([option.to_owned(), text(&absolute)?]);
            }
        }
        argv.push("daemon".to_owned());
        let home = std::env::home_dir()
            .filter(|home| home.is_absolute())
            .ok_or_else(|| Failure::usage("HOME is not set to an absolute path"))?;
        if cfg!(target_os = "macos") {
            Ok(Self::launchd(&home, &argv))
        } else {
            let config = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
            let config = config.filter(|path| path.is_absolute());
            Ok(Self::systemd(
                &config.unwrap_or_else(|| home.join(".config")),
                &argv,
            ))
        }
    }

    fn systemd(config: &Path, argv: &[String]) -> Self {
        let systemctl = |words: &[&str]| words_of("systemctl", &[&["--user"], words].concat());
        Self {
            file: config.join("systemd/user").join(UNIT),
            content: systemd_unit(argv),
            start: vec![
                systemctl(&["daemon-reload"]),
                systemctl(&["enable", "--now", UNIT]),
            ],
            restart: systemctl(&["restart", UNIT]),
            stop: vec![systemctl(&["disable", "--now", UNIT])],
            after_removal: vec![systemctl(&["daemon-reload"])],
        }
    }

    fn launchd(home: &Path, argv: &[String]) -> Self {
        let file = home.join("Library/LaunchAgents").join(format!("{LABEL}.plist"));
        let domain = format!("gui/{}", rustix::process::getuid().as_raw());
        let path = file.display().to_string();
        Self {
            content: launchd_plist(argv),
            start: vec![words_of("launchctl", &["bootstrap", &domain, &path])],
            restart: words_of("launchctl", &["kickstart", "-k", &format!("{domain}/{LABEL}")]),
            stop: vec![words_of("launchctl", &["bootout", &format!("{domain}/{LABEL}")])],
            after_removal: Vec::new(),
            file,
        }
    }

    fn install(&self) -> Result<(), Failure> {
        let unchanged = std::fs::read_to_string(&self.file).is_ok_and(|content| content == self.content);
        let was_there = self.file.exists();
        if !unchanged {
            let folder = self.file.parent().unwrap_or(Path::new("/"));
            std::fs::create_dir_all(folder)
                .and_then(|()| std::fs::write(&self.file, &self.content))
                .map_err(|error| Failure::file(format!("cannot write {}", self.file.display()), &error))?;
            screen::note(&format!("wrote {}", self.file.display()));
        }
        if run_all(&self.start)? {
            screen::note("the service is installed and runs");
            if was_there && !unchanged {
                screen::note(
                    "it runs as it was installed before until it is restarted; its tasks go on meanwhile:",
                );
                screen::note(&format!("  {}", self.restart.join(" ")));
            }
        }
        Ok(())
    }

    fn uninstall(&self) -> Result<(), Failure> {
        if !self.file.exists() {
            screen::note("the service is not installed");
            return Ok(());
        }
        run_all(&self.stop)?;
        std::fs::remove_file(&self.file)
            .map_err(|error| Failure::file(format!("cannot remove {}", self.file.display()), &error))?;
        screen::note(&format!("removed {}", self.file.display()));
        run_all(&self.after_removal)?;
        Ok(())
    }
}

fn text(path: &Path) -> Result<String, Failure> {
    path.to_str()
        .map(ToOwned::to_owned)
        .ok_or_else(|| Failure::usage(format!("the path {path:?} is not UTF-8")))
}

fn words_of(program: &str, arguments: &[&str]) -> Vec<String> {
    let words = std::iter::once(&program).chain(arguments);
    words.map(ToString::to_string).collect()
}

/// Runs the commands; where one cannot do its work, says what to run later. Whether all went well.
fn run_all(commands: &[Vec<String>]) -> Result<bool, Failure> {
    for (index, argv) in commands.iter().enumerate() {
        let status = Command::new(&argv[0]).args(&argv[1..]).status();
        if !status.is_ok_and(|status| status.success()) {
            let rest: Vec<String> = commands[index..].iter().map(|argv| argv.join(" ")).collect();
            screen::note(&format!(
                "{} is not available in this session; run yourself:\n  {}",
                argv[0],
                rest.join("\n  ")
            ));
            return Ok(false);
        }
    }
    Ok(true)
}

/// KillMode=process: systemd ends the daemon alone, so that workers survive a restart. Delegate: the daemon may make
/// control groups for workers in its own, with these controllers. DelegateSubgroup (systemd 254): it is started in a leaf,
/// since none may be started in a group that hands controllers on, as it does when workers have outlived its predecessor.
fn systemd_unit(argv: &[String]) -> String {
    let command: Vec<String> = argv.iter().map(|word| systemd_word(word)).collect();
    format!(
        "[Unit]\n\
         Description=wezterm-parallel: runs queued work on a bounded pool\n\
         Documentation=man:wezterm-parallel(1)\n\
         \n\
         [Service]\n\
         ExecStart={}\n\
         ExecReload=/bin/kill -HUP $MAINPID\n\
         KillMode=process\n\
         Delegate=memory pids\n\
         DelegateSubgroup=wezterm-parallel\n\
         Restart=on-failure\n\
         RestartSec=1\n\
         \n\
         [Install]\n\
         WantedBy=default.target\n",
        command.join(" ")
    )
}

/// Quotes a word for ExecStart, where `%` and `$` have a meaning.
fn systemd_word(word: &str) -> String {
    let mut quoted = String::from('"');
    for character in word.chars() {
        match character {
            '"' | '\\' => {
                quoted.push('\\');
                quoted.push(character);
            }
            '%' => quoted.push_str("%%"),
            '$' => quoted.push_str("$$"),
            plain => quoted.push(plain),
        }
    }
    quoted.push('"');
    quoted
}

/// AbandonProcessGroup: launchd, too, ends the daemon alone.
fn launchd_plist(argv: &[String]) -> String {
    let mut words = String::new();
    for word in argv {
        let _ = writeln!(words, "    <string>{}</string>", xml_text(word));
    }
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n\
         <plist version=\"1.0\">\n\
         <dict>\n  \
         <key>Label</key><string>{LABEL}</string>\n  \
         <key>ProgramArguments</key>\n  <array>\n{words}  </array>\n  \
         <key>RunAtLoad</key><true/>\n  \
         <key>KeepAlive</key><dict><key>SuccessfulExit</key><false/></dict>\n  \
         <key>AbandonProcessGroup</key><true/>\n\
         </dict>\n\
         </plist>\n"
    )
}

fn xml_text(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_leaves_workers_alone() {
        let argv = ["/opt/my tools/wezterm-parallel", "daemon"].map(String::from);
        insta::assert_snapshot!(systemd_unit(&argv), @r#"
        [Unit]
        Description=wezterm-parallel: runs queued work on a bounded pool
        Documentation=man:wezterm-parallel(1)

        [Service]
        ExecStart="/opt/my tools/wezterm-parallel" "daemon"
        ExecReload=/bin/kill -HUP $MAINPID
        KillMode=process
        Delegate=memory pids
        DelegateSubgroup=wezterm-parallel
        Restart=on-failure
        RestartSec=1

        [Install]
        WantedBy=default.target
        "#);
    }

    #[test]
    fn unit_words_lose_no_character() {
        assert_eq!(systemd_word(r#"/a "b"\c %d $e"#), r#""/a \"b\"\\c %%d $$e""#);
    }

    #[test]
    fn the_plist_is_escaped() {
        let argv = ["/opt/a&b/wezterm-parallel", "daemon"].map(String::from);
        insta::assert_snapshot!(launchd_plist(&argv), @r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
        <plist version="1.0">
        <dict>
          <key>Label</key><string>io.github.wezterm-parallel</string>
          <key>ProgramArguments</key>
          <array>
            <string>/opt/a&amp;b/wezterm-parallel</string>
            <string>daemon</string>
          </array>
          <key>RunAtLoad</key><true/>
          <key>KeepAlive</key><dict><key>SuccessfulExit</key><false/></dict>
          <key>AbandonProcessGroup</key><true/>
        </dict>
        </plist>
        "#);
    }

    #[test]
    fn the_unit_lies_where_systemd_looks() {
        let service = Service::systemd(Path::new("/home/me/.config"), &["x".to_owned()]);
        assert_eq!(
            service.file,
            Path::new("/home/me/.config/systemd/user/wezterm-parallel.service")
        );
        assert_eq!(
            service.start[1].join(" "),
            "systemctl --user enable --now wezterm-parallel.service"
        );
    }
}
