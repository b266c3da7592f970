//! Calls and replies (RFC 5531 §9).
//!
//! The arguments of a call and the results of a successful reply follow the message; they are not part
//! of these types, because their type depends on the procedure.

use core::fmt;

use xdr_core::Xdr;

use crate::auth::{OpaqueAuth, OpaqueAuthRef};

/// The version of the RPC protocol that RFC 5531 describes.
pub const RPC_VERSION: u32 = 2;

/// The message type of a call.
pub(crate) const CALL: u32 = 0;

/// The message type of a reply.
pub(crate) const REPLY: u32 = 1;

/// `struct rpc_msg { unsigned int xid; union switch (msg_type mtype) … body; }`
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
#[xdr(rename = "rpc_msg")]
pub struct Message {
    /// The transaction: a reply carries the xid of its call.
    pub xid: u32,
    /// Call or reply.
    pub body: MessageBody,
}

/// `union switch (msg_type mtype) { case CALL: call_body; case REPLY: reply_body; }`
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
pub enum MessageBody {
    /// A call; its arguments follow.
    #[xdr(case = 0)]
    Call(CallBody),
    /// A reply; the results of a successful one follow.
    #[xdr(case = 1)]
    Reply(ReplyBody),
}

/// What is called, and by whom.
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
#[xdr(rename = "call_body")]
pub struct CallBody {
    /// [`RPC_VERSION`].
    pub rpcvers: u32,
    /// The program's number.
    pub program: u32,
    /// The program's version.
    pub version: u32,
    /// The procedure's number.
    pub procedure: u32,
    /// Who calls.
    pub credential: OpaqueAuth,
    /// What proves it.
    pub verifier: OpaqueAuth,
}

/// [`CallBody`] as it lies in the record: nothing is copied or counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Xdr)]
#[xdr(rename = "call_body")]
pub struct CallBodyRef<'a> {
    /// [`RPC_VERSION`].
    pub rpcvers: u32,
    /// The program's number.
    pub program: u32,
    /// The program's version.
    pub version: u32,
    /// The procedure's number.
    pub procedure: u32,
    /// Who calls.
    pub credential: OpaqueAuthRef<'a>,
    /// What proves it.
    pub verifier: OpaqueAuthRef<'a>,
}

/// `union reply_body switch (reply_stat stat)`
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
#[xdr(rename = "reply_body")]
pub enum ReplyBody {
    /// The call was looked at; it may have failed all the same.
    #[xdr(case = 0)]
    Accepted(AcceptedReply),
    /// The call was not looked at.
    #[xdr(case = 1)]
    Denied(RejectedReply),
}

/// `struct accepted_reply { opaque_auth verf; union switch (accept_stat stat) … reply_data; }`
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
#[xdr(rename = "accepted_reply")]
pub struct AcceptedReply {
    /// What proves the server.
    pub verifier: OpaqueAuth,
    /// How it went.
    pub status: AcceptStatus,
}

/// How an accepted call went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Xdr)]
#[xdr(rename = "accept_stat")]
pub enum AcceptStatus {
    /// The results follow.
    #[xdr(case = 0)]
    Success,
    /// The program is not here.
    #[xdr(case = 1)]
    ProgUnavail,
    /// The program is here in other versions.
    #[xdr(case = 2)]
    ProgMismatch {
        /// The lowest version that is supported.
        low: u32,
        /// The highest version that is supported.
        high: u32,
    },
    /// The program has no such procedure.
    #[xdr(case = 3)]
    ProcUnavail,
    /// The procedure cannot decode its arguments.
    #[xdr(case = 4)]
    GarbageArgs,
    /// The server failed, for example for want of memory.
    #[xdr(case = 5)]
    SystemErr,
}

/// `union rejected_reply switch (reject_stat stat)`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Xdr)]
#[xdr(rename = "rejected_reply")]
pub enum RejectedReply {
    /// The call's RPC version is not supported.
    #[xdr(case = 0)]
    RpcMismatch {
        /// The lowest version that is supported.
        low: u32,
        /// The highest version that is supported.
        high: u32,
    },
    /// The caller is not accepted.
    #[xdr(case = 1)]
    AuthError(AuthStat),
}

/// Why a caller is not accepted (RFC 5531 §9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Xdr)]
#[xdr(rename = "auth_stat")]
#[repr(i32)]
pub enum AuthStat {
    /// No failure.
    Ok = 0,
    /// Malformed credential.
    BadCred = 1,
    /// The client must begin a new session.
    RejectedCred = 2,
    /// Malformed verifier.
    BadVerf = 3,
    /// Verifier expired or replayed.
    RejectedVerf = 4,
    /// Too weak an authentication for what is called.
    TooWeak = 5,
    /// The server's verifier is not valid.
    InvalidResp = 6,
    /// Some unknown reason.
    Failed = 7,
    /// Kerberos: generic error.
    KerbGeneric = 8,
    /// Kerberos: credential expired.
    TimeExpire = 9,
    /// Kerberos: problem with the ticket file.
    TktFile = 10,
    /// Kerberos: cannot decode the authenticator.
    Decode = 11,
    /// Kerberos: wrong network address in the ticket.
    NetAddr = 12,
    /// RPCSEC_GSS: no credentials for the user.
    GssCredProblem = 13,
    /// RPCSEC_GSS: problem with the context.
    GssCtxProblem = 14,
    /// A number that RFC 5531 does not name.
    #[xdr(other)]
    Other(i32),
}

/// The name in RFC 5531, such as `AUTH_TOOWEAK`.
impl fmt::Display for AuthStat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "AUTH_OK",
            Self::BadCred => "AUTH_BADCRED",
            Self::RejectedCred => "AUTH_REJECTEDCRED",
            Self::BadVerf => "AUTH_BADVERF",
            Self::RejectedVerf => "AUTH_REJECTEDVERF",
            Self::TooWeak => "AUTH_TOOWEAK",
            Self::InvalidResp => "AUTH_INVALIDRESP",
            Self::Failed => "AUTH_FAILED",
            Self::KerbGeneric => "AUTH_KERB_GENERIC",
            Self::TimeExpire => "AUTH_TIMEEXPIRE",
            Self::TktFile => "AUTH_TKT_FILE",
            Self::Decode => "AUTH_DECODE",
            Self::NetAddr => "AUTH_NET_ADDR",
            Self::GssCredProblem => "RPCSEC_GSS_CREDPROBLEM",
            Self::GssCtxProblem => "RPCSEC_GSS_CTXPROBLEM",
            Self::Other(number) => return write!(f, "auth_stat {number}"),
        })
    }
}
