//! The JSON Schema of `pipeline.toml`, tried with taplo, which is what checks TOML in editors: it refuses what the reader
//! refuses, as far as a schema can tell, and nothing that the reader takes.

use std::collections::BTreeSet;
use std::process::Command;

use xtask::config::PIPELINE;
use xtask::config::keys::{Fallback, Key, Kind};

use super::configuration::{folder, read_in, spelled_out};
use super::*;
use crate::support::tools;

const TAPLO: &str = "@taplo/cli@0.7.0";

/// A `pipeline.toml`, and what is special about it.
struct Case {
    about: String,
    text: String,
    /// Only the reader can tell that it is wrong.
    beyond_schemas: bool,
}

fn case(about: impl Into<String>, text: String) -> Case {
    Case {
        about: about.into(),
        text,
        beyond_schemas: false,
    }
}

/// Every table and key with its example, and one key of them with another value, or without one.
fn with(heading: &str, name: &str, value: Option<&str>) -> String {
    let mut met = false;
    let text = spelled_out(|its_heading, key| {
        if (its_heading, key.name) == (heading, name) {
            met = true;
            return value.map(str::to_owned);
        }
        key.shown()
    });
    assert!(met, "there is no `{name}` in {heading}");
    text
}

/// Each key with a value of the wrong type, required ones left out, a stranger in each table.
fn mistakes_of_every_key() -> Vec<Case> {
    let mut cases = Vec::new();
    for (heading, table) in PIPELINE.all() {
        let here = |key: &Key| format!("{heading} {}", key.name);
        for key in &table.keys {
            cases.push(case(
                format!("{} = 1.5", here(key)),
                with(&heading, key.name, Some("1.5")),
            ));
            if key.fallback == Fallback::Required {
                let text = with(&heading, key.name, None);
                cases.push(case(format!("{} left out", here(key)), text));
            }
            for wrong in impossible(&key.kind) {
                let text = with(&heading, key.name, Some(wrong));
                cases.push(case(format!("{} = {wrong}", here(key)), text));
            }
        }
        let heading = heading.replace("NAME", "main");
        let text = spelled_out(|_, key| key.shown());
        let (first, stranger) = (format!("{heading}\n"), format!("{heading}\nzzqqxx = 1\n"));
        assert!(text.contains(&first));
        let text = match heading.is_empty() {
            true => format!("zzqqxx = 1\n{text}"),
            false => text.replacen(&first, &stranger, 1),
        };
        cases.push(case(format!("a stranger in {heading}"), text));
    }
    cases
}

/// Values of the right type that are possible for no key of a kind.
fn impossible(kind: &Kind) -> &'static [&'static str] {
    match kind {
        Kind::Text { .. } => &["\"\""],
        Kind::Flag => &["\"true\""],
        Kind::Integer(_) => &["-1", "70000"],
        Kind::Words(_) => &["\"sometimes\""],
        Kind::Duration { positive: true } => &["\"soon\"", "\"0s\"", "\"0m 0s\"", "\"10\""],
        Kind::Duration { positive: false } => &["\"soon\"", "\"10\""],
        Kind::Size => &["\"big\"", "\"3\"", "\"0 MB\"", "\"3 GB\""],
        Kind::Day => &["\"soon\"", "2027-01-31T10:00:00Z"],
        Kind::List { .. } => &["\"one\"", "[1]"],
        Kind::PathOrFalse => &["\"health\"", "true"],
        Kind::FieldOrFalse => &["\"\"", "true"],
        Kind::Variables => &["{ \"not a name\" = 1 }"],
    }
}

/// Values of particular keys: what the reader takes has to pass, too.
fn particular() -> Vec<Case> {
    let values = [
        ("[deploy]", "bake", "\"0s\""),
        ("[deploy]", "build_timeout", "\"1h 30m\""),
        ("[deploy]", "upload_timeout", "\"90 seconds\""),
        ("[deploy]", "lease_expiry", "\"0h 5m\""),
        ("[deploy]", "canary", "99"),
        ("[deploy]", "canary", "100"),
        ("[health]", "status", "599"),
        ("[workers.NAME]", "bundle_max_gzip", "\"2.5 mib\""),
        ("[workers.NAME]", "bundle_max_gzip", "\"0.5MB\""),
        ("[workers.NAME]", "health", "false"),
        ("[workers.NAME]", "url", "\"http://a.b/\""),
        ("[workers.NAME]", "url", "\"a.b\""),
        ("[workers.NAME]", "secrets", "[\"not a name\"]"),
        ("[workers.NAME]", "smoke", "[\"no/slash\"]"),
        ("[cloudflare]", "account_id", "\"REPLACE_ME\""),
        ("[local]", "subdomain", "\"a.b\""),
        ("[[allow]]", "step", "\"t*st\""),
        ("[[allow]]", "step", "\"test *\""),
        ("[[allow]]", "until", "\"2027-01-31\""),
        ("[[audit.except]]", "until", "\"2027-01-31\""),
        ("", "external_services", "[\"Bad Name\"]"),
        ("", "external_services", "[\"x\", \"a-b_c\"]"),
        (
            "[preview]",
            "vars",
            "{ A = 1, B = \"x\", C = [1], D = { e = true } }",
        ),
    ];
    let mut cases: Vec<Case> = values
        .iter()
        .map(|(heading, key, value)| {
            case(
                format!("{heading} {key} = {value}"),
                with(heading, key, Some(value)),
            )
        })
        .collect();
    cases.push(case("no worker", "[deploy]\n".to_owned()));
    cases.push(case("no worker in it", "[workers]\n".to_owned()));
    cases.push(case(
        "a short name with a space",
        "[workers.\"d e\"]\npath = \"workers/main\"\n".to_owned(),
    ));
    for (heading, key, value) in [
        ("[project]", "time_zone", "\"America/Chikago\""),
        ("[workers.NAME]", "path", "\"gone\""),
        ("[workers.NAME]", "inputs", "[\"../outside\"]"),
        ("[workers.NAME]", "bundle_max_gzip", "\"4 MB\""),
        ("[[preview.smoke]]", "worker", "\"stranger\""),
        ("[[allow]]", "until", "\"2027-02-30\""),
    ] {
        cases.push(Case {
            beyond_schemas: true,
            ..case(
                format!("{heading} {key} = {value}"),
                with(heading, key, Some(value)),
            )
        });
    }
    cases
}

#[test]
#[expect(clippy::disallowed_methods, reason = "taplo is the judge here")]
fn the_schema_and_the_reader_agree() {
    let mut cases = mistakes_of_every_key();
    cases.extend(particular());
    cases.push(case("all examples", spelled_out(|_, key| key.shown())));
    cases.push(case("this repo's own", read(&repo().join("pipeline.toml"))));

    let files = tempfile::tempdir().expect("a temporary folder");
    let schema = repo().join("docs/pipeline.schema.json");
    fs::create_dir(files.path().join("docs")).expect("a folder can be made");
    fs::copy(schema, files.path().join("docs/pipeline.schema.json")).expect("a file can be copied");
    for (number, case) in cases.iter().enumerate() {
        let own_hint = case.text.starts_with("#:schema");
        let hint = if own_hint {
            ""
        } else {
            "#:schema ./docs/pipeline.schema.json\n"
        };
        fs::write(
            files.path().join(format!("{number:03}.toml")),
            format!("{hint}{}", case.text),
        )
        .expect("a file can be written");
    }
    let output = Command::new(tools::npm(TAPLO).join("taplo"))
        .args(["lint", "--colors", "never", "*.toml"])
        .current_dir(files.path())
        .output()
        .expect("taplo runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let refused: BTreeSet<usize> = said
        .lines()
        .filter(|line| line.contains("schema validation failed"))
        .filter_map(|line| line.rsplit('/').next()?.get(..3)?.parse().ok())
        .collect();
    assert!(!said.contains("failed to load"), "{said}");

    let examples = folder();
    let mut differences = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        // What the repo's own file names is in the repo.
        let place = if case.about == "this repo's own" {
            None
        } else {
            Some(examples.path())
        };
        let problems = match place {
            Some(place) => read_in(place, &case.text).1,
            None => Vec::new(),
        };
        let wanted = !problems.is_empty() && !case.beyond_schemas;
        assert!(
            !case.beyond_schemas || !problems.is_empty(),
            "{}",
            case.about
        );
        if refused.contains(&number) != wanted {
            let verdict = if wanted { "takes" } else { "refuses" };
            differences.push(format!(
                "{}: the schema {verdict} it; the reader says {problems:?}",
                case.about
            ));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(refused.len() > 100, "only {} were refused", refused.len());
}
