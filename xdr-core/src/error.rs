//! What went wrong, where, and in which field.

use alloc::string::String;
use core::fmt;

/// Why bytes are not the XDR form of a value. The peer is to blame, or the limits are too narrow.
///
/// ```
/// use xdr_core::{DecodeErrorKind, Xdr};
/// #[derive(Debug, Xdr)]
/// struct DomainCreate { #[xdr(max = 8)] xml: String }
///
/// let error = xdr_core::from_slice::<DomainCreate>(&[0, 0, 0, 9]).unwrap_err();
/// assert_eq!(error.path, "DomainCreate.xml");
/// assert_eq!(error.offset, 0);
/// assert_eq!(
///     error.to_string(),
///     "DomainCreate.xml: string of 9 bytes is longer than its maximum 8, at byte 0"
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DecodeError {
    /// What is wrong.
    pub kind: DecodeErrorKind,
    /// The byte where it is wrong, counted from the beginning of the input.
    pub offset: usize,
    /// The field where it is wrong, from the outermost type on: `Page.entries[3].name`.
    pub path: String,
}

/// What is wrong with the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// The input ends before the value does.
    UnexpectedEnd {
        /// Bytes that are missing at least.
        missing: usize,
    },
    /// A length is greater than its maximum.
    TooLong {
        /// What is too long.
        what: Lengthy,
        /// The length on the wire: bytes, elements or nodes.
        len: usize,
        /// The greatest that is allowed.
        max: usize,
    },
    /// An array's count is greater than the rest of the input can hold.
    CountBeyondInput {
        /// The count on the wire.
        count: usize,
        /// Bytes of input behind it.
        remaining: usize,
    },
    /// A padding byte is not zero (RFC 4506 §4).
    NonZeroPadding,
    /// A bool is neither 0 nor 1.
    InvalidBool(u32),
    /// An optional-data flag is neither 0 nor 1.
    InvalidOptionFlag(u32),
    /// An enum has no name for this value.
    UnknownEnumValue(i32),
    /// A union has no arm for this discriminant, given as its word.
    UnknownDiscriminant(i32),
    /// A word does not fit the small C integer that it stands for.
    OutOfRange(i32),
    /// A string is not UTF-8.
    InvalidUtf8,
    /// Values nest deeper than [`Limits::depth`](crate::Limits::depth).
    DepthLimit {
        /// The limit.
        limit: u32,
    },
    /// Decoding would allocate more than [`Limits::heap`](crate::Limits::heap).
    HeapLimit {
        /// The limit, in bytes.
        limit: usize,
    },
    /// A value that the type does not accept, though its bytes are well formed.
    Rejected {
        /// The path of what decides: the `validate` function or the `with` module.
        by: &'static str,
    },
    /// Bytes are left behind the value.
    TrailingBytes {
        /// How many.
        count: usize,
    },
}

/// Something with a length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lengthy {
    /// A string, in bytes.
    String,
    /// An opaque, in bytes.
    Opaque,
    /// An array, in elements.
    Array,
    /// A linked list, in nodes.
    List,
}

impl Lengthy {
    const fn unit(self) -> &'static str {
        match self {
            Self::String | Self::Opaque => "bytes",
            Self::Array => "elements",
            Self::List => "nodes",
        }
    }
}

impl fmt::Display for Lengthy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::String => "string",
            Self::Opaque => "opaque",
            Self::Array => "array",
            Self::List => "list",
        })
    }
}

fn too_long(f: &mut fmt::Formatter<'_>, what: Lengthy, len: usize, max: usize) -> fmt::Result {
    write!(f, "{what} of {len} {} is longer than its maximum {max}", what.unit())
}

impl fmt::Display for DecodeErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::UnexpectedEnd { missing } => write!(f, "input ends, at least {missing} bytes are missing"),
            Self::TooLong { what, len, max } => too_long(f, what, len, max),
            Self::CountBeyondInput { count, remaining } => {
                write!(f, "count of {count} elements does not fit the {remaining} bytes that are left")
            }
            Self::NonZeroPadding => f.write_str("padding is not zero"),
            Self::InvalidBool(word) => write!(f, "bool is {word}, neither 0 nor 1"),
            Self::InvalidOptionFlag(word) => write!(f, "optional-data flag is {word}, neither 0 nor 1"),
            Self::UnknownEnumValue(value) => write!(f, "enum has no value {value}"),
            Self::UnknownDiscriminant(value) => write!(f, "union has no arm for discriminant {value}"),
            Self::OutOfRange(value) => write!(f, "{value} is out of the integer's range"),
            Self::InvalidUtf8 => f.write_str("string is not UTF-8"),
            Self::DepthLimit { limit } => write!(f, "values nest deeper than the limit {limit}"),
            Self::HeapLimit { limit } => write!(f, "decoding needs more heap than the limit of {limit} bytes"),
            Self::Rejected { by } => write!(f, "value is rejected by {by}"),
            Self::TrailingBytes { count } => write!(f, "{count} bytes are left behind the value"),
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}, at byte {}", self.path, self.kind, self.offset)
    }
}

impl core::error::Error for DecodeError {}

/// Why a value has no XDR form. The caller is to blame.
///
/// ```
/// use xdr_core::Xdr;
/// #[derive(Xdr)]
/// struct Name { #[xdr(max = 3)] name: String }
///
/// let error = xdr_core::to_vec(&Name { name: "four".into() }).unwrap_err();
/// assert_eq!(error.to_string(), "Name.name: string of 4 bytes is longer than its maximum 3");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EncodeError {
    /// What is wrong.
    pub kind: EncodeErrorKind,
    /// The field where it is wrong, from the outermost type on.
    pub path: String,
}

/// What is wrong with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeErrorKind {
    /// A length is greater than its maximum.
    TooLong {
        /// What is too long.
        what: Lengthy,
        /// Its length: bytes, elements or nodes.
        len: usize,
        /// The greatest that is allowed.
        max: usize,
    },
    /// A tag that a variant keeps selects another arm of its union, or is the value of another name of its enum.
    TagOfAnotherArm(i32),
    /// A value that the type does not accept.
    Rejected {
        /// The path of what decides: the `validate` function.
        by: &'static str,
    },
    /// The space given is too small, or no buffer can be so large.
    NoSpace {
        /// Bytes that the value takes.
        needed: usize,
    },
    /// An implementation of `Encode` wrote fewer or more bytes than it had announced.
    WrongLength {
        /// Bytes announced.
        announced: usize,
    },
}

impl fmt::Display for EncodeErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::TooLong { what, len, max } => too_long(f, what, len, max),
            Self::TagOfAnotherArm(tag) => write!(f, "tag {tag} belongs to another arm"),
            Self::Rejected { by } => write!(f, "value is rejected by {by}"),
            Self::NoSpace { needed } => write!(f, "the value takes {needed} bytes, more than there is space"),
            Self::WrongLength { announced } => {
                write!(f, "its `Encode` announced {announced} bytes and wrote another number")
            }
        }
    }
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.kind)
    }
}

impl core::error::Error for EncodeError {}

#[cfg(feature = "std")]
impl From<DecodeError> for std::io::Error {
    /// Input that ends early is `UnexpectedEof`, everything else `InvalidData`.
    fn from(error: DecodeError) -> Self {
        let kind = match error.kind {
            DecodeErrorKind::UnexpectedEnd { .. } => std::io::ErrorKind::UnexpectedEof,
            _ => std::io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}

#[cfg(feature = "std")]
impl From<EncodeError> for std::io::Error {
    fn from(error: EncodeError) -> Self {
        Self::new(std::io::ErrorKind::InvalidInput, error)
    }
}
