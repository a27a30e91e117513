//! Keeps secrets out of everything but `state.json`. Pure.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::bindings::{secrets, text};
use crate::state::State;

/// What stands in a secret's place.
pub const MASK: &str = "***";

/// Shorter values are not searched for in free text: masking every "1" would make a journal unreadable.
const SEARCHED_LENGTH_MIN: usize = 4;

/// Values to hide wherever they show.
#[derive(Debug, Clone, Default)]
pub struct Mask {
    /// Longest first, so that a secret containing another is masked whole.
    values: Vec<String>,
}

impl Mask {
    /// Every secret of the account.
    pub fn of(state: &State) -> Self {
        let versions = state.scripts.values().flat_map(|script| &script.versions);
        let values: BTreeSet<&str> = versions
            .flat_map(|version| secrets(&version.bindings).into_values())
            .collect();
        let mut mask = Self::default();
        values.into_iter().for_each(|value| mask.add(value));
        mask
    }

    fn add(&mut self, value: &str) {
        if value.len() >= SEARCHED_LENGTH_MIN && !self.values.iter().any(|known| known == value) {
            self.values.push(value.to_owned());
            self.values
                .sort_by_key(|value| std::cmp::Reverse(value.len()));
        }
    }

    /// Hides the secrets in a text.
    pub fn text(&self, text: &str) -> String {
        self.values
            .iter()
            .fold(text.to_owned(), |text, value| text.replace(value, MASK))
    }

    /// Hides secrets in JSON: what is a secret by its shape, and every known value anywhere else.
    pub fn json(&mut self, value: &Value) -> Value {
        self.learn(value);
        self.replace(value)
    }

    /// A request can bring a secret the account does not hold yet.
    fn learn(&mut self, value: &Value) {
        if is_secret(value) {
            self.add(text(value, "text"));
        }
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.learn(item)),
            Value::Object(fields) => fields.values().for_each(|field| self.learn(field)),
            _ => {}
        }
    }

    fn replace(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text)),
            Value::Array(items) => items.iter().map(|item| self.replace(item)).collect(),
            Value::Object(fields) => {
                let secret = is_secret(value);
                let field = |(name, field): (&String, &Value)| {
                    let hidden =
                        secret && ["text", "key_base64", "key_jwk"].contains(&name.as_str());
                    (
                        self.text(name),
                        if hidden {
                            Value::from(MASK)
                        } else {
                            self.replace(field)
                        },
                    )
                };
                Value::Object(fields.iter().map(field).collect())
            }
            other => other.clone(),
        }
    }
}

fn is_secret(value: &Value) -> bool {
    ["secret_text", "secret_key"].contains(&text(value, "type"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_secret_is_hidden_by_shape_and_by_value() {
        let body = json!({"secrets": {"K": {"name": "K", "type": "secret_text", "text": "hunter2"}, "S": {"type": "secret_text", "text": "x"}}, "sql": "select 'hunter2'"});
        let expected = json!({"secrets": {"K": {"name": "K", "type": "secret_text", "text": "***"}, "S": {"type": "secret_text", "text": "***"}}, "sql": "select '***'"});
        assert_eq!(Mask::default().json(&body), expected);
    }

    #[test]
    fn known_secrets_are_hidden_in_text_longest_first() {
        let mut mask = Mask::default();
        mask.add("abcd");
        mask.add("abcdef");
        assert_eq!(mask.text("x-abcdef-abcd"), "x-***-***");
    }
}
