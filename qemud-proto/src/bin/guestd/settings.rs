//! What the daemon is told: on the command line, else in the environment, else in its file, else nothing.

use std::fs;
use std::net::SocketAddr;
#[cfg(feature = "qemu")]
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::{Args, ValueEnum};
use nix::unistd::Uid;
use qemud_proto::configuration;
use qemud_proto::failure::Reply;
use qemud_proto::messages::DomainNames;
use rpc_frame::tls::{TlsAllow, TlsFiles};
use rpc_frame::tokio::ServerConfig;
use rpc_frame::xdr::Encode;
use serde::Deserialize;

/// Longest record, in bytes: 1024 names of 256 bytes are the longest reply, and 64 KiB of XML the longest call.
const RECORD_MAX: usize = 288 * 1024;
const _: () = assert!(matches!(<Reply<DomainNames> as Encode>::MAX_WIRE, Some(max) if max + 64 < RECORD_MAX));

/// Bytes of replies that a peer may leave unread before none of its calls is taken up.
const UNSENT_MAX: usize = 64 * 1024;

/// Each of them is an option, a variable and a key of the file. `guestd.toml` beside the package's manifest has them all.
#[derive(Args, Deserialize, Debug, Default, Clone, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// Listen on this unix socket, or on this abstract one (@NAME) [default: $XDG_RUNTIME_DIR/guestd/guestd-sock, or
    /// /run/guestd/guestd-sock for root without that variable, unless another socket is named or passed by systemd]
    #[arg(long, value_name = "PATH", env = "GUESTD_UNIX")]
    pub(crate) unix: Option<PathBuf>,

    /// Who may connect to the unix socket, as octal digits, also to an abstract one that systemd has bound, which has no
    /// SocketMode [default: 0600, with a group 0660]
    #[arg(long, value_name = "MODE", env = "GUESTD_UNIX_MODE")]
    pub(crate) unix_mode: Option<Mode>,

    /// The group that the unix sockets belong to, by name or number
    #[arg(long, value_name = "GROUP", env = "GUESTD_UNIX_GROUP")]
    pub(crate) unix_group: Option<String>,

    /// Listen on this unix socket for calls that change nothing
    #[arg(long, value_name = "PATH", env = "GUESTD_UNIX_READ_ONLY")]
    pub(crate) unix_read_only: Option<PathBuf>,

    /// Who may connect to that socket, as octal digits [default: 0666]
    #[arg(long, value_name = "MODE", env = "GUESTD_UNIX_READ_ONLY_MODE")]
    pub(crate) unix_read_only_mode: Option<Mode>,

    /// Listen on this TCP address, neither encrypted nor authenticated; port 0 picks one
    #[arg(long, value_name = "ADDRESS:PORT", env = "GUESTD_TCP")]
    pub(crate) tcp: Option<SocketAddr>,

    /// Let everybody who reaches the TCP address change things; at 127.0.0.1 that is every user of this machine
    #[arg(long, value_name = "BOOL", env = "GUESTD_TCP_TRUSTED", num_args = 0..=1, default_missing_value = "true")]
    pub(crate) tcp_trusted: Option<bool>,

    /// Listen on this TCP address with TLS, for clients with certificates; port 0 picks one
    #[arg(long, value_name = "ADDRESS:PORT", env = "GUESTD_TLS")]
    pub(crate) tls: Option<SocketAddr>,

    /// The folder with cacert.pem, servercert.pem and serverkey.pem [default: those that are in ~/.pki/guestd, unless root
    /// runs the daemon, else /etc/pki/CA/cacert.pem, and /etc/pki/guestd/servercert.pem with private/serverkey.pem]
    #[arg(long, value_name = "FOLDER", env = "GUESTD_PKI_PATH")]
    pub(crate) pki_path: Option<PathBuf>,

    /// Certificates of those who vouch for clients, in the place of cacert.pem
    #[arg(long, value_name = "FILE", env = "GUESTD_TLS_CA")]
    pub(crate) tls_ca: Option<PathBuf>,

    /// The daemon's certificate, in the place of servercert.pem
    #[arg(long, value_name = "FILE", env = "GUESTD_TLS_CERTIFICATE")]
    pub(crate) tls_certificate: Option<PathBuf>,

    /// Its key, in the place of serverkey.pem
    #[arg(long, value_name = "FILE", env = "GUESTD_TLS_KEY")]
    pub(crate) tls_key: Option<PathBuf>,

    /// Let only clients in whose certificates have such a subject, for instance 'C=DE,O=Example,CN=*'; may be repeated,
    /// in the variable by a line for each. An empty list in the file lets nobody in
    // Subjects have spaces; a line break is escaped in them.
    #[arg(long = "tls-allowed-name", value_name = "PATTERN", env = "GUESTD_TLS_ALLOWED_NAMES", value_delimiter = '\n')]
    pub(crate) tls_allowed_names: Option<Vec<String>>,

    /// Let only clients in with TLS from this address or network, for instance 192.0.2.0/24; may be repeated
    #[arg(
        long = "tls-allowed-network",
        value_name = "NETWORK",
        env = "GUESTD_TLS_ALLOWED_NETWORKS",
        value_delimiter = ' '
    )]
    pub(crate) tls_allowed_networks: Option<Vec<String>>,

    /// Serve these drivers, the first where a client says none: test, whose guests live in memory, qemu, or libvirt
    /// behind them, where guestd was built with it; may be repeated [default: test, then qemu where there is a QEMU and its
    /// folders can be used, then libvirt]
    #[arg(long = "driver", value_name = "NAME", env = "GUESTD_DRIVERS", value_delimiter = ' ')]
    pub(crate) drivers: Option<Vec<DriverName>>,

    /// Keep definitions in this folder, those of QEMU's guests below qemu/ [default: /etc/guestd for root, else
    /// $XDG_CONFIG_HOME/guestd or ~/.config/guestd]
    #[arg(long, value_name = "FOLDER", env = "GUESTD_CONFIG_DIR")]
    pub(crate) config_dir: Option<PathBuf>,

    /// Keep what is known of running guests in this folder, with sockets whose paths must be short [default: /run/guestd
    /// for root, else $XDG_RUNTIME_DIR/guestd]
    #[arg(long, value_name = "FOLDER", env = "GUESTD_STATE_DIR")]
    pub(crate) state_dir: Option<PathBuf>,

    /// Seconds that QEMU may keep silent before a guest is taken to hang [default: 10]
    #[arg(long, value_name = "SECONDS", env = "GUESTD_MONITOR_LIMIT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) monitor_limit: Option<u16>,

    /// Save each of QEMU's guests with at most this many KiB a second [default: as fast as the disk takes it]
    #[arg(long, value_name = "KIB", env = "GUESTD_SAVE_BANDWIDTH", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) save_bandwidth: Option<u32>,

    /// Begin the test driver without any guest, instead of one domain 'test' and one network 'default'
    #[arg(long, value_name = "BOOL", env = "GUESTD_EMPTY", num_args = 0..=1, default_missing_value = "true")]
    pub(crate) empty: Option<bool>,

    /// Switch a procedure off, by its name in `guestctl procedures`; may be repeated
    #[arg(long, value_name = "NAME", env = "GUESTD_SWITCH_OFF", value_delimiter = ' ')]
    pub(crate) switch_off: Option<Vec<String>>,

    /// Most connections at a time [default: 1024]
    #[arg(long, value_name = "N", env = "GUESTD_MAX_CONNECTIONS", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) max_connections: Option<u16>,

    /// Most connections of one user, certificate or address at a time [default: 512]
    #[arg(long, value_name = "N", env = "GUESTD_MAX_CONNECTIONS_PER_PEER", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) max_connections_per_peer: Option<u16>,

    /// Most clients at a time that have not presented their certificate yet [default: 64]
    #[arg(long, value_name = "N", env = "GUESTD_MAX_HANDSHAKES", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) max_handshakes: Option<u16>,

    /// Events that are kept for a client that does not keep up; rounded up to a power of two [default: 256]
    #[arg(long, value_name = "N", env = "GUESTD_EVENT_QUEUE", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) event_queue: Option<u16>,

    /// Seconds that a call may take before it is given up and fails; 0 for no limit, which then holds for saving and
    /// restoring a domain as well: else they have an hour [default: 600]
    #[arg(long, value_name = "SECONDS", env = "GUESTD_TIME_LIMIT")]
    pub(crate) time_limit: Option<u32>,

    /// What is logged, for instance info, or warn,guestd=debug [default: RUST_LOG, else info]
    #[arg(long, value_name = "FILTER", env = "GUESTD_LOG")]
    pub(crate) log: Option<String>,

    /// How a line of the log looks [default: text]
    #[arg(long, value_name = "FORMAT", env = "GUESTD_LOG_FORMAT")]
    pub(crate) log_format: Option<LogFormat>,
}

/// A driver that can be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DriverName {
    /// In memory.
    Test,
    /// Processes of QEMU.
    Qemu,
    /// Whatever libvirt manages and no driver before it has taken.
    Libvirt,
}

impl DriverName {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Test => "test",
            Self::Qemu => "qemu",
            Self::Libvirt => "libvirt",
        }
    }

    /// Whether it is in this program.
    pub(crate) const fn is_built(self) -> bool {
        match self {
            Self::Test => true,
            Self::Qemu => cfg!(feature = "qemu"),
            Self::Libvirt => cfg!(feature = "libvirt"),
        }
    }
}

/// Bits of a socket's mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Mode(pub(crate) u32);

impl std::str::FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bits = u32::from_str_radix(text, 8).ok().filter(|bits| *bits <= 0o777);
        bits.map(Self).ok_or_else(|| format!("'{text}' is not a mode, such as 0660"))
    }
}

impl TryFrom<String> for Mode {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// An object of JSON a line, for programs.
    Json,
}

impl Settings {
    /// What is not said here is as `other` says.
    fn or(self, other: Self) -> Self {
        macro_rules! first {
            ($($key:ident)+) => { Self { $($key: self.$key.or(other.$key),)+ } };
        }
        first! {
            unix unix_mode unix_group unix_read_only unix_read_only_mode tcp tcp_trusted tls pki_path tls_ca
            tls_certificate tls_key tls_allowed_names tls_allowed_networks drivers config_dir state_dir monitor_limit
            save_bandwidth empty switch_off max_connections max_connections_per_peer max_handshakes event_queue time_limit log log_format
        }
    }

    /// Adds what the file says: this one, or else the user's, or else the machine's, if there is one.
    pub(crate) fn with_file(self, file: Option<&Path>) -> anyhow::Result<Self> {
        if let Some(file) = file {
            let text = fs::read_to_string(file).with_context(|| format!("cannot read '{}'", file.display()))?;
            return self.with_text(file, &text);
        }
        match configuration::find("guestd.toml")? {
            Some((file, text)) => self.with_text(&file, &text),
            None => Ok(self),
        }
    }

    fn with_text(self, file: &Path, text: &str) -> anyhow::Result<Self> {
        let read: Self = toml::from_str(text).with_context(|| format!("'{}'", file.display()))?;
        for (key, is_zero) in [
            ("max_connections", read.max_connections == Some(0)),
            ("max_connections_per_peer", read.max_connections_per_peer == Some(0)),
            ("max_handshakes", read.max_handshakes == Some(0)),
            ("event_queue", read.event_queue == Some(0)),
            ("monitor_limit", read.monitor_limit == Some(0)),
            ("save_bandwidth", read.save_bandwidth == Some(0)),
        ] {
            anyhow::ensure!(!is_zero, "'{}': {key} is 0, and must be at least 1", file.display());
        }
        Ok(self.or(read))
    }

    /// The folder of definitions.
    pub(crate) fn config_dir(&self) -> anyhow::Result<PathBuf> {
        let usual = if Uid::effective().is_root() { Some(PathBuf::from("/etc")) } else { configuration::own_folder() };
        let usual = usual.map(|folder| folder.join("guestd"));
        self.config_dir.clone().or(usual).context("without $XDG_CONFIG_HOME and $HOME there must be a --config-dir")
    }

    /// The folder of what runs.
    pub(crate) fn state_dir(&self) -> anyhow::Result<PathBuf> {
        let usual = if Uid::effective().is_root() { Some(PathBuf::from("/run")) } else { folder("XDG_RUNTIME_DIR") };
        let usual = usual.map(|folder| folder.join("guestd"));
        self.state_dir.clone().or(usual).context("without $XDG_RUNTIME_DIR there must be a --state-dir")
    }

    /// How long a guest's monitor may keep silent.
    #[cfg(any(test, feature = "qemu"))]
    pub(crate) fn monitor_limit(&self) -> Duration {
        Duration::from_secs(self.monitor_limit.unwrap_or(10).into())
    }

    /// Most bytes a second of a guest that is being saved, where there is a bound.
    #[cfg(feature = "qemu")]
    pub(crate) fn save_bandwidth(&self) -> Option<NonZeroU64> {
        NonZeroU64::new(u64::from(self.save_bandwidth?) * 1024)
    }

    /// Events that are kept for a client.
    pub(crate) fn event_queue(&self) -> usize {
        self.event_queue.unwrap_or(256).into()
    }

    /// What the server may cost.
    pub(crate) fn server(&self) -> ServerConfig {
        let mut config = ServerConfig::default();
        config.max_connections = self.max_connections.unwrap_or(1024).into();
        let time_limit = Duration::from_secs(self.time_limit.unwrap_or(600).into());
        config.time_limit = Some(time_limit).filter(|limit| !limit.is_zero());
        config.connection.max_record = RECORD_MAX;
        config.connection.max_unsent = UNSENT_MAX;
        config
    }

    /// Most connections of one peer.
    pub(crate) fn per_peer(&self) -> usize {
        self.max_connections_per_peer.unwrap_or(512).into()
    }

    /// Most connections of all that do not come by the unix socket for all calls, so that whoever looks after the daemon
    /// finds a place.
    pub(crate) fn places_elsewhere(&self) -> usize {
        let most = usize::from(self.max_connections.unwrap_or(1024));
        most.saturating_sub(most / 8)
    }

    /// Most clients that are unknown yet.
    pub(crate) fn handshakes(&self) -> usize {
        self.max_handshakes.unwrap_or(64).into()
    }

    /// The mode of the socket for all calls.
    pub(crate) fn mode(&self) -> u32 {
        let usual = if self.unix_group.is_some() { 0o660 } else { 0o600 };
        self.unix_mode.map_or(usual, |mode| mode.0)
    }

    /// The mode of the socket for calls that change nothing.
    pub(crate) fn read_only_mode(&self) -> u32 {
        self.unix_read_only_mode.map_or(0o666, |mode| mode.0)
    }

    /// Certificates and key. A user's own are not looked for where the user is root.
    pub(crate) fn tls_files(&self, is_root: bool) -> TlsFiles {
        let usual = match self.pki_path.as_deref() {
            None if !is_root => qemud_proto::pki::users_server(),
            folder => qemud_proto::pki::server(folder),
        };
        let pick = |given: &Option<PathBuf>, usual: Option<PathBuf>| given.clone().or(usual).unwrap_or_default();
        TlsFiles::new(pick(&self.tls_ca, Some(usual.authorities)))
            .with_certificate(pick(&self.tls_certificate, usual.certificate), pick(&self.tls_key, usual.key))
    }

    /// Who may connect with TLS.
    pub(crate) fn tls_allow(&self) -> anyhow::Result<TlsAllow> {
        let mut allow = TlsAllow::default();
        if let Some(names) = &self.tls_allowed_names {
            allow = allow.with_names(names);
        }
        if let Some(networks) = &self.tls_allowed_networks {
            allow = allow.with_networks(networks).context("tls_allowed_networks")?;
        }
        Ok(allow)
    }

    /// Longest time of an orderly end.
    pub(crate) const fn grace() -> Duration {
        Duration::from_secs(5)
    }
}

/// A folder that the environment names.
fn folder(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|folder| !folder.is_empty()).map(PathBuf::from)
}

#[cfg(test)]
mod tests;
