//! What the build resolved is what the upload resolves: every path of a config holds in the config that ships.

use crate::support::World;

const PIPELINE: &str = r#"
[cloudflare]
account_id = "0123456789abcdef0123456789abcdef"
[workers.app]
path = "app"
health = false
[local]
port = 0
subdomain = "test"
"#;

/// `main`, `tsconfig` and a data file lie beside the Worker's folder; the import is found by the `paths` of that tsconfig only.
#[test]
fn paths_beside_the_workers_folder_are_built_and_uploaded() {
    let world = World::of(&[
        (".gitignore", "/.xtask/\nnode_modules\n.wrangler/\n"),
        ("pipeline.toml", PIPELINE),
        (
            "app/wrangler.jsonc",
            r#"{ "name": "app", "main": "../analytics/src/index.ts", "compatibility_date": "2026-01-01",
               "workers_dev": true, "tsconfig": "../analytics/tsconfig.json" }"#,
        ),
        (
            "analytics/tsconfig.json",
            r#"{ "compilerOptions": { "baseUrl": ".", "paths": { "@lib/*": ["./lib/*"] } } }"#,
        ),
        (
            "analytics/lib/name.ts",
            "export const name: string = \"found\";\n",
        ),
        (
            "analytics/src/index.ts",
            "import { name } from \"@lib/name\";\nexport default { fetch: () => new Response(name) };\n",
        ),
    ]);
    world.run(["deploy"]).exits(0);
    let answer = world.edge_get("app.test.localhost", "/");
    assert_eq!(answer.body, "found");
    world.run(["preview", "--pr", "7"]).exits(0);
    let answer = world.edge_get("app-pr-7-preview.test.localhost", "/");
    assert_eq!(answer.body, "found");
}
