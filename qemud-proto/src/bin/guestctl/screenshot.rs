//! The command `screenshot`: a picture of a domain's screen in a file.

use std::fs::{self, Permissions};
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use qemud_proto::messages::{DomainScreenshot, Stream, StreamRead};
use rpc_frame::tokio::Client;
use serde_json::Value;
use tempfile::NamedTempFile;

use crate::Error;
use crate::arguments::Domain;
use crate::domains::find;
use crate::output::Output;

/// Longest picture that is fetched, in bytes.
const PICTURE_MAX: u64 = 256 << 20;

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScreenshotError {
    #[error("'{}' exists; --force overwrites it", .0.display())]
    Exists(PathBuf),
    #[error("'{}' is not a regular file", .0.display())]
    NotAFile(PathBuf),
    #[error("cannot write '{}': {source}", .path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("standard output is a terminal, which shows no pictures")]
    Terminal,
    #[error("the picture has {0} bytes, the maximum is {PICTURE_MAX}")]
    TooLong(u64),
    #[error("the picture ends after {found} of {length} bytes")]
    CutShort { found: u64, length: u64 },
    #[error("more than the {0} bytes that the picture has are sent")]
    Endless(u64),
}

/// Takes a picture. A file is there whole or not at all; `-` stands for standard output.
pub(crate) async fn screenshot(
    client: &Client,
    output: &Output,
    domain: &Domain,
    file: &Path,
    force: bool,
) -> Result<(), Error> {
    if file == Path::new("-") {
        let mut out = io::stdout();
        if out.is_terminal() {
            return Err(ScreenshotError::Terminal.into());
        }
        let found = find(client, domain).await?;
        fetch(client, found.active_id()?, |piece| Ok(out.write_all(piece)?)).await?;
        return Ok(out.flush()?);
    }
    // What is wrong with the file is told before the daemon is asked.
    let target = Target::new(file, force)?;
    let found = find(client, domain).await?;
    let mut beside = target.beside()?;
    let failed = |source| ScreenshotError::Write { path: file.to_owned(), source };
    let Stream { length, mime, .. } =
        fetch(client, found.active_id()?, |piece| Ok(beside.write_all(piece).map_err(failed)?)).await?;
    target.keep(beside)?;
    let name = &found.name;
    let facts: [(&str, Value); 4] = [
        ("Name", name.clone().into()),
        ("File", file.to_string_lossy().into()),
        ("Type", mime.clone().into()),
        ("Bytes", length.into()),
    ];
    Ok(output.done(&format!("Screenshot of domain '{name}' saved to {}, {mime}", file.display()), &facts)?)
}

/// Hands on the picture piece by piece, whole and no more than it shall have.
async fn fetch(client: &Client, id: i32, mut each: impl FnMut(&[u8]) -> Result<(), Error>) -> Result<Stream, Error> {
    let picture = client.call(&DomainScreenshot { id }).await??;
    let Stream { stream, length, .. } = picture;
    if length > PICTURE_MAX {
        return Err(ScreenshotError::TooLong(length).into());
    }
    let mut found = 0;
    loop {
        let piece = client.call(&StreamRead { stream, offset: found }).await??.bytes;
        if piece.is_empty() {
            break;
        }
        found += piece.len() as u64;
        if found > length {
            return Err(ScreenshotError::Endless(length).into());
        }
        each(&piece)?;
    }
    if found < length {
        return Err(ScreenshotError::CutShort { found, length }.into());
    }
    Ok(picture)
}

/// The file that a picture goes to.
struct Target {
    /// As the user has named it.
    named: PathBuf,
    /// The same without symbolic links where it is to be overwritten, so that those stay.
    path: PathBuf,
    force: bool,
}

impl Target {
    fn new(named: &Path, force: bool) -> Result<Self, ScreenshotError> {
        let failed = |source| ScreenshotError::Write { path: named.to_owned(), source };
        let path = match fs::metadata(named) {
            Ok(_) if !force => return Err(ScreenshotError::Exists(named.to_owned())),
            // Nobody wants a device to be replaced by a picture.
            Ok(metadata) if !metadata.is_file() => return Err(ScreenshotError::NotAFile(named.to_owned())),
            Ok(_) => fs::canonicalize(named).map_err(failed)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => named.to_owned(),
            Err(error) => return Err(failed(error)),
        };
        Ok(Self { named: named.to_owned(), path, force })
    }

    /// A file in the same folder, which is gone unless it is kept. Its mode is what the user's mask leaves.
    fn beside(&self) -> Result<NamedTempFile, ScreenshotError> {
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut builder = tempfile::Builder::new();
        builder.permissions(Permissions::from_mode(0o666)).tempfile_in(folder).map_err(|error| self.failed(error))
    }

    fn keep(&self, beside: NamedTempFile) -> Result<(), ScreenshotError> {
        let kept = match self.force {
            true => beside.persist(&self.path),
            // Somebody may have made one meanwhile.
            false => beside.persist_noclobber(&self.path),
        };
        match kept {
            Ok(_) => Ok(()),
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
                Err(ScreenshotError::Exists(self.named.clone()))
            }
            Err(error) => Err(self.failed(error.error)),
        }
    }

    fn failed(&self, source: io::Error) -> ScreenshotError {
        ScreenshotError::Write { path: self.named.clone(), source }
    }
}

#[cfg(test)]
mod tests {
    use qemud_proto::failure::Reply;
    use qemud_proto::messages::StreamPiece;
    use rpc_frame::tokio::{Server, ServerConfig};
    use rpc_frame::xdr::Bytes;
    use rpc_frame::{Context, ProcedureTable};

    use super::*;

    /// What a daemon that does not keep to the protocol says of a picture.
    #[derive(ProcedureTable)]
    #[rpc(program = qemud_proto::messages::GUEST, version = 1, service = LiesService)]
    enum Lies {
        #[rpc(proc = 43, reply = Reply<Stream>)]
        Screenshot(DomainScreenshot),
        #[rpc(proc = 44, reply = Reply<StreamPiece>)]
        Read(StreamRead),
    }

    struct Liar {
        length: u64,
        pieces: u64,
    }

    impl LiesService for Liar {
        async fn screenshot(&self, _: &Context, _: DomainScreenshot) -> Reply<Stream> {
            Ok(Stream { stream: 1, length: self.length, mime: "image/png".to_owned() })
        }

        async fn read(&self, _: &Context, args: StreamRead) -> Reply<StreamPiece> {
            let bytes = if args.offset < self.pieces * 10 { Bytes::from_static(&[7; 10]) } else { Bytes::new() };
            Ok(StreamPiece { bytes })
        }
    }

    /// What becomes of a picture of this length that has so many pieces of ten bytes.
    async fn fetched(length: u64, pieces: u64) -> (Result<(), String>, usize) {
        let server = Server::builder(rpc_frame::program::<Lies, _>(Liar { length, pieces }));
        let server = server.config(ServerConfig::default()).build();
        let client = Client::new(server.connect_in_memory());
        let mut found = 0;
        let ended = fetch(&client, 1, |piece| {
            found += piece.len();
            Ok(())
        });
        (ended.await.map(drop).map_err(|error| error.to_string()), found)
    }

    #[tokio::test]
    async fn a_picture_is_as_long_as_was_said_or_an_error() {
        assert_eq!(fetched(20, 2).await, (Ok(()), 20));
        assert_eq!(fetched(0, 0).await, (Ok(()), 0));
        assert_eq!(fetched(25, 2).await, (Err("the picture ends after 20 of 25 bytes".to_owned()), 20));
        let says = "more than the 25 bytes that the picture has are sent".to_owned();
        assert_eq!(fetched(25, u64::MAX / 10).await, (Err(says), 20));
        let says = "the picture has 268435457 bytes, the maximum is 268435456".to_owned();
        assert_eq!(fetched(PICTURE_MAX + 1, 1).await, (Err(says), 0));
    }
}
