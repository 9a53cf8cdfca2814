//! Do sums say what was done?
