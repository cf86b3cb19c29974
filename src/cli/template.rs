//! `template`: what workspaces can be made from.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;

use super::context::Context;
use super::exit::{Exit, Failure};
use super::text::{self, Cell, Table};
use super::{screen, value};
use crate::config::ensure_private_dir;
use crate::templates::{TemplateError, Templates};

/// A file that says what can be said.
const NEW: &str = include_str!("template_new.toml");

/// List, show, check and begin templates of workspaces
#[derive(Debug, clap::Args)]
pub(crate) struct TemplateArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// List all templates
    List,
    /// Print a template with all that it extends, as TOML
    Show {
        /// Its name
        name: String,
    },
    /// Check templates; exit 2 if one is wrong
    Check {
        /// Only these [default: all]
        names: Vec<String>,
    },
    /// Write a commented file to begin a template of your own with, and print its place
    New {
        /// Its name: 1 to 64 characters of A-Z a-z 0-9 . _ -
        #[arg(value_parser = value::task_id)]
        name: String,
    },
}

impl From<TemplateError> for Failure {
    fn from(error: TemplateError) -> Self {
        Self::usage(error.to_string()).hint(error.hint())
    }
}

impl TemplateArgs {
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let templates = Templates::new(context.paths()?.templates());
        match self.what {
            What::List => {
                screen::print(&list(&templates, screen::width()))?;
                Ok(Exit::Ok)
            }
            What::Show { name } => {
                let template = templates.load(&name)?;
                let text = toml::to_string_pretty(&template)
                    .map_err(|error| Failure::bug(format!("cannot write the template as TOML: {error}")))?;
                screen::print(&text)?;
                Ok(Exit::Ok)
            }
            What::Check { names } => check(&templates, names),
            What::New { name } => {
                screen::print_line(&write_new(&templates, &name)?)?;
                Ok(Exit::Ok)
            }
        }
    }
}

fn list(templates: &Templates, width: Option<usize>) -> String {
    let mut table = Table::new(&["TEMPLATE", "FROM", "DESCRIPTION"], &[]);
    for listed in templates.list() {
        let from = match &listed.file {
            Some(file) => text::visible(&file.file_name().unwrap_or_default().to_string_lossy()),
            None => "built in".to_owned(),
        };
        let description = match templates.load(&listed.name) {
            Ok(template) => template.description,
            Err(error) => format!("wrong: {error}"),
        };
        table.row(vec![
            Cell::plain(text::visible(&listed.name)),
            Cell::plain(from),
            Cell::plain(text::visible(&description)),
        ]);
    }
    table.render(width)
}

/// All are looked at, and every wrong one is named.
fn check(templates: &Templates, names: Vec<String>) -> Result<Exit, Failure> {
    let names = if names.is_empty() {
        templates.list().into_iter().map(|listed| listed.name).collect()
    } else {
        names
    };
    let mut exit = Exit::Ok;
    for name in &names {
        if let Err(error) = templates.load(name) {
            exit = Failure::from(error).report();
        }
    }
    if exit == Exit::Ok {
        screen::note(&format!("{} templates are right", names.len()));
    }
    Ok(exit)
}

fn write_new(templates: &Templates, name: &str) -> Result<String, Failure> {
    let taken = |file: &std::path::Path| {
        Failure::refused(format!("there is a template in {} already", file.display()))
            .hint("edit that one, or choose another name")
    };
    let own = templates
        .list()
        .into_iter()
        .find(|listed| listed.name == name && listed.file.is_some());
    if let Some(file) = own.and_then(|listed| listed.file) {
        return Err(taken(&file));
    }
    if let Some(parent) = templates.folder().parent() {
        ensure_private_dir(parent)?;
    }
    ensure_private_dir(templates.folder())?;
    let path = templates.folder().join(format!("{name}.toml"));
    let file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path);
    file.and_then(|mut file| file.write_all(NEW.as_bytes()))
        .map_err(|error| Failure::file(format!("cannot write {}", path.display()), &error))?;
    Ok(path.display().to_string())
}
