//! The driver `qemu`: domains that are processes of QEMU.
//!
//! - `command_line`: a definition as the arguments of QEMU
//! - `capabilities`: the emulators of this machine, and what each can do

mod command_line;
mod capabilities;
