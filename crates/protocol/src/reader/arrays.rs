//! Arrays and nested structs: where memory is taken, and so where the budget is charged.

use strom_base::Uuid;

use super::{Reader, narrow};
use crate::error::{DecodeError, DecodeReason};
use crate::wire::WireStruct;

impl<'a> Reader<'a> {
    /// The count of an array whose elements take at least `wire_size` bytes each in the frame
    /// and `memory_size` in memory. Charges the budget. None for null.
    #[inline(never)]
    fn read_count(
        &mut self,
        flexible: bool,
        wire_size: usize,
        memory_size: usize,
    ) -> Result<Option<usize>, DecodeError> {
        let length = if flexible { self.read_compact_length()? } else { self.read_i32()? };
        let Some(count) = self.read_length(length)? else { return Ok(None) };
        if count.saturating_mul(wire_size) > self.rest.len() {
            return Err(self.error(DecodeReason::ArrayTooLong { count: narrow(count) }));
        }
        let charge = count.saturating_mul(memory_size.max(self.least_charge));
        let Some(budget) = self.budget.checked_sub(charge) else {
            return Err(self.error(DecodeReason::OverBudget));
        };
        self.budget = budget;
        Ok(Some(count))
    }

    /// How many structs follow, which the caller reads one by one.
    pub(crate) fn read_struct_count<T: WireStruct<'a>>(
        &mut self,
        flexible: bool,
    ) -> Result<usize, DecodeError> {
        let count = self.read_count(flexible, T::MINIMUM_SIZE, size_of::<T>())?;
        self.not_null(count)
    }

    pub(crate) fn read_structs<T: WireStruct<'a>>(
        &mut self,
        flexible: bool,
        version: i16,
    ) -> Result<Option<Vec<T>>, DecodeError> {
        let Some(count) = self.read_count(flexible, T::MINIMUM_SIZE, size_of::<T>())? else {
            return Ok(None);
        };
        let mut items = Vec::with_capacity(count);
        for _ in 0..count {
            items.push(T::read(self, version)?);
        }
        Ok(Some(items))
    }

    /// A struct behind a marker: a byte below 0 for null.
    pub(crate) fn read_nullable<T: WireStruct<'a>>(
        &mut self,
        version: i16,
    ) -> Result<Option<T>, DecodeError> {
        if self.read_i8()? < 0 { Ok(None) } else { T::read(self, version).map(Some) }
    }

    /// A struct in a tagged field behind its marker: there it is an unsigned variable-length
    /// number, 0 for null.
    pub(crate) fn read_tagged_nullable<T: WireStruct<'a>>(
        &mut self,
        version: i16,
    ) -> Result<Option<T>, DecodeError> {
        if self.read_uvarint()? == 0 { Ok(None) } else { T::read(self, version).map(Some) }
    }

    fn read_array<T>(
        &mut self,
        flexible: bool,
        wire_size: usize,
        read: impl Fn(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Option<Vec<T>>, DecodeError> {
        let Some(count) = self.read_count(flexible, wire_size, size_of::<T>())? else {
            return Ok(None);
        };
        let mut items = Vec::with_capacity(count);
        for _ in 0..count {
            items.push(read(self)?);
        }
        Ok(Some(items))
    }

    pub(crate) fn read_strings(
        &mut self,
        flexible: bool,
    ) -> Result<Option<Vec<&'a str>>, DecodeError> {
        let wire_size = if flexible { 1 } else { 2 };
        self.read_array(flexible, wire_size, |reader| reader.read_string(flexible))
    }

    pub(crate) fn read_i8s(&mut self, flexible: bool) -> Result<Option<Vec<i8>>, DecodeError> {
        self.read_array(flexible, 1, Self::read_i8)
    }

    pub(crate) fn read_i16s(&mut self, flexible: bool) -> Result<Option<Vec<i16>>, DecodeError> {
        self.read_array(flexible, 2, Self::read_i16)
    }

    pub(crate) fn read_i32s(&mut self, flexible: bool) -> Result<Option<Vec<i32>>, DecodeError> {
        self.read_array(flexible, 4, Self::read_i32)
    }

    pub(crate) fn read_i64s(&mut self, flexible: bool) -> Result<Option<Vec<i64>>, DecodeError> {
        self.read_array(flexible, 8, Self::read_i64)
    }

    pub(crate) fn read_uuids(&mut self, flexible: bool) -> Result<Option<Vec<Uuid>>, DecodeError> {
        self.read_array(flexible, 16, Self::read_uuid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_must_fit_the_bytes_that_are_left() {
        let error = Reader::new(&[0, 0, 0, 2, 0, 0, 0, 1]).read_i32s(false).map(drop);
        let reason = DecodeReason::ArrayTooLong { count: 2 };
        assert_eq!(error, Err(DecodeError { position: 4, reason }));
        let one = Reader::new(&[0, 0, 0, 1, 0, 0, 0, 1]).read_i32s(false);
        assert_eq!(one, Ok(Some(vec![1])));
    }

    #[test]
    fn a_request_names_so_many_things_and_no_more() {
        let named = |count: i32| {
            let mut bytes = count.to_be_bytes().to_vec();
            bytes.resize(4 + 4 * count as usize, 0);
            Reader::for_request(&bytes).read_i32s(false).map(|_| ()).map_err(|it| it.reason)
        };
        assert_eq!(named(1), Ok(()));
        assert_eq!(named(600_000), Ok(()));
        assert_eq!(named(700_000), Err(DecodeReason::OverBudget));
    }

    #[test]
    fn arrays_share_one_budget() {
        let bytes = [3, 1, 1, 3, 1, 1];
        let mut reader = Reader::with_budget(&bytes, 3 * size_of::<&str>());
        assert_eq!(reader.read_strings(true), Ok(Some(vec!["", ""])));
        let error = reader.read_strings(true).map(drop);
        assert_eq!(error, Err(DecodeError { position: 4, reason: DecodeReason::OverBudget }));
    }
}
