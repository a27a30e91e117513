//! What a change of secrets is going to do: names only. Pure.

use super::STAGE;
use super::change::{Change, How};
use super::setter::names_of;
use crate::plan::{Action, Plan, Step};

impl Change<'_> {
    /// What would be done, as `--dry-run` shows it. Names only.
    pub fn plan(&self) -> Plan {
        let mut plan = match self.terms.how {
            How::Bulk => self.sets(),
            How::Together | How::Staged => self.versions(),
        };
        if self.terms.how == How::Together {
            let made: Vec<String> = plan.steps.iter().map(|step| step.id.clone()).collect();
            for part in &self.parts {
                let name = part.name();
                let task = Action::Task {
                    name: format!("promote {name}"),
                };
                let goal = format!("try that version of {name}, then give it all of the traffic");
                let step = Step::new("promote", format!("promote {name}"), goal, task);
                plan.push(step.worker(name).needs(made.clone()));
            }
        }
        plan.notes.extend(self.notes());
        plan
    }

    /// A version of each worker, which nobody is sent to.
    pub(super) fn versions(&self) -> Plan {
        self.each("version", |name, secrets| {
            format!("make a version of {name} with the new {secrets}, without traffic")
        })
    }

    /// One request for each worker.
    pub(super) fn sets(&self) -> Plan {
        self.each("set", |name, secrets| {
            format!("set {secrets} of {name}, live at once")
        })
    }

    fn each(&self, verb: &str, goal: impl Fn(&str, &str) -> String) -> Plan {
        let mut plan = Plan::new(STAGE);
        for part in &self.parts {
            let id = format!("{verb} {}", part.name());
            let secrets = names_of(part.worker, self.values).join(", ");
            let goal = goal(part.name(), &secrets);
            let task = Action::Task { name: id.clone() };
            plan.push(Step::new("secrets", id, goal, task).worker(part.name()));
        }
        plan
    }
}
