//! Numbers that are no lengths in XDR.
use xdr_core::Xdr;

#[derive(Xdr)]
struct Names {
    #[xdr(max = -1)]
    negative: String,
    #[xdr(max = 5_000_000_000)]
    wide: String,
    #[xdr(max = 5, item(max = -3))]
    inside: Vec<String>,
    #[xdr(max = 5.0)]
    broken: String,
    #[xdr(max = 5_u32)]
    suffixed: String,
}

fn main() {}
