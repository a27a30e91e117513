//! The table of environment variables, compared with what the installed wrangler reads.

use std::collections::BTreeSet;

use xtask::tools::wrangler::variables::VARIABLES;

use crate::support::setup;

/// What libraries in the bundle read: none of it says where a version goes or what is in it.
const OF_LIBRARIES: &[(&str, &[&str])] = &[
    (
        "which CI runs wrangler, for reports",
        &[
            "BITBUCKET_GIT_HTTP_ORIGIN",
            "BITBUCKET_GIT_SSH_ORIGIN",
            "BUILDKITE_REPO",
            "CF_PAGES_COMMIT_SHA",
            "CHANGE_ID",
            "CHANGE_URL",
            "CIRCLE_PULL_REQUEST",
            "CIRCLE_REPOSITORY_URL",
            "CIRCLE_SHA1",
            "CI_COMMIT_REF_NAME",
            "CI_COMMIT_SHA",
            "CI_MERGE_REQUEST_IID",
            "CI_MERGE_REQUEST_PROJECT_URL",
            "CI_MERGE_REQUEST_TITLE",
            "CI_PROJECT_URL",
            "CI_REPOSITORY_URL",
            "COMMIT_REF",
            "COMMIT_SHA",
            "GITHUB_EVENT_PATH",
            "GITHUB_HEAD_REF",
            "GITHUB_REF",
            "GITHUB_REF_NAME",
            "GITHUB_REPOSITORY",
            "GITHUB_SERVER_URL",
            "GITHUB_SHA",
            "NETLIFY",
            "PR_NUMBER",
            "PR_URL",
            "PULL_REQUEST_NUMBER",
            "PULL_REQUEST_TITLE",
            "PULL_REQUEST_URL",
            "REPOSITORY_URL",
            "VERCEL",
            "VERCEL_BITBUCKET_COMMIT_SHA",
            "VERCEL_GITHUB_COMMIT_SHA",
            "VERCEL_GITLAB_COMMIT_SHA",
            "VERCEL_GIT_COMMIT_SHA",
            "ZEIT_BITBUCKET_COMMIT_SHA",
            "ZEIT_GITHUB_COMMIT_SHA",
            "ZEIT_GITLAB_COMMIT_SHA",
            "NETLIFY_ANGULAR_PLUGIN_SKIP",
            "NETLIFY_NEXT_PLUGIN_SKIP",
            "NETLIFY_SKIP_GATSBY_BUILD_PLUGIN",
        ],
    ),
    (
        "error reports, which are off",
        &[
            "ALIYUN_REGION_ID",
            "AWS_EXECUTION_ENV",
            "AWS_REGION",
            "DYNO",
            "FLY_REGION",
            "GCP_PROJECT",
            "IBM_CLOUD_REGION",
            "REGION_NAME",
            "SENTRY_ANR_CHILD_PROCESS",
            "SENTRY_BAGGAGE",
            "SENTRY_DSN",
            "SENTRY_ENVIRONMENT",
            "SENTRY_NAME",
            "SENTRY_RELEASE",
            "SENTRY_TRACE",
            "SENTRY_TRACES_SAMPLE_RATE",
            "SENTRY_USE_ENVIRONMENT",
            "TENCENTCLOUD_APPID",
            "TENCENTCLOUD_REGION",
            "TENCENTCLOUD_ZONE",
            "VERCEL_REGION",
            "WEBSITE_SITE_NAME",
            "_CLUSTER_NETWORK_NAME_",
        ],
    ),
    (
        "the machine and its user",
        &[
            "COMPUTERNAME",
            "HOME",
            "HOMEDRIVE",
            "HOMEPATH",
            "LNAME",
            "LOGNAME",
            "OSTYPE",
            "PATH",
            "PATHEXT",
            "SYSTEMROOT",
            "TERM_PROGRAM",
            "USER",
            "USERNAME",
            "USERPROFILE",
            "comspec",
            "npm_config_user_agent",
        ],
    ),
    (
        "the way through the network",
        &[
            "HTTPS_PROXY",
            "HTTP_PROXY",
            "NO_PROXY",
            "http_proxy",
            "https_proxy",
            "no_proxy",
        ],
    ),
    (
        "how libraries work, and what they log",
        &[
            "CHOKIDAR_INTERVAL",
            "CHOKIDAR_USEPOLLING",
            "DEBUG",
            "DOTENV_KEY",
            "IGNORE_TEST_WIN32",
            "JEST_WORKER_ID",
            "LOG_STREAM",
            "LOG_TOKENS",
            "NODE_DEBUG",
            "UNDICI_NO_WASM_SIMD",
            "VSCODE_INSPECTOR_OPTIONS",
            "WS_NO_BUFFER_UTIL",
            "WS_NO_UTF_8_VALIDATE",
            "YARGS_MIN_NODE_VERSION",
            "__MINIMATCH_TESTING_PLATFORM__",
        ],
    ),
    (
        "images of containers under `dev`",
        &[
            "MINIFLARE_CONTAINER_EGRESS_IMAGE",
            "MINIFLARE_CONTAINER_EGRESS_IMAGE_PLATFORM",
        ],
    ),
];

/// The names that follow a text, as far as they are names.
fn after<'t>(bundle: &'t str, text: &str, found: &mut BTreeSet<&'t str>) {
    for (at, _) in bundle.match_indices(text) {
        let rest = &bundle[at + text.len()..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        found.insert(&rest[..end.unwrap_or(rest.len())]);
    }
}

#[test]
fn every_variable_that_wrangler_reads_is_decided_on() {
    let bundle = setup::node_modules().join("wrangler/wrangler-dist/cli.js");
    let bundle = std::fs::read_to_string(bundle).expect("wrangler is installed");
    let mut read = BTreeSet::new();
    for text in [
        "variableName: \"",
        "deprecatedName: \"",
        "process.env.",
        "process.env['",
        "process.env[\"",
        "readEnv(\"",
    ] {
        after(&bundle, text, &mut read);
    }
    assert!(
        read.contains("CLOUDFLARE_ENV") && read.contains("CF_API_TOKEN"),
        "{read:?}"
    );
    let libraries = OF_LIBRARIES
        .iter()
        .flat_map(|(_, names)| names.iter().copied());
    let known: BTreeSet<&str> = VARIABLES
        .iter()
        .flat_map(|variable| variable.names())
        .chain(libraries)
        .collect();
    let new: Vec<&&str> = read
        .iter()
        .filter(|name| !name.is_empty() && !known.contains(**name))
        .collect();
    assert!(
        new.is_empty(),
        "wrangler reads {new:?}: add each to `VARIABLES` (tools/wrangler/variables.rs), or here if it changes nothing"
    );
}

#[test]
fn each_variable_stands_once_and_has_a_reason() {
    let mut seen = BTreeSet::new();
    for variable in VARIABLES {
        assert!(!variable.why.is_empty(), "{}", variable.name);
        for name in variable.names() {
            assert!(seen.insert(name), "`{name}` stands twice");
        }
    }
}
