//! A worker's own build and the environment it is for. What a build of wrangler's own tools generates holds one environment.

use std::path::Path;

use serde_json::Value;

use crate::error::Fail;
use crate::plan::Command;
use crate::workspace::Worker;

/// The variable that names an environment. wrangler's own tools build the environment it names: the Vite plugin's generated
/// config holds that one alone, and no `--env` changes it afterwards.
pub(super) const ENVIRONMENT_VARIABLE: &str = "CLOUDFLARE_ENV";

/// The worker's own build, when it has one, for the environment that ships. `set_by_file`: a `.env` file of the worker names
/// an environment, and tools read it where the variable is not set.
pub(super) fn own_build(worker: &Worker, set_by_file: bool) -> Option<Command> {
    let line = worker.build.as_ref()?;
    let mut command = Command::shell(line, &worker.dir);
    let name = ENVIRONMENT_VARIABLE.to_owned();
    match &worker.env_name {
        Some(env) => {
            command.display = format!("{name}={env} {line}");
            command.env.insert(name, env.clone());
        }
        None if set_by_file => {
            command.env.insert(name, String::new());
        }
        None => command.env_remove.push(name),
    }
    Some(command)
}

/// Refuses a config that a build generated for another environment than the one that ships: wrangler would upload that one.
pub fn check_environment(worker: &Worker, generated: &Value, path: &Path) -> Result<(), Fail> {
    // An empty name is the top level's.
    let built = generated["targetEnvironment"].as_str();
    let built = built.filter(|name| !name.is_empty());
    let ships = worker.env_name.as_deref();
    let defined = generated["definedEnvironments"].as_array();
    // A tool that knows of no environments has none to choose from.
    let knows = |name: &str| defined.is_some_and(|all| all.iter().any(|env| env == name));
    if built == ships || (built.is_none() && !ships.is_some_and(knows)) {
        return Ok(());
    }
    let shown = |env: Option<&str>| match env {
        Some(env) => format!("the environment `{env}`"),
        None => "the top level".to_owned(),
    };
    let name = &worker.name;
    let fail = Fail::check(format!("the build of {name} is of another environment")).why(format!(
        "{} is of {}, and {} ships",
        path.display(),
        shown(built),
        shown(ships)
    ));
    Err(match ships {
        Some(env) => fail.fix(format!("have the build heed {ENVIRONMENT_VARIABLE}: it is run with `{ENVIRONMENT_VARIABLE}={env}`, and the Vite plugin does")),
        None => fail.fix(format!("unset {ENVIRONMENT_VARIABLE}, also in `.env` files; or name the environment: `env` under [workers.{name}] in pipeline.toml")),
    })
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use serde_json::json;

    use super::*;
    use crate::workspace::Workspace;

    /// The worker `site`, whose environment `env` ships.
    fn worker(env: Option<&str>) -> Worker {
        let folder = tempfile::tempdir().unwrap();
        let entry = env.map(|env| format!("env = \"{env}\"\n"));
        let pipeline = format!(
            "[cloudflare]\naccount_id = \"0123456789abcdef0123456789abcdef\"\n[workers.site]\npath = \".\"\n\
             build = \"npm run build\"\n{}",
            entry.unwrap_or_default()
        );
        let config = "name = \"site\"\nmain = \"a.js\"\ncompatibility_date = \"2026-09-01\"\nworkers_dev = true\n\
                      [env.qa]\n[env.production]\n";
        std::fs::write(folder.path().join("pipeline.toml"), pipeline).unwrap();
        std::fs::write(folder.path().join("wrangler.toml"), config).unwrap();
        std::fs::write(folder.path().join("a.js"), "").unwrap();
        Workspace::load(folder.path()).unwrap().workers.remove(0)
    }

    #[test]
    fn a_build_is_told_the_environment_that_ships() {
        let build = own_build(&worker(Some("production")), true).unwrap();
        assert_eq!(build.display, "CLOUDFLARE_ENV=production npm run build");
        assert_eq!(build.env["CLOUDFLARE_ENV"], "production");
        let build = own_build(&worker(None), false).unwrap();
        assert_eq!(build.display, "npm run build");
        assert_eq!(build.env_remove, ["CLOUDFLARE_ENV"]);
        let build = own_build(&worker(None), true).unwrap();
        assert_eq!(build.env["CLOUDFLARE_ENV"], "");
    }

    #[track_caller]
    fn check(ships: Option<&str>, generated: &Value, expected: &Expect) {
        let path = Path::new("dist/site/wrangler.json");
        let said = match check_environment(&worker(ships), generated, path) {
            Ok(()) => "it ships".to_owned(),
            Err(fail) => fail.to_string(),
        };
        expected.assert_eq(&said);
    }

    #[test]
    fn what_was_built_for_another_environment_does_not_ship() {
        let defined = json!(["qa", "production"]);
        let top = json!({"definedEnvironments": defined});
        let qa = json!({"definedEnvironments": defined, "targetEnvironment": "qa"});
        check(None, &top, &expect![["it ships"]]);
        let empty = json!({"definedEnvironments": defined, "targetEnvironment": ""});
        check(None, &empty, &expect![["it ships"]]);
        check(Some("qa"), &qa, &expect![["it ships"]]);
        // A tool that has never heard of environments.
        check(Some("qa"), &json!({}), &expect![["it ships"]]);
        check(
            Some("production"),
            &top,
            &expect![[r#"
            the build of site is of another environment
              why: dist/site/wrangler.json is of the top level, and the environment `production` ships
              fix: have the build heed CLOUDFLARE_ENV: it is run with `CLOUDFLARE_ENV=production`, and the Vite plugin does"#]],
        );
        check(
            Some("production"),
            &qa,
            &expect![[r#"
            the build of site is of another environment
              why: dist/site/wrangler.json is of the environment `qa`, and the environment `production` ships
              fix: have the build heed CLOUDFLARE_ENV: it is run with `CLOUDFLARE_ENV=production`, and the Vite plugin does"#]],
        );
        check(
            None,
            &qa,
            &expect![[r#"
            the build of site is of another environment
              why: dist/site/wrangler.json is of the environment `qa`, and the top level ships
              fix: unset CLOUDFLARE_ENV, also in `.env` files; or name the environment: `env` under [workers.site] in pipeline.toml"#]],
        );
    }
}
