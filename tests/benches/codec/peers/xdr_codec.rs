//! `xdr-codec`, with the implementations that its `xdrgen` writes.

use std::hint::black_box;
use std::io::{Read, Write};

use xdr_codec::{
    Pack, Result, Unpack, pack_flex, pack_opaque_array, pack_opaque_flex, pack_string, unpack_flex,
    unpack_opaque_array, unpack_opaque_flex, unpack_string,
};

use super::writers;
use crate::measure::{Group, Operation, Side, decoder};
use crate::{ours, shapes};

const NAME: &str = "xdr-codec";

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

fn add<T>(group: &mut Group, input: &'static [u8])
where
    T: Unpack<&'static [u8]> + Pack<Vec<u8>> + for<'a> Pack<&'a mut [u8]> + 'static,
{
    match group.operation {
        Operation::Encode => {
            let value = T::unpack(&mut &*input).unwrap().0;
            writers!(group, NAME, value, input.len(), |value, out| value.pack(out).unwrap());
        }
        Operation::Decode => {
            decoder!(group, Side::Peer, NAME, T::unpack(&mut black_box(input)).unwrap().0, |value: &T| {
                let mut out = Vec::new();
                value.pack(&mut out).unwrap();
                out
            });
        }
    }
}

/// A struct of xdrgen's: how each field is packed and unpacked.
macro_rules! xdrgen {
    ($name:ident { $($field:ident: $ty:ty = |$value:ident, $out:ident| $pack:expr, |$input:ident| $unpack:expr;)+ }) => {
        struct $name { $($field: $ty),+ }

        impl<Out: Write> Pack<Out> for $name {
            fn pack(&self, out: &mut Out) -> Result<usize> {
                Ok($({ let ($value, $out) = (&self.$field, &mut *out); $pack? } +)+ 0)
            }
        }

        impl<In: Read> Unpack<In> for $name {
            fn unpack(input: &mut In) -> Result<(Self, usize)> {
                let mut size = 0;
                Ok(($name {
                    $($field: {
                        let $input = &mut *input;
                        let (value, field_size) = $unpack?;
                        size += field_size;
                        value
                    },)+
                }, size))
            }
        }
    };
    // Fields that pack themselves.
    ($name:ident { $($field:ident: $ty:ty),+ $(,)? }) => {
        xdrgen!($name { $($field: $ty = |value, out| value.pack(out), |input| Unpack::unpack(input);)+ });
    };
}

xdrgen!(S1 { a: u32, b: u32, c: u64, d: u32, e: u32 });

xdrgen!(S2 {
    name: String = |value, out| pack_string(value, Some(32), out), |input| unpack_string(input, Some(32));
    a: u32 = |value, out| value.pack(out), |input| Unpack::unpack(input);
    b: u32 = |value, out| value.pack(out), |input| Unpack::unpack(input);
    c: u32 = |value, out| value.pack(out), |input| Unpack::unpack(input);
    d: u32 = |value, out| value.pack(out), |input| Unpack::unpack(input);
    e: u32 = |value, out| value.pack(out), |input| Unpack::unpack(input);
    f: u32 = |value, out| value.pack(out), |input| Unpack::unpack(input);
    g: u32 = |value, out| value.pack(out), |input| Unpack::unpack(input);
});

xdrgen!(S3 {
    id: i32 = |value, out| value.pack(out), |input| Unpack::unpack(input);
    uuid: [u8; 16] = |value, out| pack_opaque_array(value, value.len(), out), |input| {
        let mut buffer = [0; 16];
        unpack_opaque_array(input, &mut buffer, 16).map(|size| (buffer, size))
    };
    name: String = |value, out| pack_string(value, Some(50), out), |input| unpack_string(input, Some(50));
});

xdrgen!(S4 {
    values: Vec<i32> = |value, out| pack_flex(value, Some(16_384), out), |input| unpack_flex(input, Some(16_384));
});

xdrgen!(S5 {
    names: Vec<Name> = |value, out| pack_flex(value, Some(128), out), |input| unpack_flex(input, Some(128));
});

xdrgen!(Name {
    text: String = |value, out| pack_string(value, Some(32), out), |input| unpack_string(input, Some(32));
});

xdrgen!(S6 {
    text: String = |value, out| pack_string(value, Some(65_536), out), |input| unpack_string(input, Some(65_536));
});

xdrgen!(S7 {
    data: Vec<u8> = |value, out| pack_opaque_flex(value, Some(1 << 20), out), |input| unpack_opaque_flex(input, Some(1 << 20));
});

xdrgen!(S9 { entries: Option<Box<Entry>> });

xdrgen!(Entry {
    fileid: u64 = |value, out| value.pack(out), |input| Unpack::unpack(input);
    name: String = |value, out| pack_string(value, Some(255), out), |input| unpack_string(input, Some(255));
    cookie: u64 = |value, out| value.pack(out), |input| Unpack::unpack(input);
    attributes: Option<Box<Attributes>> = |value, out| value.pack(out), |input| Unpack::unpack(input);
    handle: Option<Box<Handle>> = |value, out| value.pack(out), |input| Unpack::unpack(input);
    next: Option<Box<Entry>> = |value, out| value.pack(out), |input| Unpack::unpack(input);
});

xdrgen!(Handle {
    data: Vec<u8> = |value, out| pack_opaque_flex(value, Some(64), out), |input| unpack_opaque_flex(input, Some(64));
});

xdrgen!(Attributes {
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
