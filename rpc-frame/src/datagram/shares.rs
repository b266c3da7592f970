//! Who holds how much of the replies that are kept, so that nobody pushes out those of others.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use core::cmp::Reverse;
use core::net::{IpAddr, SocketAddr};

/// Whose a reply is: an address with all its ports.
pub(super) fn holder(peer: SocketAddr) -> IpAddr {
    peer.ip().to_canonical()
}

/// What each address holds.
#[derive(Debug, Default)]
pub(super) struct Shares {
    held: BTreeMap<IpAddr, Held>,
    /// By the number of replies, and by their bytes; among equals, who has the oldest comes last.
    by_number: BTreeSet<Place>,
    by_bytes: BTreeSet<Place>,
}

/// How much an address holds, its oldest entry, and the address.
type Place = (usize, Reverse<u64>, IpAddr);

#[derive(Debug, Default)]
struct Held {
    oldest_first: VecDeque<u64>,
    bytes: usize,
}

impl Held {
    /// Its places by number and by bytes, where it holds anything.
    fn places(&self, holder: IpAddr) -> Option<[Place; 2]> {
        let oldest = Reverse(*self.oldest_first.front()?);
        Some([self.oldest_first.len(), self.bytes].map(|much| (much, oldest, holder)))
    }
}

impl Shares {
    /// Most bytes of memory that an entry takes here.
    pub(super) const PLACE: usize =
        size_of::<u64>().saturating_add(size_of::<(IpAddr, Held)>()).saturating_add(2 * size_of::<Place>());

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

    /// Who holds the most entries, `newest` not being the only one.
    pub(super) fn most(&self, newest: u64) -> Option<IpAddr> {
        last_beside(&self.by_number, newest)
    }

    /// Who holds the most bytes, `newest` not being the only entry.
    pub(super) fn most_bytes(&self, newest: u64) -> Option<IpAddr> {
        last_beside(&self.by_bytes, newest)
    }

    fn change(&mut self, holder: IpAddr, change: impl FnOnce(&mut Held)) {
        let held = self.held.entry(holder).or_default();
        if let Some([number, bytes]) = held.places(holder) {
            self.by_number.remove(&number);
            self.by_bytes.remove(&bytes);
        }
        change(held);
        if let Some([number, bytes]) = held.places(holder) {
            self.by_number.insert(number);
            self.by_bytes.insert(bytes);
        } else {
            self.held.remove(&holder);
        }
    }
}

/// The last of those whose oldest entry is another than the newest of all; the newest goes only where it is alone.
fn last_beside(places: &BTreeSet<Place>, newest: u64) -> Option<IpAddr> {
    let beside = places.iter().rev().find(|(_, Reverse(oldest), _)| *oldest != newest);
    beside.or_else(|| places.last()).map(|(.., holder)| *holder)
}
