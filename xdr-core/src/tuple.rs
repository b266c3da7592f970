//! Tuples: their members one after the other, like the fields of a struct.

use crate::bound::Plain;
use crate::decode::{Decode, field};
use crate::encode::{Encode, head_of, len_of, tail_of};
use crate::fault::{DecodeFault, EncodeFault};
use crate::reader::Reader;
use crate::schema::{Field, Schema, Shape};
use crate::wire::{Code, Wire, max_of_fields};
use crate::writer::Writer;

/// `$name $index $next`: `$next` holds the bytes of the run that begins behind the member.
macro_rules! tuple {
    ($($name:ident $index:tt $next:ident,)+) => {
        impl<$($name: Encode),+> Encode for ($($name,)+) {
            const WIRE: Wire = Wire::of_fields(&[$($name::WIRE),+]);
            const MAX_WIRE: Option<usize> = max_of_fields(&[$($name::MAX_WIRE),+]);
            const CODE: Code = Code::of(&[$($name::CODE),+]);
            #[inline(always)]
            fn head(&self, out: &mut [u8]) -> Result<(), EncodeFault> {
                let mut run = out;
                $(if head_of::<Plain, $name>(&self.$index, &mut run)? { return Ok(()); })+
                Ok(())
            }
            #[inline(always)]
            fn tail(&self, writer: &mut Writer<'_>) -> Result<(), EncodeFault> {
                tuple!(@runs 0_usize, Encode, [$($name $next)+]);
                let mut run = None;
                $(tail_of::<Plain, $name>(&self.$index, writer, &mut run, $next)?;)+
                Ok(())
            }
            #[inline(always)]
            fn tail_len(&self) -> usize {
                0_usize $(.saturating_add(len_of::<Plain, $name>(&self.$index)))+ .saturating_sub(<Self as Encode>::WIRE.head)
            }
            fn schema() -> &'static Schema {
                const { &Schema::builtin("tuple", Shape::Struct {
                    fields: &[$(Field { name: stringify!($index), ..$name::FIELD }),+],
                }) }
            }
        }

        impl<'de, $($name: Decode<'de>),+> Decode<'de> for ($($name,)+) {
            const WIRE: Wire = Wire::of_fields(&[$($name::WIRE),+]);
            const MAX_WIRE: Option<usize> = max_of_fields(&[$($name::MAX_WIRE),+]);
            #[inline(always)]
            fn decode(reader: &mut Reader<'de>, run: &mut &'de [u8], after: usize) -> Result<Self, DecodeFault> {
                let last = if <Self as Decode<'de>>::WIRE.tail { 0 } else { after };
                tuple!(@runs last, Decode, [$($name $next)+]);
                Ok(($(field::<Plain, $name>(reader, run, $next)?,)+))
            }
            fn schema() -> &'static Schema {
                const { &Schema::builtin("tuple", Shape::Struct {
                    fields: &[$(Field { name: stringify!($index), ..$name::FIELD }),+],
                }) }
            }
        }
    };
    // The runs, from the last member to the first.
    (@runs $last:expr, $trait:ident, [$name:ident $next:ident]) => {
        let $next: usize = $last;
    };
    (@runs $last:expr, $trait:ident, [$name:ident $next:ident $behind:ident $behind_next:ident $($more:tt)*]) => {
        tuple!(@runs $last, $trait, [$behind $behind_next $($more)*]);
        let $next: usize = $behind::WIRE.run($behind_next);
    };
}

tuple!(A 0 a,);
tuple!(A 0 a, B 1 b,);
tuple!(A 0 a, B 1 b, C 2 c,);
tuple!(A 0 a, B 1 b, C 2 c, D 3 d,);
tuple!(A 0 a, B 1 b, C 2 c, D 3 d, E 4 e,);
tuple!(A 0 a, B 1 b, C 2 c, D 3 d, E 4 e, F 5 f,);
tuple!(A 0 a, B 1 b, C 2 c, D 3 d, E 4 e, F 5 f, G 6 g,);
tuple!(A 0 a, B 1 b, C 2 c, D 3 d, E 4 e, F 5 f, G 6 g, H 7 h,);
