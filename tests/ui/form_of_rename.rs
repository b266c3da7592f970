//! `rename` is a text.
use xdr_core::Xdr;

#[derive(Xdr)]
#[xdr(rename = point)]
struct Point {
    #[xdr(rename("abscissa"))]
    x: i32,
    #[xdr(rename)]
    y: i32,
    #[xdr(rename = "")]
    empty: i32,
    #[xdr(rename = "z axis")]
    space: i32,
    #[xdr(rename = "2nd")]
    digit: i32,
}

fn main() {}
