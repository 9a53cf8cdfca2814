//! libFuzzer drives the target `manifest`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    (strongroom_fuzz::target("manifest").run)(bytes);
});
