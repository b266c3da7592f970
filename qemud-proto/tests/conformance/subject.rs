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

/// What a cell says where a subject does what holds.
const SAME: &str = "=";
/// What a cell says where a subject cannot be asked. The text of the table says why.
const NOT_ASKED: &str = "-";

/// The same driver, opened anew on what it has kept.
pub(crate) type Reopen = Box<dyn Fn() -> Pin<Box<dyn Future<Output = Arc<dyn Driver>> + Send>> + Send + Sync>;

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
    /// Ends the driver as its daemon would end, and begins again; none where nothing is to outlast it.
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
        let (seen, described) = (self.seen.lock().unwrap(), described(self.column));
        let mut wrong = Vec::new();
        for (rule, says) in &described {
            match (says.as_str(), seen.get(rule)) {
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

/// The lines of the tables, heads included, without marks for type.
fn lines() -> impl Iterator<Item = Vec<String>> {
    let rows = TABLE.lines().filter(|line| line.starts_with("| "));
    let cells =
        |line: &str| line.trim_matches('|').split('|').map(|cell| cell.replace('`', "").trim().to_owned()).collect();
    rows.map(cells)
}

/// What the table says about a subject: rule by rule.
fn described(column: &str) -> BTreeMap<String, String> {
    let mut rules = BTreeMap::new();
    let head = lines().next().expect("the table has a head");
    let at = head.iter().position(|name| name == column).unwrap_or_else(|| panic!("no column is named '{column}'"));
    for cells in lines().filter(|cells| cells[0] != head[0]) {
        assert_eq!(cells.len(), head.len(), "{cells:?}");
        let says = if cells[at] == SAME { &cells[1] } else { &cells[at] };
        assert!(at == 1 || cells[at] != cells[1], "a cell that says what holds is written '=': {cells:?}");
        assert!(rules.insert(cells[0].clone(), says.clone()).is_none(), "{} is there twice", cells[0]);
    }
    rules
}
