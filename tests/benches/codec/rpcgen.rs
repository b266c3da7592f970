//! rpcgen's C, in a process of its own: it is asked for one burst after the other, on a pipe.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use xdr_tests::foreign_tool::{missing, require};

use crate::measure::Operation;

const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/codec/rpcgen");

/// The running program.
pub(crate) struct Rpcgen {
    pipes: RefCell<(ChildStdin, BufReader<ChildStdout>)>,
    child: Child,
}

impl Rpcgen {
    /// Generates, compiles and starts it; nothing where a tool is missing, after SKIPPED was said.
    pub(crate) fn build() -> Option<Self> {
        let (rpcgen, cc, pkg_config) = (require("rpcgen")?, require("cc")?, require("pkg-config")?);
        require("cpp")?;
        let flags = Command::new(pkg_config).args(["--cflags", "--libs", "libtirpc"]).output().unwrap();
        if !flags.status.success() {
            missing("pkg-config does not know libtirpc");
            return None;
        }
        let flags = String::from_utf8(flags.stdout).unwrap();
        // rpcgen does not overwrite, so the folder has to be empty.
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("codec-bench");
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        for file in ["shapes.x", "shapes.c"] {
            std::fs::copy(Path::new(SOURCES).join(file), folder.join(file)).unwrap();
        }
        for (kind, out) in [("-h", "shapes.h"), ("-c", "shapes_xdr.c")] {
            run(Command::new(&rpcgen).args([kind, "-o", out, "shapes.x"]).current_dir(&folder));
        }
        let mut compile = Command::new(&cc);
        // What rpcgen writes is not free of warnings.
        compile.args(["-std=gnu11", "-O2", "-w", "-o", "shapes", "shapes.c", "shapes_xdr.c"]);
        run(compile.args(flags.split_whitespace()).current_dir(&folder));
        let mut child =
            Command::new(folder.join("shapes")).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let pipes = child.stdin.take().zip(child.stdout.take()).unwrap();
        Some(Self { pipes: RefCell::new((pipes.0, BufReader::new(pipes.1))), child })
    }

    /// The encoded value; the program has compared it with what it decodes.
    pub(crate) fn bytes(&self, shape: &str) -> Vec<u8> {
        let len = self.ask(&format!("bytes {shape}")).trim().parse().unwrap();
        let mut bytes = vec![0; len];
        self.pipes.borrow_mut().1.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// Nanoseconds an operation, for batches of `batch` during `time`.
    pub(crate) fn burst(&self, shape: &str, operation: Operation, batch: Duration, time: Duration) -> Vec<f64> {
        let (batch, time) = (batch.as_nanos(), time.as_nanos());
        let answer = self.ask(&format!("{} {shape} {batch} {time}", operation.name()));
        answer.split_whitespace().map(|sample| sample.parse().unwrap()).collect()
    }

    fn ask(&self, question: &str) -> String {
        let (stdin, stdout) = &mut *self.pipes.borrow_mut();
        writeln!(stdin, "{question}").unwrap();
        stdin.flush().unwrap();
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        assert!(line.ends_with('\n'), "the C program ended at: {question}");
        line
    }
}

impl Drop for Rpcgen {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
