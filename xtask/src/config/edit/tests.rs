//! What an edit leaves alone, and what it changes.
#![expect(clippy::too_many_lines, reason = "most of it is what is expected")]

use expect_test::{Expect, expect};
use std::path::Path;

use super::*;

const FILE: &str = r#"# What ships where.
external_services = ["billing"] # theirs

[project]
name = "small"   # odd   spaces stay

# One table per worker.
[workers.main]
path = "workers/main"
# More keys:
#   env = "production"

# The one that thinks.
[workers.agent]
path = "workers/agent" # and this

[health]
within = "20s"

[preview]
vars = { DOCS = "{url:main}/docs", NOTE = "main" }

# What it must answer.
[[preview.smoke]]
worker = "main"
path = "/"
reaches = ["agent", "main"]

# And the other.
[[preview.smoke]]
worker = "agent"
path = "/main"

[[allow]]
step = "test main 2"
reason = "main waits"
until = 2027-01-31
"#;

fn editor(text: &str) -> Editor {
    Editor::new(Path::new("/repo"), text).expect("it is TOML")
}

/// Shows what differs.
#[track_caller]
fn check(text: &str, edit: impl FnOnce(&mut Editor), expect: Expect) {
    let mut editor = editor(text);
    edit(&mut editor);
    let new = editor.finish();
    Editor::new(Path::new("/repo"), &new).expect("it is TOML still");
    expect.assert_eq(&crate::diff::unified(
        "pipeline.toml",
        Some(text),
        Some(&new),
    ));
}

#[test]
fn nothing_to_do_changes_nothing() {
    for text in [FILE, "", "\u{feff}[workers.a]\r\npath = \"a\"\r\n"] {
        assert_eq!(editor(text).finish(), text);
    }
}

#[test]
fn a_table_goes_behind_the_last_of_its_kind() {
    let table = "# Found.\n[workers.new]\npath = \"new\"\n";
    check(
        FILE,
        |file| file.add_table("workers", table),
        expect![[r#"
        --- a/pipeline.toml
        +++ b/pipeline.toml
        @@ -14,6 +14,10 @@
         [workers.agent]
         path = "workers/agent" # and this

        +# Found.
        +[workers.new]
        +path = "new"
        +
         [health]
         within = "20s"

    "#]],
    );
    check(
        FILE,
        |file| file.add_table("databases", "[databases.d]\nmigrations = \"m\"\n"),
        expect![[r#"
            --- a/pipeline.toml
            +++ b/pipeline.toml
            @@ -35,3 +35,6 @@
             step = "test main 2"
             reason = "main waits"
             until = 2027-01-31
            +
            +[databases.d]
            +migrations = "m"
        "#]],
    );
    check(
        "",
        |file| file.add_table("workers", table),
        expect![[r#"
        --- a/pipeline.toml
        +++ b/pipeline.toml
        @@ -0,0 +1,3 @@
        +# Found.
        +[workers.new]
        +path = "new"
    "#]],
    );
    check(
        "[workers]\na = { path = \"a\" }\n[health]\n",
        |file| file.add_table("workers", table),
        expect![[r#"
            --- a/pipeline.toml
            +++ b/pipeline.toml
            @@ -1,3 +1,7 @@
             [workers]
             a = { path = "a" }
            +
            +# Found.
            +[workers.new]
            +path = "new"
             [health]
        "#]],
    );
}

#[test]
fn windows_line_ends_stay() {
    let text = "\u{feff}# A\r\n[workers.a]\r\npath = \"a\"\r\n";
    let mut file = editor(text);
    file.add_table("workers", "[workers.b]\npath = \"b\"\n");
    assert_eq!(
        file.finish(),
        format!("{text}\r\n[workers.b]\r\npath = \"b\"\r\n")
    );
}

#[test]
fn names_join_lists() {
    let names = ["mail".to_owned(), "q\"".to_owned()];
    check(
        FILE,
        |file| file.add_to_list("external_services", &names, ""),
        expect![[r#"
            --- a/pipeline.toml
            +++ b/pipeline.toml
            @@ -1,5 +1,5 @@
             # What ships where.
            -external_services = ["billing"] # theirs
            +external_services = ["billing", "mail", "q\""] # theirs

             [project]
             name = "small"   # odd   spaces stay
        "#]],
    );
    check(
        FILE,
        |file| file.add_to_list("leave_out", &names, "# Left out.\n"),
        expect![[r#"
            --- a/pipeline.toml
            +++ b/pipeline.toml
            @@ -1,5 +1,7 @@
             # What ships where.
             external_services = ["billing"] # theirs
            +# Left out.
            +leave_out = ["mail", "q\""]

             [project]
             name = "small"   # odd   spaces stay
        "#]],
    );
    check(
        "# All.\n\n# Workers.\n[workers.a]\npath = \"a\"\n",
        |file| file.add_to_list("x", &names, "# X.\n"),
        expect![[r#"
            --- a/pipeline.toml
            +++ b/pipeline.toml
            @@ -1,5 +1,7 @@
             # All.

            +# X.
            +x = ["mail", "q\""]
             # Workers.
             [workers.a]
             path = "a"
        "#]],
    );
    check(
        "x = [\n  \"a\", # first\n]\n",
        |file| file.add_to_list("x", &names, ""),
        expect![[r#"
            --- a/pipeline.toml
            +++ b/pipeline.toml
            @@ -1,3 +1,3 @@
             x = [
            -  "a", # first
            +  "a", "mail", "q\"", # first
             ]
        "#]],
    );
    check(
        FILE,
        |file| file.remove_from_list("external_services", "billing"),
        expect![[r#"
            --- a/pipeline.toml
            +++ b/pipeline.toml
            @@ -1,5 +1,5 @@
             # What ships where.
            -external_services = ["billing"] # theirs
            +external_services = [] # theirs

             [project]
             name = "small"   # odd   spaces stay
        "#]],
    );
}

#[test]
fn a_removed_worker_takes_its_own_lines_and_no_others() {
    check(
        FILE,
        |file| file.remove_worker("main").unwrap(),
        expect![[r#"
            --- a/pipeline.toml
            +++ b/pipeline.toml
            @@ -5,11 +5,6 @@
             name = "small"   # odd   spaces stay

             # One table per worker.
            -[workers.main]
            -path = "workers/main"
            -# More keys:
            -#   env = "production"
            -
             # The one that thinks.
             [workers.agent]
             path = "workers/agent" # and this
            @@ -21,11 +16,6 @@
             vars = { DOCS = "{url:main}/docs", NOTE = "main" }

             # What it must answer.
            -[[preview.smoke]]
            -worker = "main"
            -path = "/"
            -reaches = ["agent", "main"]
            -
             # And the other.
             [[preview.smoke]]
             worker = "agent"
        "#]],
    );
    check(
        FILE,
        |file| file.remove_worker("agent").unwrap(),
        expect![[r#"
            --- a/pipeline.toml
            +++ b/pipeline.toml
            @@ -10,10 +10,6 @@
             # More keys:
             #   env = "production"

            -# The one that thinks.
            -[workers.agent]
            -path = "workers/agent" # and this
            -
             [health]
             within = "20s"

            @@ -24,12 +20,7 @@
             [[preview.smoke]]
             worker = "main"
             path = "/"
            -reaches = ["agent", "main"]
            -
            -# And the other.
            -[[preview.smoke]]
            -worker = "agent"
            -path = "/main"
            +reaches = ["main"]

             [[allow]]
             step = "test main 2"
        "#]],
    );
    check(
        "[workers]\na = { path = \"a\" }\nb = { path = \"b\" }\n",
        |file| file.remove_worker("a").unwrap(),
        expect![[r#"
            --- a/pipeline.toml
            +++ b/pipeline.toml
            @@ -1,3 +1,2 @@
             [workers]
            -a = { path = "a" }
             b = { path = "b" }
        "#]],
    );
    let dotted = "workers.a.path = \"a\"\n";
    assert!(editor(dotted).remove_worker("a").is_err());
}

#[test]
fn a_renamed_worker_is_renamed_wherever_the_file_names_it() {
    check(
        FILE,
        |file| file.rename_worker("main", "site"),
        expect![[r#"
        --- a/pipeline.toml
        +++ b/pipeline.toml
        @@ -5,7 +5,7 @@
         name = "small"   # odd   spaces stay

         # One table per worker.
        -[workers.main]
        +[workers.site]
         path = "workers/main"
         # More keys:
         #   env = "production"
        @@ -18,13 +18,13 @@
         within = "20s"

         [preview]
        -vars = { DOCS = "{url:main}/docs", NOTE = "main" }
        +vars = { DOCS = "{url:site}/docs", NOTE = "main" }

         # What it must answer.
         [[preview.smoke]]
        -worker = "main"
        +worker = "site"
         path = "/"
        -reaches = ["agent", "main"]
        +reaches = ["agent", "site"]

         # And the other.
         [[preview.smoke]]
        @@ -32,6 +32,6 @@
         path = "/main"

         [[allow]]
        -step = "test main 2"
        +step = "test site 2"
         reason = "main waits"
         until = 2027-01-31
    "#]],
    );
    check(
        FILE,
        |file| file.rename_worker("agent", "a.b"),
        expect![[r#"
        --- a/pipeline.toml
        +++ b/pipeline.toml
        @@ -11,7 +11,7 @@
         #   env = "production"

         # The one that thinks.
        -[workers.agent]
        +[workers."a.b"]
         path = "workers/agent" # and this

         [health]
        @@ -24,11 +24,11 @@
         [[preview.smoke]]
         worker = "main"
         path = "/"
        -reaches = ["agent", "main"]
        +reaches = ["a.b", "main"]

         # And the other.
         [[preview.smoke]]
        -worker = "agent"
        +worker = "a.b"
         path = "/main"

         [[allow]]
    "#]],
    );
    check(
        "workers.a.path = \"a\"\n",
        |file| file.rename_worker("a", "b"),
        expect![[r#"
            --- a/pipeline.toml
            +++ b/pipeline.toml
            @@ -1,1 +1,1 @@
            -workers.a.path = "a"
            +workers.b.path = "a"
        "#]],
    );
}
