//! CPU seconds for a Zeek JSON log: `dom` parses each line into sonic-rs's document tree, `read`
//! is our reader. `cargo xtask bench channels` compares them.

use std::fs::File;
use std::process::ExitCode;

use formats::zeek::{Reader, Writing};
use formats::{LineLimits, Lines};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(what), Some(path)) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: measure_zeek dom|read FILE");
        return ExitCode::from(2);
    };
    let Ok(file) = File::open(&path) else {
        eprintln!("{path} cannot be opened");
        return ExitCode::FAILURE;
    };
    let mut lines = Lines::open(file, LineLimits::default());
    let mut reader = Reader::new(Writing::Json);
    let (mut line_count, mut good_count) = (0_u64, 0_u64);
    while let Some(Ok(line)) = lines.next() {
        line_count += 1;
        if what == "dom" {
            good_count += u64::from(sonic_rs::from_slice::<sonic_rs::Value>(line).is_ok());
        } else {
            reader.line(line, &mut |seen| {
                good_count += u64::from(std::hint::black_box(seen).row != 0);
            });
        }
    }
    println!("{line_count} lines, {good_count} good");
    if good_count == 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
