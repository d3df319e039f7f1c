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
    /// Of little, all is compressed at once when it is known how much it is: a stream makes tables for any size, of
    /// hundreds of megabytes at the highest levels.
    Zstd {
        contexts: &'c mut zstandard::Contexts,
        to: Compression,
        size: Option<u64>,
        stream: Option<Box<zstd::Encoder<'static, Vec<u8>>>>,
    },
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
        let size = match from {
            Codec::None => Some(input.len() as u64),
            _ if to.is_slow() => Some(size_of(reader, (from, input), limits.unfolded)?),
            _ => None,
        };
        let mut target = Target::new(self, (to, size), limits.converted);
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
    fn new(codecs: &'c mut Codecs, (to, size): (Compression, Option<u64>), limit: usize) -> Self {
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
            Codec::Zstd => Encoder::Zstd { contexts: &mut codecs.zstd, to, size, stream: None },
        };
        Self { encoder, codec: to.codec, gathered: Vec::new(), output, limit }
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
            Encoder::Zstd { to, size, stream, .. } => {
                let stream = match stream {
                    Some(stream) => stream,
                    None => stream.insert(Box::new(zstd_stream(*to, *size)?)),
                };
                stream.write_all(gathered).map_err(|_| failed(self.codec))?;
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
            Encoder::Zstd { stream: Some(stream), .. } => stream.get_ref().len(),
            _ => 0,
        };
        if self.output.len().saturating_add(inside) > self.limit {
            return Err(CompressionError::TooLarge { limit: self.limit });
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<u8>, CompressionError> {
        if let Encoder::Zstd { contexts, to, stream: None, .. } = &mut self.encoder {
            contexts.compress(to.level, &self.gathered, &mut self.output)?;
            self.gathered.clear();
        } else {
            self.compress()?;
        }
        let mut output = match self.encoder {
            Encoder::Gzip(encoder) => encoder.finish().map_err(|_| failed(self.codec))?,
            Encoder::Zstd { stream: Some(stream), .. } => {
                stream.finish().map_err(|_| failed(self.codec))?
            }
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

fn zstd_stream(
    to: Compression,
    size: Option<u64>,
) -> Result<zstd::Encoder<'static, Vec<u8>>, CompressionError> {
    let level = zstandard::level_of(to.level);
    let mut stream = zstd::Encoder::new(Vec::new(), level).map_err(|_| failed(to.codec))?;
    stream.set_pledged_src_size(size).map_err(|_| failed(to.codec))?;
    Ok(stream)
}

/// Bytes that `input` unfolds to.
fn size_of(
    reader: &mut Codecs,
    (from, input): (Codec, &[u8]),
    limit: usize,
) -> Result<u64, CompressionError> {
    let mut size = 0;
    reader.unfold(from, input, limit, &mut |piece| {
        size += piece.len() as u64;
        Ok(true)
    })?;
    Ok(size)
}

fn failed(codec: Codec) -> CompressionError {
    CompressionError::Failed { codec, reason: "the encoder stopped" }
}
