//! The identity of a domain or network: a UUID, 16 bytes on the wire, hyphenated for people.

use core::fmt;
use core::str::FromStr;

use xdr_core::Xdr;

/// A UUID, `opaque[16]` on the wire in the order in which it is printed.
///
/// # Examples
/// ```
/// use qemud_proto::identity::Uuid;
///
/// let uuid: Uuid = "6695eb01f6a4830479aa97f2502e193f".parse()?;
/// assert_eq!(uuid.to_string(), "6695eb01-f6a4-8304-79aa-97f2502e193f");
/// assert!("not a uuid".parse::<Uuid>().is_err());
/// # Ok::<(), qemud_proto::identity::UuidError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Xdr)]
#[xdr(transparent)]
pub struct Uuid(pub [u8; 16]);

impl Uuid {
    /// A new random (version 4) identity.
    #[must_use]
    pub fn random() -> Self {
        Self(uuid::Uuid::new_v4().into_bytes())
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        uuid::Uuid::from_bytes(self.0).as_hyphenated().fmt(f)
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Uuid({self})")
    }
}

impl FromStr for Uuid {
    type Err = UuidError;

    /// Reads 32 hexadecimal digits of any case, with the four hyphens or with none.
    fn from_str(text: &str) -> Result<Self, UuidError> {
        // The other spellings of the `uuid` crate (braces, `urn:uuid:`) are unknown to libvirt.
        if !matches!(text.len(), 32 | 36) {
            return Err(UuidError);
        }
        uuid::Uuid::parse_str(text).map(|uuid| Self(uuid.into_bytes())).map_err(|_| UuidError)
    }
}

/// The text is not a UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct UuidError;

impl fmt::Display for UuidError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a UUID has 32 hexadecimal digits, with four hyphens or none")
    }
}

impl std::error::Error for UuidError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_mean_the_same_identity() {
        let hyphenated: Uuid = "DD8FE884-6c02-601e-7551-cca97df1c5df".parse().unwrap();
        let plain: Uuid = "dd8fe8846c02601e7551cca97df1c5df".parse().unwrap();
        assert_eq!(hyphenated, plain);
        assert_eq!(plain.to_string(), "dd8fe884-6c02-601e-7551-cca97df1c5df");
    }

    #[test]
    fn rejects_what_is_not_a_uuid() {
        for text in [
            "",
            "x",
            "{dd8fe8846c02601e7551cca97df1c5df}",
            "urn:uuid:dd8fe884-6c02-601e-7551-cca97df1c5df",
            "dd8fe8846c02601e7551cca97df1c5dg",
            "dd8fe8846c02601e7551cca97df1c5d",
            "dd8fe884-6c02601e-7551-cca97df1-c5df",
        ] {
            assert_eq!(text.parse::<Uuid>(), Err(UuidError), "{text}");
        }
    }

    #[test]
    fn random_identities_differ() {
        assert_ne!(Uuid::random(), Uuid::random());
    }
}
