//! libFuzzer drives the target `record`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    (strongroom_fuzz::target("record").run)(bytes);
});
