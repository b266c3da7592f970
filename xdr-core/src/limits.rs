//! What decoding may cost: nesting depth and heap.

/// How much one decoding may cost, whatever the input says.
///
/// The default is finite and suits messages from a network: depth 64, heap 16 MiB.
///
/// Nesting takes stack as well. In an optimised build the default depth fits 128 KiB for types of ordinary
/// width; without optimisation a level takes about 10 KiB, so give a thread 1 MiB, or lower the depth.
///
/// ```
/// use xdr_core::Limits;
/// let limits = Limits::default().with_depth(8).with_heap(64 * 1024);
/// assert_eq!(limits.depth(), 8);
/// assert_eq!(limits.heap(), 65_536);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    depth: u32,
    heap: usize,
    lenient_padding: bool,
}

impl Limits {
    /// The default for input from a peer: depth 64, heap 16 MiB, strict padding.
    pub const DEFAULT: Self = Self { depth: 64, heap: 16 * 1024 * 1024, lenient_padding: false };

    /// No limit at all, for input that you wrote yourself.
    ///
    /// Never use this on bytes from a peer: recursive types can then overflow the stack, and a few
    /// bytes can ask for gigabytes.
    #[must_use]
    pub const fn unlimited_trusted() -> Self {
        Self { depth: u32::MAX, heap: usize::MAX, lenient_padding: false }
    }

    /// Sets how deep values may nest, counted at each `Box`, each variable-length array and each
    /// list's elements (a list's nodes are not nesting, however many there are).
    #[must_use]
    pub const fn with_depth(mut self, depth: u32) -> Self {
        self.depth = depth;
        self
    }

    /// Sets how many bytes decoding may allocate, `size_of` of the elements included. Every
    /// element costs at least one unit, so that a count of elements without a size ends as well; so does each
    /// element without bytes of a fixed array, as of `[(); 1000]`.
    #[must_use]
    pub const fn with_heap(mut self, heap: usize) -> Self {
        self.heap = heap;
        self
    }

    /// Accepts padding bytes that are not zero, which RFC 4506 §4 forbids but some peers send.
    /// Nothing else becomes lenient; what is encoded always has zero padding.
    #[must_use]
    pub const fn with_lenient_padding(mut self, lenient: bool) -> Self {
        self.lenient_padding = lenient;
        self
    }

    /// The deepest nesting that is accepted.
    #[must_use]
    pub const fn depth(&self) -> u32 {
        self.depth
    }

    /// The most bytes that decoding may allocate.
    #[must_use]
    pub const fn heap(&self) -> usize {
        self.heap
    }

    /// Whether padding that is not zero is accepted.
    #[must_use]
    pub const fn lenient_padding(&self) -> bool {
        self.lenient_padding
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
