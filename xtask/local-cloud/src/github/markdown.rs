//! Markdown as GitHub shows it in a comment, and as harmless: nothing of the text reaches the page but escaped text, links to
//! web addresses and a list of tags without attributes. Pure.

use std::collections::VecDeque;

use pulldown_cmark::{
    CowStr, Event, LinkType, Options, Parser, Tag, TagEnd, TextMergeStream, html,
};

use crate::github::autolink::{address, is_word, mention};

/// Tags that may be written in a comment. None of them may be used around a comment on a page: a stray end tag of
/// the text could close it.
const TAGS: [&str; 47] = [
    "a",
    "b",
    "blockquote",
    "br",
    "caption",
    "code",
    "dd",
    "del",
    "details",
    "div",
    "dl",
    "dt",
    "em",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "i",
    "ins",
    "kbd",
    "li",
    "ol",
    "p",
    "pre",
    "q",
    "s",
    "samp",
    "small",
    "span",
    "strike",
    "strong",
    "sub",
    "summary",
    "sup",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "tr",
    "tt",
    "ul",
    "var",
];
const VOID_TAGS: [&str; 2] = ["br", "hr"];

/// The HTML of a comment.
pub fn html(markdown: &str) -> String {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_GFM;
    let mut shown = Shown::default();
    for event in TextMergeStream::new(Parser::new_ext(markdown, options)) {
        shown.take(event);
    }
    let mut text = String::with_capacity(markdown.len() * 2);
    html::push_html(&mut text, shown.events.into_iter());
    while let Some(tag) = shown.open.pop() {
        text.push_str(&format!("</{tag}>"));
    }
    text
}

/// The events of a comment, made harmless.
#[derive(Default)]
struct Shown<'a> {
    events: VecDeque<Event<'a>>,
    /// Tags written in the text and not closed yet.
    open: Vec<&'static str>,
    /// The HTML block being read: its tags can go over several lines.
    block: Option<String>,
    /// Within a link or a code block nothing else is linked.
    plain: usize,
}

impl<'a> Shown<'a> {
    fn take(&mut self, event: Event<'a>) {
        match event {
            Event::Start(Tag::HtmlBlock) => self.block = Some(String::new()),
            Event::End(TagEnd::HtmlBlock) => {
                let block = self.block.take().unwrap_or_default();
                self.raw(&block);
            }
            Event::Html(text) => match &mut self.block {
                Some(block) => block.push_str(&text),
                None => self.raw(&text),
            },
            Event::InlineHtml(text) => self.raw(&text),
            Event::Start(Tag::Link {
                link_type,
                dest_url,
                title,
                id,
            }) => {
                self.plain += 1;
                let dest_url = harmless(dest_url);
                self.push(Event::Start(Tag::Link {
                    link_type,
                    dest_url,
                    title,
                    id,
                }));
            }
            // Nothing is loaded from elsewhere: a picture is shown as a link to it.
            Event::Start(Tag::Image {
                dest_url,
                title,
                id,
                ..
            }) => {
                self.plain += 1;
                let (link_type, dest_url) = (LinkType::Inline, harmless(dest_url));
                self.push(Event::Start(Tag::Link {
                    link_type,
                    dest_url,
                    title,
                    id,
                }));
                self.push(Event::Text("image: ".into()));
            }
            Event::End(TagEnd::Link | TagEnd::Image) => {
                self.plain -= 1;
                self.push(Event::End(TagEnd::Link));
            }
            Event::Start(tag @ Tag::CodeBlock(_)) => {
                self.plain += 1;
                self.push(Event::Start(tag));
            }
            Event::End(TagEnd::CodeBlock) => {
                self.plain -= 1;
                self.push(Event::End(TagEnd::CodeBlock));
            }
            Event::Text(text) if self.plain == 0 && !self.is_verbatim() => self.text(&text),
            other => self.push(other),
        }
    }

    fn push(&mut self, event: Event<'a>) {
        self.events.push_back(event);
    }

    /// Inside these tags GitHub links nothing and notifies nobody.
    fn is_verbatim(&self) -> bool {
        let verbatim = ["a", "code", "pre", "tt"];
        self.open.iter().any(|tag| verbatim.contains(tag))
    }

    /// Text, with what GitHub would link in it: addresses, and mentions, which would notify somebody.
    fn text(&mut self, text: &str) {
        let mut rest = text;
        let mut before = None;
        let mut plain = String::new();
        while let Some(first) = rest.chars().next() {
            let found = match first {
                '@' if !before.is_some_and(is_word) => mention(rest),
                'h' if !before.is_some_and(is_word) => address(rest),
                _ => None,
            };
            let (taken, shown) = match found {
                Some(found) => found,
                None => {
                    plain.push(first);
                    before = Some(first);
                    rest = &rest[first.len_utf8()..];
                    continue;
                }
            };
            self.push(Event::Text(std::mem::take(&mut plain).into()));
            self.push(Event::InlineHtml(shown.into()));
            before = rest[..taken].chars().next_back();
            rest = &rest[taken..];
        }
        self.push(Event::Text(plain.into()));
    }

    /// HTML of the text: known tags anew and without attributes, comments left out, the rest as text.
    fn raw(&mut self, text: &str) {
        let mut safe = String::new();
        let mut rest = text;
        while let Some(start) = rest.find('<') {
            safe.push_str(&escape(&rest[..start]));
            rest = &rest[start..];
            if let Some(comment) = rest.strip_prefix("<!--") {
                rest = comment.find("-->").map_or("", |end| &comment[end + 3..]);
                continue;
            }
            let end = rest.find('>').map_or(rest.len(), |end| end + 1);
            match known_tag(&rest[..end]) {
                Some((name, true)) => self.close(name, &mut safe),
                Some((name, false)) => {
                    safe.push_str(&opening(name, &rest[..end]));
                    if !VOID_TAGS.contains(&name) {
                        self.open.push(name);
                    }
                }
                None => safe.push_str(&escape(&rest[..end])),
            }
            rest = &rest[end..];
        }
        safe.push_str(&escape(rest));
        self.push(Event::InlineHtml(safe.into()));
    }

    /// An end tag closes what was opened after its start tag, too; without a start tag it is nothing.
    fn close(&mut self, name: &str, safe: &mut String) {
        let Some(start) = self.open.iter().rposition(|open| *open == name) else {
            return;
        };
        for tag in self.open.drain(start..).rev() {
            safe.push_str(&format!("</{tag}>"));
        }
    }
}

/// The name of an allowed tag, and whether it is an end tag.
fn known_tag(text: &str) -> Option<(&'static str, bool)> {
    let inner = text.strip_prefix('<')?.strip_suffix('>')?;
    let (inner, is_end) = match inner.strip_prefix('/') {
        Some(inner) => (inner, true),
        None => (inner, false),
    };
    let name = inner
        .split(|c: char| c.is_whitespace() || c == '/')
        .next()?;
    let known = TAGS.iter().find(|tag| tag.eq_ignore_ascii_case(name))?;
    Some((known, is_end))
}

/// A start tag; of its attributes only what makes a link a link and opens details.
fn opening(name: &str, text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    if name == "details"
        && lower
            .split(|c: char| !c.is_ascii_alphanumeric())
            .any(|word| word == "open")
    {
        return "<details open>".to_owned();
    }
    let target = (name == "a").then(|| href(text)).flatten();
    match target {
        Some(target) => format!("<a href=\"{}\">", escape(&harmless(target.into()))),
        None => format!("<{name}>"),
    }
}

fn href(tag: &str) -> Option<&str> {
    let at = tag.to_ascii_lowercase().find("href=")?;
    let value = &tag[at + 5..];
    let quote = value.chars().next().filter(|c| ['"', '\''].contains(c))?;
    value[1..].split(quote).next()
}

/// The address, when following it can only open a page.
fn harmless(address: CowStr<'_>) -> CowStr<'_> {
    let lower = address.trim().to_ascii_lowercase();
    let fine = ["http://", "https://", "mailto:", "#"];
    if fine.iter().any(|start| lower.starts_with(start)) {
        address
    } else {
        "#".into()
    }
}

/// Text as HTML.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(markdown: &str, expected: Expect) {
        expected.assert_eq(&html(markdown));
    }

    #[test]
    fn what_a_pipeline_writes_is_shown() {
        check(
            "<!-- marker -->\n| a | b |\n| --- | --: |\n| `x` | [u](https://u.example) |\n\n<details><summary>More</summary>\n\n- [x] done\n\n</details>\n",
            expect![[r#"

                <table><thead><tr><th>a</th><th style="text-align: right">b</th></tr></thead><tbody>
                <tr><td><code>x</code></td><td style="text-align: right"><a href="https://u.example">u</a></td></tr>
                </tbody></table>
                <details><summary>More</summary>
                <ul>
                <li><input disabled="" type="checkbox" checked=""/>
                done</li>
                </ul>
                </details>
            "#]],
        );
        check(
            "> [!WARNING]\n> Shared data\n",
            expect![[r#"
                <blockquote class="markdown-alert-warning">
                <p>Shared data</p>
                </blockquote>
            "#]],
        );
    }

    #[test]
    fn nothing_hostile_gets_through() {
        check(
            "<script>alert(1)</script> <img src=x onerror=alert(1)> <b onclick='x'>b</b>",
            expect![[
                r#"&lt;script&gt;alert(1)&lt;/script&gt; &lt;img src=x onerror=alert(1)&gt; <b>b</b>"#
            ]],
        );
        check(
            "[x](javascript:alert(1)) ![p](https://tracker.example/p.png) <a href=\"JavaScript:alert(1)\">y</a>",
            expect![[r##"
                <p><a href="#">x</a> <a href="https://tracker.example/p.png">image: p</a> <a href="#">y</a></p>
            "##]],
        );
        check(
            "</div></section></article>text <a\nhref='https://x.example/\"><script>'>z</a>",
            expect![[
                r#"&lt;/section&gt;&lt;/article&gt;text <a href="https://x.example/&quot;&gt;">&lt;script&gt;&#39;&gt;z</a>"#
            ]],
        );
    }

    #[test]
    fn what_github_links_is_seen() {
        check(
            "Thanks @octo-cat, mail a@b.example, `@code`, see https://x.example/a?b=1&c=2.",
            expect![[r#"
                <p>Thanks <span class="mention">@octo-cat</span>, mail a@b.example, <code>@code</code>, see <a href="https://x.example/a?b=1&amp;c=2">https://x.example/a?b=1&amp;c=2</a>.</p>
            "#]],
        );
    }

    #[test]
    fn open_tags_are_closed() {
        check(
            "<details><summary>x",
            expect!["<details><summary>x</summary></details>"],
        );
    }
}
