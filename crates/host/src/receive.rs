//! From a socket's bytes to frames, with bounded memory.
//!
//! An idle connection holds no buffer: bytes are read into one buffer of the shard, and only the
//! beginning of an unfinished request moves into a buffer of its own. That one grows with what has
//! arrived, never ahead of it by more than a factor, and only for requests the broker would take.

use bytes::{Buf, BytesMut};

/// What the shared buffer offers to one read.
pub(crate) const SHARED_READ_BYTES: usize = 256 * 1024;
/// What a connection may hold before its request's header was seen to be one that is served.
pub(crate) const UNPROVEN_BYTES_MAX: usize = 64 * 1024;
/// A buffer may be larger than what has arrived by this factor: a claim alone reserves nothing.
const GROWTH_FACTOR: usize = 8;
/// The least that a buffer has: who sends little makes the node hold little.
const BUFFER_BYTES_MIN: usize = 4 * 1024;
/// Larger buffers are not kept for the next request.
const POOLED_BYTES_MAX: usize = 2 * 1024 * 1024;
const POOLED_BUFFERS_MAX: usize = 8;

/// How a record begins in which a client asks for TLS: as a length it is far beyond any limit.
const TLS_HANDSHAKE: [u8; 2] = [0x16, 0x03];

/// What stands at the front of a connection's bytes.
#[derive(Debug)]
pub(crate) enum Front {
    /// A whole request, without its length prefix.
    Frame(BytesMut),
    /// More bytes are needed; how many the request has in all with its prefix, if that is known.
    Incomplete { whole: Option<usize> },
    /// A length that no request has. The text says which.
    Impossible(String),
}

/// Cuts the next frame off `buffer`. `limit` is `socket.request.max.bytes`.
pub(crate) fn next_frame(buffer: &mut BytesMut, limit: usize) -> Front {
    let Some(prefix) = buffer.first_chunk::<4>() else { return Front::Incomplete { whole: None } };
    let length = i32::from_be_bytes(*prefix);
    let Ok(size) = usize::try_from(length) else {
        return Front::Impossible(format!("a request of {length} bytes"));
    };
    if size > limit && prefix.starts_with(&TLS_HANDSHAKE) {
        return Front::Impossible(
            "a client with TLS on a listener without: use a TLS listener's port, or \
             security.protocol=PLAINTEXT at the client"
                .to_owned(),
        );
    }
    if size > limit {
        return Front::Impossible(format!("a request of {size} bytes, {limit} are allowed"));
    }
    let whole = size + 4;
    if buffer.len() < whole {
        return Front::Incomplete { whole: Some(whole) };
    }
    let mut frame = buffer.split_to(whole);
    frame.advance(4);
    Front::Frame(frame)
}

/// The capacity a buffer with `received` bytes of a request of `whole` bytes should have.
#[must_use]
pub(crate) fn capacity_for(received: usize, whole: usize) -> usize {
    whole.min(received.saturating_mul(GROWTH_FACTOR).max(BUFFER_BYTES_MIN)).max(received)
}

/// Buffers between requests. A buffer whose bytes are still referred to somewhere is let go.
#[derive(Debug, Default)]
pub(crate) struct BufferPool {
    free: Vec<BytesMut>,
}

impl BufferPool {
    /// An empty buffer with room for `capacity` bytes.
    pub(crate) fn take(&mut self, capacity: usize) -> BytesMut {
        let enough = capacity.saturating_mul(GROWTH_FACTOR);
        let fitting = self
            .free
            .iter_mut()
            // A large buffer for a few bytes would let many strangers hold many of them.
            .position(|buffer| buffer.capacity() <= enough && buffer.try_reclaim(capacity));
        match fitting {
            Some(index) => self.free.swap_remove(index),
            None => BytesMut::with_capacity(capacity),
        }
    }

    /// Gives a buffer back; what it still holds is dropped.
    pub(crate) fn give(&mut self, mut buffer: BytesMut) {
        buffer.clear();
        if self.free.len() < POOLED_BUFFERS_MAX
            && buffer.try_reclaim(UNPROVEN_BYTES_MAX)
            && buffer.capacity() <= POOLED_BYTES_MAX
        {
            self.free.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_cut_and_the_rest_stays() {
        let mut buffer = BytesMut::from(&[0, 0, 0, 2, 7, 8, 0, 0][..]);
        match next_frame(&mut buffer, 100) {
            Front::Frame(frame) => assert_eq!(&frame[..], [7, 8]),
            other => panic!("{other:?}"),
        }
        assert!(matches!(next_frame(&mut buffer, 100), Front::Incomplete { whole: None }));
    }

    #[test]
    fn an_oversized_or_negative_length_is_refused_before_its_bytes() {
        let mut large = BytesMut::from(&[0, 0, 0, 101][..]);
        assert!(matches!(next_frame(&mut large, 100), Front::Impossible(_)));
        let mut tls = BytesMut::from(&[0x16, 3, 1, 2][..]);
        assert!(matches!(next_frame(&mut tls, 100), Front::Impossible(why) if why.contains("TLS")));
        let mut negative = BytesMut::from(&[0xff, 0, 0, 0][..]);
        assert!(matches!(next_frame(&mut negative, 100), Front::Impossible(_)));
    }

    #[test]
    fn a_large_buffer_is_not_lent_for_a_few_bytes() {
        let mut pool = BufferPool::default();
        pool.give(BytesMut::with_capacity(1 << 20));
        assert!(pool.take(BUFFER_BYTES_MIN).capacity() < 1 << 20);
        assert!(pool.take(1 << 20).capacity() >= 1 << 20);
        assert!(pool.free.is_empty());
    }

    #[test]
    fn a_claim_alone_reserves_little() {
        assert_eq!(capacity_for(4, 100 << 20), BUFFER_BYTES_MIN);
        assert_eq!(capacity_for(256 << 10, 1 << 20), 1 << 20);
    }
}
