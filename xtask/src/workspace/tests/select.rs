//! What a sound repo turns into: workers, their order, and how they are chosen.

use expect_test::expect;

use super::*;

#[test]
fn several_configs_of_one_folder_can_ship() {
    let pipeline = "[workers.a]\npath = \"a\"\nconfig = \"wrangler.toml\"\n[workers.exec]\npath = \"a\"\nconfig = \"wrangler-exec.jsonc\"\n\
        [workers.root]\npath = \".\"\n";
    let workspace = load(
        pipeline,
        &[
            ("a/wrangler.toml", &toml("a", "")),
            (
                "a/wrangler-exec.jsonc",
                r#"{"name":"a-exec","compatibility_date":"2025-01-01"}"#,
            ),
            (
                "wrangler.json",
                r#"{"name":"root","compatibility_date":"2025-01-01"}"#,
            ),
        ],
    );
    let names: Vec<&str> = workspace
        .workers
        .iter()
        .map(|worker| worker.config.name.as_str())
        .collect();
    assert_eq!(names, ["a", "a-exec", "root"]);
    assert_eq!(workspace.workers[2].dir, workspace.root);
    assert!(workspace.warnings.is_empty());
}

#[test]
fn selecting_workers() {
    let workspace = load(
        TWO,
        &[
            ("a/wrangler.toml", &toml("script-a", "")),
            ("b/wrangler.toml", &toml("a", "")),
        ],
    );
    let names = |only: &[&str]| -> Vec<String> {
        let only: Vec<String> = only.iter().map(|name| (*name).to_owned()).collect();
        workspace
            .select(&only)
            .unwrap()
            .iter()
            .map(|worker| worker.name.clone())
            .collect()
    };
    assert_eq!(names(&[]), ["a", "b"]);
    assert_eq!(names(&["b", "script-a", "b"]), ["a", "b"]);
    // A short name wins over a script name.
    assert_eq!(names(&["a"]), ["a"]);
    let error = workspace.select(&["script-b".to_owned()]).unwrap_err();
    assert_eq!(exit_of(&error), Exit::Setup);
    expect![[r#"
        error: there is no worker `script-b`
          why: pipeline.toml names these: a, b
          fix: did you mean `script-a`?"#]]
    .assert_eq(&render(&error));
    expect![[r#"
        error: there is no worker `payments`
          why: pipeline.toml names these: a, b
          fix: use one of these names, or add the worker to pipeline.toml"#]]
    .assert_eq(&render(
        &workspace.select(&["payments".to_owned()]).unwrap_err(),
    ));
}

#[test]
fn callees_come_first() {
    let pipeline = "[workers.a]\npath = \"a\"\n[workers.b]\npath = \"b\"\n[workers.c]\npath = \"c\"\n[workers.d]\npath = \"d\"\n[workers.e]\npath = \"e\"\n";
    let calls = |name: &str, target: &str| {
        toml(
            name,
            &format!("services = [{{ binding = \"X\", service = \"{target}\" }}]"),
        )
    };
    let d = toml(
        "d",
        "durable_objects = { bindings = [{ name = \"X\", class_name = \"C\", script_name = \"a\" }] }",
    );
    let e = toml("e", "tail_consumers = [{ service = \"c\" }]");
    let workspace = load(
        pipeline,
        &[
            ("a/wrangler.toml", &calls("a", "b")),
            ("b/wrangler.toml", &calls("b", "a")),
            ("c/wrangler.toml", &calls("c", "c")),
            ("d/wrangler.toml", &d),
            ("e/wrangler.toml", &e),
        ],
    );
    let levels: Vec<Vec<&str>> = workspace
        .callees_first()
        .into_iter()
        .map(|level| {
            level
                .into_iter()
                .map(|worker| worker.name.as_str())
                .collect()
        })
        .collect();
    assert_eq!(levels, [vec!["a", "b", "c"], vec!["d", "e"]]);
    assert_eq!(workspace.cycles(), [["a", "b"]]);
}

#[test]
fn four_hundred_workers_load_quickly() {
    let mut pipeline = String::new();
    let mut files = Vec::new();
    for index in 0..400 {
        pipeline.push_str(&format!(
            "[workers.w{index}]\npath = \"workers/w{index}\"\n"
        ));
        let calls = if index == 0 {
            String::new()
        } else {
            format!(
                "services = [{{ binding = \"NEXT\", service = \"s{}\" }}]\n",
                index - 1
            )
        };
        let data = "[[d1_databases]]\nbinding = \"DB\"\ndatabase_name = \"db\"\ndatabase_id = \"6f1d2c3b-4a59-4e8f-9b7a-0c1d2e3f4a5b\"\n";
        files.push((
            format!("workers/w{index}/wrangler.toml"),
            toml(&format!("s{index}"), &format!("{calls}{data}")),
        ));
    }
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(path, text)| (path.as_str(), text.as_str()))
        .collect();
    let dir = repo(&pipeline, &files);
    let start = std::time::Instant::now();
    let workspace = Workspace::load(dir.path()).unwrap();
    let elapsed = start.elapsed();
    assert_eq!(
        (workspace.workers.len(), workspace.callees_first().len()),
        (400, 400)
    );
    // Generous: an unoptimised build on a busy machine takes about a tenth of this.
    assert!(elapsed.as_secs() < 5, "{elapsed:?}");
}

#[test]
fn this_repo_has_no_mistakes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let (workspace, problems) = Workspace::read(root);
    assert_eq!(problems.to_string(), "");
    let workspace = workspace.unwrap();
    assert_eq!(workspace.workers.len(), workspace.pipeline.workers.len());
}
