//! The kernel's settings of networks, below `/proc/sys/net`.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::plan::Plan;
use crate::driver::disk::blocking;
use crate::failure::Reply;

const SETTINGS: &str = "/proc/sys/net";

/// Gives a setting a value, unless it has it: a container may read what it may not write. Tells whether it had another.
fn set(path: &Path, value: &str) -> io::Result<bool> {
    if fs::read_to_string(path)?.trim() == value {
        return Ok(false);
    }
    fs::write(path, value).map(|()| true)
}

async fn change(plan: &Plan, setting: PathBuf, value: &'static str) -> Reply<bool> {
    let plan = plan.clone();
    blocking(move || {
        set(&setting, value).map_err(|error| plan.failed(&format!("cannot set '{}'", setting.display()), &error))
    })
    .await
}

/// Keeps IPv6 off a bridge: no definition asks for it, and a guest could tell the host to send its packets there.
pub(super) async fn without_ipv6(plan: &Plan) -> Reply<()> {
    let setting = Path::new(SETTINGS).join("ipv6/conf").join(&plan.bridge).join("disable_ipv6");
    // A kernel without IPv6 has no such setting.
    let none = |error: io::Error| error.kind() == ErrorKind::NotFound;
    if fs::symlink_metadata(&setting).is_err_and(none) {
        return Ok(());
    }
    change(plan, setting, "1").await.map(|_| ())
}

/// Keeps the host from forwarding what the guests of a network send, whatever it does for others.
pub(super) async fn without_forwarding(plan: &Plan) -> Reply<()> {
    let setting = Path::new(SETTINGS).join("ipv4/conf").join(&plan.bridge).join("forwarding");
    change(plan, setting, "0").await.map(|_| ())
}

/// Has the host forward packets at all, which it may have done before. Tells whether it did not.
pub(super) async fn with_forwarding(plan: &Plan) -> Reply<bool> {
    change(plan, Path::new(SETTINGS).join("ipv4/ip_forward"), "1").await
}
