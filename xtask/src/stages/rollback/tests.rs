//! Which release a rollback goes to, and what it refuses, from records alone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use expect_test::{Expect, expect};

use crate::ledger::releases::{self, Record, Status};
use crate::stages::rollback::check::{self, Gap};
use crate::stages::rollback::history::{History, Wish};
use crate::stages::rollback::postmortem;

fn record(number: u64, status: Status, versions: &[(&str, &str)]) -> Record {
    let empty = BTreeMap::new;
    Record {
        id: format!("r{number}"),
        number,
        created_at: "2026-11-24T00:00:00Z".to_owned(),
        sha: format!("{number:0>7}abcdef"),
        author: "Ann <ann@example.com>".to_owned(),
        status,
        versions: versions
            .iter()
            .map(|(script, id)| ((*script).to_owned(), (*id).to_owned()))
            .collect(),
        previous: empty(),
        bookmark: None,
        migrations: empty(),
        losses: BTreeMap::new(),
        secrets: BTreeMap::new(),
        digests: empty(),
        subject: String::new(),
        by: String::new(),
        run_url: None,
        triggers: BTreeMap::new(),
        schema: BTreeMap::new(),
        restore_points: empty(),
        failed: Vec::new(),
        rollback: None,
    }
}

/// A release of two workers, both in the version of its number.
fn deploy(number: u64) -> Record {
    let id = format!("v{number}");
    record(number, Status::Live, &[("site", &id), ("api", &id)])
}

fn back(number: u64, to: u64, from: u64, status: Status) -> Record {
    Record {
        status,
        rollback: Some(releases::Rollback {
            to: format!("r{to}"),
            from: format!("r{from}"),
            ..releases::Rollback::default()
        }),
        ..Record {
            versions: deploy(to).versions,
            ..deploy(number)
        }
    }
}

fn wish<'w>(serving: &str) -> Wish<'w> {
    let scripts = ["site", "api"].map(str::to_owned);
    Wish {
        serving: scripts
            .iter()
            .map(|script| (script.clone(), serving.to_owned()))
            .collect(),
        scripts: BTreeSet::from(scripts),
        ..Wish::default()
    }
}

/// Where a wish leads: `from → target`, with the rollback that is carried on.
#[track_caller]
fn check(records: &[Record], wish: &Wish<'_>, expected: Expect) {
    let text = match History::new(records).choose(wish) {
        Ok(goal) => {
            let id = |record: &Option<Record>| {
                record
                    .as_ref()
                    .map_or("-".to_owned(), |record| record.id.clone())
            };
            format!(
                "{} → {}, carries on {}",
                id(&goal.from),
                goal.target.id,
                id(&goal.resumed)
            )
        }
        Err(fail) => fail.to_string(),
    };
    expected.assert_eq(&text);
}

#[test]
fn the_previous_release_is_the_one_below_what_serves() {
    let three = [deploy(1), deploy(2), deploy(3)];
    check(&three, &wish("v3"), expect!["r3 → r2, carries on -"]);
    check(
        &three[..1],
        &wish("v1"),
        expect![[r#"
            there is no earlier release to go back to
              why: 1 release on record, and no other versions than those that serve
              fix: cargo xtask rollback --list
                   or take a commit back: cargo xtask rollback --revert <commit>"#]],
    );
}

#[test]
fn a_rollback_after_a_rollback_goes_further_back() {
    let mut records = vec![deploy(1), deploy(2), deploy(3), back(4, 2, 3, Status::Live)];
    check(&records, &wish("v2"), expect!["r2 → r1, carries on -"]);
    records.push(back(5, 1, 2, Status::Live));
    check(
        &records,
        &wish("v1"),
        expect![[r#"
            there is no earlier release to go back to
              why: 1 release on record, and no other versions than those that serve
              fix: cargo xtask rollback --list
                   or take a commit back: cargo xtask rollback --revert <commit>"#]],
    );
    // What is deployed then stands on what served, not on what was left.
    records.push(deploy(6));
    check(&records, &wish("v6"), expect!["r6 → r1, carries on -"]);
    let standings = History::new(&records).standings().join(", ");
    expect!["earlier, rolled back, rolled back, rollback to #2, rollback to #1, live"]
        .assert_eq(&standings);
}

#[test]
fn a_release_that_failed_is_no_target() {
    let failed = Record {
        status: Status::RolledBack,
        ..deploy(3)
    };
    let records = [deploy(1), deploy(2), failed];
    // It was put back at once: 2 serves, so the previous release is 1.
    check(&records, &wish("v2"), expect!["r2 → r1, carries on -"]);
    check(
        &records,
        &Wish {
            to: Some("3"),
            ..wish("v2")
        },
        expect![[r#"
            the release #3 (r3) never went live
              why: it failed, and what served before was put back
              fix: cargo xtask rollback --list"#]],
    );
}

#[test]
fn what_was_left_part_way_goes_back_to_the_last_whole_release() {
    let partial = Record {
        status: Status::Partial,
        ..deploy(3)
    };
    let mut mixed = wish("v2");
    mixed.serving.insert("api".to_owned(), "v3".to_owned());
    check(
        &[deploy(1), deploy(2), partial],
        &mixed,
        expect!["r2 → r2, carries on -"],
    );
    // The same when something serves that no record knows: a deploy that was killed, or wrangler by hand.
    check(
        &[deploy(1), deploy(2)],
        &wish("v9"),
        expect!["r2 → r2, carries on -"],
    );
}

#[test]
fn an_unfinished_rollback_is_carried_on() {
    let begun = back(4, 2, 3, Status::Partial);
    let records = [deploy(1), deploy(2), deploy(3), begun];
    let mut mixed = wish("v3");
    mixed.serving.insert("site".to_owned(), "v2".to_owned());
    check(&records, &mixed, expect!["r3 → r2, carries on r4"]);
    // Even when all of it serves already, and only the record is missing.
    check(&records, &wish("v2"), expect!["r3 → r2, carries on r4"]);
    // Another target is another rollback.
    let to = Wish {
        to: Some("r1"),
        ..mixed
    };
    check(&records, &to, expect!["r3 → r1, carries on -"]);
}

#[test]
fn a_run_that_was_killed_after_all_was_done_is_not_repeated() {
    let mut ended = back(4, 2, 3, Status::Live);
    ended.run_url = Some("https://github.com/o/r/actions/runs/7".to_owned());
    let records = [deploy(1), deploy(2), deploy(3), ended];
    let killed = Wish {
        lease_token: Some("r4-1f-abc".to_owned()),
        ..wish("v2")
    };
    check(&records, &killed, expect!["r3 → r2, carries on r4"]);
    let same_job = Wish {
        run_url: records[3].run_url.clone(),
        ..wish("v2")
    };
    check(&records, &same_job, expect!["r3 → r2, carries on r4"]);
    let another = Wish {
        lease_token: Some("r40-1f-abc".to_owned()),
        ..wish("v2")
    };
    check(&records, &another, expect!["r2 → r1, carries on -"]);
}

#[test]
fn a_release_is_found_by_number_id_and_commit() {
    let records = [deploy(1), deploy(2), back(3, 1, 2, Status::Live)];
    let to = |name: &'static str| Wish {
        to: Some(name),
        ..wish("v1")
    };
    check(&records, &to("2"), expect!["r1 → r2, carries on -"]);
    check(&records, &to("#2"), expect!["r1 → r2, carries on -"]);
    check(&records, &to("0000002"), expect!["r1 → r2, carries on -"]);
    // A rollback stands for the release it went to.
    check(&records, &to("r3"), expect!["r1 → r1, carries on -"]);
    check(
        &records,
        &to("r"),
        expect![[r#"
            `r` may mean 3 releases
              why: r1, r2, r3
              fix: give the whole id or the number of one of them"#]],
    );
    check(
        &records,
        &to("nine"),
        expect![[r#"
            there is no release `nine`
              why: a release is named by its number, its id or its commit
              fix: cargo xtask rollback --list"#]],
    );
}

#[test]
fn a_part_of_the_workers_goes_back_by_itself() {
    let mut part = back(4, 2, 3, Status::Live);
    part.versions.insert("site".to_owned(), "v3".to_owned());
    let only = vec!["api".to_owned()];
    if let Some(rollback) = &mut part.rollback {
        rollback.only.clone_from(&only);
    }
    let records = [deploy(1), deploy(2), deploy(3), part];
    let mut serving = wish("v3");
    serving.serving.insert("api".to_owned(), "v2".to_owned());
    // Once more for that part goes further back; all of them go to what was before the release that was left.
    let again = Wish {
        scripts: BTreeSet::from(["api".to_owned()]),
        only,
        ..serving.clone()
    };
    check(&records, &again, expect!["r4 → r1, carries on -"]);
    check(&records, &serving, expect!["r4 → r2, carries on -"]);
}

#[test]
fn a_schema_that_has_moved_on_is_refused() {
    let names =
        |names: &[&str]| -> Vec<String> { names.iter().map(|name| (*name).to_owned()).collect() };
    let mut target = deploy(1);
    target
        .schema
        .insert("db".to_owned(), names(&["0001_a.sql"]));
    let gaps = |applied: &[&str]| {
        let applied = BTreeMap::from([("db".to_owned(), names(applied))]);
        check::gaps(&[], &target, &applied)
    };
    assert_eq!(gaps(&["0001_a.sql"]), BTreeMap::new());
    let since = gaps(&["0001_a.sql", "0002_b.sql", "0003_c.sql"]);
    expect![[r#"
        the release #1 (r1) may not run on today's schema
          why: db has had 0002_b.sql, 0003_c.sql since
          fix: add `--restore-db`   (takes the database back, too: what was written since then is lost)
               or add `--force` when the old code is known to work with the new schema"#]]
    .assert_eq(&check::schema(&target, &since, false).unwrap_err().to_string());
    assert_eq!(check::schema(&target, &since, true), Ok(()));
    // A database that went further back than the target: no restore brings its migrations again.
    let missing = gaps(&[]);
    expect![[r#"
        the release #1 (r1) may not run on today's schema
          why: db no longer has 0001_a.sql, which the release had
          fix: git checkout 0000001 && cargo xtask deploy   (applies what is missing)
               or add `--force` when the old code is known to work with the new schema"#]]
    .assert_eq(
        &check::schema(&target, &missing, true)
            .unwrap_err()
            .to_string(),
    );
}

#[test]
fn a_record_without_a_schema_goes_by_what_came_later() {
    let mut later = deploy(2);
    later
        .migrations
        .insert("0002_b.sql".to_owned(), "hash".to_owned());
    let applied = vec!["0001_a.sql".to_owned(), "0002_b.sql".to_owned()];
    let applied = BTreeMap::from([("db".to_owned(), applied)]);
    let gap = Gap {
        since: vec!["0002_b.sql".to_owned()],
        missing: Vec::new(),
    };
    assert_eq!(
        check::gaps(&[deploy(1), later], &deploy(1), &applied),
        BTreeMap::from([("db".to_owned(), gap)])
    );
}

#[test]
fn an_age_is_one_number() {
    let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
    let text = humantime::format_rfc3339_seconds(then).to_string();
    let after = |seconds| super::list::age(&text, then + Duration::from_secs(seconds));
    let ages = [after(5), after(90), after(7300), after(200_000)];
    assert_eq!(ages, ["5s", "1m", "2h", "2d"]);
    let told = |since: &str| super::restore::lost("db", since, then + Duration::from_secs(7300));
    expect!["db goes back to its state of 1970-01-12T13:46:40Z, 2h ago: everything written to it since then is lost"]
        .assert_eq(&told(&text));
    expect![
        "db goes back to its state of an unknown time: everything written to it since then is lost"
    ]
    .assert_eq(&told("an unknown time"));
}

#[test]
fn a_hostile_subject_is_only_text_in_a_postmortem() {
    let mut from = deploy(3);
    from.subject =
        "x | y\n## heading <script>alert(1)</script> [a](http://b) `c` @ann #1 ![i](j)".to_owned();
    from.failed = vec!["failed to get a healthy answer from site; --> 503".to_owned()];
    let (target, rollback) = (deploy(2), back(4, 2, 3, Status::Live));
    let records = [deploy(1), target.clone(), from.clone(), rollback.clone()];
    let incident = postmortem::Incident {
        rollback: &rollback,
        target: &target,
        from: Some(&from),
        records: &records,
        commits: Vec::new(),
        deploy_report: serde_json::Value::Null,
        steps: &[],
        now: SystemTime::UNIX_EPOCH,
    };
    let text = postmortem::render(&incident);
    expect![[r#"
        <!-- r4 -->
        # 1970-01-01: &#35;3 (r3) → &#35;2 (r2)"#]]
    .assert_eq(&text.lines().take(2).collect::<Vec<_>>().join("\n"));
    let left = text
        .lines()
        .find(|line| line.starts_with("| Left"))
        .unwrap();
    expect![[r"| Left | &#35;3 (r3): 0000003 x &#124; y &#35;&#35; heading &lt;script&gt;alert(1)&lt;/script&gt; \[a\](http://b) \`c\` @‍ann &#35;1 \!\[i\](j) (Ann &lt;ann@‍example.com&gt;) |"]]
    .assert_eq(left);
    let headings: Vec<&str> = text.lines().filter(|line| line.starts_with('#')).collect();
    assert_eq!(headings.len(), 5, "{headings:?}");
    let order = [
        "release &#35;2 (r2) went live",
        "release &#35;3 (r3) went live; failed to get",
    ];
    let places = order.map(|event| text.find(event).expect(event));
    assert!(places[0] < places[1], "{text}");
    assert!(!text.contains("(r1)"), "{text}");
}

#[test]
fn a_postmortem_overwrites_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let write = |text: &str, marker: &str| {
        let path = postmortem::write_new(folder.path(), "2026-11-24-a", text, marker).unwrap();
        path.file_name().unwrap().to_string_lossy().into_owned()
    };
    assert_eq!(
        write("<!-- r1 --> by a person", "<!-- r1 -->"),
        "2026-11-24-a.md"
    );
    assert_eq!(write("<!-- r1 -->", "<!-- r1 -->"), "2026-11-24-a.md");
    assert_eq!(write("<!-- r2 -->", "<!-- r2 -->"), "2026-11-24-a-2.md");
    let kept = std::fs::read_to_string(folder.path().join("2026-11-24-a.md")).unwrap();
    assert_eq!(kept, "<!-- r1 --> by a person");
    assert_eq!(postmortem::file_name("../API is slow!"), "api-is-slow");
    assert_eq!(postmortem::file_name("…"), "rollback");
}
