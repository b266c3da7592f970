//! Failures: what a procedure answers when it cannot do what it was asked.
//!
//! The numbers are libvirt's `virErrorNumber`, so its clients understand them; a number that is not
//! listed here passes through.

use std::borrow::Cow;
use std::fmt;

use xdr_core::Xdr;

use crate::characters::escaped;

/// Longest message of a failure, in bytes.
pub const MESSAGE_MAX: usize = 1024;

/// What every procedure replies: its result or a [`Failure`].
///
/// On the wire `union switch (int) { case 0: T; case 1: Failure; }`.
pub type Reply<T> = Result<T, Failure>;

/// Why a procedure was not carried out.
///
/// On the wire `struct { Code code; string message<1024>; }`.
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
pub struct Failure {
    /// What kind of failure it is, for programs.
    pub code: Code,
    /// What happened, for people, `string<1024>`.
    #[xdr(max = MESSAGE_MAX)]
    pub message: String,
}

impl Failure {
    /// A failure whose message fits its bound: it is cut at a character, and NULs are replaced.
    ///
    /// # Examples
    /// ```
    /// use qemud_proto::failure::{Code, Failure};
    ///
    /// let failure = Failure::new(Code::NoDomain, "no domain with name 'x'");
    /// assert_eq!(failure.to_string(), "NoDomain (42): no domain with name 'x'");
    /// assert_eq!(Failure::new(Code::Rpc, "\u{e9}".repeat(600)).message.len(), 1024);
    /// ```
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        let mut message = message.into();
        if message.contains('\0') {
            message = message.replace('\0', "\u{fffd}");
        }
        cut(&mut message, MESSAGE_MAX);
        Self { code, message }
    }

    /// The driver lacks this procedure.
    #[must_use]
    pub fn no_support(procedure: &str) -> Self {
        Self::new(Code::NoSupport, format!("this driver does not support {procedure}"))
    }
}

/// Shortens a text to at most `max` bytes without splitting a character.
pub(crate) fn cut(text: &mut String, max: usize) {
    text.truncate(text.floor_char_boundary(max));
}

impl fmt::Display for Failure {
    /// Writes one line: whoever has made a message by a name cannot break a log or turn a line around.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, escaped(&self.message))
    }
}

impl std::error::Error for Failure {}

/// The kind of a [`Failure`], an open `enum` on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Xdr)]
#[repr(i32)]
pub enum Code {
    /// A defect of the daemon.
    InternalError = 1,
    /// Memory ran out.
    NoMemory = 2,
    /// The driver lacks this procedure.
    NoSupport = 3,
    /// No driver for this URI, or its hypervisor cannot be reached.
    NoConnect = 5,
    /// No active domain has this id.
    InvalidDomain = 7,
    /// An argument breaks a rule.
    InvalidArg = 8,
    /// The operation was begun and failed.
    OperationFailed = 9,
    /// The operating system type is unknown.
    OsType = 16,
    /// The XML is malformed or breaks a rule.
    XmlError = 27,
    /// Another domain has this name or UUID.
    DomExist = 28,
    /// The client may not do this.
    OperationDenied = 29,
    /// The network argument makes no sense.
    InvalidNetwork = 36,
    /// Another network has this name or UUID.
    NetworkExist = 37,
    /// A call to the operating system failed.
    SystemError = 38,
    /// The RPC layer failed.
    Rpc = 39,
    /// TLS failed.
    Tls = 40,
    /// No domain has this key.
    NoDomain = 42,
    /// No network has this key.
    NoNetwork = 43,
    /// Authentication failed.
    AuthFailed = 45,
    /// The call is right, the state is wrong.
    OperationInvalid = 55,
    /// A number this version does not know.
    #[xdr(other)]
    Other(i32),
}

impl Code {
    /// The kind with this number.
    ///
    /// # Examples
    /// ```
    /// use qemud_proto::failure::Code;
    ///
    /// assert_eq!(Code::from_number(42), Code::NoDomain);
    /// assert_eq!(Code::from_number(84), Code::Other(84));
    /// ```
    #[must_use]
    pub fn from_number(number: i32) -> Self {
        xdr_core::from_slice(&number.to_be_bytes()).unwrap_or(Self::Other(number))
    }

    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> i32 {
        match self {
            Self::InternalError => 1,
            Self::NoMemory => 2,
            Self::NoSupport => 3,
            Self::NoConnect => 5,
            Self::InvalidDomain => 7,
            Self::InvalidArg => 8,
            Self::OperationFailed => 9,
            Self::OsType => 16,
            Self::XmlError => 27,
            Self::DomExist => 28,
            Self::OperationDenied => 29,
            Self::InvalidNetwork => 36,
            Self::NetworkExist => 37,
            Self::SystemError => 38,
            Self::Rpc => 39,
            Self::Tls => 40,
            Self::NoDomain => 42,
            Self::NoNetwork => 43,
            Self::AuthFailed => 45,
            Self::OperationInvalid => 55,
            Self::Other(number) => number,
        }
    }
}

impl fmt::Display for Code {
    /// Writes name and number, or the number alone where it has no name here.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Other(_) => Cow::Borrowed("code"),
            known => Cow::Owned(format!("{known:?}")),
        };
        write!(f, "{name} ({})", self.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_the_bound_is_kept_and_one_byte_more_is_cut() {
        assert_eq!(Failure::new(Code::Rpc, "x".repeat(1024)).message.len(), 1024);
        assert_eq!(Failure::new(Code::Rpc, "x".repeat(1025)).message.len(), 1024);
    }

    #[test]
    fn a_message_is_never_cut_inside_a_character() {
        let failure = Failure::new(Code::Rpc, "x".to_owned() + &"\u{10348}".repeat(300));
        assert_eq!(failure.message.len(), 1 + 255 * 4);
        assert!(failure.message.ends_with('\u{10348}'));
    }

    #[test]
    fn nuls_are_replaced_before_the_message_is_measured() {
        assert_eq!(Failure::new(Code::Rpc, "a\0b").message, "a\u{fffd}b");
        let failure = Failure::new(Code::Rpc, "\0".repeat(1024));
        assert_eq!(failure.message, "\u{fffd}".repeat(341));
    }

    #[test]
    fn failures_print_name_number_and_message() {
        let failure = Failure::no_support("DomainSave");
        assert_eq!(failure.to_string(), "NoSupport (3): this driver does not support DomainSave");
        let turned = Failure::new(Code::NoDomain, "no domain with name 'a\n\u{202e}b'");
        assert_eq!(turned.to_string(), "NoDomain (42): no domain with name 'a\\n\\u{202e}b'");
        let foreign = Failure::new(Code::Other(94), "later libvirt");
        assert_eq!(foreign.to_string(), "code (94): later libvirt");
    }
}
