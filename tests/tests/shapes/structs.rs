//! Structs are their fields in order.
use super::*;

#[test]
fn a_struct_is_its_fields_in_order() {
    let value = Named {
        before: 1,
        name: "abcde".into(),
        uuid: [9; 16],
        after: true,
        names: vec!["x".into(), String::new()],
        slots: [vec![1, 2, 3, 4], vec![]],
        blob: Bytes::from_static(&[7]),
        ids: vec![-1, 2],
        cached: 0,
        description: None,
        last: (-2, Some(Box::new(3))),
    };
    let mut wire = bytes(&[1, 5]);
    wire.extend(b"abcde\0\0\0");
    wire.extend([9; 16]);
    wire.extend(bytes(&[1, 2, 1]));
    wire.extend(b"x\0\0\0");
    wire.extend(bytes(&[0, 4, 0x0102_0304, 0, 1]));
    wire.extend([7, 0, 0, 0]);
    wire.extend(bytes(&[2, u32::MAX, 2, 0, u32::MAX, u32::MAX - 1, 1, 3]));
    both_ways(&value, &wire);
}

#[derive(Debug, Clone, PartialEq, Xdr)]
struct Unit;

#[derive(Debug, Clone, PartialEq, Xdr)]
#[xdr(transparent)]
struct Path(#[xdr(max = 4)] String, #[xdr(skip)] u8);

#[derive(Debug, Clone, PartialEq, Xdr)]
struct Nested {
    tuple: Tuple,
    unit: Unit,
    path: Path,
    fixed: [u32; 2],
    fixed_tails: [Tuple; 2],
    result: Result<u32, Tuple>,
    pair: (u32, Path, u32),
}

#[test]
fn structs_nest_without_a_trace() {
    let tuple = |n, s: &str| Tuple(n, s.into());
    let value = Nested {
        tuple: tuple(1, "a"),
        unit: Unit,
        path: Path("bc".into(), 0),
        fixed: [2, 3],
        fixed_tails: [tuple(4, ""), tuple(5, "d")],
        result: Err(tuple(6, "")),
        pair: (7, Path(String::new(), 0), 8),
    };
    let mut wire = bytes(&[1, 1]);
    wire.extend(b"a\0\0\0");
    wire.extend(bytes(&[2]));
    wire.extend(b"bc\0\0");
    wire.extend(bytes(&[2, 3, 4, 0, 5, 1]));
    wire.extend(b"d\0\0\0");
    wire.extend(bytes(&[1, 6, 0, 7, 0, 8]));
    both_ways(&value, &wire);
}

macro_rules! wide {
    ($name:ident: $($field:ident)+) => {
        #[derive(Debug, Clone, PartialEq, Xdr)]
        struct $name {
            first: u32,
            #[xdr(max = 4)]
            name: String,
            $($field: u32,)+
            #[xdr(max = 4)]
            text: Option<String>,
            behind: u32,
            #[xdr(max = 2)]
            ids: Vec<i32>,
            last: u64,
        }

        impl $name {
            fn example() -> (Self, Vec<u8>) {
                let (name, text, ids) = ("abc".into(), Some("x".into()), vec![3]);
                let value = Self { first: 1, name, $($field: stringify!($field).len() as u32,)+ text, behind: 2, ids, last: 4 };
                let between = bytes(&[$(stringify!($field).len() as u32),+]);
                (value, [&bytes(&[1, 3])[..], b"abc\0", &between, &bytes(&[1, 1]), b"x\0\0\0", &bytes(&[2, 1, 3, 0, 4])].concat())
            }
        }
    };
}

// Names of several lengths, so that no two neighbours have the same value.
wide! { Fields16: a2 a003 a4 a005 a6 a007 a8 a009 a10 a0011 }
wide! { Fields17: a2 a003 a4 a005 a6 a007 a8 a009 a10 a0011 a12 }
wide! { Fields40: a2 a003 a4 a005 a6 a007 a8 a009 a10 a0011 a12 a0013 a14 a0015 a16 a0017 a18 a0019 a20 a0021 a22 a0023 a24
a0025 a26 a0027 a28 a0029 a30 a0031 a32 a0033 a34 a0035 }

/// The runs of the first 16 are found in another way than those of the rest.
#[test]
fn structs_of_16_fields_and_of_more_are_their_fields_in_order() {
    let (value, wire) = Fields16::example();
    both_ways(&value, &wire);
    let (value, wire) = Fields17::example();
    both_ways(&value, &wire);
    let (value, wire) = Fields40::example();
    both_ways(&value, &wire);
}
