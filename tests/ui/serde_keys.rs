//! Keys that serde has; its own attributes are left alone.
use xdr_core::Xdr;

#[derive(Xdr)]
#[xdr(rename_all = "camelCase", deny_unknown_fields)]
struct Domain {
    #[xdr(default)]
    id: u32,
    #[xdr(flatten)]
    point: (u32, u32),
    #[xdr(skip_serializing_if = "Option::is_none")]
    parent: Option<u32>,
    #[xdr(serialize_with = "function")]
    hidden: u32,
}

#[derive(Xdr)]
#[xdr(tag = "type", content = "value")]
enum Value {
    #[xdr(case = 1)]
    Int(i32),
}

fn main() {}
