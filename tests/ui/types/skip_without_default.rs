//! A skipped field is made by `Default`.
use xdr_core::Xdr;

struct Socket;

#[derive(Xdr)]
struct Session {
    id: u32,
    #[xdr(skip)]
    socket: Socket,
}

#[derive(Xdr)]
enum Value {
    #[xdr(case = 1)]
    Int(i32, #[xdr(skip)] Socket),
}

fn main() {}
