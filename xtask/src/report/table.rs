//! Rows and columns as text that stays readable in a narrow window. Pure.

use serde_json::{Value, json};

use crate::ui::{clean_line, clean_text, fit, width};

/// Results in rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// The heading above.
    pub title: String,
    /// The headings of the columns.
    pub columns: Vec<String>,
    /// The cells, row by row; a short row is filled up.
    pub rows: Vec<Vec<String>>,
}

/// No column is squeezed below this.
const COLUMN_MIN: usize = 6;
const GAP: usize = 2;

impl Table {
    /// A table without rows.
    pub fn new(title: &str, columns: &[&str]) -> Table {
        Table {
            title: title.to_owned(),
            columns: columns.iter().map(|&column| column.to_owned()).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = impl Into<String>>) {
        self.rows.push(cells.into_iter().map(clean_text).collect());
    }

    /// One object per row, keyed by the column headings.
    pub(super) fn json(&self) -> Value {
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|row| {
                let cells = self.columns.iter().zip(row);
                cells
                    .map(|(column, cell)| (column.clone(), Value::from(cell.as_str())))
                    .collect::<serde_json::Map<_, _>>()
                    .into()
            })
            .collect();
        json!({"title": self.title, "rows": rows})
    }

    /// Aligned columns no wider than the window; where even squeezed columns do not fit, one block per row.
    pub(crate) fn text(&self, window: usize) -> String {
        let mut rows: Vec<Vec<String>> = Vec::with_capacity(self.rows.len() + 1);
        rows.push(self.columns.clone());
        for row in &self.rows {
            let mut row: Vec<String> = row.iter().map(|cell| clean_line(cell)).collect();
            row.resize(self.columns.len(), String::new());
            rows.push(row);
        }
        let mut lines = Vec::new();
        if !self.title.is_empty() {
            lines.push(self.title.clone());
        }
        match widths(&rows, window) {
            Some(widths) => lines.extend(rows.iter().map(|row| aligned_row(row, &widths))),
            None => lines.extend(blocks(&rows, window)),
        }
        lines.join("\n")
    }
}

/// Names and values in two columns.
pub(super) fn aligned(pairs: &[(String, String)], window: usize) -> String {
    let first = pairs.iter().map(|(name, _)| width(name)).max().unwrap_or(0);
    let lines = pairs.iter().map(|(name, value)| {
        let pad = " ".repeat(first - width(name) + GAP);
        // A value is there to be copied: it wraps rather than being cut.
        let _ = window;
        format!("{name}{pad}{}", clean_line(value))
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The width of each column; `None` when they do not fit even squeezed.
fn widths(rows: &[Vec<String>], window: usize) -> Option<Vec<usize>> {
    let columns = rows.first().map_or(0, Vec::len);
    let mut widths: Vec<usize> = (0..columns)
        .map(|column| rows.iter().map(|row| width(&row[column])).max())
        .map(|widest| widest.unwrap_or(0))
        .collect();
    let gaps = GAP * columns.saturating_sub(1);
    let whole: Vec<bool> = (0..columns)
        .map(|column| rows.iter().any(|row| is_address(&row[column])))
        .collect();
    while widths.iter().sum::<usize>() + gaps > window {
        // The widest column gives way first.
        let giving = widths.iter_mut().zip(&whole).filter(|(_, whole)| !**whole);
        let widest = giving.map(|(width, _)| width).max()?;
        if *widest <= COLUMN_MIN {
            return None;
        }
        *widest -= 1;
    }
    Some(widths)
}

/// An address is there to be opened or copied: cut, it is worth nothing.
fn is_address(cell: &str) -> bool {
    cell.contains("://")
}

fn aligned_row(row: &[String], widths: &[usize]) -> String {
    let mut line = String::new();
    for (cell, &column) in row.iter().zip(widths) {
        let cell = fit(cell, column);
        line.push_str(&cell);
        line.push_str(&" ".repeat(column - width(&cell) + GAP));
    }
    line.trim_end().to_owned()
}

fn blocks(rows: &[Vec<String>], window: usize) -> Vec<String> {
    let (headings, rows) = rows.split_first().expect("the headings are the first row");
    let lines = rows.iter().flat_map(|row| {
        let cells = headings
            .iter()
            .zip(row)
            .filter(|(_, cell)| !cell.is_empty());
        cells.enumerate().map(|(index, (heading, cell))| {
            let mark = if index == 0 { "- " } else { "  " };
            let line = format!("{mark}{heading}: {cell}");
            match is_address(cell) {
                true => line,
                false => fit(&line, window),
            }
        })
    });
    lines.collect()
}
