//! What enums and unions keep of the word that they were decoded from, and what a union switches on.

/// A constant that the compiler could evaluate. Where it could not, this type has an error, and what is made of it is not
/// reported again.
#[derive(Debug)]
pub enum Known<const VALUE: bool> {}

/// Is `T`, if `Self` has no error.
pub trait Is<T> {
    /// `T`.
    type Type;
}

impl<T, const VALUE: bool> Is<T> for Known<VALUE> {
    type Type = T;
}

/// What a type has for labels of a union.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Labels {
    /// Nothing: it is no word of XDR (RFC 4506 §4.15), or no type that `as` turns into one.
    None,
    /// Its values.
    Closed,
    /// Its names, beside which it keeps words without one.
    Open,
    /// Its values, not all of which it accepts.
    Checked,
}

impl Labels {
    /// Whether the type keeps words without a name.
    #[must_use]
    pub const fn are_open(self) -> bool {
        matches!(self, Self::Open)
    }

    /// Whether the type has a check of its own, which encoding would not ask.
    #[must_use]
    pub const fn are_checked(self) -> bool {
        matches!(self, Self::Checked)
    }

    /// Whether there are any.
    #[must_use]
    pub const fn are_there(self) -> bool {
        !matches!(self, Self::None)
    }
}

/// A type that keeps a discriminant.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot keep the discriminant of a union that switches on `{Discriminant}`",
    label = "not a `{Discriminant}` that can be copied",
    note = "the field with `#[xdr(tag)]` has the type of `switch`, which is `i32` where none is given: here `{Discriminant}`",
    note = "an enum needs `#[derive(Clone, Copy)]` to be kept"
)]
pub trait Tag<Discriminant> {
    /// The discriminant that was kept.
    fn discriminant(&self) -> Discriminant;
    /// Keeps it.
    fn keep(discriminant: &Discriminant) -> Self;
}

impl<T: Copy> Tag<T> for T {
    #[inline(always)]
    fn discriminant(&self) -> T {
        *self
    }
    #[inline(always)]
    fn keep(discriminant: &T) -> Self {
        *discriminant
    }
}

/// A type that keeps the word of an enum that has no name.
#[diagnostic::on_unimplemented(
    message = "`other` keeps the word of an XDR enum, which is no `{Self}`",
    label = "write `i32`"
)]
pub trait OtherWord {
    /// The word that was kept.
    fn word(&self) -> i32;
    /// Keeps it.
    fn keep(word: i32) -> Self;
}

impl OtherWord for i32 {
    #[inline(always)]
    fn word(&self) -> i32 {
        *self
    }
    #[inline(always)]
    fn keep(word: i32) -> Self {
        word
    }
}
