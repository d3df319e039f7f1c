//! How often a call is tried again: with growing pauses, until its time is over.

use crate::error::{ClientError, Result};
use crate::{Cluster, Settings};
use std::time::Duration;
use tokio::time::Instant;

const PAUSE_MS_MAX: u64 = 1_000;

#[derive(Debug)]
pub struct Attempts {
    deadline: Instant,
    pause_ms: u64,
}

impl Attempts {
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Attempts {
            deadline: Instant::now() + Duration::from_millis(settings.api_timeout_ms),
            pause_ms: settings.retry_backoff_ms.max(1),
        }
    }

    /// Pauses before another attempt.
    ///
    /// # Errors
    /// The given error, when another attempt would not help or the time is over.
    pub async fn after(&mut self, error: ClientError) -> Result<()> {
        let pause = Duration::from_millis(self.pause_ms);
        if !error.is_retriable() || Instant::now() + pause > self.deadline {
            return Err(error);
        }
        tokio::time::sleep(pause).await;
        self.pause_ms = (self.pause_ms * 2).min(PAUSE_MS_MAX);
        Ok(())
    }
}

impl Cluster {
    /// Does the work again as long as its failures are passing ones: a coordinator that is being
    /// loaded, a leader that is being elected.
    ///
    /// # Errors
    /// The work's, when another attempt would not help or the time is over.
    pub(crate) async fn with_attempts<T>(
        &mut self,
        mut work: impl AsyncFnMut(&mut Cluster) -> Result<T>,
    ) -> Result<T> {
        let mut attempts = Attempts::new(self.settings());
        loop {
            match work(self).await {
                Ok(value) => return Ok(value),
                Err(error) => attempts.after(error).await?,
            }
        }
    }
}
