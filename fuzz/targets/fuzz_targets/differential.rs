//! libFuzzer drives the target `differential`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    (strongroom_fuzz::target("differential").run)(bytes);
});
