//! libFuzzer drives the target `keyring`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    (strongroom_fuzz::target("keyring").run)(bytes);
});
