//! Which tabs are a workspace's, and what they come to.

use super::super::{PaneSize, Side};
use super::*;

fn server(socket: &str) -> Server {
    Server {
        socket: socket.into(),
        pid: 7,
    }
}

/// A pane in one of two columns of a tab.
fn pane(tab_id: u64, pane_id: u64, left_col: usize) -> PaneInfo {
    PaneInfo {
        tab_id,
        pane_id,
        left_col,
        size: PaneSize { cols: 40, rows: 24 },
        cwd: "file://desk/src/api/".to_owned(),
        tab_title: format!("tab {tab_id}"),
        ..PaneInfo::default()
    }
}

fn plans_of(
    workspace: &str,
    known: &[Assignment],
    listings: &[Listing],
    is_of_workspace: impl Fn(&str) -> bool,
    host: &str,
) -> Vec<TabPlan> {
    let tabs = tabs_of_workspace(workspace, known, listings, is_of_workspace, host);
    tabs.into_iter().map(|tab| tab.plan).collect()
}

fn shown(plans: &[TabPlan]) -> Vec<Vec<Shown>> {
    let panes = |plan: &TabPlan| plan.panes.iter().map(|pane| pane.shown.clone()).collect();
    plans.iter().map(panes).collect()
}

#[test]
fn a_tab_with_one_pane_of_the_workspace_is_told_as_a_whole() {
    let gui = server("/run/gui-sock-7");
    let of_api = |pane, shown| Assignment::new(&gui, pane, shown).of_workspace(Some("api".into()));
    let known = [
        of_api(11, Shown::Slot(0)),
        Assignment::new(&gui, 12, Shown::Task("7".into())),
        Assignment::new(&gui, 13, Shown::Task("8".into())),
        Assignment::new(&gui, 14, Shown::Slot(1)).of_workspace(Some("web".into())),
        of_api(15, Shown::Shell(Some("vi .".into()))),
        // Another server's pane of the same number, and one that is gone.
        Assignment::new(&server("/other"), 10, Shown::Slot(3)).of_workspace(Some("api".into())),
        of_api(99, Shown::Slot(9)),
    ];
    let mut elsewhere = pane(1, 10, 41);
    elsewhere.cwd = "file://server/root/".to_owned();
    elsewhere.is_active = true;
    let panes = vec![
        pane(4, 15, 0),
        elsewhere,
        pane(1, 11, 0),
        pane(2, 12, 0),
        pane(3, 13, 0),
        pane(3, 14, 41),
        pane(5, 16, 0),
    ];
    let plans = plans_of(
        "api",
        &known,
        &[(gui.clone(), panes.clone())],
        |id| id == "7",
        "desk",
    );
    assert_eq!(
        shown(&plans),
        [
            vec![Shown::Slot(0), Shown::Shell(None)],
            vec![Shown::Task("7".into())],
            vec![Shown::Shell(Some("vi .".into()))],
        ]
    );
    assert_eq!((plans[0].title.as_str(), plans[0].active), ("tab 1", Some(1)));
    assert_eq!(plans[0].panes[0].cwd.as_deref(), Some("/src/api".as_ref()));
    assert_eq!(plans[0].panes[1].cwd, None);
    assert_eq!(
        plans[0].splits,
        [Split {
            from: 0,
            to: 1,
            side: Side::Right,
            percent: 50
        }]
    );
    // A pane that was made for another workspace is that one's, whatever it shows.
    let of_web = plans_of("web", &known, &[(gui, panes)], |id| id == "8", "desk");
    assert_eq!(shown(&of_web), [[Shown::Task("8".into()), Shown::Slot(1)]]);
    assert_eq!(plans_of("api", &known, &[], |_| true, "desk"), []);
}

#[test]
fn a_tab_of_a_mux_server_is_one_tab_in_its_gui_too() {
    let (gui, mux) = (server("/gui"), server("/mux"));
    let of_api = |server, pane, shown| Assignment::new(server, pane, shown).of_workspace(Some("api".into()));
    let known = [
        of_api(&gui, 21, Shown::Shell(Some("lazygit".into()))),
        of_api(&mux, 0, Shown::Slot(0)),
    ];
    let mut in_mux = vec![pane(1, 0, 0), pane(1, 1, 41)];
    let mut in_gui = vec![pane(8, 20, 0), pane(8, 21, 41)];
    for pane in in_mux.iter_mut().chain(&mut in_gui) {
        pane.tab_title = "api".to_owned();
    }
    for listings in [
        [(gui.clone(), in_gui.clone()), (mux.clone(), in_mux.clone())],
        [(mux, in_mux), (gui, in_gui)],
    ] {
        let plans = plans_of("api", &known, &listings, |_| false, "desk");
        let expected = [[Shown::Slot(0), Shown::Shell(Some("lazygit".into()))]];
        assert_eq!(shown(&plans), expected);
    }
}

#[test]
fn plans_are_kept_as_json() {
    let plan = TabPlan {
        title: "api".to_owned(),
        panes: vec![
            PanePlan {
                shown: Shown::Slot(0),
                cwd: None,
            },
            PanePlan {
                shown: Shown::Task("7".into()),
                cwd: Some("/src/api".into()),
            },
            PanePlan {
                shown: Shown::Shell(Some("vi .".into())),
                cwd: None,
            },
            PanePlan {
                shown: Shown::Shell(None),
                cwd: None,
            },
        ],
        splits: plan(Layout::Columns, 4)[..1].to_vec(),
        active: Some(2),
    };
    let text = serde_json::to_string(&plan).unwrap();
    insta::assert_snapshot!(text, @r#"{"title":"api","panes":[{"slot":0},{"task":"7","cwd":"/src/api"},{"shell":"vi ."},{"shell":null}],"splits":[{"from":0,"to":1,"side":"right","percent":75}],"active":2}"#);
    assert_eq!(serde_json::from_str::<TabPlan>(&text).unwrap(), plan);
    let least: TabPlan = serde_json::from_str(r#"{"panes":[{"slot":0},{"shell":null}]}"#).unwrap();
    assert_eq!((least.title.as_str(), least.active), ("", None));
    // Splits that make no four panes are none.
    assert_eq!(plan.usable_splits().len(), 3);
    assert_eq!(least.usable_splits().len(), 1);
}
