//! Arms that would forget which discriminant they had.
use xdr_core::Xdr;

#[derive(Xdr)]
enum SeveralLabels {
    #[xdr(case = [1, 2])]
    Int(i32),
}

#[derive(Xdr)]
enum Default {
    #[xdr(case = 1)]
    Int(i32),
    #[xdr(default)]
    Other,
}

#[derive(Xdr)]
enum TwoTags {
    #[xdr(case = [1, 2])]
    Int { #[xdr(tag)] first: i32, #[xdr(tag)] second: i32 },
}

#[derive(Xdr)]
struct Outside {
    #[xdr(tag)]
    tag: i32,
}

#[derive(Xdr)]
enum SkipAndTag {
    #[xdr(case = 1)]
    Int { #[xdr(tag, skip)] tag: i32 },
}

fn main() {}
