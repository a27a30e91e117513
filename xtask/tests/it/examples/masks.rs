//! Compares what a document shows with what was really said: numbers, times and ids are masked, `…` stands for anything.

/// A text with all that differs from run to run replaced by what it is, and without white space.
pub fn mask(text: &str) -> String {
    let mut out = String::new();
    let mut run = String::new();
    for c in text.chars().chain(['\n']) {
        if c.is_ascii_alphanumeric() {
            run.push(c);
            continue;
        }
        out.push_str(named(&run, out.ends_with("ID-")));
        run.clear();
        out.push(if c == '─' { ' ' } else { c });
    }
    let mut masked: String = out.split_whitespace().collect::<Vec<_>>().join(" ");
    for (from, to) in [
        ("ID-…", "ID…"),
        ("ID-ID", "ID"),
        ("#.#", "#"),
        ("#.T", "T"),
        ("T T", "T"),
        ("REL-#-ID", "REL"),
        ("REL-#-#", "REL"),
        ("#,#", "#"),
    ] {
        while masked.contains(from) {
            masked = masked.replace(from, to);
        }
    }
    masked
}

/// What a run of letters and digits is; `in_id` when it follows the beginning of a version id.
fn named(run: &str, in_id: bool) -> &str {
    let digits = run.bytes().take_while(u8::is_ascii_digit).count();
    let hex = run.bytes().all(|byte| byte.is_ascii_hexdigit());
    let some_digit = run.bytes().any(|byte| byte.is_ascii_digit());
    let release = run
        .strip_prefix('r')
        .is_some_and(|rest| rest.len() == 8 && rest.parse::<u64>().is_ok());
    match run {
        "" => "",
        _ if in_id && hex && matches!(run.len(), 4 | 12) => "ID",
        // A short id that happens to be all digits is still one.
        _ if hex && matches!(run.len(), 7 | 8) => "ID",
        _ if release => "REL",
        _ if digits == run.len() => "#",
        _ if hex && some_digit && run.len() > 8 => "ID",
        _ if digits > 0 && matches!(&run[digits..], "ms" | "s" | "m" | "h" | "d") => "T",
        run => run,
    }
}

/// Whether `real` has the pieces of `shown` between its `…`, in order. White space does not count.
pub fn holds(real: &str, shown: &str) -> Result<(), String> {
    let squeeze = |text: &str| mask(text).replace(' ', "");
    let real = squeeze(real);
    let mut rest = real.as_str();
    for piece in squeeze(shown).split('…').filter(|piece| !piece.is_empty()) {
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return Err(format!("{piece}\nis not in\n{rest}")),
        }
    }
    Ok(())
}

/// The lines of `shown` that are no line of `real`.
pub fn strangers(real: &str, shown: &str) -> Vec<String> {
    let known: Vec<String> = real.lines().map(mask).collect();
    let is_known = |line: &str| {
        let line = mask(line);
        let (before, after) = line.split_once('…').unwrap_or((&line, ""));
        match line.contains('…') {
            true => known
                .iter()
                .any(|known| known.starts_with(before.trim_end()) && known.ends_with(after)),
            false => known.contains(&line),
        }
    };
    let shown = shown.lines().filter(|line| !line.trim().is_empty());
    shown
        .filter(|line| !is_known(line))
        .map(str::to_owned)
        .collect()
}

#[test]
fn what_differs_from_run_to_run_is_masked_and_nothing_else() {
    let masked = [
        ("✓ build main  12.9s  23 kB", "✓ build main T # kB"),
        ("in 1m 18s", "in T"),
        ("release r20261123-131158-338e40e", "release REL"),
        (
            "main  80440655  http://127.0.0.1:8787/",
            "main ID http://#:#/",
        ),
        ("80440655-6b1e-4602-8fb7-e6d82ac75b04\"", "ID\""),
        ("d1 facebook feed", "d1 facebook feed"),
    ];
    for (text, wanted) in masked {
        assert_eq!(mask(text), wanted);
    }
    assert!(holds("{\"id\":7,\n \"b\": \"x\", \"c\":1}", "{\"id\":9,…\"c\":…}").is_ok());
    assert!(holds("{\"id\":7}", "{\"ids\":7}").is_err());
    assert_eq!(strangers("a 1\nb\n", "a 2\n…\nc"), ["c"]);
}
