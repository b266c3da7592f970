//! Code of a user's that panics while a value is written: the panic reaches who asked for the bytes, wherever that code is.
//! (What writes a value without such code may not unwind; taken for it by mistake, a panic would end this process.)

use std::panic::{AssertUnwindSafe, catch_unwind};

use xdr_core::{
    BytesMut, Encode, EncodeErrorKind, EncodeFault, Schema, Wire, encode_into, encode_to_slice, encoded_len, to_vec,
};

/// A codec by hand that panics.
struct Panics;

impl Encode for Panics {
    const WIRE: Wire = Wire::fixed(4);
    const MAX_WIRE: Option<usize> = Some(4);

    fn head(&self, _: &mut [u8]) -> Result<(), EncodeFault> {
        panic!("by hand")
    }

    fn schema() -> &'static Schema {
        <u32 as Encode>::schema()
    }
}

/// A conversion that panics.
mod conversion {
    pub(crate) type Wire = u32;

    pub(crate) fn to_wire(_: &str) -> Wire {
        panic!("by `with`")
    }
}

fn check<T: ?Sized>(_: &T) -> bool {
    panic!("by `validate`")
}

#[derive(Encode)]
struct Field<T> {
    #[xdr(max = 8)]
    name: String,
    field: T,
}

#[derive(Encode)]
#[xdr(transparent)]
struct Transparent<T>(T);

#[derive(Encode)]
struct Array<T> {
    #[xdr(max = 2)]
    array: Vec<T>,
}

#[derive(Encode)]
struct List<T> {
    #[xdr(list, max = 2)]
    list: Vec<T>,
}

#[derive(Encode)]
#[xdr(switch = u32)]
enum Union<T> {
    #[xdr(case = 1)]
    Arm(T),
}

#[derive(Encode)]
struct Converted {
    #[xdr(max = 8)]
    name: String,
    #[xdr(with = conversion)]
    field: String,
}

#[derive(Encode)]
#[xdr(switch = u32)]
enum ConvertedArm {
    #[xdr(case = 1)]
    Arm(#[xdr(with = conversion)] String),
}

#[derive(Encode)]
#[xdr(transparent)]
struct ConvertedWhole(#[xdr(with = conversion)] String);

#[derive(Encode)]
struct CheckedField {
    #[xdr(max = 8, validate = check)]
    name: String,
}

#[derive(Encode)]
#[xdr(validate = check)]
struct CheckedStruct {
    #[xdr(max = 8)]
    name: String,
}

#[derive(Encode)]
#[xdr(validate = check)]
enum CheckedEnum {
    One = 1,
}

#[derive(Encode)]
#[xdr(switch = u32)]
enum CheckedArm {
    #[xdr(case = 1)]
    Arm(#[xdr(validate = check)] u32),
}

#[derive(Encode)]
#[xdr(switch = u32, validate = check)]
enum CheckedUnion {
    #[xdr(case = 1)]
    Arm(u32),
}

#[derive(Encode)]
struct Recursive {
    value: Panics,
    #[xdr(recursive)]
    next: Option<Box<Recursive>>,
}

#[derive(Encode)]
#[xdr(switch = u32)]
enum RecursiveArm {
    #[xdr(case = 1)]
    Arm(#[xdr(recursive)] Box<RecursiveArm>),
    #[xdr(case = 2)]
    End(Panics),
}

/// More fields than the constants of a struct keep runs of.
#[derive(Encode)]
#[rustfmt::skip]
struct Many {
    f0: u32, f1: u32, f2: u32, f3: u32, f4: u32, f5: u32, f6: u32, f7: u32, f8: u32,
    f9: u32, f10: u32, f11: u32, f12: u32, f13: u32, f14: u32, f15: u32, f16: u32,
    last: Panics,
}

fn panics<T: Encode>(value: T) {
    let name = std::any::type_name::<T>();
    assert!(catch_unwind(AssertUnwindSafe(|| to_vec(&value))).is_err(), "{name}");
    assert!(catch_unwind(AssertUnwindSafe(|| encode_into(&value, &mut BytesMut::new()))).is_err(), "{name}");
    assert!(catch_unwind(AssertUnwindSafe(|| encode_to_slice(&value, &mut [0; 128]))).is_err(), "{name}");
}

fn text() -> String {
    "text".into()
}

#[test]
fn a_codec_by_hand() {
    panics(Panics);
    panics(&Panics);
    panics(Box::new(Panics));
    panics((1_u32, Panics));
    panics([Panics, Panics]);
    panics(Some(Panics));
    panics(Ok::<Panics, u32>(Panics));
    panics(Err::<u32, Panics>(Panics));
}

#[test]
fn a_codec_by_hand_in_what_is_derived() {
    panics(Field { name: text(), field: Panics });
    panics(Field { name: text(), field: Field { name: text(), field: Some(Panics) } });
    panics(Transparent(Panics));
    panics(Array { array: vec![Panics] });
    panics(List { list: vec![Panics] });
    panics(Union::Arm(Panics));
    panics(Field { name: text(), field: Union::Arm(Panics) });
    panics(Recursive { value: Panics, next: None });
    panics(Field { name: text(), field: Recursive { value: Panics, next: None } });
    panics(RecursiveArm::Arm(Box::new(RecursiveArm::End(Panics))));
    #[rustfmt::skip]
    panics(Many {
        f0: 0, f1: 0, f2: 0, f3: 0, f4: 0, f5: 0, f6: 0, f7: 0, f8: 0,
        f9: 0, f10: 0, f11: 0, f12: 0, f13: 0, f14: 0, f15: 0, f16: 0,
        last: Panics,
    });
}

#[test]
fn a_conversion() {
    panics(Converted { name: text(), field: text() });
    panics(ConvertedArm::Arm(text()));
    panics(ConvertedWhole(text()));
    panics(Field { name: text(), field: Converted { name: text(), field: text() } });
    panics(Array { array: vec![ConvertedArm::Arm(text())] });
}

#[test]
fn a_check() {
    panics(CheckedField { name: text() });
    panics(CheckedStruct { name: text() });
    panics(CheckedEnum::One);
    panics(CheckedArm::Arm(1));
    panics(CheckedUnion::Arm(1));
    panics(Field { name: text(), field: CheckedStruct { name: text() } });
    panics(Array { array: vec![CheckedEnum::One] });
    panics(List { list: vec![CheckedUnion::Arm(1)] });
}

/// It says that it takes more bytes than memory has.
struct Endless;

impl Encode for Endless {
    const WIRE: Wire = Wire { head: 0, tail: true, min: 0 };
    const MAX_WIRE: Option<usize> = None;

    fn head(&self, _: &mut [u8]) -> Result<(), EncodeFault> {
        Ok(())
    }

    fn tail_len(&self) -> usize {
        usize::MAX
    }

    fn schema() -> &'static Schema {
        <u32 as Encode>::schema()
    }
}

#[test]
fn what_no_buffer_can_hold_is_an_error() {
    let needed = EncodeErrorKind::NoSpace { needed: encoded_len(&Endless) };
    assert_eq!(to_vec(&Endless).unwrap_err().kind, needed);
    let mut buffer = BytesMut::from(&b"before"[..]);
    assert_eq!(encode_into(&Endless, &mut buffer).unwrap_err().kind, needed);
    assert_eq!(buffer, "before");
    // Where its name is too long is not to be found by writing all of it.
    let value = Field { name: "nine bytes".into(), field: Endless };
    assert_eq!(encode_to_slice(&value, &mut [0; 64]).unwrap_err().kind, needed);
}
