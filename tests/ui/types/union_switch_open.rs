//! An enum that keeps unknown values is no discriminant.
use xdr_core::Xdr;

#[derive(Xdr, Clone, Copy)]
#[repr(i32)]
enum Kind {
    Int = 1,
    #[xdr(other)]
    Other(i32),
}

#[derive(Xdr)]
#[xdr(switch = Kind)]
enum Value {
    #[xdr(case = Kind::Int)]
    Int(i32),
    #[xdr(default)]
    Rest(#[xdr(tag)] Kind),
}

/// Nor one that does not accept all of its values.
#[derive(Xdr, Clone, Copy)]
#[xdr(validate = is_text)]
enum Checked {
    Int = 1,
    Text = 2,
}

fn is_text(kind: &Checked) -> bool {
    matches!(kind, Checked::Text)
}

#[derive(Xdr)]
#[xdr(switch = Checked)]
enum Refused {
    #[xdr(case = Checked::Int)]
    Int(i32),
    #[xdr(case = Checked::Text)]
    Text,
}

fn main() {}
