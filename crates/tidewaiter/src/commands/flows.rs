//! `flows`: what was said to whom, one conversation a line. Sensor only, no verdicts.

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::bail;
use clap::ValueEnum;
use observation::{Fact, Observation, SourceId};

use super::Outcome;
use crate::pipeline::{Listener, Note, Totals, replay};
use crate::progress::Progress;
use crate::sinks::{escaped, escaped_whole, write_conn, write_row};
use crate::sources::captures::CaptureFile;
use crate::sources::files::{Input, Named, expand};

/// Print the conversations of captures, one a line.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tidewaiter flows capture.pcapng                            for people
  tidewaiter flows --format zeek-json *.pcap.gz > conn.json  in the words of Zeek's conn.log
  tidewaiter flows --format zeek-json x.pcap | jq 'select(.service == null)'")]
pub(crate) struct Arguments {
    /// Captures (pcap, pcapng, plain, gzip or zstd), or folders of them.
    #[arg(required = true, value_name = "FILE")]
    paths: Vec<PathBuf>,
    /// How they are printed.
    #[arg(long, default_value = "table")]
    format: Format,
    /// Threads that decode packets; the output is the same for any number.
    #[arg(long, value_name = "COUNT", default_value_t = 1,
          value_parser = clap::value_parser!(u8).range(1..=64))]
    lanes: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Columns for people.
    Table,
    /// One JSON object a line, with the field names of Zeek's conn.log.
    ZeekJson,
}

/// Output is collected to this size before it is written.
const OUTPUT_BYTES: usize = 1 << 20;

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let inputs = expand(&arguments.paths)?;
    let progress = Progress::new(inputs.iter().map(|input| input.bytes).sum());
    let files = captures(&inputs)?;
    let mut output = Output::new(arguments.format);
    let (reading, tally) = replay(&files, arguments.lanes, &progress, &mut output)?;
    progress.clear();
    output.flush()?;
    for broken in &reading.broken {
        eprintln!(
            "{}: {}",
            escaped(&broken.path.display().to_string()),
            escaped_whole(&broken.why)
        );
    }
    let totals = Totals::of_packets(&reading, &tally);
    eprintln!("{}; {} flows", totals.without_alerts(), output.flow_count);
    Ok(if totals.is_damaged() { Outcome::Damaged } else { Outcome::Done })
}

/// The inputs that are captures. One that was named and is none is damage, not an error, unless
/// there is nothing else.
fn captures(inputs: &[Input]) -> anyhow::Result<Vec<CaptureFile>> {
    let named = inputs.iter().filter(|input| {
        input.named == Named::Itself || has_capture_name(&input.path.to_string_lossy())
    });
    let files: Vec<_> = named
        .zip(1_u16..)
        .map(|(input, number)| CaptureFile { path: input.path.clone(), source: SourceId(number) })
        .collect();
    if files.is_empty() {
        bail!("there is no capture (*.pcap, *.pcapng, also .gz or .zst) in what was named");
    }
    Ok(files)
}

fn has_capture_name(path: &str) -> bool {
    let name = path.trim_end_matches(".gz").trim_end_matches(".zst");
    [".pcap", ".pcapng", ".cap"].iter().any(|ending| name.ends_with(ending))
}

/// Lines on their way to standard output.
struct Output {
    format: Format,
    lines: Vec<u8>,
    flow_count: u64,
}

impl Output {
    fn new(format: Format) -> Self {
        Self {
            format,
            lines: Vec::with_capacity(OUTPUT_BYTES + (OUTPUT_BYTES >> 3)),
            flow_count: 0,
        }
    }

    fn settle(&mut self) -> anyhow::Result<()> {
        if self.lines.len() < OUTPUT_BYTES { Ok(()) } else { self.flush() }
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(&self.lines)?;
        out.flush()?;
        self.lines.clear();
        Ok(())
    }
}

impl Listener for Output {
    fn hear(&mut self, observation: &Observation<'_>) -> anyhow::Result<()> {
        let before = self.lines.len();
        (self.format.note())(observation, &mut self.lines)?;
        self.flow_count += u64::from(self.lines.len() > before);
        self.settle()
    }

    fn note(&self) -> Note {
        self.format.note()
    }

    fn read(&mut self, noted: &[u8]) -> anyhow::Result<()> {
        self.flow_count += 1;
        self.lines.extend_from_slice(noted);
        self.settle()
    }
}

impl Format {
    /// Writes the line of a flow that was closed.
    fn note(self) -> Note {
        match self {
            Self::Table => note_row,
            Self::ZeekJson => note_conn,
        }
    }
}

fn note_row(observation: &Observation<'_>, lines: &mut Vec<u8>) -> anyhow::Result<()> {
    if let Fact::FlowClosed(flow) = &observation.fact {
        write_row(lines, flow);
    }
    Ok(())
}

fn note_conn(observation: &Observation<'_>, lines: &mut Vec<u8>) -> anyhow::Result<()> {
    if let Fact::FlowClosed(flow) = &observation.fact {
        write_conn(lines, flow);
    }
    Ok(())
}
