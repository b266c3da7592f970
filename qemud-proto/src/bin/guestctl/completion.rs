//! What a shell could complete a word with: commands and options, and the names of domains and networks, which the
//! daemon is asked for.
//!
//! A shell that completes runs this program with [`VARIABLE`] set to its name. The daemon is the one that the command
//! line names so far, or else the usual one. It has little time to answer, and nothing is started for it: programs that
//! lead to a daemon may ask questions.

mod bash; // the words as bash means them

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Command, CommandFactory};
use clap_complete::CompleteEnv;
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use clap_complete::env::{EnvCompleter, Fish, Shells, Zsh};
use qemud_proto::client::connect;
use qemud_proto::messages::*;
use qemud_proto::uri::{Certificates, ConnectUri, Transport, UriConfig, probe};
use rpc_frame::tokio::Client;

use self::bash::Bash;
use crate::Error;
use crate::arguments::Arguments;
use crate::asking::each;

/// Its value is the shell that asks.
const VARIABLE: &str = "_GUESTCTL_COMPLETE";
const PROGRAM: &str = "guestctl";
/// How long whoever presses a key has to wait for a daemon that does not answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// Answers a shell that asks what could follow, and ends the program then.
pub(crate) fn answer() {
    CompleteEnv::with_factory(described).var(VARIABLE).bin(PROGRAM).shells(Shells(&[&Bash, &Fish, &Zsh])).complete();
}

/// What makes a shell ask.
pub(crate) fn registration(shell: &dyn EnvCompleter, mut out: &mut dyn io::Write) -> io::Result<()> {
    shell.write_registration(VARIABLE, PROGRAM, PROGRAM, PROGRAM, &mut out)
}

/// Shells that can ask.
pub(crate) const BASH: &dyn EnvCompleter = &Bash;
pub(crate) const FISH: &dyn EnvCompleter = &Fish;
pub(crate) const ZSH: &dyn EnvCompleter = &Zsh;

/// The command line, and which names stand for a domain or a network.
fn described() -> Command {
    let mut command = Arguments::command();
    let names: Vec<String> = command.get_subcommands().map(|command| command.get_name().to_owned()).collect();
    for name in names {
        let known = match name.as_str() {
            "start" | "undefine" | "net-start" | "net-undefine" => Known::Inactive,
            "suspend" | "resume" | "shutdown" | "destroy" | "save" | "screenshot" | "net-destroy" => Known::Active,
            _ => Known::Any,
        };
        command = command.mut_subcommand(name, |command| {
            command.mut_args(|argument| match argument.get_id().as_str() {
                "domain" => argument.add(ArgValueCandidates::new(move || candidates(Kind::Domains, known))),
                "network" => argument.add(ArgValueCandidates::new(move || candidates(Kind::Networks, known))),
                _ => argument,
            })
        });
    }
    command
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Domains,
    Networks,
}

/// Which of them a command is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    Active,
    Inactive,
    Any,
}

impl Known {
    const fn wants_active(self) -> bool {
        matches!(self, Self::Active | Self::Any)
    }

    const fn wants_inactive(self) -> bool {
        matches!(self, Self::Inactive | Self::Any)
    }
}

/// Names that the daemon knows; none when it does not tell in time.
fn candidates(kind: Kind, known: Known) -> Vec<CompletionCandidate> {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return Vec::new() };
    let told = runtime.block_on(async { tokio::time::timeout(PATIENCE, names(kind, known)).await });
    // Whoever looks a host's address up for us is not waited for.
    runtime.shutdown_background();
    let mut names = told.ok().flatten().unwrap_or_default();
    names.retain(|name| is_plain(name));
    names.sort_unstable();
    names.into_iter().map(CompletionCandidate::new).collect()
}

/// Whether a name means itself to a shell. What a daemon says goes to the command line as it is, and another user may
/// have chosen it so that it runs something there.
fn is_plain(name: &str) -> bool {
    let plain = |letter: char| letter.is_alphanumeric() || "-_.+@,%^/".contains(letter);
    !name.is_empty() && !name.starts_with('-') && name.chars().all(plain)
}

async fn names(kind: Kind, known: Known) -> Option<Vec<String>> {
    let uri = daemon(words()).await?;
    // These run programs, which may ask for a password, or take their time.
    if matches!(uri.transport, Transport::Ssh(_) | Transport::Ext { .. }) {
        return None;
    }
    let client = connect(&uri).await.ok()?;
    match kind {
        Kind::Domains => domains(&client, known).await.ok(),
        Kind::Networks => networks(&client, known).await.ok(),
    }
}

/// The words that stand on the command line so far.
fn words() -> Vec<OsString> {
    bash::words().unwrap_or_else(|| {
        let words = std::env::args_os().skip_while(|word| word != "--").skip(1);
        // Zsh leaves the quotes in them, and is the one of the two that tells a place.
        let is_zsh = std::env::var_os("_CLAP_COMPLETE_INDEX").is_some();
        words.map(|word| if is_zsh { unquoted(word) } else { word }).collect()
    })
}

fn unquoted(word: OsString) -> OsString {
    match word.to_str().and_then(shlex::split).as_deref() {
        Some([plain]) => plain.into(),
        _ => word,
    }
}

/// The daemon that the command line means so far.
async fn daemon(words: Vec<OsString>) -> Option<ConnectUri> {
    let given = Arguments::command().ignore_errors(true).try_get_matches_from(words).ok()?;
    // Options of the command stand behind it, and clap copies them where they are global.
    let text = given.try_get_one::<String>("connect").ok()?.map(String::as_str).filter(|text| !text.is_empty());
    let config = match given.try_get_one::<PathBuf>("config").ok()? {
        Some(file) => UriConfig::read(file),
        None => UriConfig::load_for(text),
    };
    let path = |option| given.try_get_one::<PathBuf>(option).ok().flatten().cloned();
    let mut certificates = Certificates::default();
    certificates.folder = path("pki_path");
    certificates.authorities = path("tls_ca");
    certificates.certificate = path("tls_certificate");
    certificates.key = path("tls_key");
    let uri = match config.ok()?.resolve(text).ok()? {
        Some(uri) => uri.with_read_only(true),
        None => probe(true).await,
    };
    uri.with_certificates(certificates).ok()
}

async fn domains(client: &Client, known: Known) -> Result<Vec<String>, Error> {
    let mut names = Vec::new();
    if known.wants_active() {
        // One that has ended meanwhile has no name any more.
        let name = async |id| client.call(&DomainLookupById { id }).await.ok()?.ok().map(|found| found.name);
        names.extend(each(client.call(&ListDomains).await??.ids, name).await.into_iter().flatten());
    }
    if known.wants_inactive() {
        names.extend(client.call(&ListDefinedDomains).await??.names);
    }
    Ok(names)
}

async fn networks(client: &Client, known: Known) -> Result<Vec<String>, Error> {
    let mut names = Vec::new();
    if known.wants_active() {
        names.extend(client.call(&ListNetworks).await??.names);
    }
    if known.wants_inactive() {
        names.extend(client.call(&ListDefinedNetworks).await??.names);
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_a_shell_would_read_something_into_are_not_offered() {
        for name in ["web", "web-1.example", "k\u{e4}se", "a_b+c@d,e%f^g/h"] {
            assert!(is_plain(name), "{name}");
        }
        for name in
            ["", "-f", "a b", "a;b", "$(a)", "`a`", "a\nb", "a*", "~", "!1", "a|b", "a&b", "'", "\"", "a\\", "#"]
        {
            assert!(!is_plain(name), "{name}");
        }
    }
}
