//! The driver `qemu`: guests that run.
//!
//! - `networks`: networks of the host that guests are in

#[cfg_attr(not(test), allow(dead_code, unused_imports, reason = "the driver that has these networks comes next"))]
mod networks;
