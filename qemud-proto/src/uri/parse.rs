//! From the text to its target.

use std::str::FromStr;

use url::{Host, ParseError, Url};

use super::parameters::{Parameters, decoded};
use super::{Certificates, ConnectUri, Ssh, TCP_PORT, TLS_PORT, Transport, URI_MAX, UriError};

impl FromStr for ConnectUri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        fits(text)?;
        let syntax = |reason: &str| UriError::Syntax { uri: text.to_owned(), reason: reason.to_owned() };
        // The parser would pass over some of them.
        if text.contains(|c: char| c.is_control() || c.is_whitespace()) {
            return Err(syntax("it has white space or a control character, which is written with a '%'"));
        }
        let url = Url::parse(text).map_err(|error| match error {
            ParseError::RelativeUrlWithoutBase => syntax("it does not begin with 'driver://' or 'driver+transport://'"),
            error => syntax(&error.to_string()),
        })?;
        // A URI without '//' has a path that cannot be told from a driver's.
        if !text.get(url.scheme().len()..).is_some_and(|rest| rest.starts_with("://")) {
            return Err(syntax("'//' is missing behind the driver"));
        }
        let (driver, named) = match url.scheme().split_once('+') {
            Some((driver, transport)) => (driver, Some(transport)),
            None => (url.scheme(), None),
        };
        if FOREIGN.contains(&driver) {
            return Err(UriError::invalid(
                format!("driver '{driver}'"),
                "does not exist: this is an address of the web",
            ));
        }
        let mut parts = Parts {
            user: user(&url)?,
            host: host(&url)?,
            port: url.port(),
            parameters: Parameters::read(url.query().unwrap_or_default())?,
        };
        let in_process = named.is_none() && parts.host.is_none() && driver == "test" && url.path() == "/default";
        let transport = match named {
            _ if in_process => "in process",
            None if parts.host.is_some() => "tls",
            Some("unix") | None => "unix",
            Some("tls") => "tls",
            Some("tcp") => "tcp",
            Some("ssh") => "ssh",
            Some("ext") => "ext",
            Some(other) => return Err(UriError::UnknownTransport(other.to_owned())),
        };
        let means_nothing = |part: &str| UriError::Misplaced { transport, part: part.to_owned() };
        if url.password().is_some() {
            return Err(means_nothing("a password"));
        }
        if url.fragment().is_some() {
            return Err(means_nothing("a fragment ('#')"));
        }
        let name = if in_process { None } else { parts.parameters.text("name")? };
        let target = parts.target(transport)?;
        let rest = parts.parameters.for_the_daemon(transport)?;
        let path = url.path().to_owned();
        let remote = if let Some(name) = name {
            fits(&name)?;
            name
        } else {
            known_path(driver, &path)?;
            let separator = if rest.is_empty() { "" } else { "?" };
            format!("{driver}://{path}{separator}{rest}")
        };
        // The parser may have replaced letters by longer forms of them.
        fits(&remote)?;
        Ok(Self { driver: driver.to_owned(), transport: target, path, remote, read_only: false })
    }
}

/// Schemes with rules of their own, which the parser applies.
const FOREIGN: [&str; 6] = ["http", "https", "ws", "wss", "ftp", "file"];

/// What a transport can take or leave.
struct Parts<'a> {
    user: Option<String>,
    host: Option<String>,
    port: Option<u16>,
    parameters: Parameters<'a>,
}

impl Parts<'_> {
    fn target(&mut self, transport: &'static str) -> Result<Transport, UriError> {
        let parameters = &mut self.parameters;
        Ok(match transport {
            "unix" => {
                parameters.mode()?;
                let socket = parameters.socket()?;
                self.refuse(transport, &[Part::User, Part::Host, Part::Port])?;
                Transport::Unix { socket }
            }
            "tls" => {
                let certificates = Certificates { folder: parameters.path("pkipath")?, ..Certificates::default() };
                let verify = parameters.flag("no_verify")? != Some(true);
                self.refuse(transport, &[Part::User])?;
                let (host, port) = (self.host(transport)?, self.port.unwrap_or(TLS_PORT));
                Transport::Tls { host, port, certificates, verify }
            }
            "tcp" => {
                self.refuse(transport, &[Part::User])?;
                Transport::Tcp { host: self.host(transport)?, port: self.port.unwrap_or(TCP_PORT) }
            }
            "ssh" => {
                parameters.mode()?;
                let (command, netcat) = (parameters.path("command")?, parameters.path("netcat")?);
                let (keyfile, socket) = (parameters.path("keyfile")?, parameters.absolute_path("socket")?);
                let verify = parameters.flag("no_verify")? != Some(true);
                let questions = parameters.flag("no_tty")? == Some(false);
                let proxy = parameters.proxy()?;
                let (user, port) = (self.user.take(), self.port);
                let host = self.host(transport)?;
                Transport::Ssh(Ssh { host, port, user, command, socket, netcat, keyfile, verify, questions, proxy })
            }
            "ext" => {
                let command = parameters.path("command")?;
                self.refuse(transport, &[Part::User, Part::Host, Part::Port])?;
                let command = command.ok_or(UriError::Missing { transport: "ext", part: "parameter 'command'" })?;
                Transport::Ext { command }
            }
            _ => {
                self.refuse(transport, &[Part::User, Part::Host, Part::Port])?;
                Transport::InProcess
            }
        })
    }

    fn host(&mut self, transport: &'static str) -> Result<String, UriError> {
        self.host.take().ok_or(UriError::Missing { transport, part: "a host" })
    }

    fn refuse(&self, transport: &'static str, parts: &[Part]) -> Result<(), UriError> {
        for part in parts {
            let part = match part {
                Part::User => self.user.as_ref().map(|user| format!("user '{user}'")),
                Part::Host => self.host.as_ref().map(|host| format!("host '{host}'")),
                Part::Port => self.port.map(|port| format!("port {port}")),
            };
            if let Some(part) = part {
                return Err(UriError::Misplaced { transport, part });
            }
        }
        Ok(())
    }
}

enum Part {
    User,
    Host,
    Port,
}

fn fits(uri: &str) -> Result<(), UriError> {
    if uri.len() > URI_MAX { Err(UriError::TooLong { len: uri.len(), max: URI_MAX }) } else { Ok(()) }
}

/// It becomes an argument of ssh, and may not look like an option.
fn user(url: &Url) -> Result<Option<String>, UriError> {
    let user = decoded(url.username(), || "the user".to_owned())?;
    if user.starts_with('-') {
        return Err(UriError::invalid(format!("user '{user}'"), "begins with '-'"));
    }
    // ssh hands it on to commands of its configuration.
    let named = |c: char| c.is_alphanumeric() || matches!(c, '-' | '.' | '_' | '@' | '+');
    if !user.chars().all(named) {
        let reason = "has other letters than letters, digits, '.', '_', '-', '@' and '+'";
        return Err(UriError::invalid(format!("user '{user}'"), reason));
    }
    Ok(Some(user).filter(|user| !user.is_empty()))
}

/// A name or an address. It becomes an argument of programs and a name to look up, so it may not look like an option
/// and has no letters that names do not have.
fn host(url: &Url) -> Result<Option<String>, UriError> {
    let host = match url.host() {
        None | Some(Host::Domain("")) => return Ok(None),
        Some(Host::Ipv6(address)) => return Ok(Some(address.to_string())),
        Some(Host::Ipv4(address)) => return Ok(Some(address.to_string())),
        Some(Host::Domain(host)) => decoded(host, || format!("host '{host}'"))?,
    };
    let named = |c: char| c.is_alphanumeric() || matches!(c, '-' | '.' | '_');
    if host.starts_with('-') || !host.chars().all(named) {
        let reason = "is not a name: letters, digits, '.', '_' and, but not in front, '-'";
        return Err(UriError::invalid(format!("host '{host}'"), reason));
    }
    Ok(Some(host))
}

/// The drivers that we know have few connections; what others have, their daemon knows.
fn known_path(driver: &str, path: &str) -> Result<(), UriError> {
    let known = match (driver, path) {
        ("qemu", "/system" | "/session") | ("test", "/default") => return Ok(()),
        ("qemu", _) => "are '/system' and '/session'",
        ("test", _) => "is '/default'",
        _ => return Ok(()),
    };
    Err(UriError::UnknownPath { driver: driver.to_owned(), path: path.to_owned(), known })
}
