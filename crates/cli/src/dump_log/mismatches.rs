//! What does not fit together, told after everything has been printed.

use std::collections::BTreeMap;
use std::io::{self, Write};

#[derive(Default)]
pub(super) struct Mismatches {
    /// Index entries whose batch ends at another offset: (entry, batch).
    pub(super) index: BTreeMap<String, Vec<(i64, i64)>>,
    /// Time index entries in the wrong order: (timestamp, the one before).
    pub(super) out_of_order: BTreeMap<String, Vec<(i64, i64)>>,
    /// Offsets that do not follow each other.
    pub(super) gaps: BTreeMap<String, Vec<(i64, i64)>>,
}

impl Mismatches {
    pub(super) fn report(&self, output: &mut impl Write) -> io::Result<()> {
        for (file, entries) in &self.index {
            writeln!(output, "Mismatches in :{file}")?;
            for (entry, batch) in entries {
                writeln!(output, "  Index offset: {entry}, log offset: {batch}")?;
            }
        }
        for (file, entries) in &self.out_of_order {
            writeln!(output, "Out of order timestamp in :{file}")?;
            for (timestamp, before) in entries {
                writeln!(
                    output,
                    "  Index timestamp: {timestamp}, Previously indexed timestamp: {before}"
                )?;
            }
        }
        for (file, entries) in &self.gaps {
            writeln!(output, "Non-consecutive offsets in {file}")?;
            for (offset, next) in entries {
                writeln!(output, "  {offset} is followed by {next}")?;
            }
        }
        Ok(())
    }
}
