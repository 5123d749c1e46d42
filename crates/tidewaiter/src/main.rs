//! To be written.
mod evidence;
mod sources;

fn main() {}
