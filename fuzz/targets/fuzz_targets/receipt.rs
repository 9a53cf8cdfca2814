//! libFuzzer drives the target `receipt`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    (strongroom_fuzz::target("receipt").run)(bytes);
});
