//! libFuzzer drives the target `edit`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    (strongroom_fuzz::target("edit").run)(bytes);
});
