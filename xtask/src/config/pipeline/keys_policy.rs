//! The tables of `pipeline.toml` that are about checks: `[audit]`, `[[allow]]`, `[budgets]`, `[bundle]`.

use super::keys::text;
use super::{Audit, AuditLevel, Budgets, Bundle, Offline, WorkersPlan};
use crate::config::keys::{Key, Kind, Shape, Table, Word, in_words};

pub(super) fn audit() -> Table {
    let default = Audit::default();
    Table::new("audit", "What `ci` makes of known vulnerabilities in dependencies.")
        .keys([
            Key::new(
                "level",
                Kind::words::<AuditLevel>(),
                "Advisories of this severity and worse fail; milder ones are warnings",
            )
            .default(default.level.word()),
            Key::new(
                "offline",
                Kind::words::<Offline>(),
                "What it means when the advisory service does not answer",
            )
            .default(default.offline.word()),
        ])
        .tables([Table::new(
            "except",
            "One table per advisory that is known and tolerated for a time. After its last day it fails again and says so; \
             one that is about nothing that was found is a warning.",
        )
        .shape(Shape::Many)
        .keys([
            Key::new("id", Kind::TEXT, "The advisory: `GHSA-…`, `CVE-…`, `RUSTSEC-…` or npm's number")
                .required()
                .example("\"GHSA-xxxx-xxxx-xxxx\""),
            Key::new("reason", Kind::TEXT, "Why it is tolerated")
                .required()
                .example("\"only reachable in development\""),
            Key::new("until", Kind::Day, "The last day it is")
                .required()
                .example("2027-01-31"),
        ])])
}

pub(super) fn allow() -> Table {
    Table::new(
        "allow",
        "One table per step of `ci` whose failure is a visible warning for a time. After its last day the failure counts \
         again and says so; one that names no step is a warning.",
    )
    .shape(Shape::Many)
    .keys([
        Key::new(
            "step",
            text("text", "^[^*]*[^*\\s][^*]*\\*?$"),
            "The step's id, such as `test main`; a `*` may stand at its end",
        )
        .required()
        .example("\"test main\""),
        Key::new("reason", Kind::TEXT, "Why")
            .required()
            .example("\"waits for the fix upstream\""),
        Key::new("until", Kind::Day, "The last day it holds")
            .required()
            .example("2027-01-31"),
    ])
}

pub(super) fn budgets() -> Table {
    let default = Budgets::default();
    let budget =
        |name, doc, default| Key::new(name, Kind::DURATION, doc).default(in_words(default));
    Table::new("budgets", "A stage that takes longer says so in a warning.").keys([
        budget("ci", "The budget of `ci`", default.ci),
        budget("preview", "The budget of `preview`", default.preview),
        budget("migrate", "The budget of `migrate`", default.migrate),
        budget("deploy", "The budget of `deploy`", default.deploy),
    ])
}

pub(super) fn bundle() -> Table {
    let default = Bundle::default();
    Table::new("bundle", "How big a Worker may be.").keys([
        Key::new(
            "plan",
            Kind::words::<WorkersPlan>(),
            "The account's Workers plan: Cloudflare takes compressed bundles up to 3 MiB or 10 MiB",
        )
        .default(default.plan.word()),
        Key::new(
            "max_gzip",
            Kind::Size,
            "A smaller budget of the project's own",
        )
        .default_in_words("Cloudflare's limit")
        .example("\"3 MiB\""),
    ])
}
