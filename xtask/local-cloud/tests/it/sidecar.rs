//! Runs the sidecar's own tests (`runtime/test/*.test.mjs`) with the Node and Miniflare of `node_modules`.

use std::path::Path;
use std::process::Command;

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the test runner of Node is the program under test"
)]
fn the_sidecar_keeps_its_protocol() {
    let modules = crate::support::node_modules();
    let runtime = Path::new(env!("CARGO_MANIFEST_DIR")).join("runtime");
    let tests: Vec<_> = ["sql", "world", "sidecar"]
        .iter()
        .map(|name| runtime.join(format!("test/{name}.test.mjs")))
        .collect();
    let output = Command::new(crate::support::node())
        .args(["--disable-warning=ExperimentalWarning", "--test"])
        .args(tests)
        .env(
            "LOCAL_CLOUD_REPO_ROOT",
            modules.parent().unwrap_or(&modules),
        )
        .output()
        .expect("node starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("# fail 0"), "{said}");
    assert!(!said.contains("# pass 0"), "{said}");
}
