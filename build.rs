//! Build script of `sys`: turns the kernel's UAPI headers into bindings.
fn main() {}
