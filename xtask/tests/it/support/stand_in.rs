//! Which wrangler a world has. The stand-in sends what the real one sends, in a tenth of the time: see `tests/it/stand_in`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::{World, setup};

impl World {
    /// Puts the stand-in in wrangler's place, for a test whose subject is not wrangler. It refuses a config whose shape the
    /// contract test does not cover.
    pub fn with_stand_in(self) -> World {
        self.install(&modules("wrangler.cjs"));
        self
    }

    /// Puts a recorder in wrangler's place, which runs the real one or the stand-in and writes each call into `out`.
    pub fn with_recorder(mut self, is_real: bool, out: &Path) -> World {
        let target = match is_real {
            true => setup::node_modules().join("wrangler/wrangler-dist/cli.js"),
            false => folder().join("wrangler.cjs"),
        };
        let base = self.base().display().to_string();
        for (name, value) in [
            ("RECORDER_TARGET", target.display().to_string()),
            ("RECORDER_OUT", out.display().to_string()),
            ("RECORDER_BASE", base),
        ] {
            self.set(name, &value);
        }
        self.install(&modules("recorder.cjs"));
        self
    }

    fn install(&self, modules: &Path) {
        let link = self.root().join("node_modules");
        fs::remove_file(&link).expect("the packages are a link");
        symlink(modules, link).expect("a link can be made");
    }
}

/// Where its programs are.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/stand_in")
}

/// The text of all its programs: a world that was made with others is not the same.
pub(super) fn programs() -> Vec<PathBuf> {
    let entries = fs::read_dir(folder()).expect("the folder is there");
    let paths = entries.map(|entry| entry.expect("it can be read").path());
    let mut found: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_none_or(|extension| extension != "rs"))
        .collect();
    found.sort();
    found
}

/// The installed packages with `program` in the place of wrangler's.
fn modules(program: &str) -> PathBuf {
    let modules = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("modules-{program}"));
    setup::alone("stand-in", || {
        let real = setup::node_modules();
        for entry in fs::read_dir(real).expect("the packages are there") {
            let name = entry.expect("it can be read").file_name();
            if name != "wrangler" {
                link(&real.join(&name), &modules.join(&name));
            }
        }
        let wrangler = modules.join("wrangler");
        link(
            &real.join("wrangler/package.json"),
            &wrangler.join("package.json"),
        );
        link(
            &folder().join(program),
            &wrangler.join("wrangler-dist/cli.js"),
        );
    });
    modules
}

fn link(aim: &Path, path: &Path) {
    if fs::read_link(path).is_ok_and(|now| now == aim) {
        return;
    }
    let _ = fs::remove_file(path);
    fs::create_dir_all(path.parent().unwrap_or(path)).expect("a folder can be made");
    symlink(aim, path).expect("a link can be made");
}
