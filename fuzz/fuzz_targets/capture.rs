//! Any bytes as a capture, plain or compressed: no panic, no endless loop, an end.

#![no_main]

use std::io::Cursor;

use formats::{Capture, Limits};
use libfuzzer_sys::fuzz_target;
use observation::SourceId;

fuzz_target!(|data: &[u8]| {
    let limits = Limits { expanded_bytes_max: 1 << 22, ..Limits::default() };
    let Ok(mut capture) = Capture::open(Cursor::new(data.to_vec()), SourceId(0), limits) else {
        return;
    };
    let mut failed = 0;
    while let Some(read) = capture.next() {
        failed += u32::from(read.is_err());
    }
    assert!(failed <= 1, "an error is told once");
});
