//! From one codec to another in pieces, so that the records between them are never whole in memory.

use std::io::Write;

use flate2::write::GzEncoder;

use super::{Codec, Codecs, Compression, CompressionError, gzip, lz4, snappy, zstandard};

/// How much is gathered before it is compressed: whole blocks of snappy and lz4.
const GATHERED: usize = 64 * 1024;

/// Bounds of a conversion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConversionLimits {
    /// Bytes between the two codecs.
    pub unfolded: usize,
    /// Bytes of the result.
    pub converted: usize,
}

enum Encoder<'c> {
    None,
    Gzip(Box<GzEncoder<Vec<u8>>>),
    Snappy(&'c mut snappy::Contexts),
    Lz4(&'c mut lz4::Contexts),
    Zstd(Box<zstd::Encoder<'static, Vec<u8>>>),
}

/// Takes pieces of any size and compresses them as one stream.
struct Target<'c> {
    encoder: Encoder<'c>,
    codec: Codec,
    gathered: Vec<u8>,
    output: Vec<u8>,
    limit: usize,
}

impl Codecs {
    /// What `input` holds in the codec `from`, compressed anew. Each piece is shown to `look`; nothing
    /// comes of it when that says false.
    ///
    /// # Errors
    /// As [`Codecs::unfold`], [`CompressionError::TooLarge`] for a result beyond its limit, and
    /// [`CompressionError::Failed`].
    pub fn recompress(
        &mut self,
        (from, input): (Codec, &[u8]),
        to: Compression,
        limits: ConversionLimits,
        look: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<Option<Vec<u8>>, CompressionError> {
        let mut reader = Codecs::new();
        let result = self.recompress_by(&mut reader, (from, input), to, limits, look);
        self.unfolded_bytes += reader.unfolded_bytes;
        result
    }

    fn recompress_by(
        &mut self,
        reader: &mut Codecs,
        (from, input): (Codec, &[u8]),
        to: Compression,
        limits: ConversionLimits,
        look: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<Option<Vec<u8>>, CompressionError> {
        let mut target = Target::new(self, to, limits.converted)?;
        let mut is_liked = true;
        reader.unfold(from, input, limits.unfolded, &mut |piece| {
            is_liked = look(piece);
            if is_liked {
                target.take(piece)?;
            }
            Ok(is_liked)
        })?;
        if is_liked { target.finish().map(Some) } else { Ok(None) }
    }
}

impl<'c> Target<'c> {
    fn new(
        codecs: &'c mut Codecs,
        to: Compression,
        limit: usize,
    ) -> Result<Self, CompressionError> {
        let mut output = Vec::new();
        let encoder = match to.codec {
            Codec::None => Encoder::None,
            Codec::Gzip => {
                let level = gzip::level_of(to.level);
                Encoder::Gzip(Box::new(GzEncoder::new(Vec::new(), level)))
            }
            Codec::Snappy => {
                snappy::begin(&mut output);
                Encoder::Snappy(&mut codecs.snappy)
            }
            Codec::Lz4 => {
                lz4::begin(&mut output);
                Encoder::Lz4(&mut codecs.lz4)
            }
            Codec::Zstd => {
                let level = zstandard::level_of(to.level);
                let encoder = zstd::Encoder::new(Vec::new(), level);
                Encoder::Zstd(Box::new(encoder.map_err(|_| failed(to.codec))?))
            }
        };
        Ok(Self { encoder, codec: to.codec, gathered: Vec::new(), output, limit })
    }

    fn take(&mut self, mut piece: &[u8]) -> Result<(), CompressionError> {
        while !piece.is_empty() {
            let room = GATHERED.saturating_sub(self.gathered.len()).min(piece.len());
            let (taken, rest) = piece.split_at_checked(room).unwrap_or((piece, &[]));
            self.gathered.extend_from_slice(taken);
            piece = rest;
            if self.gathered.len() >= GATHERED {
                self.compress()?;
            }
        }
        Ok(())
    }

    fn compress(&mut self) -> Result<(), CompressionError> {
        let gathered = self.gathered.as_slice();
        match &mut self.encoder {
            Encoder::None => self.output.extend_from_slice(gathered),
            Encoder::Gzip(encoder) => {
                encoder.write_all(gathered).map_err(|_| failed(self.codec))?;
            }
            Encoder::Zstd(encoder) => {
                encoder.write_all(gathered).map_err(|_| failed(self.codec))?;
            }
            Encoder::Snappy(contexts) => contexts.append_blocks(gathered, &mut self.output)?,
            Encoder::Lz4(contexts) => contexts.append_blocks(gathered, &mut self.output)?,
        }
        self.gathered.clear();
        self.check_size()
    }

    fn check_size(&self) -> Result<(), CompressionError> {
        let inside = match &self.encoder {
            Encoder::Gzip(encoder) => encoder.get_ref().len(),
            Encoder::Zstd(encoder) => encoder.get_ref().len(),
            _ => 0,
        };
        if self.output.len().saturating_add(inside) > self.limit {
            return Err(CompressionError::TooLarge { limit: self.limit });
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<u8>, CompressionError> {
        self.compress()?;
        let mut output = match self.encoder {
            Encoder::Gzip(encoder) => encoder.finish().map_err(|_| failed(self.codec))?,
            Encoder::Zstd(encoder) => encoder.finish().map_err(|_| failed(self.codec))?,
            _ => self.output,
        };
        if self.codec == Codec::Lz4 {
            lz4::end(&mut output);
        }
        if output.len() > self.limit {
            return Err(CompressionError::TooLarge { limit: self.limit });
        }
        Ok(output)
    }
}

fn failed(codec: Codec) -> CompressionError {
    CompressionError::Failed { codec, reason: "the encoder stopped" }
}
