//! An enum with data needs a discriminant for each variant.
use xdr_core::Xdr;

#[derive(Xdr)]
enum Shape {
    Point,
    Circle(u32),
    Rectangle { width: u32, height: u32 },
}

#[derive(Xdr)]
#[repr(i32)]
enum Numbered {
    Point = 1,
    Circle(u32) = 2,
}

fn main() {}
