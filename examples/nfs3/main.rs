//! An NFS version 3 server of read-only files: a protocol that was not made for this library, as it stands in RFC 1813.
//!
//! ```sh
//! cargo run --example nfs3 -- --export DIR --listen 127.0.0.1:2050
//! nfs-ls 'nfs://127.0.0.1/export?nfsport=2050&mountport=2050'
//! nfs-cat 'nfs://127.0.0.1/export/FILE?nfsport=2050&mountport=2050'
//! ```
//!
//! Without `--export` it serves a small tree from memory, without `--listen` on a port that is free. NFS and MOUNT are
//! two programs behind one port, so no rpcbind is needed; libnfs is told the port in the URL, the kernel with
//! `mount -t nfs -o ro,vers=3,tcp,nolock,port=2050,mountport=2050,mountproto=tcp 127.0.0.1:/export /mnt`.
//!
//! All procedures of both tables are there. Those that would change something answer NFS3ERR_ROFS, as on any read-only
//! file system. Left out:
//! - Permissions. Whoever reaches the port reads what the server's user can read; AUTH_SYS and AUTH_NONE are accepted, and
//!   what AUTH_SYS claims makes no difference. So it listens on the loopback address unless told otherwise.
//! - Handles outlive neither the server nor 65,536 others that were used since; they are NFS3ERR_STALE then. A handle is
//!   a number of a table of paths below the export, and good as long as the path leads to the same inode.
//! - MOUNT remembers nobody; locks (NLM) and rpcbind; UDP.
//!
//! Symbolic links are shown as links, READLINK says what is in them, and following them is the client's business: the
//! server does it nowhere.

mod export; //   the tree by handles and names
mod folder; //   a tree on disk
mod handles; //  the table of handles
mod listing; //  directories page by page
mod mount; //    the service of MOUNT
mod nfs; //      the service of NFS
mod protocol; // the types of RFC 1813
#[cfg(test)]
mod tests;
mod tree; //     what a tree is, and one in memory

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use rpc_frame::program;
use rpc_frame::tokio::{Server, ServerConfig};

use crate::export::Export;
use crate::folder::Folder;
use crate::mount::{EXPORT_PATH, Mount};
use crate::nfs::Nfs;
use crate::protocol::{Mount3, Nfs3};
use crate::tree::Embedded;

/// Serve files, read-only, over NFS version 3.
#[derive(Parser)]
struct Arguments {
    /// Serve this folder; without it a small tree from memory
    #[arg(long, value_name = "DIR")]
    export: Option<PathBuf>,
    /// Listen here
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let export = match &arguments.export {
        Some(path) => {
            Folder::open(path).and_then(Export::new).with_context(|| format!("cannot serve '{}'", path.display()))?
        }
        None => Export::new(Embedded::new())?,
    };
    let server = server(export);
    let listener = tokio::net::TcpListener::bind(arguments.listen)
        .await
        .with_context(|| format!("cannot listen on {}", arguments.listen))?;
    let address = listener.local_addr()?;
    let (host, port) = (address.ip(), address.port());
    // One line each, for people and for programs.
    println!("listening {address}");
    println!("nfs://{host}{EXPORT_PATH}?nfsport={port}&mountport={port}");
    let serving = server.clone();
    tokio::spawn(async move { serving.serve(listener).await });
    tokio::signal::ctrl_c().await?;
    server.shutdown(Duration::from_secs(5)).await;
    Ok(())
}

/// NFS and MOUNT in one server.
fn server(export: Export) -> Server<impl rpc_frame::Programs> {
    let export = Arc::new(export);
    let programs = (program::<Nfs3, _>(Nfs::new(Arc::clone(&export))), program::<Mount3, _>(Mount::new(export)));
    // The most that replies can take is connections times calls times a READ: 64 MiB.
    let mut config = ServerConfig::default();
    config.max_connections = 64;
    config.connection.max_calls_in_flight = 8;
    Server::builder(programs).config(config).build()
}
