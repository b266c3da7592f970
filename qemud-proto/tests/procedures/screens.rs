//! Pictures of screens, and the streams in which they come.

use async_trait::async_trait;
use qemud_proto::driver::{Driver, Picture};
use qemud_proto::failure::{Code, Reply};
use qemud_proto::messages::*;
use rpc_frame::tokio::CallError;

use crate::domains::create;
use crate::wire::{Wire, proofs, refused};

proofs! {
    a_screenshot_is_read_in_pieces_and_is_a_picture,
    pictures_need_minor_1,
    a_domain_that_is_not_active_has_no_screen,
    a_connection_has_few_pictures_at_a_time,
    a_stream_belongs_to_its_connection,
    a_picture_longer_than_a_piece_comes_whole,
}

async fn negotiate(wire: &Wire) {
    assert_eq!(wire.call(Negotiate { major: 1, minor: 1 }).await.unwrap().minor, 1);
}

/// Reads a stream as a client does that trusts no length: until a piece is empty.
async fn whole(wire: &Wire, stream: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let piece = wire.call(StreamRead { stream, offset: bytes.len() as u64 }).await.unwrap().bytes;
        if piece.is_empty() {
            return bytes;
        }
        bytes.extend_from_slice(&piece);
    }
}

async fn a_screenshot_is_read_in_pieces_and_is_a_picture(wire: &Wire) {
    negotiate(wire).await;
    let id = create(wire, "a").await.id;
    let Stream { stream, length, mime } = wire.call(DomainScreenshot { id }).await.unwrap();
    assert_eq!(mime, "image/png");
    let running = whole(wire, stream).await;
    assert_eq!((running.len() as u64, &running[..8]), (length, &b"\x89PNG\r\n\x1a\n"[..]));
    let end = wire.call(StreamRead { stream, offset: 0 }).await;
    refused(end, Code::InvalidArg, &format!("no open stream has the number {stream}"));
    wire.call(DomainSuspend { id }).await.unwrap();
    let stream = wire.call(DomainScreenshot { id }).await.unwrap().stream;
    assert_ne!(whole(wire, stream).await, running);
}

async fn pictures_need_minor_1(wire: &Wire) {
    let id = create(wire, "a").await.id;
    let unavailable = wire.client.call(&DomainScreenshot { id }).await.unwrap_err();
    assert!(matches!(unavailable, CallError::ProcUnavail { procedure: 43 }), "{unavailable}");
    let unavailable = wire.client.call(&StreamRead { stream: 1, offset: 0 }).await.unwrap_err();
    assert!(matches!(unavailable, CallError::ProcUnavail { procedure: 44 }), "{unavailable}");
}

async fn a_domain_that_is_not_active_has_no_screen(wire: &Wire) {
    negotiate(wire).await;
    // What was refused takes no place among the pictures.
    for id in [-1, 0, 1, 2, i32::MAX] {
        let says = &format!("no active domain with id {id}");
        refused(wire.call(DomainScreenshot { id }).await, Code::InvalidDomain, says);
    }
    let id = create(wire, "a").await.id;
    wire.call(DomainScreenshot { id }).await.unwrap();
}

async fn a_connection_has_few_pictures_at_a_time(wire: &Wire) {
    negotiate(wire).await;
    let id = create(wire, "a").await.id;
    for stream in 1..=4 {
        assert_eq!(wire.call(DomainScreenshot { id }).await.unwrap().stream, stream);
    }
    let says = "the connection has 4 streams, which is the maximum; read one to its end";
    refused(wire.call(DomainScreenshot { id }).await, Code::OperationFailed, says);
    whole(wire, 2).await;
    assert_eq!(wire.call(DomainScreenshot { id }).await.unwrap().stream, 5);
}

async fn a_stream_belongs_to_its_connection(wire: &Wire) {
    negotiate(wire).await;
    let id = create(wire, "a").await.id;
    let stream = wire.call(DomainScreenshot { id }).await.unwrap().stream;
    let other = wire.another();
    other.call(&Negotiate { major: 1, minor: 1 }).await.unwrap().unwrap();
    let read = StreamRead { stream, offset: 0 };
    refused(other.call(&read).await.unwrap(), Code::InvalidArg, "no open stream has the number 1");
    assert!(!wire.call(read).await.unwrap().bytes.is_empty());
}

/// A driver whose pictures have several pieces, and end with one.
struct Large;

impl Large {
    fn picture() -> Vec<u8> {
        (0..3 * PIECE_MAX).map(|at| (at / 4093) as u8).collect()
    }
}

#[async_trait]
impl Driver for Large {
    fn name(&self) -> &'static str {
        "large"
    }

    async fn domain_screenshot(&self, _: DomainScreenshot) -> Reply<Picture> {
        Ok(Picture { mime: "x".repeat(MIME_MAX), bytes: Self::picture() })
    }
}

async fn a_picture_longer_than_a_piece_comes_whole(_: &Wire) {
    let wire = Wire::with(Large);
    negotiate(&wire).await;
    let Stream { stream, length, mime } = wire.call(DomainScreenshot { id: 1 }).await.unwrap();
    assert_eq!((length, mime.len()), (3 * 65_536, 64));
    assert_eq!(wire.call(StreamRead { stream, offset: 1 }).await.unwrap().bytes.len(), 65_536);
    assert!(whole(&wire, stream).await == Large::picture());
}
