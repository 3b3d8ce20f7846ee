//! What a run found: a table for people, one line of JSON for programs, and an exit code.

use std::process::ExitCode;

use serde_json::{Map, Value, json};

/// How many violations are printed one by one; all are counted.
const SHOWN: usize = 20;

/// Figures, rows and what must hold but did not.
#[derive(Debug)]
pub(crate) struct Report {
    what: &'static str,
    figures: Map<String, Value>,
    rows: Vec<Vec<String>>,
    violations: Vec<String>,
    json: Option<String>,
}

impl Report {
    pub(crate) fn new(what: &'static str, columns: &[&str]) -> Self {
        let rows = vec![columns.iter().map(|column| (*column).to_owned()).collect()];
        Self {
            what,
            figures: Map::new(),
            rows,
            violations: Vec::new(),
            json: None,
        }
    }

    pub(crate) fn saved_to(mut self, json: Option<String>) -> Self {
        self.json = json;
        self
    }

    pub(crate) fn figure(&mut self, name: &str, value: impl Into<Value>) {
        self.figures.insert(name.to_owned(), value.into());
    }

    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    pub(crate) fn violation(&mut self, what: impl Into<String>) {
        self.violations.push(what.into());
    }

    pub(crate) fn require(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.violation(what());
        }
    }

    /// Prints everything; 1 when something was violated.
    pub(crate) fn finish(self) -> ExitCode {
        self.print_table();
        for violation in self.violations.iter().take(SHOWN) {
            println!("VIOLATED: {violation}");
        }
        if self.violations.len() > SHOWN {
            println!("VIOLATED: … and {} more", self.violations.len() - SHOWN);
        }
        let shown: Vec<&String> = self.violations.iter().take(SHOWN).collect();
        let line = json!({
            "bench": self.what,
            "figures": self.figures,
            "violated": self.violations.len(),
            "violations": shown,
        })
        .to_string();
        println!("{line}");
        if let Some(path) = &self.json
            && let Err(error) = std::fs::write(path, line + "\n")
        {
            eprintln!("{path}: {error}");
            return ExitCode::from(2);
        }
        if self.violations.is_empty() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }

    fn print_table(&self) {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &self.rows {
            let cells = row
                .iter()
                .zip(&widths)
                .enumerate()
                .map(|(column, (cell, width))| {
                    if column == 0 {
                        format!("{cell:<width$}")
                    } else {
                        format!("{cell:>width$}")
                    }
                });
            println!("{}", cells.collect::<Vec<_>>().join("  "));
        }
    }
}

/// The middle of some measurements; 0 of none.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        length if length % 2 == 1 => sorted[length / 2],
        length => f64::midpoint(sorted[length / 2 - 1], sorted[length / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(&[]), 0.0);
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
    }
}
