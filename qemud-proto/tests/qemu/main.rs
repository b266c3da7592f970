//! The driver `qemu` with real guests, which QEMU emulates (TCG), and with emulators that fail.
//!
//! - `scene`: a driver with folders of its own, whose guests end with the test
//! - `daemon`: daemons in processes of their own, and their clients
//! - `life`: what a guest does from its definition to its end
//! - `saving`: what guests are saved to, how far they are meanwhile, and what goes wrong
//! - `failures`: what goes wrong, and that the driver goes on
//! - `restarts`: daemons that end while guests run
//! - `lost`: guests of which a daemon finds nothing or nonsense, or that hang
//! - `killed`: daemons that are killed at any moment of what they do

#![cfg(all(feature = "qemu", feature = "programs"))]

mod daemon;
mod failures;
#[path = "../../../tests/src/foreign_tool.rs"]
#[allow(dead_code, unreachable_pub, reason = "it is public in the package that it is from")]
mod foreign_tool;
mod killed;
mod life;
mod lost;
mod restarts;
mod saving;
mod scene;
