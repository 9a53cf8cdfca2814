//! libFuzzer drives the target `batch`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    (strongroom_fuzz::target("batch").run)(bytes);
});
