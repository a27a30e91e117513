//! What belongs to a worker and to none of its versions, as it is live and as a config asks for it: addresses, routes, domains,
//! crons, and how it is observed. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Settings;
use crate::config::WranglerConfig;

/// What belongs to a worker and to none of its versions: what calls it, apart from other workers, and how it is observed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Triggers {
    /// Whether `<worker>.<subdomain>.workers.dev` answers.
    pub workers_dev: bool,
    /// Whether preview URLs of versions answer.
    pub previews: bool,
    /// Cron expressions.
    pub crons: BTreeSet<String>,
    /// Route pattern → zone name, when known.
    pub routes: BTreeMap<String, Option<String>>,
    /// Custom domains.
    pub domains: BTreeSet<String>,
    /// How it is observed. Records of older releases do not tell.
    #[serde(default)]
    pub settings: Settings,
}

impl Triggers {
    /// True when these are as `wanted`: nothing would have to be set. What is not known of the settings is not compared.
    pub fn are_as(&self, wanted: &Triggers) -> bool {
        let settings = Settings::default();
        let calls = |triggers: &Triggers| Triggers {
            settings: settings.clone(),
            ..triggers.clone()
        };
        calls(self) == calls(wanted) && self.settings.missing(&wanted.settings).is_empty()
    }

    /// What called a worker before an interrupted release began to set `wanted`: what is live, except where that is as
    /// wanted already and the last record says otherwise.
    #[must_use]
    pub fn before_interrupted(recorded: &Triggers, live: &Triggers, wanted: &Triggers) -> Triggers {
        let mut before = live.clone();
        if (live.workers_dev, live.previews) == (wanted.workers_dev, wanted.previews) {
            (before.workers_dev, before.previews) = (recorded.workers_dev, recorded.previews);
        }
        if live.crons == wanted.crons {
            before.crons.clone_from(&recorded.crons);
        }
        if live.routes == wanted.routes {
            before.routes.clone_from(&recorded.routes);
        }
        if live.domains == wanted.domains {
            before.domains.clone_from(&recorded.domains);
        }
        let (recorded, wanted) = (&recorded.settings, &wanted.settings);
        before.settings = Settings::before_interrupted(recorded, &live.settings, wanted);
        before
    }

    /// What a wrangler config asks for. Like wrangler, it says nothing of routes and crons that the config leaves out:
    /// those stay as they are live.
    pub fn wanted(config: &WranglerConfig, live: &Triggers) -> Triggers {
        let (domains, routes): (Vec<_>, Vec<_>) =
            config.routes.iter().partition(|route| route.custom_domain);
        // wrangler: `workers_dev` defaults to true only when there are no routes.
        let workers_dev = config.workers_dev.unwrap_or(config.routes.is_empty());
        Triggers {
            workers_dev,
            previews: config.preview_urls.unwrap_or(live.previews),
            crons: match &config.crons {
                Some(crons) => crons.iter().cloned().collect(),
                None => live.crons.clone(),
            },
            routes: if routes.is_empty() {
                live.routes.clone()
            } else {
                routes
                    .iter()
                    .map(|route| (route.pattern.clone(), route.zone_name.clone()))
                    .collect()
            },
            domains: if domains.is_empty() {
                live.domains.clone()
            } else {
                domains.iter().map(|route| route.pattern.clone()).collect()
            },
            settings: Settings::wanted(config, &live.settings),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interrupted_release_goes_back_to_the_recorded_triggers() {
        let with = |cron: &str, domain: &str| Triggers {
            crons: BTreeSet::from([cron.to_owned()]),
            domains: BTreeSet::from([domain.to_owned()]),
            ..Triggers::default()
        };
        let (recorded, wanted) = (with("0 6 * * *", "old"), with("0 7 * * *", "new"));
        // The crons were set, the domains were changed by somebody else.
        let live = with("0 7 * * *", "other");
        assert_eq!(
            Triggers::before_interrupted(&recorded, &live, &wanted),
            with("0 6 * * *", "other")
        );
    }
}
