//! What stands behind the '?': `name=value`, separated by '&'.

use std::path::PathBuf;

use percent_encoding::percent_decode_str;

use super::{Proxy, UriError};

/// The parameters that are for us. All others are the daemon's.
const OURS: [&str; 10] =
    ["name", "command", "socket", "netcat", "keyfile", "no_verify", "no_tty", "pkipath", "mode", "proxy"];

/// The parameters that nobody has asked for yet.
pub(super) struct Parameters<'a> {
    left: Vec<Parameter<'a>>,
}

struct Parameter<'a> {
    name: String,
    value: String,
    /// As it stood in the URI.
    written: &'a str,
}

impl<'a> Parameters<'a> {
    /// Empty parts are skipped, and a name alone has the value "". A '+' is a '+'.
    pub(super) fn read(query: &'a str) -> Result<Self, UriError> {
        let mut left: Vec<Parameter<'a>> = Vec::new();
        for written in query.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = written.split_once('=').unwrap_or((written, ""));
            let name = decoded(name, || format!("the name of parameter '{written}'"))?;
            if name.is_empty() {
                return Err(UriError::invalid(format!("parameter '{written}'"), "has no name"));
            }
            let value = decoded(value, || format!("parameter '{name}'"))?;
            let ours = OURS.contains(&name.as_str());
            if ours && left.iter().any(|other| other.name == name) {
                return Err(UriError::Repeated(name));
            }
            left.push(Parameter { name, value, written });
        }
        Ok(Self { left })
    }

    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, UriError> {
        let Some(at) = self.left.iter().position(|parameter| parameter.name == name) else {
            return Ok(None);
        };
        let value = self.left.remove(at).value;
        if value.is_empty() {
            return Err(UriError::invalid(format!("parameter '{name}'"), "has no value"));
        }
        Ok(Some(value))
    }

    pub(super) fn path(&mut self, name: &str) -> Result<Option<PathBuf>, UriError> {
        Ok(self.text(name)?.map(PathBuf::from))
    }

    /// The path of a unix socket, or the name of an abstract one: `@name`.
    pub(super) fn socket(&mut self) -> Result<Option<PathBuf>, UriError> {
        let is_abstract =
            self.left.iter().any(|parameter| parameter.name == "socket" && parameter.value.starts_with('@'));
        if is_abstract { self.path("socket") } else { self.absolute_path("socket") }
    }

    /// A path at another machine, or of a file that others will open: from the root on.
    pub(super) fn absolute_path(&mut self, name: &str) -> Result<Option<PathBuf>, UriError> {
        let path = self.path(name)?;
        match &path {
            Some(path) if !path.has_root() => {
                let reason = format!("is '{}', which is not an absolute path", path.display());
                Err(UriError::invalid(format!("parameter '{name}'"), reason))
            }
            _ => Ok(path),
        }
    }

    /// 0 or 1, as in `no_verify=1`.
    pub(super) fn flag(&mut self, name: &str) -> Result<Option<bool>, UriError> {
        match self.text(name)?.as_deref() {
            None => Ok(None),
            Some("0") => Ok(Some(false)),
            Some("1") => Ok(Some(true)),
            Some(other) => {
                Err(UriError::invalid(format!("parameter '{name}'"), format!("is '{other}', and must be 0 or 1")))
            }
        }
    }

    pub(super) fn proxy(&mut self) -> Result<Proxy, UriError> {
        match self.text("proxy")?.as_deref() {
            None | Some("auto") => Ok(Proxy::Auto),
            Some("netcat") => Ok(Proxy::Netcat),
            Some("native") => Ok(Proxy::Native),
            Some(other) => {
                let reason = format!("is '{other}', and must be auto, netcat or native");
                Err(UriError::invalid("parameter 'proxy'", reason))
            }
        }
    }

    /// Which of libvirt's daemons to ask. Here there is one, so every mode leads to it.
    pub(super) fn mode(&mut self) -> Result<(), UriError> {
        match self.text("mode")?.as_deref() {
            None | Some("auto" | "direct" | "legacy") => Ok(()),
            Some(other) => {
                let reason = format!("is '{other}', and must be auto, direct or legacy");
                Err(UriError::invalid("parameter 'mode'", reason))
            }
        }
    }

    /// What is left is the daemon's, as it was written; none of it may be one of ours.
    pub(super) fn for_the_daemon(self, transport: &'static str) -> Result<String, UriError> {
        if let Some(ours) = self.left.iter().find(|parameter| OURS.contains(&parameter.name.as_str())) {
            return Err(UriError::Misplaced { transport, part: format!("parameter '{}'", ours.name) });
        }
        let written: Vec<&str> = self.left.iter().map(|parameter| parameter.written).collect();
        Ok(written.join("&"))
    }
}

/// A part without its percent signs. `part` names it.
pub(super) fn decoded(text: &str, part: impl Fn() -> String) -> Result<String, UriError> {
    let text = percent_decode_str(text).decode_utf8();
    let text = text.map_err(|_| UriError::invalid(part(), "is not valid UTF-8"))?;
    if text.contains(char::is_control) {
        return Err(UriError::invalid(part(), "has a control character"));
    }
    Ok(text.into_owned())
}
