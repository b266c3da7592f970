//! A procedure with a reply is called, and one without is sent.
use rpc_frame::tokio::Client;
use xdr_core::Xdr;

#[derive(Xdr)]
#[rpc(program = 7, version = 1, proc = 5, reply = u32)]
struct Ask;

#[derive(Xdr)]
#[rpc(program = 7, version = 1, proc = 6, oneway)]
struct Tell;

fn confused(client: &Client) {
    let _ = client.send(&Ask);
    let _ = client.call(&Tell);
}

fn main() {}
