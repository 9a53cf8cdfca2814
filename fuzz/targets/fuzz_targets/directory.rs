//! libFuzzer drives the target `directory`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    (strongroom_fuzz::target("directory").run)(bytes);
});
