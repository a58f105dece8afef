//! Build script of `sys`: turns the kernel's UAPI headers into bindings.
//!
//! Only what is on the lists below is translated. Constants younger than Debian 12's headers are
//! written out in `sys/src/uapi/mod.rs`, so that the program's abilities depend on the kernel it
//! runs on, not on the headers it was built with.

use std::path::PathBuf;
use std::{env, fs, process};

/// The headers, as `#include` lines say them.
const HEADERS: &[&str] = &[
    "linux/time.h", // errqueue.h uses `struct timespec` without including it
    "linux/net_tstamp.h",
    "linux/errqueue.h",
    "linux/timex.h",
    "linux/ptp_clock.h",
    "linux/sockios.h",
    "linux/ethtool.h",
];

/// Structures to translate.
const TYPES: &[&str] = &[
    "__kernel_timex",
    "ethtool_ts_info",
    "hwtstamp_config",
    "hwtstamp_rx_filters",
    "hwtstamp_tx_types",
    "ptp_clock_caps",
    "ptp_clock_time",
    "ptp_sys_offset",
    "ptp_sys_offset_extended",
    "ptp_sys_offset_precise",
    "scm_timestamping64",
    "scm_ts_pktinfo",
    "sock_extended_err",
];

/// Constants to translate.
const CONSTANTS: &[&str] = &[
    "ADJ_.*",
    "STA_.*",
    "TIME_(OK|INS|DEL|OOP|WAIT|ERROR)",
    "SOF_TIMESTAMPING_.*",
    "SCM_TSTAMP_.*",
    "SO_EE_ORIGIN_.*",
    "PTP_MAX_SAMPLES",
    "SIOC[GS]HWTSTAMP",
    "SIOCETHTOOL",
    "ETHTOOL_GET_TS_INFO",
];

fn main() {
    println!("cargo::rerun-if-changed=../build.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_else(|| fail("OUT_DIR is not set")));
    if !libclang_loads() {
        fail(
            "libclang was not found; bindgen needs it to read the kernel's headers.\n\
             Debian and Ubuntu: apt install libclang-dev; Fedora: dnf install clang-devel.\n\
             Elsewhere: install LLVM's libclang, or set LIBCLANG_PATH to the folder it is in.",
        );
    }
    let bindings = builder().generate().unwrap_or_else(|error| {
        fail(&format!(
            "the kernel's UAPI headers could not be read: {error}\n\
             Debian and Ubuntu: apt install linux-libc-dev libc6-dev; \
             Fedora: dnf install kernel-headers glibc-devel.\n\
             Version 6.1 (Debian 12) or newer is needed."
        ))
    });
    let file = out.join("uapi.rs");
    if let Err(error) = fs::write(&file, bindings.to_string()) {
        fail(&format!("{}: {error}", file.display()));
    }
}

/// What to translate, and how: plain structures and constants, no functions, no tests.
fn builder() -> bindgen::Builder {
    let includes: String = HEADERS
        .iter()
        .map(|h| format!("#include <{h}>\n"))
        .collect();
    let mut builder = bindgen::Builder::default()
        .header_contents("clockwright-uapi.h", &includes)
        // Tells cargo to run this again when a header it read changes.
        .parse_callbacks(Box::new(bindgen::CargoCallbacks::new()))
        .use_core()
        .ignore_functions()
        .layout_tests(false)
        .generate_comments(false)
        .derive_default(true)
        .prepend_enum_name(false);
    for name in TYPES {
        builder = builder.allowlist_type(name);
    }
    for pattern in CONSTANTS {
        builder = builder.allowlist_var(pattern);
    }
    builder
}

/// Can bindgen load libclang? Asked first because bindgen panics where it cannot.
fn libclang_loads() -> bool {
    // bindgen's panic message would stand above ours and hide it.
    std::panic::set_hook(Box::new(|_| {}));
    let loads = std::panic::catch_unwind(bindgen::clang_version).is_ok();
    drop(std::panic::take_hook());
    loads
}

/// Ends the build with a message of its own instead of a backtrace.
fn fail(message: &str) -> ! {
    eprintln!("\nclockwright-sys cannot be built: {message}\n");
    process::exit(1)
}
