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

fn entries(results: &str) -> impl Iterator<Item = Value> + '_ {
    results
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

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
