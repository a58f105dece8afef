//! Build script of `sys`: turns the kernel's UAPI headers into bindings.
//!
//! Only what is on the lists below is translated. Constants younger than Debian 12's headers are
//! written out in `sys/src/uapi/mod.rs`, so that the program's abilities depend on the kernel it
//! runs on, not on the headers it was built with.

use std::path::PathBuf;
use std::process::ExitCode;
use std::{env, fs};

/// The headers, as `#include` lines say them.
const HEADERS: &[&str] = &[
    "linux/time.h", // errqueue.h uses `struct timespec` without including it
    "linux/net_tstamp.h",
    "linux/errqueue.h",
    "linux/timex.h",
    "linux/ptp_clock.h",
    "linux/pps.h",
    "linux/sockios.h",
    "linux/ethtool.h",
    "linux/ethtool_netlink.h",
    "linux/if_link.h",
];

/// Structures to translate.
const TYPES: &[&str] = &[
    "__kernel_timex",
    "ethtool_drvinfo",
    "ethtool_link_settings",
    "ethtool_ts_info",
    "hwtstamp_config",
    "hwtstamp_flags",
    "hwtstamp_rx_filters",
    "hwtstamp_tx_types",
    "pps_fdata",
    "pps_kparams",
    "ptp_clock_caps",
    "ptp_clock_time",
    "ptp_extts_event",
    "ptp_extts_request",
    "ptp_pin_desc",
    "ptp_pin_function",
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
    "PPS_CAPTURE(ASSERT|CLEAR)",
    "PPS_TSFMT_TSPEC",
    "PTP_(ENABLE_FEATURE|RISING_EDGE|FALLING_EDGE|STRICT_FLAGS)",
    "PTP_MAX_SAMPLES",
    "SIOC[GS]HWTSTAMP",
    "SIOCETHTOOL",
    "ETHTOOL_(GET_TS_INFO|GLINKSETTINGS|GDRVINFO)",
    "ETHTOOL_MSG_(TSINFO|LINKMODES|PHC_VCLOCKS)_GET",
    "ETHTOOL_A_(HEADER|TSINFO|LINKMODES|PHC_VCLOCKS|BITSET)_.*",
    "ETHTOOL_FLAG_.*",
    "ETHTOOL_GENL_(NAME|VERSION)",
    "IFLA_(IFNAME|LINK|MASTER|LINKINFO|INFO_KIND|LINK_NETNSID|EXT_MASK)",
];

/// What to say where libclang is missing.
const NO_LIBCLANG: &str = "libclang was not found; bindgen needs it to read the kernel's headers.
Debian and Ubuntu: apt install libclang-dev; Fedora: dnf install clang-devel.
Elsewhere: install LLVM's libclang, or set LIBCLANG_PATH to the folder it is in.";

/// What to say where the headers are missing or too old.
const NO_HEADERS: &str = "the kernel's UAPI headers are missing or too old.
Debian and Ubuntu: apt install linux-libc-dev libc6-dev; Fedora: dnf install kernel-headers glibc-devel.
Version 6.1 (Debian 12) or newer is needed.";

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed=../build.rs");
    match generate() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("\nclockwright-sys cannot be built: {message}\n");
            ExitCode::FAILURE
        }
    }
}

fn generate() -> Result<(), String> {
    let out = env::var_os("OUT_DIR").ok_or("OUT_DIR is not set; is this run by cargo?")?;
    if !libclang_loads() {
        return Err(NO_LIBCLANG.into());
    }
    let bindings = builder()
        .generate()
        .map_err(|error| format!("{NO_HEADERS}\n{error}"))?;
    let file = PathBuf::from(out).join("uapi.rs");
    fs::write(&file, bindings.to_string()).map_err(|error| format!("{}: {error}", file.display()))
}

/// What to translate, and how: plain structures and constants, no functions, no tests.
fn builder() -> bindgen::Builder {
    let includes = format!("#include <{}>\n", HEADERS.join(">\n#include <"));
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
