//! Other crates, each with types of its own for the same shapes.

mod derived; //     nfs3_types and onc-xdr, which share a derive
mod onc_rpc; //     S8
mod stellar_xdr; // what its generator writes
mod xdr_codec; //   what xdrgen writes

use crate::measure::Group;

pub(crate) fn join(group: &mut Group) {
    derived::nfs3_types::join(group);
    derived::onc_xdr::join(group);
    xdr_codec::join(group);
    stellar_xdr::join(group);
    onc_rpc::join(group);
}

/// An encoder into any `Write`, as two contenders: into a vector and into a slice.
macro_rules! writers {
    ($group:ident, $name:expr, $value:expr, $len:expr, |$value_ref:ident, $out:ident| $write:expr) => {{
        let value = std::rc::Rc::new($value);
        let of_slice = std::rc::Rc::clone(&value);
        let len: usize = $len;
        $group.vec_encoder(crate::measure::Side::Peer, &format!("{}, vec", $name), move |$out| {
            let $value_ref = std::hint::black_box(&*value);
            $write;
        });
        $group.slice_encoder(crate::measure::Side::Peer, &format!("{}, slice", $name), len, move |space| {
            let len = space.len();
            let mut rest = space;
            {
                let $value_ref = std::hint::black_box(&*of_slice);
                let $out = &mut rest;
                $write;
            }
            len - rest.len()
        });
    }};
}
use writers;
