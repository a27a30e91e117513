//! How programs are installed on this machine: the command of the package manager that is there. Pure but for `of`.

use super::check::Check;
use crate::env::Env;
use crate::tools::process::find_program as find;

/// A package manager of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Installer {
    /// Debian, Ubuntu.
    Apt {
        /// Whether it has to be asked for with `sudo`.
        sudo: bool,
    },
    /// Fedora, RHEL.
    Dnf {
        /// Whether it has to be asked for with `sudo`.
        sudo: bool,
    },
    /// Alpine.
    Apk {
        /// Whether it has to be asked for with `sudo`.
        sudo: bool,
    },
    /// Arch.
    Pacman {
        /// Whether it has to be asked for with `sudo`.
        sudo: bool,
    },
    /// openSUSE.
    Zypper {
        /// Whether it has to be asked for with `sudo`.
        sudo: bool,
    },
    /// macOS.
    Brew,
    /// None of these.
    Unknown,
}

/// A program that may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// Node with npm.
    Node,
    /// git.
    Git,
    /// curl.
    Curl,
}

impl Installer {
    /// The one on PATH; `sudo` is put before it when there is one and we are not root.
    pub fn of(env: &Env) -> Installer {
        let has = |program: &str| find(env, program).is_some();
        let sudo = has("sudo") && env.var("USER") != Some("root");
        if has("apt-get") {
            Installer::Apt { sudo }
        } else if has("dnf") {
            Installer::Dnf { sudo }
        } else if has("apk") {
            Installer::Apk { sudo }
        } else if has("pacman") {
            Installer::Pacman { sudo }
        } else if has("zypper") {
            Installer::Zypper { sudo }
        } else if has("brew") {
            Installer::Brew
        } else {
            Installer::Unknown
        }
    }

    /// The command that installs a program; none where no package manager is known.
    pub fn command(self, tool: Tool) -> Option<String> {
        let packages = match (tool, self) {
            (Tool::Node, Installer::Brew) => "node",
            (Tool::Node, _) => "nodejs npm",
            (Tool::Git, _) => "git",
            (Tool::Curl, _) => "curl",
        };
        let (sudo, command) = match self {
            Installer::Apt { sudo } => (sudo, "apt-get install --yes"),
            Installer::Dnf { sudo } => (sudo, "dnf install --assumeyes"),
            Installer::Apk { sudo } => (sudo, "apk add"),
            Installer::Pacman { sudo } => (sudo, "pacman --sync --noconfirm"),
            Installer::Zypper { sudo } => (sudo, "zypper --non-interactive install"),
            Installer::Brew => (false, "brew install"),
            Installer::Unknown => return None,
        };
        let sudo = if sudo { "sudo " } else { "" };
        // A fresh Debian knows no package until it was told of them.
        let update = match self {
            Installer::Apt { .. } => format!("{sudo}apt-get update && "),
            _ => String::new(),
        };
        Some(format!("{update}{sudo}{command} {packages}"))
    }

    /// Adds that command, or where the program comes from.
    pub fn advise(self, check: Check, tool: Tool) -> Check {
        match self.command(tool) {
            Some(command) => check.fix(command),
            None => check.why(match tool {
                Tool::Node => "get it from https://nodejs.org/en/download",
                Tool::Git => "get it from https://git-scm.com/downloads",
                Tool::Curl => "get it from https://curl.se/download.html",
            }),
        }
    }

    /// What helps against a Node that is too old, where systems often have no newer one: the repo can carry its own, when
    /// there is an npm `package` of it for this platform.
    pub fn newer_node(self, check: Check, package: Option<&str>, range: &str) -> Check {
        let digits = |c: char| !c.is_ascii_digit();
        let major = range.split(digits).find(|part| !part.is_empty());
        let major = major.unwrap_or("22");
        match package {
            Some(package) => check
                .why("this makes the repo bring a Node of its own, for everyone")
                .fix(format!(
                    "npm install --save-optional --ignore-scripts {package}@{major}"
                )),
            None if self == Installer::Brew => check.fix("brew upgrade node || brew install node"),
            None => check.why("get a newer one from https://nodejs.org/en/download"),
        }
    }
}
