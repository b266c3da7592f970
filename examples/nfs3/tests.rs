//! What a client should not ask, and how much it gets at a time. Well-behaved clients are in `tests/tests/interop_nfs.rs`.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

use rpc_frame::Procedure;
use rpc_frame::tokio::Client;
use xdr_core::{Bytes, Encode, XdrString, encoded_len};

use crate::export::Export;
use crate::folder::Folder;
use crate::protocol::*;
use crate::server;
use crate::tree::{Embedded, Part, ROOT, Space, Tree};

struct Served {
    client: Client,
    root: FileHandle,
    folder: tempfile::TempDir,
}

/// A folder with a few files, and a client that has mounted it.
async fn served(max_handles: usize) -> Served {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("outside"), "secret").unwrap();
    let tree = folder.path().join("tree");
    fs::create_dir_all(tree.join("sub/deep")).unwrap();
    fs::write(tree.join("file"), "0123456789").unwrap();
    symlink("../outside", tree.join("link")).unwrap();
    symlink("..", tree.join("up")).unwrap();
    let export = Export::with_handles(Folder::open(&tree).unwrap(), max_handles).unwrap();
    let client = Client::new(server(export).connect_in_memory());
    let MountRes::Ok(mounted) = mount(&client, "/export").await else { panic!("not mounted") };
    Served { client, root: mounted.fhandle, folder }
}

async fn mount(client: &Client, path: &str) -> MountRes {
    client.call_procedure::<Mnt>(&DirPath(path.into())).await.unwrap()
}

fn named(dir: &FileHandle, name: impl AsRef<[u8]>) -> Lookup {
    Lookup { what: DirOp { dir: dir.clone(), name: FileName(XdrString(name.as_ref().into())) } }
}

/// The results, or the status.
async fn ask<P, T, F>(client: &Client, args: &P) -> Result<T, NfsStat>
where
    P: Procedure<Args = P, Reply = Res<T, F>> + Encode,
{
    match client.call(args).await.unwrap() {
        Res::Ok(results) => Ok(results),
        Res::Fail { status, .. } => Err(status),
    }
}

async fn find(client: &Client, root: &FileHandle, path: &str) -> FileHandle {
    let mut handle = root.clone();
    for name in path.split('/') {
        handle = ask(client, &named(&handle, name)).await.unwrap().object;
    }
    handle
}

#[tokio::test]
async fn handles_that_were_never_given_out_are_refused() {
    let Served { client, root, folder: _folder } = served(16).await;
    let mut other_run = root.data.to_vec();
    other_run[0] ^= 1;
    let mut unknown = root.data.to_vec();
    unknown[15] ^= 0x55;
    for (data, status) in [
        (Vec::new(), NfsStat::BadHandle),
        (root.data[..15].to_vec(), NfsStat::BadHandle),
        (vec![0; 64], NfsStat::BadHandle),
        (b"/etc/passwd_____".to_vec(), NfsStat::Stale),
        (other_run, NfsStat::Stale),
        (unknown, NfsStat::Stale),
    ] {
        let handle = FileHandle { data: Bytes::from(data) };
        assert_eq!(ask(&client, &GetAttr { object: handle.clone() }).await, Err(status), "{handle:?}");
        assert_eq!(ask(&client, &Read { file: handle, offset: 0, count: 1 }).await, Err(status));
    }
}

#[tokio::test]
async fn names_that_are_no_names_are_refused() {
    let Served { client, root, folder: _folder } = served(16).await;
    for (name, status) in [
        (b"".to_vec(), NfsStat::Acces),
        (b"sub/deep".to_vec(), NfsStat::Acces),
        (b"../outside".to_vec(), NfsStat::Acces),
        (b"/".to_vec(), NfsStat::Acces),
        (b"file\0".to_vec(), NfsStat::Acces),
        (vec![b'n'; 255], NfsStat::NoEnt),
        (vec![b'n'; 256], NfsStat::NameTooLong),
        (vec![b'n'; 500_000], NfsStat::NameTooLong),
        (b"nothing".to_vec(), NfsStat::NoEnt),
    ] {
        assert_eq!(ask(&client, &named(&root, &name)).await, Err(status), "{} bytes", name.len());
    }
    let file = find(&client, &root, "file").await;
    assert_eq!(ask(&client, &named(&file, "name")).await, Err(NfsStat::NotDir));
    assert_eq!(ask(&client, &named(&file, ".")).await, Err(NfsStat::NotDir));
}

#[tokio::test]
async fn nothing_leads_out_of_the_export() {
    let Served { client, root, folder } = served(16).await;
    assert_eq!(find(&client, &root, "..").await, root);
    assert_eq!(find(&client, &root, "sub/deep/../../../..").await, root);
    let up = find(&client, &root, "up").await;
    assert_eq!(ask(&client, &named(&up, "outside")).await, Err(NfsStat::NotDir));
    let link = find(&client, &root, "link").await;
    assert_eq!(ask(&client, &Read { file: link.clone(), offset: 0, count: 10 }).await, Err(NfsStat::Inval));
    assert_eq!(ask(&client, &ReadLink { symlink: link }).await.unwrap().data.0.0, b"../outside");
    for path in ["/export/..", "/export/up", "/export/file", "/", "/exports", "/etc", "", "export"] {
        assert!(matches!(mount(&client, path).await, MountRes::Fail(_)), "{path}");
    }
    assert!(matches!(mount(&client, "/export//sub/./deep/").await, MountRes::Ok(_)));
    // A directory whose place is taken by a link while a client holds its handle.
    let deep = find(&client, &root, "sub/deep").await;
    fs::rename(folder.path().join("tree/sub"), folder.path().join("tree/gone")).unwrap();
    symlink(folder.path(), folder.path().join("tree/sub")).unwrap();
    fs::create_dir(folder.path().join("deep")).unwrap();
    for handle in [&deep, &root] {
        let found = ask(&client, &named(handle, "outside")).await;
        assert!(matches!(found, Err(NfsStat::Acces | NfsStat::Stale | NfsStat::NoEnt)), "{found:?}");
    }
}

#[tokio::test]
async fn reads_are_cut_to_the_file_and_to_what_is_allowed() {
    let Served { client, root, folder } = served(16).await;
    let file = find(&client, &root, "file").await;
    for (offset, count, data, eof) in [
        (0, 10, "0123456789", true),
        (0, 9, "012345678", false),
        (8, u32::MAX, "89", true),
        (10, 1, "", true),
        (u64::MAX, u32::MAX, "", true),
        (i64::MAX as u64, 1, "", true),
        (3, 0, "", false),
    ] {
        let read = ask(&client, &Read { file: file.clone(), offset, count }).await.unwrap();
        assert_eq!(
            (&*read.data, read.count as usize, read.eof),
            (data.as_bytes(), data.len(), eof),
            "{offset} {count}"
        );
    }
    fs::write(folder.path().join("tree/file"), vec![1; 300_000]).unwrap();
    let read = ask(&client, &Read { file: file.clone(), offset: 0, count: u32::MAX }).await.unwrap();
    let info = ask(&client, &FsInfo { fsroot: root.clone() }).await.unwrap();
    assert_eq!((read.count, read.eof), (info.rtmax, false));
    assert_eq!(ask(&client, &Read { file: root, offset: 0, count: 1 }).await, Err(NfsStat::Inval));
}

#[tokio::test]
async fn a_handle_is_stale_when_its_name_belongs_to_another_file() {
    let Served { client, root, folder } = served(16).await;
    let file = find(&client, &root, "file").await;
    assert_eq!(find(&client, &root, "file").await, file, "a file's handle stays the same");
    fs::write(folder.path().join("new"), "another").unwrap();
    fs::rename(folder.path().join("new"), folder.path().join("tree/file")).unwrap();
    assert_eq!(ask(&client, &Read { file: file.clone(), offset: 0, count: 9 }).await, Err(NfsStat::Stale));
    let another = find(&client, &root, "file").await;
    assert_ne!(another, file);
    assert_eq!(ask(&client, &Read { file: another, offset: 0, count: 9 }).await.unwrap().data, "another");
    fs::remove_file(folder.path().join("tree/file")).unwrap();
    assert_eq!(ask(&client, &GetAttr { object: file }).await, Err(NfsStat::Stale));
}

#[tokio::test]
async fn pages_of_a_directory_hold_what_was_asked_for_and_all_names_once() {
    let Served { client, root, folder } = served(4096).await;
    for number in 0..500 {
        fs::write(folder.path().join("tree/sub").join(format!("{number:0>60}")), "").unwrap();
    }
    let dir = find(&client, &root, "sub").await;
    let (mut names, mut cookie, mut cookieverf) = (Vec::new(), 0, [0; 8]);
    loop {
        let page = ask(&client, &ReadDir { dir: dir.clone(), cookie, cookieverf, count: 1000 }).await.unwrap();
        assert!(encoded_len(&page) <= 1000 && encoded_len(&page) > 1000 - 200);
        names.extend(page.entries.iter().map(|entry| entry.name.0.to_string()));
        (cookie, cookieverf) = (page.entries.last().map_or(cookie, |entry| entry.cookie), page.cookieverf);
        if page.eof {
            break;
        }
    }
    assert_eq!(names.len(), 503);
    assert_eq!(names[..2], [".", ".."]);
    assert!(names.is_sorted());

    let mut plus = ReadDirPlus { dir: dir.clone(), cookie: 0, cookieverf, dircount: 1 << 20, maxcount: 5000 };
    let page = ask(&client, &plus).await.unwrap();
    assert!(encoded_len(&page) <= 5000 && !page.eof);
    let third = &page.entries[2];
    let attributes = ask(&client, &GetAttr { object: third.name_handle.clone().unwrap() }).await.unwrap();
    assert_eq!((Some(attributes), attributes.fileid), (third.name_attributes, third.fileid));
    plus.dircount = 300;
    assert!(ask(&client, &plus).await.unwrap().entries.len() < page.entries.len());
    plus.maxcount = 100;
    assert_eq!(ask(&client, &plus).await, Err(NfsStat::TooSmall));
    plus.maxcount = u32::MAX;
    plus.dircount = u32::MAX;
    assert!(encoded_len(&ask(&client, &plus).await.unwrap()) <= 64 * 1024);

    let read_dir = |cookie, cookieverf, count| ReadDir { dir: dir.clone(), cookie, cookieverf, count };
    assert_eq!(ask(&client, &read_dir(1, [9; 8], 1000)).await, Err(NfsStat::BadCookie));
    assert_eq!(ask(&client, &read_dir(u64::MAX, cookieverf, 1000)).await, Err(NfsStat::BadCookie));
    assert_eq!(ask(&client, &read_dir(0, [0; 8], 0)).await, Err(NfsStat::TooSmall));
    let file = find(&client, &root, "file").await;
    assert_eq!(ask(&client, &ReadDir { dir: file, cookie: 0, cookieverf, count: 99 }).await, Err(NfsStat::NotDir));
}

#[tokio::test]
async fn the_table_of_handles_is_bounded_and_the_root_stays_in_it() {
    let Served { client, root, folder } = served(4).await;
    for number in 0..10 {
        fs::write(folder.path().join(format!("tree/{number}")), "").unwrap();
    }
    let first = find(&client, &root, "0").await;
    let kept = find(&client, &root, "1").await;
    for number in 2..10 {
        find(&client, &root, &number.to_string()).await;
        ask(&client, &GetAttr { object: kept.clone() }).await.unwrap();
    }
    assert_eq!(ask(&client, &GetAttr { object: first }).await, Err(NfsStat::Stale));
    ask(&client, &GetAttr { object: root }).await.unwrap();
}

#[tokio::test]
async fn whatever_would_change_something_meets_a_read_only_file_system() {
    let Served { client, root, folder } = served(16).await;
    let place = || named(&root, "new").what;
    let time = SetTime::Other(TimeHow::DontChange);
    let new = NewAttributes { mode: Some(0), uid: None, gid: None, size: Some(0), atime: time, mtime: time };
    let (file, stable) = (find(&client, &root, "file").await, StableHow::FileSync);
    let write = Write { file: file.clone(), offset: 0, count: 1, stable, data: Bytes::from_static(b"x") };
    assert_eq!(ask(&client, &write).await, Err(NfsStat::RoFs));
    let set = SetAttr { object: file.clone(), new_attributes: new, guard: None };
    assert_eq!(ask(&client, &set).await, Err(NfsStat::RoFs));
    let how = CreateHow::Attributes { mode: CreateMode::Guarded, obj_attributes: new };
    assert_eq!(ask(&client, &Create { place: place(), how }).await, Err(NfsStat::RoFs));
    assert_eq!(ask(&client, &MkDir { place: place(), attributes: new }).await, Err(NfsStat::RoFs));
    assert_eq!(ask(&client, &Remove { object: named(&root, "file").what }).await, Err(NfsStat::RoFs));
    assert_eq!(ask(&client, &Rename { from: place(), to: place() }).await, Err(NfsStat::RoFs));
    assert_eq!(fs::read(folder.path().join("tree/file")).unwrap(), b"0123456789");
    let access = ask(&client, &Access { object: file, access: u32::MAX }).await.unwrap().access;
    assert_eq!(access, ACCESS_READ);
}

#[tokio::test]
async fn the_embedded_tree_reads_as_one_on_disk_does() {
    let client = Client::new(server(Export::new(Embedded::new()).unwrap()).connect_in_memory());
    let MountRes::Ok(mounted) = mount(&client, "/export/notes").await else { panic!("not mounted") };
    let first = find(&client, &mounted.fhandle, "first").await;
    let read = ask(&client, &Read { file: first, offset: 4, count: 4 }).await.unwrap();
    assert_eq!((&*read.data, read.eof), (&b"1813"[..], false));
    let up = find(&client, &mounted.fhandle, "..").await;
    let link = find(&client, &up, "latest").await;
    assert_eq!(ask(&client, &ReadLink { symlink: link }).await.unwrap().data.0.0, b"notes/second");
}

/// A tree in which somebody puts another file into a file's place, between each look at it and its opening.
struct Restless(Embedded);

impl Tree for Restless {
    fn attributes(&self, path: &Path) -> io::Result<Attributes> {
        self.0.attributes(path)
    }

    fn names(&self, path: &Path, max: usize) -> io::Result<Vec<Vec<u8>>> {
        self.0.names(path, max)
    }

    fn target(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.0.target(path)
    }

    fn read(&self, _: &Path, offset: u64, count: u32) -> io::Result<Part> {
        self.0.read(&Path::new(ROOT).join("notes/first"), offset, count)
    }

    fn space(&self) -> io::Result<Space> {
        self.0.space()
    }
}

#[tokio::test]
async fn what_is_read_is_the_file_of_the_handle_or_nothing() {
    let client = Client::new(server(Export::new(Restless(Embedded::new())).unwrap()).connect_in_memory());
    let MountRes::Ok(mounted) = mount(&client, "/export").await else { panic!("not mounted") };
    let (file, other) =
        (find(&client, &mounted.fhandle, "README").await, find(&client, &mounted.fhandle, "notes/first").await);
    assert_eq!(ask(&client, &Read { file, offset: 0, count: 9 }).await, Err(NfsStat::Stale));
    assert_eq!(ask(&client, &Read { file: other, offset: 0, count: 3 }).await.unwrap().data, "RFC");
}
