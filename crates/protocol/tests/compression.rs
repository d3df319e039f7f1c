//! Every codec: round trips, bombs, broken bytes, and agreement with other implementations.

use std::io::{Read, Write};

use proptest::prelude::*;
use strom_protocol::compression::{
    Codec, Codecs, Compression, CompressionError, ConversionLimits, compress, decompress,
};

const COMPRESSED: [Codec; 4] = [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];

fn packed(codec: Codec, input: &[u8]) -> Vec<u8> {
    let mut output = b"in front".to_vec();
    compress(codec, None, input, &mut output).unwrap();
    assert!(output.starts_with(b"in front"), "what was there stays");
    output.split_off(8)
}

/// Compressible in parts, longer than one block of each framing.
fn sample(length: usize) -> Vec<u8> {
    let mut random = strom_base::Random::new(length as u64);
    let mut bytes = Vec::with_capacity(length + 64);
    while bytes.len() < length {
        if random.one_in(3) {
            bytes.extend_from_slice(&random.next_u64().to_be_bytes());
        } else {
            bytes.extend_from_slice(b"{\"driverId\":\"driver-1\",\"lat\":52.5}");
        }
    }
    bytes.truncate(length);
    bytes
}

#[test]
fn every_codec_gives_back_what_it_got_at_exactly_the_limit() {
    for codec in Codec::ALL {
        for length in [0, 1, 100, 32 * 1024, 64 * 1024, 64 * 1024 + 1, 300_000] {
            let input = sample(length);
            let bytes = packed(codec, &input);
            assert_eq!(decompress(codec, &bytes, length).as_ref(), Ok(&input), "{codec:?}");
            if length > 0 {
                let limit = length - 1;
                let error = Err(CompressionError::Limit { limit });
                assert_eq!(decompress(codec, &bytes, limit), error, "{codec:?} {length}");
            }
        }
    }
}

#[test]
fn incompressible_bytes_survive_too() {
    let mut random = strom_base::Random::new(3);
    let input: Vec<u8> = (0..200_000).map(|_| random.next_u64() as u8).collect();
    for codec in COMPRESSED {
        assert_eq!(decompress(codec, &packed(codec, &input), 1 << 20).as_ref(), Ok(&input));
    }
}

#[test]
fn every_level_is_taken_and_contexts_are_reused() {
    let input = sample(50_000);
    let mut codecs = Codecs::new();
    for codec in COMPRESSED {
        for level in [-200_000, -1, 0, 1, 3, 9, 17, 22, 100] {
            let mut bytes = Vec::new();
            let compression = Compression { codec, level: Some(level) };
            codecs.compress(compression, &input, &mut bytes).unwrap();
            assert_eq!(codecs.decompress(codec, &bytes, 1 << 20).as_ref(), Ok(&input));
        }
    }
}

#[test]
fn a_bomb_stops_at_the_limit_in_every_codec() {
    let bomb = vec![0u8; 16 << 20];
    for codec in COMPRESSED {
        let bytes = packed(codec, &bomb);
        for limit in [0, 1, 100_000, 1 << 20] {
            let error = Err(CompressionError::Limit { limit });
            assert_eq!(decompress(codec, &bytes, limit), error, "{codec:?}");
        }
    }
}

#[test]
fn cut_off_streams_are_errors_in_every_codec() {
    for codec in COMPRESSED {
        let bytes = packed(codec, &sample(100_000));
        for length in [0, 1, 3, 7, 9, 17, 30, bytes.len() / 2, bytes.len() - 1] {
            let result = decompress(codec, &bytes[..length], 1 << 20);
            // A cut between two blocks of snappy's framing cannot be noticed.
            assert!(
                result.is_err() || (codec == Codec::Snappy && length == 16),
                "{codec:?} {length}"
            );
        }
    }
}

#[test]
fn lz4_frames_are_those_of_another_implementation() {
    let input = sample(200_000);
    let bytes = packed(Codec::Lz4, &input);
    let mut decoder = lz4_flex::frame::FrameDecoder::new(&*bytes).take(1 << 20);
    let mut output = Vec::new();
    decoder.read_to_end(&mut output).unwrap();
    assert_eq!(output, input);
    let info = lz4_flex::frame::FrameInfo::new()
        .content_checksum(true)
        .block_checksums(true)
        .content_size(Some(200_000))
        .block_size(lz4_flex::frame::BlockSize::Max256KB);
    let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
    encoder.write_all(&input).unwrap();
    let mut bytes = encoder.finish().unwrap();
    assert_eq!(decompress(Codec::Lz4, &bytes, 1 << 20).as_ref(), Ok(&input));
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    assert!(decompress(Codec::Lz4, &bytes, 1 << 20).is_err(), "the content's checksum counts");
}

#[test]
fn a_wrong_header_checksum_of_lz4_passes_only_in_magic_0() {
    let input = sample(1000);
    let mut bytes = packed(Codec::Lz4, &input);
    bytes[6] ^= 0xff;
    assert!(decompress(Codec::Lz4, &bytes, 1 << 20).is_err());
    assert_eq!(Codecs::new().decompress_magic0(Codec::Lz4, &bytes, 1 << 20), Ok(input));
}

#[test]
fn plain_and_concatenated_snappy_is_read() {
    let input = sample(100_000);
    let plain = snap::raw::Encoder::new().compress_vec(&input).unwrap();
    assert_eq!(decompress(Codec::Snappy, &plain, 1 << 20).as_ref(), Ok(&input));
    let twice = packed(Codec::Snappy, &input).repeat(2);
    assert_eq!(decompress(Codec::Snappy, &twice, 1 << 20), Ok(input.repeat(2)));
}

#[test]
fn zstd_frames_of_unknown_or_false_size_are_bounded() {
    let input = sample(3 << 20);
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.write_all(&input).unwrap();
    let bytes = encoder.finish().unwrap();
    assert_eq!(decompress(Codec::Zstd, &bytes, 4 << 20).as_ref(), Ok(&input));
    let limit = 1 << 20;
    assert_eq!(decompress(Codec::Zstd, &bytes, limit), Err(CompressionError::Limit { limit }));
    // Magic, single segment with an eight-byte content size, one stored block of one byte.
    let mut lie = vec![0x28, 0xb5, 0x2f, 0xfd, 0xe0];
    lie.extend_from_slice(&(1u64 << 40).to_le_bytes());
    lie.extend_from_slice(&[0x09, 0, 0, b'x']);
    assert!(decompress(Codec::Zstd, &lie, usize::MAX >> 1).is_err());
}

/// What comes in pieces, put together.
fn unfolded(codec: Codec, bytes: &[u8], limit: usize) -> Result<Vec<u8>, CompressionError> {
    let mut output = Vec::new();
    Codecs::new().unfold(codec, bytes, limit, &mut |piece| {
        output.extend_from_slice(piece);
        Ok(true)
    })?;
    Ok(output)
}

#[test]
fn pieces_are_the_whole_in_every_codec() {
    for codec in Codec::ALL {
        for length in [0, 1, 100, 32 * 1024, 64 * 1024 + 1, 500_000] {
            let input = sample(length);
            let bytes = packed(codec, &input);
            assert_eq!(unfolded(codec, &bytes, length).as_ref(), Ok(&input), "{codec:?}");
            if length > 0 {
                let limit = length - 1;
                let error = Err(CompressionError::Limit { limit });
                assert_eq!(unfolded(codec, &bytes, limit), error, "{codec:?} {length}");
            }
            if length > 100 && codec != Codec::None {
                assert!(unfolded(codec, &bytes[..bytes.len() - 1], length).is_err(), "{codec:?}");
            }
        }
    }
}

#[test]
fn every_codec_becomes_every_other_within_its_limits() {
    let input = sample(150_000);
    for (from, to) in Codec::ALL.into_iter().flat_map(|from| COMPRESSED.map(|to| (from, to))) {
        let bytes = packed(from, &input);
        let convert = |unfolded, converted| {
            let limits = ConversionLimits { unfolded, converted };
            Codecs::new().recompress((from, &bytes), to.into(), limits, &mut |_| true)
        };
        let converted = convert(150_000, 1 << 20).unwrap().expect("liked");
        assert_eq!(decompress(to, &converted, 1 << 20).as_ref(), Ok(&input), "{from:?} {to:?}");
        let limit = 149_999;
        assert_eq!(convert(limit, 1 << 20), Err(CompressionError::Limit { limit }));
        let limit = converted.len() - 1;
        assert_eq!(convert(150_000, limit), Err(CompressionError::TooLarge { limit }));
    }
}

/// For any size zstd's highest levels take hundreds of megabytes, and half a second: the frame tells that it was
/// made for its own.
#[test]
fn where_a_codec_tries_hard_it_knows_how_much_there_is() {
    const CONTENT_SIZE: u8 = 0b1100_0000;
    const SINGLE_SEGMENT: u8 = 0b0010_0000;
    for length in [1, 100, 64 * 1024, 64 * 1024 + 1, 150_000] {
        let input = sample(length);
        for (from, level) in Codec::ALL.into_iter().flat_map(|from| [10, 22].map(|to| (from, to))) {
            let bytes = packed(from, &input);
            let to = Compression { codec: Codec::Zstd, level: Some(level) };
            assert!(to.is_slow() && !Compression::from(Codec::Zstd).is_slow());
            let convert = |unfolded| {
                let limits = ConversionLimits { unfolded, converted: 1 << 20 };
                Codecs::new().recompress((from, &bytes), to, limits, &mut |_| true)
            };
            let converted = convert(length).unwrap().expect("liked");
            assert_eq!(decompress(Codec::Zstd, &converted, length).as_ref(), Ok(&input));
            assert_ne!(converted[4] & (CONTENT_SIZE | SINGLE_SEGMENT), 0, "{from:?} {length}");
            let limit = length - 1;
            assert_eq!(convert(limit), Err(CompressionError::Limit { limit }));
        }
    }
}

/// Nothing is held, nor work done, of what comes behind.
#[test]
fn who_has_outgrown_the_limit_is_not_converted_to_the_end() {
    let bytes = packed(Codec::Lz4, &sample(4_000_000));
    for to in COMPRESSED {
        let mut codecs = Codecs::new();
        let limits = ConversionLimits { unfolded: 4_000_000, converted: 1000 };
        let refused = codecs.recompress((Codec::Lz4, &bytes), to.into(), limits, &mut |_| true);
        assert_eq!(refused, Err(CompressionError::TooLarge { limit: 1000 }), "{to:?}");
        assert!(codecs.unfolded_bytes() < 2_000_000, "{to:?}: {}", codecs.unfolded_bytes());
    }
}

/// Whoever bounds the work of one request counts by this.
#[test]
fn what_was_unfolded_is_counted_in_every_codec_and_adds_up() {
    let input = sample(150_000);
    for codec in Codec::ALL {
        let (mut codecs, bytes) = (Codecs::new(), packed(codec, &input));
        let limits = ConversionLimits { unfolded: 150_000, converted: 1 << 20 };
        let counted = [150_000, 300_000].map(|_| {
            let done = codecs.recompress((codec, &bytes), Codec::Lz4.into(), limits, &mut |_| true);
            assert!(done.is_ok_and(|converted| converted.is_some()), "{codec:?}");
            codecs.unfolded_bytes()
        });
        assert_eq!(counted, [150_000, 300_000], "{codec:?}");
        codecs.unfold(codec, &bytes, 150_000, &mut |_| Ok(true)).expect("sound");
        assert_eq!(codecs.unfolded_bytes(), 450_000, "{codec:?}");
        let refused = codecs.unfold(codec, &bytes, 100_000, &mut |_| Ok(true));
        assert!(refused.is_err() && codecs.unfolded_bytes() >= 450_000, "{codec:?}");
    }
}

proptest! {
    #[test]
    fn any_bytes_come_back(input in prop::collection::vec(any::<u8>(), 0..5000)) {
        for codec in Codec::ALL {
            prop_assert_eq!(&decompress(codec, &packed(codec, &input), 5000), &Ok(input.clone()));
        }
    }

    #[test]
    fn garbage_never_panics_nor_outgrows_its_limit(
        input in prop::collection::vec(any::<u8>(), 0..300),
        codec in prop::sample::select(&COMPRESSED[..]),
    ) {
        if let Ok(output) = decompress(codec, &input, 1000) {
            prop_assert!(output.len() <= 1000);
        }
        if let Ok(output) = unfolded(codec, &input, 1000) {
            prop_assert!(output.len() <= 1000);
        }
    }

    #[test]
    fn mutated_streams_never_panic_nor_outgrow_their_limit(
        (at, value) in (0usize..4000, any::<u8>()),
        codec in prop::sample::select(&COMPRESSED[..]),
    ) {
        let mut bytes = packed(codec, &sample(20_000));
        let length = bytes.len();
        bytes[at % length] = value;
        if let Ok(output) = decompress(codec, &bytes, 30_000) {
            prop_assert!(output.len() <= 30_000);
        }
        if let Ok(output) = unfolded(codec, &bytes, 30_000) {
            prop_assert!(output.len() <= 30_000);
        }
    }
}
