//! The codecs of record batches, every output bounded.
//!
//! A decompressor never holds more than its `limit` and one block, whatever the bytes claim: a bomb
//! ends in [`CompressionError::Limit`]. Who only looks at what is inside takes it in pieces
//! ([`Codecs::unfold`]), and a block is all that is held. [`Codecs`] keeps the contexts that are dear to make (zstd's
//! above all); a thread has one and lends it. Formats are those Kafka's Java client writes and reads.

mod gzip;
mod lz4;
mod pieces;
mod recompress;
mod snappy;
mod xxhash;
mod zstandard;

use lz4::HeaderChecksum;
pub use recompress::ConversionLimits;

/// How the records of a batch are compressed; the id stands in the batch's attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Codec {
    #[default]
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

impl Codec {
    pub const ALL: [Codec; 5] = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];

    /// The id in the attributes of batches and messages.
    #[must_use]
    pub fn id(self) -> i16 {
        match self {
            Codec::None => 0,
            Codec::Gzip => 1,
            Codec::Snappy => 2,
            Codec::Lz4 => 3,
            Codec::Zstd => 4,
        }
    }

    #[must_use]
    pub fn from_id(id: i16) -> Option<Codec> {
        Codec::ALL.into_iter().find(|codec| codec.id() == id)
    }

    /// The name in `compression.type`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Codec::None => "none",
            Codec::Gzip => "gzip",
            Codec::Snappy => "snappy",
            Codec::Lz4 => "lz4",
            Codec::Zstd => "zstd",
        }
    }

    /// From a producer's or topic's `compression.type`; the topic's word for none is `uncompressed`.
    /// `producer` is no codec.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Codec> {
        if name == "uncompressed" {
            return Some(Codec::None);
        }
        Codec::ALL.into_iter().find(|codec| codec.name() == name)
    }
}

impl Codec {
    /// No stream of the codec becomes more than so many times its bytes.
    #[must_use]
    pub fn largest_ratio(self) -> usize {
        match self {
            Codec::None => 1,
            // Two bits of deflate copy 258 bytes.
            Codec::Gzip => 1032,
            Codec::Snappy => snappy::MAX_RATIO,
            Codec::Lz4 => lz4::MAX_RATIO,
            // Four bytes are a block that repeats one byte 128 Ki times.
            Codec::Zstd => 32 * 1024,
        }
    }
}

/// A codec and how hard it tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Compression {
    pub codec: Codec,
    /// `compression.<codec>.level`; `None` is Kafka's default (gzip -1, zstd 3). A level the codec
    /// does not have is taken for the nearest one. Snappy has none, and lz4 knows only its fast
    /// mode here: its readers see no difference.
    pub level: Option<i32>,
}

/// zstd's levels above take tens of megabytes, and a second for a few megabytes.
const FAST_ZSTD_LEVEL_MAX: i32 = 9;

impl Compression {
    /// Whether it takes much longer than to unfold what it makes.
    #[must_use]
    pub fn is_slow(self) -> bool {
        self.codec == Codec::Zstd && zstandard::level_of(self.level) > FAST_ZSTD_LEVEL_MAX
    }
}

impl From<Codec> for Compression {
    fn from(codec: Codec) -> Self {
        Compression { codec, level: None }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompressionError {
    #[error("the records take more than {limit} bytes when decompressed")]
    Limit { limit: usize },
    #[error("the records take more than {limit} bytes when compressed anew")]
    TooLarge { limit: usize },
    #[error("the records are no valid {}: {reason}", codec.name())]
    Corrupt { codec: Codec, reason: &'static str },
    /// Ours, not the sender's: the codec could not work.
    #[error("{} failed to compress: {reason}", codec.name())]
    Failed { codec: Codec, reason: &'static str },
}

/// The contexts of the codecs, made on first use and kept.
#[derive(Default)]
pub struct Codecs {
    /// What was unfolded in pieces so far, in bytes.
    unfolded_bytes: u64,
    zstd: zstandard::Contexts,
    snappy: snappy::Contexts,
    lz4: lz4::Contexts,
}

impl Codecs {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes that were given out piece by piece so far, also those of streams that were broken or too
    /// long: the work that senders have caused.
    #[must_use]
    pub fn unfolded_bytes(&self) -> u64 {
        self.unfolded_bytes
    }

    /// Appends the compressed form of `input` to `output`.
    ///
    /// # Errors
    /// Only [`CompressionError::Failed`]; `output` may then hold a part.
    pub fn compress(
        &mut self,
        compression: Compression,
        input: &[u8],
        output: &mut Vec<u8>,
    ) -> Result<(), CompressionError> {
        match compression.codec {
            Codec::None => output.extend_from_slice(input),
            Codec::Gzip => return gzip::compress(compression.level, input, output),
            Codec::Snappy => return self.snappy.compress(input, output),
            Codec::Lz4 => return self.lz4.compress(input, output),
            Codec::Zstd => return self.zstd.compress(compression.level, input, output),
        }
        Ok(())
    }

    /// The decompressed form of `input`, at most `limit` bytes.
    ///
    /// # Errors
    /// Bytes that are none of the codec's, or more than `limit` of them.
    pub fn decompress(
        &mut self,
        codec: Codec,
        input: &[u8],
        limit: usize,
    ) -> Result<Vec<u8>, CompressionError> {
        self.decompress_with(codec, input, limit, HeaderChecksum::Checked)
    }

    /// As [`Codecs::decompress`], for messages of magic 0: what wrote them computed the checksum of
    /// an lz4 frame's header wrongly (KIP-57), so nobody looks at it.
    ///
    /// # Errors
    /// As for [`Codecs::decompress`].
    pub fn decompress_magic0(
        &mut self,
        codec: Codec,
        input: &[u8],
        limit: usize,
    ) -> Result<Vec<u8>, CompressionError> {
        self.decompress_with(codec, input, limit, HeaderChecksum::Ignored)
    }

    fn decompress_with(
        &mut self,
        codec: Codec,
        input: &[u8],
        limit: usize,
        header_checksum: HeaderChecksum,
    ) -> Result<Vec<u8>, CompressionError> {
        match codec {
            Codec::None if input.len() > limit => Err(CompressionError::Limit { limit }),
            Codec::None => Ok(input.to_vec()),
            Codec::Gzip => gzip::decompress(input, limit),
            Codec::Snappy => self.snappy.decompress(input, limit),
            Codec::Lz4 => lz4::decompress(input, limit, header_checksum),
            Codec::Zstd => self.zstd.decompress(input, limit),
        }
    }
}

/// [`Codecs::compress`] with contexts of its own: for tools and tests, not for the hot path.
///
/// # Errors
/// As for [`Codecs::compress`].
pub fn compress(
    codec: Codec,
    level: Option<i32>,
    input: &[u8],
    output: &mut Vec<u8>,
) -> Result<(), CompressionError> {
    Codecs::new().compress(Compression { codec, level }, input, output)
}

/// [`Codecs::decompress`] with contexts of its own: for tools and tests, not for the hot path.
///
/// # Errors
/// As for [`Codecs::decompress`].
pub fn decompress(codec: Codec, input: &[u8], limit: usize) -> Result<Vec<u8>, CompressionError> {
    Codecs::new().decompress(codec, input, limit)
}
