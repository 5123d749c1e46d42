//! Any bytes as the lines of a Zeek log, JSON or columns by the first byte: no panic, and whatever
//! is understood can be encoded.

#![no_main]

use formats::zeek::{Reader, Writing};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let writing = if data.first() == Some(&b'{') { Writing::Json } else { Writing::Tsv };
    let mut reader = Reader::new(writing);
    for line in data.split(|byte| *byte == b'\n') {
        reader.line(line, &mut |seen| {
            assert!(postcard::to_allocvec(&seen.observation).is_ok());
        });
    }
});
