//! Arrays and nested structs.

use strom_base::Uuid;

use super::Writer;
use crate::error::EncodeError;
use crate::wire::WireStruct;

impl Writer {
    pub(crate) fn write_structs<'a, T: WireStruct<'a>>(
        &mut self,
        items: &[T],
        flexible: bool,
        version: i16,
    ) -> Result<(), EncodeError> {
        self.write_length(items.len(), flexible)?;
        for item in items {
            item.write(self, version)?;
        }
        Ok(())
    }

    pub(crate) fn write_nullable_structs<'a, T: WireStruct<'a>>(
        &mut self,
        items: Option<&[T]>,
        flexible: bool,
        version: i16,
    ) -> Result<(), EncodeError> {
        match items {
            Some(items) => return self.write_structs(items, flexible, version),
            None => self.write_null(flexible),
        }
        Ok(())
    }

    /// A struct behind a marker: 1, or -1 for null.
    pub(crate) fn write_nullable<'a, T: WireStruct<'a>>(
        &mut self,
        item: Option<&T>,
        version: i16,
    ) -> Result<(), EncodeError> {
        match item {
            Some(item) => {
                self.write_i8(1);
                return item.write(self, version);
            }
            None => self.write_i8(-1),
        }
        Ok(())
    }

    /// A struct in a tagged field behind its marker: 1, or 0 for null.
    pub(crate) fn write_tagged_nullable<'a, T: WireStruct<'a>>(
        &mut self,
        item: Option<&T>,
        version: i16,
    ) -> Result<(), EncodeError> {
        self.write_uvarint(u32::from(item.is_some()));
        item.map_or(Ok(()), |item| item.write(self, version))
    }

    fn write_array<T>(
        &mut self,
        items: Option<&[T]>,
        flexible: bool,
        write: impl Fn(&mut Self, &T) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        let Some(items) = items else {
            self.write_null(flexible);
            return Ok(());
        };
        self.write_length(items.len(), flexible)?;
        items.iter().try_for_each(|item| write(self, item))
    }
}

/// The two methods for arrays of one primitive type.
macro_rules! primitive_arrays {
    ($($item:ty, $write:ident, $plain:ident, $nullable:ident;)*) => {
        impl Writer {
            $(
                pub(crate) fn $plain(
                    &mut self,
                    items: &[$item],
                    flexible: bool,
                ) -> Result<(), EncodeError> {
                    self.$nullable(Some(items), flexible)
                }

                pub(crate) fn $nullable(
                    &mut self,
                    items: Option<&[$item]>,
                    flexible: bool,
                ) -> Result<(), EncodeError> {
                    self.write_array(items, flexible, |writer, item| {
                        writer.$write(*item);
                        Ok(())
                    })
                }
            )*
        }
    };
}

primitive_arrays! {
    i8, write_i8, write_i8s, write_nullable_i8s;
    i16, write_i16, write_i16s, write_nullable_i16s;
    i32, write_i32, write_i32s, write_nullable_i32s;
    i64, write_i64, write_i64s, write_nullable_i64s;
    Uuid, write_uuid, write_uuids, write_nullable_uuids;
}

impl Writer {
    pub(crate) fn write_strings(
        &mut self,
        items: &[&str],
        flexible: bool,
    ) -> Result<(), EncodeError> {
        self.write_nullable_strings(Some(items), flexible)
    }

    pub(crate) fn write_nullable_strings(
        &mut self,
        items: Option<&[&str]>,
        flexible: bool,
    ) -> Result<(), EncodeError> {
        self.write_array(items, flexible, |writer, item| writer.write_string(item, flexible))
    }
}
