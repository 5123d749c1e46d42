//! Any Observations in any order: no panic, bounded alerts, and saving and loading goes on alike.

#![no_main]

use engine::{Engine, Limits};
use libfuzzer_sys::fuzz_target;
use observation::{Observation, Time};

fuzz_target!(|data: &[u8]| {
    let mut engine = Engine::new(Limits::default().divided_by(64), 0);
    let mut rest = data;
    let mut last = Time(0);
    for _ in 0..256 {
        let Ok((observation, next)) = postcard::take_from_bytes::<Observation<'_>>(rest) else {
            break;
        };
        rest = next;
        last = last.max(observation.at);
        engine.observe(&observation, &mut |_| {});
    }
    engine.advance(last, &mut |_| {});
    engine.finish(&mut |_| {});
});
