//! Names that a shell completes, asked for as a shell does.

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use crate::foreign_tool::require;
use crate::processes::{Ctl, Ended, Guestd, program, run_with, unix_uri};
use crate::terminal::Terminal;

fn folder_of_guestctl() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_guestctl")).parent().unwrap()
}

/// A program that finds guestctl by its name.
fn with_guestctl(path: &str, arguments: &[&str]) -> Command {
    let mut command = program(path, arguments);
    let mut folders = vec![folder_of_guestctl().to_owned()];
    folders.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    command.env("PATH", std::env::join_paths(folders).unwrap());
    command
}

/// What bash completes the end of this line with: its script is read, and called as bash calls it.
fn bash(line: &str, daemon: &str) -> Vec<String> {
    let script = "source <(guestctl generate bash); COMP_LINE=$1; COMP_POINT=${#1}
        $(complete -p guestctl | sed 's/.*-F \\([^ ]*\\).*/\\1/') guestctl
        [[ ${#COMPREPLY[@]} -eq 0 ]] || printf '%s\\n' \"${COMPREPLY[@]}\"";
    let mut command = with_guestctl("bash", &["-c", script, "bash", line]);
    command.env("GUESTD_DEFAULT_URI", daemon);
    let ended = run_with(command, b"");
    assert_eq!((ended.status, ended.stderr.as_str()), (0, ""), "{line}: {ended:?}");
    ended.stdout.lines().map(str::to_owned).collect()
}

/// A daemon with an active domain `test`, inactive ones `web` and `work`, an active network `default` and an inactive
/// one `lan`.
fn daemon() -> Guestd {
    let daemon = Guestd::start(&[]);
    let ctl = Ctl::new(daemon.uri());
    let define = |command: &str, xml: String| {
        let file = daemon.folder.path().join("definition.xml");
        fs::write(&file, xml).unwrap();
        ctl.text(&[command, file.to_str().unwrap()]);
    };
    // The last ones would be run by a shell that has them on its command line.
    for name in ["web", "work", "we;id", "$(id)", "`id`", "w'x", "a b", "w*"] {
        let xml =
            format!("<domain type='test'><name>{name}</name><memory>8</memory><os><type>hvm</type></os></domain>");
        define("define", xml);
    }
    define("net-define", "<network><name>lan</name><bridge name='br7'/></network>".to_owned());
    daemon
}

#[test]
fn bash_completes_the_names_that_a_command_is_for() {
    let Some(_) = require("bash") else { return };
    let daemon = daemon();
    let uri = daemon.uri();
    for (line, names) in [
        ("guestctl start ", &["web", "work"][..]),
        ("guestctl start we", &["web"]),
        ("guestctl undefine wo", &["work"]),
        ("guestctl suspend ", &["test"]),
        ("guestctl destroy ", &["test"]),
        ("guestctl shutdown --wait -- ", &["test"]),
        ("guestctl shutdown w", &[]),
        ("guestctl save te", &["test"]),
        ("guestctl dominfo ", &["test", "web", "work"]),
        ("guestctl dumpxml w", &["web", "work"]),
        ("guestctl autostart --disable wo", &["work"]),
        ("guestctl net-start ", &["lan"]),
        ("guestctl net-destroy ", &["default"]),
        ("guestctl net-info ", &["default", "lan"]),
        ("guestctl screen", &["screenshot"]),
        ("guestctl top --so", &["--sort"]),
        ("guestctl generate z", &["zsh"]),
    ] {
        assert_eq!(bash(line, &uri), names, "{line}");
    }
}

#[test]
fn the_daemon_that_the_line_names_is_asked() {
    let Some(_) = require("bash") else { return };
    let daemon = daemon();
    let (uri, own) = (daemon.uri(), "test:///default");
    // Inside the program there is `test` alone.
    assert_eq!(bash("guestctl dominfo ", own), ["test"]);
    for line in [
        format!("guestctl -c '{uri}' dominfo w"),
        format!("guestctl --connect \"{uri}\" dominfo w"),
        format!("guestctl -c {uri} dominfo w"),
        format!("guestctl --connect='{uri}' dominfo w"),
        format!("guestctl -r -c'{uri}' dominfo w"),
        format!("guestctl dominfo -c '{uri}' w"),
    ] {
        assert_eq!(bash(&line, own), ["web", "work"], "{line}");
    }
    let config = daemon.folder.path().join("guestctl.toml");
    fs::write(&config, format!("uri_aliases = [\"here={uri}\"]")).unwrap();
    let line = format!("guestctl --config {} -c here start we", config.display());
    assert_eq!(bash(&line, own), ["web"]);
}

#[test]
fn a_daemon_that_is_not_there_or_does_not_answer_gives_no_names_and_holds_nobody_up() {
    let Some(_) = require("bash") else { return };
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("sock");
    assert_eq!(bash("guestctl start ", &unix_uri(&socket)), Vec::<String>::new());
    // Connections to this one are made, and nobody ever takes them.
    let _silent = UnixListener::bind(&socket).unwrap();
    assert_eq!(bash("guestctl start ", &unix_uri(&socket)), Vec::<String>::new());
    assert_eq!(bash("guestctl start ", "nonsense"), Vec::<String>::new());
    // A program that leads to a daemon is not run for it.
    let script = folder.path().join("leads");
    let ran = folder.path().join("ran");
    fs::write(&script, format!("#!/bin/sh\ntouch {}\n", ran.display())).unwrap();
    assert!(Command::new("chmod").arg("+x").arg(&script).status().unwrap().success());
    let ext = format!("test+ext:///default?command={}", script.display());
    assert_eq!(bash("guestctl start ", &ext), Vec::<String>::new());
    assert!(!ran.exists());
}

#[test]
fn whoever_presses_the_key_in_a_bash_sees_the_name() {
    let Some(_) = require("bash") else { return };
    let daemon = daemon();
    let mut command = with_guestctl("bash", &["--norc", "--noprofile", "-i"]);
    command.env("GUESTD_DEFAULT_URI", "test:///default").env("PS1", "ready> ").env("HISTFILE", "/dev/null");
    let mut terminal = Terminal::run(command);
    terminal.shows("ready>");
    terminal.press("source <(guestctl generate bash)\n");
    terminal.press(&format!("guestctl -c '{}' domname we\t\n", daemon.uri()));
    terminal.shows("\nweb\n");
    terminal.press("guestctl domname te\t\n");
    terminal.shows("\ntest\n");
    terminal.press("exit\n");
    assert_eq!(terminal.ended().0, 0);
}

/// A shell at whose prompt the script was read, as the README has its users do, with nobody's configuration.
fn shell(shell: &str, daemon: &Guestd, uri: &str) -> Terminal {
    let (options, prompt, script) = match shell {
        "fish" => {
            // It would show what it guesses before anybody has pressed a key.
            let quiet = "set -g fish_greeting; set -g fish_autosuggestion_enabled 0";
            let prompt = format!("{quiet}; function fish_prompt; printf 'ready> '; end");
            (&["fish", "--no-config", "--interactive", "--init-command"][..], prompt, "guestctl generate fish | source")
        }
        _ => {
            let prompt = "PS1='ready> '; unsetopt prompt_sp; autoload -Uz compinit; compinit -u -D".to_owned();
            (&["zsh", "-f", "-i"][..], prompt, "source <(guestctl generate zsh)")
        }
    };
    // The terminal is its own, as it is for whoever logs in.
    let mut command = with_guestctl("setsid", &[&["--ctty"], options].concat());
    let home = daemon.folder.path();
    for variable in ["HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "ZDOTDIR"] {
        command.env(variable, home);
    }
    command.env("GUESTD_DEFAULT_URI", uri).env("NO_COLOR", "1");
    if shell == "fish" {
        command.arg(&prompt);
    }
    let mut terminal = Terminal::run(command);
    if shell != "fish" {
        terminal.press(&format!("{prompt}\n"));
    }
    terminal.shows("ready>");
    terminal.press(&format!("{script}\n"));
    terminal
}

/// What whoever presses these keys in a shell sees.
fn whoever_presses_the_key_sees_the_names(name: &str) {
    if require(name).is_none() || require("setsid").is_none() {
        return;
    }
    let daemon = daemon();
    let uri = daemon.uri();
    // A verb, an option, a value, and the names of domains and networks, of the daemon that the line names or else of the
    // usual one.
    let mut terminal = shell(name, &daemon, "test:///default");
    for (keys, shown) in [
        ("guestctl domuu\t test\n".to_owned(), "-"),
        ("guestctl list --inac\t\n".to_owned(), " Id   Name   State"),
        ("guestctl domname te\t\n".to_owned(), "\ntest\n"),
        (format!("guestctl -c '{uri}' domname we\t\n"), "\nweb\n"),
        (format!("guestctl -c '{uri}' net-name la\t\n"), "\nlan\n"),
        (format!("guestctl --connect='{uri}' domname wo\t\n"), "\nwork\n"),
    ] {
        terminal.press("clear\n");
        terminal.press(&keys);
        terminal.shows(shown);
        assert!(!terminal.screen().contains("error"), "{keys}: {}", terminal.screen());
    }
    terminal.press("exit\n");
    assert_eq!(terminal.ended().0, 0);

    // Of several, all are shown that the verb is for, and none that the shell would run.
    let mut terminal = shell(name, &daemon, &uri);
    terminal.press("guestctl start \t");
    terminal.shows("work");
    let screen = terminal.screen();
    assert!(screen.contains("web") && !screen.contains("test") && !screen.contains("id)"), "{screen}");
}

#[test]
fn whoever_presses_the_key_in_a_fish_sees_the_names() {
    whoever_presses_the_key_sees_the_names("fish");
}

#[test]
fn whoever_presses_the_key_in_a_zsh_sees_the_names() {
    whoever_presses_the_key_sees_the_names("zsh");
}

#[test]
fn fish_and_zsh_ask_the_same_program() {
    let daemon = daemon();
    let ask = |shell: &str, words: &[&str]| {
        let mut command = program(env!("CARGO_BIN_EXE_guestctl"), &[&["--", "guestctl"], words].concat());
        let index = words.len().to_string();
        command.env("_GUESTCTL_COMPLETE", shell);
        if shell == "zsh" {
            command.env("_CLAP_COMPLETE_INDEX", index).env("_CLAP_IFS", "\n");
        }
        if words.first() == Some(&"start") {
            command.env("GUESTD_DEFAULT_URI", daemon.uri());
        }
        run_with(command, b"")
    };
    for shell in ["fish", "zsh"] {
        let ended = ask(shell, &["start", "w"]);
        assert_eq!((ended.status, ended.stdout.split_whitespace().collect::<Vec<_>>()), (0, vec!["web", "work"]));
        // Zsh leaves the quotes that fish takes away.
        let (uri, quoted) = (daemon.uri(), format!("'{}'", daemon.uri()));
        let ended = ask(shell, &["-c", if shell == "zsh" { &quoted } else { &uri }, "start", "we"]);
        assert_eq!((ended.status, ended.stdout.trim_end()), (0, "web"));
        let generated = run_with(program(env!("CARGO_BIN_EXE_guestctl"), &["generate", shell]), b"");
        assert_eq!((generated.status, generated.stderr.as_str()), (0, ""));
        let calls = generated.stdout.contains(&format!("_GUESTCTL_COMPLETE=\"{shell}\" "))
            || generated.stdout.contains(&format!("_GUESTCTL_COMPLETE={shell} "));
        assert!(calls && generated.stdout.contains("guestctl --"), "{}", generated.stdout);
    }
    let ended = ask("tcsh", &["start", "w"]);
    assert!(ended.status != 0 && ended.stderr.contains("unknown shell `tcsh`"), "{ended:?}");
    assert_eq!(ask("", &[]), Ended::new(2, "", &ask("0", &[]).stderr));
}
