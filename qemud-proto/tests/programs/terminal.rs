//! Programs on a terminal, and what is to be seen there.

use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;

use nix::pty::{Winsize, openpty};
use nix::sys::termios::{Termios, tcgetattr};

use crate::processes::{Guarded, until};

const ROWS: NonZeroU16 = NonZeroU16::new(12).unwrap();
const COLUMNS: NonZeroU16 = NonZeroU16::new(100).unwrap();

/// A program on a terminal of its own.
pub(crate) struct Terminal {
    process: Guarded,
    near: File,
    settings: Termios,
    shown: Arc<Mutex<vt100::Parser>>,
    /// All that was ever written.
    written: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    pub(crate) fn run(mut command: Command) -> Self {
        let size = Winsize { ws_row: ROWS.get(), ws_col: COLUMNS.get(), ws_xpixel: 0, ws_ypixel: 0 };
        let terminal = openpty(Some(&size), None).unwrap();
        let far = || terminal.slave.try_clone().unwrap();
        command.env("TERM", "xterm-256color").stdin(far()).stdout(far()).stderr(far());
        let near = File::from(terminal.master);
        let settings = tcgetattr(near.as_fd()).unwrap();
        let process = Guarded(command.spawn().unwrap());
        // The command holds the far end as well, and its end would not be seen.
        drop(command);
        drop(terminal.slave);
        let shown = Arc::new(Mutex::new(vt100::Parser::new(ROWS, COLUMNS, 0)));
        let written = Arc::new(Mutex::new(Vec::new()));
        let (mut reader, screen, all) = (near.try_clone().unwrap(), Arc::clone(&shown), Arc::clone(&written));
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            // The end of the last program is an error of the system here.
            while let Ok(length @ 1..) = reader.read(&mut buffer) {
                all.lock().unwrap().extend_from_slice(&buffer[..length]);
                screen.lock().unwrap().process(&buffer[..length]);
            }
        });
        Self { process, near, settings, shown, written }
    }

    /// Presses these keys.
    pub(crate) fn press(&mut self, keys: &str) {
        self.near.write_all(keys.as_bytes()).unwrap();
    }

    /// What is to be seen, without the blanks at the end of lines.
    pub(crate) fn screen(&self) -> String {
        thread::yield_now();
        let text = self.shown.lock().unwrap().screen().contents();
        text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
    }

    #[track_caller]
    pub(crate) fn shows(&self, text: &str) {
        until(&format!("{text:?} on the terminal"), || self.screen().contains(text));
    }

    /// Whether this was ever written, whatever became of it.
    pub(crate) fn has_written(&self, text: &str) -> bool {
        String::from_utf8_lossy(&self.written.lock().unwrap()).contains(text)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.0.id()
    }

    /// Waits for the program to end by itself, with the terminal as it was, and tells its status and what is left on
    /// the screen.
    #[track_caller]
    pub(crate) fn ended(mut self) -> (i32, String) {
        let mut status = None;
        until("the program to end", || {
            status = self.process.0.try_wait().unwrap();
            status.is_some()
        });
        // All that it wrote has been read when nothing can come any more.
        until("the end of what it writes", || Arc::strong_count(&self.written) == 1);
        assert_eq!(tcgetattr(self.near.as_fd()).unwrap(), self.settings, "the terminal's settings");
        let shown = self.shown.lock().unwrap();
        assert!(!shown.screen().alternate_screen() && !shown.screen().hide_cursor(), "the screen is as it was");
        drop(shown);
        (status.and_then(|status| status.code()).unwrap_or(-1), self.screen())
    }
}
