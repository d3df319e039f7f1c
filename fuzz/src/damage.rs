//! What becomes of good bytes: a few of them replaced, often by those that claim a lot; cut; grown.

use crate::choices::Choices;
use strom_protocol::sample::Draw;

/// Changes at most; more make noise of anything.
const CHANGES_MAX: u64 = 6;
/// How much a change may insert, in bytes.
const INSERTED_MAX: usize = 64;

/// Does to `bytes` what the choices say, perhaps nothing.
pub fn damage(bytes: &mut Vec<u8>, choices: &mut Choices<'_>) {
    for _ in 0..choices.below(CHANGES_MAX) {
        if bytes.is_empty() {
            return;
        }
        let place = choices.place(bytes.len());
        match choices.byte() % 10 {
            0 => bytes.truncate(place),
            1 => bytes[place] = 0xff,
            2 => bytes[place] = 0x7f,
            3 => bytes[place] ^= 1 << (choices.byte() % 8),
            4 => overwrite(bytes, place, &i32::MAX.to_be_bytes()),
            5 => overwrite(bytes, place, &[0xff, 0xff, 0xff, 0xff, 0x0f]),
            6 => overwrite(bytes, place, choices.piece()),
            7 => {
                let length = usize::from(choices.byte()) % INSERTED_MAX;
                let inserted = choices.take(length).to_vec();
                bytes.splice(place..place, inserted);
            }
            8 => {
                let end = (place + usize::from(choices.byte())).min(bytes.len());
                bytes.drain(place..end);
            }
            _ => {
                let number = choices.some_i64().to_be_bytes();
                let width = [1, 2, 4, 8][choices.place(4)];
                overwrite(bytes, place, &number[8 - width..]);
            }
        }
    }
}

fn overwrite(bytes: &mut [u8], place: usize, by: &[u8]) {
    bytes[place..].iter_mut().zip(by).for_each(|(byte, new)| *byte = *new);
}
