//! A package that depends on `rpc-frame` alone, and has no `xdr_core` to name.

use rpc_frame::xdr::Xdr;
use rpc_frame::{Context, ProcedureTable};

/// A message, in its own right.
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
#[xdr(crate = rpc_frame::xdr)]
pub struct Greeting {
    /// What is said.
    #[xdr(max = 80)]
    pub text: String,
}

/// A procedure's message.
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
#[xdr(crate = rpc_frame::xdr)]
#[rpc(program = 0x2000_0042, version = 1, proc = 1, reply = Greeting)]
pub struct Greet {
    /// Who is greeted.
    #[xdr(max = 64)]
    pub name: String,
}

/// A message without reply.
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
#[xdr(crate = rpc_frame::xdr, switch = u32)]
#[rpc(program = 0x2000_0042, version = 1, proc = 2, oneway)]
pub enum Leave {
    /// With a number.
    #[xdr(case = 1)]
    Soon(u32),
    /// Without.
    #[xdr(default)]
    Now {
        /// Which way.
        #[xdr(tag)]
        way: u32,
    },
}

/// A table.
#[derive(ProcedureTable)]
#[rpc(program = 0x2000_0042, version = 1, service = GreeterService)]
pub enum Greeter {
    /// One procedure.
    Greet(Greet),
    /// Another.
    Leave(Leave),
}

/// A service.
pub struct Polite;

impl GreeterService for Polite {
    async fn greet(&self, _: &Context, args: Greet) -> Greeting {
        Greeting { text: format!("Good day, {}", args.name) }
    }

    async fn leave(&self, _: &Context, _: Leave) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use rpc_frame::{Found, Programs, xdr};

    #[test]
    fn what_names_the_codec_by_its_way_through_rpc_frame_needs_no_other_dependency() {
        let message = Greet { name: "Ada".into() };
        let bytes = xdr::to_vec(&message).unwrap();
        assert_eq!(bytes, b"\0\0\0\x03Ada\0");
        assert_eq!(xdr::from_slice::<Greet>(&bytes).unwrap(), message);
        let programs = rpc_frame::program::<Greeter, _>(Polite);
        assert!(matches!(programs.find(0x2000_0042, 1, 2), Found::Procedure(leave) if leave.oneway));
    }
}
