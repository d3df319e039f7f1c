//! `strom produce`: Kafka's kafka-console-producer.

mod line_reader;
mod settings;

use crate::connect::{self, Connect};
use crate::failure::{Failure, Outcome};
use crate::properties;
use line_reader::LineReader;
use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};
use strom_client::driver::Delivery;
use strom_client::{Cluster, Producer};
use tokio::sync::mpsc;

/// Lines that are read ahead of the sending.
const LINES_AHEAD: usize = 4_096;

#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    connect: Connect,
    /// The topic to send to
    #[arg(long)]
    topic: String,
    /// Send each line on its own and wait for it
    #[arg(long)]
    sync: bool,
    /// none, gzip, snappy, lz4 or zstd; without a value gzip
    #[arg(long, num_args = 0..=1, default_missing_value = "gzip", value_name = "CODEC")]
    compression_codec: Option<String>,
    /// How lines become records: parse.key, key.separator, parse.headers, null.marker …
    #[arg(long, value_name = "KEY=VALUE", allow_hyphen_values = true)]
    reader_property: Vec<String>,
    /// The older spelling of --reader-property
    #[arg(long, value_name = "KEY=VALUE", allow_hyphen_values = true)]
    property: Vec<String>,
    /// Property file with reader properties
    #[arg(long, value_name = "FILE")]
    reader_config: Option<PathBuf>,
    /// A client setting, such as acks=1
    #[arg(long, value_name = "KEY=VALUE")]
    command_property: Vec<String>,
    /// The older spelling of --command-property
    #[arg(long, value_name = "KEY=VALUE")]
    producer_property: Vec<String>,
    /// The older spelling of --command-config
    #[arg(long = "producer.config", value_name = "FILE")]
    producer_config: Option<PathBuf>,
    /// 0, 1, all or -1
    #[arg(long, value_name = "ACKS", allow_hyphen_values = true)]
    request_required_acks: Option<String>,
    /// How long a node may take to answer, in milliseconds
    #[arg(long, value_name = "MS")]
    request_timeout_ms: Option<u64>,
    /// Bytes in a batch
    #[arg(long, value_name = "BYTES")]
    batch_size: Option<usize>,
    /// The older spelling of --batch-size
    #[arg(long, value_name = "BYTES")]
    max_partition_memory_bytes: Option<usize>,
    /// Bytes of records that wait to be sent
    #[arg(long, value_name = "BYTES")]
    max_memory_bytes: Option<usize>,
    /// How long to wait for a topic or a leader, in milliseconds
    #[arg(long, value_name = "MS")]
    max_block_ms: Option<u64>,
    /// How long a record may wait for others, in milliseconds; lines are sent as they come
    #[arg(long, value_name = "MS")]
    timeout: Option<u64>,
    /// The pause before another attempt, in milliseconds
    #[arg(long, value_name = "MS")]
    retry_backoff_ms: Option<u64>,
    /// Accepted for Kafka's sake: attempts are limited by time
    #[arg(long, value_name = "COUNT")]
    message_send_max_retries: Option<i32>,
    /// Accepted for Kafka's sake: metadata is asked for when it is needed
    #[arg(long, value_name = "MS")]
    metadata_expiry_ms: Option<u64>,
    /// Accepted for Kafka's sake: the system chooses
    #[arg(long, value_name = "BYTES")]
    socket_buffer_size: Option<usize>,
    /// Accepted for Kafka's sake: lines are read in one way
    #[arg(long, value_name = "CLASS")]
    line_reader: Option<String>,
}

pub(crate) fn execute(arguments: Arguments) -> Outcome {
    warn(&arguments)?;
    let reader = LineReader::new(&arguments.topic, &reader_properties(&arguments)?)?;
    let client = settings::client(&arguments)?;
    let producer = settings::producer(&arguments)?;
    connect::run(async {
        let cluster = Cluster::connect(client).await?;
        let mut session = Session {
            producer: Producer::new(cluster, producer),
            reader,
            sync: arguments.sync,
            failed: false,
        };
        session.run(&arguments).await
    })
}

fn warn(arguments: &Arguments) -> Outcome {
    let mut output = std::io::stdout().lock();
    for (given, old, new) in [
        (!arguments.producer_property.is_empty(), "producer-property", "command-property"),
        (arguments.producer_config.is_some(), "producer.config", "command-config"),
        (!arguments.property.is_empty(), "property", "reader-property"),
    ] {
        if given {
            writeln!(
                output,
                "Warning: --{old} is deprecated and will be removed in a future version. Use \
                 --{new} instead."
            )?;
        }
    }
    Ok(())
}

fn reader_properties(arguments: &Arguments) -> Outcome<Vec<(String, String)>> {
    let mut all = match &arguments.reader_config {
        Some(path) => properties::read(path)?,
        None => Vec::new(),
    };
    all.extend(properties::pairs(&arguments.property)?);
    all.extend(properties::pairs(&arguments.reader_property)?);
    Ok(all)
}

struct Session {
    producer: Producer,
    reader: LineReader,
    sync: bool,
    failed: bool,
}

impl Session {
    /// Lines gather while they come faster than they are sent; when none waits, they are sent.
    async fn run(&mut self, arguments: &Arguments) -> Outcome {
        let prompt = std::io::stdin().is_terminal();
        let (sender, mut lines) = mpsc::channel(LINES_AHEAD);
        std::thread::spawn(move || read_lines(&sender, prompt));
        while let Some(line) = lines.recv().await {
            let line = line.map_err(|error| Failure::said(format!("standard input: {error}")))?;
            let record = match self.reader.record(&line, wall_ms()) {
                Ok(record) => record,
                Err(failure) => {
                    // What was read before the mistake is sent, as Kafka's tool does.
                    self.flush(&arguments.topic).await?;
                    return Err(failure);
                }
            };
            match self.producer.push(&record).await {
                Ok(deliveries) => self.report(&deliveries)?,
                Err(error) => self.complain(&arguments.topic, &error.to_string())?,
            }
            if self.sync || lines.is_empty() {
                self.flush(&arguments.topic).await?;
            }
        }
        self.flush(&arguments.topic).await?;
        if self.failed { Err(Failure::Silent(1)) } else { Ok(()) }
    }

    async fn flush(&mut self, topic: &str) -> Outcome {
        match self.producer.flush().await {
            Ok(deliveries) => self.report(&deliveries),
            Err(error) => self.complain(topic, &error.to_string()),
        }
    }

    fn report(&mut self, deliveries: &[Delivery]) -> Outcome {
        for delivery in deliveries {
            if let Err(error) = &delivery.outcome {
                self.complain(&delivery.topic, &error.to_string())?;
            }
        }
        Ok(())
    }

    fn complain(&mut self, topic: &str, reason: &str) -> Outcome {
        self.failed = true;
        Ok(writeln!(std::io::stderr(), "Error when sending message to topic {topic}: {reason}")?)
    }
}

fn read_lines(sender: &mpsc::Sender<std::io::Result<Vec<u8>>>, prompt: bool) {
    let mut input = std::io::stdin().lock();
    loop {
        if prompt {
            // The prompt is a courtesy: lines are read without it as well.
            let _ = write!(std::io::stdout(), ">");
            let _ = std::io::stdout().flush();
        }
        let mut line = Vec::new();
        let read = input.read_until(b'\n', &mut line);
        let line = match read {
            Ok(0) => return,
            Ok(_) => {
                if line.ends_with(b"\n") {
                    line.pop();
                    if line.ends_with(b"\r") {
                        line.pop();
                    }
                }
                Ok(line)
            }
            Err(error) => Err(error),
        };
        let last = line.is_err();
        if sender.blocking_send(line).is_err() || last {
            return;
        }
    }
}

fn wall_ms() -> i64 {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(wall.as_millis()).unwrap_or(i64::MAX)
}
