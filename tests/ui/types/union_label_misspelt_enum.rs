//! A label that its enum does not have, and a switch that does not exist.
use xdr_core::Xdr;

#[derive(Xdr, Clone, Copy)]
enum Kind {
    Int = 1,
    Text = 2,
}

#[derive(Xdr)]
#[xdr(switch = Kind)]
enum Value {
    #[xdr(case = [Kind::Int, Kind::Txet])]
    Int(#[xdr(tag)] Kind),
}

#[derive(Xdr)]
#[xdr(switch = Knid)]
enum Misspelt {
    #[xdr(case = Kind::Int)]
    Int(#[xdr(tag)] Kind),
}

fn main() {}
