//! To be written.
mod sources;

fn main() {}
