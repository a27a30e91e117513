//! Checks that need more than one file: targets that exist, ids that agree, names that are used once. Every check takes
//! time in proportion to what it looks at; none shows a value that could be secret.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::{Worker, layouts};
use crate::config::{Pipeline, Place, Problems, names, suggest};

/// What the checks look at.
struct Checks<'a> {
    /// `pipeline.toml`.
    file: &'a Path,
    pipeline: &'a Pipeline,
    workers: &'a [Worker],
    problems: &'a mut Problems,
}

/// Runs every check. `complete`: all workers could be read, so a target that is not among them does not exist.
pub(super) fn check(
    file: &Path,
    pipeline: &Pipeline,
    workers: &[Worker],
    complete: bool,
    problems: &mut Problems,
) {
    let mut checks = Checks {
        file,
        pipeline,
        workers,
        problems,
    };
    checks.used_once();
    checks.one_account();
    checks.ids();
    checks.parity();
    layouts::check_names(workers, checks.problems);
    checks.secrets();
    checks.shipping();
    if complete {
        checks.targets();
        checks.databases();
    }
}

impl Checks<'_> {
    /// A place as it is mentioned in a message about another place.
    fn shown(&self, worker: &Worker, place: Place) -> String {
        let path = self.problems.relative(&worker.config_path);
        format!("{}:{}:{}", path.display(), place.line, place.col)
    }

    fn entry_of(&self, worker: &Worker) -> Option<&crate::config::WorkerEntry> {
        let entries = &self.pipeline.workers;
        entries
            .iter()
            .find(|(name, _)| *name == worker.name)
            .map(|(_, entry)| entry)
    }

    /// A config that ships twice, a script name or a route that two workers want.
    fn used_once(&mut self) {
        let entries: HashMap<&str, Place> = self
            .pipeline
            .workers
            .iter()
            .map(|(name, entry)| (name.as_str(), entry.path_at))
            .collect();
        let mut configs: HashMap<(&Path, Option<&str>), &str> = HashMap::new();
        let mut scripts: HashMap<&str, &Worker> = HashMap::new();
        let mut routes: HashMap<&str, (&Worker, Place)> = HashMap::new();
        for worker in self.workers {
            let key = (worker.config_path.as_path(), worker.env_name.as_deref());
            if let Some(other) = configs.insert(key, &worker.name) {
                let place = entries
                    .get(worker.name.as_str())
                    .copied()
                    .unwrap_or_default();
                let message = format!(
                    "`{}` and `{other}` ship the same wrangler config",
                    worker.name
                );
                self.problems.error(self.file, place, message);
                continue;
            }
            if let Some(other) = scripts.insert(&worker.config.name, worker) {
                let message = format!(
                    "the script name `{}` is taken by `{}` ({})",
                    worker.config.name,
                    other.name,
                    self.shown(other, other.config.name_at)
                );
                self.problems
                    .error(&worker.config_path, worker.config.name_at, message);
            }
            for route in &worker.config.routes {
                if let Some((other, at)) = routes.insert(&route.pattern, (worker, route.at)) {
                    let message = format!(
                        "the route `{}` is taken by {}",
                        route.pattern,
                        self.shown(other, at)
                    );
                    self.problems.error(&worker.config_path, route.at, message);
                }
            }
        }
    }

    /// A release goes to one account.
    fn one_account(&mut self) {
        let wanted = self.pipeline.cloudflare.account_id.clone();
        let mut first = wanted.map(|id| (id, "pipeline.toml".to_owned()));
        for worker in self.workers {
            let Some(id) = &worker.config.account_id else {
                continue;
            };
            match &first {
                Some((wanted, source)) if wanted != id => {
                    let message = format!(
                        "`account_id` differs from the one in {source}; a release goes to one account"
                    );
                    self.problems
                        .error(&worker.config_path, worker.config.account_id_at, message);
                }
                Some(_) => {}
                None => {
                    let path = self.problems.relative(&worker.config_path);
                    first = Some((id.clone(), path.display().to_string()));
                }
            }
        }
    }

    /// Ids that cannot be real: wrangler would create a new resource, or Cloudflare would refuse at the very end.
    fn ids(&mut self) {
        for worker in self.workers {
            let bindings = &worker.config.bindings;
            let d1 = bindings.d1.iter().map(|d1| {
                let why = d1.database_id.as_deref().map(names::database_id_mistake);
                (&d1.binding, "database_id", why, d1.at, "wrangler d1 list")
            });
            let kv = bindings.kv.iter().map(|kv| {
                let why = kv.id.as_deref().map(names::hex_id_mistake);
                (&kv.binding, "id", why, kv.at, "wrangler kv namespace list")
            });
            let r2 = bindings.r2.iter().map(|r2| {
                let why = r2.bucket_name.as_deref().map(names::bucket_name_mistake);
                (
                    &r2.binding,
                    "bucket_name",
                    why,
                    r2.at,
                    "wrangler r2 bucket list",
                )
            });
            for (binding, key, why, at, list) in d1.chain(kv).chain(r2) {
                let why = match why {
                    None => "is missing, so a new one would be created",
                    Some(None) => continue,
                    Some(Some(why)) => why,
                };
                let message = format!("`{key}` of the binding `{binding}` {why}");
                let fix = format!("`{list}` shows the ones there are");
                self.problems
                    .error_with_fix(&worker.config_path, at, message, fix);
            }
        }
    }

    /// The same database, namespace or bucket must be the same one in every worker.
    fn parity(&mut self) {
        let separate: HashSet<&str> = self
            .pipeline
            .separate_bindings
            .iter()
            .map(String::as_str)
            .collect();
        let mut first: HashMap<(&str, &str), (&str, &Worker, Place)> = HashMap::new();
        for worker in self.workers {
            let bindings = &worker.config.bindings;
            let d1 = bindings.d1.iter().filter_map(|d1| {
                Some((
                    "database",
                    d1.database_name.as_deref()?,
                    d1.database_id.as_deref()?,
                    d1.at,
                ))
            });
            let kv = bindings.kv.iter().filter_map(|kv| {
                Some(("KV binding", kv.binding.as_str(), kv.id.as_deref()?, kv.at))
            });
            let r2 = bindings.r2.iter().filter_map(|r2| {
                Some((
                    "R2 binding",
                    r2.binding.as_str(),
                    r2.bucket_name.as_deref()?,
                    r2.at,
                ))
            });
            for (kind, name, id, at) in d1.chain(kv).chain(r2) {
                let known = *first.entry((kind, name)).or_insert((id, worker, at));
                let (known_id, other, other_at) = known;
                let is_binding = kind != "database";
                if known_id == id || (is_binding && separate.contains(name)) {
                    continue;
                }
                let message = format!(
                    "the {kind} `{name}` is another one than in {}",
                    self.shown(other, other_at)
                );
                let fix = if is_binding {
                    format!(
                        "use the same one, or say `separate_bindings = [\"{name}\"]` in pipeline.toml"
                    )
                } else {
                    "use the same `database_id`".to_owned()
                };
                self.problems.parity(&worker.config_path, at, message, fix);
            }
        }
    }

    /// A secret that is also a plain variable would be readable by everyone; Cloudflare refuses the pair.
    fn secrets(&mut self) {
        for worker in self.workers {
            let bindings = &worker.config.bindings;
            let vars: HashSet<&str> = bindings
                .vars
                .iter()
                .map(|(name, _)| name.as_str())
                .collect();
            for secret in worker
                .secrets
                .iter()
                .filter(|secret| vars.contains(secret.as_str()))
            {
                let place = self.entry_of(worker).and_then(|entry| {
                    let index = entry.secrets.iter().position(|name| name == secret)?;
                    entry.secrets_at.get(index).copied()
                });
                let shown = self.problems.relative(&worker.config_path);
                let message = format!(
                    "the secret `{secret}` is also in `vars` of {}",
                    shown.display()
                );
                let fix = "remove it from `vars`, and change its value if it was real";
                match place {
                    Some(place) => self.problems.error_with_fix(self.file, place, message, fix),
                    None => {
                        let path = &worker.config_path;
                        self.problems
                            .error_with_fix(path, worker.config.name_at, message, fix);
                    }
                }
            }
        }
    }

    /// What ships but may surprise.
    fn shipping(&mut self) {
        for worker in self.workers {
            let config = &worker.config;
            if config.compatibility_date.is_none() {
                let message =
                    "`compatibility_date` is missing; wrangler refuses a deploy without one";
                self.problems
                    .warning(&worker.config_path, config.name_at, message);
            }
            for (key, at, nearest) in &config.unknown {
                let message = format!(
                    "wrangler has no key `{key}`: it is ignored{}",
                    nearest.map_or(String::new(), |name| format!("; did you mean `{name}`?"))
                );
                self.problems.warning(&worker.config_path, *at, message);
            }
            for left_out in &config.unshipped {
                let allowed = self.pipeline.deploy.allow_missing.iter();
                let message = match allowed.into_iter().any(|key| key == left_out.key) {
                    true => format!("`{}` is left out: {}", left_out.key, left_out.why),
                    false => format!(
                        "`{}` is not shipped, so a deploy is refused: {}",
                        left_out.key, left_out.why
                    ),
                };
                self.problems
                    .warning(&worker.config_path, left_out.at, message);
            }
            let live = config.live_durable_classes();
            for object in &config.bindings.durable_objects {
                let own = object
                    .script_name
                    .as_ref()
                    .is_none_or(|script| *script == config.name);
                if own && !live.iter().any(|(class, _)| *class == object.class_name) {
                    let message = format!(
                        "no migration creates the Durable Object class `{}`; Cloudflare refuses it unless it exists already",
                        object.class_name
                    );
                    self.problems
                        .warning(&worker.config_path, object.at, message);
                }
            }
        }
    }

    /// Every worker that is bound to must be in the repo, or be declared as living elsewhere.
    fn targets(&mut self) {
        let mut known: HashSet<&str> = self
            .workers
            .iter()
            .map(|worker| worker.config.name.as_str())
            .collect();
        known.extend(self.pipeline.external_services.iter().map(String::as_str));
        for worker in self.workers {
            let bindings = &worker.config.bindings;
            let services = bindings.services.iter();
            let services = services.map(|service| {
                (
                    "services",
                    &service.binding,
                    service.service.as_str(),
                    service.at,
                )
            });
            let objects = bindings.durable_objects.iter();
            let objects = objects.filter_map(|object| {
                Some((
                    "durable_objects.bindings",
                    &object.name,
                    object.script_name.as_deref()?,
                    object.at,
                ))
            });
            for (key, binding, target, at) in services.chain(objects) {
                if known.contains(target) {
                    continue;
                }
                let message = format!(
                    "`{key}`: `{binding}` is bound to `{target}`, a worker this repo does not ship"
                );
                let fix = match self.likely_target(target) {
                    Some(name) => format!("did you mean `{name}`?"),
                    None => format!(
                        "add it to pipeline.toml, or say `external_services = [\"{target}\"]` there"
                    ),
                };
                self.problems
                    .error_with_fix(&worker.config_path, at, message, fix);
            }
        }
    }

    /// The script a wrong target most likely means: one whose environment was forgotten, a short name, or a slip.
    fn likely_target(&self, target: &str) -> Option<&str> {
        let scripts = || {
            self.workers
                .iter()
                .map(|worker| worker.config.name.as_str())
        };
        let of_environment = self.workers.iter().find(|worker| {
            let env = worker.env_name.as_deref().unwrap_or_default();
            worker.config.name == format!("{target}-{env}")
        });
        let short = || self.workers.iter().find(|worker| worker.name == target);
        let worker = of_environment.or_else(short);
        worker
            .map(|worker| worker.config.name.as_str())
            .or_else(|| suggest::nearest(target, scripts()))
    }

    /// Every database of `pipeline.toml` must be bound by a worker: its id comes from there.
    fn databases(&mut self) {
        let bound = self
            .workers
            .iter()
            .flat_map(|worker| &worker.config.bindings.d1);
        let bound: Vec<&str> = bound.filter_map(|d1| d1.database_name.as_deref()).collect();
        for database in &self.pipeline.databases {
            if !database.bound_by.is_empty() {
                layouts::check(database, self.workers, self.problems);
                continue;
            }
            let message = format!("no worker is bound to the database `{}`", database.name);
            let fix = match suggest::nearest(&database.name, bound.iter().copied()) {
                Some(name) => format!("did you mean `{name}`?"),
                None => "add it to `d1_databases` of a worker's wrangler config, with its `database_name`".to_owned(),
            };
            self.problems
                .error_with_fix(self.file, database.at, message, fix);
        }
    }
}
