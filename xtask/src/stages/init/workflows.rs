//! Which secrets the workflows hand over. The copied ones name those of the repo they come from. Pure; only whole lines of
//! the form the pipeline's own workflows have are touched.

/// The line that every step which talks to Cloudflare has.
const TOKEN: &str = "CLOUDFLARE_API_TOKEN: ${{ secrets.CLOUDFLARE_API_TOKEN }}";

/// A workflow with the secrets `names`, and for `main_branch`. `fresh`: the workflow was just copied, so secrets that are
/// none of the repo's are the other repo's, and go. None when it is no workflow that ships.
pub(super) fn rewritten(
    text: &str,
    names: &[String],
    main_branch: &str,
    fresh: bool,
) -> Option<String> {
    let ships = ["cargo xtask deploy", "cargo xtask preview"]
        .iter()
        .any(|call| text.contains(call));
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    if fresh && main_branch != "main" {
        for line in &mut lines {
            if line.trim_start().starts_with("push:") {
                *line = line.replace("branches: [main]", &format!("branches: [{main_branch}]"));
            }
        }
    }
    if ships {
        let token = lines.iter().position(|line| line.trim() == TOKEN)?;
        let indent =
            lines[token][..lines[token].len() - lines[token].trim_start().len()].to_owned();
        if fresh {
            lines.retain(|line| {
                named(line).is_none_or(|name| {
                    name == "CLOUDFLARE_API_TOKEN" || names.iter().any(|other| other == name)
                })
            });
        }
        let token = lines.iter().position(|line| line.trim() == TOKEN)?;
        let present: Vec<String> = lines
            .iter()
            .filter_map(|line| named(line))
            .map(str::to_owned)
            .collect();
        let mut at = token + 1;
        while lines.get(at).is_some_and(|line| named(line).is_some()) {
            at += 1;
        }
        for name in names.iter().filter(|name| !present.contains(name)) {
            lines.insert(at, format!("{indent}{name}: ${{{{ secrets.{name} }}}}"));
            at += 1;
        }
    }
    let end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let mut new = lines.join(end);
    if text.ends_with('\n') {
        new.push_str(end);
    }
    (new != text).then_some(new)
}

/// The secret that a line of the form `NAME: ${{ secrets.NAME }}` hands over.
fn named(line: &str) -> Option<&str> {
    let (name, value) = line.trim().split_once(": ")?;
    (value == format!("${{{{ secrets.{name} }}}}")).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEPLOY: &str = "on:\n  push: { branches: [main] }\njobs:\n  a:\n    - run: cargo xtask deploy\n      env:\n        CLOUDFLARE_API_TOKEN: ${{ secrets.CLOUDFLARE_API_TOKEN }}\n        ADMIN_KEY: ${{ secrets.ADMIN_KEY }}\n        SENTRY: ${{ secrets.SENTRY_TOKEN }}\n";

    #[test]
    fn a_copied_workflow_gets_this_repos_secrets_and_a_used_one_keeps_its_own() {
        let names = ["API_KEY".to_owned()];
        let fresh = rewritten(DEPLOY, &names, "trunk", true).expect("it changes");
        assert!(
            fresh.contains("branches: [trunk]") && !fresh.contains("ADMIN_KEY"),
            "{fresh}"
        );
        assert!(
            fresh.contains("TOKEN }}\n        API_KEY: ${{ secrets.API_KEY }}\n        SENTRY"),
            "{fresh}"
        );
        let later = rewritten(DEPLOY, &names, "trunk", false).expect("it changes");
        assert!(
            later.contains("ADMIN_KEY }}\n        API_KEY: ${{ secrets.API_KEY }}\n"),
            "{later}"
        );
        assert!(later.contains("branches: [main]"), "{later}");
        assert_eq!(rewritten(&later, &names, "trunk", false), None);
        assert_eq!(
            rewritten("run: cargo xtask ci\n", &names, "main", true),
            None
        );
    }
}
