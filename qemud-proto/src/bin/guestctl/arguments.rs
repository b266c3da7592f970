//! The command line.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum, ValueHint};
use qemud_proto::uri::{Certificates, ConfigError, ConnectUri, Transport, UriConfig, probe};

use crate::completion;
use crate::top::Order;
use crate::waiting::Wait;

/// Manage guests through a daemon of the guest protocol.
#[derive(Parser)]
#[command(name = "guestctl", version, after_long_help = include_str!("uris.txt"))]
pub(crate) struct Arguments {
    /// The daemon, as a URI or as an alias of the configuration [default: uri_default of the configuration, else a
    /// daemon that answers on /run/guestd/guestd-sock (with --readonly guestd-sock-ro) or on
    /// $XDG_RUNTIME_DIR/guestd/guestd-sock, else test:///default, inside this program]
    #[arg(short, long, global = true, help_heading = "Connection", value_name = "URI", env = "GUESTD_DEFAULT_URI")]
    pub(crate) connect: Option<String>,

    /// The configuration of aliases and of the default URI, TOML [default: guestd/guestctl.toml in $XDG_CONFIG_HOME or
    /// ~/.config, else in /etc]
    #[arg(long, global = true, help_heading = "Connection", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// With TLS, the folder with cacert.pem, clientcert.pem and clientkey.pem, in the place of the URI's pkipath [default:
    /// those that are in ~/.pki/guestd, else /etc/pki/CA/cacert.pem, and /etc/pki/guestd/clientcert.pem with
    /// private/clientkey.pem]
    #[arg(long, global = true, help_heading = "Connection", value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pki_path: Option<PathBuf>,

    /// With TLS, certificates of those who vouch for daemons, in the place of cacert.pem
    #[arg(long, global = true, help_heading = "Connection", value_name = "FILE", value_hint = ValueHint::FilePath)]
    tls_ca: Option<PathBuf>,

    /// With TLS, our certificate, in the place of clientcert.pem
    #[arg(long, global = true, help_heading = "Connection", value_name = "FILE", value_hint = ValueHint::FilePath)]
    tls_certificate: Option<PathBuf>,

    /// With TLS, its key, in the place of clientkey.pem
    #[arg(long, global = true, help_heading = "Connection", value_name = "FILE", value_hint = ValueHint::FilePath)]
    tls_key: Option<PathBuf>,

    /// Allow only what changes nothing
    #[arg(short, long, global = true, help_heading = "Connection")]
    pub(crate) readonly: bool,

    /// Print JSON instead of tables
    #[arg(long, global = true)]
    pub(crate) json: bool,

    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Arguments {
    /// The daemon that is meant. A URI that leads nowhere ends the program, as any mistake in the command line does.
    pub(crate) async fn daemon(&self) -> Result<ConnectUri, ConfigError> {
        let given = self.connect.as_deref().filter(|text| !text.is_empty());
        let config = self.config.as_deref().map_or_else(|| UriConfig::load_for(given), UriConfig::read)?;
        let mistaken = |error: &dyn std::fmt::Display| -> ! {
            let (what, text) = match given {
                Some(text) => ("'--connect <URI>'", text),
                None => ("'uri_default' of the configuration", config.uri_default.as_deref().unwrap_or_default()),
            };
            Self::command()
                .error(ErrorKind::ValueValidation, format!("invalid value '{text}' for {what}: {error}"))
                .exit()
        };
        let uri = match config.resolve(given) {
            Ok(None) => probe(self.readonly).await,
            Ok(Some(uri)) => match uri.socket() {
                Err(error) if matches!(uri.transport, Transport::Unix { .. }) => mistaken(&error),
                _ => uri.with_read_only(self.readonly),
            },
            Err(error) => mistaken(&error),
        };
        match uri.with_certificates(self.certificates()) {
            Ok(uri) => Ok(uri),
            Err(error) => Self::command().error(ErrorKind::ArgumentConflict, error).exit(),
        }
    }

    fn certificates(&self) -> Certificates {
        let mut given = Certificates::default();
        given.folder.clone_from(&self.pki_path);
        given.authorities.clone_from(&self.tls_ca);
        given.certificate.clone_from(&self.tls_certificate);
        given.key.clone_from(&self.tls_key);
        given
    }
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
        #[arg(value_hint = ValueHint::FilePath)]
        file: String,
    },
    /// Define a domain from an XML file
    Define {
        /// XML file, - for standard input
        #[arg(value_hint = ValueHint::FilePath)]
        file: String,
    },
    /// Forget the definition of an inactive domain
    Undefine(Domain),
    /// Start an inactive domain
    Start {
        #[command(flatten)]
        domain: Domain,
        #[command(flatten)]
        wait: Wait,
    },
    /// Halt a domain's processors
    Suspend(Domain),
    /// Let a suspended domain go on
    Resume(Domain),
    /// Ask a domain's guest to power off
    Shutdown {
        #[command(flatten)]
        domain: Domain,
        #[command(flatten)]
        wait: Wait,
    },
    /// Stop a domain at once
    Destroy {
        #[command(flatten)]
        domain: Domain,
        #[command(flatten)]
        wait: Wait,
    },
    /// Save a domain to a file and stop it
    Save {
        #[command(flatten)]
        domain: Domain,
        /// File on the daemon's machine, an absolute path
        #[arg(value_hint = ValueHint::FilePath)]
        file: String,
        #[command(flatten)]
        wait: Wait,
    },
    /// Start a domain from a saved file
    Restore {
        /// File on the daemon's machine, an absolute path
        #[arg(value_hint = ValueHint::FilePath)]
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
    /// Show how far the saving or restoring of a domain is
    Domjobinfo(Domain),
    /// Take a picture of a domain's screen
    Screenshot {
        #[command(flatten)]
        domain: Domain,
        /// File on this machine, - for standard output
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// Overwrite a file that is there
        #[arg(long)]
        force: bool,
    },
    /// Show the domains and what they use, again and again, until q is pressed
    ///
    /// Space looks at once; P, M, N and I put first what uses most of the processors, what uses most memory, the first
    /// name, the oldest id. CPU % is of one processor.
    Top(Top),
    /// Start a domain together with the daemon
    Autostart {
        #[command(flatten)]
        domain: Domain,
        /// Do not
        #[arg(long)]
        disable: bool,
    },
    /// Join standard input and output to a daemon's socket, at the far side of ssh
    Proxy {
        /// The socket [default: $XDG_RUNTIME_DIR/guestd/guestd-sock]
        socket: Option<PathBuf>,
    },
    /// Print a manual page or the completions of a shell
    Generate {
        /// What to print
        what: Document,
        /// The command whose manual page is meant
        command: Option<String>,
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
        #[arg(value_hint = ValueHint::FilePath)]
        file: String,
    },
    /// Define a network from an XML file
    NetDefine {
        /// XML file, - for standard input
        #[arg(value_hint = ValueHint::FilePath)]
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

/// What can be made of the command line's description.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Document {
    Man,
    Bash,
    Fish,
    Zsh,
}

impl Document {
    /// Prints it, of one command or of all together. Completions are of all together.
    pub(crate) fn write(self, command: Option<&str>, out: &mut impl io::Write) -> io::Result<()> {
        let usage = |message| -> ! { Arguments::command().error(ErrorKind::InvalidValue, message).exit() };
        let mut all = Arguments::command();
        all.build();
        match (self, command) {
            (Self::Man, Some(name)) => match all.find_subcommand(name) {
                Some(command) => return clap_mangen::Man::new(command.clone()).render(out),
                None => usage(format!("there is no command '{name}'")),
            },
            (_, Some(_)) => usage("only manual pages are of a single command".to_owned()),
            (_, None) => {}
        }
        match self {
            Self::Man => write_pages(Arguments::command(), out),
            Self::Bash => completion::registration(completion::BASH, out),
            Self::Fish => completion::registration(completion::FISH, out),
            Self::Zsh => completion::registration(completion::ZSH, out),
        }
    }
}

/// The program's page, and behind it, in the same file, those of the commands that it refers to.
fn write_pages(command: clap::Command, out: &mut impl io::Write) -> io::Result<()> {
    let mut command = command.disable_help_subcommand(true);
    // Only then they have names of their own, such as guestctl-list.
    command.build();
    let pages = std::iter::once(&command).chain(command.get_subcommands().filter(|command| !command.is_hide_set()));
    pages.into_iter().try_for_each(|command| clap_mangen::Man::new(command.clone()).render(out))
}

/// How to look at the domains.
#[derive(Args)]
pub(crate) struct Top {
    /// Seconds between two looks, at least 0.1
    #[arg(short, long, value_name = "SECONDS", default_value = "2", value_parser = delay)]
    pub(crate) delay: Duration,
    /// Print one table after the other, for files and programs; with --json a line each
    #[arg(short, long)]
    pub(crate) batch: bool,
    /// End after so many tables
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) iterations: Option<u64>,
    /// What comes first
    #[arg(short = 'o', long, value_name = "ORDER", default_value = "cpu")]
    pub(crate) sort: Order,
    /// Inactive domains as well
    #[arg(long)]
    pub(crate) all: bool,
}

/// A time in seconds, which need not be whole.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

fn delay(text: &str) -> Result<Duration, String> {
    let shortest = Duration::from_millis(100);
    seconds(text).and_then(|delay| if delay < shortest { Err("less than 0.1 seconds".to_owned()) } else { Ok(delay) })
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
    /// Only their names, a line each, for scripts
    #[arg(long, conflicts_with_all = ["count", "uuid"])]
    pub(crate) name: bool,
    /// Only their UUIDs, a line each, for scripts
    #[arg(long, conflicts_with = "count")]
    pub(crate) uuid: bool,
}

impl Which {
    pub(crate) const fn wants_active(&self) -> bool {
        !self.inactive
    }

    pub(crate) const fn wants_inactive(&self) -> bool {
        self.inactive || self.all
    }
}
