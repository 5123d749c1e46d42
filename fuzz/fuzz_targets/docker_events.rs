//! Any bytes as this format: no panic, and whatever is understood can be encoded.

#![no_main]

use libfuzzer_sys::fuzz_target;
use observation::SourceId;

fuzz_target!(|data: &[u8]| {
    formats::docker_events::parse(data, SourceId(0), &mut |observation| {
        assert!(postcard::to_allocvec(&observation).is_ok());
    });
});
