//! TLS with certificates on both sides.
//!
//! [`ServerTls`] and [`ClientTls`] hold certificates and rules; [`TlsListener`] serves a port that speaks TLS from its
//! first byte, and [`ClientTls::connect`] leads there. [`ClientTls::start`] asks a server in clear text whether it
//! speaks TLS on the same connection (RFC 9289), which [`StartTlsListener`] answers.
//!
//! ```no_run
//! use rpc_frame::tls::{ClientTls, ServerTls, TlsAllow, TlsFiles, TlsListener};
//! use rpc_frame::tokio::{Client, SILENCE, Server, notice_silence};
//!
//! # async fn serve<P: rpc_frame::Programs>(programs: P) -> Result<(), Box<dyn std::error::Error>> {
//! let files = TlsFiles::new("cacert.pem").with_certificate("servercert.pem", "serverkey.pem");
//! let tls = ServerTls::builder(files).allow(TlsAllow::default().with_names(["C=DE,O=Example,*"])).build()?;
//! let listener = tokio::net::TcpListener::bind("[::]:16514").await?;
//! Server::new(programs).serve(TlsListener::new(listener, tls)).await;
//! # Ok(())
//! # }
//! # async fn call() -> Result<(), Box<dyn std::error::Error>> {
//!
//! let files = TlsFiles::new("cacert.pem").with_certificate("clientcert.pem", "clientkey.pem");
//! let tls = ClientTls::builder(files).build()?;
//! let stream = tokio::net::TcpStream::connect("server.example.org:16514").await?;
//! notice_silence(&stream, SILENCE)?;
//! let client = Client::new(tls.connect(stream, "server.example.org").await?);
//! # Ok(())
//! # }
//! ```
//!
//! A handler knows who calls from [`Context::identity`](crate::Context::identity), which is the subject of the client's
//! certificate.
//!
//! A port of TLS takes versions 1.3 and 1.2, what is begun by a call 1.3 alone. Both sides offer the protocol `sunrpc`
//! (ALPN) and do without it where the other knows none. There is no TLS over UDP.

mod error; //    why there is no channel
mod files; //    certificates and keys, and whether they are of use
mod name; //     whose a certificate is
mod allow; //    who may connect
mod server; //   the server's end
mod beginnings; // connections of which nothing is known yet
mod listener; // a port that speaks TLS from its first byte
mod client; //   the client's end
mod start; //    a connection that begins in clear text, the client's side
mod offer; //    and the server's

pub use tokio_rustls::TlsStream;
pub use tokio_rustls::rustls;

pub use self::allow::{MalformedNetwork, TlsAllow};
pub use self::client::{ClientTls, ClientTlsBuilder};
pub use self::error::{TlsError, UnusableFile};
pub use self::files::TlsFiles;
pub use self::listener::TlsListener;
pub use self::offer::{Begun, StartTlsListener};
pub use self::server::{ServerTls, ServerTlsBuilder};
pub use self::start::{MaybeTls, StartTlsError};

/// The protocol's name in ALPN (RFC 9289 §4.2, in the registry of RFC 7301).
pub const ALPN: &[u8] = b"sunrpc";
