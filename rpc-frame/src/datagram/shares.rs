//! Who holds how much of the replies that are kept, so that nobody pushes out those of others.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use core::net::{IpAddr, SocketAddr};

/// Whose a reply is: an address with all its ports.
pub(super) fn holder(peer: SocketAddr) -> IpAddr {
    peer.ip().to_canonical()
}

/// What each address holds.
#[derive(Debug, Default)]
pub(super) struct Shares {
    held: BTreeMap<IpAddr, Held>,
    /// By the number of replies, and by their bytes.
    by_number: BTreeSet<(usize, IpAddr)>,
    by_bytes: BTreeSet<(usize, IpAddr)>,
}

#[derive(Debug, Default)]
struct Held {
    oldest_first: VecDeque<u64>,
    bytes: usize,
}

impl Shares {
    /// Most bytes of memory that an entry takes here.
    pub(super) const PLACE: usize =
        size_of::<u64>().saturating_add(size_of::<(IpAddr, Held)>()).saturating_add(2 * size_of::<(usize, IpAddr)>());

    /// Adds an address's latest entry.
    pub(super) fn add(&mut self, holder: IpAddr, entry: u64, bytes: usize) {
        self.change(holder, |held| {
            held.oldest_first.push_back(entry);
            held.bytes = held.bytes.saturating_add(bytes);
        });
    }

    /// An address's oldest entry.
    pub(super) fn oldest(&self, holder: IpAddr) -> Option<u64> {
        self.held.get(&holder)?.oldest_first.front().copied()
    }

    /// Removes an address's oldest entry, which has so many bytes.
    pub(super) fn remove_oldest(&mut self, holder: IpAddr, bytes: usize) {
        self.change(holder, |held| {
            held.oldest_first.pop_front();
            held.bytes = held.bytes.saturating_sub(bytes);
        });
    }

    /// Who holds the most entries.
    pub(super) fn most(&self) -> Option<IpAddr> {
        self.by_number.last().map(|(_, holder)| *holder)
    }

    /// Who holds the most bytes.
    pub(super) fn most_bytes(&self) -> Option<IpAddr> {
        self.by_bytes.last().map(|(_, holder)| *holder)
    }

    fn change(&mut self, holder: IpAddr, change: impl FnOnce(&mut Held)) {
        let held = self.held.entry(holder).or_default();
        self.by_number.remove(&(held.oldest_first.len(), holder));
        self.by_bytes.remove(&(held.bytes, holder));
        change(held);
        if held.oldest_first.is_empty() {
            self.held.remove(&holder);
        } else {
            self.by_number.insert((held.oldest_first.len(), holder));
            self.by_bytes.insert((held.bytes, holder));
        }
    }
}
