//! The environment variables that wrangler reads, and what each call does with them. A variable that could change the
//! script, the account, the cloud, the credentials or the format of the results is set or cleared for every call. An
//! integration test compares this table with the bundle of the installed wrangler.

/// One variable.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// The name it had before. wrangler reads it when the new one is not set.
    pub old_name: Option<&'static str>,
    /// What a call does with it.
    pub rule: Rule,
    /// Why.
    pub why: &'static str,
}

/// What a call does with a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Every call sets it.
    Set(Value),
    /// No call sees it.
    Clear,
    /// It is passed on as it is.
    Keep,
    /// Only commands that the pipeline does not run read it.
    Unused,
}

/// What a variable is set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// The API of the cloud that the run talks to.
    Api,
    /// The account that the release goes to.
    Account,
    /// The environment that ships; empty for the top level.
    Environment,
    /// The script that is uploaded.
    Script,
    /// The compliance region of the Worker's config.
    Region,
    /// The file for the results of the call.
    Results,
    /// The token, handed over at the last moment. A dry run gets none.
    Token,
    /// This text.
    Text(&'static str),
}

const fn set(name: &'static str, value: Value, why: &'static str) -> Variable {
    row(name, Rule::Set(value), why)
}

const fn clear(name: &'static str, why: &'static str) -> Variable {
    row(name, Rule::Clear, why)
}

const fn keep(name: &'static str, why: &'static str) -> Variable {
    row(name, Rule::Keep, why)
}

const fn unused(name: &'static str, why: &'static str) -> Variable {
    row(name, Rule::Unused, why)
}

const fn row(name: &'static str, rule: Rule, why: &'static str) -> Variable {
    Variable {
        name,
        old_name: None,
        rule,
        why,
    }
}

const fn was(old_name: &'static str, variable: Variable) -> Variable {
    Variable {
        old_name: Some(old_name),
        ..variable
    }
}

/// Every variable that the supported wranglers read, other than those of libraries in their bundle.
pub const VARIABLES: &[Variable] = &[
    set(
        "CI",
        Value::Text("true"),
        "no questions: nobody answers them",
    ),
    set(
        "CLOUDFLARE_ENV",
        Value::Environment,
        "names the environment, and so the script",
    ),
    set(
        "WRANGLER_CI_OVERRIDE_NAME",
        Value::Script,
        "replaces the name of the script",
    ),
    clear(
        "WRANGLER_CI_MATCH_TAG",
        "refuses a script that has another tag",
    ),
    set(
        "WRANGLER_CI_GENERATE_PREVIEW_ALIAS",
        Value::Text("false"),
        "gives the version a public alias",
    ),
    set(
        "OPEN_NEXT_DEPLOY",
        Value::Text("true"),
        "without it, `deploy` in an OpenNext project runs OpenNext's own deploy",
    ),
    was(
        "CF_ACCOUNT_ID",
        set("CLOUDFLARE_ACCOUNT_ID", Value::Account, "names the account"),
    ),
    was(
        "CF_API_BASE_URL",
        set("CLOUDFLARE_API_BASE_URL", Value::Api, "names the cloud"),
    ),
    set(
        "CLOUDFLARE_BASE_URL",
        Value::Api,
        "names the cloud for the client library in the bundle",
    ),
    set(
        "WRANGLER_API_ENVIRONMENT",
        Value::Text("production"),
        "names the cloud",
    ),
    set(
        "CLOUDFLARE_COMPLIANCE_REGION",
        Value::Region,
        "names the cloud; the config says which region",
    ),
    clear(
        "CLOUDFLARE_CONTAINER_REGISTRY",
        "names the registry of container images",
    ),
    was(
        "CF_API_TOKEN",
        set(
            "CLOUDFLARE_API_TOKEN",
            Value::Token,
            "the credentials of the run",
        ),
    ),
    was(
        "CF_API_KEY",
        clear("CLOUDFLARE_API_KEY", "wins over the token"),
    ),
    was(
        "CF_EMAIL",
        clear(
            "CLOUDFLARE_EMAIL",
            "wins over the token, together with the key",
        ),
    ),
    clear(
        "CLOUDFLARE_API_USER_SERVICE_KEY",
        "credentials of another kind",
    ),
    clear("EXPERIMENTAL_MIDDLEWARE", "wraps the Worker's code"),
    set(
        "WRANGLER_OUTPUT_FILE_PATH",
        Value::Results,
        "the results of the call are read from it",
    ),
    clear(
        "WRANGLER_OUTPUT_FILE_DIRECTORY",
        "the results of the call go to a file of their own",
    ),
    set(
        "WRANGLER_LOG",
        Value::Text("log"),
        "fewer lines hide why a call failed; more hold requests",
    ),
    set(
        "WRANGLER_LOG_SANITIZE",
        Value::Text("true"),
        "without it, logs hold credentials",
    ),
    set(
        "WRANGLER_WRITE_LOGS",
        Value::Text("false"),
        "logs outlive the run",
    ),
    set(
        "WRANGLER_HIDE_BANNER",
        Value::Text("true"),
        "a look for updates takes time",
    ),
    set(
        "WRANGLER_SEND_METRICS",
        Value::Text("false"),
        "no reports about the run",
    ),
    set(
        "WRANGLER_SEND_ERROR_REPORTS",
        Value::Text("false"),
        "no reports about the run",
    ),
    // What decides how code is built is the user's. The dry run and the upload see the same.
    keep(
        "WRANGLER_BUILD_CONDITIONS",
        "the same for the dry run and the upload",
    ),
    keep(
        "WRANGLER_BUILD_PLATFORM",
        "the same for the dry run and the upload",
    ),
    keep("NODE_ENV", "the same for the dry run and the upload"),
    keep(
        "CLOUDFLARE_ACCESS_CLIENT_ID",
        "the way through Cloudflare Access",
    ),
    keep(
        "CLOUDFLARE_ACCESS_CLIENT_SECRET",
        "the way through Cloudflare Access",
    ),
    keep(
        "WRANGLER_CF_AUTHORIZATION_TOKEN",
        "the way through Cloudflare Access",
    ),
    keep("CLOUDFLARED_PATH", "the way through Cloudflare Access"),
    keep("WRANGLER_CACHE_DIR", "a folder"),
    keep("WRANGLER_LOG_PATH", "a folder"),
    keep(
        "WRANGLER_TRACE_ID",
        "a header of every request, for support",
    ),
    keep("WRANGLER_DOCKER_BIN", "a program"),
    keep("WRANGLER_DOCKER_HOST", "a socket"),
    keep("DOCKER_HOST", "a socket"),
    keep("DO_NOT_TRACK", "no reports are sent anyway"),
    keep("WRANGLER_DISABLE_EXPERIMENTAL_WARNING", "a warning"),
    keep(
        "WRANGLER_NO_SKILLS_UPDATE_PROMPTS",
        "a question, and none is asked",
    ),
    keep(
        "WRANGLER_DISABLE_SUBDOMAIN_MIXED_STATE_CHECK",
        "a question, and none is asked",
    ),
    keep(
        "WORKERS_CI_BRANCH",
        "the name of a public alias, and none is made",
    ),
    unused("CLOUDFLARE_AUTH_USE_KEYRING", "login"),
    unused("CLOUDFLARE_CF_AUTH", "remote bindings of `dev`"),
    unused("CLOUDFLARE_CLIENT_ID", "login"),
    unused("WRANGLER_AUTH_DOMAIN", "login"),
    unused("WRANGLER_AUTH_URL", "login"),
    unused("WRANGLER_CLIENT_ID", "login"),
    unused("WRANGLER_REVOKE_URL", "login"),
    unused("WRANGLER_TOKEN_URL", "login"),
    unused(
        "CLOUDFLARE_INCLUDE_PROCESS_ENV",
        "values for `dev` and `types`",
    ),
    unused(
        "CLOUDFLARE_LOAD_DEV_VARS_FROM_DOT_ENV",
        "values for `dev` and `types`",
    ),
    unused("CLOUDFLARE_PREVIEW_BUILD", "`build`"),
    unused("CF_PAGES_UPLOAD_JWT", "Pages"),
    unused("PAGES_ENVIRONMENT", "Pages"),
    unused("WRANGLER_BASIN_SQL_AUTH_TOKEN", "`basin`"),
    unused("WRANGLER_R2_SQL_AUTH_TOKEN", "`r2 sql`"),
    unused("WRANGLER_C3_COMMAND", "`init`"),
    unused("WRANGLER_CI_DISABLE_CONFIG_WATCHING", "`dev`"),
    unused(
        "WRANGLER_CI_OVERRIDE_NETWORK_MODE_HOST",
        "builds of container images",
    ),
    unused("WRANGLER_D1_EXTRA_LOCATION_CHOICES", "`d1 create`"),
    unused("WRANGLER_DISABLE_REQUEST_BODY_DRAINING", "`dev`"),
    unused("WRANGLER_HTTPS_CERT_PATH", "`dev`"),
    unused("WRANGLER_HTTPS_KEY_PATH", "`dev`"),
    unused("WRANGLER_REGISTRY_PATH", "`dev`"),
    unused("X_BROWSER_HEADFUL", "`dev`"),
    unused("X_LOCAL_EXPLORER", "`dev`"),
    unused("X_LOCAL_OBSERVABILITY", "`dev`"),
];

impl Variable {
    /// Its names.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        std::iter::once(self.name).chain(self.old_name)
    }
}

/// The names that a call sets or clears.
pub(super) fn decided() -> impl Iterator<Item = &'static str> {
    VARIABLES
        .iter()
        .filter(|variable| matches!(variable.rule, Rule::Set(_) | Rule::Clear))
        .flat_map(Variable::names)
}

/// The names that say where a version goes, and what says it instead.
pub(super) fn told() -> [(&'static str, &'static str); 2] {
    [
        (
            "CLOUDFLARE_ENV",
            "`env` of a worker in pipeline.toml names the environment that ships",
        ),
        (
            "WRANGLER_CI_OVERRIDE_NAME",
            "the wrangler config names the script",
        ),
    ]
}
