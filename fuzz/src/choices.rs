//! The bytes of an input as a source of choices: a small change of the bytes is a small change of what
//! is made of them. Where they end everything is zero and nothing is special, so that all ends soon.

use strom_protocol::sample::Draw;

/// What is left of an input.
#[derive(Clone, Debug)]
pub struct Choices<'a> {
    rest: &'a [u8],
}

impl<'a> Choices<'a> {
    #[must_use]
    pub fn new(input: &'a [u8]) -> Self {
        Self { rest: input }
    }

    #[must_use]
    pub fn is_over(&self) -> bool {
        self.rest.is_empty()
    }

    /// All that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// So many bytes, or fewer at the end.
    pub fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(length.min(self.rest.len()));
        self.rest = rest;
        taken
    }

    /// A piece of the input with its length before it, big-endian in two bytes.
    pub fn piece(&mut self) -> &'a [u8] {
        let length = self.number(2) as usize;
        self.take(length)
    }

    pub fn byte(&mut self) -> u8 {
        self.number(1) as u8
    }

    /// A big-endian number of so many bytes, at most 8.
    pub fn number(&mut self, bytes: usize) -> u64 {
        self.take(bytes).iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    /// A place in something of this length; 0 for nothing.
    pub fn place(&mut self, length: usize) -> usize {
        self.below(length as u64) as usize
    }

    /// A number that is often near a boundary.
    pub fn some_i64(&mut self) -> i64 {
        match self.byte() {
            0 => 0,
            1 => -1,
            2 => i64::MAX,
            3 => i64::MIN,
            4 => i64::from(i32::MAX),
            5 => i64::from(i32::MIN),
            6..=63 => self.number(8) as i64,
            small => i64::from(small) - 64,
        }
    }

    /// One of them; `None` of nothing.
    pub fn one_of<'l, T>(&mut self, list: &'l [T]) -> Option<&'l T> {
        list.get(self.place(list.len()))
    }
}

impl Draw for Choices<'_> {
    fn next_u64(&mut self) -> u64 {
        self.number(8)
    }

    fn below(&mut self, bound: u64) -> u64 {
        let bytes = match bound {
            0 | 1 => return 0,
            2..=0x100 => 1,
            0x101..=0x1_0000 => 2,
            0x1_0001..=0x1_0000_0000 => 4,
            _ => 8,
        };
        self.number(bytes) % bound
    }

    /// Never true behind the end: what is rare must not become the rule there.
    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) + 1 == n
    }
}
