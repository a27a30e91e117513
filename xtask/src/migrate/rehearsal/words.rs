//! What is lost, in words: `DROP TABLE users: 1,204 rows here and 3,310 in 2 tables by ON DELETE CASCADE`. Pure.

use super::cascade::Count;
use super::effect::{Child, Effect, Loss};
use super::schema::OnDelete;

/// Tells the number that a count came to.
pub(super) type Numbers<'a> = &'a dyn Fn(&Count) -> u64;

/// What one statement does, with numbers.
pub(super) fn effect(effect: &Effect, numbers: Numbers<'_>) -> String {
    let head = &effect.at.head;
    match &effect.loss {
        Loss::Rows {
            own,
            kept_in,
            children,
        } => {
            format!(
                "{head}: {}",
                rows(own, kept_in.as_deref(), children, numbers)
            )
        }
        Loss::Column {
            table,
            column,
            count,
        } => {
            format!(
                "{head}: {} of {table}.{column}",
                amount(count, "value", numbers)
            )
        }
        Loss::Overwritten {
            table,
            columns,
            count,
        } => format!(
            "{head}: {} overwritten in all of {} of {table}",
            listed(columns),
            amount(count, "row", numbers)
        ),
        Loss::Narrowed { table, why, count } => format!(
            "{head}: {table} is made anew, and {why}; {} before",
            amount(count, "row", numbers)
        ),
        Loss::NotNull { table, column } => format!(
            "{head}: {table}.{column} is NOT NULL without a default, so that rows written without it are refused"
        ),
    }
}

fn rows(own: &Count, kept_in: Option<&str>, children: &[Child], numbers: Numbers<'_>) -> String {
    let mut parts = Vec::new();
    if kept_in.is_none() && (children.is_empty() || !own.queries.is_empty()) {
        parts.push(format!("{} here", amount(own, "row", numbers)));
    }
    let gone: Vec<&Child> = children
        .iter()
        .filter(|child| child.on_delete == OnDelete::Cascade)
        .collect();
    if !gone.is_empty() {
        parts.push(cascaded(&gone, parts.is_empty(), numbers));
    }
    let mut text = parts.join(" and ");
    for child in children
        .iter()
        .filter(|child| child.on_delete != OnDelete::Cascade)
    {
        if !text.is_empty() {
            text.push_str(", and ");
        }
        text.push_str(&format!(
            "{} of {} lose their {} by {}",
            amount(&child.count, "row", numbers),
            child.table,
            listed(&child.columns),
            child.on_delete.word()
        ));
    }
    if let Some(table) = kept_in {
        text.push_str(&format!(
            "; its own {} are kept in {table}",
            amount(own, "row", numbers)
        ));
    }
    text
}

/// `3,310 in 2 tables by ON DELETE CASCADE (orders 3,298, visits 12)`
fn cascaded(gone: &[&Child], says_rows: bool, numbers: Numbers<'_>) -> String {
    let total: u64 = gone.iter().map(|child| numbers(&child.count)).sum();
    let at_most = gone.iter().any(|child| child.count.at_most);
    let up_to = if at_most { "up to " } else { "" };
    let unit = match (says_rows, total) {
        (false, _) => "",
        (true, 1) => " row",
        (true, _) => " rows",
    };
    let each: Vec<String> = gone
        .iter()
        .map(|child| format!("{} {}", child.table, thousands(numbers(&child.count))))
        .collect();
    let tables = if gone.len() == 1 { "table" } else { "tables" };
    format!(
        "{up_to}{}{unit} in {} {tables} by ON DELETE CASCADE ({})",
        thousands(total),
        gone.len(),
        each.join(", ")
    )
}

/// `up to 1,204 rows`
pub(super) fn amount(count: &Count, unit: &str, numbers: Numbers<'_>) -> String {
    let number = numbers(count);
    let up_to = if count.at_most { "up to " } else { "" };
    let plural = if number == 1 { "" } else { "s" };
    format!("{up_to}{} {unit}{plural}", thousands(number))
}

fn listed(names: &[String]) -> String {
    names.join(", ")
}

/// `1,204`
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
