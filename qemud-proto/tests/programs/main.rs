//! The programs `guestd` and `guestctl`, as processes on real sockets.
//!
//! - `processes`: a daemon with its sockets, and programs that run to their end
//! - `commands`: every command of guestctl, for people and for programs
//! - `events`: `guestctl event`
//! - `refusals`: what guestctl says when it cannot do what it was asked
//! - `daemon`: how guestd begins, listens and ends
//! - `hostile`: what comes over the socket and is no call

#![cfg(feature = "programs")]

mod commands;
mod daemon;
mod events;
mod hostile;
mod processes;
mod refusals;
