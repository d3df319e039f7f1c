//! Zigzag varints as records hold them (protobuf's `sint32` and `sint64`).

const MORE: u8 = 0x80;
const BITS: u8 = 0x7f;

/// Reads one off the front; `None` when it is cut off or longer than an `i32` can be.
pub(super) fn read_i32(bytes: &mut &[u8]) -> Option<i32> {
    let raw = u32::try_from(read_raw(bytes, 5)?).ok()?;
    Some((raw >> 1) as i32 ^ -((raw & 1) as i32))
}

/// Reads one off the front; `None` when it is cut off or longer than an `i64` can be.
pub(super) fn read_i64(bytes: &mut &[u8]) -> Option<i64> {
    let raw = read_raw(bytes, 10)?;
    Some((raw >> 1) as i64 ^ -((raw & 1) as i64))
}

fn read_raw(bytes: &mut &[u8], most: usize) -> Option<u64> {
    let mut value = 0u64;
    for (index, byte) in bytes.iter().take(most).enumerate() {
        value |= u64::from(byte & BITS).wrapping_shl(7 * index as u32);
        if byte & MORE == 0 {
            *bytes = bytes.get(index + 1..)?;
            return Some(value);
        }
    }
    None
}

pub(super) fn write_i32(value: i32, output: &mut Vec<u8>) {
    write_raw(u64::from(zigzag_i32(value)), output);
}

pub(super) fn write_i64(value: i64, output: &mut Vec<u8>) {
    write_raw(zigzag_i64(value), output);
}

/// Bytes that `value` takes.
pub(super) fn size_i32(value: i32) -> usize {
    size_raw(u64::from(zigzag_i32(value)))
}

/// Bytes that `value` takes.
pub(super) fn size_i64(value: i64) -> usize {
    size_raw(zigzag_i64(value))
}

fn zigzag_i32(value: i32) -> u32 {
    ((value << 1) ^ (value >> 31)) as u32
}

fn zigzag_i64(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

fn write_raw(mut value: u64, output: &mut Vec<u8>) {
    while value > u64::from(BITS) {
        output.push(value as u8 | MORE);
        value >>= 7;
    }
    output.push(value as u8);
}

fn size_raw(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_varint_survives_in_the_size_foretold() {
        for value in [0, -1, 1, 63, -64, 64, -65, 8191, i32::MAX, i32::MIN] {
            let mut bytes = Vec::new();
            write_i32(value, &mut bytes);
            assert_eq!(bytes.len(), size_i32(value));
            assert_eq!(read_i32(&mut bytes.as_slice()), Some(value));
        }
        for value in [0, -1, 1 << 34, i64::MAX, i64::MIN] {
            let mut bytes = Vec::new();
            write_i64(value, &mut bytes);
            assert_eq!(bytes.len(), size_i64(value));
            assert_eq!(read_i64(&mut bytes.as_slice()), Some(value));
        }
    }

    #[test]
    fn over_long_and_cut_off_varints_are_refused() {
        assert_eq!(read_i32(&mut [0xff; 5].as_slice()), None);
        assert_eq!(read_i32(&mut [0xff, 0xff, 0xff, 0xff, 0x7f].as_slice()), None);
        assert_eq!(read_i64(&mut [0xff; 10].as_slice()), None);
        assert_eq!(read_i32(&mut [0x80].as_slice()), None);
        assert_eq!(read_i32(&mut [].as_slice()), None);
    }
}
