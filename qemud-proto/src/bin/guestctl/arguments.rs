//! The command line.

use clap::{Args, Parser, Subcommand};
use qemud_proto::uri::{ConnectUri, UriError};

const DEFAULT_URI: &str = "test:///default";

/// A variable that is set to nothing is as good as one that is not set.
fn connect_uri(text: &str) -> Result<ConnectUri, UriError> {
    if text.is_empty() { DEFAULT_URI.parse() } else { text.parse() }
}

/// Manage guests through a daemon of the guest protocol.
#[derive(Parser)]
#[command(name = "guestctl", version)]
pub(crate) struct Arguments {
    /// The daemon: test:///default (inside this program), test+unix:///default?socket=PATH, test+tcp://HOST:PORT/default
    #[arg(short, long, global = true, value_name = "URI", default_value = DEFAULT_URI, env = "GUESTD_DEFAULT_URI")]
    #[arg(value_parser = connect_uri)]
    pub(crate) connect: ConnectUri,

    /// Print JSON instead of tables
    #[arg(long, global = true)]
    pub(crate) json: bool,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Ask the daemon for nothing (procedure 0)
    Ping,
    /// Show the hypervisor's version
    Version,
    /// Show the machine that the daemon runs on
    Nodeinfo,
    /// Show what the host and its guests can do, as XML
    Capabilities,
    /// Show the procedure table and what is active in this session
    Procedures,
    /// List domains
    List(Which),
    /// Create and start a domain from an XML file, without keeping its definition
    Create {
        /// XML file, - for standard input
        file: String,
    },
    /// Define a domain from an XML file
    Define {
        /// XML file, - for standard input
        file: String,
    },
    /// Forget the definition of an inactive domain
    Undefine(Domain),
    /// Start an inactive domain
    Start(Domain),
    /// Halt a domain's processors
    Suspend(Domain),
    /// Let a suspended domain go on
    Resume(Domain),
    /// Stop a domain at once
    Destroy(Domain),
    /// Save a domain to a file and stop it
    Save {
        #[command(flatten)]
        domain: Domain,
        /// File on the daemon's machine, an absolute path
        file: String,
    },
    /// Start a domain from a saved file
    Restore {
        /// File on the daemon's machine, an absolute path
        file: String,
    },
    /// Show what is known about a domain
    Dominfo(Domain),
    /// Show a domain's state
    Domstate(Domain),
    /// Show a domain's id
    Domid(Domain),
    /// Show a domain's UUID
    Domuuid(Domain),
    /// Show a domain's name
    Domname(Domain),
    /// Show a domain's XML
    Dumpxml(Domain),
    /// Start a domain together with the daemon
    Autostart {
        #[command(flatten)]
        domain: Domain,
        /// Do not
        #[arg(long)]
        disable: bool,
    },
    /// Print what happens to domains as it happens, until interrupted
    Event {
        /// End after so many events
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
        count: Option<u64>,
        /// End after so many seconds
        #[arg(long, value_name = "SECONDS")]
        timeout: Option<u64>,
    },
    /// List networks
    NetList(Which),
    /// Create and start a network from an XML file, without keeping its definition
    NetCreate {
        /// XML file, - for standard input
        file: String,
    },
    /// Define a network from an XML file
    NetDefine {
        /// XML file, - for standard input
        file: String,
    },
    /// Forget the definition of an inactive network
    NetUndefine(Network),
    /// Start an inactive network
    NetStart(Network),
    /// Stop an active network
    NetDestroy(Network),
    /// Show what is known about a network
    NetInfo(Network),
    /// Show a network's UUID
    NetUuid(Network),
    /// Show a network's name
    NetName(Network),
    /// Show a network's XML
    NetDumpxml(Network),
    /// Start a network together with the daemon
    NetAutostart {
        #[command(flatten)]
        network: Network,
        /// Do not
        #[arg(long)]
        disable: bool,
    },
}

/// A domain, by any of its keys.
#[derive(Args)]
pub(crate) struct Domain {
    /// Id, UUID or name
    pub(crate) domain: String,
}

/// A network, by either of its keys.
#[derive(Args)]
pub(crate) struct Network {
    /// UUID or name
    pub(crate) network: String,
}

/// What to list.
#[derive(Args)]
pub(crate) struct Which {
    /// Only inactive ones
    #[arg(long, conflicts_with = "all")]
    pub(crate) inactive: bool,
    /// Active and inactive ones
    #[arg(long)]
    pub(crate) all: bool,
    /// Only how many there are, without asking for each
    #[arg(long)]
    pub(crate) count: bool,
}

impl Which {
    pub(crate) const fn wants_active(&self) -> bool {
        !self.inactive
    }

    pub(crate) const fn wants_inactive(&self) -> bool {
        self.inactive || self.all
    }
}
