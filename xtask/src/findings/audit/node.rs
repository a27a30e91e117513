//! The audit reports of npm, pnpm, yarn and bun. Their exit codes are not asked: npm's is the same for findings, for a
//! missing lockfile and for a service that is down.

use serde_json::{Map, Value};

use super::lock::Lock;
use super::{Advisory, Answer, level, name_of, said, silence, text_of};
use crate::config::AuditLevel;

/// Reads `npm audit --json` (report version 2). `lockfile` is the text of package-lock.json, which tells the way to a
/// package.
pub fn npm(stdout: &str, stderr: &str, lockfile: Option<&str>) -> Answer {
    let Ok(report) = serde_json::from_str::<Value>(stdout.trim()) else {
        return silence(stdout, stderr);
    };
    let Some(packages) = report.get("vulnerabilities").and_then(Value::as_object) else {
        return npm_error(&report, stdout, stderr);
    };
    let lock = lockfile.and_then(Lock::parse);
    let mut advisories: Vec<Advisory> = Vec::new();
    for package in packages.values() {
        // Texts in `via` name other packages of this list, which carry the advisory themselves.
        let via = package.get("via").and_then(Value::as_array);
        for advisory in via.into_iter().flatten().filter(|via| via.is_object()) {
            let advisory = npm_advisory(package, advisory, lock.as_ref());
            if !advisories.contains(&advisory) {
                advisories.push(advisory);
            }
        }
    }
    // A report that counts vulnerabilities but shows no advisory must not read as a clean one.
    if advisories.is_empty() && !packages.is_empty() {
        let names: Vec<&str> = packages.keys().map(String::as_str).collect();
        return Answer::NoAnswer(format!(
            "npm named packages but no advisory: {}",
            names.join(", ")
        ));
    }
    Answer::Advisories(advisories)
}

/// `{"error": {"code": "ENOLOCK", …}}` is a mistake of the repo; `{"message": …, "statusCode": 405}` the service's.
fn npm_error(report: &Value, stdout: &str, stderr: &str) -> Answer {
    let none = Value::Null;
    let error = report.get("error").unwrap_or(&none);
    let (code, summary) = (text_of(error, "code"), text_of(error, "summary"));
    let detail = text_of(error, "detail");
    if ["ENOLOCK", "EJSONPARSE", "ENOENT", "EUSAGE"].contains(&code) {
        return Answer::Refused(join(&[summary, detail]));
    }
    let message = text_of(report, "message");
    let said = join(&[message, summary, detail]);
    if said.is_empty() {
        silence(stdout, stderr)
    } else {
        Answer::NoAnswer(said)
    }
}

fn npm_advisory(package: &Value, via: &Value, lock: Option<&Lock>) -> Advisory {
    let name = match text_of(via, "name") {
        "" => text_of(package, "name"),
        name => name,
    };
    let nodes = package.get("nodes").and_then(Value::as_array);
    let nodes = nodes.into_iter().flatten().filter_map(Value::as_str);
    let path = nodes
        .filter_map(|node| lock?.path_to(node))
        .min_by_key(String::len);
    let fix = match package.get("fixAvailable") {
        Some(Value::Bool(true)) => Some("npm audit fix".to_owned()),
        Some(fix @ Value::Object(_)) => {
            let major = fix.get("isSemVerMajor").and_then(Value::as_bool) == Some(true);
            let note = if major { " (a breaking change)" } else { "" };
            Some(format!(
                "{}@{}{note}",
                text_of(fix, "name"),
                text_of(fix, "version")
            ))
        }
        _ => None,
    };
    let url = text_of(via, "url");
    let (id, aliases) = names(url, &[&name_of(via, "source"), &name_of(via, "id")]);
    let range = match text_of(via, "range") {
        "" => text_of(via, "vulnerable_versions"),
        range => range,
    };
    Advisory {
        id,
        aliases,
        severity: level(text_of(via, "severity")),
        informational: false,
        package: name.to_owned(),
        title: text_of(via, "title").to_owned(),
        range: range.to_owned(),
        path: path.unwrap_or_default(),
        url: url.to_owned(),
        fixed_in: fix,
    }
}

/// pnpm's codes for lock files it cannot audit: mistakes of the repo.
const PNPM_LOCKFILE: [&str; 2] = ["ERR_PNPM_AUDIT_NO_LOCKFILE", "ERR_PNPM_BROKEN_LOCKFILE"];

/// Reads `pnpm audit --json`.
pub fn pnpm(stdout: &str, stderr: &str) -> Answer {
    let Ok(report) = serde_json::from_str::<Value>(stdout.trim()) else {
        // From version 12 on, errors are no JSON.
        if PNPM_LOCKFILE.iter().any(|code| stderr.contains(code)) {
            return Answer::Refused(said(stdout, stderr));
        }
        return silence(stdout, stderr);
    };
    if let Some(error) = report.get("error") {
        let code = text_of(error, "code");
        let said = join(&[code, text_of(error, "message")]);
        return match PNPM_LOCKFILE.contains(&code) {
            true => Answer::Refused(said),
            false => Answer::NoAnswer(said),
        };
    }
    first_version(&report).unwrap_or_else(|| silence(stdout, stderr))
}

/// Reads `yarn audit --json` of yarn 1: one JSON value per line, in no fixed order.
pub fn yarn_classic(stdout: &str, stderr: &str) -> Answer {
    let mut advisories: Vec<Advisory> = Vec::new();
    let mut complete = false;
    for line in values(stdout) {
        let data = line.get("data").unwrap_or(&Value::Null);
        match text_of(&line, "type") {
            "auditSummary" => complete = true,
            "auditAdvisory" => {
                let Some(advisory) = data.get("advisory") else {
                    continue;
                };
                let path = data.pointer("/resolution/path").and_then(Value::as_str);
                let advisory = first_version_advisory(advisory, path);
                // One line per way to the package: the first is shown.
                if !advisories
                    .iter()
                    .any(|other| other.id == advisory.id && other.package == advisory.package)
                {
                    advisories.push(advisory);
                }
            }
            _ => {}
        }
    }
    // Without a lock file it resolves anew, sums up nothing found, and exits with 0.
    let no_lockfile = values(stdout).any(|line| text_of(&line, "data") == "No lockfile found.");
    if no_lockfile {
        return Answer::Refused("there is no yarn.lock to audit".to_owned());
    }
    if !complete {
        let error = values(stdout)
            .chain(values(stderr))
            .find(|line| text_of(line, "type") == "error");
        // What follows the first line are frames.
        let error = error.as_ref().map(|line| text_of(line, "data"));
        return match error.and_then(|text| text.lines().next()) {
            Some(error) => Answer::NoAnswer(error.trim_start_matches("Error: ").to_owned()),
            None => silence(stdout, stderr),
        };
    }
    Answer::Advisories(advisories)
}

/// Reads `yarn npm audit --all --recursive --json` of yarn 2 and later. `exited_well`: the exit code was 0, which is all
/// that yarn 4 says when nothing is known.
pub fn yarn_berry(stdout: &str, stderr: &str, exited_well: bool) -> Answer {
    let mut advisories = Vec::new();
    let mut errors: Vec<String> = Vec::new();
    let mut whole = None;
    for line in values(stdout) {
        if line.get("advisories").is_some() {
            // Yarn 2 and 3 print the service's answer as it is.
            whole = first_version(&line);
        } else if let Some(children) = line.get("children") {
            advisories.push(berry_advisory(text_of(&line, "value"), children));
        } else if text_of(&line, "type") == "error" {
            errors.push(text_of(&line, "data").to_owned());
        }
    }
    match whole {
        Some(answer) => answer,
        None if !errors.is_empty() => Answer::NoAnswer(errors.join("\n")),
        // Before it asks anybody, it reads the lock file; a service that is away ends it with a crash instead.
        None if stdout.contains("Internal Error") || stdout.contains("Usage Error") => {
            Answer::Refused(said(stdout, stderr))
        }
        None if advisories.is_empty() && !exited_well => silence(stdout, stderr),
        None => Answer::Advisories(advisories),
    }
}

fn berry_advisory(package: &str, children: &Value) -> Advisory {
    let url = text_of(children, "URL");
    let number = name_of(children, "ID");
    let (id, aliases) = names(url, &[&number]);
    let dependents = children.get("Dependents").and_then(Value::as_array);
    let first = dependents.and_then(|list| list.first()?.as_str());
    Advisory {
        id,
        aliases,
        severity: level(text_of(children, "Severity")),
        informational: number.ends_with("(deprecation)"),
        package: package.to_owned(),
        title: text_of(children, "Issue").to_owned(),
        range: text_of(children, "Vulnerable Versions").to_owned(),
        path: first
            .map(|first| format!("{first} > {package}"))
            .unwrap_or_default(),
        url: url.to_owned(),
        fixed_in: None,
    }
}

/// Reads `bun audit --json`: the answer of npm's service as it is, advisories by package.
pub fn bun(stdout: &str, stderr: &str) -> Answer {
    // Older versions print a heading first.
    let json = stdout.find('{').map_or("", |start| &stdout[start..]);
    if stderr.contains("missing lockfile") || stderr.contains("failed to parse lockfile") {
        return Answer::Refused(said(stdout, stderr));
    }
    let Ok(Value::Object(packages)) = serde_json::from_str::<Value>(json.trim()) else {
        return silence(stdout, stderr);
    };
    let mut advisories = Vec::new();
    for (package, list) in &packages {
        let Some(list) = list.as_array() else {
            return silence(stdout, stderr);
        };
        advisories.extend(list.iter().map(|advisory| bun_advisory(package, advisory)));
    }
    Answer::Advisories(advisories)
}

fn bun_advisory(package: &str, advisory: &Value) -> Advisory {
    let url = text_of(advisory, "url");
    let (id, aliases) = names(url, &[&name_of(advisory, "id")]);
    Advisory {
        id,
        aliases,
        severity: level(text_of(advisory, "severity")),
        informational: false,
        package: package.to_owned(),
        title: text_of(advisory, "title").to_owned(),
        range: text_of(advisory, "vulnerable_versions").to_owned(),
        path: String::new(),
        url: url.to_owned(),
        fixed_in: None,
    }
}

/// `{"advisories": {"1234": {…}}, "metadata": …}`: version 1 of npm's report, which pnpm and yarn still write.
fn first_version(report: &Value) -> Option<Answer> {
    let advisories: &Map<String, Value> = report.get("advisories")?.as_object()?;
    // An answer without counts is not one that was finished.
    report.pointer("/metadata/vulnerabilities")?;
    let advisories = advisories.values();
    Some(Answer::Advisories(
        advisories
            .map(|advisory| first_version_advisory(advisory, None))
            .collect(),
    ))
}

fn first_version_advisory(advisory: &Value, path: Option<&str>) -> Advisory {
    let url = text_of(advisory, "url");
    let cves = advisory.get("cves").and_then(Value::as_array);
    let cves = cves.into_iter().flatten().filter_map(Value::as_str);
    let number = name_of(advisory, "id");
    let mut known: Vec<&str> = vec![text_of(advisory, "github_advisory_id"), &number];
    known.extend(cves);
    let (id, aliases) = names(url, &known);
    let paths = advisory
        .get("findings")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let paths = paths
        .filter_map(|finding| finding.get("paths")?.as_array())
        .flatten();
    let shortest = paths
        .filter_map(Value::as_str)
        .min_by_key(|path| path.len());
    let way = path.or(shortest).unwrap_or_default();
    let steps = way
        .split('>')
        .map(str::trim)
        .filter(|step| !step.is_empty() && *step != ".");
    let patched = text_of(advisory, "patched_versions");
    Advisory {
        id,
        aliases,
        severity: level(text_of(advisory, "severity")),
        informational: false,
        package: text_of(advisory, "module_name").to_owned(),
        title: text_of(advisory, "title").to_owned(),
        range: text_of(advisory, "vulnerable_versions").to_owned(),
        path: steps.collect::<Vec<_>>().join(" > "),
        url: url.to_owned(),
        // The service writes `<0.0.0` for "no version is".
        fixed_in: Some(patched.to_owned())
            .filter(|patched| !patched.is_empty() && patched != "<0.0.0"),
    }
}

/// The advisory's best name, and the others: `GHSA-…` from its address before anything else.
fn names(url: &str, known: &[&str]) -> (String, Vec<String>) {
    let from_url = url
        .rsplit('/')
        .next()
        .filter(|last| last.starts_with("GHSA-"));
    let mut names: Vec<String> = Vec::new();
    for name in from_url.iter().chain(known) {
        if !name.is_empty() && !names.iter().any(|other| other == name) {
            names.push((*name).to_owned());
        }
    }
    if names.is_empty() {
        return ("unnamed".to_owned(), names);
    }
    (names.remove(0), names)
}

fn values(text: &str) -> impl Iterator<Item = Value> {
    text.lines()
        .filter_map(|line| serde_json::from_str(line.trim()).ok())
}

fn join(parts: &[&str]) -> String {
    let parts: Vec<&str> = parts
        .iter()
        .copied()
        .filter(|part| !part.is_empty())
        .collect();
    parts.join("\n")
}

/// What the worst of some advisories is, for a step's note.
pub fn worst(advisories: &[Advisory]) -> Option<AuditLevel> {
    let real = advisories.iter().filter(|advisory| !advisory.informational);
    real.map(|advisory| advisory.severity).max()
}
