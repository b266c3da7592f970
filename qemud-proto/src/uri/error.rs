//! What is wrong with a text that should be a URI.

/// Why a text is not a URI that can be connected to. The part that is wrong is named.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UriError {
    /// Not a URI at all.
    #[error("'{uri}' is not a URI: {reason}")]
    Syntax {
        /// The text.
        uri: String,
        /// What is wrong.
        reason: String,
    },
    /// The text, or what the daemon would be sent, is too long.
    #[error("URI of {len} bytes is longer than its maximum {max}")]
    TooLong {
        /// Its length in bytes.
        len: usize,
        /// The limit: [`URI_MAX`](super::URI_MAX).
        max: usize,
    },
    /// No transport has this name.
    #[error("no transport is named '{0}'; there are unix, tls, tcp, ssh and ext")]
    UnknownTransport(String),
    /// A part is missing.
    #[error("transport '{transport}' needs {part}")]
    Missing {
        /// The transport.
        transport: &'static str,
        /// The part.
        part: &'static str,
    },
    /// A part means nothing here.
    #[error("{part} means nothing for transport '{transport}'")]
    Misplaced {
        /// The transport.
        transport: &'static str,
        /// The part.
        part: String,
    },
    /// A part is not what it has to be.
    #[error("{part} {reason}")]
    Invalid {
        /// The part.
        part: String,
        /// What is wrong.
        reason: String,
    },
    /// A parameter is there twice.
    #[error("parameter '{0}' is given twice")]
    Repeated(String),
    /// The driver has no such connection.
    #[error("driver '{driver}' has no connection '{path}'; there {known}")]
    UnknownPath {
        /// The driver.
        driver: String,
        /// The path.
        path: String,
        /// The ones that it has.
        known: &'static str,
    },
}

impl UriError {
    pub(super) fn invalid(part: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Invalid { part: part.into(), reason: reason.into() }
    }
}
