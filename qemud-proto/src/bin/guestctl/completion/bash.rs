//! Bash, which splits words at `=` and `:` as well, and so every URI, and leaves the quotes in them. The words are taken
//! from the line instead.

use std::env;
use std::ffi::OsString;
use std::io;
use std::path::Path;

use clap::Command;
use clap_complete::engine::complete;
use clap_complete::env::EnvCompleter;

/// The line up to the cursor.
const LINE: &str = "_GUESTCTL_LINE";
/// The letters at which bash splits words.
const BREAKS: &str = "_GUESTCTL_BREAKS";

const SCRIPT: &str = r#"_NAME_complete() {
    local completer=COMPLETER
    mapfile -t COMPREPLY < <(
        LINE="${COMP_LINE:0:COMP_POINT}" BREAKS="$COMP_WORDBREAKS" VARIABLE=bash "$completer" -- "$1" 2>/dev/null
    )
    if [[ ${#COMPREPLY[@]} -eq 1 && $COMPREPLY == *[/=] ]]; then
        compopt -o nospace
    fi
}
complete -o bashdefault -o nosort -F _NAME_complete BIN
"#;

#[derive(Debug)]
pub(super) struct Bash;

impl EnvCompleter for Bash {
    fn name(&self) -> &'static str {
        "bash"
    }

    fn is(&self, name: &str) -> bool {
        name == "bash"
    }

    fn write_registration(
        &self,
        variable: &str,
        name: &str,
        bin: &str,
        completer: &str,
        out: &mut dyn io::Write,
    ) -> io::Result<()> {
        let completer = shlex::try_quote(completer).map_err(io::Error::other)?;
        let script = SCRIPT.replace("LINE=", &format!("{LINE}=")).replace("BREAKS=", &format!("{BREAKS}="));
        let script = script.replace("NAME", name).replace("COMPLETER", &completer).replace("VARIABLE", variable);
        out.write_all(script.replace("BIN", bin).as_bytes())
    }

    fn write_complete(
        &self,
        command: &mut Command,
        _: Vec<OsString>,
        folder: Option<&Path>,
        out: &mut dyn io::Write,
    ) -> io::Result<()> {
        let Some(words) = words() else { return Ok(()) };
        let last = words.len().saturating_sub(1);
        let word = words.last().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
        let kept = kept(&word, &env::var(BREAKS).unwrap_or_default());
        for candidate in complete(command, words, last, folder)? {
            let value = candidate.get_value().to_string_lossy();
            // Options are many, and do not stand between names unless somebody has begun one.
            if value.starts_with('-') && !word.starts_with('-') {
                continue;
            }
            // Bash puts what it is told behind what it takes for words of their own.
            if let Some(rest) = value.strip_prefix(&word[..kept]) {
                writeln!(out, "{rest}")?;
            }
        }
        Ok(())
    }
}

/// The words of the line up to the cursor, of which the last is being completed. None where no bash asks.
pub(super) fn words() -> Option<Vec<OsString>> {
    let line = env::var(LINE).ok()?;
    Some(split(&line).into_iter().map(OsString::from).collect())
}

/// How many bytes at the begin of a word bash keeps: up to the last letter at which it splits.
fn kept(word: &str, breaks: &str) -> usize {
    word.rfind(|letter| "=:".contains(letter) && breaks.contains(letter)).map_or(0, |at| at + 1)
}

fn split(line: &str) -> Vec<String> {
    // What begins the next word is not seen otherwise; and a quote may be open.
    let whole = ["\u{1}", "\u{1}'", "\u{1}\""].iter().find_map(|end| shlex::split(&format!("{line}{end}")));
    let mut words = whole.unwrap_or_default();
    if let Some(last) = words.last_mut() {
        last.pop();
    }
    // Variables that are set for the command alone.
    let command = words.iter().position(|word| !word.contains('=')).unwrap_or_default();
    words.split_off(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_split_as_bash_means_it_and_its_end_is_the_word_that_is_completed() {
        for (line, words) in [
            ("guestctl ", &["guestctl", ""][..]),
            ("guestctl sta", &["guestctl", "sta"]),
            ("guestctl -c test:///default start ", &["guestctl", "-c", "test:///default", "start", ""]),
            ("guestctl -c 'a?b=c' start we", &["guestctl", "-c", "a?b=c", "start", "we"]),
            ("guestctl -c \"a b\" start 'we", &["guestctl", "-c", "a b", "start", "we"]),
            ("guestctl start \"we", &["guestctl", "start", "we"]),
            ("A=1 B='x y' guestctl start k\u{e4}", &["guestctl", "start", "k\u{e4}"]),
            ("", &[""]),
        ] {
            assert_eq!(split(line), words, "{line}");
        }
    }

    #[test]
    fn bash_keeps_what_stands_before_the_last_letter_at_which_it_splits() {
        let breaks = " \t\n\"'><=;|&(:";
        assert_eq!(kept("--connect=test:", breaks), 15);
        assert_eq!(kept("--connect=te", breaks), 10);
        assert_eq!(kept("web", breaks), 0);
        assert_eq!(kept("a:b", " \t\n"), 0);
    }
}
