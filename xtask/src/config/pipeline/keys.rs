//! Every table and key of `pipeline.toml`: the one place that says what a key may hold and what it means. Defaults come
//! from the types. The reader takes no key that is not here.

use std::sync::LazyLock;

use super::keys_policy::{allow, audit, budgets, bundle};
use super::{Deploy, Local, preview, project, rollback, watch};
use crate::config::keys::{Key, Kind, Shape, Table, in_words};

/// `pipeline.toml`.
pub static PIPELINE: LazyLock<Table> = LazyLock::new(file);

/// The path asked of a Worker whose table does not say.
pub(super) const HEALTH_PATH: &str = "/health";

const SHORT_NAME: &str = "^[A-Za-z0-9_.][A-Za-z0-9_.-]*$";
const VARIABLE: &str = "^[A-Za-z_][A-Za-z0-9_]*$";

/// A text with a name of its own in the reference.
pub(super) fn text(what: &'static str, pattern: &'static str) -> Kind {
    Kind::Text { what, pattern }
}

/// A list of such texts.
pub(super) fn list(what: &'static str, pattern: &'static str) -> Kind {
    Kind::List { what, pattern }
}

fn file() -> Table {
    Table::new(
        "",
        "Put these above the first table: in TOML a key belongs to the table before it.",
    )
    .keys([
        Key::new(
            "external_services",
            list("script names", "^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$"),
            "Scripts outside this repo that a Worker here may be bound to (service bindings, Durable Objects). A binding \
             to any other script the repo does not ship is a mistake",
        )
        .empty(),
        Key::new(
            "separate_bindings",
            list("binding names", ""),
            "The same KV or R2 binding name has to mean the same namespace or bucket in every Worker; names listed here \
             may differ. A D1 database is always told by its name",
        )
        .empty(),
        Key::new(
            "ignored_workers",
            list("folders or files", ""),
            "Folders, or single wrangler configs, that `cargo xtask init` takes no Worker from; relative to the repo's root. \
             `cargo xtask worker` keeps it: `remove` adds to it, `add` takes off it",
        )
        .empty(),
    ])
    .tables([
        project::keys(),
        cloudflare(),
        workers(),
        databases(),
        super::health::keys(),
        deploy(),
        preview::keys(),
        rollback::keys(),
        watch::keys(),
        local(),
        audit(),
        allow(),
        budgets(),
        bundle(),
    ])
}

fn cloudflare() -> Table {
    Table::new("cloudflare", "Where all Workers ship to.").keys([Key::new(
        "account_id",
        text("32 hex digits", "^[0-9a-fA-F]{32}$"),
        "The account",
    )
    .default_in_words(
        "the first `account_id` of a wrangler config, else `CLOUDFLARE_ACCOUNT_ID`, else the one account the token can see",
    )
    .example("\"0123456789abcdef0123456789abcdef\"")])
}

fn workers() -> Table {
    let what_ships = Table::new(
        "workers",
        "One table per Worker; at least one is required. NAME is the short name in commands (`--only main`) and reports: \
         letters, digits, `-`, `_` and `.`. The name on Cloudflare comes from the Worker's wrangler config.",
    );
    let shape = Shape::Named {
        required: true,
        pattern: SHORT_NAME,
    };
    what_ships.shape(shape).keys([
        Key::new("path", text("folder", ""), "The folder that holds the Worker's wrangler config")
            .required()
            .example("\"workers/main\""),
        Key::new("config", text("file name", ""), "The config file's name, when it is none of these")
            .default_in_words("`wrangler.toml`, `wrangler.json` or `wrangler.jsonc`")
            .example("\"wrangler.production.jsonc\""),
        Key::new("env", Kind::TEXT, "The named wrangler environment that ships")
            .default_in_words("the top level of the config")
            .example("\"production\""),
        Key::new(
            "secrets",
            list("variable names", VARIABLE),
            "Secrets the Worker needs. A value comes from the environment variable of the same name; one that neither the \
             environment nor the live Worker has stops a deploy",
        )
        .empty(),
        Key::new(
            "health",
            Kind::PathOrFalse,
            "The path asked before and after a promotion; `false` for a Worker that answers no requests",
        )
        .default(HEALTH_PATH),
        Key::new("url", text("address", "^https?://[^/]"), "Where the Worker is reached")
            .default_in_words("its first custom domain, else its first plain route, else workers.dev")
            .example("\"https://example.com\""),
        Key::new(
            "build",
            text("shell command", ""),
            "Run by `sh` in the Worker's folder before wrangler bundles it. wrangler's own `build.command` runs by itself \
             and needs no entry here. A wrangler config that a build generates is honoured; with `env` the build gets it \
             as `CLOUDFLARE_ENV`, by which the Vite plugin chooses",
        )
        .example("\"npm run build\""),
        Key::new(
            "smoke",
            list("paths", "^/"),
            "More paths that must answer 200, before the promotion and after it",
        )
        .empty(),
        Key::new(
            "inputs",
            list("files and folders", ""),
            "More files the Worker is built from: a change of them makes `ci` run its steps again",
        )
        .empty(),
        Key::new(
            "bundle_max_gzip",
            Kind::Size,
            "This Worker's own budget for the compressed bundle",
        )
        .default_in_words("`max_gzip` of `[bundle]`")
        .example("\"1 MB\""),
    ])
}

fn databases() -> Table {
    let shape = Shape::Named {
        required: false,
        pattern: "",
    };
    Table::new(
        "databases",
        "One table per D1 database whose schema is part of a release. NAME is the database's name on Cloudflare; its id \
         comes from the Workers that bind it. The first database also keeps the lease, the release records and the \
         migration ledger.",
    )
    .shape(shape)
    .keys([
        Key::new(
            "migrations",
            text("folder", ""),
            "The `NNNN_name.sql` files, applied in the order of their numbers. With `migrations_pattern` in the D1 binding, the files it matches",
        )
        .required()
        .example("\"migrations\""),
        Key::new(
            "schema",
            text("file", ""),
            "The baseline, applied to a database without tables before the first migration",
        )
        .example("\"schema.sql\""),
        Key::new(
            "seed",
            text("file", ""),
            "Applied again whenever its content changes, so it must be repeatable",
        )
        .example("\"seed.sql\""),
    ])
}

fn deploy() -> Table {
    let default = Deploy::default();
    Table::new("deploy", "How a release is carried out: see [deploy.md](deploy.md).").keys([
        Key::new(
            "canary",
            Kind::Integer(0..=99),
            "Promote in two steps: first this share of the traffic in percent, then the rest; 0 promotes all at once \
             (`--canary`)",
        )
        .default(default.canary),
        Key::new(
            "bake",
            Kind::Duration { positive: false },
            "How long the canary is watched (`--bake`)",
        )
        .default(in_words(default.bake)),
        Key::new("build_timeout", Kind::DURATION, "The time one build may take")
            .default(in_words(default.build_timeout)),
        Key::new("upload_timeout", Kind::DURATION, "The time one upload may take")
            .default(in_words(default.upload_timeout)),
        Key::new(
            "lease_expiry",
            Kind::DURATION,
            "How long the lease lasts without a heartbeat before another deploy may take it over",
        )
        .default(in_words(default.lease_expiry)),
        Key::new(
            "allow_missing",
            list("settings", ""),
            "Settings of wrangler configs that a release leaves out, such as `queues.consumers`. A deploy refuses those that are \
             not listed here",
        )
        .empty(),
    ])
}

fn local() -> Table {
    let default = Local::default();
    Table::new(
        "local",
        "The local cloud: see [local-cloud.md](local-cloud.md).",
    )
    .keys([
        Key::new(
            "port",
            Kind::Integer(0..=65535),
            "Its port; 0 picks a free one",
        )
        .default(default.port),
        Key::new(
            "subdomain",
            text("text", "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"),
            "The workers.dev subdomain it plays: `http://<worker>.<subdomain>.localhost:<port>`",
        )
        .default(default.subdomain),
    ])
}
