//! What an emulator says of itself.
//!
//! It is asked in its monitor, whose answers are made for programs and stay as they are, while the texts of `-machine help`
//! are for people and change.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

use super::{Accelerator, Emulator, Machine, arch_of};
use crate::failure::{Code, Failure, Reply, cut};
use crate::xml::domain::MACHINE_NAME_MAX;

/// The device by which Linux lends the processor.
pub(super) const KVM: &str = "/dev/kvm";
/// Time for all answers.
const TIME_MAX: Duration = Duration::from_secs(20);
/// Most bytes of all answers; those of the largest emulators are less than 64 KiB.
const ANSWERS_MAX: u64 = 1 << 20;
/// Bytes of complaints that are read for a message.
const COMPLAINT_MAX: u64 = 4096;
/// Most bytes of them in a message.
const SHOWN_MAX: usize = 256;
/// Most machines, and most bytes of a name: no more than a definition can name.
const MACHINES_MAX: usize = 1024;
const NAME_MAX: usize = MACHINE_NAME_MAX;

/// The questions. The last lets it end.
const QUESTIONS: &str = r#"{"execute":"qmp_capabilities"}
{"execute":"query-version","id":"version"}
{"execute":"query-target","id":"target"}
{"execute":"query-machines","id":"machines"}
{"execute":"qom-list-types","arguments":{"implements":"accel"},"id":"accelerators"}
{"execute":"quit"}
"#;

/// What stands in an answer; greetings and events have nothing of it.
#[derive(Deserialize)]
struct Answer {
    id: Option<String>,
    #[serde(rename = "return")]
    value: Option<Value>,
    error: Option<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    desc: String,
}

#[derive(Deserialize)]
struct VersionAnswer {
    qemu: VersionNumbers,
}

#[derive(Deserialize)]
struct VersionNumbers {
    major: u32,
    minor: u32,
    micro: u32,
}

#[derive(Deserialize)]
struct TargetAnswer {
    arch: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct MachineAnswer {
    name: String,
    alias: Option<String>,
    #[serde(default)]
    is_default: bool,
    cpu_max: u32,
}

#[derive(Deserialize)]
struct TypeAnswer {
    name: String,
}

/// Asks the program at `path`, which may use the device `kvm`.
pub(super) async fn probe(path: &Path, kvm: &Path) -> Reply<Emulator> {
    let asked = tokio::time::timeout(TIME_MAX, answers(path)).await;
    let late = || broken(path, &format!("it has not answered within {} seconds", TIME_MAX.as_secs()));
    let answers = asked.map_err(|_| late())??;
    understood(path, kvm, &answers).map_err(|reason| broken(path, &reason))
}

/// The answers by the question's name.
type Answers = BTreeMap<String, Value>;

async fn answers(path: &Path) -> Reply<Answers> {
    let mut command = Command::new(path);
    command.args(["-machine", "none", "-no-user-config", "-nodefaults", "-display", "none", "-qmp", "stdio"]);
    let questions = asked().map_err(|error| broken(path, &format!("it cannot be asked: {error}")))?;
    // Whoever stops waiting ends it.
    command.stdin(questions).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| broken(path, &format!("it cannot be started: {error}")))?;
    let (Some(output), Some(complaints)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(Failure::new(Code::InternalError, "a process was started without its pipes"));
    };
    let (text, complaint) = tokio::try_join!(all_of(path, output), beginning_of(complaints))?;
    let status = child.wait().await.map_err(|error| broken(path, &error.to_string()))?;
    if !status.success() {
        let complaint = complaint.trim();
        let said = if complaint.is_empty() { String::new() } else { format!(", and says: {complaint}") };
        return Err(broken(path, &format!("it ends with {status}{said}")));
    }
    read(&text).map_err(|reason| broken(path, &reason))
}

/// A pipe with all questions, which has no end: whoever reads from it can write to it as well. At its end QEMU would
/// forget the questions that it has read; so it answers them and ends, also when the daemon has died meanwhile.
fn asked() -> io::Result<File> {
    let (reader, mut writer) = io::pipe()?;
    // They fit a pipe, and nobody has to read them before.
    writer.write_all(QUESTIONS.as_bytes())?;
    File::options().read(true).write(true).open(format!("/proc/self/fd/{}", reader.as_raw_fd()))
}

/// All that is written, unless that is too much.
async fn all_of(path: &Path, output: impl AsyncRead + Unpin) -> Reply<Vec<u8>> {
    let mut text = Vec::new();
    let read = output.take(ANSWERS_MAX + 1).read_to_end(&mut text).await;
    let length = read.map_err(|error| broken(path, &format!("its answers cannot be read: {error}")))?;
    match u64::try_from(length) {
        Ok(length) if length <= ANSWERS_MAX => Ok(text),
        _ => Err(broken(path, &format!("it writes more than {ANSWERS_MAX} bytes"))),
    }
}

/// The beginning of what is written; the rest is read as well, so that the writer can go on.
async fn beginning_of(mut complaints: impl AsyncRead + Unpin) -> Reply<String> {
    let mut text = Vec::new();
    // What cannot be read is missing in a message, and nothing else.
    let _ = (&mut complaints).take(COMPLAINT_MAX).read_to_end(&mut text).await;
    let _ = tokio::io::copy(&mut complaints, &mut tokio::io::sink()).await;
    let mut text = String::from_utf8_lossy(&text).replace(char::is_control, " ");
    cut(&mut text, SHOWN_MAX);
    Ok(text)
}

fn read(text: &[u8]) -> Result<Answers, String> {
    let mut answers = Answers::new();
    for answer in serde_json::Deserializer::from_slice(text).into_iter::<Answer>() {
        let answer = answer.map_err(|error| format!("it does not answer as QEMU does: {error}"))?;
        match (answer.id, answer.value, answer.error) {
            (Some(id), Some(value), None) => drop(answers.insert(id, value)),
            (Some(id), _, Some(refusal)) => {
                let mut reason = refusal.desc;
                cut(&mut reason, SHOWN_MAX);
                return Err(format!("it does not tell its {id}: {reason}"));
            }
            _ => {}
        }
    }
    Ok(answers)
}

fn understood(path: &Path, kvm: &Path, answers: &Answers) -> Result<Emulator, String> {
    let VersionNumbers { major, minor, micro } = answer::<VersionAnswer>(answers, "version")?.qemu;
    let target = answer::<TargetAnswer>(answers, "target")?.arch;
    if !is_word(&target) {
        return Err("its target is no word".to_owned());
    }
    let offered = answer::<Vec<TypeAnswer>>(answers, "accelerators")?;
    let has = |name: &str| offered.iter().any(|offered| offered.name == name);
    let no_kvm = match has("kvm-accel") {
        true => unusable(kvm),
        false => Some("it was built without".to_owned()),
    };
    let mut accelerators = Vec::new();
    if has("tcg-accel") {
        accelerators.push(Accelerator::Tcg);
    }
    if no_kvm.is_none() {
        accelerators.push(Accelerator::Kvm);
    }
    Ok(Emulator {
        path: path.to_owned(),
        version: [major, minor, micro].into_iter().fold(0, |version, part| version * 1000 + part.min(999)),
        arch: arch_of(&target).to_owned(),
        machines: machines(answer(answers, "machines")?),
        accelerators,
        no_kvm,
    })
}

fn answer<T: for<'de> Deserialize<'de>>(answers: &Answers, question: &str) -> Result<T, String> {
    let value = answers.get(question).ok_or_else(|| format!("it does not tell its {question}"))?;
    T::deserialize(value).map_err(|error| format!("its {question} cannot be understood: {error}"))
}

/// The machines that a definition can name; `none` is the one that is asked here.
fn machines(answers: Vec<MachineAnswer>) -> Vec<Machine> {
    let named = answers.into_iter().filter(|machine| is_word(&machine.name) && machine.name != "none");
    let mut machines: Vec<_> = named
        .take(MACHINES_MAX)
        .map(|machine| Machine {
            name: machine.name,
            alias: machine.alias.filter(|alias| is_word(alias)),
            is_default: machine.is_default,
            processors: machine.cpu_max,
        })
        .collect();
    machines.sort_by(|one, other| one.name.cmp(&other.name));
    machines
}

fn is_word(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.+-".contains(&byte);
    (1..=NAME_MAX).contains(&name.len()) && name.bytes().all(plain)
}

/// Why the device cannot be used.
pub(super) fn unusable(kvm: &Path) -> Option<String> {
    let opened = File::options().read(true).write(true).open(kvm);
    opened.err().map(|error| format!("{}: {error}", kvm.display()))
}

fn broken(path: &Path, reason: &str) -> Failure {
    Failure::new(Code::OperationFailed, format!("'{}' cannot be used as an emulator: {reason}", path.display()))
}
