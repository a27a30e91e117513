//! What is said about a wrangler config that cannot be read as it stands: syntax, types, names, triggers.

use expect_test::expect;

use super::*;

#[test]
fn the_error_lists_every_mistake_of_every_file() {
    let dir = repo(
        "[project]\nnmae = \"x\"\n[workers.a]\npath = \"a\"\n[workers.b]\npath = \"b\"\n[workers.c]\npath = \"c\"\n",
        &[
            ("a/wrangler.toml", "name = \n"),
            (
                "b/wrangler.jsonc",
                "{ \"name\": \"b\", \"main\": 7 \"x\": 1 }",
            ),
        ],
    );
    let error = Workspace::load(dir.path()).unwrap_err();
    assert_eq!(exit_of(&error), Exit::Setup);
    expect![[r#"
        error: the configuration has 4 mistakes
          why: a/wrangler.toml:1:8: error: invalid TOML: string values must be quoted, expected literal string
               b/wrangler.jsonc:1:26: error: invalid JSON: expected a comma before this
               pipeline.toml:2:1: error: unknown key `project.nmae`; did you mean `name`?
               pipeline.toml:8:8: error: `workers.c.path`: `c` does not exist
          fix: correct the places above, then see whether all is well:
               cargo xtask deploy --cloud local --dry-run"#]].assert_eq(&render(&error));
}

#[test]
fn no_pipeline_file() {
    let dir = tempfile::tempdir().unwrap();
    let error = Workspace::load(dir.path()).unwrap_err();
    assert_eq!(exit_of(&error), Exit::Setup);
    let text = render(&error).replace(&dir.path().display().to_string(), "REPO");
    expect![[r#"
        error: there is no `pipeline.toml` in `REPO`
          why: it says which workers ship; the pipeline does nothing without it
          fix: run the command inside the repo, or name the repo's folder with `--root`"#]]
    .assert_eq(&text);
}

#[test]
fn syntax_errors_have_positions_in_every_format() {
    for (name, text, expected) in [
        (
            "wrangler.toml",
            "name = \"ä\" x\n",
            expect![[r#"
            a/wrangler.toml:1:12: error: invalid TOML: unexpected key or value, expected newline, `#`
        "#]],
        ),
        (
            "wrangler.toml",
            "a = 1\r\nname = \"a\"\r\nname = \"b\"\r\n",
            expect![[r#"
                a/wrangler.toml:3:1: error: invalid TOML: duplicate key
            "#]],
        ),
        (
            "wrangler.toml",
            "name = \"{{ name }}\"\n{{ more }}\n",
            expect![[r#"
                a/wrangler.toml:2:1: error: invalid TOML: invalid key-value pair, expected key
            "#]],
        ),
        (
            "wrangler.json",
            "{\n  \"name\": \"ä\", oops\n}",
            expect![[r#"
                a/wrangler.json:2:16: error: invalid JSON: expected string for object property
            "#]],
        ),
        (
            "wrangler.json",
            "{ \"ä\": 1 \"name\": 2 }",
            expect![[r#"
                a/wrangler.json:1:10: error: invalid JSON: expected a comma before this
            "#]],
        ),
        (
            "wrangler.jsonc",
            "{ 'name': 'a' }",
            expect![[r#"
            a/wrangler.jsonc:1:3: error: invalid JSON: strings need double quotes
        "#]],
        ),
        (
            "wrangler.jsonc",
            "{ \"name\": \"a\"",
            expect![[r#"
            a/wrangler.jsonc:1:1: error: invalid JSON: unterminated object
        "#]],
        ),
        (
            "wrangler.jsonc",
            "{ /* open",
            expect![[r#"
            a/wrangler.jsonc:1:3: error: invalid JSON: unterminated comment block
        "#]],
        ),
        (
            "wrangler.jsonc",
            "[1]",
            expect![[r#"
            a/wrangler.jsonc:1:1: error: the file must hold an object, found an array
        "#]],
        ),
        (
            "wrangler.jsonc",
            "",
            expect![[r#"
            a/wrangler.jsonc:1:1: error: the file is empty
        "#]],
        ),
        (
            "wrangler.toml",
            "",
            expect![[r#"
            a/wrangler.toml:1:1: error: `name` is missing; add the name the worker has on Cloudflare
        "#]],
        ),
    ] {
        check(ONE, &[(&format!("a/{name}"), text)], expected);
    }
}

#[test]
fn a_file_that_is_not_text() {
    let dir = repo(ONE, &[]);
    fs::create_dir(dir.path().join("a")).unwrap();
    fs::write(
        dir.path().join("a/wrangler.toml"),
        b"name = \"a\"\nx = \"\xff\"",
    )
    .unwrap();
    let (_, problems) = Workspace::read(dir.path());
    expect![[r#"
        a/wrangler.toml:2:6: error: this is not UTF-8 text; save the file as UTF-8
    "#]]
    .assert_eq(&problems.to_string());
}

#[test]
fn wrong_types_name_the_key_and_never_the_value() {
    check(
        ONE,
        &[(
            "a/wrangler.jsonc",
            r#"{
  // comments, a BOM and trailing commas are fine
  "name": "a",
  "main": ["canary"],
  "compatibility_date": "canary",
  "compatibility_flags": "canary",
  "workers_dev": "canary",
  "routes": { "pattern": "canary" },
  "triggers": ["canary"],
  "vars": "canary",
  "d1_databases": [{ "binding": 1, "database_id": "canary" }, "canary"],
  "kv_namespaces": { "binding": "canary" },
  "services": [{ "binding": "X" }],
  "durable_objects": [],
  "migrations": [{ "new_classes": "canary" }, { "tag": "v1" }, { "tag": "v1", "renamed_classes": [{ "from": "A" }] }],
  "ai": { "binding": null },
  "unknown_to_us": { "fine": true },
}"#,
        )],
        expect![[r#"
            a/wrangler.jsonc:4:11: error: `main` must be a string, found an array
            a/wrangler.jsonc:5:25: error: `compatibility_date` must be a date such as "2025-06-01"
            a/wrangler.jsonc:6:26: error: `compatibility_flags` must be an array of strings, found a string
            a/wrangler.jsonc:7:18: error: `workers_dev` must be true or false, found a string
            a/wrangler.jsonc:8:13: error: `routes` must be an array of routes, found a table
            a/wrangler.jsonc:9:15: error: `triggers` must be a table, found an array
            a/wrangler.jsonc:10:11: error: `vars` must be a table, found a string
            a/wrangler.jsonc:11:20: warning: `d1_databases.database_name` is not shipped, so a deploy is refused: without it the pipeline cannot tell which database of pipeline.toml it is, and applies no migrations
            a/wrangler.jsonc:11:33: error: `d1_databases[0].binding` must be a string, found a number
            a/wrangler.jsonc:11:63: error: `d1_databases[1]` must be a table, found a string
            a/wrangler.jsonc:12:20: error: `kv_namespaces` must be an array of tables, found a table
            a/wrangler.jsonc:13:16: error: `services[0].service` is missing
            a/wrangler.jsonc:14:22: error: `durable_objects` must be a table, found an array
            a/wrangler.jsonc:15:18: error: `migrations[0].tag` is missing
            a/wrangler.jsonc:15:73: error: `migrations[2].tag` is used by an earlier migration
            a/wrangler.jsonc:15:99: error: `migrations[2].renamed_classes[0].to` is missing
            a/wrangler.jsonc:16:22: error: `ai.binding` must be a string, found null
            a/wrangler.jsonc:17:20: warning: wrangler has no key `unknown_to_us`: it is ignored
        "#]],
    );
}

#[test]
fn names_are_given_once() {
    let config = toml(
        "a",
        r#"
vars = { DB = "x", AI = 1 }
[[d1_databases]]
binding = "DB"
database_name = "db"
database_id = "6f1d2c3b-4a59-4e8f-9b7a-0c1d2e3f4a5b"
[ai]
binding = "AI"
[[hyperdrive]]
binding = "AI"
id = "x"
localConnectionString = "postgres://user:canary@host"
"#,
    );
    check(
        ONE,
        &[("a/wrangler.toml", &config)],
        expect![[r#"
        a/wrangler.toml:5:15: error: `vars.DB` gives the name `DB` again, which `d1_databases[0].binding` has
        a/wrangler.toml:5:25: error: `vars.AI` gives the name `AI` again, which `ai.binding` has
        a/wrangler.toml:13:11: error: `hyperdrive[0].binding` gives the name `AI` again, which `ai.binding` has
    "#]],
    );
    let dup = r#"{ "name": "x", "name": "a", "compatibility_date": "2025-01-01" }"#;
    check(
        ONE,
        &[("a/wrangler.json", dup)],
        expect![[r#"
        a/wrangler.json:1:16: warning: `name` occurs twice in this object; the last one counts
    "#]],
    );
}

#[test]
fn crons_and_routes() {
    let config = toml(
        "a",
        r#"
routes = ["example.com/*", { pattern = "app.example.com", custom_domain = true }, { pattern = "x.com/y", custom_domain = true },
  { pattern = "*.x.com", custom_domain = true }, "exa*mple.com", "ftp://example.com", " ", 7, { zone_name = "x" }, "x.com/*/y", "https://*x.com/a*"]
triggers = { crons = ["0 2 * * *", "0 25 * * *", "0 2 * * *", 5] }
"#,
    );
    check(
        ONE,
        &[("a/wrangler.toml", &config)],
        expect![[r#"
        a/wrangler.toml:5:83: error: `routes[2]` is a custom domain, so it must not have a path
        a/wrangler.toml:6:3: error: `routes[3]` is a custom domain, so it must not hold `*`
        a/wrangler.toml:6:50: error: `routes[4]` may hold `*` in its host name only at the very beginning
        a/wrangler.toml:6:66: error: `routes[5]` must begin with a host name, `http://` or `https://`
        a/wrangler.toml:6:87: error: `routes[6]` is not a pattern such as `example.com/*`
        a/wrangler.toml:6:92: error: `routes[7]` must be a pattern or a table with `pattern`, found a number
        a/wrangler.toml:6:95: error: `routes[8].pattern` is missing
        a/wrangler.toml:6:116: error: `routes[9]` may hold `*` in its path only at the very end
        a/wrangler.toml:7:36: error: the cron trigger is not valid: its hour is not within 0 to 23
        a/wrangler.toml:7:50: error: this cron trigger is listed twice
        a/wrangler.toml:7:63: error: `triggers.crons[3]` must be a string, found a number
    "#]],
    );
}
