//! The shapes as derived types, and the one value of each that is measured.
//!
//! `rpcgen/shapes.x` and `rpcgen/shapes.c` say the same in C.

use rpc_frame::{
    AcceptStatus, AcceptedReply, AuthSys, CallBody, Credential, Message, MessageBody, OpaqueAuth, RPC_VERSION,
    ReplyBody,
};
use xdr_core::{Bytes, Xdr};

pub(crate) const NAMES: [&str; 11] = ["S1", "S2", "S3", "S4", "S4L", "S5", "S6", "S7", "S8", "S8R", "S9"];

/// Entries of the list, strings of the array.
pub(crate) const MANY: u32 = 100;

#[derive(Debug, Clone, PartialEq, Xdr)]
pub(crate) struct S1 {
    pub(crate) a: u32,
    pub(crate) b: u32,
    pub(crate) c: u64,
    pub(crate) d: u32,
    pub(crate) e: u32,
}

pub(crate) fn s1() -> S1 {
    S1 { a: 1, b: 0xdead_beef, c: 0x0123_4567_89ab_cdef, d: 7, e: u32::MAX }
}

#[derive(Debug, Clone, PartialEq, Xdr)]
pub(crate) struct S2 {
    #[xdr(max = 32)]
    pub(crate) name: String,
    pub(crate) a: u32,
    pub(crate) b: u32,
    pub(crate) c: u32,
    pub(crate) d: u32,
    pub(crate) e: u32,
    pub(crate) f: u32,
    pub(crate) g: u32,
}

#[derive(Debug, Clone, PartialEq, Xdr)]
pub(crate) struct S2Borrowed<'a> {
    #[xdr(max = 32)]
    pub(crate) name: &'a str,
    pub(crate) a: u32,
    pub(crate) b: u32,
    pub(crate) c: u32,
    pub(crate) d: u32,
    pub(crate) e: u32,
    pub(crate) f: u32,
    pub(crate) g: u32,
}

pub(crate) fn s2() -> S2 {
    let [a, b, c, d, e, f, g] = [1, 2, 3, 4, 5, 6, 7].map(|word| word * 0x0101_0101);
    S2 { name: "node-0017.cluster-a".into(), a, b, c, d, e, f, g }
}

#[derive(Debug, Clone, PartialEq, Xdr)]
pub(crate) struct S3 {
    pub(crate) id: i32,
    pub(crate) uuid: [u8; 16],
    #[xdr(max = 50)]
    pub(crate) name: String,
}

#[derive(Debug, Clone, PartialEq, Xdr)]
pub(crate) struct S3Borrowed<'a> {
    pub(crate) id: i32,
    pub(crate) uuid: [u8; 16],
    #[xdr(max = 50)]
    pub(crate) name: &'a str,
}

pub(crate) fn s3() -> S3 {
    S3 { id: 42, uuid: std::array::from_fn(|index| low_byte(index * 17)), name: "guest-web-0001".into() }
}

#[derive(Debug, Clone, PartialEq, Xdr)]
pub(crate) struct S4 {
    #[xdr(max = 16_384)]
    pub(crate) values: Vec<i32>,
}

pub(crate) fn s4(len: u32) -> S4 {
    S4 { values: (0..len).map(|index| index.wrapping_mul(2_654_435_761).cast_signed()).collect() }
}

#[derive(Debug, Clone, PartialEq, Xdr)]
pub(crate) struct S5 {
    #[xdr(max = 128, item(max = 32))]
    pub(crate) names: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Xdr)]
pub(crate) struct S5Borrowed<'a> {
    #[xdr(max = 128, item(max = 32))]
    pub(crate) names: Vec<&'a str>,
}

pub(crate) fn s5() -> S5 {
    S5 { names: (0..MANY).map(|index| format!("guest-{index:06}")).collect() }
}

#[derive(Debug, Clone, PartialEq, Xdr)]
pub(crate) struct S6 {
    #[xdr(max = 65_536)]
    pub(crate) text: String,
}

#[derive(Debug, Clone, PartialEq, Xdr)]
pub(crate) struct S6Borrowed<'a> {
    #[xdr(max = 65_536)]
    pub(crate) text: &'a str,
}

pub(crate) fn s6() -> S6 {
    S6 { text: ('a'..='z').cycle().take(60 << 10).collect() }
}

#[derive(Debug, Clone, PartialEq, Xdr)]
pub(crate) struct S7 {
    #[xdr(max = 1 << 20)]
    pub(crate) data: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Xdr)]
pub(crate) struct S7Borrowed<'a> {
    #[xdr(max = 1 << 20)]
    pub(crate) data: &'a [u8],
}

#[derive(Debug, Clone, PartialEq, Xdr)]
pub(crate) struct S7Shared {
    #[xdr(max = 1 << 20)]
    pub(crate) data: Bytes,
}

pub(crate) fn s7() -> S7 {
    S7 { data: (0..1 << 20).map(|index| low_byte((index * 31) >> 3)).collect() }
}

/// A call header that is written out, credential included, as a user could derive it.
#[derive(Debug, Clone, PartialEq, Xdr)]
pub(crate) struct S8Flat<'a> {
    pub(crate) xid: u32,
    pub(crate) kind: u32,
    pub(crate) rpcvers: u32,
    pub(crate) program: u32,
    pub(crate) version: u32,
    pub(crate) procedure: u32,
    pub(crate) flavor: u32,
    pub(crate) credential_len: u32,
    pub(crate) stamp: u32,
    #[xdr(max = 255)]
    pub(crate) machine_name: &'a str,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    #[xdr(max = 16)]
    pub(crate) gids: Vec<u32>,
    pub(crate) verifier_flavor: u32,
    pub(crate) verifier_len: u32,
}

pub(crate) const XID: u32 = 0x1234_5678;
pub(crate) const PROGRAM: u32 = 100_003;
pub(crate) const VERSION: u32 = 3;
pub(crate) const PROCEDURE: u32 = 17;
pub(crate) const AUTH_SYS: u32 = 1;
pub(crate) const CREDENTIAL_LEN: u32 = 52;

pub(crate) fn auth_sys() -> AuthSys {
    AuthSys { stamp: 0x5eed, machine_name: "client-0001.lan".into(), uid: 1000, gid: 1000, gids: vec![4, 24, 27, 1000] }
}

pub(crate) fn call(credential: OpaqueAuth) -> Message {
    Message {
        xid: XID,
        body: MessageBody::Call(CallBody {
            rpcvers: RPC_VERSION,
            program: PROGRAM,
            version: VERSION,
            procedure: PROCEDURE,
            credential,
            verifier: OpaqueAuth::none(),
        }),
    }
}

pub(crate) fn s8() -> Message {
    call(Credential::Sys(auth_sys()).to_opaque().expect("the name and the groups are short"))
}

pub(crate) fn s8_flat(sys: &AuthSys) -> S8Flat<'_> {
    S8Flat {
        xid: XID,
        kind: 0,
        rpcvers: RPC_VERSION,
        program: PROGRAM,
        version: VERSION,
        procedure: PROCEDURE,
        flavor: AUTH_SYS,
        credential_len: CREDENTIAL_LEN,
        stamp: sys.stamp,
        machine_name: &sys.machine_name,
        uid: sys.uid,
        gid: sys.gid,
        gids: sys.gids.clone(),
        verifier_flavor: 0,
        verifier_len: 0,
    }
}

pub(crate) fn s8_reply() -> Message {
    let accepted = AcceptedReply { verifier: OpaqueAuth::none(), status: AcceptStatus::Success };
    Message { xid: XID, body: MessageBody::Reply(ReplyBody::Accepted(accepted)) }
}

#[derive(Debug, Clone, PartialEq, Xdr)]
pub(crate) struct S9 {
    #[xdr(list, max = 10_000)]
    pub(crate) entries: Vec<Entry>,
}

/// `entryplus3` of NFS version 3 (RFC 1813 §3.3.17), with strings for names.
#[derive(Debug, Clone, PartialEq, Xdr)]
pub(crate) struct Entry {
    pub(crate) fileid: u64,
    #[xdr(max = 255)]
    pub(crate) name: String,
    pub(crate) cookie: u64,
    pub(crate) attributes: Option<Attributes>,
    #[xdr(max = 64)]
    pub(crate) handle: Option<Vec<u8>>,
}

#[derive(Debug, Clone, PartialEq, Xdr)]
pub(crate) struct S9Borrowed<'a> {
    #[xdr(list, max = 10_000)]
    pub(crate) entries: Vec<EntryBorrowed<'a>>,
}

#[derive(Debug, Clone, PartialEq, Xdr)]
pub(crate) struct EntryBorrowed<'a> {
    pub(crate) fileid: u64,
    #[xdr(max = 255)]
    pub(crate) name: &'a str,
    pub(crate) cookie: u64,
    pub(crate) attributes: Option<Attributes>,
    #[xdr(max = 64)]
    pub(crate) handle: Option<&'a [u8]>,
}

/// `fattr3`: 21 words.
#[derive(Debug, Clone, Copy, PartialEq, Xdr)]
pub(crate) struct Attributes {
    pub(crate) kind: u32,
    pub(crate) mode: u32,
    pub(crate) links: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) size: u64,
    pub(crate) used: u64,
    pub(crate) major: u32,
    pub(crate) minor: u32,
    pub(crate) fsid: u64,
    pub(crate) fileid: u64,
    pub(crate) accessed: u32,
    pub(crate) accessed_nanos: u32,
    pub(crate) modified: u32,
    pub(crate) modified_nanos: u32,
    pub(crate) changed: u32,
    pub(crate) changed_nanos: u32,
}

pub(crate) fn s9() -> S9 {
    S9 { entries: (0..MANY).map(entry).collect() }
}

/// Every eighth entry has neither attributes nor a handle.
fn entry(index: u32) -> Entry {
    let name = match index % 2 {
        0 => format!("entry-{index:03}.dat"),
        _ => format!("directory-entry-{index:03}.backup"),
    };
    let fileid = 1000 + u64::from(index);
    let is_known = index % 8 != 7;
    Entry {
        fileid,
        name,
        cookie: u64::from(index) + 1,
        attributes: is_known.then(|| Attributes {
            kind: 1,
            mode: 0o644,
            links: 1,
            uid: 1000,
            gid: 1000,
            size: u64::from(index) * 4096,
            used: u64::from(index) * 8192,
            major: 0,
            minor: 0,
            fsid: 77,
            fileid,
            accessed: 1_700_000_000,
            accessed_nanos: index,
            modified: 1_700_000_001,
            modified_nanos: index,
            changed: 1_700_000_002,
            changed_nanos: index,
        }),
        handle: is_known.then(|| (0..32).map(|byte| low_byte(index as usize + byte)).collect()),
    }
}

fn low_byte(number: usize) -> u8 {
    number.to_le_bytes()[0]
}
