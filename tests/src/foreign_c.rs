//! C programs with rpcgen's output and libtirpc, built by a test in a folder of its own.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

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

/// What rpcgen made of some types, in a program that decodes them and encodes them again (`interop/shapes.c`).
pub struct Codecs {
    child: Child,
    to: ChildStdin,
    from: ChildStdout,
}

impl Codecs {
    /// The codecs of the types of these names, which the folder's `shapes.x` defines.
    ///
    /// # Panics
    /// When rpcgen or the compiler refuses something.
    #[must_use]
    pub fn build(folder: &CFolder, names: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let mut table = String::new();
        for name in names {
            let name = name.as_ref();
            writeln!(table, "{{ (xdrproc_t)xdr_{name}, sizeof({name}) }},").expect("text can be made longer");
        }
        folder.write("shapes.inc", &table);
        folder.copy(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/interop/shapes.c")), "main.c");
        folder.rpcgen("-h", "shapes.x", "shapes.h");
        folder.rpcgen("-c", "shapes.x", "shapes_xdr.c");
        folder.compile("shapes", "-O0", &["main.c", "shapes_xdr.c"]);
        let mut command = Command::new(folder.file("shapes"));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program runs");
        let to = child.stdin.take().expect("a pipe was asked for");
        let from = child.stdout.take().expect("a pipe was asked for");
        Self { child, to, from }
    }

    /// What these bytes are when the type at this place of the names has decoded and encoded them; `None` where they are
    /// refused, or too many.
    ///
    /// # Panics
    /// When the program has ended.
    pub fn again(&mut self, index: usize, wire: &[u8]) -> Option<Vec<u8>> {
        let mut request = Vec::with_capacity(wire.len() + 8);
        for number in [index, wire.len()] {
            request.extend(u32::try_from(number).expect("few types, and short values").to_be_bytes());
        }
        request.extend(wire);
        self.to.write_all(&request).expect("the program reads");
        let mut word = [0; 4];
        self.from.read_exact(&mut word).expect("the program answers");
        let len = Some(u32::from_be_bytes(word)).filter(|len| *len != u32::MAX)?;
        let mut again = vec![0; usize::try_from(len).expect("a word fits")];
        self.from.read_exact(&mut again).expect("the program answers with all bytes");
        Some(again)
    }

    /// Has the program end.
    ///
    /// # Panics
    /// When it fails.
    pub fn finish(mut self) {
        drop(self.to);
        assert!(self.child.wait().expect("the program ends").success());
    }
}
