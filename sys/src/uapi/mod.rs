//! Kernel UAPI constants and structures.
