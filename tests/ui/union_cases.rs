//! Arms without a discriminant, with one too many, or with another's.
use xdr_core::Xdr;

#[derive(Xdr)]
enum Missing {
    #[xdr(case = 1)]
    Int(i32),
    Text(#[xdr(max = 5)] String),
}

#[derive(Xdr)]
enum Twice {
    #[xdr(case = 1)]
    Int(i32),
    #[xdr(case = [2, 1])]
    Unsigned(#[xdr(tag)] i32, u32),
}

#[derive(Xdr)]
enum TwoDefaults {
    #[xdr(default)]
    First(#[xdr(tag)] i32),
    #[xdr(default)]
    Second(#[xdr(tag)] i32),
}

#[derive(Xdr)]
enum CaseAndDefault {
    #[xdr(case = 1, default)]
    Int(#[xdr(tag)] i32),
}

#[derive(Xdr)]
enum NoLabels {
    #[xdr(case = [])]
    Int(i32),
}

#[derive(Xdr)]
enum OwnValue {
    #[xdr(case = 1)]
    Int = 1,
}

#[derive(Xdr)]
enum OtherInUnion {
    #[xdr(case = 1)]
    Int(i32),
    #[xdr(other)]
    Rest(i32),
}

fn main() {}
