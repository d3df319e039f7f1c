//! Who sends a large request in small pieces wakes its reader for each of them, unless the system is told
//! how much has to be there first (`SO_RCVLOWAT`). TLS clients do: librdkafka makes a record of each KiB,
//! sixty for a request of 64 KiB. So does who comes over a slow line; for all others it would be two calls
//! a request for nothing, and is not done before a piece was seen.
#![expect(unsafe_code, reason = "no library that is used here sets SO_RCVLOWAT")]

use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd};

use libc::{SO_RCVLOWAT, SOL_SOCKET, c_int, c_void, setsockopt, socklen_t};

/// Reads in the middle of a request that bring less are small pieces.
const PIECE_BYTES: usize = 16 * 1024;
/// More is not waited for: what has come is worth a look.
const LOW_WATER_MAX: usize = 64 * 1024;

/// How many bytes have to arrive before a connection is woken.
#[derive(Debug)]
pub(crate) struct LowWater {
    bytes: usize,
    /// The peer was seen to send large requests in small pieces.
    is_wanted: bool,
}

impl Default for LowWater {
    fn default() -> Self {
        Self { bytes: 1, is_wanted: false }
    }
}

impl LowWater {
    /// A read has brought so many bytes. `rest`: no fewer are still to come of a request that has begun.
    pub(crate) fn on_read(&mut self, received: usize, rest: Option<usize>) {
        let is_piece = (1..PIECE_BYTES).contains(&received);
        self.is_wanted |= is_piece && rest.is_some_and(|rest| rest >= PIECE_BYTES);
    }

    /// Sees to it that the connection is woken when it can go on and, if `rest` bytes are still to come,
    /// not for each piece of them.
    ///
    /// # Errors
    /// When the system does not take back what it was told: the connection might never be woken.
    pub(crate) fn arrange(
        &mut self,
        rest: Option<usize>,
        socket: BorrowedFd<'_>,
    ) -> io::Result<()> {
        let rest = rest.filter(|rest| self.is_wanted && *rest >= PIECE_BYTES);
        let bytes = rest.map_or(1, |rest| rest.min(LOW_WATER_MAX));
        if bytes == self.bytes {
            return Ok(());
        }
        match set(socket, bytes as c_int) {
            Ok(()) => self.bytes = bytes,
            // It would only have saved something.
            Err(_) if self.bytes == 1 => self.is_wanted = false,
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// Whoever waits already is woken if enough is there.
fn set(socket: BorrowedFd<'_>, bytes: c_int) -> io::Result<()> {
    let (value, length) = ((&raw const bytes).cast::<c_void>(), size_of::<c_int>() as socklen_t);
    // SAFETY: the value is an int that lives through the call, and its length is told.
    let done = unsafe { setsockopt(socket.as_raw_fd(), SOL_SOCKET, SO_RCVLOWAT, value, length) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn only_who_sends_in_pieces_is_waited_for_and_never_for_more_than_is_to_come() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let mut low_water = LowWater::default();
        let mut after = |received, rest| {
            low_water.on_read(received, rest);
            low_water.arrange(rest, socket.as_fd()).expect("set");
            low_water.bytes
        };
        assert_eq!(after(PIECE_BYTES, Some(1 << 20)), 1);
        assert_eq!(after(1000, Some(PIECE_BYTES - 1)), 1);
        assert_eq!(after(1000, None), 1);
        assert_eq!(after(1000, Some(1 << 20)), LOW_WATER_MAX);
        assert_eq!(after(LOW_WATER_MAX, Some(20_000)), 20_000);
        assert_eq!(after(19_000, Some(1000)), 1);
        assert_eq!(after(0, Some(30_000)), 30_000);
        assert_eq!(after(0, None), 1);
    }
}
