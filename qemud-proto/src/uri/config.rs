//! Aliases and the default, as libvirt's `libvirt.conf` has them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{ConnectUri, UriError};
use crate::configuration;

/// The file's name.
const FILE: &str = "guestctl.toml";

/// What a client's configuration says about URIs.
///
/// The file is TOML: `guestd/guestctl.toml` in `$XDG_CONFIG_HOME` (else `~/.config`), or else in `/etc`.
///
/// ```
/// use qemud_proto::uri::UriConfig;
///
/// let config = UriConfig::parse(r#"
///     uri_aliases = ["hail=qemu+ssh://root@hail.example.org/system"]
///     uri_default = "hail"
/// "#)?;
/// let uri = config.resolve(None)?.expect("there is a default");
/// assert_eq!(uri.remote, "qemu:///system");
/// assert_eq!(config.resolve(Some("test:///default"))?.expect("it is given").driver, "test");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct UriConfig {
    /// Short names: `NAME=URI`, where a name is made of `a-z A-Z 0-9 _ -`.
    #[serde(default)]
    pub uri_aliases: Vec<Alias>,
    /// The URI, or the alias, where nothing else is said.
    pub uri_default: Option<String>,
}

/// A short name for a URI.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
#[non_exhaustive]
pub struct Alias {
    /// The name.
    pub name: String,
    /// The URI.
    pub uri: String,
}

impl TryFrom<String> for Alias {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let malformed = || format!("alias '{text}' is not NAME=URI");
        let (name, uri) = text.split_once('=').ok_or_else(malformed)?;
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        if name.is_empty() || !name.chars().all(allowed) {
            return Err(format!("the name of alias '{text}' may have only a-z, A-Z, 0-9, _ and -"));
        }
        if let Err(error) = uri.parse::<ConnectUri>() {
            return Err(format!("alias '{name}': {error}"));
        }
        Ok(Self { name: name.to_owned(), uri: uri.to_owned() })
    }
}

/// Why a configuration is of no use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read '{}': {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is not what it should be; the message has the line.
    #[error("'{}': {source}", .path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and what.
        source: toml::de::Error,
    },
}

impl UriConfig {
    /// Reads a configuration from its text.
    ///
    /// # Errors
    /// When it is not TOML, or has keys that are not known, or an alias is malformed: with the line.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read, or as [`parse`](Self::parse).
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        Self::of_file(path.to_owned(), &text)
    }

    fn of_file(path: PathBuf, text: &str) -> Result<Self, ConfigError> {
        Self::parse(text).map_err(|source| ConfigError::Parse { path, source })
    }

    /// Reads the user's file, or else the machine's; without either nothing is configured.
    ///
    /// # Errors
    /// As [`read`](Self::read), for a file that is there.
    pub fn load() -> Result<Self, ConfigError> {
        match configuration::find(FILE)? {
            Some((path, text)) => Self::of_file(path, &text),
            None => Ok(Self::default()),
        }
    }

    /// The same for a user who has given this: where it is a URI, and so no alias, nothing has to be read, and a file that is
    /// of no use stands in nobody's way.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_for(given: Option<&str>) -> Result<Self, ConfigError> {
        if given.is_some_and(|text| text.contains(':')) { Ok(Self::default()) } else { Self::load() }
    }

    /// The target of what a user has given, or of the default. None where there is neither: see
    /// [`probe`](super::probe).
    ///
    /// # Errors
    /// When the text is neither an alias nor a URI.
    pub fn resolve(&self, given: Option<&str>) -> Result<Option<ConnectUri>, UriError> {
        let given = given.filter(|text| !text.is_empty()).or(self.uri_default.as_deref());
        let Some(text) = given.filter(|text| !text.is_empty()) else { return Ok(None) };
        let alias = self.uri_aliases.iter().find(|alias| alias.name == text);
        alias.map_or(text, |alias| &alias.uri).parse().map(Some)
    }
}
