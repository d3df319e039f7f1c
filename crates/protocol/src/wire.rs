//! What generated modules see: the runtime, and the trait that every struct in them has.

pub(crate) use strom_base::Uuid;

pub(crate) use crate::error::{DecodeError, EncodeError};
pub(crate) use crate::message::{Message, Records};
pub(crate) use crate::reader::Reader;
pub(crate) use crate::tagged::UnknownTaggedFields;
pub(crate) use crate::writer::Writer;

/// A struct of a schema: read and written in a version that the message around it has checked.
pub(crate) trait WireStruct<'a>: Sized {
    /// The fewest bytes that a value takes in any version, at least 1: bounds what an array's
    /// count may claim.
    const MINIMUM_SIZE: usize;

    fn read(reader: &mut Reader<'a>, version: i16) -> Result<Self, DecodeError>;
    fn write(&self, writer: &mut Writer, version: i16) -> Result<(), EncodeError>;
}

/// The conversion of a message into the variant that holds it.
macro_rules! from_variant {
    ($family:ident, $variant:ident, $message:ty) => {
        impl<'a> From<$message> for $family<'a> {
            fn from(message: $message) -> Self {
                Self::$variant(message)
            }
        }
    };
}
pub(crate) use from_variant;
