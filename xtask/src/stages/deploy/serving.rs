//! What a worker serves at the end of a run that failed, as the cloud says: the table at its end shows that, not what was
//! meant. For `deploy` and `rollback` alike.

use crate::live::{self, Triggers};
use crate::stages::deploy::part::Part;
use crate::stages::deploy::release::short;
use crate::tools::cloudflare::Cloudflare;

/// What one worker serves now.
#[derive(Debug, Default)]
pub struct Serving {
    /// The versions that get traffic, with their shares; `None` when that cannot be read.
    split: Option<Vec<(String, u8)>>,
    /// What calls it; `None` when it was not asked for, or cannot be read.
    triggers: Option<Triggers>,
}

/// Asks for all parts at once, in their order. `part_way`: for what calls them, too, as that may differ by then.
pub fn look(cloud: &Cloudflare, parts: &[Part<'_>], part_way: bool) -> Vec<Serving> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = parts
            .iter()
            .map(|part| scope.spawn(move || Serving::read(cloud, part.script(), part_way)))
            .collect();
        let answers = threads.into_iter().map(|thread| thread.join());
        answers
            .map(|answer| answer.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

impl Serving {
    fn read(cloud: &Cloudflare, script: &str, part_way: bool) -> Serving {
        let all = part_way.then(|| live::read_all(cloud, &[script.to_owned()]));
        if let Some(live) = all.and_then(Result::ok).and_then(|mut all| all.pop()) {
            return Serving::new(Some(live.split), Some(live.triggers));
        }
        Serving::new(live::read_split(cloud, script).ok(), None)
    }

    fn new(split: Option<Vec<(String, u8)>>, triggers: Option<Triggers>) -> Serving {
        let with_traffic = |mut split: Vec<(String, u8)>| {
            split.retain(|(_, share)| *share > 0);
            split
        };
        Serving {
            split: split.map(with_traffic),
            triggers,
        }
    }

    /// The version, or the shares of several.
    pub fn shown(&self) -> String {
        match self.split.as_deref() {
            None | Some([]) => "-".to_owned(),
            Some([(only, _)]) => short(only).to_owned(),
            Some(several) => shares(several),
        }
    }

    /// How that compares with what served before and with what was meant to serve, for which there is a word.
    pub fn change(
        &self,
        before: Option<&str>,
        meant: Option<&str>,
        word: &'static str,
    ) -> &'static str {
        let now = match self.split.as_deref() {
            None => return "not known",
            Some([]) => None,
            Some([(only, _)]) => Some(only.as_str()),
            Some(_) => return "half-way",
        };
        match (now == before, now == meant) {
            (true, true) => "unchanged",
            (true, false) => "as before",
            (false, true) => word,
            (false, false) => "another one",
        }
    }

    /// What calls it: as read, or else as it is with what serves.
    pub fn triggers<'t>(&'t self, part: &'t Part<'_>) -> &'t Triggers {
        let meant = matches!(self.split.as_deref(), Some([(only, _)])
            if Some(only) == part.version.as_ref() && Some(only) != part.base.as_ref());
        match (&self.triggers, meant) {
            (Some(triggers), _) => triggers,
            (None, true) => &part.wanted,
            (None, false) => part.triggers_before(),
        }
    }
}

/// `1a2b3c4d at 10 % and 5e6f7a8b at 90 %`.
pub fn shares(split: &[(String, u8)]) -> String {
    let shares: Vec<String> = split
        .iter()
        .map(|(id, share)| format!("{} at {share} %", short(id)))
        .collect();
    shares.join(" and ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_serves_is_told_by_what_served_and_what_was_meant() {
        let told = |split: Option<&[(&str, u8)]>, before, meant| {
            let own = |(id, share): &(&str, u8)| ((*id).to_owned(), *share);
            let split = split.map(|split| split.iter().map(own).collect());
            let serving = Serving::new(split, None);
            format!(
                "{}: {}",
                serving.shown(),
                serving.change(before, meant, "uploaded")
            )
        };
        let (old, new) = (Some("old"), Some("new"));
        // A version without traffic serves nobody.
        let staged: &[(&str, u8)] = &[("new", 0), ("old", 100)];
        assert_eq!(told(Some(staged), old, new), "old: as before");
        assert_eq!(told(Some(&[("new", 100)]), old, new), "new: uploaded");
        assert_eq!(told(Some(&[("old", 100)]), old, old), "old: unchanged");
        assert_eq!(told(Some(&[("x", 100)]), old, new), "x: another one");
        let canary: &[(&str, u8)] = &[("new", 10), ("old", 90)];
        let half = "new at 10 % and old at 90 %: half-way";
        assert_eq!(told(Some(canary), old, new), half);
        assert_eq!(told(Some(&[]), None, new), "-: as before");
        assert_eq!(told(None, old, new), "-: not known");
    }
}
