//! The names and tags of a preview. A name alone is never enough to delete something: it says which preview something
//! would belong to, the tags (Workers) and markers (databases, namespaces, buckets) say that it does.

use std::collections::BTreeSet;

use crate::digest;

/// Cloudflare takes no longer name for a script or a bucket, and DNS no longer label.
const LENGTH_MAX: usize = 63;

/// Hex digits of the hash in a name that had to be shortened.
const HASH_LENGTH: usize = 8;

/// The tag every Worker of every preview carries.
pub const TAG: &str = "xtask-preview";

/// What the tags begin with that announce a preview's storage; hashes of its names follow.
const STORES_TAG: &str = "xtask-stores-";

/// So many hashes stand in one tag, as long as [`STORES_TAGS_MAX`] tags hold them all.
const STORES_PER_TAG: usize = 5;

/// Cloudflare takes eight tags for a Worker; the others have their uses.
const STORES_TAGS_MAX: usize = 3;

/// The table of a preview's database that says whose it is: `repo` (a [`repo_hash`]) and `preview` (a [`Key::suffix`]).
pub const MARKER_TABLE: &str = "xtask_preview";

/// The KV key that holds the [`marker`] of a preview's namespace.
pub const MARKER_KEY: &str = "xtask-preview";

/// Which preview.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// That of a pull request.
    Pr(u64),
    /// The one preview that belongs to no pull request.
    None,
}

impl Key {
    /// What the name of everything that belongs to the preview ends in.
    pub fn suffix(self) -> String {
        match self {
            Key::Pr(number) => format!("pr-{number}-preview"),
            Key::None => "preview".to_owned(),
        }
    }

    /// The preview as a person says it: `the preview of PR 7`.
    pub fn shown(self) -> String {
        match self {
            Key::Pr(number) => format!("the preview of PR {number}"),
            Key::None => "the preview".to_owned(),
        }
    }

    /// The tag of the Workers of this preview.
    pub fn tag(self) -> String {
        match self {
            Key::Pr(number) => format!("{TAG}-pr-{number}"),
            Key::None => format!("{TAG}-no-pr"),
        }
    }
}

/// The name of a Worker's preview. One that would be too long is shortened; a hash of the whole keeps it unique, and
/// the end stays as it is, so that the name still tells whose it is.
pub fn script(base: &str, key: Key) -> String {
    shortened(base, key)
}

/// The name of a preview's database, namespace or bucket. Only what every one of the three accepts: lowercase letters,
/// digits and dashes; a hash keeps names apart that would fall together by that.
pub fn resource(base: &str, key: Key) -> String {
    let plain = |c: char| match c.to_ascii_lowercase() {
        c @ ('a'..='z' | '0'..='9') => c,
        _ => '-',
    };
    let clean: String = base.chars().map(plain).collect();
    let clean = clean.trim_matches('-');
    if clean == base {
        return shortened(base, key);
    }
    let hash = hash_of(base, key);
    let kept = format!("{clean}-{hash}");
    shortened(kept.trim_start_matches('-'), key)
}

/// The title of a preview's KV namespace, made from production's id: configs know no title. `others` are the ids it must be
/// told apart from: one that begins alike makes the title longer.
pub fn namespace<'i>(
    project: &str,
    id: &str,
    key: Key,
    others: impl IntoIterator<Item = &'i str>,
) -> String {
    let short: String = id.chars().take(8).collect();
    let mut others = others.into_iter();
    let alike = others.any(|other| other != id && other.starts_with(&short));
    let shown = if alike { id } else { &short };
    resource(&format!("{project}-kv-{shown}"), key)
}

/// Which preview a name belongs to, by its end; `None` for every other name. Not a proof: see [`is_ours`].
pub fn parse(name: &str) -> Option<Key> {
    let base = name.strip_suffix("-preview")?;
    if base.is_empty() {
        return None;
    }
    let number = base.rsplit_once("-pr-").filter(|(base, digits)| {
        // `+7` and `07` are numbers, too, but never of our making.
        !base.is_empty()
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && !digits.starts_with('0')
    });
    match number.and_then(|(_, digits)| digits.parse().ok()) {
        Some(number) => Some(Key::Pr(number)),
        None => Some(Key::None),
    }
}

/// Tells repos on one account apart: 12 hex digits.
pub fn repo_hash(account: &str, project: &str) -> String {
    digest::text(&format!("{account}\n{project}"))[..12].to_owned()
}

/// The tags of a preview's Worker. `repo` is a [`repo_hash`].
pub fn tags(key: Key, repo: &str) -> Vec<String> {
    vec![TAG.to_owned(), key.tag(), format!("xtask-repo-{repo}")]
}

/// True when a Worker with these tags is of this preview of this repo.
pub fn is_ours<S: AsRef<str>>(tags: &[S], key: Key, repo: &str) -> bool {
    self::tags(key, repo)
        .iter()
        .all(|wanted| tags.iter().any(|tag| tag.as_ref() == wanted))
}

/// The tags that announce databases, namespaces and buckets by name, beside what other tags of the same Worker have announced
/// earlier. Storage can carry no tag itself and is made before it can be marked: its Workers say beforehand that it is theirs.
pub fn stores_tags<'n>(
    names: impl IntoIterator<Item = &'n String>,
    earlier: &[String],
) -> Vec<String> {
    let mut hashes: BTreeSet<String> = names.into_iter().map(|name| store_hash(name)).collect();
    hashes.extend(announced(earlier).map(str::to_owned));
    let hashes: Vec<String> = hashes.into_iter().collect();
    let per_tag = hashes.len().div_ceil(STORES_TAGS_MAX).max(STORES_PER_TAG);
    let tags = hashes.chunks(per_tag);
    tags.map(|hashes| format!("{STORES_TAG}{}", hashes.join("-")))
        .collect()
}

/// True when the tags of a Worker announce storage of this name.
pub fn announces<S: AsRef<str>>(tags: &[S], name: &str) -> bool {
    let hash = store_hash(name);
    announced(tags).any(|other| other == hash)
}

fn announced<S: AsRef<str>>(tags: &[S]) -> impl Iterator<Item = &str> {
    let hashes = tags
        .iter()
        .filter_map(|tag| tag.as_ref().strip_prefix(STORES_TAG));
    hashes.flat_map(|hashes| hashes.split('-'))
}

fn store_hash(name: &str) -> String {
    digest::text(name)[..HASH_LENGTH].to_owned()
}

/// The id of the rule for old objects that says whose a preview's bucket is.
pub fn rule(key: Key, repo: &str) -> String {
    format!("{TAG} {repo} {}", key.suffix())
}

/// True when a bucket's rule says whose preview's the bucket is.
pub fn is_rule(id: &str) -> bool {
    id.strip_prefix(TAG)
        .is_some_and(|rest| rest.starts_with(' '))
}

/// What stands in a preview's namespace under [`MARKER_KEY`].
pub fn marker(key: Key, repo: &str) -> String {
    serde_json::json!({"repo": repo, "preview": key.suffix()}).to_string()
}

/// True when a text is the [`marker`] of this preview of this repo, whatever else it says.
pub fn is_marker(text: &str, key: Key, repo: &str) -> bool {
    serde_json::from_str::<serde_json::Value>(text)
        .is_ok_and(|found| found["repo"] == repo && found["preview"] == key.suffix().as_str())
}

fn shortened(base: &str, key: Key) -> String {
    let suffix = key.suffix();
    let full = format!("{base}-{suffix}");
    if full.len() <= LENGTH_MAX {
        return full;
    }
    let hash = hash_of(base, key);
    let room = LENGTH_MAX - suffix.len() - hash.len() - 2;
    let mut end = room.min(base.len());
    while !base.is_char_boundary(end) {
        end -= 1;
    }
    let kept = base[..end].trim_end_matches(['-', '_']);
    format!("{kept}-{hash}-{suffix}")
}

fn hash_of(base: &str, key: Key) -> String {
    digest::text(&format!("{base}-{}", key.suffix()))[..HASH_LENGTH].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_its_preview_by_its_end() {
        assert_eq!(script("site", Key::Pr(7)), "site-pr-7-preview");
        assert_eq!(script("site", Key::None), "site-preview");
        for (name, key) in [
            ("site-pr-7-preview", Some(Key::Pr(7))),
            ("site-preview", Some(Key::None)),
            ("a-pr-1-pr-22-preview", Some(Key::Pr(22))),
            ("site-pr-07-preview", Some(Key::None)),
            ("site-pr-preview", Some(Key::None)),
            ("-pr-7-preview", Some(Key::None)),
            ("site-pr-99999999999999999999-preview", Some(Key::None)),
            ("-preview", None),
            ("preview", None),
            ("site", None),
            ("site-pr-7", None),
            ("site-previews", None),
        ] {
            assert_eq!(parse(name), key, "{name}");
        }
    }

    #[test]
    fn a_long_name_is_shortened_and_stays_its_own() {
        let long = "a".repeat(60);
        let name = script(&long, Key::Pr(1234));
        assert_eq!(name.len(), 63);
        assert_eq!(parse(&name), Some(Key::Pr(1234)));
        let other = script(&format!("{}b", "a".repeat(59)), Key::Pr(1234));
        assert_ne!(name, other, "the hash keeps them apart");
        assert_eq!(script(&"a".repeat(55), Key::None).len(), 63);
        assert!(script(&"a".repeat(56), Key::None).contains('-'));
        // A dash where it is cut is not doubled.
        let dashed = format!("{}-{}", "a".repeat(34), "b".repeat(30));
        assert!(!script(&dashed, Key::Pr(1_234_567)).contains("--"));
        for length in 1..=63 {
            for key in [Key::None, Key::Pr(1), Key::Pr(u64::MAX)] {
                let name = script(&"x".repeat(length), key);
                assert_eq!(crate::config::names::script_name_mistake(&name), None);
                assert_eq!(parse(&name), Some(key));
            }
        }
    }

    #[test]
    fn a_resource_has_a_name_that_a_bucket_may_have() {
        assert_eq!(resource("images", Key::Pr(7)), "images-pr-7-preview");
        let odd = resource("My_Data Base", Key::Pr(7));
        assert!(odd.starts_with("my-data-base-") && odd.ends_with("-pr-7-preview"));
        assert_ne!(resource("my-data-base", Key::Pr(7)), odd);
        assert_ne!(
            resource("my_data-base", Key::Pr(7)),
            resource("my-data_base", Key::Pr(7))
        );
        for base in ["größe", "-x-", "___", &"Z".repeat(80)] {
            let name = resource(base, Key::Pr(7));
            assert_eq!(
                crate::config::names::bucket_name_mistake(&name),
                None,
                "{name}"
            );
        }
    }

    #[test]
    fn tags_and_markers_tell_repos_and_previews_apart() {
        let (ours, theirs) = (repo_hash("acc", "shop"), repo_hash("acc", "blog"));
        assert_ne!(ours, theirs);
        assert!(is_ours(&tags(Key::Pr(7), &ours), Key::Pr(7), &ours));
        assert!(!is_ours(&tags(Key::Pr(7), &theirs), Key::Pr(7), &ours));
        assert!(!is_ours(&tags(Key::Pr(8), &ours), Key::Pr(7), &ours));
        assert!(!is_ours(&tags(Key::None, &ours), Key::Pr(7), &ours));
        assert!(is_marker(&marker(Key::Pr(7), &ours), Key::Pr(7), &ours));
        assert!(!is_marker(&marker(Key::Pr(7), &ours), Key::Pr(70), &ours));
        assert!(!is_marker("{}", Key::Pr(7), &ours));
        assert!(
            is_rule(&rule(Key::Pr(7), &ours))
                && rule(Key::Pr(7), &ours) != rule(Key::Pr(7), &theirs)
        );
        assert!(!is_rule("Default Multipart Abort Rule") && !is_rule("xtask-previews"));
    }

    #[test]
    fn storage_is_announced_by_name_and_never_forgotten() {
        let names = |range: std::ops::Range<usize>| -> Vec<String> {
            range.map(|n| format!("db{n}-pr-7-preview")).collect()
        };
        let first = stores_tags(&names(0..3), &tags(Key::Pr(7), "repo"));
        assert_eq!(first.len(), 1);
        assert!(first[0].len() <= 63, "{first:?}");
        assert!(announces(&first, "db2-pr-7-preview"));
        assert!(!announces(&first, "db3-pr-7-preview") && !announces(&first, ""));
        // A later commit of the pull request has other storage.
        let second = stores_tags(&names(3..4), &first);
        assert!(announces(&second, "db0-pr-7-preview") && announces(&second, "db3-pr-7-preview"));
        assert_eq!(stores_tags(&names(0..4), &second), second);
        assert_eq!(stores_tags(&[], &[]), [""; 0]);
        let many = stores_tags(&names(0..100), &[]);
        assert!(many.len() <= STORES_TAGS_MAX);
        assert!(names(0..100).iter().all(|name| announces(&many, name)));
    }
}
