//! Tidewaiter, the program: sources, sinks, store and commands around the deciding crates.
//!
//! *Architecture invariant:* a verdict is made in `engine` alone; everything here moves bytes,
//! keeps what was decided, shows it, and acts when it was told to.

mod ads;
mod commands;
mod evidence;
mod intel;
mod pipeline;
mod progress;
mod record;
mod responders;
mod rules;
mod sinks;
mod sources;
mod store;
mod suppressions;
mod timestamp;
mod validate;

use std::io::ErrorKind;
use std::process::ExitCode;

use clap::Parser;
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    // A tenth less memory at the same speed, where the kernel has huge pages at all.
    drop(sys::memory::take_small_pages_only());
    let arguments = commands::Arguments::parse();
    match commands::run(&arguments) {
        Ok(outcome) => outcome.into(),
        // The reader of our output has seen enough (`tidewaiter flows … | head`).
        Err(error) if is_broken_pipe(&error) => commands::Outcome::Done.into(),
        Err(error) => {
            // An error may quote a file name, and a file name may hold anything.
            eprintln!("tidewaiter: {}", sinks::escaped_whole(&format!("{error:#}")));
            ExitCode::FAILURE
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<std::io::Error>().is_some_and(|io| io.kind() == ErrorKind::BrokenPipe)
    })
}
