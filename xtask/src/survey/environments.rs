//! Which named environment of a worker ships. wrangler takes the top level unless told otherwise; a repo that has an
//! environment called `production` tells.

use serde::Serialize;

/// Names that mean production, the likeliest first.
const PRODUCTION: [&str; 5] = ["production", "prod", "live", "prd", "main"];

/// The environment that ships.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Chosen {
    /// Its name; none for the top level.
    pub env: Option<String>,
    /// Why, as a sentence without a final full stop; empty when there was no choice.
    pub why: String,
}

/// Chooses among what a config offers. `named`: the top level has a `name`. `scripts` are the command lines of
/// package.json.
pub(super) fn choose<'s>(
    environments: &[String],
    named: bool,
    scripts: impl Iterator<Item = &'s str>,
) -> Result<Chosen, String> {
    let chosen = |env: Option<&str>, why: String| {
        Ok(Chosen {
            env: env.map(str::to_owned),
            why,
        })
    };
    if environments.is_empty() {
        return chosen(None, String::new());
    }
    let deployed: Vec<Option<String>> = scripts.filter_map(deployed_environment).collect();
    let is_known = |env: &&str| environments.iter().any(|other| other == env);
    let production = PRODUCTION.into_iter().find(|env| is_known(env));
    let is_deployed = |env: &str| deployed.iter().any(|other| other.as_deref() == Some(env));
    if let Some(env) = production {
        if named && deployed.contains(&None) && !is_deployed(env) {
            return chosen(
                None,
                format!("package.json deploys the top level, and never `env.{env}`"),
            );
        }
        return chosen(Some(env), format!("the config has an environment `{env}`"));
    }
    if named {
        let others = environments.join("`, `");
        return chosen(
            None,
            format!("of its environments, `{others}`, none says it is production"),
        );
    }
    match environments {
        [only] => chosen(
            Some(only),
            "it is the only one, and the top level has no `name`".to_owned(),
        ),
        _ => Err(format!(
            "the top level has no `name`, and of its environments (`{}`) none says it is production",
            environments.join("`, `")
        )),
    }
}

/// The environment a command line deploys to: `wrangler deploy --env staging`. The inner `None` is the top level.
fn deployed_environment(line: &str) -> Option<Option<String>> {
    let at = [
        "wrangler deploy",
        "wrangler publish",
        "wrangler versions upload",
    ]
    .iter()
    .find_map(|verb| Some(line.find(verb)? + verb.len()))?;
    let command = line[at..].split(['&', ';', '|']).next().unwrap_or_default();
    let mut words = command.split_whitespace();
    if command.contains("--dry-run") {
        return None;
    }
    while let Some(word) = words.next() {
        if let Some(env) = word
            .strip_prefix("--env=")
            .or_else(|| word.strip_prefix("-e="))
        {
            return Some(Some(env.to_owned()).filter(|env| !env.is_empty()));
        }
        if matches!(word, "--env" | "-e") {
            return Some(words.next().map(str::to_owned));
        }
    }
    Some(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(environments: &[&str], named: bool, scripts: &[&str], expected: &str) {
        let environments: Vec<String> = environments.iter().map(|e| (*e).to_owned()).collect();
        let text = match choose(&environments, named, scripts.iter().copied()) {
            Ok(Chosen { env, why }) => format!("{}: {why}", env.unwrap_or_default()),
            Err(why) => format!("left out: {why}"),
        };
        assert_eq!(text, expected);
    }

    #[test]
    fn production_ships_unless_the_scripts_say_otherwise() {
        check(&[], true, &[], ": ");
        check(
            &["staging", "production"],
            true,
            &[],
            "production: the config has an environment `production`",
        );
        check(
            &["staging", "prod"],
            false,
            &["wrangler deploy"],
            "prod: the config has an environment `prod`",
        );
        check(
            &["production"],
            true,
            &[
                "vite build && wrangler deploy",
                "wrangler deploy --env staging",
            ],
            ": package.json deploys the top level, and never `env.production`",
        );
        check(
            &["production"],
            true,
            &["wrangler deploy", "wrangler deploy --env=production"],
            "production: the config has an environment `production`",
        );
        check(
            &["production"],
            true,
            &["wrangler deploy --dry-run --outdir dist"],
            "production: the config has an environment `production`",
        );
    }

    #[test]
    fn without_a_production_the_top_level_ships_if_it_can() {
        check(
            &["staging", "dev"],
            true,
            &[],
            ": of its environments, `staging`, `dev`, none says it is production",
        );
        check(
            &["eu"],
            false,
            &[],
            "eu: it is the only one, and the top level has no `name`",
        );
        check(
            &["eu", "us"],
            false,
            &[],
            "left out: the top level has no `name`, and of its environments (`eu`, `us`) none says it is production",
        );
    }
}
