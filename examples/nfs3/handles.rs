//! File handles: numbers of a table, never paths.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::sync::Arc;

use xdr_core::{Bytes, Xdr};

use crate::protocol::{FileHandle, NfsStat};
use crate::tree::{Identity, ROOT};

/// What a handle's bytes are. A client does not look into them.
#[derive(Debug, Clone, Copy, PartialEq, Xdr)]
struct Inside {
    /// Of this run of the server: handles of an earlier one are stale.
    run: u64,
    number: u64,
}

/// The files that handles were given out for.
///
/// When it is full, the handle that has not been used for the longest time becomes stale, but never the root's.
#[derive(Debug)]
pub(crate) struct Handles {
    run: u64,
    max: usize,
    /// Counts uses.
    clock: u64,
    files: HashMap<u64, Known>,
    numbers: HashMap<Arc<Path>, u64>,
    /// Numbers in the order of their last use. The root's is not here.
    by_use: BTreeMap<u64, u64>,
}

#[derive(Debug, Clone)]
struct Known {
    path: Arc<Path>,
    identity: Identity,
    used: u64,
}

/// The root's number. The others are the time of their first use.
const ROOT_NUMBER: u64 = 0;

impl Handles {
    pub(crate) fn new(root: Identity, max: usize) -> Self {
        let path: Arc<Path> = Path::new(ROOT).into();
        Self {
            run: RandomState::new().hash_one(std::process::id()),
            max,
            clock: 0,
            files: HashMap::from([(ROOT_NUMBER, Known { path: Arc::clone(&path), identity: root, used: 0 })]),
            numbers: HashMap::from([(path, ROOT_NUMBER)]),
            by_use: BTreeMap::new(),
        }
    }

    /// The handle of a file, the same as long as it is in the table.
    pub(crate) fn issue(&mut self, path: &Arc<Path>, identity: Identity) -> Result<FileHandle, NfsStat> {
        let number = match self.numbers.get(path) {
            Some(number) if self.files.get(number).is_some_and(|known| known.identity == identity) => *number,
            other => {
                // The name belongs to another file now.
                let other = other.copied();
                other.into_iter().for_each(|number| self.forget(number));
                self.insert(path, identity)
            }
        };
        self.touch(number);
        let inside = xdr_core::to_bytes(&Inside { run: self.run, number }).map_err(|_| NfsStat::ServerFault)?;
        Ok(FileHandle { data: inside })
    }

    /// The file of a handle.
    pub(crate) fn find(&mut self, handle: &FileHandle) -> Result<(Arc<Path>, Identity), NfsStat> {
        let inside: Inside = read(&handle.data)?;
        if inside.run != self.run {
            return Err(NfsStat::Stale);
        }
        self.touch(inside.number);
        let known = self.files.get(&inside.number).ok_or(NfsStat::Stale)?;
        Ok((Arc::clone(&known.path), known.identity))
    }

    fn insert(&mut self, path: &Arc<Path>, identity: Identity) -> u64 {
        while self.by_use.len() >= self.max {
            let Some((_, oldest)) = self.by_use.pop_first() else { break };
            self.forget(oldest);
        }
        self.clock += 1;
        let number = self.clock;
        self.files.insert(number, Known { path: Arc::clone(path), identity, used: number });
        self.numbers.insert(Arc::clone(path), number);
        self.by_use.insert(number, number);
        number
    }

    fn touch(&mut self, number: u64) {
        if let Some(known) = self.files.get_mut(&number)
            && number != ROOT_NUMBER
        {
            self.clock += 1;
            self.by_use.remove(&known.used);
            known.used = self.clock;
            self.by_use.insert(known.used, number);
        }
    }

    fn forget(&mut self, number: u64) {
        if let Some(known) = self.files.remove(&number) {
            self.by_use.remove(&known.used);
            self.numbers.remove(&known.path);
        }
    }
}

fn read(handle: &Bytes) -> Result<Inside, NfsStat> {
    xdr_core::from_bytes(handle).map_err(|_| NfsStat::BadHandle)
}
