//! Whether a Durable Object migration lies between what serves and what shall serve. Reads only.

use crate::stages::deploy::part::Part;
use crate::stages::rollback::check::Tags;
use crate::tools::cloudflare::{Cloudflare, encode};

/// The Durable Object migration tags of what serves and of what shall serve, where they differ.
pub fn tags(cloud: &Cloudflare, parts: &[Part<'_>]) -> anyhow::Result<Tags> {
    let mut asked = Vec::new();
    let mut paths = Vec::new();
    for part in parts
        .iter()
        .filter(|part| part.live.migration_tag.is_some())
    {
        let ids = part.live.serving().zip(part.version.as_deref());
        if let Some((now, then)) = ids.filter(|(now, then)| now != then) {
            asked.push(part.name().to_owned());
            for id in [now, then] {
                paths.push(cloud.script(part.script(), &format!("/versions/{}", encode(id))));
            }
        }
    }
    let mut answers = cloud.read_all(&paths)?.into_iter();
    let mut tag = || {
        // Whether a version is there at all is told by the list of versions.
        let version = answers.next()?.ok()?;
        let tag = version["resources"]["script_runtime"]["migration_tag"].as_str();
        Some(tag.unwrap_or_default().to_owned())
    };
    let mut tags = Tags::new();
    for worker in asked {
        let (now, then) = (tag(), tag());
        let crossed = now
            .zip(then)
            .filter(|(now, then)| !now.is_empty() && now != then);
        tags.extend(crossed.map(|crossed| (worker, crossed)));
    }
    Ok(tags)
}
