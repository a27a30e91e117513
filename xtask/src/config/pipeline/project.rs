//! `[project]`: what the whole is called, where releases come from, and what time it is for its people.

use std::path::Path;

use crate::config::keys::{Key, Kind, Table};
use crate::config::section::Section;
use crate::zone::Zone;

/// `[project]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Project {
    /// Shown in reports, and part of names.
    pub name: String,
    /// The branch releases come from.
    pub main_branch: String,
    /// The time zone of the people: times of crons are shown in it, too.
    pub time_zone: String,
}

/// The branch releases come from, when no key says.
const MAIN_BRANCH: &str = "main";
/// The time zone of Kiamichi.
const TIME_ZONE: &str = "America/Chicago";

/// The keys of `[project]`.
pub(super) fn keys() -> Table {
    Table::new("project", "What the repo is called, where releases come from, and what time it is for its people.").keys([
        Key::new(
            "name",
            Kind::TEXT,
            "The project's name. Previews carry it, so that two repos in one account never touch each other's",
        )
        .default_in_words("the name of the repo's folder")
        .example("\"my-project\""),
        Key::new(
            "main_branch",
            Kind::TEXT,
            "`deploy` refuses a commit that is on neither this branch nor `origin`'s (see `--allow-dirty`)",
        )
        .default(MAIN_BRANCH),
        Key::new(
            "time_zone",
            Kind::TEXT,
            "The time zone of the people, by its name in the tz database: `crons` shows local times, too",
        )
        .default(TIME_ZONE),
    ])
}

pub(super) fn read(root: &Path, file: &Section<'_>) -> Project {
    let section = file.section("project");
    let text = |key: &str| section.as_ref().and_then(|section| section.text(key));
    let folder = root
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    let project = Project {
        name: text("name")
            .or(folder)
            .unwrap_or_else(|| "project".to_owned()),
        main_branch: text("main_branch").unwrap_or_else(|| MAIN_BRANCH.to_owned()),
        time_zone: section
            .as_ref()
            .and_then(time_zone)
            .unwrap_or_else(|| TIME_ZONE.to_owned()),
    };
    if let Some(section) = section {
        section.reject_unknown();
    }
    project
}

/// The name of a time zone that there is.
fn time_zone(section: &Section<'_>) -> Option<String> {
    let name = section.text("time_zone")?;
    if let Some(zone) = Zone::find(&name) {
        return Some(zone.name().to_owned());
    }
    let message = format!("there is no time zone `{name}`");
    let fix = match Zone::nearest(&name) {
        Some(name) => format!("did you mean `{name}`?"),
        None => "use a name such as `America/Chicago` or `Europe/Berlin`".to_owned(),
    };
    section
        .notes
        .error_with_fix(section.at("time_zone"), message, fix);
    None
}
