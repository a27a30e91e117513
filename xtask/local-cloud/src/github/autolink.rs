//! What GitHub links in plain text without being asked: web addresses and mentions. Pure.

use crate::github::markdown::escape;

/// GitHub's logins.
const LOGIN_CHARACTERS_MAX: usize = 39;

/// A mention at the start of the text: its length and how it is shown.
pub fn mention(text: &str) -> Option<(usize, String)> {
    let login: String = text[1..]
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || *c == '-')
        .collect();
    let fits = (1..=LOGIN_CHARACTERS_MAX).contains(&login.len()) && !login.starts_with('-');
    let team = text[1 + login.len()..].strip_prefix('/').map(|rest| {
        rest.chars()
            .take_while(|c| c.is_ascii_alphanumeric() || "-_".contains(*c))
            .collect::<String>()
    });
    let name = match team.filter(|team| !team.is_empty()) {
        Some(team) => format!("{login}/{team}"),
        None => login,
    };
    fits.then(|| {
        (
            1 + name.len(),
            format!("<span class=\"mention\">@{name}</span>"),
        )
    })
}

/// A web address at the start of the text: its length and how it is shown.
pub fn address(text: &str) -> Option<(usize, String)> {
    if !text.starts_with("http://") && !text.starts_with("https://") {
        return None;
    }
    let end = text
        .find(|c: char| c.is_whitespace() || c == '<')
        .unwrap_or(text.len());
    let address =
        text[..end].trim_end_matches(['.', ',', ';', ':', '!', '?', ')', '"', '\'', '*', '_', '~']);
    let shown = escape(address);
    Some((address.len(), format!("<a href=\"{shown}\">{shown}</a>")))
}

/// After such a character nothing is linked.
pub fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '`' || c == '/'
}
