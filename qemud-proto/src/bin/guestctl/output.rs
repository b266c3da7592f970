//! Tables for people, JSON for programs.

use std::env;
use std::io::{self, IsTerminal, Write};

use comfy_table::{Cell, Color, Table, presets};
use qemud_proto::characters::escaped;
use serde_json::Value;

/// Least width of the names of facts, as virsh has it.
const FACTS_MIN: usize = 15;

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

    /// Facts about one thing: names and values, aligned as virsh does it. A unit at a name's end stands behind the value.
    pub(crate) fn facts(&self, facts: &[(&str, Value)]) -> io::Result<()> {
        if self.json {
            let object: serde_json::Map<_, _> = facts.iter().map(|(name, value)| (key(name), value.clone())).collect();
            return line(&Value::Object(object).to_string());
        }
        let facts: Vec<_> = facts.iter().map(|(name, value)| with_unit(name, value)).collect();
        let width = facts.iter().map(|(name, _)| name.len() + 1).fold(FACTS_MIN, usize::max);
        let facts: Vec<_> =
            facts.into_iter().map(|(name, value)| format!("{:<width$} {value}", format!("{name}:"))).collect();
        line(&facts.join("\n"))
    }

    /// Things of one kind: a line each under a head with a rule, as virsh has it, so that two lines are to be left out.
    pub(crate) fn table(&self, head: &[&str], rows: &[Vec<Value>]) -> io::Result<()> {
        if self.json {
            return line(&self.rows(head, rows));
        }
        let mut table = self.grid(head, rows);
        for column in table.column_iter_mut() {
            column.set_padding((1, 2));
        }
        let rule = table.lines().next().map_or(0, |head| head.chars().count());
        let table = trimmed(&table);
        let (head, rows) = table.split_once('\n').unwrap_or((&table, ""));
        let rule = "-".repeat(rule);
        line(format!("{head}\n{rule}\n{rows}").trim_end())
    }

    /// One word of each thing, a line each; for programs a list of them.
    pub(crate) fn words(&self, words: &[String]) -> io::Result<()> {
        if self.json {
            return line(&Value::from(words).to_string());
        }
        words.iter().try_for_each(|word| line(&escaped(word)))
    }

    /// The same as a text, with nothing between head and lines.
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
        trimmed(&self.grid(head, rows))
    }

    fn grid(&self, head: &[&str], rows: &[Vec<Value>]) -> Table {
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
        table
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
        if self.json { self.facts(facts) } else { line(&escaped(sentence)) }
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

/// `Used memory` as `used_memory`, `CPU %` as `cpu_percent`, `CPU(s)` as `cpus`.
fn key(name: &str) -> String {
    name.to_lowercase().replace(' ', "_").replace('%', "percent").replace("(s)", "s")
}

/// The name without its unit, and the value with it; processor time in seconds.
fn with_unit<'a>(name: &'a str, value: &Value) -> (&'a str, String) {
    match name.rsplit_once(' ') {
        Some((name, unit @ ("KiB" | "MHz" | "bytes" | "ms"))) => (name, format!("{} {unit}", text(value))),
        Some((name, "ns")) => (name, format!("{:.1}s", value.as_u64().unwrap_or_default() as f64 / 1e9)),
        _ => (name, text(value)),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::String(text) => escaped(text),
        other => other.to_string(),
    }
}

/// The table without the blanks that its cells end with.
fn trimmed(table: &Table) -> String {
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}
