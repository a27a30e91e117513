//! The measuring half of `scripts/bench/plan.sh`: generates a repo, plans its release, or runs a plan of no-op steps.
//! Prints bare numbers for the script; knows nothing of rounds, medians and bounds.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, bail};
use serde_json::Value;
use xtask::context::{CloudKind, Ctx};
use xtask::env::Env;
use xtask::interrupt::Interrupt;
use xtask::plan::{Action, Plan, Step};
use xtask::run::{self, Io, Options, Runner, Status};
use xtask::stages::deploy;
use xtask::ui::Ui;
use xtask::workspace::Workspace;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let line = match arguments.as_slice() {
        ["generate", folder, count] => {
            return generate(
                Path::new(folder),
                count.parse().context("a number of workers")?,
            );
        }
        ["plan", folder] => plan(Path::new(folder))?,
        ["run", count, "free"] => run_steps(count.parse().context("a number of steps")?, false)?,
        ["run", count, "chain"] => run_steps(count.parse().context("a number of steps")?, true)?,
        _ => bail!("usage: plan_bench generate DIR WORKERS | plan DIR | run STEPS free|chain"),
    };
    println(&line);
    Ok(())
}

#[expect(
    clippy::print_stdout,
    reason = "the script reads these numbers from stdout"
)]
fn println(line: &str) {
    println!("{line}");
}

/// A repo whose workers look like this one's: routes, crons, storage, a Durable Object, and a call to the worker before.
fn generate(folder: &Path, count: usize) -> anyhow::Result<()> {
    let mut pipeline =
        String::from("[cloudflare]\naccount_id = \"3f1c9a7be2d84c05b6a1d7e94f20c8aa\"\n");
    for number in 0..count {
        write!(
            pipeline,
            "\n[workers.w{number}]\npath = \"workers/w{number}\"\nsecrets = [\"ADMIN_KEY\"]\n"
        )?;
        let worker = folder.join(format!("workers/w{number}"));
        write_file(&worker.join("wrangler.toml"), &worker_config(number))?;
        write_file(
            &worker.join("src/index.ts"),
            "export class State {}\nexport default { fetch: () => new Response(\"ok\") };\n",
        )?;
    }
    pipeline.push_str("\n[databases.shared-db]\nmigrations = \"migrations\"\n");
    write_file(&folder.join("pipeline.toml"), &pipeline)?;
    for number in 1..=3 {
        write_file(
            &folder.join(format!("migrations/{number:04}_step.sql")),
            &format!("CREATE TABLE t{number} (id INTEGER PRIMARY KEY);\n"),
        )?;
    }
    write_file(&folder.join(".gitignore"), "node_modules/\n.xtask/\n")?;
    // A plan names the programs it would run; these are never started.
    let wrangler = folder.join("node_modules/wrangler");
    write_file(&wrangler.join("wrangler-dist/cli.js"), "")?;
    write_file(
        &wrangler.join("package.json"),
        "{\"name\": \"wrangler\", \"version\": \"4.155.0\"}",
    )?;
    for platform in ["linux-x64", "linux-arm64", "darwin-x64"] {
        write_file(
            &folder.join(format!("node_modules/node-{platform}/bin/node")),
            "",
        )?;
    }
    Ok(())
}

fn worker_config(number: usize) -> String {
    let mut config = format!(
        r#"name = "generated-w{number}"
main = "src/index.ts"
compatibility_date = "2026-09-01"
routes = [{{ pattern = "w{number}.example.com", custom_domain = true }}]
[triggers]
crons = ["0 {hour} * * *"]
[vars]
NUMBER = {number}
[[d1_databases]]
binding = "DB"
database_name = "shared-db"
database_id = "6f3c1d84-2b57-4e0a-9c41-7d8e5a90b3f2"
[[kv_namespaces]]
binding = "CACHE"
id = "a5a33e270e4b4f6c8d19c7e2b0f35d61"
[[r2_buckets]]
binding = "IMAGES"
bucket_name = "images"
[durable_objects]
bindings = [{{ name = "STATE", class_name = "State" }}]
[[migrations]]
tag = "v1"
new_sqlite_classes = ["State"]
[observability]
enabled = true
"#,
        hour = number % 24
    );
    if !number.is_multiple_of(4) {
        // Chains of four: the graph has levels, as in a real repo, but no chain as long as the repo.
        config.push_str(&format!(
            "[[services]]\nbinding = \"BEFORE\"\nservice = \"generated-w{}\"\n",
            number - 1
        ));
    }
    config
}

fn write_file(path: &Path, text: &str) -> anyhow::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).with_context(|| format!("failed to make {}", folder.display()))?;
    fs::write(path, text).with_context(|| format!("failed to write {}", path.display()))
}

/// Prints: load ms, whole plan ms, CPU ms of this process for the plan (git's apart), peak memory in kB, steps. What the
/// system does not tell is 0.
fn plan(folder: &Path) -> anyhow::Result<String> {
    let folder = fs::canonicalize(folder)?;
    let clock = Instant::now();
    let ctx = context(folder.clone());
    deploy::deploy(&ctx, &deploy::Options::default())?;
    let whole = clock.elapsed();
    let cpu = cpu_ms();
    let memory = peak_memory_kb();

    let clock = Instant::now();
    let workspace = Workspace::load(&folder)?;
    let load = clock.elapsed();
    let plan = ctx.ui.data_said();
    let steps = steps_planned(&plan);
    assert!(
        steps >= workspace.workers.len(),
        "every worker has a step in the plan:\n{plan}"
    );
    Ok(format!(
        "{:.3} {:.3} {cpu:.3} {memory} {steps}",
        load.as_secs_f64() * 1000.0,
        whole.as_secs_f64() * 1000.0
    ))
}

/// The plan's text begins `deploy: 12 steps`.
fn steps_planned(plan: &str) -> usize {
    let count = plan.strip_prefix("deploy: ").unwrap_or_default();
    count
        .split(' ')
        .next()
        .unwrap_or_default()
        .parse()
        .unwrap_or(0)
}

fn context(root: PathBuf) -> Ctx {
    Ctx {
        env: Env::read().with("ADMIN_KEY", "not-a-secret"),
        ui: Ui::in_memory(false),
        root,
        cloud: CloudKind::Local,
        only: Vec::new(),
        jobs: 2,
        diagram: false,
        dry_run: true,
        interrupt: Interrupt::install(),
    }
}

/// The most memory this process ever had, where the system tells (Linux).
fn peak_memory_kb() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

/// CPU time of this thread so far, where the system tells (Linux): a busy machine disturbs it least.
fn cpu_ms() -> f64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = text
        .split(' ')
        .next()
        .and_then(|number| number.parse().ok());
    nanoseconds.unwrap_or(0.0) / 1e6
}

struct Idle;

impl Runner for Idle {
    fn exec(&self, _step: &Step, _io: &Io) -> anyhow::Result<Value> {
        Ok(Value::Null)
    }
}

/// Prints: microseconds per step.
fn run_steps(count: usize, chained: bool) -> anyhow::Result<String> {
    let mut plan = Plan::new("bench");
    for number in 0..count {
        let needs = (chained && number > 0).then(|| format!("step {}", number - 1));
        let goal = format!("do nothing, time {number}");
        plan.push(Step::new("bench", format!("step {number}"), goal, Action::Nothing).needs(needs));
    }
    let options = Options::new(2);
    let ui = Ui::in_memory(false);
    let clock = Instant::now();
    let outcome = run::run(&plan, &Idle, &ui, &options);
    let took = clock.elapsed();
    let passed = outcome
        .steps
        .iter()
        .filter(|step| step.status == Status::Passed);
    assert_eq!(passed.count(), count, "every step ran");
    Ok(format!("{:.3}", took.as_secs_f64() * 1e6 / count as f64))
}
