//! One argument of QEMU that is a list of options.

use std::ffi::{OsStr, OsString};

/// A list of options, `first,key=value,key=value`, in which no value ends early: QEMU reads two commas as one comma that
/// belongs to the value.
///
/// Keys are part of this program. Values may be anything: the first `=` ends the key, so further ones belong to the value.
#[derive(Debug, Default)]
pub(super) struct Options(OsString);

impl Options {
    /// A list that begins with the value whose key QEMU does not ask for.
    pub(super) fn of(kind: impl AsRef<OsStr>) -> Self {
        Self(doubled(kind.as_ref()))
    }

    pub(super) fn with(mut self, key: &'static str, value: impl AsRef<OsStr>) -> Self {
        if !self.0.is_empty() {
            self.0.push(",");
        }
        self.0.push(key);
        self.0.push("=");
        self.0.push(doubled(value.as_ref()));
        self
    }

    pub(super) fn with_some(self, key: &'static str, value: Option<impl AsRef<OsStr>>) -> Self {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }

    pub(super) fn switch(self, key: &'static str, on: bool) -> Self {
        self.with(key, if on { "on" } else { "off" })
    }
}

impl From<Options> for OsString {
    fn from(options: Options) -> Self {
        options.0
    }
}

fn doubled(value: &OsStr) -> OsString {
    use std::os::unix::ffi::{OsStrExt, OsStringExt};

    let pieces: Vec<_> = value.as_bytes().split(|byte| *byte == b',').collect();
    OsString::from_vec(pieces.join(b",,".as_slice()))
}
