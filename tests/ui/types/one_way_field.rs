//! A field that goes one way in a type that goes both.
use xdr_core::{Decode, Encode, Xdr};

#[derive(Encode)]
struct Sent;

#[derive(Decode)]
struct Received;

#[derive(Xdr)]
struct Both {
    sent: Sent,
    received: Received,
}

fn main() {}
