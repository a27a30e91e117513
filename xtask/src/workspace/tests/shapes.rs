//! Shapes of configs that real repos hold: every syntax, named environments, generated files, odd but valid bindings.

use serde_json::json;

use super::*;
use crate::config::{DoMigration, Route};

/// Reads one config on its own; mistakes are returned as text.
fn read(file: &str, text: &str, env: Option<&str>) -> (Option<WranglerConfig>, String) {
    let dir = repo("", &[(file, text)]);
    let mut problems = Problems::new(dir.path());
    let config = WranglerConfig::load(&dir.path().join(file), env, &mut problems);
    (config, problems.to_string())
}

#[track_caller]
fn good(file: &str, text: &str, env: Option<&str>) -> WranglerConfig {
    let (config, problems) = read(file, text, env);
    assert_eq!(problems, "");
    config.expect("a config without problems")
}

#[test]
fn the_three_formats_mean_the_same() {
    let toml = "name = \"a\"\nroutes = [\"x.com/*\"]\nvars = { N = 1, DEEP = { LIST = [1.5, true] } }\n[triggers]\ncrons = [\"0 2 * * *\"]\n";
    let jsonc = "/* a block comment first */\n{ // and one here\n  \"name\": \"a\", \"routes\": [\"x.com/*\",],\n  \
        \"vars\": { \"N\": 1, \"DEEP\": { \"LIST\": [1.5, /* between */ true] } },\n  \"triggers\": { \"crons\": [\"0 2 * * *\"] },\n}\n";
    let json = "{\"name\":\"a\",\"routes\":[\"x.com/*\"],\"vars\":{\"N\":1,\"DEEP\":{\"LIST\":[1.5,true]}},\"triggers\":{\"crons\":[\"0 2 * * *\"]}}";
    let expected = good("wrangler.toml", toml, None).raw;
    for (file, text) in [
        ("wrangler.jsonc", jsonc),
        ("wrangler.json", jsonc),
        ("wrangler.json", json),
    ] {
        assert_eq!(good(file, text, None).raw, expected, "{file}");
        let windows = format!("\u{feff}{}", text.replace('\n', "\r\n"));
        assert_eq!(
            good(file, &windows, None).raw,
            expected,
            "{file} from Windows"
        );
    }
    let windows = format!("\u{feff}{}", toml.replace('\n', "\r\n"));
    assert_eq!(good("wrangler.toml", &windows, None).raw, expected);
}

#[test]
fn toml_in_all_its_spellings() {
    let config = good(
        "wrangler.toml",
        r#"
name = "a"
triggers = { crons = ["0 2 * * *"] }
durable_objects.bindings = [{ name = "ROOM", class_name = "Room" }]
vars.SITE = "x // not a comment"
assets = { directory = "./dist" }
[build]
command = "npm run build"
cwd = "../shared"
[[services]]
binding = "ONE"
service = "one"
  [observability]
  enabled = true
[[services]]
binding = "TWO"
service = "two"
entrypoint = "Api"
[[routes]]
pattern = "a.com"
custom_domain = true
[[routes]]
pattern = "b.com/*"
zone_name = "b.com"
[[migrations]]
tag = "v1"
[[migrations]]
tag = "v5"
deleted_classes = ["Old"]
"#,
        None,
    );
    let services: Vec<_> = config
        .bindings
        .services
        .iter()
        .map(|service| service.service.as_str())
        .collect();
    assert_eq!(services, ["one", "two"]);
    assert_eq!(
        config.bindings.services[1].entrypoint.as_deref(),
        Some("Api")
    );
    assert_eq!(config.crons, Some(vec!["0 2 * * *".to_owned()]));
    assert_eq!(
        config.bindings.vars,
        [("SITE".to_owned(), json!("x // not a comment"))]
    );
    assert_eq!(config.bindings.durable_objects[0].class_name, "Room");
    assert_eq!(config.build_command.as_deref(), Some("npm run build"));
    assert_eq!(config.build_cwd.as_deref(), Some("../shared"));
    assert_eq!(config.observability, Some(json!({ "enabled": true })));
    let routes: Vec<_> = config
        .routes
        .iter()
        .map(
            |Route {
                 pattern,
                 custom_domain,
                 ..
             }| (pattern.as_str(), *custom_domain),
        )
        .collect();
    assert_eq!(routes, [("a.com", true), ("b.com/*", false)]);
    assert_eq!(config.last_migration_tag(), Some("v5"));
    assert_eq!(
        config.migrations[0],
        DoMigration {
            tag: "v1".into(),
            ..DoMigration::default()
        }
    );
    assert_eq!(config.live_durable_classes(), []);
}

#[test]
fn environments_inherit_what_describes_a_worker_and_not_what_it_is_bound_to() {
    let text = r#"
name = "api"
main = "index.ts"
compatibility_date = "2025-01-01"
compatibility_flags = ["nodejs_compat"]
account_id = "3f1c9a7be2d84c05b6a1d7e94f20c8aa"
routes = ["x.com/*"]
workers_dev = false
migrations = [{ tag = "v1", new_sqlite_classes = ["Room"] }]
vars = { TOP = 1 }
kv_namespaces = [{ binding = "KV", id = "x" }]
tail_consumers = [{ service = "tail" }]
secrets = { required = ["TOP_SECRET"] }
[triggers]
crons = ["0 2 * * *"]
[observability]
enabled = true
[env.staging]
vars = { STAGING = 1 }
[env.production]
name = "api-live"
main = "live.ts"
routes = []
triggers = { crons = [] }
[[env.gpu.containers]]
image = "x"
"#;
    let staging = good("wrangler.toml", text, Some("staging"));
    assert_eq!(staging.name, "api-staging");
    assert_eq!(staging.main.as_deref(), Some("index.ts"));
    assert_eq!(
        (staging.routes.len(), staging.crons.as_ref().map(Vec::len)),
        (1, Some(1))
    );
    assert_eq!(staging.workers_dev, Some(false));
    assert_eq!(staging.compatibility_flags, ["nodejs_compat"]);
    assert_eq!(staging.live_durable_classes(), [("Room".to_owned(), true)]);
    assert_eq!(staging.bindings.vars, [("STAGING".to_owned(), json!(1))]);
    assert!(staging.bindings.kv.is_empty() && staging.tail_services().is_empty());
    assert!(staging.secrets_required.is_empty());
    assert_eq!(staging.raw["name"], "api-staging");
    assert!(staging.raw.get("env").is_none() && staging.raw.get("kv_namespaces").is_none());

    let production = good("wrangler.toml", text, Some("production"));
    assert_eq!(
        (production.name.as_str(), production.main.as_deref()),
        ("api-live", Some("live.ts"))
    );
    assert_eq!(
        (production.routes.len(), production.crons),
        (0, Some(vec![]))
    );
    assert!(production.bindings.vars.is_empty());

    let gpu = good("wrangler.toml", text, Some("gpu"));
    assert_eq!(gpu.raw["containers"], json!([{ "image": "x" }]));

    let top = good("wrangler.toml", text, None);
    assert_eq!(top.environments, ["staging", "production", "gpu"]);
    assert_eq!(top.secrets_required, ["TOP_SECRET"]);
    assert_eq!(top.tail_services(), ["tail"]);
    assert_eq!(top.name, "api");
}

#[test]
fn environments_that_are_not_there() {
    let with = "name = \"a\"\n[env.production]\n[env.preview]\n";
    for (text, env, expected) in [
        (
            with,
            "prodcution",
            "wrangler.toml:2:2: error: there is no environment `prodcution` in this file; did you mean `production`?\n",
        ),
        (
            with,
            "qa",
            "wrangler.toml:2:2: error: there is no environment `qa` in this file; it has: production, preview\n",
        ),
        (
            "name = \"a\"\n",
            "qa",
            "wrangler.toml:1:1: error: there is no environment `qa` in this file; it has no named environments; remove `env` from pipeline.toml\n",
        ),
        (
            "[env.qa]\n",
            "qa",
            "wrangler.toml:1:1: error: `name` is missing; name one of its environments in pipeline.toml (`env`), or add a `name`\n",
        ),
    ] {
        let (config, problems) = read("wrangler.toml", text, Some(env));
        assert_eq!((config, problems.as_str()), (None, expected));
    }
    let named = good(
        "wrangler.toml",
        "[env.qa]\nname = \"only-here\"\n",
        Some("qa"),
    );
    assert_eq!(named.name, "only-here");
}

#[test]
fn a_generated_config_is_a_config() {
    let config = good(
        "dist/x/wrangler.json",
        r#"{"configPath":"/abs/wrangler.jsonc","userConfigPath":"/abs/wrangler.jsonc","topLevelName":"x","definedEnvironments":["qa"],
        "name":"x","main":"index.js","no_bundle":true,"legacy_env":true,"rules":[{"type":"ESModule","globs":["**/*.js"]}],
        "compatibility_flags":[],"triggers":{},"migrations":[],"vars":{},"durable_objects":{"bindings":[]},"workflows":[],
        "queues":{"producers":[],"consumers":[]},"r2_buckets":[],"d1_databases":[],"kv_namespaces":[],"services":[],"hyperdrive":[],
        "logfwdr":{"bindings":[]},"unsafe":{"bindings":[]},"python_modules":{"exclude":["**/*.pyc"]},"assets":{"directory":"../client"},
        "dev":{"ip":"localhost"},"jsx_factory":"React.createElement"}"#,
        None,
    );
    assert_eq!(
        (config.main.as_deref(), config.crons),
        (Some("index.js"), None)
    );
    assert_eq!(
        config.assets.and_then(|assets| assets.directory).as_deref(),
        Some("../client")
    );
    assert_eq!(config.bindings.other, []);
}

#[test]
fn every_other_binding_is_listed() {
    let config = good(
        "wrangler.jsonc",
        r#"{ "name": "a",
  "assets": { "directory": "d", "binding": "ASSETS" }, "images": { "binding": "IMAGES" }, "browser": { "binding": "BROWSER" },
  "version_metadata": { "binding": "V" }, "send_email": [{ "name": "MAIL" }], "vectorize": [{ "binding": "VEC", "index_name": "i" }],
  "queues": { "producers": [{ "binding": "Q", "queue": "q" }], "consumers": [{ "queue": "q", "dead_letter_queue": "dead" }] },
  "unsafe": { "bindings": [{ "name": "LIMIT", "type": "ratelimit" }] }, "wasm_modules": { "WASM": "x.wasm" },
  "workflows": [{ "binding": "FLOW", "name": "flow", "class_name": "F" }] }"#,
        None,
    );
    let other: Vec<_> = config
        .bindings
        .other
        .iter()
        .map(|(kind, name)| format!("{kind}={name}"))
        .collect();
    assert_eq!(
        other.join(" "),
        "vectorize=VEC workflows=FLOW send_email=MAIL images=IMAGES unsafe=LIMIT assets=ASSETS wasm_modules=WASM"
    );
    assert_eq!(config.bindings.browser.as_deref(), Some("BROWSER"));
    assert_eq!(config.bindings.version_metadata.as_deref(), Some("V"));
    assert_eq!(config.bindings.queue_producers[0].queue, "q");
    assert_eq!(
        config.bindings.queue_consumers[0]
            .dead_letter_queue
            .as_deref(),
        Some("dead")
    );
}

#[test]
fn columns_count_characters_and_files_may_be_huge() {
    let (_, problems) = read(
        "wrangler.json",
        r#"{ "name": "a", "vars": { "ÄÖ→😀": 1 }, "main": 1 }"#,
        None,
    );
    assert_eq!(
        problems,
        "wrangler.json:1:47: error: `main` must be a string, found a number\n"
    );
    let vars: Vec<String> = (0..5_000)
        .map(|index| format!("\"V{index}\": {index}"))
        .collect();
    let text = format!("{{ \"name\": \"a\", \"vars\": {{ {} }} }}", vars.join(", "));
    assert_eq!(
        good("wrangler.json", &text, None).bindings.vars.len(),
        5_000
    );
}

#[test]
fn a_workers_defaults() {
    let pipeline = "[workers.a]\npath = \"a\"\nhealth = false\nurl = \"https://a.example/\"\ninputs = [\"shared/\"]\n[workers.b]\npath = \"b\"\n";
    let files = [
        ("a/wrangler.toml", toml("a", "")),
        ("b/wrangler.toml", toml("b", "")),
        ("shared/x", String::new()),
    ];
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(path, text)| (*path, text.as_str()))
        .collect();
    let workspace = load(pipeline, &files);
    let [a, b] = workspace.workers.as_slice() else {
        panic!("two workers")
    };
    assert_eq!(
        (a.health.as_deref(), a.url.as_deref()),
        (None, Some("https://a.example"))
    );
    assert_eq!(a.inputs, [workspace.root.join("shared")]);
    assert_eq!(
        (b.health.as_deref(), b.url.as_deref()),
        (Some("/health"), None)
    );
    assert_eq!(b.config_path, workspace.root.join("b/wrangler.toml"));
    let pipeline = &workspace.pipeline;
    assert_eq!(
        (
            pipeline.deploy.canary,
            pipeline.health.status,
            pipeline.local.port
        ),
        (0, 200, 8787)
    );
    assert_eq!(pipeline.project.main_branch, "main");
    assert_eq!(
        Some(pipeline.project.name.as_str()),
        workspace.root.file_name().and_then(|name| name.to_str())
    );
}

#[test]
fn nothing_a_file_holds_can_crash_the_reader() {
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(60_000), "]".repeat(60_000));
    let (config, problems) = read("wrangler.json", &deep, None);
    assert_eq!(config, None);
    assert_eq!(
        problems,
        "wrangler.json:1:133: error: invalid JSON: this is nested too deeply\n"
    );
    for (file, text) in [
        ("wrangler.toml", format!("a = {}", "[".repeat(60_000))),
        ("wrangler.toml", format!("a{} = 1", ".a".repeat(60_000))),
        ("wrangler.toml", format!("a = {}1", "{ a = ".repeat(60_000))),
        ("wrangler.json", "}{".to_owned()),
        ("wrangler.json", "{\"a\": \"\\ud800\"}".to_owned()),
        (
            "wrangler.json",
            "{\"a\": 1e999, \"b\": 99999999999999999999}".to_owned(),
        ),
        ("wrangler.json", "{} {}".to_owned()),
        ("wrangler.json", "{ \"a\": \"open".to_owned()),
        ("wrangler.toml", "\0".to_owned()),
    ] {
        let (config, problems) = read(file, &text, None);
        assert_eq!(config, None, "{file}");
        assert!(problems.contains(": error: "), "{file}: {problems}");
    }
}
