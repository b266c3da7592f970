//! A type of the user's own that does not derive.
use xdr_core::Xdr;

struct Uuid([u8; 16]);

#[derive(Xdr)]
struct Domain {
    uuid: Uuid,
}

#[derive(Xdr)]
struct Domains {
    #[xdr(max = 4)]
    uuids: Vec<Uuid>,
}

fn main() {}
