//! `strom dump-log`: Kafka's kafka-dump-log. Reads files, asks nobody.

mod base64;
mod decoder;
mod index;
mod mismatches;
mod schema;
mod schema_json;
mod segment;
mod snapshot;

use crate::failure::{Failure, Outcome};
use decoder::Decoder;
use mismatches::Mismatches;
use std::io::{BufWriter, Write};
use std::path::Path;

#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// The files to print, apart by commas
    #[arg(long, value_name = "FILES")]
    files: String,
    /// Print the records' keys and values
    #[arg(long)]
    print_data_log: bool,
    /// Print every record, not only batches
    #[arg(long)]
    deep_iteration: bool,
    /// Only check whether an index is sane, as a node does at its start
    #[arg(long)]
    index_sanity_check: bool,
    /// Only check an index against its log
    #[arg(long)]
    verify_index_only: bool,
    /// Read records of __cluster_metadata
    #[arg(long)]
    cluster_metadata_decoder: bool,
    /// Read records of __consumer_offsets
    #[arg(long)]
    offsets_decoder: bool,
    /// Read records of __transaction_state
    #[arg(long)]
    transaction_log_decoder: bool,
    /// Read records of __share_group_state
    #[arg(long)]
    share_group_state_decoder: bool,
    /// Leave out what is known of a record beside its contents
    #[arg(long)]
    skip_record_metadata: bool,
    /// Read at most this much of a log
    #[arg(long, value_name = "BYTES", default_value_t = i32::MAX as u64)]
    max_bytes: u64,
    /// Accepted for Kafka's sake: a batch may have any size
    #[arg(long, value_name = "BYTES")]
    max_message_size: Option<u64>,
    /// Accepted for Kafka's sake: keys are printed as text
    #[arg(long, num_args = 0..=1, value_name = "CLASS")]
    key_decoder_class: Option<Option<String>>,
    /// Accepted for Kafka's sake: values are printed as text
    #[arg(long, num_args = 0..=1, value_name = "CLASS")]
    value_decoder_class: Option<Option<String>>,
}

impl Arguments {
    fn decoder(&self) -> Decoder {
        if self.cluster_metadata_decoder {
            Decoder::ClusterMetadata
        } else if self.offsets_decoder {
            Decoder::Offsets
        } else if self.transaction_log_decoder {
            Decoder::Transactions
        } else if self.share_group_state_decoder {
            Decoder::ShareGroups
        } else {
            Decoder::Text
        }
    }

    fn prints_contents(&self) -> bool {
        self.print_data_log
            || self.decoder() != Decoder::Text
            || self.key_decoder_class.is_some()
            || self.value_decoder_class.is_some()
    }

    fn is_deep(&self) -> bool {
        self.deep_iteration || self.prints_contents()
    }
}

pub(crate) fn execute(arguments: Arguments) -> Outcome {
    let mut output = BufWriter::new(std::io::stdout().lock());
    let mut mismatches = Mismatches::default();
    for file in arguments.files.split(',').map(str::trim).filter(|file| !file.is_empty()) {
        writeln!(output, "Dumping {file}")?;
        let path = Path::new(file);
        let outcome = match path.extension().and_then(|extension| extension.to_str()) {
            Some("log" | "checkpoint") => {
                segment::dump(&mut output, path, &arguments, &mut mismatches)
            }
            Some("index") => index::dump_offsets(&mut output, path, &arguments, &mut mismatches),
            Some("timeindex") => index::dump_times(&mut output, path, &arguments, &mut mismatches),
            Some("txnindex") => index::dump_transactions(&mut output, path),
            Some("snapshot") => snapshot::dump(&mut output, path),
            _ => Ok(writeln!(std::io::stderr(), "Ignoring unknown file {file}")?),
        };
        // What was readable is shown before the mistake is told.
        output.flush()?;
        outcome?;
    }
    mismatches.report(&mut std::io::stderr().lock())?;
    Ok(())
}

fn read(path: &Path) -> Outcome<Vec<u8>> {
    std::fs::read(path)
        .map_err(|error| Failure::said(format!("{} cannot be read: {error}", path.display())))
}

/// The offset that a file's name begins with.
fn base_offset(path: &Path) -> Outcome<i64> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let digits = name.split(['.', '-']).next().unwrap_or_default();
    digits.parse().map_err(|_| {
        Failure::said(format!("the name of {} does not begin with an offset", path.display()))
    })
}
