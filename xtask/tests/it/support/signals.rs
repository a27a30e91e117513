//! Signals to the programs under test. A terminal sends them to every process of its foreground group, so these do, too;
//! only a kill from elsewhere (the system, a CI runner) hits one process.

#![expect(
    clippy::disallowed_methods,
    reason = "this is the boundary to the programs that are signalled"
)]

use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command};

use super::Running;

/// Makes the program the first of a process group of its own, as a shell does for each of its jobs.
pub fn own_group(command: &mut Command) -> &mut Command {
    command.process_group(0)
}

/// Sends a signal (`INT`, `TERM`, `HUP`, `KILL`) to the group that the child is the first of.
#[track_caller]
pub fn to_group(child: &Child, name: &str) {
    kill(name, &format!("-{}", child.id()));
}

/// Sends a signal to the child alone.
#[track_caller]
pub fn to_process(child: &Child, name: &str) {
    kill(name, &child.id().to_string());
}

#[track_caller]
fn kill(name: &str, target: &str) {
    let status = Command::new("kill")
        .args([&format!("-{name}"), "--", target])
        .status()
        .expect("kill is there");
    assert!(status.success(), "kill -{name} -- {target}");
}

impl Running {
    /// Sends a signal to the binary and to everything it runs in its own group: Ctrl-C is `INT`, a closed window is `HUP`.
    #[track_caller]
    pub fn signal_group(&self, name: &str) {
        to_group(self.child(), name);
    }

    /// Sends a signal to the binary alone, as a kill from elsewhere does.
    #[track_caller]
    pub fn signal(&self, name: &str) {
        to_process(self.child(), name);
    }
}
