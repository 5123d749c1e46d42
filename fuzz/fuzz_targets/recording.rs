//! Any bytes as lines of a recording, and their format told by content: no panic, and what was
//! understood can be written and read again.

#![no_main]

use formats::recording;
use libfuzzer_sys::fuzz_target;
use observation::SourceId;

fuzz_target!(|data: &[u8]| {
    let _format = formats::detect(data);
    recording::parse_inspect(data, SourceId(0), &mut |_| {});
    recording::parse_observation(data, &mut |observation| {
        let mut line = Vec::new();
        recording::write_observation(&mut line, &observation).expect("a vector takes every line");
        let mut again = 0;
        recording::parse_observation(&line, &mut |read| {
            assert_eq!(read, observation);
            again += 1;
        });
        assert_eq!(again, 1);
    });
});
