//! The programs `guestd` and `guestctl`, as processes on real sockets.
//!
//! - `processes`: a daemon with its sockets, and programs that run to their end
//! - `commands`: every command of guestctl, for people and for programs
//! - `events`: `guestctl event`
//! - `refusals`: what guestctl says when it cannot do what it was asked
//! - `daemon`: how guestd begins, listens and ends
//! - `ssh`: through ssh and other programs; needs sshd, ssh and nc
//! - `hostile`: what comes over the socket and is no call

#![cfg(feature = "programs")]

mod commands;
mod daemon;
mod events;
#[path = "../../../tests/src/foreign_tool.rs"]
#[expect(unreachable_pub, reason = "it is public in the package that it is from")]
mod foreign_tool;
mod hostile;
mod processes;
mod refusals;
mod ssh;
