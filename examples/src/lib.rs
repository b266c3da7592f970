//! Programs that show how `rpc-frame` is used; the library itself is empty.
//!
//! - `cargo run --example nfs3`: an NFS version 3 server of read-only files.
//! - `cargo run --example beside_http`: an RPC program beside an HTTP service in one process.
//! - `cargo run --example threads`: a server and a client on threads and blocking sockets, without an async runtime.
