//! Faults in the system calls of a node, put there by strace.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use strom_base::Random;

use super::kind::Kind;

/// What strace writes behind a call that it has tampered with.
const MARK: &str = "(INJECTED)";
const SYNCS: &str = "fdatasync,fsync,syncfs";
/// Not `write`: what wakes threads and says the last sentence goes through that, too.
const WRITES: &str = "pwrite64,pwritev,pwritev2,ftruncate";
const ROOM: &str = "pwrite64,pwritev,pwritev2,fallocate,mkdir,rename";
/// A node may die in front of each of these: what changes its folder, and what it reads that by.
const BOUNDARIES: [&str; 9] = [
    "pwrite64",
    "fdatasync",
    "fsync",
    "fallocate",
    "ftruncate",
    "rename",
    "mkdir",
    "unlink",
    "openat,write,close",
];

#[derive(Clone, Debug)]
pub(crate) struct Injection {
    /// What strace takes behind `inject=`.
    expression: String,
    trace: PathBuf,
}

/// A sync that failed.
#[derive(Clone, Debug)]
pub(crate) struct FailedCall {
    /// Of the file.
    pub path: PathBuf,
    /// When it had failed; seconds since the epoch.
    pub at: f64,
}

impl Injection {
    /// Calls are counted on each thread by itself.
    #[must_use]
    pub(crate) fn draw(kind: Kind, folder: &Path, random: &mut Random) -> Injection {
        // A thread makes few calls of most sorts: a boundary is to be reached.
        let magnitude = 1 + random.below(if kind == Kind::Call { 3 } else { 6 });
        let first = 1 + random.below(1 << magnitude);
        let when = match random.below(3) {
            0 => format!("{first}"),
            1 => format!("{first}..{}", first + 1 + random.below(8)),
            _ => format!("{first}+"),
        };
        let expression = match kind {
            Kind::FailedSync => format!("{SYNCS}:error=EIO:when={when}"),
            Kind::FailedWrite => format!("{WRITES}:error=EIO:when={when}"),
            Kind::NoRoom => format!("{ROOM}:error=ENOSPC:when={when}"),
            _ => {
                let at = random.below(BOUNDARIES.len() as u64) as usize;
                let call = BOUNDARIES.get(at).copied().unwrap_or_default();
                format!("{call}:signal=KILL:when={first}")
            }
        };
        Injection { expression, trace: folder.join("strace.log") }
    }

    /// Whether processes may be traced here.
    ///
    /// # Errors
    /// What was said against it.
    pub(crate) fn is_allowed() -> Result<()> {
        let arguments = ["-f", "--seccomp-bpf", "-qq", "-e", "inject=fsync:error=EIO", "true"];
        let output = Command::new("strace").args(arguments).output().context("strace")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "strace: {}", said.lines().next().unwrap_or_default());
        Ok(())
    }

    /// The program under faults, as a child of ours and not of strace.
    #[must_use]
    pub(crate) fn wrap(&self, program: &Path) -> Command {
        let calls = self.expression.split(':').next().unwrap_or_default();
        let mut command = Command::new("strace");
        command.args(["-D", "-f", "-qq", "-y", "-ttt"]);
        if !self.expression.contains("signal=KILL") {
            // Other calls cost nothing. With it strace 6.1 kills at the first call or at none.
            command.arg("--seccomp-bpf");
        }
        command.arg("-o").arg(&self.trace);
        command.arg("-e").arg(format!("trace={calls}"));
        command.arg("-e").arg(format!("inject={}", self.expression)).arg(program);
        command
    }

    #[must_use]
    pub(crate) fn expression(&self) -> &str {
        &self.expression
    }

    /// The calls that failed, in order.
    ///
    /// # Errors
    /// When strace has written nothing.
    pub(crate) fn failed(&self) -> Result<Vec<FailedCall>> {
        Ok(failed_calls(&fs::read_to_string(&self.trace).context("the trace")?))
    }
}

/// `PID TIME call(3</path>, …) = -1 EIO (…) (INJECTED)`, also in two parts.
fn failed_calls(trace: &str) -> Vec<FailedCall> {
    let mut begun: BTreeMap<&str, &str> = BTreeMap::new();
    let mut failed = Vec::new();
    for line in trace.lines() {
        let mut words = line.split_whitespace();
        let (Some(process), Some(time)) = (words.next(), words.next()) else { continue };
        if line.contains("<unfinished") {
            begun.insert(process, line);
        }
        if !line.contains(MARK) {
            continue;
        }
        let whole = if line.contains(" resumed>") { begun.remove(process) } else { None };
        let named = whole.unwrap_or(line);
        let path = named.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
        let path = path.map_or_else(PathBuf::new, |(path, _)| PathBuf::from(path));
        failed.push(FailedCall { path, at: time.parse().unwrap_or_default() });
    }
    failed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_calls_are_read_from_a_trace() {
        let trace = "12 5.5 fdatasync(9</d/a-0/0.log>) = 0\n\
                     12 6.5 fdatasync(9</d/a-0/0.log> <unfinished ...>\n\
                     13 6.6 fsync(7</d>) = -1 EIO (Input/output error) (INJECTED)\n\
                     12 6.7 <... fdatasync resumed>) = -1 EIO (Input/output error) (INJECTED)\n";
        let failed = failed_calls(trace);
        let told: Vec<_> = failed.iter().map(|it| (it.path.to_str(), it.at)).collect();
        assert_eq!(told, [(Some("/d"), 6.6), (Some("/d/a-0/0.log"), 6.7)]);
    }
}
