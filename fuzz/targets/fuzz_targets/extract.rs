//! libFuzzer drives the target `extract`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    (strongroom_fuzz::target("extract").run)(bytes);
});
