//! Tables for people, JSON for programs.

use std::env;
use std::io::{self, IsTerminal, Write};

use comfy_table::{Cell, Color, Table, presets};
use serde_json::Value;

/// How to print.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    pub(crate) json: bool,
    colour: bool,
}

impl Output {
    /// In colour only where a terminal shows it and nobody is against it (<https://no-color.org>).
    pub(crate) fn new(json: bool) -> Self {
        let set = |name| env::var_os(name).filter(|value| !value.is_empty());
        let shown = io::stdout().is_terminal() && set("TERM").is_some_and(|terminal| terminal != "dumb");
        Self { json, colour: shown && set("NO_COLOR").is_none() }
    }

    /// Facts about one thing: names and values, aligned.
    pub(crate) fn facts(&self, facts: &[(&str, Value)]) -> io::Result<()> {
        if self.json {
            let object: serde_json::Map<_, _> = facts.iter().map(|(name, value)| (key(name), value.clone())).collect();
            return line(&Value::Object(object).to_string());
        }
        let mut table = Table::new();
        table.load_preset(presets::NOTHING);
        for (name, value) in facts {
            table.add_row([format!("{name}:"), text(value)]);
        }
        line(&trimmed(&table))
    }

    /// Things of one kind: a line each under a head.
    pub(crate) fn table(&self, head: &[&str], rows: &[Vec<Value>]) -> io::Result<()> {
        line(&self.rows(head, rows))
    }

    /// The same as a text.
    pub(crate) fn rows(&self, head: &[&str], rows: &[Vec<Value>]) -> String {
        if self.json {
            let object = |row: &Vec<Value>| -> Value {
                head.iter()
                    .zip(row)
                    .map(|(name, value)| (key(name), value.clone()))
                    .collect::<serde_json::Map<_, _>>()
                    .into()
            };
            return Value::Array(rows.iter().map(object).collect()).to_string();
        }
        let mut table = Table::new();
        table.load_preset(presets::NOTHING).set_header(head.to_vec());
        // It is decided here what is coloured, not by what the library sees of the terminal.
        if self.colour {
            table.enforce_styling()
        } else {
            table.force_no_tty()
        };
        let cell = |(name, value): (&&str, &Value)| match (*name, text(value)) {
            ("State", state) => match colour(&state) {
                Some(colour) => Cell::new(state).fg(colour),
                None => Cell::new(state),
            },
            (_, text) => Cell::new(text),
        };
        table.add_rows(rows.iter().map(|row| head.iter().zip(row).map(cell).collect::<Vec<_>>()));
        trimmed(&table)
    }

    /// One value: alone for people, named for programs.
    pub(crate) fn value(&self, name: &str, value: Value) -> io::Result<()> {
        if self.json { self.facts(&[(name, value)]) } else { line(&text(&value)) }
    }

    /// A text of several lines, as it is.
    pub(crate) fn document(&self, name: &str, text: &str) -> io::Result<()> {
        if self.json { self.facts(&[(name, text.into())]) } else { line(text.trim_end_matches('\n')) }
    }

    /// That something was done, and what is to be known of it.
    pub(crate) fn done(&self, sentence: &str, facts: &[(&str, Value)]) -> io::Result<()> {
        if self.json { self.facts(facts) } else { line(&printable(sentence)) }
    }
}

/// What runs is green, and what waits for somebody yellow.
fn colour(state: &str) -> Option<Color> {
    match state {
        "running" | "active" => Some(Color::Green),
        "paused" => Some(Color::Yellow),
        _ => None,
    }
}

pub(crate) fn line(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}

/// `Used memory` as `used_memory`, `CPU %` as `cpu_percent`.
fn key(name: &str) -> String {
    name.to_lowercase().replace(' ', "_").replace('%', "percent")
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::String(text) => printable(text),
        other => other.to_string(),
    }
}

/// A text of one line that cannot move the cursor or change colours: control characters are written as escapes.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .flat_map(|letter| {
            let (escaped, plain) =
                if letter.is_control() { (Some(letter.escape_default()), None) } else { (None, Some(letter)) };
            escaped.into_iter().flatten().chain(plain)
        })
        .collect()
}

/// The table without the blanks that its cells end with.
fn trimmed(table: &Table) -> String {
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}
