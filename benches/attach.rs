//! The viewer in figures.
fn main() {}
