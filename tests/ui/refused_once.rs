//! A key that was refused is not missed as well.
use xdr_core::Xdr;

#[derive(Xdr)]
enum Value {
    #[xdr(lable = 1)]
    Int(i32),
    #[xdr(case 2)]
    Text(#[xdr(max = 5)] String),
}

#[derive(Xdr)]
struct List {
    #[xdr(list, maximum = 5)]
    nodes: Vec<u32>,
}

#[derive(Xdr)]
#[rpc(program = 7, versoin = 1, proc(5))]
struct Message;

fn main() {}
