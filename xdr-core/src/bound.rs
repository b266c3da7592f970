//! Maximum lengths as types, so that they nest: `string<50> names<64>` is `MaxOf<Len<64>, Max<Len<50>>>`.

use core::marker::PhantomData;

/// A maximum length: bytes for string and opaque, elements for arrays, nodes for lists.
///
/// The derive makes these from `#[xdr(max = …)]`; write one by hand only to implement a codec by hand.
pub trait Bound {
    /// The maximum, inclusive. More than `u32::MAX` means `u32::MAX`, the most that XDR can say.
    const MAX: usize;
}

/// A bound that is a number.
#[derive(Debug)]
pub enum Len<const N: usize> {}

impl<const N: usize> Bound for Len<N> {
    const MAX: usize = N;
}

/// No bound but the wire's own, 2³² - 1: `#[xdr(unbounded)]`.
#[derive(Debug)]
pub enum Unbounded {}

impl Bound for Unbounded {
    const MAX: usize = u32::MAX as usize;
}

/// Which bounds apply to a type of variable length, and where.
pub trait Shape {}

/// No bound: the type's wire form is complete in itself. The shape of every type that is [`Encode`](crate::Encode).
#[derive(Debug)]
pub enum Plain {}

/// `max = B` on a string, an opaque or an array of complete elements.
#[derive(Debug)]
pub struct Max<B>(PhantomData<B>);

/// `max = B, item(I)`: an array of at most `B` elements, each of shape `I`.
#[derive(Debug)]
pub struct MaxOf<B, I>(PhantomData<(B, I)>);

/// `item(I)`: an array of fixed length whose elements are of shape `I`.
#[derive(Debug)]
pub struct Each<I>(PhantomData<I>);

/// `list, max = B`: a linked list of optional data with at most `B` nodes, each of shape `I`.
#[derive(Debug)]
pub struct List<B, I = Plain>(PhantomData<(B, I)>);

impl<B: Bound> Shape for Max<B> {}
impl<B: Bound, I> Shape for MaxOf<B, I> {}
impl<I> Shape for Each<I> {}
impl<B: Bound, I> Shape for List<B, I> {}
