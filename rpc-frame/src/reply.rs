//! Results on their way into the record of a reply.

use xdr_core::{Bytes, BytesMut, Encode, EncodeError};

/// A reply of any procedure of a table. Derived with the table.
pub trait EncodeReply {
    /// Encodes the results.
    ///
    /// # Errors
    /// When they have no XDR form.
    fn encode_reply(&self, encoder: &mut ReplyEncoder<'_>) -> Result<(), EncodeError>;
}

/// Results that are encoded already.
impl EncodeReply for Bytes {
    fn encode_reply(&self, encoder: &mut ReplyEncoder<'_>) -> Result<(), EncodeError> {
        if !self.is_empty() {
            encoder.out.extend_from_slice(self);
        }
        Ok(())
    }
}

/// Where the results of a call go, behind the header of its reply.
#[derive(Debug)]
pub struct ReplyEncoder<'a> {
    out: &'a mut BytesMut,
}

impl<'a> ReplyEncoder<'a> {
    pub(crate) const fn new(out: &'a mut BytesMut) -> Self {
        Self { out }
    }

    /// Encodes the results.
    ///
    /// # Errors
    /// When they have no XDR form.
    pub fn encode<T: Encode + ?Sized>(&mut self, results: &T) -> Result<(), EncodeError> {
        xdr_core::encode_into(results, self.out)
    }
}
