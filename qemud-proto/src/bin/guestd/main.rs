//! `guestd`: a daemon of the guest protocol.

mod activation; // sockets that systemd has bound
mod drivers; //    which drivers are served
mod listening; //  every way to the daemon
mod settings; //   command line, environment, file
mod sockets; //    unix sockets

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use clap::{CommandFactory, Parser, ValueEnum};
use qemud_proto::daemon::Daemon;
use qemud_proto::driver::test::TestDriver;
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::activation::Passed;
use crate::listening::Listening;
use crate::settings::{LogFormat, Settings};

/// Serve guests over the guest protocol (SunRPC program 0x20001A64, version 1).
///
/// The guests are those of QEMU, which outlive the daemon, and those of the test driver, which live in memory. For every socket one
/// line `listening unix PATH`, `listening unix-read-only PATH`, `listening tcp ADDRESS` or `listening tls ADDRESS` goes to
/// standard output; the log goes to standard error. SIGHUP has the certificates read anew; SIGTERM and SIGINT end the
/// daemon after the calls in flight.
#[derive(Parser)]
#[command(name = "guestd", version)]
pub(crate) struct Arguments {
    /// Read this file [default: guestd/guestd.toml in $XDG_CONFIG_HOME or ~/.config, else in /etc]
    #[arg(long, value_name = "FILE", env = "GUESTD_CONFIG")]
    config: Option<PathBuf>,

    /// Look whether everything that the daemon is told is right, certificates included, and do not begin
    #[arg(long)]
    check: bool,

    /// Print the manual page or the completions of a shell, and do not begin
    #[arg(long, value_name = "WHAT")]
    generate: Option<Document>,

    #[command(flatten)]
    settings: Settings,
}

/// What can be made of the command line's description.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Document {
    Man,
    Bash,
    Fish,
    Zsh,
}

impl Document {
    fn write(self, out: &mut impl io::Write) -> io::Result<()> {
        let mut command = Arguments::command();
        let shell = match self {
            Self::Man => return clap_mangen::Man::new(command).render(out),
            Self::Bash => clap_complete::Shell::Bash,
            Self::Fish => clap_complete::Shell::Fish,
            Self::Zsh => clap_complete::Shell::Zsh,
        };
        clap_complete::generate(shell, &mut command, "guestd", out);
        Ok(())
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if let Some(document) = arguments.generate {
        return Ok(document.write(&mut io::stdout().lock())?);
    }
    let settings = arguments.settings.with_file(arguments.config.as_deref())?;
    log(&settings)?;
    run(&settings, arguments.check).await
}

fn log(settings: &Settings) -> anyhow::Result<()> {
    let (source, selected) = match (&settings.log, std::env::var("RUST_LOG")) {
        (Some(selected), _) => ("log", selected.clone()),
        (None, Ok(selected)) => ("RUST_LOG", selected),
        (None, Err(_)) => ("log", "info".to_owned()),
    };
    let filter: Targets = selected.parse().with_context(|| format!("{source}: '{selected}'"))?;
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let lines = match settings.log_format.unwrap_or_default() {
        LogFormat::Text => lines.with_ansi(io::stderr().is_terminal()).boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    tracing_subscriber::registry().with(lines).with(filter).init();
    Ok(())
}

async fn run(settings: &Settings, only_check: bool) -> anyhow::Result<()> {
    // Before any program is started, which would have them as well.
    let passed = Passed::take()?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut reload = signal(SignalKind::hangup())?;
    // A check leaves guests alone: it makes do with the drivers in memory.
    let mut daemon = if only_check {
        drivers::check(settings)?;
        Daemon::new(Arc::new(TestDriver::new()))
    } else {
        drivers::daemon(settings).await?
    };
    for name in settings.switch_off.iter().flatten() {
        daemon = daemon.switch_off(name).context("--switch-off")?;
    }
    let server = daemon.into_server(settings.server());
    if only_check {
        Listening::check(settings, &passed)?;
        println!("all is right");
        return Ok(());
    }
    // As many connections as are allowed need as many files.
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        tracing::warn!(%error, "cannot raise the limit of open files");
    }
    let mut listening = Listening::begin(settings, passed, &server).await?;
    // Where nobody wants to know, nothing is sent.
    let tell = |state: &[NotifyState<'_>]| {
        if let Err(error) = sd_notify::notify(state) {
            tracing::warn!(%error, "cannot tell systemd");
        }
    };
    tell(&[NotifyState::Ready]);
    loop {
        tokio::select! {
            _ = terminate.recv() => { tracing::info!("ending: SIGTERM"); break }
            _ = interrupt.recv() => { tracing::info!("ending: SIGINT"); break }
            _ = reload.recv() => listening.reload(),
            () = listening.failed() => anyhow::bail!("one of the sockets is not served any more"),
        }
    }
    tell(&[NotifyState::Stopping]);
    let grace = Settings::grace();
    if !server.shutdown(grace).await {
        tracing::warn!("calls were cut off after {} s", grace.as_secs());
    }
    Ok(())
}
