//! How a tool ends when it does not succeed: a sentence on stderr and an exit code.

use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;
use strom_broker::boot::BootError;
use strom_client::ClientError;

#[derive(Debug)]
pub(crate) enum Failure {
    /// One sentence for the operator; exit code 1.
    Said(String),
    /// The cluster said no, in its words. Exit code 1.
    Refused(String),
    /// Everything has been said; this exit code.
    Silent(u8),
}

pub(crate) type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    pub(crate) fn said(sentence: impl Into<String>) -> Failure {
        Failure::Said(sentence.into())
    }

    /// Prints what there is to say, and gives the exit code.
    pub(crate) fn report(self) -> ExitCode {
        match self {
            Failure::Said(sentence) | Failure::Refused(sentence) => {
                // Nobody may be listening on stderr either.
                let _ = writeln!(io::stderr(), "{sentence}");
                ExitCode::from(1)
            }
            Failure::Silent(code) => ExitCode::from(code),
        }
    }

    /// Puts Kafka's words for the failed tool in front.
    pub(crate) fn while_doing(self, what: &str) -> Failure {
        match self {
            Failure::Said(sentence) => Failure::Said(format!("{what}{sentence}")),
            Failure::Refused(sentence) => Failure::Refused(format!("{what}{sentence}")),
            silent @ Failure::Silent(_) => silent,
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Failure {
        match error {
            ClientError::Refused(refusal) => Failure::Refused(refusal.to_string()),
            error => Failure::Said(error.to_string()),
        }
    }
}

impl From<BootError> for Failure {
    fn from(error: BootError) -> Failure {
        Failure::Said(error.to_string())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        // `strom topics --list | head -1`: the reader has seen enough.
        if error.kind() == ErrorKind::BrokenPipe {
            return Failure::Silent(0);
        }
        Failure::Said(error.to_string())
    }
}
