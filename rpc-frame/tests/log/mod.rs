//! What a test's thread logs.
#![allow(dead_code, reason = "every test file takes what it needs")]

use std::borrow::ToOwned;
use std::io;
use std::string::String;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::vec::Vec;

use tracing::subscriber::DefaultGuard;
use tracing::{Dispatch, Level};

#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Logs what this thread says, up to this level, until the guard is dropped.
    pub(crate) fn begin(most: Level) -> (Self, DefaultGuard) {
        // Were there only one subscriber, another thread that comes to an event first would ask its own, which is none,
        // whether anybody wants to know of it; the answer is kept for all.
        static OTHER: OnceLock<Dispatch> = OnceLock::new();
        OTHER.get_or_init(|| Dispatch::new(tracing_subscriber::registry()));
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(most)
            .with_ansi(false)
            .without_time()
            .with_writer(move || writer.clone())
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    /// The lines that hold a text.
    pub(crate) fn lines_with(&self, text: &str) -> Vec<String> {
        let log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&log).lines().filter(|line| line.contains(text)).map(str::to_owned).collect()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
