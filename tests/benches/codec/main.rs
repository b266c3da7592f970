//! The codec beside its peers: the same shapes, the same bytes, in interleaved rounds.
//!
//! ```text
//! cargo bench -p xdr-tests --bench codec --features peers
//! cargo bench -p xdr-tests --bench codec --features peers -- --quick S2 S9
//! ```
//!
//! Arguments: names of shapes (all, if none is given); `--quick` for a fifth of the time; `--seconds N`; `--lines` for
//! one line a result that a program can read (also `CODEC_BENCH_LINES=1`).
//!
//! Every round times each contender of a shape once, in rotating order, for some twenty microseconds; what is printed
//! is the median over all rounds. The ratios are those of medians of one run, so that the machine's noise hits both
//! sides alike; on a machine with several processors, pin the run to one. Before anything is timed, every contender
//! has to produce the same bytes: encoders directly, decoders by encoding again what they decoded.
//!
//! # Shapes
//!
//! | | |
//! |---|---|
//! | S1 | fixed struct of 24 bytes |
//! | S2 | `string<32>` and seven words |
//! | S3 | `int`, `opaque[16]` and `string<50>` |
//! | S4, S4L | `int<>` of 100 and of 10,000 |
//! | S5 | 100 strings of 12 bytes |
//! | S6 | string of 60 KiB |
//! | S7 | opaque of 1 MiB |
//! | S8, S8R | RPC call header with AUTH_SYS, 92 bytes, and reply header |
//! | S9 | linked list of 100 directory entries |
//!
//! # Contenders
//!
//! - *ours*: the derived types through the entry points, strict, with the default limits.
//! - *ideal*: what one would write by hand in safe Rust for this very shape, no stricter than it must be.
//! - The peers, behind the feature `peers`: `nfs3_types` and `onc-xdr` (derived; both without `int` or arrays of
//!   strings in one of them, so those are `unsigned int` and written by hand in their style), `xdr-codec` (what its
//!   xdrgen writes), `stellar-xdr` (what its generator writes, with its own limits off), `onc-rpc` (S8 only, with the
//!   record mark, without which it does not encode). Each encodes into a vector that is cleared and used again, and
//!   into a slice. Their checks are their own: only `xdr-codec` refuses a string that is not UTF-8, only `stellar-xdr`
//!   padding that is not zero.
//! - *libtirpc*: rpcgen's C for the same shapes at -O2. It is built when the bench runs, and is a process of its own
//!   that measures in bursts between our rounds. Without `rpcgen`, `cc` and libtirpc it is SKIPPED.
//!
//! `serde-xdr` is left out for its licence, GPL-3.0.
//!
//! Owned decoding is half the allocator's time; the feature `mimalloc` exchanges glibc's.

mod arguments; // what to measure, and how long
mod ideal; //     by hand
mod measure; //   contenders and rounds
mod ours;
#[cfg(feature = "peers")]
mod peers;
mod report; //    tables, and the ratios to reach
mod rpcgen; //    C, in a process of its own
mod shapes; //    the types and their values

use std::time::{Duration, Instant};

use arguments::Arguments;
use measure::{Group, Operation};
use rpcgen::Rpcgen;

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let arguments = Arguments::read();
    let begun = Instant::now();
    let rpcgen = Rpcgen::build();
    let mut groups: Vec<Group> = shapes::NAMES
        .iter()
        .filter(|shape| arguments.wants(shape))
        .flat_map(|shape| [Operation::Encode, Operation::Decode].map(|operation| group(shape, operation)))
        .collect();
    let contenders: usize = groups.iter().map(|group| group.contenders.len() + 1).sum();
    let share = arguments.time.saturating_sub(begun.elapsed()) / u32::try_from(contenders.max(1)).unwrap_or(1);
    for group in &mut groups {
        let time = share * u32::try_from(group.contenders.len() + 1).unwrap_or(1);
        group.run(time.max(Duration::from_millis(20)), rpcgen.as_ref());
        report::print_group(group, &arguments);
    }
    report::print_targets(&groups, &arguments);
    println!("{:.0} s", begun.elapsed().as_secs_f64());
}

/// Who takes part in a shape.
fn group(shape: &'static str, operation: Operation) -> Group {
    let mut group = Group::new(shape, operation);
    ours::join(&mut group);
    ideal::join(&mut group);
    #[cfg(feature = "peers")]
    peers::join(&mut group);
    group
}
