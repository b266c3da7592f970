//! libnfs reads a tree from the example `nfs3`, tshark dissects what they say, and rpcgen takes the protocol's types.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use rpc_frame::{Procedure, ProcedureTable};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;
use xdr_core::{Encode, export_x};
use xdr_tests::foreign_c::CFolder;
use xdr_tests::foreign_tool::require;

#[path = "nfs/capture.rs"]
mod capture;
#[path = "../../examples/nfs3/protocol/mod.rs"]
#[allow(dead_code, reason = "its types are exported, and nothing else is done with them")]
mod protocol;

/// The server, with the tree that it serves.
struct Nfs {
    tree: PathBuf,
    port: u16,
    // Killed when it is dropped; it could not print into a pipe that nobody reads.
    _server: (Child, Lines<BufReader<ChildStdout>>),
}

impl Nfs {
    /// Serves an empty tree.
    async fn serve(name: &str) -> Self {
        let tree = Path::new(env!("CARGO_TARGET_TMPDIR")).join("nfs").join(name).join("tree");
        let _ = fs::remove_dir_all(tree.parent().unwrap());
        fs::create_dir_all(&tree).unwrap();
        // Cargo replaces itself with the program that it runs.
        let mut server = Command::new(env!("CARGO"))
            .args(["run", "-q", "-p", "rpc-examples", "--example", "nfs3", "--", "--export"])
            .arg(&tree)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
        // It may have to be built.
        let line = timeout(Duration::from_secs(600), lines.next_line()).await.expect("the server begins").unwrap();
        let port = line.as_deref().and_then(|line| line.rsplit_once(':')?.1.parse().ok());
        let port = port.unwrap_or_else(|| panic!("no address in {line:?}"));
        Self { tree, port, _server: (server, lines) }
    }

    /// A file beside the tree.
    fn outside(&self, name: &str) -> PathBuf {
        self.tree.parent().unwrap().join(name)
    }
}

/// `nfs://127.0.0.1/export` and this path, at the server on this port.
fn url(port: u16, path: impl AsRef<OsStr>) -> OsString {
    let mut url = OsString::from("nfs://127.0.0.1/export");
    url.push(path);
    url.push(format!("?nfsport={port}&mountport={port}"));
    url
}

async fn run(tool: &Path, arguments: &[&OsStr]) -> Output {
    let mut command = Command::new(tool);
    command.args(arguments).kill_on_drop(true);
    timeout(Duration::from_secs(60), command.output()).await.expect("the program ends").unwrap()
}

async fn cat(tool: &Path, nfs: &Nfs, path: impl AsRef<OsStr>) -> Output {
    run(tool, &[&url(nfs.port, path)]).await
}

/// What `nfs-ls -R` shows of each path: type and permissions, links, owner, group, size.
type Listing = BTreeMap<OsString, [String; 5]>;

fn listed(output: &Output) -> Listing {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut listing = Listing::new();
    for line in output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let mut rest = line;
        let columns = [(); 5].map(|()| {
            rest = rest.trim_ascii_start();
            let end = rest.iter().position(|byte| *byte == b' ').unwrap();
            let (column, behind) = rest.split_at(end);
            rest = behind;
            String::from_utf8(column.into()).unwrap()
        });
        let path = OsString::from_vec(rest[1..].to_vec());
        assert!(listing.insert(path, columns).is_none(), "twice: {}", String::from_utf8_lossy(line));
    }
    listing
}

/// The same of the folder itself.
fn expected(folder: &Path, below: &Path, listing: &mut Listing) {
    for entry in fs::read_dir(folder.join(below)).unwrap() {
        let entry = entry.unwrap();
        let path = below.join(entry.file_name());
        let metadata = entry.metadata().unwrap();
        let kind = if metadata.is_dir() {
            'd'
        } else if metadata.is_symlink() {
            'l'
        } else {
            '-'
        };
        let bits = "rwxrwxrwx".chars().enumerate();
        let mode = bits.map(|(place, bit)| if metadata.mode() & (0o400 >> place) != 0 { bit } else { '-' });
        let columns = [
            [kind].into_iter().chain(mode).collect(),
            metadata.nlink().to_string(),
            metadata.uid().to_string(),
            metadata.gid().to_string(),
            metadata.len().to_string(),
        ];
        listing.insert(path.clone().into(), columns);
        if metadata.is_dir() {
            expected(folder, &path, listing);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nfs_ls_lists_a_tree_with_all_its_sizes() {
    let Some(ls) = require("nfs-ls") else { return };
    let nfs = Nfs::serve("ls").await;
    fs::create_dir_all(nfs.tree.join("one/two/three")).unwrap();
    fs::write(nfs.tree.join("one/two/three/deep"), "deep").unwrap();
    fs::write(nfs.tree.join("empty"), "").unwrap();
    fs::write(nfs.tree.join("two words, größer 日本"), vec![7; 12_345]).unwrap();
    fs::write(nfs.tree.join(OsStr::from_bytes(b"caf\xe9")), "not UTF-8").unwrap();
    fs::write(nfs.tree.join("n".repeat(255)), "a long name").unwrap();
    fs::hard_link(nfs.tree.join("empty"), nfs.tree.join("one/again")).unwrap();
    symlink("one/two", nfs.tree.join("link")).unwrap();
    fs::create_dir(nfs.tree.join("many")).unwrap();
    for number in 0..2000 {
        fs::write(nfs.tree.join(format!("many/entry number {number}")), "x".repeat(number % 7)).unwrap();
    }
    let mut tree = Listing::new();
    expected(&nfs.tree, Path::new(""), &mut tree);
    assert_eq!(tree.len(), 2011);
    let shown = listed(&run(&ls, &[OsStr::new("-R"), &url(nfs.port, "")]).await);
    for (path, columns) in &tree {
        assert_eq!(shown.get(path), Some(columns), "{}", path.display());
    }
    assert_eq!(shown.len(), tree.len());
    // A folder inside of the export can be mounted, too.
    let inside = listed(&run(&ls, &[&url(nfs.port, "/one/two")]).await);
    assert_eq!(inside.keys().collect::<Vec<_>>(), ["three"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nfs_cat_reads_files_byte_for_byte() {
    let Some(tool) = require("nfs-cat") else { return };
    let nfs = Nfs::serve("cat").await;
    fs::create_dir(nfs.tree.join("folder")).unwrap();
    let mut random = fastrand::Rng::with_seed(1813);
    let mut big = vec![0; 5 * 1024 * 1024];
    random.fill(&mut big);
    let names: [(&[u8], &[u8]); 5] = [
        (b"/big", &big),
        (b"/empty", b""),
        (b"/folder/just over one READ", &big[..128 * 1024 + 1]),
        ("/folder/größer 日本".as_bytes(), b"a name in UTF-8"),
        (b"/folder/caf\xe9", b"a name in Latin-1"),
    ];
    for (name, content) in names {
        fs::write(nfs.tree.join(OsStr::from_bytes(&name[1..])), content).unwrap();
    }
    for (name, content) in names {
        let output = cat(&tool, &nfs, OsStr::from_bytes(name)).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(output.stdout == content, "{} is another: {} bytes", name.escape_ascii(), output.stdout.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_outside_of_the_export_can_be_read() {
    let Some(tool) = require("nfs-cat") else { return };
    let nfs = Nfs::serve("outside").await;
    fs::write(nfs.outside("secret"), "secret").unwrap();
    fs::create_dir(nfs.tree.join("folder")).unwrap();
    fs::write(nfs.tree.join("public"), "public").unwrap();
    symlink("..", nfs.tree.join("up")).unwrap();
    symlink("../../secret", nfs.tree.join("folder/relative")).unwrap();
    symlink(nfs.outside("secret"), nfs.tree.join("absolute")).unwrap();
    for path in
        ["/../secret", "/up/secret", "/folder/relative", "/absolute", "/folder/../../secret", "/public/../secret"]
    {
        let output = cat(&tool, &nfs, path).await;
        assert!(!output.status.success() && output.stdout.is_empty(), "{path}: {output:?}");
    }
    assert_eq!(cat(&tool, &nfs, "/public").await.stdout, b"public");
}

#[tokio::test(flavor = "multi_thread")]
async fn tshark_understands_the_whole_conversation() {
    let (Some(ls), Some(tool), Some(tshark)) = (require("nfs-ls"), require("nfs-cat"), require("tshark")) else {
        return;
    };
    let nfs = Nfs::serve("tshark").await;
    fs::create_dir(nfs.tree.join("folder")).unwrap();
    fs::write(nfs.tree.join("folder/file"), "x".repeat(200_000)).unwrap();
    symlink("folder/file", nfs.tree.join("link")).unwrap();
    let (port, traffic) = capture::between(nfs.port).await;
    assert_eq!(listed(&run(&ls, &[OsStr::new("-R"), &url(port, "")]).await).len(), 3);
    assert_eq!(run(&tool, &[&url(port, "/folder/file")]).await.stdout.len(), 200_000);
    let file = nfs.outside("nfs.pcap");
    traffic.write(&file);

    let fields = ["rpc.msgtyp", "rpc.program", "rpc.procedure", "nfs.status3", "mount.status", "_ws.malformed"];
    let port = format!("tcp.port=={},rpc", capture::SERVER_PORT);
    let mut arguments = vec!["-r", file.to_str().unwrap(), "-d", &port, "-Y", "rpc.msgtyp", "-T", "fields"];
    arguments.extend(["-E", "separator=|"]);
    arguments.extend(fields.iter().flat_map(|field| ["-e", *field]));
    let output = run(&tshark, &arguments.iter().map(OsStr::new).collect::<Vec<_>>()).await;
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split('|').collect()).collect();
    let calls: Vec<_> = lines.iter().filter(|line| line[0] == "0").map(|line| (line[1], line[2])).collect();
    assert_eq!(lines.len(), 2 * calls.len(), "{text}");
    // MNT, FSINFO, GETATTR, LOOKUP, READDIRPLUS, READ
    for call in [("100005", "1"), ("100003", "19"), ("100003", "1"), ("100003", "3"), ("100003", "17"), ("100003", "6")]
    {
        assert!(calls.contains(&call), "{call:?} in {text}");
    }
    for line in &lines {
        assert!(matches!((line[3], line[4], line[5]), ("" | "0", "" | "0", "")), "{line:?}");
    }
    let filter = "_ws.malformed || rpc.continuation_data || _ws.expert.severity >= Warning";
    let wrong = run(&tshark, &["-r", file.to_str().unwrap(), "-d", &port, "-Y", filter].map(OsStr::new)).await;
    assert_eq!(String::from_utf8_lossy(&wrong.stdout), "");
    assert!(wrong.status.success(), "{}", String::from_utf8_lossy(&wrong.stderr));
}

/// The arguments and results of these procedures, as types to export.
macro_rules! types_of {
    ($($procedure:ty),+ $(,)?) => {
        [$(<<$procedure as Procedure>::Args as Encode>::schema, <<$procedure as Procedure>::Reply as Encode>::schema),+]
    };
}

#[test]
fn rpcgen_and_a_c_compiler_take_every_type_of_the_protocol() {
    use protocol::*;
    let Some(folder) = CFolder::new(Path::new(env!("CARGO_TARGET_TMPDIR")).join("rpcgen-nfs")) else { return };
    let nfs = types_of![
        GetAttr,
        SetAttr,
        Lookup,
        Access,
        ReadLink,
        Read,
        Write,
        Create,
        MkDir,
        Symlink,
        MkNod,
        Remove,
        RmDir,
        Rename,
        Link,
        ReadDir,
        ReadDirPlus,
        FsStat,
        FsInfo,
        PathConf,
        Commit,
    ];
    let mount = types_of![Mnt, Dump, Umnt, UmntAll, Export];
    assert_eq!((nfs.len(), mount.len()), (2 * Nfs3::PROCEDURES.len(), 2 * Mount3::PROCEDURES.len()));
    folder.write("nfs.x", &export_x(&[&nfs[..], &mount[..]].concat()).unwrap());
    folder.rpcgen("-h", "nfs.x", "nfs.h");
    folder.rpcgen("-c", "nfs.x", "nfs_xdr.c");
    // The constants' values and the structs' members are those of the RFC.
    folder.write(
        "main.c",
        "#include \"nfs.h\"
        int main(void) {
            entryplus3 entry = { .fileid = 1, .cookie = 2 };
            sattr3 new = { .mtime.discriminant = time_how_SET_TO_CLIENT_TIME };
            return nfsstat3_NFS3ERR_JUKEBOX == 10008 && ftype3_NF3FIFO == 7 && mountstat3_MNT3ERR_SERVERFAULT == 10006 && entry.cookie == 2
                && new.mtime.discriminant == 2 ? 0 : 1;
        }",
    );
    folder.compile("nfs", "-O0", &["main.c", "nfs_xdr.c"]);
    assert!(std::process::Command::new(folder.file("nfs")).status().unwrap().success());
}
