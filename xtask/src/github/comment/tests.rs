//! What a comment says, and how it is found again.

use super::*;
use expect_test::{expect, expect_file};
use std::time::Duration;

fn summary() -> PreviewSummary {
    PreviewSummary {
        branch: Some("faster/search".into()),
        title: Some("Search is faster".into()),
        duration: Some(Duration::from_secs(72)),
        outcome: Outcome::Ready,
        workers: vec![
            WorkerSummary {
                status: Status::Ready,
                url: Some("https://site-pr-7-preview.shop.workers.dev".into()),
                size: Some(12_345),
                size_change: Some(1_200),
                ..WorkerSummary::waiting("main", "site-pr-7-preview")
            },
            WorkerSummary {
                status: Status::Unchanged,
                size: Some(1_234_567),
                size_change: Some(0),
                ..WorkerSummary::waiting("agent", "agent-pr-7-preview")
            },
        ],
        migrations_on_deploy: vec!["0002_index.sql".into()],
        not_covered: vec!["Crons do not run: `*/5 * * * *` of main.".into()],
        external_bindings: vec![
            "`AUTH` of main leads to `auth`, which this repo does not ship".into(),
        ],
        notes: vec!["The database was seeded from `seed.sql`.".into()],
        removal: "It is removed when the pull request is closed, by `cargo xtask cleanup --pr 7`."
            .into(),
        run_url: Some("https://github.com/shop/site/actions/runs/9".into()),
        ..PreviewSummary::new(Key::Pr(7), &"ab12cd34".repeat(5))
    }
}

#[test]
fn a_preview_that_is_ready() {
    expect_file!["snapshots/ready.md"].assert_eq(&markdown(&summary()));
}

#[test]
fn shared_data_is_said_loudly() {
    let shared = PreviewSummary {
        data: Data::Shared,
        ..summary()
    };
    expect_file!["snapshots/shared.md"].assert_eq(&markdown(&shared));
}

#[test]
fn a_preview_that_failed() {
    let failed = PreviewSummary {
        outcome: Outcome::Failed(
            "failed to upload main: wrangler exited with 1\n  why: no `main`\n".into(),
        ),
        workers: vec![WorkerSummary {
            status: Status::Failed,
            ..WorkerSummary::waiting("main", "site-pr-7-preview")
        }],
        migrations_on_deploy: Vec::new(),
        external_bindings: Vec::new(),
        ..summary()
    };
    expect_file!["snapshots/failed.md"].assert_eq(&markdown(&failed));
}

#[test]
fn previews_that_are_not_there() {
    let bare = |outcome| PreviewSummary {
        outcome,
        workers: vec![WorkerSummary {
            status: Status::Removed,
            ..WorkerSummary::waiting("main", "site-pr-7-preview")
        }],
        removal: "A push to a reopened pull request makes it again.".into(),
        ..PreviewSummary::new(Key::Pr(7), "")
    };
    let skipped =
        Outcome::Skipped("pull request 7 comes from a fork: its runs get no secrets".into());
    let partly = Outcome::PartlyRemoved(vec!["the bucket `images-pr-7-preview`".into()]);
    let texts = [bare(Outcome::Removed), bare(partly), bare(skipped)].map(|it| markdown(&it));
    expect_file!["snapshots/gone.md"].assert_eq(&texts.join("\n--------\n"));
}

/// What a stranger may write where this pipeline shows it.
const HOSTILE: [&str; 16] = [
    "</code></pre></details><script>alert(1)</script>",
    "`` ` ``` \n```\n# title",
    "| a | b |\n| --- | --- |\n",
    "@octocat @org/team please merge, fixes #1, GH-2, org/repo#3, a@b.test",
    "[click](https://evil.test) ![x](https://evil.test/p.png) <https://evil.test>",
    "https://evil.test www.evil.test \\[x\\](y) &lt;b&gt; &#64;octocat",
    "<!-- xtask-preview -->",
    "\n\n<!-- xtask-preview -->\n### ✅ is ready\n",
    "a\u{202e}b\u{2066}c\u{200b}d\u{feff}e\u{e0041}f",
    "\u{1b}[31mred\u{1b}]8;;https://evil.test\u{7}x\u{1b}]8;;\u{7}",
    "> [!NOTE]\n> quote",
    "1. one\n- [x] two\n    code\n\ttab",
    "$(reboot) ${{ secrets.TOKEN }} :+1: ~~x~~ **y** __z__ $`x`$",
    "\0\u{85}\u{2028}\u{2029}end",
    "feature/<img src=x onerror=alert(1)>",
    "==== \n---- \n***",
];

fn hostile(text: &str) -> PreviewSummary {
    let texts = || vec![text.to_owned(), text.replace('\n', "`")];
    PreviewSummary {
        branch: Some(text.into()),
        title: Some(text.into()),
        data: Data::Shared,
        workers: vec![WorkerSummary {
            url: Some(text.into()),
            ..WorkerSummary::waiting(text, text)
        }],
        migrations_on_deploy: texts(),
        not_covered: texts(),
        external_bindings: texts(),
        notes: texts(),
        removal: text.into(),
        run_url: Some(text.into()),
        ..PreviewSummary::new(Key::Pr(7), text)
    }
}

fn outcomes(text: &str) -> [Outcome; 7] {
    [
        Outcome::Building,
        Outcome::Ready,
        Outcome::Failed(text.to_owned()),
        Outcome::Skipped(text.to_owned()),
        Outcome::Removing,
        Outcome::Removed,
        Outcome::PartlyRemoved(vec![text.to_owned()]),
    ]
}

/// Asserts that a comment holds nothing but what this module writes: its tags, in pairs and within a line (`pre` apart), the
/// rows of one table, no mention, no link but to plain addresses.
#[track_caller]
fn check_contained(comment: &str) {
    assert!(comment.len() < 65_536, "{} bytes", comment.len());
    assert!(is_marked(comment));
    assert_eq!(comment.matches("<!--").count(), 1, "{comment}");
    let text = comment
        .strip_prefix(MARKER)
        .expect("the marker comes first");
    let (mut pre, mut columns) = (false, None);
    for line in text.lines() {
        match line {
            "<pre>" => pre = true,
            "</pre>" => pre = false,
            _ => check_line(line),
        }
        if pre {
            continue;
        }
        if line.starts_with('|') {
            assert!(line.ends_with('|'), "{line}");
            let found = line.matches('|').count();
            assert_eq!(*columns.get_or_insert(found), found, "{line}");
        } else {
            assert!(!line.contains('|'), "{line}");
        }
    }
    assert!(!pre, "a block that is never closed: {comment}");
    for character in text.chars() {
        assert!(
            !matches!(
                character,
                '@' | '[' | '`' | '\\' | '\u{202e}' | '\u{200b}' | '\u{e0041}'
            ) || "> [!CAUTION]".contains(character),
            "{character:?} in {comment}"
        );
    }
    assert!(!text.contains("](") && !text.contains("[x"), "{comment}");
}

#[track_caller]
fn check_line(line: &str) {
    let mut code = false;
    for (at, _) in line.match_indices('<') {
        let rest = &line[at..];
        if rest.starts_with("<code>") && !code {
            code = true;
        } else if rest.starts_with("</code>") && code {
            code = false;
        } else {
            assert!(
                rest.starts_with("<https://") && rest.contains('>') && !code,
                "{line}"
            );
            assert!(!rest.contains("evil.test>"), "{line}");
        }
    }
    assert!(!code, "{line}");
}

#[test]
fn nothing_hostile_breaks_out() {
    for text in HOSTILE {
        for outcome in outcomes(text) {
            check_contained(&markdown(&PreviewSummary {
                outcome,
                ..hostile(text)
            }));
        }
    }
    let all = PreviewSummary {
        outcome: Outcome::Failed(HOSTILE.join("\n")),
        ..hostile(HOSTILE[3])
    };
    expect_file!["snapshots/hostile.md"].assert_eq(&markdown(&all));
}

#[test]
fn too_much_is_counted_and_cut_between_entries() {
    let many = |text: &str, count: usize| vec![text.to_owned(); count];
    for size in [1, 40, 1_000] {
        for outcome in outcomes(&"|@<`\n".repeat(5_000)) {
            let row = WorkerSummary {
                url: Some("https://a.test/x".into()),
                ..WorkerSummary::waiting("|", "<b>")
            };
            check_contained(&markdown(&PreviewSummary {
                outcome,
                branch: Some("|".repeat(20_000)),
                title: Some("<".repeat(20_000)),
                workers: vec![row; size],
                migrations_on_deploy: many("0001_x.sql", size),
                not_covered: many(&"@".repeat(500), size),
                notes: many("a `b` c", size),
                removal: "`".repeat(20_000),
                ..summary()
            }));
        }
    }
    let cut = markdown(&PreviewSummary {
        notes: many("words", 9_000),
        ..summary()
    });
    let end = cut.lines().rev().take(4).collect::<Vec<_>>();
    expect![[r#"
        [
            "It is removed when the pull request is closed, by <code>cargo xtask cleanup --pr 7</code>&#46;",
            "",
            "… and 1017 more notes",
            "",
        ]"#]].assert_eq(&format!("{end:#?}"));
}

#[test]
fn sizes_are_for_people() {
    let shown: Vec<String> = [0, 999, 1000, 1049, 1050, 999_949, 999_950, 12_345_678]
        .into_iter()
        .map(bytes)
        .collect();
    expect!["0 B, 999 B, 1.0 kB, 1.0 kB, 1.1 kB, 999.9 kB, 1.0 MB, 12.3 MB"]
        .assert_eq(&shown.join(", "));
}

#[test]
fn only_the_beginning_marks_a_comment() {
    assert!(is_marked(&markdown(&summary())));
    assert!(!is_marked("look: <!-- xtask-preview -->"));
    assert!(!is_marked("<!-- xtask-preview-other -->"));
}
