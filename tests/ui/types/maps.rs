//! Collections that XDR does not have, without and with a maximum.
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use xdr_core::Encode;

#[derive(Encode)]
struct Maps {
    hashed: HashMap<u32, u32>,
    set: HashSet<u32>,
    sorted: BTreeMap<u32, u32>,
    queue: VecDeque<u32>,
    #[xdr(max = 4)]
    bounded: HashMap<u32, u32>,
}

fn main() {}
