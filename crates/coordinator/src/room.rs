//! How large one answer may become.

/// Memory for what a request asks to be described, beside what its names take.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// What is left of an answer's memory. A few bytes can ask for many.
#[derive(Debug)]
pub struct AnswerRoom {
    left: usize,
}

impl Default for AnswerRoom {
    fn default() -> Self {
        Self { left: ANSWER_BYTES_MAX }
    }
}

impl AnswerRoom {
    /// Told with INVALID_REQUEST to whom nothing was described any more.
    pub const REFUSAL: &'static str = "The answer would be too large: ask for less at once.";

    /// False when there is not so much left; then there is nothing left any more.
    #[must_use]
    pub fn take(&mut self, bytes: usize) -> bool {
        let left = self.left.checked_sub(bytes);
        self.left = left.unwrap_or(0);
        left.is_some()
    }

    #[must_use]
    pub fn is_used_up(&self) -> bool {
        self.left == 0
    }
}
