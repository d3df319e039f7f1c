//! Cutting frames off a connection's bytes, however they arrive.
//!
//! What must hold: nothing panics; the frames with their prefixes and what is left are the bytes that
//! came; no frame is above the limit; a buffer is asked for that is at most a factor beyond what has
//! arrived; who looks at the first bytes of a request says yes only to what is served.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use strom_broker::{EndpointType, is_produce, would_serve};
use strom_fuzz::choices::Choices;
use strom_intake::receive::{
    BufferPool, Front, SHARED_READ_BYTES, capacity_for_rest, is_whole, next_frame,
};

/// As in the module: what a buffer may be beyond what has arrived.
const GROWTH_FACTOR: usize = 8;
const BUFFER_BYTES_MIN: usize = 4096;

fuzz_target!(|input: &[u8]| {
    let mut choices = Choices::new(input);
    let limit = [100, 5000, 1 << 20, i32::MAX as usize][choices.place(4)];
    let step = 1 + choices.place(300);
    let bytes = choices.rest();
    let (mut buffer, mut pool) = (BytesMut::new(), BufferPool::default());
    let (mut allocated, mut streamed, mut taken) = (0, 0, Vec::new());
    'arriving: for piece in bytes.chunks(step) {
        buffer.extend_from_slice(piece);
        loop {
            let was_whole = is_whole(&buffer);
            match next_frame(&mut buffer, limit) {
                Front::Frame(frame) => {
                    assert!(was_whole && frame.len() <= limit);
                    taken.extend_from_slice(&(frame.len() as u32).to_be_bytes());
                    taken.extend_from_slice(&frame);
                    streamed = frame.len();
                    look_at(&frame);
                }
                Front::Incomplete { whole } => {
                    assert!(whole.is_none_or(|whole| whole > buffer.len() && whole <= limit + 4));
                    if let Some(capacity) = capacity_for_rest(&buffer, whole, streamed) {
                        assert!(capacity > buffer.len());
                        let arrived = buffer.len().max(streamed);
                        let justified = (arrived * GROWTH_FACTOR).max(BUFFER_BYTES_MIN) + 1;
                        assert!(capacity <= justified, "{capacity} for {arrived}");
                        allocated = pool.enlarge(&mut buffer, allocated, capacity);
                        assert!(buffer.capacity() <= justified.max(SHARED_READ_BYTES));
                    }
                    break;
                }
                Front::Impossible(why) => {
                    assert!(!why.is_empty());
                    break 'arriving;
                }
            }
        }
    }
    taken.extend_from_slice(&buffer);
    assert!(bytes.starts_with(&taken));
});

fn look_at(frame: &[u8]) {
    for endpoint in [EndpointType::Broker, EndpointType::Controller] {
        if would_serve(endpoint, frame).is_ok() {
            assert!(frame.len() >= 8);
        }
    }
    let _ = is_produce(frame);
}
