//! clockwright.
fn main() {}
