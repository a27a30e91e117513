//! The repo doctor looks at, with everything in order, and how what it says is read, shown and pasted.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::support::{DATABASE, World, repo};

/// A token that may do everything.
pub const TOKEN: &str = "a-token-that-may-do-everything";
const PACKAGE: &str =
    r#"{"name":"small","private":true,"devDependencies":{"wrangler":"WRANGLER"}}"#;

/// The small set with everything in order, against a local cloud that plays production.
pub fn healthy() -> World {
    let installed =
        fs::read_to_string(crate::support::node_modules().join("wrangler/package.json"));
    let installed: Value = serde_json::from_str(&installed.expect("it is there")).expect("JSON");
    let package = PACKAGE.replace(
        "WRANGLER",
        installed["version"].as_str().expect("a version"),
    );
    let mut files = repo::small_set();
    files.push(("package.json", Box::leak(package.into_boxed_str())));
    files.push(("package-lock.json", "{}"));
    let mut world = World::of(&files).with_stand_in();
    // Installed long after it was locked.
    let lock = fs::File::options()
        .write(true)
        .open(world.root().join("package-lock.json"));
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
    lock.expect("it is there")
        .set_modified(long_ago)
        .expect("times can be set");
    introduce(&mut world);
    world.git(&[
        "remote",
        "add",
        "origin",
        "https://github.com/acme/site.git",
    ]);
    sign_in(&mut world);
    for name in ["RUSTUP_HOME", "CARGO_HOME"] {
        if let Some(folder) = toolchain(name) {
            world.set(name, &folder);
        }
    }
    world
}

/// Where rustup keeps its toolchains: the tests have another HOME.
pub fn toolchain(name: &str) -> Option<String> {
    if let Ok(folder) = std::env::var(name) {
        return Some(folder);
    }
    let home = std::env::var("HOME").ok()?;
    let folder = Path::new(&home).join(format!(
        ".{}",
        name.trim_end_matches("_HOME").to_lowercase()
    ));
    folder.is_dir().then(|| folder.display().to_string())
}

/// git knows who commits.
fn introduce(world: &mut World) {
    let config = world.root().with_file_name("home").join("gitconfig");
    fs::write(&config, "[user]\n\tname = Ana\n\temail = ana@example.com\n")
        .expect("a file can be written");
    world.set("GIT_CONFIG_GLOBAL", &config.display().to_string());
}

/// The local cloud plays production, with the resources of an account in use.
fn sign_in(world: &mut World) {
    let api = world.cloud().api();
    world.set("CLOUDFLARE_API_BASE_URL", &api);
    world.set("CLOUDFLARE_API_TOKEN", TOKEN);
    world.set("XTASK_CLOUD", "cloudflare");
    let resources = json!({
        "d1": [{"id": DATABASE, "name": "small-db"}],
        "kv": [{"id": "b6b44e270e4b4f6c8d19c7e2b0f35d62", "title": "CACHE"}],
    });
    world.cloud().local("POST", "/resources", Some(resources));
}

/// What stands first: sign, what was looked at, what is wrong.
pub fn first(said: &str) -> &str {
    said.trim_start().lines().next().unwrap_or_default()
}

/// The commands below the first problem.
pub fn fix_of(said: &str) -> String {
    let mut lines = said
        .trim_start()
        .lines()
        .skip(1)
        .skip_while(|line| !line.starts_with("  fix: "));
    let mut commands = Vec::new();
    if let Some(first) = lines.next() {
        commands.push(first.trim_start_matches("  fix: ").to_owned());
    }
    commands.extend(
        lines
            .take_while(|line| line.starts_with("       "))
            .map(|line| line.trim().to_owned()),
    );
    assert!(
        !commands.is_empty(),
        "nothing says how to put it right: {said}"
    );
    commands.join("\n")
}

/// Pastes commands into a shell of the world's own, gives it a line to read, and looks again in that same shell. Gives what
/// doctor says then.
pub fn paste(world: &World, commands: &str, typed: &str) -> String {
    let doctor = world.xtask(&["doctor"]);
    let program = doctor.get_program().to_owned();
    let mut shell = Command::new("bash");
    shell
        .arg("-c")
        .arg(format!(
            "{commands}\nexec \"$XTASK\" doctor --root \"$PWD\""
        ))
        .current_dir(world.root())
        .env_clear()
        .envs(
            doctor
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .env("XTASK", program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = shell.spawn().expect("bash is there");
    let mut stdin = child.stdin.take().expect("it is piped");
    writeln!(stdin, "{typed}").expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A doctor's screen without what differs from machine to machine.
pub fn shown(world: &World, said: &str) -> String {
    let lines = world.redact(said);
    let plain = lines.trim().lines().map(|line| {
        let programs = ["rust", "node", "git ", "curl", "wrangler "];
        let after_sign = line
            .get(10..)
            .unwrap_or_default()
            .trim_start_matches(['✓', ' ']);
        let is_version =
            programs.iter().any(|name| after_sign.starts_with(name)) && line.contains('✓');
        match (is_version, after_sign.split_whitespace().next()) {
            (true, Some(name)) if !line.contains("configs") => {
                format!(
                    "{} {name} …",
                    line.split(name).next().unwrap_or_default().trim_end()
                )
            }
            _ => line.to_owned(),
        }
    });
    plain.collect::<Vec<_>>().join("\n")
}
