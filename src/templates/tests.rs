//! Templates from files of all kinds, with what can be wrong in them.

use super::*;
use crate::protocol::WorkspaceCreate;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        Self(folder)
    }

    fn templates(&self) -> Templates {
        Templates::new(self.0.path().to_owned())
    }

    fn failure(&self, name: &str) -> String {
        let error = self.templates().load(name).unwrap_err();
        let text = format!("{error}\nhint: {}", error.hint());
        text.replace(&format!("{}/", self.0.path().display()), "")
    }
}

fn create(template: &str, variables: &[(&str, &str)]) -> WorkspaceCreate {
    let variables = variables
        .iter()
        .map(|(name, value)| ((*name).into(), (*value).into()));
    WorkspaceCreate {
        name: "api".to_owned(),
        template: template.to_owned(),
        variables: variables.collect(),
        ..WorkspaceCreate::default()
    }
}

#[test]
fn built_in_templates_are_right_and_can_be_overridden() {
    let folder = Folder::new(&[("review.yaml", "description: mine\nworker: shell\n")]);
    let templates = folder.templates();
    let names: Vec<String> = templates.list().into_iter().map(|listed| listed.name).collect();
    assert_eq!(names, ["claude-pool", "default", "fullstack", "review"]);
    for name in &names {
        let template = templates
            .load(name)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(!template.description.is_empty(), "{name}");
    }
    let mine = templates.load("review").unwrap();
    assert_eq!((mine.description.as_str(), mine.tasks.len()), ("mine", 0));
}

#[test]
fn variables_are_filled_in() {
    let folder = Folder::new(&[(
        "mine.toml",
        "folder = \"~/src/{name}\"\n[env]\nBRANCH = \"{branch}\"\n[variables.branch]\ndefault = \"main\"\n\
         [variables.who]\n[[tasks]]\nname = \"a\"\ncommand = \"echo {{x} ${HOME} {who} in {folder}\"\n\
         [[tasks]]\ncommand = \"awk '{ print $1 }' {Who}\"\nafter = [\"a:any\"]\n",
    )]);
    let template = folder.templates().load("mine").unwrap();
    let error = template.fill_in(&create("mine", &[]), "/home/me").unwrap_err();
    assert_eq!(error.to_string(), "template 'mine' needs a value for `who`");
    let error = template
        .fill_in(&create("mine", &[("whom", "x")]), "/home/me")
        .unwrap_err();
    assert_eq!(error.hint(), "did you mean `who`?");
    let filled = template
        .fill_in(&create("mine", &[("who", "me")]), "/home/me")
        .unwrap();
    assert_eq!(filled.settings.folder.as_deref(), Some("/home/me/src/api"));
    assert_eq!(filled.settings.env["BRANCH"], "main");
    let commands: Vec<_> = filled
        .tasks
        .iter()
        .map(|(_, task)| task.command.as_deref().unwrap())
        .collect();
    assert_eq!(
        commands,
        [
            "echo {x} ${HOME} me in /home/me/src/api",
            "awk '{ print $1 }' {Who}"
        ]
    );
    assert_eq!(filled.tasks[1].1.after, ["a:any"]);
}

#[test]
fn a_template_extends_another() {
    let folder = Folder::new(&[(
        "mine.toml",
        "extends = \"fullstack\"\nweight = 5\n[[tasks]]\nname = \"test\"\ncommand = \"true\"\n",
    )]);
    let template = folder.templates().load("mine").unwrap();
    assert_eq!((template.weight, template.max_parallel), (Some(5), Some(3)));
    let commands: Vec<&str> = template.tasks.iter().map(|task| task.command.as_str()).collect();
    assert_eq!((commands.len(), commands[0]), (2, "true"));
}

#[test]
fn panes_are_merged_and_filled_in() {
    let folder = Folder::new(&[
        (
            "base.toml",
            "layout = \"rows\"\n[[tasks]]\nname = \"test\"\ncommand = \"true\"\n[[panes]]\nname = \"a\"\nslot = 1\n\
             [[panes]]\ntask = \"test\"\n",
        ),
        (
            "mine.toml",
            "extends = \"base\"\n[variables.who]\n[[processes]]\nname = \"dev\"\ncommand = \"true\"\n[[panes]]\n\
             name = \"a\"\ncommand = \"vi {who} ${HOME}\"\ncwd = \"{who}/deep\"\n[[panes]]\nprocess = \"dev\"\n\
             cwd = \"~/x\"\n[[panes]]\ncwd = \"/tmp\"\n",
        ),
    ]);
    let template = folder.templates().load("mine").unwrap();
    let mut create = create("mine", &[("who", "me")]);
    let error = template.fill_in(&create, "/home/me").unwrap_err();
    assert_eq!(
        error.to_string(),
        "template 'mine' needs a folder for the workspace"
    );
    create.folder = Some("/src".to_owned());
    let filled = template.fill_in(&create, "/home/me").unwrap().settings;
    let panes = serde_json::to_string(&filled.panes).unwrap();
    insta::assert_snapshot!(panes, @r#"[{"name":"a","command":"vi me ${HOME}","cwd":"/src/me/deep"},{"task":"test"},{"process":"dev","cwd":"/home/me/x"},{"cwd":"/tmp"}]"#);
    assert_eq!(filled.layout, Some(crate::protocol::PaneLayout::Rows));
}

#[test]
fn errors_in_panes_name_file_line_and_key() {
    let named = "[[tasks]]\nname = \"test\"\ncommand = \"true\"\n";
    let wrong = [
        ("two", "[[panes]]\nslot = 0\ncommand = \"x\"\n"),
        ("task", "[[panes]]\n[[panes]]\ntask = \"tset\"\n"),
        ("process", "[[panes]]\nprocess = \"dev\"\n"),
        ("empty", "[[panes]]\ncommand = \" \"\n"),
        (
            "same",
            "[[panes]]\ntask = \"test\"\n[[panes]]\nname = \"b\"\ntask = \"test\"\n",
        ),
        ("name", "[[panes]]\nname = \"b\"\n[[panes]]\nname = \"b\"\n"),
        ("word", "[[panes]]\ncwd = \"{what}\"\n"),
        ("slot", "[[panes]]\nslot = 10000\n"),
        ("key", "[[panes]]\nsolt = 1\n"),
    ];
    let mut files: Vec<(String, String)> = Vec::new();
    for (name, text) in wrong {
        files.push((format!("{name}.toml"), format!("{named}{text}")));
    }
    files.push((
        "layout.yaml".to_owned(),
        "description: x\nlayout: circle\n".to_owned(),
    ));
    files.push(("many.toml".to_owned(), "[[panes]]\n".repeat(65)));
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    let folder = Folder::new(&files);
    let mut shown = String::new();
    for (name, _) in &files {
        let name = name.split('.').next().unwrap();
        shown += &format!("{}\n", folder.failure(name));
    }
    insta::assert_snapshot!(shown);
    // A shell, and one thing twice in several lines, are right.
    let right = "[[panes]]\n[[panes]]\n[[panes]]\ncommand = \"top\"\n[[panes]]\ncommand = \"top\"\n";
    let folder = Folder::new(&[("right.toml", right)]);
    assert_eq!(folder.templates().load("right").unwrap().panes.len(), 4);
}

#[test]
fn circles_are_shown() {
    let folder = Folder::new(&[
        ("a.toml", "description = \"a\"\nextends = \"b\"\n"),
        ("b.yaml", "description: b\nextends: c\n"),
        ("c.toml", "extends = \"b\"\n"),
        ("self.toml", "extends = \"self\"\n"),
        ("lost.toml", "\nextends = \"review2\"\n"),
    ]);
    insta::assert_snapshot!(folder.failure("a"), @r"
    c.toml:1:1: `extends`: the template includes itself: b → c → b
    hint: take one of these out
    ");
    insta::assert_snapshot!(folder.failure("self"), @r"
    self.toml:1:1: `extends`: the template includes itself: self → self
    hint: take one of these out
    ");
    insta::assert_snapshot!(folder.failure("lost"), @r"
    lost.toml:2:1: `extends`: there is no template 'review2'
    hint: did you mean `review`?
    ");
}

#[test]
fn errors_name_file_line_and_key() {
    let folder = Folder::new(&[
        ("key.toml", "description = \"x\"\nwieght = 2\n"),
        ("value.toml", "description = \"x\"\nweight = 0\n"),
        ("rate.yaml", "description: x\nrate: soon\n"),
        ("two.toml", ""),
        ("two.yaml", ""),
        ("yvalue.yaml", "description: x\nweight: 2000\n"),
        ("word.toml", "[variables.branch]\n[[tasks]]\ncommand = \"true\"\n[[tasks]]\nlabel = \"x\"\ncommand = \"{brunch}\"\n"),
        ("yword.yml", "tasks:\n  - command: one\n    label: x\n  - command: \"{what}\"\n"),
        ("after.toml", "[[tasks]]\ncommand = \"true\"\nafter = [\"later\"]\n[[tasks]]\nname = \"later\"\ncommand = \"true\"\n"),
        ("folder.toml", "folder = \"src\"\n"),
        ("name.toml", "[variables.name]\n"),
        ("text.toml", "description = \n"),
    ]);
    let mut shown = String::new();
    for name in [
        "key", "value", "rate", "word", "after", "folder", "name", "text", "two", "yvalue", "yword",
    ] {
        shown += &format!("{}\n", folder.failure(name));
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn names_lead_nowhere_else() {
    let folder = Folder::new(&[]);
    for name in ["../config", "a/b", "", "ü", ".hidden"] {
        let error = folder.templates().load(name).unwrap_err();
        assert!(matches!(error, TemplateError::Unknown { .. }), "{name}: {error}");
    }
    insta::assert_snapshot!(folder.failure("reviews"), @r"
    there is no template 'reviews'
    hint: did you mean `review`?
    ");
}
