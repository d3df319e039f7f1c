//! From a socket's bytes to frames, with bounded memory.
//!
//! An idle connection holds no buffer: bytes are read into one buffer of the lane, and only the
//! beginning of an unfinished request moves into a buffer of its own. That one grows with what has
//! arrived, never ahead of it by more than a factor, and only for requests the broker would take.
//!
//! Who streams, one request behind the other, seldom ends a read where a request ends. Its buffer is as
//! large as a shared read and stays its own until a read does: the requests behind are read along, and
//! what is left at the end is copied once for many of them, not for each.

use std::collections::VecDeque;

use bytes::{Buf, BytesMut};
use strom_base::{Planted, planted};

/// What the shared buffer offers to one read.
pub const SHARED_READ_BYTES: usize = 256 * 1024;
/// What a request is taken for while its length is not known. When half as much of one has arrived its
/// header is looked at: only what is served is received further.
pub const UNPROVEN_BYTES_MAX: usize = 64 * 1024;
/// A buffer may be larger than what has arrived by this factor: a claim alone reserves nothing.
const GROWTH_FACTOR: usize = 8;
/// The least that a buffer has: who sends little makes the node hold little.
const BUFFER_BYTES_MIN: usize = 4 * 1024;
/// Of longer requests each is received into a buffer of its own; of shorter ones many into one.
const STREAMED_REQUEST_BYTES_MAX: usize = SHARED_READ_BYTES / 2;
/// Larger buffers are not kept for the next request.
const POOLED_BYTES_MAX: usize = 2 * 1024 * 1024;
const POOLED_BUFFERS_MAX: usize = 8;
/// Buffers of shared reads that wait for their frames to be done with.
const LENT_BUFFERS_MAX: usize = 8;
/// With less room than this behind frames that are still held the next read begins a buffer.
const REST_BYTES_MIN: usize = 32 * 1024;

/// How a record begins in which a client asks for TLS: as a length it is far beyond any limit.
const TLS_HANDSHAKE: [u8; 2] = [0x16, 0x03];

/// What stands at the front of a connection's bytes.
#[derive(Debug)]
pub enum Front {
    /// A whole request, without its length prefix.
    Frame(BytesMut),
    /// More bytes are needed; how many the request has in all with its prefix, if that is known.
    Incomplete { whole: Option<usize> },
    /// A length that no request has. The text says which.
    Impossible(String),
}

/// Cuts the next frame off `buffer`. `limit` is `socket.request.max.bytes`.
#[inline]
pub fn next_frame(buffer: &mut BytesMut, limit: usize) -> Front {
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

/// Whether all of the request at the front has arrived.
#[inline]
#[must_use]
pub fn is_whole(buffer: &[u8]) -> bool {
    let length = buffer.first_chunk::<4>().map(|prefix| i32::from_be_bytes(*prefix));
    let size = length.and_then(|length| usize::try_from(length).ok());
    size.is_some_and(|size| buffer.len() >= size + 4)
}

/// The capacity a buffer with `received` bytes of a request should have, of which `whole` is the
/// length with its prefix, if known. `streamed`: bytes that came together with the end of the
/// request before it; who streams may send more behind this one, and it is read along.
#[inline]
#[must_use]
pub fn capacity_for(received: usize, whole: Option<usize>, streamed: usize) -> usize {
    let whole = whole.unwrap_or(UNPROVEN_BYTES_MAX).max(received);
    if planted(Planted::ClaimTakenForMemory) {
        return whole;
    }
    let arrived = received.max(streamed);
    let wanted = match streamed {
        1.. if whole <= STREAMED_REQUEST_BYTES_MAX => SHARED_READ_BYTES,
        _ => whole,
    };
    wanted.min(arrived.saturating_mul(GROWTH_FACTOR).max(BUFFER_BYTES_MIN)).max(received)
}

/// The capacity that `buffer` needs for the rest of the request at its front, if it has no room: for
/// all of it in a stream, so that what is left at the buffer's end moves once for many requests.
#[inline]
#[must_use]
pub fn capacity_for_rest(
    buffer: &BytesMut,
    whole: Option<usize>,
    streamed: usize,
) -> Option<usize> {
    let received = buffer.len();
    let room = buffer.capacity() - received;
    let rest = whole.unwrap_or(received + 1).saturating_sub(received);
    let is_short = room == 0 || streamed > 0 && room < rest;
    is_short.then(|| capacity_for(received, whole, streamed).max(received + 1))
}

/// The most that [`BufferPool::take`] gives for so many bytes.
#[inline]
#[must_use]
pub fn lent_for(capacity: usize) -> usize {
    capacity.saturating_mul(GROWTH_FACTOR)
}

/// Buffers between requests. What is given back may still be referred to for a moment, by another
/// thread or by a write that waits.
#[derive(Debug, Default)]
pub struct BufferPool {
    /// With the capacity of each.
    free: Vec<(usize, BytesMut)>,
}

impl BufferPool {
    /// An empty buffer with room for `capacity` bytes.
    #[inline]
    pub fn take(&mut self, capacity: usize) -> BytesMut {
        let enough = lent_for(capacity);
        let fitting = self
            .free
            .iter_mut()
            // A large buffer for a few bytes would let many strangers hold many of them.
            .position(|(has, buffer)| {
                (capacity..=enough).contains(has) && buffer.try_reclaim(*has)
            });
        match fitting {
            Some(index) => self.free.swap_remove(index).1,
            None => BytesMut::with_capacity(capacity),
        }
    }

    /// Sees to it that `buffer`, which takes `allocated` bytes, has room for `capacity` bytes with those
    /// that it holds. What it takes then.
    pub fn enlarge(&mut self, buffer: &mut BytesMut, allocated: usize, capacity: usize) -> usize {
        if buffer.try_reclaim(capacity - buffer.len()) {
            // Perhaps without moving: then requests that were cut off still stand before it.
            return allocated.max(buffer.capacity());
        }
        if capacity > SHARED_READ_BYTES {
            // A large request grows where it is: two buffers for it would be held at a time.
            buffer.reserve(capacity - buffer.len());
        } else {
            let mut larger = self.take(capacity);
            larger.extend_from_slice(buffer);
            self.give(std::mem::replace(buffer, larger), allocated);
        }
        buffer.capacity()
    }

    /// The same, and it takes no more than that: what is pooled may be larger.
    pub fn enlarge_exactly(
        &mut self,
        buffer: &mut BytesMut,
        allocated: usize,
        capacity: usize,
    ) -> usize {
        if buffer.try_reclaim(capacity - buffer.len()) {
            return allocated.max(buffer.capacity());
        }
        self.move_over(buffer, allocated, capacity)
    }

    /// Moves what is left into a buffer of its size, if `buffer` is larger.
    pub fn shrink_to_fit(&mut self, buffer: &mut BytesMut, allocated: usize) -> usize {
        let fitting = buffer.len().max(BUFFER_BYTES_MIN);
        if allocated <= fitting { allocated } else { self.move_over(buffer, allocated, fitting) }
    }

    fn move_over(&mut self, buffer: &mut BytesMut, allocated: usize, capacity: usize) -> usize {
        let mut other = BytesMut::with_capacity(capacity);
        other.extend_from_slice(buffer);
        self.give(std::mem::replace(buffer, other), allocated);
        buffer.capacity()
    }

    /// Moves what is left into a smaller buffer when `buffer` is far above `justified`: who sent much
    /// once does not keep the place for it. What it takes then.
    pub fn shrink(&mut self, buffer: &mut BytesMut, allocated: usize, justified: usize) -> usize {
        if allocated <= justified.saturating_mul(GROWTH_FACTOR) {
            return allocated;
        }
        let mut smaller = self.take(justified);
        smaller.extend_from_slice(buffer);
        self.give(std::mem::replace(buffer, smaller), allocated);
        buffer.capacity()
    }

    /// Gives a buffer back that takes `allocated` bytes; what it still holds is dropped.
    #[inline]
    pub fn give(&mut self, mut buffer: BytesMut, allocated: usize) {
        buffer.clear();
        let is_kept = (UNPROVEN_BYTES_MAX..=POOLED_BYTES_MAX).contains(&allocated);
        if is_kept && self.free.len() < POOLED_BUFFERS_MAX {
            self.free.push((allocated, buffer));
        }
    }
}

/// The buffer that is read into by whichever connection has bytes; empty between turns.
#[derive(Debug)]
pub struct SharedRead {
    pub buffer: BytesMut,
    /// Of frames that somebody may still hold.
    lent: VecDeque<BytesMut>,
}

impl Default for SharedRead {
    fn default() -> Self {
        Self::new()
    }
}

impl SharedRead {
    #[must_use]
    pub fn new() -> Self {
        let buffer = BytesMut::with_capacity(SHARED_READ_BYTES);
        Self { buffer, lent: VecDeque::new() }
    }

    /// Sees to it that there is room for a read.
    #[inline]
    pub fn make_room(&mut self) {
        if self.buffer.try_reclaim(SHARED_READ_BYTES) || self.buffer.capacity() >= REST_BYTES_MIN {
            return;
        }
        let known = self.lent.iter_mut().position(|it| it.try_reclaim(SHARED_READ_BYTES));
        let next = match known.and_then(|index| self.lent.remove(index)) {
            Some(free) => free,
            None => BytesMut::with_capacity(SHARED_READ_BYTES),
        };
        self.lent.push_back(std::mem::replace(&mut self.buffer, next));
        if self.lent.len() > LENT_BUFFERS_MAX {
            self.lent.pop_front();
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
        pool.give(BytesMut::with_capacity(1 << 20), 1 << 20);
        assert!(pool.take(BUFFER_BYTES_MIN).capacity() < 1 << 20);
        assert!(pool.take(1 << 20).capacity() >= 1 << 20);
        assert!(pool.free.is_empty());
    }

    #[test]
    fn a_buffer_is_used_again_when_its_frames_are_done_with() {
        let mut pool = BufferPool::default();
        let mut buffer = BytesMut::zeroed(1 << 20);
        let frame = buffer.split();
        pool.give(buffer, 1 << 20);
        let other = pool.take(1 << 20);
        assert_ne!(other.as_ptr(), frame.as_ptr());
        let address = frame.as_ptr();
        drop(frame);
        assert_eq!(pool.take(1 << 20).as_ptr(), address);
    }

    #[test]
    fn what_is_read_next_goes_beside_frames_that_are_held() {
        let mut shared = SharedRead::new();
        shared.make_room();
        let begin = shared.buffer.as_ptr();
        shared.buffer.extend_from_slice(&[7; 100]);
        let small = shared.buffer.split();
        shared.make_room();
        assert_eq!(shared.buffer.as_ptr(), begin.wrapping_add(100));
        shared.buffer.extend_from_slice(&[8; SHARED_READ_BYTES - 200]);
        let large = shared.buffer.split();
        shared.make_room();
        assert!(shared.buffer.capacity() >= SHARED_READ_BYTES);
        let other = shared.buffer.as_ptr();
        assert_eq!((&small[..], &large[..1]), (&[7; 100][..], &[8][..]));
        drop((small, large));
        shared.buffer.extend_from_slice(&[9; SHARED_READ_BYTES]);
        let held = shared.buffer.split();
        shared.make_room();
        assert_eq!(shared.buffer.as_ptr(), begin);
        assert_eq!(held.as_ptr(), other);
    }

    #[test]
    fn a_claim_alone_reserves_little() {
        assert_eq!(capacity_for(4, Some(100 << 20), 0), BUFFER_BYTES_MIN);
        assert_eq!(capacity_for(256 << 10, Some(1 << 20), 0), 1 << 20);
        assert_eq!(capacity_for(4, Some(100), 4096), 4096 * GROWTH_FACTOR);
        assert_eq!(capacity_for(4, Some(100), 1 << 20), SHARED_READ_BYTES);
    }

    #[test]
    fn who_streams_has_what_is_left_moved_once_for_many_requests() {
        let mut pool = BufferPool::default();
        let mut buffer = BytesMut::with_capacity(1000);
        buffer.extend_from_slice(&[7; 900]);
        drop(buffer.split_to(700));
        assert_eq!(capacity_for_rest(&buffer, Some(300), 900), None);
        assert_eq!(capacity_for_rest(&buffer, Some(301), 0), None);
        let capacity = capacity_for_rest(&buffer, Some(301), 900);
        assert_eq!(capacity, Some(900 * GROWTH_FACTOR));
        assert!(pool.enlarge(&mut buffer, 1000, 900) >= 900);
        assert_eq!(&buffer[..], [7; 200]);
        assert!(pool.enlarge(&mut buffer, 1000, 7200) >= 7200);
        assert_eq!(&buffer[..], [7; 200]);
        // What is before the bytes counts, too.
        let allocated = buffer.capacity();
        buffer.extend_from_slice(&[8; 5000]);
        drop(buffer.split_to(5000));
        assert_eq!(pool.enlarge(&mut buffer, allocated, 300), allocated);
        // Who sends little from now on does not keep it.
        assert_eq!(pool.shrink(&mut buffer, allocated, allocated / GROWTH_FACTOR), allocated);
        assert!(pool.shrink(&mut buffer, allocated, 300) < allocated);
        assert_eq!(&buffer[..], [8; 200]);
    }
}
