//! `guestctl`: a client of the guest protocol, named and shaped as users of virsh expect.

mod arguments; //  the command line
mod asking; //     many questions at a time
mod completion; // names for the shell to complete
mod domains; //    commands about domains
mod events; //     what happens to domains, as it happens
mod host; //       commands about the daemon and its machine
mod networks; //   commands about networks
mod progress; //   how far a save or restore is
mod proxy; //      the far side of ssh
mod output; //     tables for people, JSON for programs
mod screenshot; // a picture in a file
mod top; //        the domains and what they use, again and again
mod waiting; //    until a domain is as it shall be

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use qemud_proto::characters::escaped;
use qemud_proto::client::{ConnectError, connect};
use qemud_proto::failure::Failure;
use qemud_proto::messages::XML_MAX;
use qemud_proto::uri::{ConfigError, NoSocket};
use rpc_frame::tokio::{CallError, Client, ClosedError};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::arguments::{Arguments, Command};
use crate::output::Output;
use crate::screenshot::ScreenshotError;
use crate::top::TopError;

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Call(#[from] CallError),
    #[error(transparent)]
    Failure(#[from] Failure),
    #[error(transparent)]
    NoSocket(#[from] NoSocket),
    #[error("connection lost: {0}")]
    Closed(#[source] ClosedError),
    #[error("cannot read '{path}': {source}")]
    File { path: String, source: std::io::Error },
    #[error("'{0}' is longer than {XML_MAX} bytes, the longest description that can be sent")]
    TooLong(String),
    #[error("domain '{name}' is not {state} after {} s", .limit.as_secs_f64())]
    Late { name: String, state: &'static str, limit: Duration },
    #[error(transparent)]
    Screenshot(#[from] ScreenshotError),
    #[error(transparent)]
    Top(#[from] TopError),
    #[error("cannot write: {0}")]
    Output(#[from] std::io::Error),
}

fn main() -> ExitCode {
    // Where a shell asks what could follow, it is told here, and the program ends.
    completion::answer();
    command()
}

#[tokio::main(flavor = "current_thread")]
async fn command() -> ExitCode {
    let arguments = Arguments::parse();
    log();
    let status: u8 = match run(&arguments).await {
        Ok(()) => 0,
        // Whoever read the output has seen enough.
        Err(Error::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => 0,
        Err(error) => {
            eprintln!("error: {}", told(&error));
            1
        }
    };
    if let Command::Proxy { .. } = arguments.command {
        // However it ended, a thread of the runtime may still read standard input, and would be waited for.
        std::process::exit(status.into());
    }
    ExitCode::from(status)
}

/// What the user should know although all goes well, such as that nothing is verified; or what RUST_LOG selects.
fn log() {
    let selected = std::env::var("RUST_LOG").ok().and_then(|selected| selected.parse().ok());
    let filter = selected.unwrap_or_else(|| Targets::new().with_default(LevelFilter::WARN));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).without_time().with_target(false);
    tracing_subscriber::registry().with(lines.with_ansi(std::io::stderr().is_terminal())).with(filter).init();
}

/// One line, unless a program of ours has said more: ssh's warnings are long.
fn told(error: &Error) -> String {
    let text = error.to_string();
    match error {
        Error::Connect(ConnectError::Program { .. }) => text.lines().map(escaped).collect::<Vec<_>>().join("\n"),
        _ => escaped(&text),
    }
}

async fn run(arguments: &Arguments) -> Result<(), Error> {
    let output = Output::new(arguments.json);
    if let Command::Proxy { socket } = &arguments.command {
        return proxy::proxy(socket.as_deref()).await;
    }
    if let Command::Generate { what, command } = &arguments.command {
        return Ok(what.write(command.as_deref(), &mut std::io::stdout().lock())?);
    }
    let daemon = arguments.daemon().await?;
    // The daemon calls as well.
    if let Command::Event { count, timeout } = arguments.command {
        return events::event(&daemon, &output, count, timeout).await;
    }
    let client = connect(&daemon).await?;
    dispatch(&client, &arguments.command, &output).await
}

async fn dispatch(client: &Client, command: &Command, output: &Output) -> Result<(), Error> {
    match command {
        Command::Ping => host::ping(client, output).await,
        Command::Version => host::version(client, output).await,
        Command::Nodeinfo => host::node_info(client, output).await,
        Command::Capabilities => host::capabilities(client, output).await,
        Command::Procedures => host::procedures(client, output).await,
        // Done already, each on a connection of its own kind.
        Command::Event { .. } | Command::Proxy { .. } | Command::Generate { .. } => Ok(()),
        Command::List(which) => domains::list(client, output, which).await,
        Command::Create { file } => domains::create(client, output, file).await,
        Command::Define { file } => domains::define(client, output, file).await,
        Command::Undefine(domain) => domains::undefine(client, output, domain).await,
        Command::Start { domain, wait } => domains::start(client, output, domain, wait).await,
        Command::Suspend(domain) => domains::suspend(client, output, domain).await,
        Command::Resume(domain) => domains::resume(client, output, domain).await,
        Command::Shutdown { domain, wait } => domains::shutdown(client, output, domain, wait).await,
        Command::Destroy { domain, wait } => domains::destroy(client, output, domain, wait).await,
        Command::Save { domain, file, wait } => domains::save(client, output, domain, file, wait).await,
        Command::Restore { file } => domains::restore(client, output, file).await,
        Command::Dominfo(domain) => domains::info(client, output, domain).await,
        Command::Domstate(domain) => domains::state(client, output, domain).await,
        Command::Domid(domain) => domains::id(client, output, domain).await,
        Command::Domuuid(domain) => domains::uuid(client, output, domain).await,
        Command::Domname(domain) => domains::name(client, output, domain).await,
        Command::Dumpxml(domain) => domains::dump_xml(client, output, domain).await,
        Command::Domjobinfo(domain) => domains::job_info(client, output, domain).await,
        Command::Screenshot { domain, file, force } => {
            screenshot::screenshot(client, output, domain, file, *force).await
        }
        Command::Top(top) => top::top(client, output, top).await,
        Command::Autostart { domain, disable } => domains::autostart(client, output, domain, !disable).await,
        Command::NetList(which) => networks::list(client, output, which).await,
        Command::NetCreate { file } => networks::create(client, output, file).await,
        Command::NetDefine { file } => networks::define(client, output, file).await,
        Command::NetUndefine(network) => networks::undefine(client, output, network).await,
        Command::NetStart(network) => networks::start(client, output, network).await,
        Command::NetDestroy(network) => networks::destroy(client, output, network).await,
        Command::NetInfo(network) => networks::info(client, output, network).await,
        Command::NetUuid(network) => networks::uuid(client, output, network).await,
        Command::NetName(network) => networks::name(client, output, network).await,
        Command::NetDumpxml(network) => networks::dump_xml(client, output, network).await,
        Command::NetAutostart { network, disable } => networks::autostart(client, output, network, !disable).await,
    }
}

/// An XML description from a file, or from standard input where the name is `-`.
async fn read_xml(file: &str) -> Result<String, Error> {
    use tokio::io::AsyncReadExt;
    // One byte more than can be sent is enough to know.
    let limit = XML_MAX as u64 + 1;
    let mut xml = Vec::new();
    let read = match file {
        "-" => tokio::io::stdin().take(limit).read_to_end(&mut xml).await,
        path => match tokio::fs::File::open(path).await {
            Ok(opened) => opened.take(limit).read_to_end(&mut xml).await,
            Err(error) => Err(error),
        },
    };
    let failed = |source| Error::File { path: file.to_owned(), source };
    if read.map_err(failed)? > XML_MAX {
        return Err(Error::TooLong(file.to_owned()));
    }
    String::from_utf8(xml).map_err(|error| failed(std::io::Error::new(std::io::ErrorKind::InvalidData, error)))
}
