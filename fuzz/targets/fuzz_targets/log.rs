//! libFuzzer drives the target `log`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    (strongroom_fuzz::target("log").run)(bytes);
});
