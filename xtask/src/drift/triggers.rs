//! What calls a worker, compared. What a config leaves out stays as it is live, so there only the record can tell a change.

use std::collections::BTreeSet;

use super::{Difference, Kind, Origin, Subject};
use crate::live::Triggers;

/// The members of one kind.
type Part = fn(&Triggers) -> BTreeSet<String>;

impl Subject<'_> {
    pub(super) fn triggers(&self) -> Vec<Difference> {
        let live = &self.live.triggers;
        let wanted = Triggers::wanted(&self.worker.config, live);
        let released = self.recorded_triggers();
        let mut found = Vec::new();
        let routes = |triggers: &Triggers| triggers.routes.keys().cloned().collect();
        let config = &self.worker.config;
        let has_routes = config.routes.iter().any(|route| !route.custom_domain);
        let has_domains = config.routes.iter().any(|route| route.custom_domain);
        let parts: [(Kind, bool, Part); 3] = [
            (Kind::Route, has_routes, routes),
            (Kind::Domain, has_domains, |triggers| {
                triggers.domains.clone()
            }),
            (Kind::Cron, config.crons.is_some(), |triggers| {
                triggers.crons.clone()
            }),
        ];
        for (kind, says, part) in parts {
            let released = released.map(part);
            let live = part(live);
            // What the config says nothing of is compared with what the release left.
            let wanted = match (says, &released) {
                (true, _) => part(&wanted),
                (false, Some(released)) => released.clone(),
                (false, None) => continue,
            };
            found.extend(self.set(kind, says, &wanted, &live, released.as_ref()));
        }
        found.extend(self.address(&wanted, released));
        found
    }

    /// The differences of one set, each by itself.
    fn set(
        &self,
        kind: Kind,
        says: bool,
        wanted: &BTreeSet<String>,
        live: &BTreeSet<String>,
        released: Option<&BTreeSet<String>>,
    ) -> Vec<Difference> {
        let differing = wanted.symmetric_difference(live);
        differing
            .map(|name| {
                let is_live = live.contains(name);
                let was = released.map(|released| released.contains(name));
                let mut difference =
                    self.made(kind, name.clone(), self.origin(was.as_ref(), &is_live));
                let asked = match says {
                    true => "asked for",
                    false => "set at the release",
                };
                difference.repo = wanted.contains(name).then(|| asked.to_owned());
                difference.live = is_live.then(|| "set".to_owned());
                difference
            })
            .collect()
    }

    /// The two switches of workers.dev.
    fn address(&self, wanted: &Triggers, released: Option<&Triggers>) -> Vec<Difference> {
        let live = &self.live.triggers;
        let says_previews = self.worker.config.preview_urls.is_some();
        let previews = match (says_previews, released) {
            (false, Some(released)) => released.previews,
            _ => wanted.previews,
        };
        let switches = [
            (
                "workers.dev",
                wanted.workers_dev,
                live.workers_dev,
                released.map(|it| it.workers_dev),
            ),
            (
                "preview URLs",
                previews,
                live.previews,
                released.map(|it| it.previews),
            ),
        ];
        let word = |on: bool| Some(if on { "on" } else { "off" }.to_owned());
        let differing = switches
            .into_iter()
            .filter(|(_, wanted, live, _)| wanted != live);
        differing
            .map(|(name, wanted, live, released)| {
                let origin: Origin = self.origin(released.as_ref(), &live);
                let mut difference = self.made(Kind::Address, name, origin);
                difference.repo = word(wanted);
                difference.live = word(live);
                difference
            })
            .collect()
    }
}
