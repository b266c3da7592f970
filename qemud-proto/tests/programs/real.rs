//! How far the save of a real guest is, on a terminal. QEMU emulates the guest.

use std::collections::BTreeSet;

use crate::foreign_tool::require;
use crate::processes::{Guestd, guestctl, guestctl_command, until};
use crate::terminal::Terminal;

/// Ends what is left of a guest, whatever becomes of its test.
struct Ends(String);

impl Drop for Ends {
    fn drop(&mut self) {
        guestctl(&["--connect", &self.0, "destroy", "real"]);
    }
}

/// The figure before `%`.
fn percent(screen: &str) -> Option<u32> {
    screen.split('%').next()?.split_whitespace().last()?.parse().ok()
}

#[test]
fn the_bar_of_a_save_moves_as_the_guest_is_saved() {
    let Some(_) = require("qemu-system-x86_64") else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (definitions, state) = (path("etc"), path("run"));
    let settings = ["--driver", "qemu", "--config-dir", &definitions, "--state-dir", &state, "--save-bandwidth", "64"];
    let daemon = Guestd::start(&settings);
    let uri = format!("qemu+unix:///session?socket={}", daemon.socket().display());
    let _ends = Ends(uri.clone());
    let xml =
        "<domain type='qemu'><name>real</name><memory>65536</memory><os><type arch='x86_64'>hvm</type></os></domain>";
    std::fs::write(path("real.xml"), xml).unwrap();
    let created = guestctl(&["--connect", &uri, "create", &path("real.xml")]);
    assert_eq!(created.status, 0, "{created:?}");
    let saved = path("real.save");
    let terminal = Terminal::run(guestctl_command(&["--connect", &uri, "save", "real", &saved]));
    let mut seen = Vec::new();
    until("the end of the save", || {
        let screen = terminal.screen();
        if screen.contains("MiB") && seen.last() != percent(&screen).as_ref() {
            seen.extend(percent(&screen));
        }
        screen.contains(&format!("Domain 'real' saved to {saved}"))
    });
    assert!(seen.is_sorted() && seen.iter().all(|percent| *percent <= 100), "{seen:?}");
    assert!(seen.iter().collect::<BTreeSet<_>>().len() > 4, "it moved too seldom: {seen:?}");
    let (status, screen) = terminal.ended();
    assert_eq!((status, screen), (0, format!("Domain 'real' saved to {saved}")));
}
