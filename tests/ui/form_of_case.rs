//! Labels are values, not patterns.
use xdr_core::Xdr;

#[derive(Xdr)]
enum Value {
    #[xdr(case(1))]
    Parentheses(i32),
    #[xdr(case(2, 3))]
    Several(i32),
    #[xdr(case = "4")]
    Quoted(i32),
    #[xdr(case = 5 | 6 | 7)]
    Pattern(i32),
    #[xdr(case = 8..=9)]
    Range(i32),
    #[xdr(case = [10, 11..=12])]
    RangeInList(i32),
    #[xdr(case = _)]
    Anything(i32),
    #[xdr(case)]
    Alone(i32),
    #[xdr(case = 13, 14, 15)]
    Bare(#[xdr(tag)] i32),
    #[xdr(case = Kind::First as i32, Kind::Second as i32, rename = "paths")]
    BarePaths(#[xdr(tag)] i32),
    #[xdr(case = 16, -17)]
    BareNegative(#[xdr(tag)] i32),
}

fn main() {}
