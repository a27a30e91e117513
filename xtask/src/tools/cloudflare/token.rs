//! What the API says of a token itself, and what time it is there.

use std::time::{Duration, SystemTime};

use super::{ApiError, Call, Cloudflare, read};
use crate::tools::http;

/// Longer is nobody kept waiting for a first answer.
const PATIENCE_SECS: u64 = 10;

/// A token, as Cloudflare sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It may be used, until then when that is known.
    Active(Option<SystemTime>),
    /// It may not be used: `expired` or `disabled`.
    Dead(String),
    /// Cloudflare does not know it, or not from here: its words.
    Refused(String),
    /// Nobody answered: curl's words.
    NoAnswer(String),
}

/// The answer to one question about a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// How it stands.
    pub standing: Standing,
    /// The server's clock when it answered.
    pub server_time: Option<SystemTime>,
}

impl Cloudflare {
    /// Asks whether the token is alive: as a person's, and when it is none of theirs, as the account's. Asked once each:
    /// whoever waits for this answer wants to know that there is none, too.
    pub fn verify(&self) -> anyhow::Result<Verified> {
        let first = self.verify_at("/user/tokens/verify")?;
        let account = self.account();
        match first.standing {
            Standing::Refused(_) if !account.is_empty() => {
                let second = self.verify_at(&self.path("/tokens/verify"))?;
                Ok(match second.standing {
                    Standing::Refused(_) => first,
                    _ => second,
                })
            }
            _ => Ok(first),
        }
    }

    fn verify_at(&self, path: &str) -> anyhow::Result<Verified> {
        let call = Call::get(path);
        let mut request = self.request(&call);
        request.timeout_secs = PATIENCE_SECS;
        let answer = http::send(&request)?;
        let server_time = answer
            .as_ref()
            .ok()
            .and_then(|response| http_time(response.header("date")?));
        let standing = match read(&call, answer) {
            Ok(token) => match token["status"].as_str() {
                Some(word @ ("expired" | "disabled")) => Standing::Dead(word.to_owned()),
                _ => Standing::Active(
                    token["expires_on"]
                        .as_str()
                        .and_then(|time| humantime::parse_rfc3339(time).ok()),
                ),
            },
            Err(ApiError {
                status: 0, message, ..
            }) => Standing::NoAnswer(message),
            Err(error) if error.status >= 500 || error.status == 429 => {
                Standing::NoAnswer(error.to_string())
            }
            Err(error) => Standing::Refused(error.to_string()),
        };
        Ok(Verified {
            standing,
            server_time,
        })
    }
}

/// `Tue, 24 Nov 2026 16:02:00 GMT`.
fn http_time(text: &str) -> Option<SystemTime> {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let words: Vec<&str> = text.split_whitespace().collect();
    let [_, day, month, year, time, "GMT"] = words.as_slice() else {
        return None;
    };
    let month = MONTHS.find(month).filter(|at| at % 3 == 0)? / 3 + 1;
    humantime::parse_rfc3339(&format!("{year}-{month:02}-{day:0>2}T{time}Z")).ok()
}

/// How far two clocks are apart, and whether the first is ahead.
pub fn apart(one: SystemTime, other: SystemTime) -> (Duration, bool) {
    match one.duration_since(other) {
        Ok(ahead) => (ahead, true),
        Err(behind) => (behind.duration(), false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_an_answer_is_read() {
        let read =
            |text| http_time(text).map(|time| humantime::format_rfc3339_seconds(time).to_string());
        assert_eq!(
            read("Tue, 24 Nov 2026 16:02:00 GMT").as_deref(),
            Some("2026-11-24T16:02:00Z")
        );
        assert_eq!(
            read("Sun, 6 Nov 1994 08:49:37 GMT").as_deref(),
            Some("1994-11-06T08:49:37Z")
        );
        for odd in [
            "",
            "Tue, 24 Nov 2026 16:02:00 CET",
            "Tue, 24 ovD 2026 16:02:00 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
        ] {
            assert_eq!(read(odd), None, "{odd}");
        }
    }
}
