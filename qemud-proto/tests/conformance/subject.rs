//! A driver that is looked at, and what it was seen to do.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use qemud_proto::driver::Driver;
use qemud_proto::failure::{Code, Reply};
use qemud_proto::identity::Uuid;
use tempfile::TempDir;

/// Tables of the rules: one line each, a column for what holds and one for each subject. All have the same head.
const TABLE: &str = include_str!("../../DRIVERS.md");

/// The heading above what is tried of networks.
const NETWORKS: &str = "Networks";

/// What a cell says where a subject does what holds.
const SAME: &str = "=";
/// What a cell says where a subject cannot be asked. The text of the table says why.
const NOT_ASKED: &str = "-";

/// A driver that was opened anew.
pub(crate) type Reopened = Pin<Box<dyn Future<Output = Arc<dyn Driver>> + Send>>;
/// Ends the driver as its daemon would end, and opens it anew on what it has kept.
pub(crate) type Reopen = Box<dyn Fn(Arc<dyn Driver>) -> Reopened + Send + Sync>;

/// A driver, how its guests are described, and what it has done so far.
pub(crate) struct Subject {
    /// The head of its column.
    pub(crate) column: &'static str,
    pub(crate) driver: Arc<dyn Driver>,
    /// What `<domain type='…'>` says.
    pub(crate) domain_type: &'static str,
    /// What the guests' `<os><type …>hvm</type>` says besides.
    pub(crate) machine: &'static str,
    /// What stands in the guests' `<devices>`.
    pub(crate) devices: &'static str,
    /// Whether its networks can be tried here.
    pub(crate) networks: bool,
    /// Whether nothing else is tried here.
    pub(crate) only_networks: bool,
    /// None where nothing is to outlast the driver.
    pub(crate) reopen: Option<Reopen>,
    /// Where guests are saved: the driver can write there.
    pub(crate) folder: TempDir,
    pub(crate) seen: Mutex<BTreeMap<String, String>>,
}

impl Subject {
    pub(crate) fn new(column: &'static str, driver: Arc<dyn Driver>, domain_type: &'static str) -> Self {
        Self {
            column,
            driver,
            domain_type,
            machine: "",
            devices: "",
            networks: true,
            only_networks: false,
            reopen: None,
            folder: tempfile::tempdir().unwrap(),
            seen: Mutex::default(),
        }
    }

    /// A guest with two more KiB of memory than it uses, so that the two are told apart.
    pub(crate) fn domain(&self, name: &str, uuid: Uuid) -> String {
        self.domain_with(name, uuid, 1, "")
    }

    pub(crate) fn domain_with(&self, name: &str, uuid: Uuid, vcpus: u32, more: &str) -> String {
        let Self { domain_type, machine, devices, .. } = self;
        format!(
            "<domain type='{domain_type}'>\n  <name>{name}</name>\n  <uuid>{uuid}</uuid>\n  \
             <memory>{MEMORY}</memory>\n  <currentMemory>{CURRENT_MEMORY}</currentMemory>\n  <vcpu>{vcpus}</vcpu>\n  \
             <os><type{machine}>hvm</type></os>\n  {more}<devices>{devices}</devices>\n</domain>\n"
        )
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.file(name).to_str().unwrap().to_owned()
    }

    /// It did this where the rule applies.
    pub(crate) fn did(&self, rule: &str, what: impl Into<String>) {
        let what = what.into();
        let before = self.seen.lock().unwrap().insert(rule.to_owned(), what.clone());
        // A rule that holds in several places holds in all of them.
        assert!(before.is_none_or(|before| before == what), "{}: '{rule}' is not always so", self.column);
    }

    /// Whether it is as the rule says: `yes` or `no`.
    pub(crate) fn is(&self, rule: &str, so: bool) {
        self.did(rule, if so { "yes" } else { "no" });
    }

    /// How a call ended to which the rule applies: `succeeds`, or the code of its failure.
    #[track_caller]
    pub(crate) fn ended<T>(&self, rule: &str, reply: &Reply<T>) {
        let what = match reply {
            Ok(_) => "succeeds".to_owned(),
            Err(failure) => {
                assert!(!failure.message.is_empty(), "{}: '{rule}' fails without a word", self.column);
                code(failure.code)
            }
        };
        self.did(rule, what);
    }

    /// Compares what was seen with the column of the subject, line by line.
    pub(crate) fn compare(&self) {
        let seen = self.seen.lock().unwrap();
        let mut described = described(self.column);
        if !self.networks {
            described.retain(|_, line| line.chapter != NETWORKS || line.says == NOT_ASKED);
        }
        if self.only_networks {
            described.retain(|_, line| line.chapter == NETWORKS);
        }
        let mut wrong = Vec::new();
        for (rule, line) in &described {
            match (line.says.as_str(), seen.get(rule)) {
                (NOT_ASKED, None) => {}
                (says, Some(was)) if says == was => {}
                (says, was) => wrong.push(format!("'{rule}': the table says '{says}', it was {was:?}")),
            }
        }
        let unknown = seen.iter().filter(|(rule, _)| !described.contains_key(*rule));
        wrong.extend(unknown.map(|(rule, was)| format!("'{rule}' is not in the table, it was '{was}'")));
        assert!(wrong.is_empty(), "{}:\n{}", self.column, wrong.join("\n"));
    }
}

/// The name of a code, or its number where it has none.
pub(crate) fn code(code: Code) -> String {
    match code {
        Code::Other(number) => number.to_string(),
        named => format!("{named:?}"),
    }
}

/// Memory of the guests, in KiB, and how much of it they use.
pub(crate) const MEMORY: u32 = 65_536;
pub(crate) const CURRENT_MEMORY: u32 = 49_152;

/// A line of the tables, as a subject sees it.
struct Line {
    /// The heading above it.
    chapter: &'static str,
    says: String,
}

/// The cells of a line, without marks for type.
fn cells(line: &str) -> Vec<String> {
    line.trim_matches('|').split('|').map(|cell| cell.replace('`', "").trim().to_owned()).collect()
}

/// What the tables say about a subject: rule by rule.
fn described(column: &str) -> BTreeMap<String, Line> {
    let (mut rules, mut chapter, mut head) = (BTreeMap::new(), "", None);
    for line in TABLE.lines() {
        if let Some(title) = line.strip_prefix("# ") {
            (chapter, head) = (title, None);
        } else if line.starts_with("| ") {
            let cells = cells(line);
            let Some((at, columns)) = head else {
                let at = cells.iter().position(|name| name == column);
                head =
                    Some((at.unwrap_or_else(|| panic!("no column of '{chapter}' is named '{column}'")), cells.len()));
                continue;
            };
            assert_eq!(cells.len(), columns, "{cells:?}");
            assert_ne!(cells[at], cells[1], "a cell that says what holds is written '=': {cells:?}");
            let says = if cells[at] == SAME { cells[1].clone() } else { cells[at].clone() };
            let before = rules.insert(cells[0].clone(), Line { chapter, says });
            assert!(before.is_none(), "{} is there twice", cells[0]);
        }
    }
    rules
}
