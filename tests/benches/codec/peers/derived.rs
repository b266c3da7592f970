//! `nfs3_types` and `onc-xdr`: the same traits and the same derive in two crates.

/// The shapes for one of the two; `$codec` is the module of its traits.
macro_rules! peer {
    ($name:literal, $codec:ident $(:: $more:ident)*) => {
        use std::hint::black_box;
        use std::io::{Read, Write};

        use $codec $(:: $more)* ::{List, Opaque, Pack, Result, Unpack, XdrCodec};

        use crate::measure::{Group, Operation, Side, decoder};
        use crate::{ours, shapes};

        const NAME: &str = $name;

        pub(crate) fn join(group: &mut Group) {
            match group.shape {
                "S1" => add::<S1>(group, ours::input(&shapes::s1())),
                "S2" => add::<S2>(group, ours::input(&shapes::s2())),
                "S3" => add::<S3>(group, ours::input(&shapes::s3())),
                "S4" => add::<S4>(group, ours::input(&shapes::s4(100))),
                "S4L" => add::<S4>(group, ours::input(&shapes::s4(10_000))),
                "S5" => add::<S5>(group, ours::input(&shapes::s5())),
                "S6" => add::<S67>(group, ours::input(&shapes::s6())),
                "S7" => add::<S67>(group, ours::input(&shapes::s7())),
                "S9" => add::<S9>(group, ours::input(&shapes::s9())),
                _ => join_rpc(group),
            }
        }

        /// The value is what the crate itself reads out of the bytes.
        fn add<T: Pack + Unpack + 'static>(group: &mut Group, input: &'static [u8]) {
            match group.operation {
                Operation::Encode => {
                    let value = T::unpack(&mut &*input).unwrap().0;
                    super::super::writers!(group, NAME, value, input.len(), |value, out| value.pack(out).unwrap());
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

        #[derive(XdrCodec)]
        struct S1 {
            a: u32,
            b: u32,
            c: u64,
            d: u32,
            e: u32,
        }

        #[derive(XdrCodec)]
        struct S2 {
            name: Opaque<'static>,
            a: u32,
            b: u32,
            c: u32,
            d: u32,
            e: u32,
            f: u32,
            g: u32,
        }

        #[derive(XdrCodec)]
        struct S3 {
            id: u32,
            uuid: [u8; 16],
            name: Opaque<'static>,
        }

        #[derive(XdrCodec)]
        struct S4 {
            values: Vec<u32>,
        }

        #[derive(XdrCodec)]
        struct S5 {
            names: Names,
        }

        /// As the crate does it for `Vec<u32>`, the only array that it has.
        struct Names(Vec<Opaque<'static>>);

        impl Pack for Names {
            fn packed_size(&self) -> usize {
                4 + self.0.iter().map(Pack::packed_size).sum::<usize>()
            }

            fn pack(&self, out: &mut impl Write) -> Result<usize> {
                let mut written = u32::try_from(self.0.len()).unwrap().pack(out)?;
                for name in &self.0 {
                    written += name.pack(out)?;
                }
                Ok(written)
            }
        }

        impl Unpack for Names {
            fn unpack(input: &mut impl Read) -> Result<(Self, usize)> {
                let (len, mut read) = u32::unpack(input)?;
                let mut names = Vec::with_capacity(len as usize);
                for _ in 0..len {
                    let (name, name_read) = Opaque::unpack(input)?;
                    read += name_read;
                    names.push(name);
                }
                Ok((Self(names), read))
            }
        }

        #[derive(XdrCodec)]
        struct S67 {
            data: Opaque<'static>,
        }

        #[derive(XdrCodec)]
        struct S9 {
            entries: List<Entry>,
        }

        #[derive(XdrCodec)]
        struct Entry {
            fileid: u64,
            name: Opaque<'static>,
            cookie: u64,
            attributes: Optional<Attributes>,
            handle: Optional<Opaque<'static>>,
        }

        #[derive(XdrCodec)]
        enum Optional<T: Pack + Unpack> {
            #[xdr(1)]
            Some(T),
            #[xdr(0)]
            None,
        }

        #[derive(XdrCodec)]
        struct Attributes {
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
        }
    };
}

pub(crate) mod nfs3_types {
    peer!("nfs3_types", nfs3_types::xdr_codec);

    /// The crate's own header; it leaves the credential as it came.
    fn join_rpc(group: &mut Group) {
        use nfs3_types::rpc::rpc_msg;
        match group.shape {
            "S8" => add::<rpc_msg<'static, 'static>>(group, ours::input(&shapes::s8())),
            _ => add::<rpc_msg<'static, 'static>>(group, ours::input(&shapes::s8_reply())),
        }
    }
}

pub(crate) mod onc_xdr {
    peer!("onc-xdr", onc_xdr);

    /// The crate has no RPC.
    fn join_rpc(_: &mut Group) {}
}
