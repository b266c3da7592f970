//! Tables, and the ratios to reach.

use crate::arguments::Arguments;
use crate::measure::{Contender, Group, Operation, Side};
use crate::{ideal, ours};

/// What a ratio is taken against.
#[derive(Clone, Copy)]
enum Against {
    /// The fastest Rust peer.
    Peer,
    Named(&'static str),
    /// A time in nanoseconds, on the machine for which it was asked.
    Nanoseconds(f64),
}

struct Target {
    shape: &'static str,
    operation: Operation,
    ours: &'static str,
    against: Against,
    /// How many times faster ours is to be; for a time, 1.
    factor: f64,
}

const fn target(
    shape: &'static str,
    operation: Operation,
    ours: &'static str,
    against: Against,
    factor: f64,
) -> Target {
    Target { shape, operation, ours, against, factor }
}

const LIBTIRPC: Against = Against::Named("libtirpc");
const NFS3_TYPES: Against = Against::Named("nfs3_types");
const ONC_RPC: Against = Against::Named("onc-rpc");
const IDEAL: Against = Against::Named(ideal::IDEAL);
const MEMCPY: Against = Against::Named(ideal::MEMCPY);
/// Within five percent.
const AS_FAST: f64 = 0.95;

const TARGETS: &[Target] = {
    use Against::{Nanoseconds, Peer};
    use Operation::{Decode, Encode};
    use ours::{BORROWED, CACHED, OWNED, SHARED, TO_SLICE};
    &[
        target("S1", Encode, TO_SLICE, Peer, 2.5),
        target("S1", Encode, TO_SLICE, LIBTIRPC, 5.0),
        target("S1", Decode, OWNED, Peer, 1.2),
        target("S1", Decode, OWNED, LIBTIRPC, 15.0),
        target("S2", Encode, TO_SLICE, Peer, 1.4),
        target("S2", Encode, TO_SLICE, LIBTIRPC, 3.0),
        target("S3", Encode, TO_SLICE, Peer, 1.7),
        target("S3", Encode, TO_SLICE, LIBTIRPC, 3.0),
        target("S2", Decode, OWNED, Peer, 1.1),
        target("S2", Decode, OWNED, LIBTIRPC, 3.5),
        target("S2", Decode, BORROWED, Peer, 3.0),
        target("S3", Decode, OWNED, Peer, 1.1),
        target("S3", Decode, OWNED, LIBTIRPC, 3.5),
        target("S3", Decode, BORROWED, Peer, 3.0),
        target("S4", Encode, TO_SLICE, Peer, 2.2),
        target("S4", Encode, TO_SLICE, LIBTIRPC, 10.0),
        target("S4", Decode, OWNED, Peer, 2.2),
        target("S4", Decode, OWNED, LIBTIRPC, 10.0),
        target("S4L", Encode, TO_SLICE, Peer, 2.2),
        target("S4L", Encode, TO_SLICE, LIBTIRPC, 10.0),
        target("S4L", Decode, OWNED, Peer, 2.2),
        target("S4L", Decode, OWNED, LIBTIRPC, 10.0),
        target("S5", Encode, TO_SLICE, Peer, 2.2),
        target("S9", Encode, TO_SLICE, Peer, 2.2),
        target("S9", Encode, TO_SLICE, LIBTIRPC, 13.0),
        target("S5", Decode, OWNED, NFS3_TYPES, if cfg!(feature = "mimalloc") { 1.05 } else { 1.0 }),
        target("S9", Decode, OWNED, NFS3_TYPES, if cfg!(feature = "mimalloc") { 1.05 } else { 1.0 }),
        target("S5", Decode, BORROWED, Peer, 4.5),
        target("S9", Decode, BORROWED, Peer, 4.5),
        target("S6", Encode, TO_SLICE, MEMCPY, AS_FAST),
        target("S7", Encode, TO_SLICE, MEMCPY, AS_FAST),
        target("S6", Decode, OWNED, IDEAL, AS_FAST),
        target("S7", Decode, OWNED, IDEAL, AS_FAST),
        target("S7", Decode, BORROWED, Nanoseconds(5.0), 1.0),
        target("S7", Decode, SHARED, Nanoseconds(40.0), 1.0),
        target("S8", Encode, TO_SLICE, Nanoseconds(10.0), 1.0),
        target("S8", Encode, CACHED, Nanoseconds(3.0), 1.0),
        // The only Rust peer that reads the credential's body.
        target("S8", Decode, BORROWED, ONC_RPC, 5.0),
        target("S8", Decode, BORROWED, LIBTIRPC, 10.0),
    ]
};

/// A contender a line, with how many times slower it is than the first of ours and than the ideal.
pub(crate) fn print_group(group: &Group, arguments: &Arguments) {
    let (shape, operation) = (group.shape, group.operation.name());
    let median_of = |contender: Option<&Contender>| contender.map_or(f64::NAN, Contender::median);
    let ours = median_of(group.contenders.first());
    let ideal = median_of(group.find(ideal::IDEAL));
    println!(
        "{:<28} {:>12} {:>8} {:>8} {:>8}",
        format!("{shape} {operation}"),
        "median ns",
        "/ ours",
        "/ ideal",
        "rounds"
    );
    for contender in &group.contenders {
        let (name, median) = (&contender.name, contender.median());
        println!(
            "  {name:<26} {median:>12.2} {:>8.2} {:>8.2} {:>8}",
            median / ours,
            median / ideal,
            contender.rounds()
        );
        if arguments.lines {
            println!("line\t{shape}\t{operation}\t{name}\t{median:.3}\t{}", contender.rounds());
        }
    }
    println!();
}

/// What is to be reached, and whether it is; for the shapes that were measured, against those who took part.
pub(crate) fn print_targets(groups: &[Group], arguments: &Arguments) {
    println!("{:<36} {:<28} {:>8} {:>9}", "to reach", "against", "is", "should be");
    let mut missed = 0;
    for target in TARGETS {
        let Target { shape, operation, ours, against, factor } = target;
        let Some(group) = groups.iter().find(|group| group.shape == *shape && group.operation == *operation) else {
            continue;
        };
        let Some(median) = group.find(ours).map(Contender::median) else { continue };
        let (against, other) = match against {
            Against::Nanoseconds(most) => (format!("{most} ns"), *most),
            Against::Peer | Against::Named(_) => {
                let contender = match against {
                    Against::Named(name) => group.find(name),
                    _ => group.best(Side::Peer),
                };
                match contender {
                    Some(contender) => (contender.name.clone(), contender.median()),
                    None => continue,
                }
            }
        };
        let ratio = other / median;
        let met = ratio >= *factor;
        missed += usize::from(!met);
        let what = format!("{shape} {} {}", operation.name(), ours.trim_start_matches("ours: "));
        println!("{what:<36} {against:<28} {ratio:>7.2}x {factor:>8.2}x {}", if met { "" } else { "MISSED" });
        if arguments.lines {
            println!("target\t{shape}\t{}\t{ours}\t{against}\t{ratio:.3}\t{factor}\t{met}", operation.name());
        }
    }
    println!("{missed} missed");
}
