//! The kernel boundary of clockwright: timestamping sockets, clocks, PHC ioctls.
