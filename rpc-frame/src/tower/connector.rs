//! Clients for `tower::reconnect` and discovery.

use std::boxed::Box;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use ::tower::Service;

use crate::tokio::{CallError, CallOptions, Client};

/// Makes a [`Client`] out of an address, TCP's or a unix socket's path: a `tower::MakeService`.
///
/// A connection that fails is [`CallError::NotConnected`], so that [`RetryIdempotent`](super::RetryIdempotent) knows
/// that nothing has run.
///
/// ```
/// use std::{net::SocketAddr, time::Duration};
/// use rpc_frame::tower::Connector;
/// use tower::reconnect::Reconnect;
///
/// let address = SocketAddr::from(([127, 0, 0, 1], 2049));
/// // Connects when it is first asked whether it is ready, and again when the connection is lost. As long as there is
/// // none it is not ready, and a balancer calls other servers.
/// let client = Reconnect::new(Connector::new().keep_trying(Duration::from_secs(1)), address);
/// # let _: Reconnect<Connector, SocketAddr> = client;
/// ```
#[derive(Debug, Clone)]
pub struct Connector {
    options: CallOptions,
    patience: Duration,
    pause: Option<Duration>,
}

impl Default for Connector {
    fn default() -> Self {
        Self { options: CallOptions::default(), patience: Duration::from_secs(10), pause: None }
    }
}

impl Connector {
    /// A connector with the defaults: one attempt of at most 10 s.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how calls are made.
    #[must_use]
    pub fn with_options(mut self, options: CallOptions) -> Self {
        self.options = options;
        self
    }

    /// Sets how long one attempt may take: 10 s.
    #[must_use]
    pub const fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Tries again after a pause, without end, instead of failing.
    ///
    /// Under a balancer this is what you want: a failed attempt would count as readiness, and cost a call.
    #[must_use]
    pub const fn keep_trying(mut self, pause: Duration) -> Self {
        self.pause = Some(pause);
        self
    }

    async fn connect<A, F>(self, address: A, connect: impl Fn(A) -> F + Send) -> Result<Client, CallError>
    where
        A: Clone + fmt::Debug + Send,
        F: Future<Output = io::Result<Client>> + Send,
    {
        loop {
            let attempt = ::tokio::time::timeout(self.patience, connect(address.clone())).await;
            let error = match attempt.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
                Ok(client) => return Ok(client.with_options(self.options)),
                Err(error) => error,
            };
            tracing::debug!(?address, %error, "cannot connect");
            match self.pause {
                Some(pause) => ::tokio::time::sleep(pause).await,
                None => return Err(CallError::NotConnected(error.into())),
            }
        }
    }
}

/// Connecting awaits several things, and its future has no name: it is boxed.
type Connecting = Pin<Box<dyn Future<Output = Result<Client, CallError>> + Send>>;

impl Service<SocketAddr> for Connector {
    type Response = Client;
    type Error = CallError;
    type Future = Connecting;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), CallError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, address: SocketAddr) -> Connecting {
        Box::pin(self.clone().connect(address, Client::connect_tcp))
    }
}

impl Service<PathBuf> for Connector {
    type Response = Client;
    type Error = CallError;
    type Future = Connecting;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), CallError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, path: PathBuf) -> Connecting {
        Box::pin(self.clone().connect(path, Client::connect_unix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokio::ClosedError;
    use ::tokio::time::Instant;

    #[::tokio::test(start_paused = true)]
    async fn an_attempt_that_takes_too_long_is_given_up() {
        let begun = Instant::now();
        let connector = Connector::new().with_patience(Duration::from_secs(3));
        let error = connector.connect((), |()| std::future::pending()).await.unwrap_err();
        assert!(matches!(&error, CallError::NotConnected(ClosedError::Io(io)) if io.kind() == io::ErrorKind::TimedOut));
        assert_eq!(begun.elapsed().as_secs(), 3);
    }

    #[::tokio::test(start_paused = true)]
    async fn one_that_keeps_trying_pauses_between_attempts() {
        let begun = Instant::now();
        let connector = Connector::new().keep_trying(Duration::from_secs(2));
        let connecting = connector.connect(begun, async |begun| match begun.elapsed().as_secs() {
            ..5 => Err(io::ErrorKind::ConnectionRefused.into()),
            _ => Ok(Client::new(::tokio::io::duplex(64).0)),
        });
        assert!(connecting.await.is_ok());
        assert_eq!(begun.elapsed().as_secs(), 6);
    }
}
