//! What wrangler reports: the ND-JSON of its result file, and the lines it prints.

use serde_json::Value;

/// The version id an upload made, from the result file's text: present only when the upload really happened
/// (a dry run and a `--strict` stop write the same entry without one).
pub fn version_id(results: &str) -> Option<String> {
    entries(results)
        .filter(|entry| matches!(entry["type"].as_str(), Some("version-upload" | "deploy")))
        .find_map(|entry| entry["version_id"].as_str().map(str::to_owned))
}

/// Bundle sizes in bytes, raw and gzipped, when the result file tells them.
pub fn bundle_size(results: &str) -> Option<(u64, u64)> {
    entries(results).find_map(|entry| {
        let size = &entry["bundle_size"];
        Some((size["raw_bytes"].as_u64()?, size["gzip_bytes"].as_u64()?))
    })
}

/// The last lines of what wrangler said, without what it says whatever happened: that uploads over the API are
/// overwritten (the placeholder was one), where to report bugs, where its log is.
pub fn last_words(said: &str, lines: usize) -> String {
    const NOISE: [&str; 4] = [
        "You are about to upload a Worker that was last updated via the script API",
        "Edits that have been made via the script API",
        "If you think this is a bug",
        "Logs were written to",
    ];
    let kept: Vec<&str> = said
        .lines()
        .filter(|line| !line.trim().is_empty() && !NOISE.iter().any(|noise| line.contains(noise)))
        .collect();
    kept[kept.len().saturating_sub(lines)..].join("\n")
}

/// Cloudflare's error code of a failed command, when it names one.
pub fn failure_code(results: &str) -> Option<i64> {
    entries(results)
        .filter(|entry| entry["type"] == "command-failed")
        .find_map(|entry| entry["code"].as_i64())
}

/// What wrangler prints of failures that can pass by themselves: the connection, a limit on requests, an error of the service.
const PASSING: [&str; 16] = [
    "fetch failed",
    "timed out",
    "timeout",
    "econnre",
    "eai_again",
    "enotfound",
    "socket",
    "network",
    "too many requests",
    "rate limit",
    "unknown error",
    "internal",
    "malformed response",
    "service unavailable",
    "bad gateway",
    "longer than",
];

/// True when running the command again can help. Everything else stays as it is until something is changed: a queue that does
/// not exist, a path that leads nowhere, a right that the token does not have.
pub fn can_pass(printed: &str) -> bool {
    let printed = printed.to_lowercase();
    PASSING.iter().any(|sign| printed.contains(sign))
}

fn entries(results: &str) -> impl Iterator<Item = Value> + '_ {
    results
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_pass_by_itself_is_worth_another_run() {
        for printed in [
            "✘ [ERROR] fetch failed",
            "✘ [ERROR] A request to the Cloudflare API (/accounts/1/workers/scripts/a) failed.\n  An unknown error has occurred. [code: 10013]",
            "✘ [ERROR] Received a malformed response from the API\n  upstream connect error",
        ] {
            assert!(can_pass(printed), "{printed}");
        }
        for printed in [
            "✘ [ERROR] Queue \"jobs\" does not exist. To create it, run: wrangler queues create jobs",
            "✘ [ERROR] Build failed with 1 error:\n  ✘ [ERROR] Cannot find tsconfig file \"x.json\"",
            "✘ [ERROR] A request to the Cloudflare API failed.\n  Authentication error [code: 10000]",
        ] {
            assert!(!can_pass(printed), "{printed}");
        }
    }

    #[test]
    fn an_upload_counts_only_with_a_version_id() {
        let dry = r#"{"type":"wrangler-session","version":1}
{"type":"version-upload","version":1,"version_id":null,"bundle_size":{"raw_bytes":138,"gzip_bytes":136}}"#;
        assert_eq!(version_id(dry), None);
        assert_eq!(bundle_size(dry), Some((138, 136)));
        assert_eq!(
            version_id(&dry.replace("null", "\"v1\"")),
            Some("v1".to_owned())
        );
        assert_eq!(version_id("half a li"), None);
    }
}
