//! Any bytes as lines, pushed in any pieces: no line is longer than the limit, none is lost.

#![no_main]

use formats::LineSplitter;
use libfuzzer_sys::fuzz_target;

const LINE_BYTES_MAX: usize = 64;

fuzz_target!(|data: &[u8]| {
    let Some((size, text)) = data.split_first() else { return };
    let mut splitter = LineSplitter::new(LINE_BYTES_MAX);
    let mut count = 0;
    let mut take = |line: &[u8]| {
        assert!(line.len() <= LINE_BYTES_MAX);
        count += 1;
    };
    for piece in text.chunks(usize::from(*size).max(1)) {
        splitter.push(piece, &mut take);
    }
    splitter.finish(&mut take);
    let ends = text.iter().filter(|byte| **byte == b'\n').count();
    assert!(count + splitter.long_line_count() as usize <= ends + 1);
});
