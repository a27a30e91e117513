//! What a key depends on, and what it does not.

use std::fs;

use super::*;
use crate::plan::{Action, Command, Step};

fn step(root: &Path) -> Step {
    let mut command = Command::shell("x", &root.join("a"));
    command.program = root.join("node_modules/.bin/tsc").display().to_string();
    command.argv = vec![format!("--project={}/a", root.display()), "--noEmit".into()];
    command.env.insert(
        "OUT".into(),
        format!("{}/.xtask/out:/usr/bin", root.display()),
    );
    Step::new(
        "check",
        "types a",
        "check the types of a",
        Action::Command(command),
    )
}

fn with(change: impl FnOnce(&mut Command)) -> impl FnOnce(&mut Step, &mut Inputs) {
    move |step, _| match &mut step.action {
        Action::Command(command) => change(command),
        _ => unreachable!(),
    }
}

fn base_inputs() -> Inputs {
    Inputs {
        env: vec![("MODE".into(), Some("ci".into())), ("EMPTY".into(), None)],
        tools: vec![
            ("node".into(), "22.1.0".into()),
            ("tsc".into(), "5.9".into()),
        ],
        outputs: vec!["a/dist".into()],
        ..inputs(&["a", "package.json"])
    }
}

fn key_in(repo: &Repo, change: impl FnOnce(&mut Step, &mut Inputs)) -> String {
    let (mut step, mut inputs) = (step(repo.root()), base_inputs());
    change(&mut step, &mut inputs);
    key(&step, &inputs, &repo.tree())
}

const FILES: [(&str, &str); 3] = [
    ("a/x.ts", "1"),
    ("package.json", "{}"),
    (".gitignore", "dist\n"),
];

#[test]
fn two_checkouts_share_keys_and_order_does_not_count() {
    let (one, two) = (Repo::new(&FILES), Repo::new(&FILES));
    let base = key_in(&one, |_, _| {});
    assert_eq!(base.len(), 64);
    assert_eq!(base, key_in(&two, |_, _| {}));
    let shuffled = key_in(&one, |_, inputs| {
        inputs.paths.reverse();
        inputs.env.reverse();
        inputs.tools.reverse();
    });
    assert_eq!(base, shuffled);
    // How a failure is worded, and how long a step may take, is no part of what it proves.
    let other = key_in(&one, |step, _| {
        step.goal = "other".into();
        step.timeout *= 2;
        *step = step.clone().needs(["x"]);
    });
    assert_eq!(base, other);
    // A program is what `tools` says it is, wherever it is installed.
    let usr = key_in(&one, with(|c| c.program = "/usr/bin/node".into()));
    let opt = key_in(&one, with(|c| c.program = "/opt/node/bin/node".into()));
    assert_eq!(usr, opt);
    assert_ne!(usr, base);
}

#[test]
fn everything_a_result_depends_on_counts() {
    type Change = Box<dyn FnOnce(&mut Step, &mut Inputs)>;
    let changes: Vec<(&str, Change)> = vec![
        ("id", Box::new(|step, _| step.id = "types b".into())),
        ("argv", Box::new(with(|c| c.argv.push("--strict".into())))),
        (
            "argv split",
            Box::new(with(|c| c.argv = vec![c.argv.join(" ")])),
        ),
        ("cwd", Box::new(with(|c| c.cwd.push("src")))),
        (
            "env",
            Box::new(with(|c| {
                c.env.insert("X".into(), "1".into());
            })),
        ),
        (
            "secret env",
            Box::new(with(|c| c.secret_env.push("X".into()))),
        ),
        (
            "removed env",
            Box::new(with(|c| c.env_remove.push("X".into()))),
        ),
        ("action", Box::new(|step, _| step.action = Action::Nothing)),
        (
            "declared env",
            Box::new(|_, i| i.env[0].1 = Some("dev".into())),
        ),
        ("unset env", Box::new(|_, i| i.env[0].1 = None)),
        (
            "empty is not unset",
            Box::new(|_, i| i.env[1].1 = Some(String::new())),
        ),
        ("tool", Box::new(|_, i| i.tools[0].1 = "22.1.1".into())),
        ("paths", Box::new(|_, i| i.paths.push("b".into()))),
        ("outputs", Box::new(|_, i| i.outputs.clear())),
    ];
    let repo = Repo::new(&FILES);
    let mut seen = vec![("nothing", key_in(&repo, |_, _| {}))];
    for (what, change) in changes {
        let key = key_in(&repo, change);
        let same = seen.iter().find(|(_, other)| *other == key);
        assert_eq!(same, None, "{what}");
        seen.push((what, key));
    }
    repo.write("a/x.ts", "2");
    assert_ne!(key_in(&repo, |_, _| {}), seen[0].1);
}

#[test]
fn only_the_folder_itself_is_taken_out_of_a_text() {
    let repo = Repo::new(&FILES);
    let root = repo.root().display().to_string();
    let key_of = |argument: String| key_in(&repo, with(|c| c.argv = vec![argument]));
    let sibling = key_of(format!("{root}-old/x"));
    assert_ne!(sibling, key_of("{root}-old/x".into()));
    assert_eq!(
        key_of(format!("file://{root}/x")),
        key_of("file://{root}/x".into())
    );
    assert_ne!(
        key_of(format!("/mnt{root}/x")),
        key_of("/mnt{root}/x".into())
    );
}

#[test]
fn a_hit_needs_what_the_step_made_as_it_left_it() {
    let repo = Repo::new(&FILES);
    let state = tempfile::tempdir().unwrap();
    let store = Store::open(state.path(), 1 << 20);
    let inputs = base_inputs();
    let key = key_in(&repo, |_, _| {});
    repo.write("a/dist/index.js", "made");
    let mut entry = Entry {
        step: "build a".into(),
        outputs: outputs_digest(repo.root(), &inputs.outputs).unwrap(),
        ..Entry::default()
    };
    assert!(entry.outputs.is_some());
    store.put(&key, &entry).unwrap();
    let hit = || store.hit(&key, repo.root(), &inputs);
    assert_eq!(hit(), Some(entry.clone()));
    // Another build was there since.
    repo.write("a/dist/index.js", "other");
    assert_eq!(hit(), None);
    repo.write("a/dist/index.js", "made");
    assert!(hit().is_some());
    repo.write("a/dist/more.js", "");
    assert_eq!(hit(), None);
    fs::remove_dir_all(repo.root().join("a/dist")).unwrap();
    assert_eq!(hit(), None);
    assert_eq!(outputs_digest(repo.root(), &inputs.outputs).unwrap(), None);
    // An entry that says nothing of outputs proves nothing about them.
    repo.write("a/dist/index.js", "made");
    entry.outputs = None;
    store.put(&key, &entry).unwrap();
    assert_eq!(hit(), None);
}
