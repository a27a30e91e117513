//! Environment variables and `.env` files that would send a version elsewhere, at the wire of the local cloud.

use serde_json::Value;

use crate::support::{World, repo};

const OTHER: &str = "ffffffffffffffffffffffffffffffff";

/// Everything that decides where a version goes, each with a value that would be wrong.
fn hostile() -> Vec<(&'static str, &'static str)> {
    vec![
        ("CLOUDFLARE_ENV", "production"),
        ("WRANGLER_CI_OVERRIDE_NAME", "stranger"),
        ("WRANGLER_CI_MATCH_TAG", "another-tag"),
        ("WRANGLER_CI_GENERATE_PREVIEW_ALIAS", "true"),
        ("CF_ACCOUNT_ID", OTHER),
        ("CLOUDFLARE_BASE_URL", "http://127.0.0.1:9"),
        ("WRANGLER_API_ENVIRONMENT", "staging"),
        ("CLOUDFLARE_COMPLIANCE_REGION", "fedramp_high"),
        ("CLOUDFLARE_CONTAINER_REGISTRY", "127.0.0.1:9"),
        ("CLOUDFLARE_API_KEY", "a-global-key"),
        ("CLOUDFLARE_EMAIL", "stranger@example.com"),
        ("CF_API_KEY", "a-global-key"),
        ("CF_EMAIL", "stranger@example.com"),
        ("CF_API_TOKEN", "a-strange-token"),
        ("EXPERIMENTAL_MIDDLEWARE", "true"),
        ("WRANGLER_OUTPUT_FILE_DIRECTORY", "."),
        ("WRANGLER_LOG", "none"),
        ("OPEN_NEXT_DEPLOY", ""),
    ]
}

/// Variables that xtask itself reads and so must not be wrong in its own environment.
const OF_XTASK: [(&str, &str); 4] = [
    ("CLOUDFLARE_ACCOUNT_ID", OTHER),
    ("CLOUDFLARE_API_BASE_URL", "http://127.0.0.1:9"),
    ("CLOUDFLARE_API_TOKEN", "a-strange-token"),
    ("WRANGLER_OUTPUT_FILE_PATH", "stolen.ndjson"),
];

fn dot_env() -> String {
    let lines = hostile().into_iter().chain(OF_XTASK);
    let lines: Vec<String> = lines
        .map(|(name, value)| format!("{name}={value}\n"))
        .collect();
    lines.concat() + "MINE=seen\n"
}

fn scripts(world: &World) -> Vec<String> {
    let state = world.cloud_state();
    let scripts = state["scripts"].as_object().cloned();
    scripts
        .expect("there are scripts")
        .keys()
        .cloned()
        .collect()
}

#[test]
fn the_environment_does_not_decide_where_a_version_goes() {
    let mut world = World::of(&repo::one_worker(repo::API_CODE));
    for (name, value) in hostile() {
        world.set(name, value);
    }
    let run = world.deploy();
    assert_eq!(scripts(&world), ["one"], "{run}");
    assert_eq!(
        world.uploads(),
        ["POST /workers/scripts/one/versions"],
        "{run}"
    );
    let said = "`CLOUDFLARE_ENV=production` is ignored: `env` of a worker in pipeline.toml names the environment that ships";
    assert!(
        run.stdout.contains(said) || run.stderr.contains(said),
        "{run}"
    );
}

#[test]
fn a_file_of_the_worker_does_not_decide_where_a_version_goes() {
    let world = World::of(&repo::one_worker(repo::API_CODE));
    world.edit("worker/.env", &dot_env());
    // The build command sees what is its own.
    world.remove("worker/index.js");
    world.edit("worker/source.js", repo::API_CODE);
    let config = world
        .read("worker/wrangler.toml")
        .replace("\"index.js\"", "\"dist/out.js\"");
    let build = "\n[build]\ncommand = \"mkdir -p dist && sed \\\"s/api/$MINE:$CLOUDFLARE_ENV/\\\" source.js > dist/out.js\"\n";
    world.edit("worker/wrangler.toml", &(config + build));
    world.commit("a .env file");
    let run = world.deploy();
    assert_eq!(scripts(&world), ["one"], "{run}");
    assert_eq!(
        world.edge_get("one.test.localhost", "/").ok()["worker"],
        "seen:",
        "{run}"
    );
    assert!(!world.root().join("worker/stolen.ndjson").exists());
    let strange = |entry: &Value| entry.to_string().contains("strange");
    assert!(!world.journal().iter().any(strange), "{run}");
    let said = "`CLOUDFLARE_ENV` in worker/.env is ignored";
    assert!(
        run.stdout.contains(said) || run.stderr.contains(said),
        "{run}"
    );
}

#[test]
fn an_environment_that_ships_is_the_one_of_the_pipeline() {
    let mut world = World::of(&repo::one_worker(repo::API_CODE));
    world.replace(
        "pipeline.toml",
        "path = \"worker\"",
        "path = \"worker\"\nenv = \"qa\"",
    );
    let config = world.read("worker/wrangler.toml");
    world.edit(
        "worker/wrangler.toml",
        &(config + "\n[env.qa.version_metadata]\nbinding = \"VERSION\"\n[env.production]\n"),
    );
    world.edit("worker/.env", "CLOUDFLARE_ENV=production\n");
    world.edit(
        "worker/.env.qa",
        "CLOUDFLARE_ENV=production\nWRANGLER_CI_OVERRIDE_NAME=stranger\n",
    );
    world.commit("environments");
    world.set("CLOUDFLARE_ENV", "production");
    let run = world.deploy();
    assert_eq!(scripts(&world), ["one-qa"], "{run}");
}

#[test]
fn a_build_of_the_pipelines_is_for_the_environment_that_ships() {
    let mut world = World::of(&repo::one_worker(repo::API_CODE));
    world.remove("worker/index.js");
    world.edit("worker/source.js", repo::API_CODE);
    let build = "build = \"sed s/api/env-$CLOUDFLARE_ENV-env/ source.js > index.js\"";
    world.replace(
        "pipeline.toml",
        "path = \"worker\"",
        &format!("path = \"worker\"\n{build}"),
    );
    world.edit(".gitignore", "/.xtask/\nnode_modules\nworker/index.js\n");
    world.edit("worker/.env.local", "CLOUDFLARE_ENV=staging\n");
    world.commit("a build");
    world.set("CLOUDFLARE_ENV", "production");
    let run = world.deploy();
    assert_eq!(
        world.edge_get("one.test.localhost", "/").ok()["worker"],
        "env--env",
        "{run}"
    );
}
