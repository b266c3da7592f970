//! C programs with rpcgen's output and libtirpc, built by a test in a folder of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::foreign_tool::{missing, require};

/// A folder with C sources, and the tools to build them.
pub struct CFolder {
    path: PathBuf,
    rpcgen: PathBuf,
    cc: PathBuf,
    flags: String,
}

impl CFolder {
    /// An empty folder, or `None` after SKIPPED has been said because a tool is missing.
    ///
    /// # Panics
    /// When the folder cannot be made, or a tool is missing and must not be.
    #[must_use]
    pub fn new(path: PathBuf) -> Option<Self> {
        let (rpcgen, cc, pkg_config) = (require("rpcgen")?, require("cc")?, require("pkg-config")?);
        // rpcgen runs the preprocessor.
        require("cpp")?;
        let flags =
            Command::new(pkg_config).args(["--cflags", "--libs", "libtirpc"]).output().expect("pkg-config runs");
        if !flags.status.success() {
            missing("pkg-config does not know libtirpc");
            return None;
        }
        let flags = String::from_utf8(flags.stdout).expect("compiler flags are text");
        // rpcgen does not overwrite, so the folder has to be empty.
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).expect("the folder can be made");
        Some(Self { path, rpcgen, cc, flags })
    }

    /// Where a file of the folder is.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes a source.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.file(name), text).expect("the source can be written");
    }

    /// Copies a source from elsewhere.
    ///
    /// # Panics
    /// When it cannot be copied.
    pub fn copy(&self, from: &Path, name: &str) {
        std::fs::copy(from, self.file(name)).expect("the source can be copied");
    }

    /// Translates a `.x` file: `-h` a header, `-c` the codec, `-l` a client's stubs, `-m` a server's.
    ///
    /// # Panics
    /// When rpcgen refuses the file.
    pub fn rpcgen(&self, kind: &str, from: &str, to: &str) {
        self.run(Command::new(&self.rpcgen).args(["-M", kind, "-o", to, from]));
    }

    /// Compiles a program, without warnings: what rpcgen writes is not free of them.
    ///
    /// # Panics
    /// When the compiler refuses a source.
    pub fn compile(&self, program: &str, optimisation: &str, sources: &[&str]) {
        let mut compile = Command::new(&self.cc);
        compile.args(["-std=gnu11", optimisation, "-w", "-o", program]).args(sources);
        self.run(compile.args(self.flags.split_whitespace()));
    }

    fn run(&self, command: &mut Command) {
        let output = command.current_dir(&self.path).output().expect("the tool runs");
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
