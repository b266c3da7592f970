//! Values at their bounds, and one beyond: over-long ones never leave the sender, and a peer that sends one all
//! the same is told so.

use std::sync::Arc;

use async_trait::async_trait;
use qemud_proto::daemon::Daemon;
use qemud_proto::driver::{Driver, Picture};
use qemud_proto::failure::{Code, Failure, Reply};
use qemud_proto::identity::Uuid;
use qemud_proto::messages::*;
use rpc_frame::Procedure;
use rpc_frame::tokio::{CallError, Client, ServerConfig};
use tokio::io::AsyncReadExt;

use crate::daemon;
use crate::wire::{GARBAGE_ARGS, Raw, SUCCESS, SYSTEM_ERR, string, words};

/// Makes this call over a connection that keeps all bytes, and returns what it said and how many bytes went out.
async fn refused<P: Procedure<Args = P>>(args: P) -> (String, usize) {
    let (near, mut far) = tokio::io::duplex(1 << 20);
    let client = Client::new(near);
    let error = client.call(&args).await.err().expect("nobody answers");
    assert!(matches!(error, CallError::NotSent(_)) && !error.may_have_run(), "{error}");
    drop(client);
    let mut sent = Vec::new();
    far.read_to_end(&mut sent).await.unwrap();
    (error.to_string(), sent.len())
}

fn says(field: &str, len: usize, max: usize) -> (String, usize) {
    (format!("cannot send the call: {field}: string of {len} bytes is longer than its maximum {max}"), 0)
}

#[tokio::test]
async fn the_client_refuses_a_text_beyond_its_bound_by_name_and_sends_nothing() {
    let (xml, name, path) = (|| "x".repeat(65_537), || "x".repeat(257), || "x".repeat(4097));
    assert_eq!(refused(DomainCreate { xml: xml() }).await, says("DomainCreate.xml", 65_537, 65_536));
    assert_eq!(refused(DomainDefine { xml: xml() }).await, says("DomainDefine.xml", 65_537, 65_536));
    assert_eq!(refused(NetworkCreate { xml: xml() }).await, says("NetworkCreate.xml", 65_537, 65_536));
    assert_eq!(refused(NetworkDefine { xml: xml() }).await, says("NetworkDefine.xml", 65_537, 65_536));
    assert_eq!(refused(DomainLookupByName { name: name() }).await, says("DomainLookupByName.name", 257, 256));
    assert_eq!(refused(NetworkLookupByName { name: name() }).await, says("NetworkLookupByName.name", 257, 256));
    assert_eq!(refused(DomainSave { id: 1, path: path() }).await, says("DomainSave.path", 4097, 4096));
    assert_eq!(refused(DomainRestore { path: path() }).await, says("DomainRestore.path", 4097, 4096));
}

#[tokio::test]
async fn a_bound_counts_bytes_and_not_characters() {
    // 129 characters in 258 bytes.
    let name = "\u{e9}".repeat(129);
    assert_eq!(refused(DomainLookupByName { name }).await, says("DomainLookupByName.name", 258, 256));
}

#[tokio::test]
async fn a_call_that_was_refused_leaves_the_connection_as_it_was() {
    let client = Client::new(daemon().into_server(ServerConfig::default()).connect_in_memory());
    for _ in 0..3 {
        client.call(&DomainCreate { xml: "x".repeat(65_537) }).await.unwrap_err();
        assert_eq!(client.call(&NumDomains).await.unwrap(), Ok(1));
    }
}

#[tokio::test]
async fn texts_of_their_full_length_arrive() {
    let client = Client::new(daemon().into_server(ServerConfig::default()).connect_in_memory());
    let failure = client.call(&DomainLookupByName { name: "x".repeat(256) }).await.unwrap().unwrap_err();
    assert_eq!(failure.message, format!("no domain with name '{}'", "x".repeat(256)));
    let restore = client.call(&DomainRestore { path: "x".repeat(4096) }).await.unwrap().unwrap_err();
    assert_eq!(restore.code, Code::InvalidArg);
    // The path does not fit the message, which is cut.
    assert_eq!(restore.message.len(), 1024);
    // This text is too long only for what a dump would have to add to it: the id while it runs.
    let failure = client.call(&DomainDefine { xml: filled(&crate::domain("long"), "</domain>") }).await.unwrap();
    let failure = failure.unwrap_err();
    assert_eq!(failure.code, Code::XmlError);
    assert!(failure.message.ends_with("its maximum is 65536"), "{failure}");
    // To this one nothing is ever added.
    let uuid = Uuid::random();
    let xml = format!("<network><name>long</name><uuid>{uuid}</uuid><bridge name='br9'/></network>");
    let xml = filled(&xml, "</network>");
    assert_eq!(client.call(&NetworkDefine { xml: xml.clone() }).await.unwrap().unwrap().uuid, uuid);
    assert_eq!(client.call(&NetworkDumpXml { uuid }).await.unwrap(), Ok(Description { xml }));
}

/// A description of 65,536 bytes.
fn filled(xml: &str, end: &str) -> String {
    let comment = "x".repeat(XML_MAX - xml.len() - "<!---->".len());
    let filled = xml.replace(end, &format!("<!--{comment}-->{end}"));
    assert_eq!(filled.len(), XML_MAX);
    filled
}

#[tokio::test]
async fn the_daemon_refuses_texts_beyond_their_bounds_as_garbage_and_the_connection_survives() {
    let server = daemon().into_server(ServerConfig::default());
    let mut raw = Raw::connect(&server);
    for (procedure, before, max) in [
        (DomainCreate::INFO, &[][..], 65_536),
        (DomainDefine::INFO, &[], 65_536),
        (NetworkCreate::INFO, &[], 65_536),
        (NetworkDefine::INFO, &[], 65_536),
        (DomainLookupByName::INFO, &[], 256),
        (NetworkLookupByName::INFO, &[], 256),
        (DomainSave::INFO, &[0, 0, 0, 1], 4096),
        (DomainRestore::INFO, &[], 4096),
    ] {
        let args = |len| [before, &string(&vec![b'x'; len])].concat();
        assert_eq!(raw.outcome(procedure.number, &args(max)).await.0, SUCCESS, "{}", procedure.name);
        assert_eq!(raw.outcome(procedure.number, &args(max + 1)).await, (GARBAGE_ARGS, vec![]), "{}", procedure.name);
    }
}

#[tokio::test]
async fn the_daemon_refuses_texts_that_are_not_what_they_say_as_garbage() {
    let mut raw = Raw::connect(&daemon().into_server(ServerConfig::default()));
    let number = DomainLookupByName::INFO.number;
    for args in [
        words(&[]),
        words(&[5]),
        words(&[u32::MAX]),
        words(&[0x8000_0000]),
        string(&[0xff, 0xfe, 0xfd, 0xfc]),
        [words(&[1]), b"x\0\0y".to_vec()].concat(),
        [string(b"test"), words(&[0])].concat(),
    ] {
        assert_eq!(raw.outcome(number, &args).await, (GARBAGE_ARGS, vec![]), "{args:?}");
    }
    assert_eq!(raw.outcome(number, &string(b"test")).await.0, SUCCESS);
    // A bool is 0 or 1.
    let autostart = |flag| [&[0; 16][..], &words(&[flag])].concat();
    assert_eq!(raw.outcome(DomainSetAutostart::INFO.number, &autostart(2)).await.0, GARBAGE_ARGS);
    assert_eq!(raw.outcome(DomainSetAutostart::INFO.number, &autostart(1)).await.0, SUCCESS);
}

/// A driver whose replies do not keep the bounds.
struct Careless;

#[async_trait]
impl Driver for Careless {
    fn name(&self) -> &'static str {
        "careless"
    }

    async fn list_defined_domains(&self, _: ListDefinedDomains) -> Reply<DomainNames> {
        Ok(DomainNames { names: vec!["short".to_owned(), "x".repeat(257)] })
    }

    async fn list_networks(&self, _: ListNetworks) -> Reply<NetworkNames> {
        Ok(NetworkNames { names: vec![String::new(); 257] })
    }

    async fn domain_screenshot(&self, args: DomainScreenshot) -> Reply<Picture> {
        let length = usize::try_from(args.id).unwrap();
        Ok(Picture { mime: "x".repeat(length), bytes: vec![0; PIECE_MAX + 1] })
    }

    async fn get_version(&self, _: GetVersion) -> Reply<u32> {
        Err(Failure { code: Code::InternalError, message: "x".repeat(1025) })
    }

    async fn num_domains(&self, _: NumDomains) -> Reply<i32> {
        Err(Failure { code: Code::Other(i32::MIN), message: "x".repeat(1024) })
    }
}

#[tokio::test]
async fn a_reply_beyond_its_bound_is_an_error_of_the_daemon_and_the_connection_survives() {
    let server = Daemon::new(Arc::new(Careless)).into_server(ServerConfig::default());
    let mut raw = Raw::connect(&server);
    for procedure in [ListDefinedDomains::INFO, ListNetworks::INFO, GetVersion::INFO] {
        assert_eq!(raw.outcome(procedure.number, &[]).await, (SYSTEM_ERR, vec![]), "{}", procedure.name);
    }
    assert_eq!(raw.outcome(Negotiate::NUMBER, &words(&[1, 1])).await.0, SUCCESS);
    assert_eq!(raw.outcome(DomainScreenshot::NUMBER, &words(&[64])).await.0, SUCCESS);
    assert_eq!(raw.outcome(DomainScreenshot::NUMBER, &words(&[65])).await, (SYSTEM_ERR, vec![]));
    let client = Client::new(server.connect_in_memory());
    let failure = client.call(&NumDomains).await.unwrap().unwrap_err();
    assert_eq!((failure.code, failure.message.len()), (Code::Other(i32::MIN), 1024));
}

#[tokio::test]
async fn a_stream_and_its_pieces_are_these_bytes() {
    let server = Daemon::new(Arc::new(Careless)).into_server(ServerConfig::default());
    let mut raw = Raw::connect(&server);
    raw.outcome(Negotiate::NUMBER, &words(&[1, 1])).await;
    // The result's arm, the stream's number, its length in two words, the format.
    let stream = [words(&[0, 1, 0, 65_537]), string(b"xxx")].concat();
    assert_eq!(raw.outcome(DomainScreenshot::NUMBER, &words(&[3])).await, (SUCCESS, stream));
    let mut read = async |offset| raw.outcome(StreamRead::NUMBER, &words(&[1, 0, offset])).await;
    assert_eq!(read(0).await, (SUCCESS, [words(&[0, 65_536]), vec![0; 65_536]].concat()));
    assert_eq!(read(65_536).await, (SUCCESS, words(&[0, 1, 0])));
    assert_eq!(read(65_537).await, (SUCCESS, words(&[0, 0])));
}

#[tokio::test]
async fn a_job_is_these_bytes() {
    let mut raw = Raw::connect(&daemon().into_server(ServerConfig::default()));
    raw.outcome(Negotiate::NUMBER, &words(&[1, 1])).await;
    let uuid: Uuid = "6695eb01-f6a4-8304-79aa-97f2502e193f".parse().unwrap();
    let idle = words(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(raw.outcome(DomainGetJobInfo::NUMBER, &uuid.0).await, (SUCCESS, idle));
    let job = JobInfo {
        kind: JobKind::Cancelled,
        elapsed: 1,
        data_total: 1 << 32,
        data_processed: u64::MAX,
        data_remaining: 2,
    };
    let bytes = words(&[5, 0, 1, 1, 0, u32::MAX, u32::MAX, 0, 2]);
    assert_eq!(rpc_frame::xdr::to_vec(&job).unwrap(), bytes);
    assert!(rpc_frame::xdr::from_slice::<JobInfo>(&[words(&[6]), bytes[4..].to_vec()].concat()).is_err());
}
