//! `panes`: the panes of WezTerm that show the workers.

use std::collections::BTreeSet;
use std::path::Path;

use clap::{Subcommand, ValueEnum};
use serde::Serialize;

use super::context::Context;
use super::exit::{Exit, Failure};
use super::screen;
use super::text::{Cell, Table};
use super::viewer_panes::{open_pane, wezterm_at, Desk, PaneTarget};
use crate::pane::wezterm::{Assignment, Assignments, Layout, PaneInfo, Place, Registry, Server, Shown};
use crate::protocol::{Answer, Filter, Message};

/// More viewers than this fit no screen.
const SLOTS_MAX: i64 = 64;

/// Show the workers in panes of WezTerm
#[derive(Debug, clap::Args)]
pub(crate) struct PanesArgs {
    #[command(subcommand)]
    command: PanesCommand,
}

#[derive(Debug, Subcommand)]
enum PanesCommand {
    Open(OpenArgs),
    List(ListArgs),
    Close(CloseArgs),
    Assign(AssignArgs),
}

/// Open a pane for each slot that has none yet
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
                        wezterm-parallel panes open --slots 4 --layout grid\n  \
                        wezterm-parallel panes open --restore")]
struct OpenArgs {
    /// For slots 0 to N-1 [default: all slots of the daemon]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=SLOTS_MAX))]
    slots: Option<u32>,
    /// How they are laid out [default: grid]
    #[arg(long, value_enum)]
    layout: Option<LayoutName>,
    /// In a new tab (the default)
    #[arg(long, group = "place")]
    new_tab: bool,
    /// In a new window
    #[arg(long, group = "place")]
    new_window: bool,
    /// Beside the current pane
    #[arg(long, group = "place")]
    here: bool,
    /// Open those anew that went away with WezTerm
    #[arg(long, conflicts_with = "slots")]
    restore: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LayoutName {
    Grid,
    Columns,
    Rows,
    Tabs,
}

impl From<LayoutName> for Layout {
    fn from(name: LayoutName) -> Self {
        match name {
            LayoutName::Grid => Self::Grid,
            LayoutName::Columns => Self::Columns,
            LayoutName::Rows => Self::Rows,
            LayoutName::Tabs => Self::Tabs,
        }
    }
}

/// List the panes that show slots and tasks
#[derive(Debug, clap::Args)]
struct ListArgs {
    /// Print one JSON array
    #[arg(long)]
    json: bool,
}

/// Close panes that show slots and tasks; the workers go on
#[derive(Debug, clap::Args)]
struct CloseArgs {
    /// Only those of these slots [default: all, those of tasks as well]
    #[arg(value_name = "SLOT")]
    slots: Vec<u32>,
}

/// Show a slot at a pane: beside a shell, or in place of another viewer
#[derive(Debug, clap::Args)]
struct AssignArgs {
    /// The slot, counted from 0
    #[arg(value_name = "SLOT")]
    slot: u32,
    /// The number of the pane, or current
    #[arg(value_name = "PANE", value_parser = open_pane)]
    pane: PaneTarget,
}

impl PanesArgs {
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Failure> {
        match self.command {
            PanesCommand::Open(args) => args.run(context),
            PanesCommand::List(args) => args.run(context),
            PanesCommand::Close(args) => args.run(context),
            PanesCommand::Assign(args) => args.run(context),
        }
    }
}

impl OpenArgs {
    fn run(self, context: &Context) -> Result<Exit, Failure> {
        // Before the lock: the daemon may have to be started.
        let of_pool = match (self.restore, self.slots) {
            (false, None) => slots_of_daemon(context)?,
            (_, given) => given.unwrap_or(0),
        };
        let mut desk = Desk::open(context)?;
        let (slots, layout) = self.wanted(of_pool, &desk.book)?;
        let place = self.place(layout)?;
        let wezterm = desk.wezterm();
        let viewers = desk.look(&wezterm)?;
        let (shown, missing): (Vec<u32>, Vec<u32>) = slots
            .iter()
            .partition(|slot| desk.find(&Shown::Slot(**slot)).is_some());
        let ended = desk.ended(&viewers);
        let opened_now = missing.len();
        // A pane whose viewer has ended keeps its place, with another viewer.
        let mut others = Vec::new();
        for slot in missing {
            let viewer = desk.new_pane(Shown::Slot(slot));
            let pane = ended.iter().find(|known| known.shown == Shown::Slot(slot));
            match pane.map(|known| (known.pane, viewers.instead_of(known.pane, &viewer.program))) {
                Some((pane, Ok(made))) => {
                    desk.book.remove(wezterm.server(), pane);
                    desk.note(made, viewer);
                }
                // It may just be closing.
                Some((_, Err(_))) | None => others.push(viewer),
            }
        }
        let programs: Vec<_> = others.iter().map(|viewer| viewer.program.clone()).collect();
        let panes = viewers.open(place, layout, &programs);
        if panes.is_err() {
            // Of those that have been replaced, the new ones stay.
            desk.book.save()?;
        }
        for (viewer, pane) in others.into_iter().zip(panes?) {
            desk.note(pane, viewer);
        }
        desk.book.remember(slots, Some(layout));
        desk.book.save()?;
        screen::note(&opened(opened_now, shown.len()));
        Ok(Exit::Ok)
    }

    /// Which slots, and how.
    fn wanted(&self, of_pool: u32, book: &Assignments) -> Result<(BTreeSet<u32>, Layout), Failure> {
        let layout = self.layout.map(Layout::from);
        if !self.restore {
            return Ok(((0..of_pool).collect(), layout.unwrap_or(Layout::Grid)));
        }
        let Some(remembered) = book.remembered() else {
            return Err(Failure::refused("there are no panes to restore")
                .hint("`wezterm-parallel panes open` opens one for each slot"));
        };
        Ok((remembered.slots.clone(), layout.unwrap_or(remembered.layout)))
    }

    fn place(&self, layout: Layout) -> Result<Place, Failure> {
        match (self.here, self.new_window) {
            (true, _) if layout == Layout::Tabs => {
                Err(Failure::usage("tabs cannot be opened in the current one")
                    .hint("leave out --here, or take another --layout"))
            }
            (true, _) => Ok(Place::Here),
            (_, true) => Ok(Place::NewWindow),
            _ => Ok(Place::NewTab),
        }
    }
}

/// As many as there are slots, as far as they fit a screen.
fn slots_of_daemon(context: &Context) -> Result<u32, Failure> {
    let filter = Filter {
        summary_only: true,
        ..Filter::default()
    };
    let slots = match context.ask(&Message::Status(filter))? {
        Answer::Status(status) => status.summary.slots,
        other => return Err(Failure::unexpected_answer(&other)),
    };
    if i64::from(slots) > SLOTS_MAX {
        return Err(
            Failure::usage(format!("the pool has {slots} slots, too many for a screen"))
                .hint("say with --slots how many to show"),
        );
    }
    Ok(slots)
}

fn opened(new: usize, old: usize) -> String {
    let new = match new {
        0 => "opened no pane".to_owned(),
        1 => "opened 1 pane".to_owned(),
        count => format!("opened {count} panes"),
    };
    match old {
        0 => new,
        1 => format!("{new}; 1 slot has its pane already"),
        count => format!("{new}; {count} slots have their panes already"),
    }
}

/// One line of the list; its fields are documented in docs/cli.md.
#[derive(Serialize)]
struct Listed<'a> {
    socket: &'a Path,
    server_pid: u32,
    pane: u64,
    #[serde(flatten)]
    shown: &'a Shown,
    tab: u64,
    window: u64,
    workspace: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    made_for: Option<&'a str>,
}

impl<'a> Listed<'a> {
    fn new(assignment: &'a Assignment, open: &'a [(Server, PaneInfo)]) -> Option<Self> {
        let server = assignment.server();
        let is_it = |(at, info): &&(Server, PaneInfo)| *at == server && info.pane_id == assignment.pane;
        let (_, info) = open.iter().find(is_it)?;
        Some(Self {
            socket: &assignment.socket,
            server_pid: assignment.server_pid,
            pane: assignment.pane,
            shown: &assignment.shown,
            tab: info.tab_id,
            window: info.window_id,
            workspace: &info.workspace,
            made_for: assignment.workspace.as_deref(),
        })
    }
}

impl ListArgs {
    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let data = context.paths()?.data;
        let mut book = Assignments::open(&data)?;
        let open = forget_closed(&mut book, &data)?;
        book.save()?;
        let mut listed: Vec<Listed<'_>> = book
            .panes()
            .iter()
            .filter(|known| !known.has_ended)
            .filter_map(|known| Listed::new(known, &open))
            .collect();
        listed.sort_by_key(|line| match line.shown {
            Shown::Slot(slot) => (0, *slot, line.pane),
            Shown::Task(_) => (1, 0, line.pane),
            Shown::Shell(_) => (2, 0, line.pane),
        });
        if self.json {
            screen::print_json(&listed)?;
        } else {
            screen::print(&table(&listed))?;
        }
        Ok(Exit::Ok)
    }
}

/// Forgets the panes that are no more: all that the servers of the others have.
fn forget_closed(book: &mut Assignments, data: &Path) -> Result<Vec<(Server, PaneInfo)>, Failure> {
    book.hear_viewers(&Registry::read(data));
    book.drop_dead_servers();
    let mut open = Vec::new();
    for server in book.servers() {
        let panes = wezterm_at(server.clone())?.panes()?;
        book.drop_closed_panes(&server, &panes);
        open.extend(panes.into_iter().map(|pane| (server.clone(), pane)));
    }
    Ok(open)
}

fn table(listed: &[Listed<'_>]) -> String {
    if listed.is_empty() {
        return "no pane shows a slot or a task: `wezterm-parallel panes open` opens some\n".to_owned();
    }
    let mut table = Table::new(
        &["SHOWS", "PANE", "TAB", "WINDOW", "WORKSPACE", "MADE FOR"],
        &[1, 2, 3],
    );
    for line in listed {
        let shows = match line.shown {
            Shown::Slot(slot) => format!("slot {slot}"),
            Shown::Task(id) => format!("task {id}"),
            Shown::Shell(None) => "shell".to_owned(),
            Shown::Shell(Some(line)) => line.clone(),
        };
        let numbers = [line.pane, line.tab, line.window].map(|number| number.to_string());
        let [pane, tab, window] = numbers.map(Cell::plain);
        table.row(vec![
            Cell::plain(shows),
            pane,
            tab,
            window,
            Cell::plain(line.workspace),
            Cell::plain(line.made_for.unwrap_or("-")),
        ]);
    }
    table.render(screen::width())
}

impl CloseArgs {
    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let data = context.paths()?.data;
        let mut book = Assignments::open(&data)?;
        forget_closed(&mut book, &data)?;
        let is_meant = |shown: &Shown| match shown {
            Shown::Slot(slot) => self.slots.is_empty() || self.slots.contains(slot),
            Shown::Task(_) => self.slots.is_empty(),
            // In a shell there may be work that nobody has saved.
            Shown::Shell(_) => false,
        };
        let meant = book.panes().iter().filter(|known| is_meant(&known.shown));
        let meant: Vec<Assignment> = meant.cloned().collect();
        for known in &meant {
            let server = known.server();
            if let Err(error) = wezterm_at(server.clone())?.kill(known.pane) {
                // What was closed before is.
                book.save()?;
                return Err(error.into());
            }
            book.remove(&server, known.pane);
        }
        for slot in self.slots_to_forget(&book) {
            book.forget_slot(slot);
        }
        book.save()?;
        screen::note(&match meant.len() {
            1 => "closed 1 pane".to_owned(),
            count => format!("closed {count} panes"),
        });
        Ok(Exit::Ok)
    }

    /// What was closed on purpose is not restored.
    fn slots_to_forget(&self, book: &Assignments) -> Vec<u32> {
        match book.remembered() {
            Some(remembered) if self.slots.is_empty() => remembered.slots.iter().copied().collect(),
            _ => self.slots.clone(),
        }
    }
}

impl AssignArgs {
    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let mut desk = Desk::open(context)?;
        let wezterm = desk.wezterm();
        let viewers = desk.look(&wezterm)?;
        let pane = match self.pane {
            PaneTarget::Id(pane) => pane,
            PaneTarget::Current | PaneTarget::New => viewers.current()?,
        };
        let shown = Shown::Slot(self.slot);
        let before = desk.find(&shown);
        if before == Some((desk.server(), pane)) {
            screen::note(&format!("pane {pane} shows slot {} already", self.slot));
            return Ok(Exit::Ok);
        }
        let viewer = desk.new_pane(shown);
        let made = desk.put_at(&viewers, pane, viewer)?;
        desk.book.remember([self.slot], None);
        // Saved before the old one is closed: a failure there must not lose the new one.
        desk.book.save()?;
        if let Some((server, before)) = before {
            wezterm_at(server.clone())?.kill(before)?;
            desk.book.remove(&server, before);
            desk.book.save()?;
        }
        screen::note(&format!("pane {made} shows slot {}", self.slot));
        Ok(Exit::Ok)
    }
}
