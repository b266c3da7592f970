//! The programs `guestd` and `guestctl`, as processes on real sockets.
//!
//! - `processes`: a daemon with its sockets, and programs that run to their end
//! - `commands`: every command of guestctl, for people and for programs
//! - `events`: `guestctl event`
//! - `screenshot`, `top`: these commands
//! - `patience`: `--wait`, and the progress of a save or restore
//! - `real`: the progress of a real guest's save; needs QEMU
//! - `completion`: names that a shell completes
//! - `terminal`: programs on a terminal; `slow`: a daemon that takes its time
//! - `refusals`: what guestctl says when it cannot do what it was asked
//! - `daemon`: how guestd begins, listens and ends
//! - `channels`: the sockets of guestd, TLS, its configuration, and how systemd starts it; needs systemd's tools
//! - `ssh`: through ssh and other programs; needs sshd, ssh and nc
//! - `hostile`: what comes over the socket and is no call

#![cfg(feature = "programs")]

#[path = "../../../tests/src/authority.rs"]
#[allow(dead_code, unreachable_pub, missing_docs, reason = "it is shared with the tests of other packages")]
mod authority;
mod channels;
mod commands;
mod completion;
mod daemon;
mod events;
#[path = "../../../tests/src/foreign_tool.rs"]
#[expect(unreachable_pub, reason = "it is public in the package that it is from")]
mod foreign_tool;
mod hostile;
mod patience;
mod processes;
#[cfg(feature = "qemu")]
mod real;
mod refusals;
mod screenshot;
mod slow;
mod ssh;
mod terminal;
mod top;
