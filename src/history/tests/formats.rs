//! Files of every format that was ever released keep loading.

use std::collections::BTreeMap;

use wezterm_parallel_scheduler::State;

use super::writing::{backed_up, batch, finish, give, kept, until};
use super::*;

/// A file of the first format, as that version left it.
#[test]
fn the_first_format_keeps_loading() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/history-v1/history.sqlite");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("h");
    std::fs::copy(fixture, &path).unwrap();
    let check = |expected: &[u64]| {
        let reader = Reader::open(&path).unwrap();
        assert_eq!(ids(&reader, &HistoryFilter::default()), expected);
        let filter = HistoryFilter {
            search: Some("WINE".into()),
            workspaces: vec!["cellar".into()],
            ..HistoryFilter::default()
        };
        assert_eq!(ids(&reader, &filter), [1]);
        let task = reader.page(&filter, 1).unwrap().0.remove(0);
        assert_eq!(task.outcomes(), "exit_code ok");
        assert_eq!((task.label.as_deref(), task.attempts[1].n), (Some("red"), 2));
    };
    check(&[2, 1]);
    assert_eq!(
        backed_up(&path),
        [(2, "failed".to_owned(), false), (3, "held".to_owned(), false)]
    );
    let backup = Reader::open(&path).unwrap().backup().unwrap();
    assert_eq!(
        backup.environments[&7],
        BTreeMap::from([("A".to_owned(), "b".to_owned())])
    );
    assert_eq!((backup.used_ids, backup.state.len()), (vec![u64::MAX, 5], 1));
    assert!(backup.unreadable.is_empty());
    // It can be written on, and what was there goes where it has to.
    let writer = Writer::start(path.clone(), 12).unwrap();
    until("it is open", || writer.has_room());
    assert!(!writer.take_comparison());
    give(
        &writer,
        batch(vec![kept(2, State::Succeeded), kept(3, State::Failed)]),
    );
    finish(writer);
    check(&[3, 2, 1]);
}
