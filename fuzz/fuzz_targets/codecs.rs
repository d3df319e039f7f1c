//! The codecs of record batches, from the peer's side and from ours.
//!
//! What must hold: decompression is total, gives no more than its limit, and holds no more than that
//! and one block; taken in pieces the same comes out; what we compress comes back, at any level; a
//! stream that is compressed anew holds the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strom_fuzz::allocations::peak_of;
use strom_fuzz::choices::Choices;
use strom_fuzz::damage::damage;
use strom_protocol::compression::{Codec, Codecs, Compression, CompressionError, ConversionLimits};
use strom_protocol::sample::Draw;

const LIMITS: [usize; 4] = [0, 1000, 100_000, 1 << 20];
/// A block of lz4 with the one before it; 22 times its bytes for a block of snappy.
const BLOCKS_BYTES_MAX: usize = 10 << 20;
const SNAPPY_RATIO: usize = 22;
/// How often what is to be compressed repeats itself.
const REPEATED_MAX: u64 = 500;

fuzz_target!(|input: &[u8]| {
    let mut choices = Choices::new(input);
    let codec = Codec::ALL[choices.place(Codec::ALL.len())];
    let limit = LIMITS[choices.place(LIMITS.len())];
    let mut codecs = Codecs::new();
    if choices.byte() == 0 {
        return check(codec, choices.rest(), limit);
    }
    let level = (choices.byte() & 1 == 0).then(|| i32::from(choices.byte() as i8));
    let repeated = 1 + choices.below(REPEATED_MAX) as usize;
    let plain = choices.piece().repeat(repeated);
    let mut packed = Vec::new();
    codecs.compress(Compression { codec, level }, &plain, &mut packed).expect("compresses");
    let unpacked = codecs.decompress(codec, &packed, plain.len());
    assert_eq!(unpacked.as_deref(), Ok(&plain[..]), "{codec:?} at {level:?}");
    if !plain.is_empty() {
        let limit = plain.len() - 1;
        let refused = codecs.decompress(codec, &packed, limit);
        assert_eq!(refused, Err(CompressionError::Limit { limit }), "{codec:?}");
    }
    convert(codec, &packed, &plain, Codec::ALL[choices.place(Codec::ALL.len())]);
    damage(&mut packed, &mut choices);
    check(codec, &packed, limit);
});

fn check(codec: Codec, bytes: &[u8], limit: usize) {
    let mut codecs = Codecs::new();
    let (whole, peak) = peak_of(|| codecs.decompress(codec, bytes, limit));
    let allowed = 2 * limit + BLOCKS_BYTES_MAX + SNAPPY_RATIO * bytes.len();
    assert!(peak <= allowed, "{codec:?}: {peak} for {} bytes, limit {limit}", bytes.len());
    let mut gathered = Vec::new();
    let (unfolded, peak) = peak_of(|| {
        codecs.unfold(codec, bytes, limit, &mut |piece| {
            gathered.extend_from_slice(piece);
            Ok(true)
        })
    });
    assert!(peak <= allowed, "{codec:?} in pieces: {peak} for {} bytes", bytes.len());
    assert!(gathered.len() <= limit);
    match (&whole, &unfolded) {
        (Ok(whole), Ok(())) => assert_eq!(*whole, gathered, "{codec:?}"),
        (Err(_), Err(_)) => {}
        // zstd's two decoders judge damaged frames differently, each way: the one has all that was decoded
        // still there, the other only a window of it. Limits they have to keep alike.
        (Ok(_), Err(CompressionError::Corrupt { codec: Codec::Zstd, .. }))
        | (Err(CompressionError::Corrupt { codec: Codec::Zstd, .. }), Ok(())) => return,
        (whole, unfolded) => {
            panic!("{codec:?}: {:?} but {unfolded:?} in pieces", whole.as_ref().map(Vec::len));
        }
    }
    if let Ok(plain) = whole {
        assert!(plain.len() <= limit);
        convert(codec, bytes, &plain, Codec::Lz4);
    }
}

fn convert(codec: Codec, packed: &[u8], plain: &[u8], to: Codec) {
    let limits = ConversionLimits { unfolded: plain.len(), converted: usize::MAX };
    let mut codecs = Codecs::new();
    let converted = codecs.recompress((codec, packed), to.into(), limits, &mut |_| true);
    let converted = converted.expect("converts").expect("liked");
    let unpacked = codecs.decompress(to, &converted, plain.len());
    assert_eq!(unpacked.as_deref(), Ok(plain), "{codec:?} to {to:?}");
}
