//! The repo these tests check, and runs of the real binary on it.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::ops::Deref;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::ci_kept::statuses;
use crate::support::{Run, World};

const PIPELINE: &str = r#"
[cloudflare]
account_id = "0123456789abcdef0123456789abcdef"

[workers.sound]
path = "workers/sound"

[workers.doubtful]
path = "workers/doubtful"
"#;

const SOUND: &str = r#"{ "scripts": {
  "check": "sh -c 'sleep 0.1'",
  "lint": "sh -c 'sleep 0.1'",
  "test": "sh -c 'sleep 0.2'"
} }
"#;

/// Its test reads what the file says; asked to, it waits for the file to be fine.
const DOUBTFUL: &str = r#"{ "scripts": {
  "check": "sh -c 'sleep 0.1'",
  "lint": "sh -c 'sleep 0.05'",
  "test": "sh test.sh"
} }
"#;

const TEST: &str = r#"
if [ -e .wrangler/wait ]; then
  echo > .wrangler/waiting
  until grep -q fine verdict; do sleep 0.02; done
fi
sleep 0.1
grep -q fine verdict
"#;

/// A repo with results of its own.
pub struct Repo(World);

/// The repo, with nothing wrong yet.
pub fn repo() -> Repo {
    let config = |name: &str| {
        format!("name = \"{name}\"\nmain = \"index.js\"\ncompatibility_date = \"2026-09-01\"\n")
    };
    let code = "export default { fetch() { return new Response(\"hello\"); } };\n";
    let (sound, doubtful) = (config("sound"), config("doubtful"));
    let world = World::without_cloud(&[
        (".gitignore", "/.xtask/\nnode_modules\n.wrangler/\n"),
        ("pipeline.toml", PIPELINE),
        ("workers/sound/wrangler.toml", &sound),
        ("workers/sound/index.js", code),
        ("workers/sound/package.json", SOUND),
        ("workers/doubtful/wrangler.toml", &doubtful),
        ("workers/doubtful/index.js", code),
        ("workers/doubtful/package.json", DOUBTFUL),
        ("workers/doubtful/test.sh", TEST),
        ("workers/doubtful/verdict", "fine\n"),
    ]);
    let repo = Repo(world);
    repo.settle();
    repo
}

/// Writes what the doubtful worker's test finds.
pub fn verdict(repo: &Repo, text: &str) {
    repo.edit("workers/doubtful/verdict", &format!("{text}\n"));
    repo.settle();
}

impl Deref for Repo {
    type Target = World;

    fn deref(&self) -> &World {
        &self.0
    }
}

impl Repo {
    /// A file that was written in the same moment as a run begins counts as written during the run.
    fn settle(&self) {
        std::thread::sleep(Duration::from_millis(40));
    }

    /// Runs to the end.
    #[track_caller]
    pub fn check(&self, arguments: &[&str]) -> Checked {
        let arguments: Vec<&str> = arguments
            .iter()
            .copied()
            .chain(["--format", "json"])
            .collect();
        Checked::of(self.start(&arguments).end())
    }

    /// Runs to the end where no file can be given any content: what a full disk is to a program.
    #[track_caller]
    pub fn check_without_files(&self) -> Checked {
        let xtask = self.xtask(&["ci", "--keep-going", "--format", "json"]);
        let mut command = Command::new("sh");
        // Ignored, the signal becomes an error of the write.
        command
            .args(["-c", "trap '' XFSZ; ulimit -f 0; exec \"$0\" \"$@\""])
            .arg(xtask.get_program())
            .args(xtask.get_args())
            .current_dir(self.root())
            .env_clear()
            .envs(
                xtask
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            );
        let output = command.output().expect("sh is there");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Checked {
            code: output.status.code(),
            report: serde_json::from_slice(&output.stdout).unwrap_or_default(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }

    /// Starts a run and kills it, with all its process group, after a while. True when it was still at work.
    pub fn kill_after(&self, arguments: &[&str], wait: Duration) -> bool {
        let mut command = self.xtask(arguments);
        command
            .process_group(0)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null());
        let begun = Instant::now();
        let mut child = command.spawn().expect("the binary starts");
        std::thread::sleep(wait.saturating_sub(begun.elapsed()));
        let at_work = child.try_wait().expect("it is our child").is_none();
        let group = format!("-{}", child.id());
        let killed = Command::new("kill").args(["-KILL", "--", &group]).output();
        assert!(killed.expect("kill is there").status.success() || !at_work);
        child.wait().expect("it is our child");
        at_work
    }

    /// The report on disk, which must be whole if there is one.
    #[track_caller]
    pub fn last_report(&self) -> Option<Value> {
        let text = fs::read_to_string(self.root().join(".xtask/reports/ci.json")).ok()?;
        Some(serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")))
    }

    /// The files of the kept results.
    pub fn results(&self) -> Vec<PathBuf> {
        let folder = self.root().join(".xtask/cache/steps");
        let files = fs::read_dir(folder).into_iter().flatten().flatten();
        let mut files: Vec<PathBuf> = files.map(|file| file.path()).collect();
        files.sort();
        files
    }

    /// The ids of the steps with kept results.
    pub fn results_by_step(&self) -> BTreeSet<String> {
        let files = self.results();
        let texts = files
            .iter()
            .filter_map(|file| fs::read_to_string(file).ok());
        let bodies = texts.filter_map(|text| {
            let body: Value = serde_json::from_str(text.split_once('\n')?.1).ok()?;
            Some(body["entry"]["step"].as_str()?.to_owned())
        });
        bodies.collect()
    }
}

/// A run that came to its end, with its report.
pub struct Checked {
    code: Option<i32>,
    report: Value,
    stdout: String,
    stderr: String,
}

impl Checked {
    #[track_caller]
    pub fn of(run: Run) -> Checked {
        Checked {
            code: run.status,
            report: serde_json::from_str(&run.stdout).unwrap_or_default(),
            stdout: run.stdout,
            stderr: run.stderr,
        }
    }

    pub fn code(&self) -> Option<i32> {
        self.code
    }

    pub fn stderr(&self) -> &str {
        &self.stderr
    }

    #[track_caller]
    pub fn status(&self, id: &str) -> String {
        let all = self.statuses().into_iter();
        let found = all
            .filter(|(step, _)| step == id)
            .map(|(_, status)| status)
            .next();
        found.unwrap_or_else(|| panic!("there is no `{id}`: {self}"))
    }

    #[track_caller]
    fn statuses(&self) -> Vec<(String, String)> {
        assert!(self.report.is_object(), "no report: {self}");
        statuses(&self.report)
    }

    #[track_caller]
    pub fn with_status(&self, status: &str) -> Vec<String> {
        let all = self.statuses().into_iter();
        let mut ids: Vec<String> = all
            .filter(|(_, each)| each == status)
            .map(|(id, _)| id)
            .collect();
        ids.sort();
        ids
    }

    /// The steps whose work was done in this run.
    #[track_caller]
    pub fn ran(&self) -> Vec<String> {
        let mut ids = self.with_status("passed");
        ids.extend(self.with_status("failed"));
        ids.sort();
        ids
    }

    /// Everything passed, now or before.
    #[track_caller]
    pub fn all_well(&self) {
        assert_eq!(self.code, Some(0), "{self}");
        assert_eq!(self.report["outcome"], "success", "{self}");
        let well = self.with_status("passed").len() + self.with_status("cached").len();
        assert_eq!(well, self.statuses().len(), "{self}");
    }

    /// The doubtful worker's test failed, for a reason of its own, and nothing else did.
    #[track_caller]
    pub fn tells_the_truth(&self) {
        assert_eq!(self.code, Some(1), "{self}");
        assert_eq!(self.report["outcome"], "failure", "{self}");
        assert_eq!(self.with_status("failed"), ["test doubtful"], "{self}");
        let well = self.with_status("passed").len() + self.with_status("cached").len();
        assert_eq!(well + 1, self.statuses().len(), "{self}");
    }
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "\nended with {:?}\n--- stdout\n{}\n--- stderr\n{}\n---",
            self.code, self.stdout, self.stderr
        )
    }
}
