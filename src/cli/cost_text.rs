//! How costs read: a table of what was spent, and the budgets.
//!
//! Pure: rows in, text out.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::text::{self, Cell, Table, BOLD, DIM, RED, YELLOW};
use super::value::{short_dollars, short_tokens};
use crate::claude::Tokens;
use crate::protocol::{BudgetView, CostAnswer, CostRow};

/// A budget of which this much is spent or set aside is near its end.
const NEAR: f64 = 0.8;

/// What a line of the table stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum By {
    /// A day of the local calendar.
    #[default]
    Day,
    /// The user's own word.
    Label,
    /// A worker profile.
    Worker,
    /// A workspace.
    Workspace,
    /// A model.
    Model,
}

impl By {
    fn heading(self) -> &'static str {
        match self {
            Self::Day => "DAY",
            Self::Label => "LABEL",
            Self::Worker => "WORKER",
            Self::Workspace => "WORKSPACE",
            Self::Model => "MODEL",
        }
    }

    fn of(self, row: &CostRow) -> &str {
        match self {
            Self::Day => &row.day,
            Self::Label => &row.label,
            Self::Worker => &row.worker,
            Self::Workspace => &row.workspace,
            Self::Model => &row.model,
        }
    }
}

/// The table with its total, and the budgets below.
pub(crate) fn cost(answer: &CostAnswer, by: By, narrowed: bool, width: Option<usize>) -> String {
    let mut shown = if answer.rows.is_empty() {
        let when = if narrowed { "since then" } else { "yet" };
        format!("nothing was spent {when}\n")
    } else {
        table(&answer.rows, by).render(width)
    };
    if !answer.budgets.is_empty() {
        shown.push('\n');
    }
    for budget in &answer.budgets {
        shown.push_str(&budget_line(budget));
    }
    shown
}

fn table(rows: &[CostRow], by: By) -> Table {
    let mut groups: BTreeMap<&str, Tokens> = BTreeMap::new();
    let mut total = Tokens::default();
    for row in rows {
        add(groups.entry(by.of(row)).or_default(), &row.tokens);
        add(&mut total, &row.tokens);
    }
    let headings = [
        by.heading(),
        "COST",
        "INPUT",
        "OUTPUT",
        "CACHE READ",
        "CACHE WRITE",
    ];
    let mut table = Table::new(&headings, &[1, 2, 3, 4, 5]);
    let mut groups: Vec<_> = groups.into_iter().collect();
    if by != By::Day {
        // The dearest first; days go by the calendar.
        groups.sort_by(|one, other| other.1.cost_usd.total_cmp(&one.1.cost_usd));
    }
    for (name, tokens) in &groups {
        let cell = match *name {
            "" => Cell::new("(none)", DIM),
            name => Cell::plain(name),
        };
        table.row(cells(cell, tokens));
    }
    table.row(cells(Cell::new("total", BOLD), &total));
    table
}

fn add(sum: &mut Tokens, more: &Tokens) {
    sum.input = sum.input.saturating_add(more.input);
    sum.output = sum.output.saturating_add(more.output);
    sum.cache_read = sum.cache_read.saturating_add(more.cache_read);
    sum.cache_write = sum.cache_write.saturating_add(more.cache_write);
    sum.cost_usd += more.cost_usd;
}

fn cells(name: Cell, tokens: &Tokens) -> Vec<Cell> {
    let counts = [tokens.input, tokens.output, tokens.cache_read, tokens.cache_write];
    let counts = counts.map(|count| Cell::plain(short_tokens(count)));
    let cost = Cell::plain(short_dollars(tokens.cost_usd));
    [name, cost].into_iter().chain(counts).collect()
}

/// `budget of today: $3.20 of $50.00 spent, $2.00 set aside for what runs`.
fn budget_line(budget: &BudgetView) -> String {
    let mut line = "budget of today".to_owned();
    if !budget.workspace.is_empty() {
        let _ = write!(line, " in workspace {}", text::visible(&budget.workspace));
    }
    let taken = budget.spent_usd + budget.reserved_usd;
    let style = if budget.spent_usd >= budget.limit_usd {
        RED
    } else if taken >= budget.limit_usd * NEAR {
        YELLOW
    } else {
        text::PLAIN
    };
    let spent = short_dollars(budget.spent_usd);
    let limit = short_dollars(budget.limit_usd);
    let _ = write!(line, ": {style}{spent} of {limit} spent{style:#}");
    if budget.reserved_usd > 0.0 {
        let _ = write!(
            line,
            ", {} set aside for what runs",
            short_dollars(budget.reserved_usd)
        );
    }
    line.push('\n');
    line
}

/// The tokens of one model, for reading: `1.2k in, 340 out, 10k cache read, 2.1k cache write`.
pub(crate) fn tokens_words(tokens: &Tokens) -> String {
    let mut words = format!(
        "{} in, {} out",
        short_tokens(tokens.input),
        short_tokens(tokens.output)
    );
    for (count, name) in [
        (tokens.cache_read, "cache read"),
        (tokens.cache_write, "cache write"),
    ] {
        if count > 0 {
            let _ = write!(words, ", {} {name}", short_tokens(count));
        }
    }
    words
}

/// Tokens of several attempts, by model.
pub(crate) fn sum_by_model<'a>(
    attempts: impl Iterator<Item = &'a BTreeMap<String, Tokens>>,
) -> BTreeMap<&'a str, Tokens> {
    let mut sums: BTreeMap<&str, Tokens> = BTreeMap::new();
    for (model, tokens) in attempts.flatten() {
        add(sums.entry(model).or_default(), tokens);
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(day: &str, label: &str, model: &str, cost_usd: f64) -> CostRow {
        CostRow {
            day: day.into(),
            workspace: String::new(),
            worker: "claude".into(),
            label: label.into(),
            model: model.into(),
            attempts: 2,
            tokens: Tokens {
                input: 1_234,
                output: 340,
                cache_read: 2_500_000,
                cache_write: 12_345,
                cost_usd,
            },
        }
    }

    fn answer() -> CostAnswer {
        let budget = |workspace: &str, limit_usd, spent_usd, reserved_usd| BudgetView {
            workspace: workspace.into(),
            limit_usd,
            spent_usd,
            reserved_usd,
        };
        CostAnswer {
            rows: vec![
                row("2026-11-21", "nightly", "opus", 1.25),
                row("2026-11-21", "", "haiku", 0.0123),
                row("2026-11-22", "", "opus", 12.0),
            ],
            budgets: vec![budget("", 50.0, 13.2623, 2.0), budget("api", 5.0, 0.0, 0.0)],
        }
    }

    fn plain(by: By) -> String {
        anstream::adapter::strip_str(&cost(&answer(), by, false, Some(80))).to_string()
    }

    #[test]
    fn days_go_by_the_calendar() {
        insta::assert_snapshot!(plain(By::Day), @r"
        DAY           COST  INPUT  OUTPUT  CACHE READ  CACHE WRITE
        2026-11-21   $1.26   2.5k     680        5.0M        24.7k
        2026-11-22  $12.00   1.2k     340        2.5M        12.3k
        total       $13.26   3.7k    1.0k        7.5M        37.0k

        budget of today: $13.26 of $50.00 spent, $2.00 set aside for what runs
        budget of today in workspace api: $0.00 of $5.00 spent
        ");
    }

    #[test]
    fn other_lines_begin_with_the_dearest() {
        insta::assert_snapshot!(plain(By::Label), @r"
        LABEL      COST  INPUT  OUTPUT  CACHE READ  CACHE WRITE
        (none)   $12.01   2.5k     680        5.0M        24.7k
        nightly   $1.25   1.2k     340        2.5M        12.3k
        total    $13.26   3.7k    1.0k        7.5M        37.0k

        budget of today: $13.26 of $50.00 spent, $2.00 set aside for what runs
        budget of today in workspace api: $0.00 of $5.00 spent
        ");
        insta::assert_snapshot!(plain(By::Model), @r"
        MODEL     COST  INPUT  OUTPUT  CACHE READ  CACHE WRITE
        opus    $13.25   2.5k     680        5.0M        24.7k
        haiku  $0.0123   1.2k     340        2.5M        12.3k
        total   $13.26   3.7k    1.0k        7.5M        37.0k

        budget of today: $13.26 of $50.00 spent, $2.00 set aside for what runs
        budget of today in workspace api: $0.00 of $5.00 spent
        ");
    }

    #[test]
    fn nothing_spent_is_said() {
        let nothing = |narrowed| cost(&CostAnswer::default(), By::Day, narrowed, None);
        assert_eq!(nothing(false), "nothing was spent yet\n");
        assert_eq!(nothing(true), "nothing was spent since then\n");
    }
}
