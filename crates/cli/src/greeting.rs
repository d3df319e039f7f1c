//! What a node says when it is up: where it listens, where its data is, and a command to try.

use std::net::SocketAddr;
use std::path::Path;

use crate::{connect, tool_names};

/// Three lines. `program` is how this process was called, so that the command can be copied as it is,
/// also by somebody who has not put the binary on the path.
pub(crate) fn text(
    program: &str,
    addresses: &[SocketAddr],
    folders: &str,
    cluster_id: &str,
) -> String {
    let listed: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    format!(
        "Strom listens on {}\nData: {folders} (cluster {cluster_id})\nTry:  {} topics{} --create --topic hello\n",
        listed.join(", "),
        command(program),
        addresses.first().map(bootstrap_option).unwrap_or_default(),
    )
}

/// A process called `kafka-server-start` is no command line.
fn command(program: &str) -> &str {
    if program.is_empty() || tool_names::tool_of(Path::new(program)).is_some() {
        return "strom";
    }
    program
}

/// Nothing where the tools look by themselves.
fn bootstrap_option(address: &SocketAddr) -> String {
    let host = match address {
        _ if !address.ip().is_unspecified() => address.to_string(),
        // All addresses of the machine; the reader sits at it.
        SocketAddr::V4(_) => format!("127.0.0.1:{}", address.port()),
        SocketAddr::V6(_) => format!("[::1]:{}", address.port()),
    };
    if host == connect::DEFAULT_BOOTSTRAP {
        return String::new();
    }
    format!(" --bootstrap-server {host}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(program: &str, address: &str) -> String {
        let text = text(program, &[address.parse().unwrap()], "./strom-data", "id");
        text.lines().last().unwrap().to_owned()
    }

    #[test]
    fn the_command_to_try_runs_as_it_is_copied() {
        assert_eq!(
            tried("target/release/strom", "127.0.0.1:9092"),
            "Try:  target/release/strom topics --create --topic hello"
        );
        assert_eq!(
            tried("bin/kafka-server-start.sh", "0.0.0.0:9093"),
            "Try:  strom topics --bootstrap-server 127.0.0.1:9093 --create --topic hello"
        );
    }
}
