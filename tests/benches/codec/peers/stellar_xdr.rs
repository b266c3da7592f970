//! `stellar-xdr`, with the implementations that its generator writes.

use std::hint::black_box;
use std::io::{Read, Write};

use stellar_xdr::{BytesM, Error, Limited, Limits, ReadXdr, StringM, VecM, WriteXdr};

use super::writers;
use crate::measure::{Group, Operation, Side, decoder};
use crate::{ours, shapes};

const NAME: &str = "stellar-xdr";

pub(crate) fn join(group: &mut Group) {
    match group.shape {
        "S1" => add::<S1>(group, ours::input(&shapes::s1())),
        "S2" => add::<S2>(group, ours::input(&shapes::s2())),
        "S3" => add::<S3>(group, ours::input(&shapes::s3())),
        "S4" => add::<S4>(group, ours::input(&shapes::s4(100))),
        "S4L" => add::<S4>(group, ours::input(&shapes::s4(10_000))),
        "S5" => add::<S5>(group, ours::input(&shapes::s5())),
        "S6" => add::<S6>(group, ours::input(&shapes::s6())),
        "S7" => add::<S7>(group, ours::input(&shapes::s7())),
        "S9" => add::<S9>(group, ours::input(&shapes::s9())),
        _ => {}
    }
}

fn add<T: ReadXdr + WriteXdr + 'static>(group: &mut Group, input: &'static [u8]) {
    match group.operation {
        Operation::Encode => {
            let value = read::<T>(input);
            writers!(group, NAME, value, input.len(), |value, out| {
                value.write_xdr(&mut Limited::new(out, Limits::none())).unwrap()
            });
        }
        Operation::Decode => decoder!(group, Side::Peer, NAME, read::<T>(black_box(input)), |value: &T| {
            let mut out = Limited::new(Vec::new(), Limits::none());
            value.write_xdr(&mut out).unwrap();
            out.inner
        }),
    }
}

#[inline(always)]
fn read<T: ReadXdr>(input: &[u8]) -> T {
    T::read_xdr(&mut Limited::new(input, Limits::none())).unwrap()
}

macro_rules! fields {
    ($name:ident { $($field:ident: $ty:ty),+ $(,)? }) => {
        struct $name { $($field: $ty),+ }

        impl ReadXdr for $name {
            fn read_xdr<R: Read>(reader: &mut Limited<R>) -> Result<Self, Error> {
                Ok(Self { $($field: <$ty>::read_xdr(reader)?),+ })
            }
        }

        impl WriteXdr for $name {
            fn write_xdr<W: Write>(&self, writer: &mut Limited<W>) -> Result<(), Error> {
                $(self.$field.write_xdr(writer)?;)+
                Ok(())
            }
        }
    };
}

fields!(S1 { a: u32, b: u32, c: u64, d: u32, e: u32 });
fields!(S2 { name: StringM<32>, a: u32, b: u32, c: u32, d: u32, e: u32, f: u32, g: u32 });
fields!(S3 { id: i32, uuid: [u8; 16], name: StringM<50> });
fields!(S4 { values: VecM<i32, 16_384> });
fields!(S5 { names: VecM<StringM<32>, 128> });
fields!(S6 { text: StringM<65_536> });
fields!(S7 { data: BytesM<{ 1 << 20 }> });
fields!(S9 { entries: Option<Box<Entry>> });
fields!(Entry {
    fileid: u64,
    name: StringM<255>,
    cookie: u64,
    attributes: Option<Attributes>,
    handle: Option<BytesM<64>>,
    next: Option<Box<Entry>>,
});
fields!(Attributes {
    kind: u32,
    mode: u32,
    links: u32,
    uid: u32,
    gid: u32,
    size: u64,
    used: u64,
    major: u32,
    minor: u32,
    fsid: u64,
    fileid: u64,
    accessed: u32,
    accessed_nanos: u32,
    modified: u32,
    modified_nanos: u32,
    changed: u32,
    changed_nanos: u32,
});
