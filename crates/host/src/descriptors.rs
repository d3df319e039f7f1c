//! The process's file descriptors: as many as the system gives, shared between the logs' files and
//! connections, so that a flood of connections never keeps a log from opening its files.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that the engine keeps open where the system's limit allows.
const OPEN_FILES_MAX: u64 = 4096;
/// What neither logs nor connections are: listeners, locks, the runtime, files of jobs.
const RESERVE: u64 = 64;
/// Where the system sets no limit.
const UNLIMITED: u64 = 1 << 20;

/// How many descriptors may serve what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Descriptors {
    pub(crate) files: usize,
    pub(crate) connections: u32,
}

impl Descriptors {
    /// Raises this process's limit to what it may be, and shares it out.
    #[must_use]
    pub(crate) fn claim() -> Self {
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
        let limit = if raised.is_ok() { maximum } else { current };
        Self::share(limit.unwrap_or(UNLIMITED))
    }

    fn share(limit: u64) -> Self {
        let files = (limit / 2).min(OPEN_FILES_MAX);
        let connections = limit.saturating_sub(files + RESERVE).max(1);
        Self { files: files as usize, connections: connections.min(u64::from(u32::MAX)) as u32 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_and_connections_share_what_there_is() {
        let share = |limit| {
            let Descriptors { files, connections } = Descriptors::share(limit);
            (files, connections)
        };
        assert_eq!(share(1024), (512, 448));
        assert_eq!(share(20_000), (4096, 15_840));
        assert_eq!(share(10), (5, 1));
    }
}
